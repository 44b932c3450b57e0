#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/random.h"
#include "quantizers/codec.h"

// Rows through a codec that learns codebooks, and what comes back.
namespace vicinal::test {

/// Rows that vary more along some dimensions than others, around a mean that is not zero: sums of
/// three uniform numbers.
inline std::vector<float> bell_rows(std::size_t n, std::size_t dim, std::uint64_t seed) {
  std::vector<float> rows(n * dim);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    double x = 0;
    for (std::uint64_t part = 0; part < 3; ++part) x += random_unit(seed, part, i) - 0.4;
    rows[i] = static_cast<float>(x / (1 + 0.1 * static_cast<double>(i % dim)));
  }
  return rows;
}

struct Coded {
  std::shared_ptr<const quantizers::Codec> codec;
  std::size_t n;
  Buffer rows;
  std::vector<float> decoded;

  Coded(std::shared_ptr<const quantizers::Codec> by, const std::vector<float>& from)
      : codec(std::move(by)), n(from.size() / codec->dim()) {
    rows = Buffer::allocate(n * codec->stride());
    codec->encode(from.data(), codec->dim(), n, rows.mutable_data());
    decoded.resize(from.size());
    codec->decode(rows.data(), n, decoded.data(), codec->dim());
  }

  const std::byte* row(std::size_t r) const { return rows.data() + r * codec->stride(); }
};

/// Mean squared error per row.
inline double squared_error(const std::vector<float>& a, const std::vector<float>& b,
                            std::size_t rows) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum / static_cast<double>(rows);
}

struct Score {
  double value = 0;
  double magnitude = 0;  ///< of the terms: what rounding is relative to
};

inline Score plain_score(Metric metric, const float* q, const float* y, std::size_t dim) {
  Score score;
  for (std::size_t d = 0; d < dim; ++d) {
    const double difference = double{q[d]} - y[d], product = double{q[d]} * y[d];
    score.value += metric == Metric::kL2 ? difference * difference : -product;
    score.magnitude += metric == Metric::kL2 ? difference * difference : std::fabs(product);
  }
  return score;
}

}  // namespace vicinal::test
