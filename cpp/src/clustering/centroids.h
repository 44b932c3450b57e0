#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "vicinal/types.h"

namespace vicinal::clustering {

/// Centroids as the kernels want them: rows padded with zeros to whole lines, and a bias each.
/// The score bias - <x, c> ranks them for x: it is -<x, c>, or half of (|x - c|^2 - |x|^2) under
/// L2, where x and c are counted from the middle of the centroids: far from zero, floats would
/// lose what tells one centroid from another.
class Centroids {
 public:
  Centroids(std::size_t count, std::size_t dim, Metric metric);

  std::size_t count() const noexcept { return count_; }
  std::size_t dim() const noexcept { return dim_; }
  std::size_t stride() const noexcept { return stride_; }  ///< floats
  Metric metric() const noexcept { return metric_; }
  bool l2() const noexcept { return metric_ == Metric::kL2; }

  const float* row(std::size_t c) const noexcept { return data() + c * stride_; }
  float* mutable_row(std::size_t c) noexcept {
    return reinterpret_cast<float*>(rows_.mutable_data()) + c * stride_;
  }
  const float* bias() const noexcept { return bias_.data(); }
  /// What rows are less before they are compared with compared(c), dim floats; null: nothing.
  const float* origin() const noexcept { return l2() ? origin_.data() : nullptr; }
  const float* compared(std::size_t c) const noexcept {
    return l2() ? reinterpret_cast<const float*>(moved_.data()) + c * stride_ : row(c);
  }
  /// Rows that stay in the second cache beside a few panels; a multiple of what the kernel takes.
  std::size_t block() const noexcept { return block_; }

  /// count x dim floats without gaps.
  void read(const float* from);
  void write(float* to) const;
  /// After rows have changed: spherical ones to length 1, and all biases. penalty: count of them,
  /// added to the biases, or null.
  void settle(const double* penalty = nullptr);

 private:
  const float* data() const noexcept { return reinterpret_cast<const float*>(rows_.data()); }

  std::size_t count_;
  std::size_t dim_;
  std::size_t stride_;
  std::size_t block_;
  Metric metric_;
  Buffer rows_;
  Buffer moved_;               // L2: rows less the origin
  std::vector<float> origin_;  // L2: the mean of the rows, when settled
  std::vector<float> bias_;
};

/// What one worker needs to compare rows with centroids.
struct Scratch {
  std::vector<float> panels;
  std::vector<float> scores;
  std::vector<float> row;
  std::vector<std::uint32_t> ids;
};

/// The nearest centroid of each of n dense rows, ties to the smaller number; scores may be null.
void nearest(const float* rows, std::size_t n, const Centroids& centroids, Scratch& scratch,
             std::uint32_t* labels, float* scores);

/// The `several` nearest of each, nearest first by score and number: n x several. Places beyond the
/// number of centroids hold kNoRow and infinity.
void nearest_several(const float* rows, std::size_t n, const Centroids& centroids,
                     std::size_t several, Scratch& scratch, std::uint32_t* labels, float* scores);

/// The scores of all centroids for each of n dense rows, out[row * count + centroid].
void all_scores(const float* rows, std::size_t n, const Centroids& centroids, Scratch& scratch,
                float* out);

/// <row i of a, row j of b> into out[i * out_stride + j]; rows without gaps.
void inner_products(const float* a, std::size_t a_rows, const float* b, std::size_t b_rows,
                    std::size_t dim, float* out, std::size_t out_stride);

}  // namespace vicinal::clustering
