#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace vicinal::test {

/// n x dim numbers of a standard normal distribution, the same with every standard library.
inline std::vector<float> normal_vectors(std::size_t n, std::size_t dim, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto unit = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53; };
  std::vector<float> out(n * dim);
  for (float& x : out) {
    const double radius = std::sqrt(-2 * std::log(unit()));
    x = static_cast<float>(radius * std::cos(6.283185307179586 * unit()));
  }
  return out;
}

inline double dot_of(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) sum += double{a[d]} * b[d];
  return sum;
}

inline double squared_distance_of(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) sum += (double{a[d]} - b[d]) * (double{a[d]} - b[d]);
  return sum;
}

}  // namespace vicinal::test
