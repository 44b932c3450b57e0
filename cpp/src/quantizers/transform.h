#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "quantizers/fast_rotation.h"
#include "vicinal/transform.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::quantizers {

/// A matrix whose rows lie as kernels read them: 64-byte aligned, zero between their end and the
/// next row.
class PaddedMatrix {
 public:
  PaddedMatrix() = default;
  explicit PaddedMatrix(MatrixView<const float> values);

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }
  std::size_t stride() const noexcept { return stride_; }  ///< floats
  const float* row(std::size_t r) const noexcept;
  PaddedMatrix transposed() const;
  std::vector<float> values() const;

  /// out[r] = this * (in[r] - offset) for n inputs; strides in floats. No offset if null. The sums
  /// of a row do not depend on the rows beside it.
  void multiply(const float* in, std::size_t in_stride, std::size_t n, const float* offset,
                float* out, std::size_t out_stride) const;

 private:
  PaddedMatrix(std::size_t rows, std::size_t cols);

  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t stride_ = 0;
  Buffer data_;
};

/// Whether n numbers are all neither NaN nor infinite.
bool all_finite(const float* values, std::size_t n) noexcept;

}  // namespace vicinal::quantizers

namespace vicinal {

/// Rows without checks, on the calling thread.
struct Transform::Impl {
  std::size_t in = 0;
  std::size_t out = 0;
  std::unique_ptr<const quantizers::FastRotation> fast;  ///< then there are no matrices, no offset
  std::uint64_t seed = 0;
  std::shared_ptr<const quantizers::PaddedMatrix> data;
  std::shared_ptr<const quantizers::PaddedMatrix> query;  ///< the same object where A = B
  quantizers::PaddedMatrix back;                          ///< B^T
  std::vector<float> offset;                              ///< empty for zeros
  bool identity = false;                                  ///< B^T A = 1
  bool consistent = false;  ///< A B^T = 1: transforming what y stands for gives y again

  bool same() const noexcept { return data == query; }
  const float* shift_by() const noexcept { return offset.empty() ? nullptr : offset.data(); }

  /// Returns the first row whose image float32 cannot hold; n if there is none.
  std::size_t map_data(const float* rows, std::size_t in_stride, std::size_t n, float* to,
                       std::size_t to_stride) const;
  /// False if float32 cannot hold the image. shift: to be added to scores of this query.
  bool map_query(const float* from, Metric metric, float* to, float* shift) const;
  void map_back(const float* rows, std::size_t in_stride, std::size_t n, float* to,
                std::size_t to_stride) const;
};

}  // namespace vicinal
