// Uniform use of the clusters, as RepCONC trains its codes (Zhan et al., WSDM 2022): distances
// scaled to [-1, 1], their exponentials scaled until every cluster has the same mass, and each row
// to its largest share. All rows at once would need rows x clusters doubles; batches drawn at
// random stand for them, each of as many rows as fit.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/parallel.h"
#include "base/random.h"
#include "clustering/balance.h"
#include "clustering/sinkhorn.h"
#include "clustering/start.h"
#include "clustering/streams.h"

namespace vicinal::clustering {
namespace {

constexpr std::size_t kBatchEntries = std::size_t{1} << 24;
constexpr std::size_t kBatchRowsPerCluster = 4;
constexpr double kMarginTolerance = 1e-3;
constexpr double kSettled = 0.002;  // part of the rows that still change

/// Every row once, in random order.
std::vector<std::uint32_t> shuffled(std::size_t n, std::uint64_t seed) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = n; i > 1; --i) {
    std::swap(order[i - 1], order[random_below(i, seed, kBatchStream, i)]);
  }
  return order;
}

/// Distances of some rows to all centroids, scaled so that they span [-1, 1].
std::vector<float> costs(const Rows& rows, const Centroids& centroids, const RunOptions& run) {
  constexpr std::size_t kPiece = 128;
  const std::size_t n = rows.count();
  const std::size_t k = centroids.count();
  std::vector<float> out(n * k);
  std::vector<Scratch> scratch(workers(run));
  std::vector<float> lowest((n + kPiece - 1) / kPiece);
  std::vector<float> highest(lowest.size());
  parallel_for(n, kPiece, run, [&](std::size_t begin, std::size_t end, unsigned worker) {
    std::vector<float> room(rows.plain() != nullptr ? 0 : (end - begin) * rows.dim());
    const float* from = rows.read(begin, end, room.data());
    float* to = out.data() + begin * k;
    all_scores(from, end - begin, centroids, scratch[worker], to);
    for (std::size_t i = begin; i < end && centroids.l2(); ++i) {
      double squared = 0.0;  // from where scores are counted
      for (std::size_t d = 0; d < rows.dim(); ++d) {
        const double x = double{from[(i - begin) * rows.dim() + d]} - centroids.origin()[d];
        squared += x * x;
      }
      float* row = out.data() + i * k;
      for (std::size_t c = 0; c < k; ++c) {
        row[c] = std::max(0.0f, static_cast<float>(squared + 2.0 * row[c]));
      }
    }
    const auto [low, high] = std::minmax_element(to, to + (end - begin) * k);
    lowest[begin / kPiece] = *low;
    highest[begin / kPiece] = *high;
  });
  const float low = *std::min_element(lowest.begin(), lowest.end());
  const float high = *std::max_element(highest.begin(), highest.end());
  const float scale = high > low ? 2.0f / (high - low) : 0.0f;
  parallel_for(n, kPiece, run, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t i = begin * k; i < end * k; ++i) out[i] = (out[i] - low) * scale - 1.0f;
  });
  return out;
}

}  // namespace

void transport(Lloyd& lloyd, const KMeansParams& params, std::uint64_t seed, const RunOptions& run,
               Watch watch) {
  RunOptions quiet;
  quiet.threads = run.threads;
  const std::size_t n = lloyd.rows().count();
  const std::size_t k = lloyd.centroids().count();
  const std::size_t most = std::max(kBatchEntries / k, kBatchRowsPerCluster * k);
  const std::size_t batches = (n + most - 1) / most;
  const std::vector<std::uint32_t> order = shuffled(n, seed);
  std::vector<std::uint32_t> labels(n);
  std::vector<std::uint32_t> own(std::min(n, most));
  std::vector<double> potential;
  for (std::size_t pass = 0; pass < kBalancingPasses; ++pass) {
    for (std::size_t batch = 0; batch < batches; ++batch) {
      const std::size_t begin = n * batch / batches;
      const std::size_t count = n * (batch + 1) / batches - begin;
      const Rows some(lloyd.rows(), order.data() + begin, count);
      const std::vector<float> cost = costs(some, lloyd.centroids(), quiet);
      // The last batch's potentials are nearly right for this one.
      sinkhorn(cost.data(), count, k, params.epsilon, params.rounds, kMarginTolerance, potential,
               own.data(), nullptr, quiet);
      for (std::size_t i = 0; i < count; ++i) labels[order[begin + i]] = own[i];
      if (watch.done != nullptr) watch.done->fetch_add(count);
      if (watch.ticker != nullptr) watch.ticker->poll();
    }
    const std::size_t changed = lloyd.relabel(labels);
    lloyd.move();
    lloyd.centroids().settle();
    if (static_cast<double>(changed) <= kSettled * static_cast<double>(n)) return;
  }
}

}  // namespace vicinal::clustering
