#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "indexes/flat_data.h"
#include "vicinal/hnsw.h"

namespace vicinal::test {

inline Answers search(const HnswIndex& index, const VectorsView& queries, std::size_t k,
                      std::uint32_t ef, const Allowed& allowed = {}, unsigned threads = 1,
                      HnswStats* stats = nullptr, float slack = HnswSearch::kNoSlack) {
  Answers out{k, std::vector<std::int64_t>(queries.rows * k), std::vector<float>(queries.rows * k)};
  RunOptions run;
  run.threads = threads;
  HnswSearch how;
  how.ef = ef;
  how.allowed = allowed;
  how.slack = slack;
  index.search(queries, how, {out.ids.data(), queries.rows, k},
               {out.distances.data(), queries.rows, k}, run, stats);
  return out;
}

/// The share of the true k nearest (by distance, so that ties count) that were found.
inline double recall(const Answers& found, Metric metric, const Matrix& queries, const Matrix& rows,
                     const std::vector<std::int64_t>& ids) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const auto truth = exhaustive(metric, queries.row(q), rows, ids);
    const double last = truth[std::min(found.k, truth.size()) - 1].first;
    std::set<std::int64_t> good;
    for (const auto& [distance, id] : truth) {
      if (distance <= last + 1e-6 * (1 + std::abs(last))) good.insert(id);
    }
    for (std::size_t i = 0; i < found.k; ++i) hits += good.count(found.ids[q * found.k + i]);
  }
  return static_cast<double>(hits) / static_cast<double>(queries.rows * found.k);
}

inline std::vector<std::int64_t> counted(std::size_t n, std::int64_t from = 0) {
  std::vector<std::int64_t> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = from + static_cast<std::int64_t>(i);
  return ids;
}

/// Smooth random rows without repeats: what a graph is good at.
inline Matrix spread(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix m{rows, cols, std::vector<float>(rows * cols)};
  for (std::size_t r = 0; r < rows; ++r) {
    const std::uint64_t centre = random_below(20, seed, 2, r);
    for (std::size_t c = 0; c < cols; ++c) {
      m.values[r * cols + c] = static_cast<float>(random_unit(7, 100 + centre, c) * 2 - 1 +
                                                  random_unit(seed, 3, r * cols + c) - 0.5);
    }
  }
  return m;
}

}  // namespace vicinal::test
