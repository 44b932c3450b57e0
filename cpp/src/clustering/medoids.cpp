#include "vicinal/medoids.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "base/bitmap.h"
#include "base/parallel.h"
#include "clustering/medoids_points.h"
#include "clustering/medoids_start.h"
#include "clustering/medoids_swap.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace clustering;
using Rows = std::vector<std::uint32_t>;

void expect_between(const char* argument, std::size_t got, std::size_t least, std::size_t most,
                    const char* why = "") {
  if (got >= least && got <= most) return;
  throw ArgumentError(std::string(argument) + " must be from " + std::to_string(least) + " to " +
                      std::to_string(most) + why + ", got " + std::to_string(got));
}

void check_start(const KMedoidsParams& params, std::size_t rows) {
  if (params.start != MedoidStart::kGiven) return;
  const auto& first = params.first;
  if (first.size() != params.clusters) {
    throw ArgumentError("start has " + std::to_string(first.size()) +
                        " rows; wanted one for each of " + std::to_string(params.clusters) +
                        " clusters");
  }
  Bitmap seen(rows);
  for (const std::int64_t row : first) {
    if (row < 0 || static_cast<std::uint64_t>(row) >= rows) {
      throw ArgumentError("start holds row " + std::to_string(row) + "; wanted 0 to " +
                          std::to_string(rows - 1));
    }
    const auto r = static_cast<std::size_t>(row);
    if (seen.test(r)) throw ArgumentError("start holds row " + std::to_string(row) + " twice");
    seen.set(r);
  }
}

void check(const VectorsView& rows, const KMedoidsParams& params) {
  if (rows.rows == 0) throw ArgumentError("vectors has 0 rows; wanted at least 1");
  expect_between("the number of vectors", rows.rows, 1, kNoRow - 1);
  expect_between("clusters", params.clusters, 1, rows.rows, ", the number of vectors");
  check_start(params, rows.rows);
  expect_between("samples", params.samples, 1, std::numeric_limits<std::uint32_t>::max());
  if (params.sample_size != 0) {
    expect_between("sample_size", params.sample_size, params.clusters, rows.rows);
  }
  if (params.refine) expect_between("refine", *params.refine, 0, rows.rows);
}

Rows all_rows(std::size_t n) {
  Rows out(n);
  std::iota(out.begin(), out.end(), 0u);
  return out;
}

Rows start(const MedoidPoints& points, const KMedoidsParams& params, const RunOptions& run) {
  switch (params.start) {
    case MedoidStart::kRandom: return random_start(points.size(), params.clusters, params.seed);
    case MedoidStart::kLab: return lab_start(points, params.clusters, params.seed, run);
    case MedoidStart::kGiven: break;
  }
  return {params.first.begin(), params.first.end()};
}

/// In a form that does not depend on the order of the slots.
KMedoidsResult result_of(const Rows& medoids, const TwoNearest& nearest, double loss) {
  KMedoidsResult out;
  Rows order = all_rows(medoids.size());
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return medoids[a] < medoids[b]; });
  Rows place(medoids.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    place[order[i]] = i;
    out.medoids.push_back(medoids[order[i]]);
  }
  out.labels.resize(nearest.slot.size());
  std::transform(nearest.slot.begin(), nearest.slot.end(), out.labels.begin(),
                 [&](std::uint32_t slot) { return place[slot]; });
  out.loss = loss;
  return out;
}

KMedoidsResult by_swaps(const MedoidPoints& points, const KMedoidsParams& params,
                        const RunOptions& run) {
  const Rows first = start(points, params, run);
  Ticker ticker(run, "assigning", points.size());
  EagerSwaps swaps(points, first, assign_rows(points, first, run, ticker), run);
  swaps.improve(all_rows(points.size()), params.iterations);
  KMedoidsResult out = result_of(swaps.medoids(), swaps.nearest(), swaps.loss());
  out.iterations = swaps.passes();
  out.swaps = swaps.swaps();
  out.converged = swaps.converged();
  out.method = MedoidMethod::kFasterPam;
  return out;
}

// ---- Sampling

/// `count` rows in ascending order, so that ties in a sample fall as they do among all rows. With
/// `kept` among them.
Rows draw_rows(std::size_t rows, std::size_t count, const Rows& kept, std::uint64_t seed,
               std::uint64_t stream) {
  Urn urn(rows);
  urn.leave_out(kept);
  Rows out(kept);
  const std::uint32_t* drawn = urn.draw(count - kept.size(), seed, stream);
  out.insert(out.end(), drawn, drawn + (count - kept.size()));
  std::sort(out.begin(), out.end());
  return out;
}

/// Places of `some` among the ascending rows that hold them.
Rows places_of(const Rows& some, const Rows& rows) {
  Rows out;
  for (const std::uint32_t row : some) {
    const auto at = std::lower_bound(rows.begin(), rows.end(), row);
    out.push_back(static_cast<std::uint32_t>(at - rows.begin()));
  }
  return out;
}

KMedoidsResult by_sampling(const MedoidPoints& points, const KMedoidsParams& params,
                           const RunOptions& run) {
  const std::size_t rows = points.size();
  const std::size_t size =
      params.sample_size != 0 ? params.sample_size : std::min(rows, 80 + 4 * params.clusters);
  KMedoidsResult total;
  Rows medoids;
  if (params.start == MedoidStart::kGiven) medoids.assign(params.first.begin(), params.first.end());
  TwoNearest best(0);
  double loss = std::numeric_limits<double>::infinity();
  Meter meter(run, "sampling", std::uint64_t{params.samples} * rows);
  // What happens inside a sample is too short to be told, not too short to be stopped.
  RunOptions inner;
  inner.threads = run.threads;
  for (std::uint32_t sample = 0; sample < params.samples; ++sample) {
    const Rows chosen = draw_rows(rows, size, medoids, params.seed, sample);
    const MedoidPoints part = points.pick(chosen);
    const Rows first = medoids.empty() ? start(part, params, inner) : places_of(medoids, chosen);
    EagerSwaps swaps(part, first, assign_rows(part, first, inner, meter.ticker), inner);
    swaps.improve(all_rows(size), params.iterations, &meter);
    total.iterations += swaps.passes();
    total.swaps += swaps.swaps();
    Rows found;
    for (const std::uint32_t place : swaps.medoids()) found.push_back(chosen[place]);
    TwoNearest nearest = assign_rows(points, found, run, meter.ticker, &meter.done);
    meter.done.store(std::uint64_t{sample + 1} * rows, std::memory_order_relaxed);
    const double found_loss = sum_of(nearest.distance);
    if (sample != 0 && !(found_loss < loss)) continue;
    medoids = std::move(found);
    best = std::move(nearest);
    loss = found_loss;
    total.converged = swaps.converged();
  }
  meter.finish();

  const std::size_t tried = params.refine.value_or(std::min(rows, 2 * size));
  KMedoidsResult out;
  if (tried == 0) {
    out = result_of(medoids, best, loss);
  } else {
    EagerSwaps swaps(points, medoids, std::move(best), run);
    swaps.improve(draw_rows(rows, tried, {}, params.seed, params.samples), params.iterations);
    total.iterations += swaps.passes();
    total.swaps += swaps.swaps();
    total.converged = swaps.converged();
    out = result_of(swaps.medoids(), swaps.nearest(), swaps.loss());
  }
  out.iterations = total.iterations;
  out.swaps = total.swaps;
  out.converged = total.converged;
  out.method = MedoidMethod::kSampling;
  return out;
}

}  // namespace

KMedoidsResult kmedoids(const VectorsView& rows, const KMedoidsParams& params,
                        const RunOptions& run) {
  check(rows, params);
  const MedoidPoints points(rows, params.metric, run);
  const bool whole = params.method == MedoidMethod::kFasterPam ||
                     (params.method == MedoidMethod::kAuto && rows.rows <= kMedoidAutoRows);
  return whole ? by_swaps(points, params, run) : by_sampling(points, params, run);
}

const char* name(MedoidMetric metric) noexcept {
  switch (metric) {
    case MedoidMetric::kL2: return "l2";
    case MedoidMetric::kEuclidean: return "euclidean";
    case MedoidMetric::kInnerProduct: return "ip";
    case MedoidMetric::kCosine: return "cosine";
    case MedoidMetric::kHamming: return "hamming";
    case MedoidMetric::kJaccard: return "jaccard";
  }
  return "unknown";
}

}  // namespace vicinal
