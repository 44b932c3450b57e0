#include "vicinal/cluster.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/parallel.h"
#include "base/random.h"
#include "base/rows_reader.h"
#include "clustering/balance.h"
#include "clustering/centroids.h"
#include "clustering/lloyd.h"
#include "clustering/rows.h"
#include "clustering/start.h"
#include "clustering/streams.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using clustering::Lloyd;
using clustering::Rows;
using clustering::Watch;

constexpr std::uint32_t kMostIterations = 1'000'000;
constexpr std::uint32_t kMostRestarts = 10'000;
constexpr std::uint32_t kMostBranching = 1024;

void within(const char* name, std::uint64_t got, std::uint64_t least, std::uint64_t most) {
  if (got >= least && got <= most) return;
  throw ArgumentError(std::string(name) + " must be from " + std::to_string(least) + " to " +
                      std::to_string(most) + ", got " + std::to_string(got));
}

[[noreturn]] void refuse(const char* name, const char* wanted, double got) {
  throw ArgumentError(std::string(name) + " must be " + wanted + ", got " + std::to_string(got));
}

void check_shape(const VectorsView& rows) {
  if (rows.cols == 0 || rows.cols > kMaxDim) {
    throw ArgumentError("vectors must have 1 to " + std::to_string(kMaxDim) + " columns, got " +
                        std::to_string(rows.cols));
  }
  if (rows.rows >= kNoRow) {
    throw ArgumentError("vectors must be fewer than " + std::to_string(kNoRow) + ", got " +
                        std::to_string(rows.rows));
  }
}

void check_width(const char* name, std::size_t got, std::size_t want) {
  if (got == want) return;
  throw ArgumentError(std::string(name) + " has " + std::to_string(got) +
                      " columns; the vectors have " + std::to_string(want));
}

void check(const VectorsView& rows, const KMeansParams& p, const RunOptions& run) {
  check_shape(rows);
  if (rows.rows == 0) throw ArgumentError("vectors has no rows; clusters need at least one");
  if (p.clusters == 0 || p.clusters > rows.rows) {
    throw ArgumentError("clusters must be from 1 to the number of vectors, " +
                        std::to_string(rows.rows) + "; got " + std::to_string(p.clusters));
  }
  within("iterations", p.iterations, 0, kMostIterations);
  within("restarts", p.restarts, 1, kMostRestarts);
  if (!(p.tolerance >= 0.0 && p.tolerance < 1.0)) {
    refuse("tolerance", "at least 0 and below 1", p.tolerance);
  }
  const bool unit = p.metric == Metric::kCosine;
  if (p.start == KMeansStart::kGiven) {
    if (p.restarts != 1) {
      throw ArgumentError("restarts must be 1 where the start is given, got " +
                          std::to_string(p.restarts));
    }
    if (p.balance == Balance::kPenalty) {
      throw ArgumentError("start cannot be given where balance is by penalty: every split has its "
                          "own");
    }
    check_width("start", p.first.cols(), rows.cols);
    if (p.first.rows() != p.clusters) {
      throw ArgumentError("start has " + std::to_string(p.first.rows()) +
                          " rows; clusters asks for " + std::to_string(p.clusters));
    }
    check_rows(p.first, "start", p.metric != Metric::kL2, run);
  }
  if (p.balance == Balance::kPenalty || p.balance == Balance::kCapacity) {
    if (!(p.slack >= 1.0 && p.slack < 1e9)) refuse("slack", "at least 1", p.slack);
  }
  if (p.balance == Balance::kPenalty) within("branching", p.branching, 2, kMostBranching);
  if (p.balance == Balance::kTransport) {
    if (!(p.epsilon > 0.0 && p.epsilon < 1e9)) refuse("epsilon", "above 0", p.epsilon);
    within("rounds", p.rounds, 1, kMostIterations);
    if (p.clusters > clustering::kMostTransported) {
      throw ArgumentError("clusters must be at most " +
                          std::to_string(clustering::kMostTransported) +
                          " where balance is by transport, got " + std::to_string(p.clusters));
    }
  }
  check_rows(rows, "vectors", unit, run);
}

/// A ticker and the counter it follows.
struct Stage {
  Stage(const RunOptions& run, const char* name, std::uint64_t total_)
      : total(total_), ticker(run, name, total_) {
    ticker.follow(done);
  }
  Watch watch() noexcept { return {&ticker, &done}; }
  void finish() {
    done.store(total);
    ticker.at(total);
  }

  std::uint64_t total;
  std::atomic<std::uint64_t> done{0};
  Ticker ticker;
};

std::vector<float> first_centroids(const Rows& rows, const KMeansParams& params,
                                   std::uint64_t seed, const RunOptions& run) {
  if (params.start == KMeansStart::kGiven) {
    return {params.first.data(), params.first.data() + params.clusters * rows.dim()};
  }
  Stage stage(run, "starting", params.clusters);
  std::vector<float> out = clustering::start(rows, params.clusters, params.metric, params.start,
                                             seed, run, stage.watch());
  stage.finish();
  return out;
}

void summarize(KMeansResult& result) {
  const auto rows = static_cast<double>(result.labels.size());
  std::uint64_t most = 0;
  for (const std::uint64_t size : result.sizes) {
    most = std::max(most, size);
    if (size == 0) continue;
    const double part = static_cast<double>(size) / rows;
    result.entropy -= part * std::log2(part);
  }
  result.entropy = std::max(result.entropy, 0.0);  // not -0
  result.max_over_mean = static_cast<double>(most) * static_cast<double>(result.clusters) / rows;
}

KMeansResult take(const Lloyd& lloyd) {
  KMeansResult result;
  result.clusters = lloyd.centroids().count();
  result.dim = lloyd.centroids().dim();
  result.centroids.resize(result.clusters * result.dim);
  lloyd.centroids().write(result.centroids.data());
  result.labels = lloyd.labels();
  result.sizes = lloyd.sizes();
  result.objective = lloyd.objective();
  result.iterations = lloyd.iterations();
  result.converged = lloyd.converged();
  summarize(result);
  return result;
}

KMeansResult by_splits(const Rows& rows, const KMeansParams& params, std::uint64_t seed,
                       const RunOptions& run) {
  std::vector<std::uint32_t> labels;
  {
    Stage stage(run, "splitting", params.clusters);
    labels = clustering::split_evenly(rows, params, seed, run, stage.watch());
    stage.finish();
  }
  Stage stage(run, "balancing", std::uint64_t{rows.count()} * clustering::kEveningSweeps);
  Lloyd lloyd(rows, params.clusters, params.metric, run, {});
  lloyd.relabel(labels);
  lloyd.move();
  lloyd.report_to(stage.watch());
  clustering::even_out(lloyd, params);
  stage.finish();
  KMeansResult result = take(lloyd);
  result.iterations = static_cast<std::uint32_t>(
      clustering::split_levels(params.clusters, params.branching));
  result.converged = result.max_over_mean <= params.slack;
  return result;
}

KMeansResult once(const Rows& rows, const KMeansParams& params, std::uint64_t seed,
                  const RunOptions& run) {
  if (params.balance == Balance::kPenalty) return by_splits(rows, params, seed, run);
  const std::uint64_t n = rows.count();
  Stage stage(run, "clustering", n * (std::uint64_t{params.iterations} + 1));
  const std::vector<float> first = first_centroids(rows, params, seed, run);
  Lloyd lloyd(rows, params.clusters, params.metric, run, stage.watch());
  lloyd.centroids().read(first.data());
  lloyd.train(params, seed);
  stage.finish();
  lloyd.report_to({});
  if (params.balance != Balance::kNone) {
    Stage balancing(run, "balancing", n * clustering::kBalancingPasses);
    if (params.balance == Balance::kCapacity) {
      clustering::fill_evenly(lloyd, params, run, balancing.watch());
    } else {
      clustering::transport(lloyd, params, seed, run, balancing.watch());
    }
    balancing.finish();
  }
  return take(lloyd);
}

/// Distances of one row to some centroids.
class Exactly {
 public:
  explicit Exactly(const clustering::Centroids& centroids)
      : centroids_(centroids),
        score_(kernels::active().row(kernels::RowType::kF32).ids[static_cast<std::size_t>(
            centroids.l2() ? kernels::Rank::kL2 : kernels::Rank::kIp)]),
        row_((centroids.dim() + 15) / 16 * 16, 0.0f) {}

  void operator()(const float* row, const std::uint32_t* ids, std::size_t n, float* out) {
    std::memcpy(row_.data(), row, centroids_.dim() * sizeof(float));
    constexpr unsigned kAhead = 4;
    score_(row_.data(), reinterpret_cast<const std::byte*>(centroids_.row(0)),
           centroids_.stride() * sizeof(float), ids, n, centroids_.dim(), kAhead, out);
    if (centroids_.metric() != Metric::kCosine) return;
    for (std::size_t i = 0; i < n; ++i) out[i] = std::max(0.0f, 1.0f + out[i]);
  }

 private:
  const clustering::Centroids& centroids_;
  kernels::ScoreIds score_;
  std::vector<float> row_;
};

struct Near {
  float distance;
  std::uint32_t label;
};

bool nearer(const Near& a, const Near& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.label < b.label);
}

}  // namespace

KMeansResult kmeans(const VectorsView& rows, const KMeansParams& params, const RunOptions& run) {
  check(rows, params, run);
  const Rows source(rows, params.metric == Metric::kCosine);
  KMeansResult best;
  for (std::uint32_t restart = 0; restart < params.restarts; ++restart) {
    const std::uint64_t seed =
        restart == 0 ? params.seed : random_u64(params.seed, clustering::kRestartStream, restart);
    KMeansResult now = once(source, params, seed, run);
    if (restart == 0 || now.objective < best.objective) best = std::move(now);
  }
  return best;
}

void assign(const VectorsView& rows, MatrixView<const float> centroids, Metric metric,
            MatrixView<std::uint32_t> labels, MatrixView<float> distances, const RunOptions& run) {
  check_shape(rows);
  check_width("centroids", centroids.cols(), rows.cols);
  if (centroids.rows() == 0 || centroids.rows() >= kNoRow) {
    throw ArgumentError("centroids must have from 1 to " + std::to_string(kNoRow - 1) +
                        " rows, got " + std::to_string(centroids.rows()));
  }
  const std::size_t several = labels.cols();
  const bool wanted = distances.data() != nullptr;
  if (labels.rows() != rows.rows || several == 0 ||
      (wanted && (distances.rows() != rows.rows || distances.cols() != several))) {
    throw ArgumentError("labels and distances must have a row per vector and as many columns");
  }
  const bool unit = metric == Metric::kCosine;
  check_rows(centroids, "centroids", unit, run);
  check_rows(rows, "vectors", unit, run);

  const Rows source(rows, unit);
  clustering::Centroids table(centroids.rows(), centroids.cols(), metric);
  table.read(centroids.data());
  // Under the inner product centroids count with the lengths they have, and have no bias.
  if (metric != Metric::kInnerProduct) table.settle();
  constexpr std::size_t kPiece = 256;
  std::vector<clustering::Scratch> scratch(workers(run));
  Ticker ticker(run, "assigning", rows.rows);
  parallel_for(
      rows.rows, kPiece, run,
      [&](std::size_t begin, std::size_t end, unsigned worker) {
        const std::size_t n = end - begin;
        std::vector<float> room(source.plain() != nullptr ? 0 : n * source.dim());
        const float* from = source.read(begin, end, room.data());
        std::uint32_t* ids = labels.data() + begin * several;
        if (several == 1) {
          clustering::nearest(from, n, table, scratch[worker], ids, nullptr);
          if (!wanted) return;
        } else {
          std::vector<float> scores(n * several);
          clustering::nearest_several(from, n, table, several, scratch[worker], ids,
                                      scores.data());
        }
        // The scores of a product round more than distances do: those decide the order.
        Exactly exactly(table);
        std::vector<float> values(several);
        std::vector<Near> order(several);
        for (std::size_t i = 0; i < n; ++i, ids += several) {
          const auto found = static_cast<std::size_t>(std::find(ids, ids + several, kNoRow) - ids);
          exactly(from + i * source.dim(), ids, found, values.data());
          order.clear();
          for (std::size_t j = 0; j < found; ++j) order.push_back({values[j], ids[j]});
          std::sort(order.begin(), order.end(), nearer);
          order.resize(several, {std::numeric_limits<float>::infinity(), kNoRow});
          for (std::size_t j = 0; j < several; ++j) {
            ids[j] = order[j].label;
            if (wanted) distances.row(begin + i)[j] = order[j].distance;
          }
        }
      },
      &ticker);
}

}  // namespace vicinal
