#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "vicinal/flat.h"

namespace vicinal::test {

/// Dense rows, and what is asked of them.
struct Matrix {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<float> values;

  MatrixView<const float> view() const { return {values.data(), rows, cols}; }
  const float* row(std::size_t r) const { return values.data() + r * cols; }
};

/// Whole numbers in [low, low + spread): every codec holds them, float arithmetic on them is exact,
/// and distances tie often.
inline Matrix whole_numbers(std::size_t rows, std::size_t cols, std::uint64_t seed, int low,
                            unsigned spread) {
  Matrix m{rows, cols, std::vector<float>(rows * cols)};
  for (std::size_t i = 0; i < m.values.size(); ++i) {
    m.values[i] = static_cast<float>(low + static_cast<int>(random_below(spread, seed, 1, i)));
  }
  return m;
}

/// Rows about a few centres, some of them repeated, so that near and exact ties occur.
inline Matrix clustered(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix m{rows, cols, std::vector<float>(rows * cols)};
  for (std::size_t r = 0; r < rows; ++r) {
    const std::uint64_t centre = random_below(9, seed, 2, r);
    const std::uint64_t twin = r % 7 == 6 ? r - 1 : r;
    for (std::size_t c = 0; c < cols; ++c) {
      const double middle = random_unit(seed, 100 + centre, c) * 4 - 2;
      m.values[r * cols + c] =
          static_cast<float>(middle + (random_unit(seed, 3, twin * cols + c) - 0.5) * 0.3);
    }
  }
  return m;
}

struct Answers {
  std::size_t k = 0;
  std::vector<std::int64_t> ids;
  std::vector<float> distances;

  bool operator==(const Answers& other) const {
    return ids == other.ids && distances == other.distances;
  }
};

inline Answers search(const FlatIndex& index, const VectorsView& queries, std::size_t k,
                      const Allowed& allowed = {}, unsigned threads = 1) {
  Answers out{k, std::vector<std::int64_t>(queries.rows * k), std::vector<float>(queries.rows * k)};
  RunOptions run;
  run.threads = threads;
  index.search(queries, {out.ids.data(), queries.rows, k}, {out.distances.data(), queries.rows, k},
               allowed, run);
  return out;
}

/// The same, a query at a time.
inline Answers search_singly(const FlatIndex& index, const Matrix& queries, std::size_t k,
                             const Allowed& allowed = {}) {
  Answers out{k, {}, {}};
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const Answers one =
        search(index, MatrixView<const float>(queries.row(q), 1, queries.cols), k, allowed);
    out.ids.insert(out.ids.end(), one.ids.begin(), one.ids.end());
    out.distances.insert(out.distances.end(), one.distances.begin(), one.distances.end());
  }
  return out;
}

/// In double, from the definition.
inline double distance(Metric metric, const float* q, const float* x, std::size_t dim) {
  double squares = 0.0, dot = 0.0, q2 = 0.0, x2 = 0.0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double a = q[i], b = x[i];
    squares += (a - b) * (a - b);
    dot += a * b;
    q2 += a * a;
    x2 += b * b;
  }
  switch (metric) {
    case Metric::kL2: return squares;
    case Metric::kInnerProduct: return -dot;
    case Metric::kCosine: return 1.0 - dot / std::sqrt(q2 * x2);
  }
  return 0.0;
}

/// Everything, nearest first, ties by smaller id.
inline std::vector<std::pair<double, std::int64_t>> exhaustive(
    Metric metric, const float* query, const Matrix& rows, const std::vector<std::int64_t>& ids) {
  std::vector<std::pair<double, std::int64_t>> all;
  for (std::size_t r = 0; r < rows.rows; ++r)
    all.emplace_back(distance(metric, query, rows.row(r), rows.cols), ids[r]);
  std::sort(all.begin(), all.end());
  return all;
}

/// Every row of the index as it is stored, with its id.
inline Matrix stored(const FlatIndex& index, std::vector<std::int64_t>& ids) {
  ids = index.ids();
  Matrix m{ids.size(), index.dim(), std::vector<float>(ids.size() * index.dim())};
  for (std::size_t r = 0; r < ids.size(); ++r) index.get(ids[r], m.values.data() + r * m.cols);
  return m;
}

inline std::string label(CodecKind codec, Metric metric) {
  return std::string(name(codec)) + " " + name(metric);
}

constexpr CodecKind kFlatCodecs[] = {CodecKind::kFloat32, CodecKind::kFloat16, CodecKind::kInt8,
                                     CodecKind::kUint8, CodecKind::kSq8};
constexpr Metric kMetrics[] = {Metric::kL2, Metric::kInnerProduct, Metric::kCosine};

inline bool holds(CodecKind codec, Metric metric) {
  return metric != Metric::kCosine || (codec != CodecKind::kInt8 && codec != CodecKind::kUint8);
}

}  // namespace vicinal::test
