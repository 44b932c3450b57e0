#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "vicinal/view.h"

namespace vicinal::test {

/// Rows of a test; seeded.
struct Points {
  std::vector<float> values;
  std::size_t dim;

  std::size_t rows() const { return values.size() / dim; }
  const float* row(std::size_t i) const { return values.data() + i * dim; }
  MatrixView<const float> view() const { return {values.data(), rows(), dim}; }
};

inline float uniform(std::mt19937_64& random) {
  return static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f;
}

/// Uniform in [-1, 1).
inline Points uniform_points(std::size_t rows, std::size_t dim, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Points points{std::vector<float>(rows * dim), dim};
  for (float& x : points.values) x = uniform(random);
  return points;
}

/// Around `centres` random places, `spread` on each side; later dimensions vary less.
inline Points grouped_points(std::size_t rows, std::size_t dim, std::size_t centres, float spread,
                             std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const Points places = uniform_points(centres, dim, seed + 1);
  Points points{std::vector<float>(rows * dim), dim};
  for (std::size_t i = 0; i < rows; ++i) {
    const float* place = places.row(random() % centres);
    for (std::size_t d = 0; d < dim; ++d) {
      const float scale = 1.0f / (1.0f + 0.1f * static_cast<float>(d));
      points.values[i * dim + d] = scale * (place[d] + spread * uniform(random));
    }
  }
  return points;
}

inline double squared_distance(const float* a, const double* b, std::size_t dim) {
  double sum = 0.0;
  for (std::size_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

/// Lloyd's algorithm in plain double: what kmeans() must reach from the same start.
struct Plain {
  std::vector<double> centroids;
  std::vector<std::uint32_t> labels;
  double objective = 0.0;
};

inline Plain plain_lloyd(const Points& points, const std::vector<float>& start,
                         std::size_t iterations) {
  const std::size_t dim = points.dim;
  const std::size_t k = start.size() / dim;
  Plain plain{{start.begin(), start.end()}, std::vector<std::uint32_t>(points.rows()), 0.0};
  for (std::size_t iteration = 0;; ++iteration) {
    plain.objective = 0.0;
    for (std::size_t i = 0; i < points.rows(); ++i) {
      double best = std::numeric_limits<double>::infinity();
      for (std::size_t c = 0; c < k; ++c) {
        const double d = squared_distance(points.row(i), plain.centroids.data() + c * dim, dim);
        if (d < best) {
          best = d;
          plain.labels[i] = static_cast<std::uint32_t>(c);
        }
      }
      plain.objective += best;
    }
    if (iteration == iterations) return plain;
    std::vector<double> sums(k * dim, 0.0);
    std::vector<double> sizes(k, 0.0);
    for (std::size_t i = 0; i < points.rows(); ++i) {
      const std::size_t c = plain.labels[i];
      sizes[c] += 1.0;
      for (std::size_t d = 0; d < dim; ++d) sums[c * dim + d] += points.row(i)[d];
    }
    for (std::size_t c = 0; c < k; ++c) {
      for (std::size_t d = 0; d < dim && sizes[c] > 0.0; ++d) {
        plain.centroids[c * dim + d] = sums[c * dim + d] / sizes[c];
      }
    }
  }
}

/// Sum of squared distances, each row to the centroid of its label.
inline double objective_of(const Points& points, const std::vector<float>& centroids,
                           const std::vector<std::uint32_t>& labels) {
  const std::vector<double> exact(centroids.begin(), centroids.end());
  double sum = 0.0;
  for (std::size_t i = 0; i < points.rows(); ++i) {
    sum += squared_distance(points.row(i), exact.data() + labels[i] * points.dim, points.dim);
  }
  return sum;
}

}  // namespace vicinal::test
