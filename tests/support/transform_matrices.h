#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace vicinal::test {

/// Matrices in double, row-major, and what a transform should do with them.
struct Matrix {
  std::size_t rows, cols;
  std::vector<double> values;

  Matrix(std::size_t rows_, std::size_t cols_) : rows(rows_), cols(cols_), values(rows_ * cols_) {}
  double& at(std::size_t r, std::size_t c) { return values[r * cols + c]; }
  double at(std::size_t r, std::size_t c) const { return values[r * cols + c]; }
  std::vector<float> floats() const { return {values.begin(), values.end()}; }
};

inline std::vector<float> random_floats(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f;
  return out;
}

/// The first `rows` rows and `cols` columns of a reflection of `dim` dimensions: its rows and
/// columns are orthonormal while none of the other side is left out.
inline Matrix reflection(std::size_t dim, std::size_t rows, std::size_t cols, std::uint64_t seed) {
  const std::vector<float> v = random_floats(dim, seed);
  double length = 0;
  for (const float x : v) length += static_cast<double>(x) * x;
  Matrix out(rows, cols);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      out.at(r, c) = (r == c ? 1.0 : 0.0) - 2.0 * v[r] * v[c] / length;
    }
  }
  return out;
}

/// Lower triangle with a diagonal between 1 and 2, small beside it, and the transpose of its
/// inverse.
struct Pair {
  Matrix data, query;
};
inline Pair triangular(std::size_t dim, std::uint64_t seed) {
  const std::vector<float> random = random_floats(dim * dim, seed);
  Matrix a(dim, dim), inverse(dim, dim), query(dim, dim);
  for (std::size_t r = 0; r < dim; ++r) {
    for (std::size_t c = 0; c < r; ++c) a.at(r, c) = random[r * dim + c] / static_cast<double>(dim);
    a.at(r, r) = 1.5 + 0.5 * random[r * dim + r];
  }
  for (std::size_t c = 0; c < dim; ++c) {  // forward substitution, column by column
    for (std::size_t r = c; r < dim; ++r) {
      double rest = r == c ? 1.0 : 0.0;
      for (std::size_t k = c; k < r; ++k) rest -= a.at(r, k) * inverse.at(k, c);
      inverse.at(r, c) = rest / a.at(r, r);
      query.at(c, r) = inverse.at(r, c);
    }
  }
  return {a, query};
}

}  // namespace vicinal::test
