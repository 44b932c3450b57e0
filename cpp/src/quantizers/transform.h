#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "kernels/table.h"
#include "quantizers/fast_rotation.h"
#include "vicinal/transform.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::quantizers {

/// A matrix in panels of rows, as MatrixKernels::products takes the smaller side.
class PanelMatrix {
 public:
  PanelMatrix() = default;
  explicit PanelMatrix(MatrixView<const float> values);

  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }
  PanelMatrix transposed() const;
  std::vector<float> values() const;  ///< row by row

  /// out[r] = this * (in[r] - offset) for n inputs; strides in floats. No offset if null. The sums
  /// of an input do not depend on the inputs beside it.
  void multiply(const float* in, std::size_t in_stride, std::size_t n, const float* offset,
                float* out, std::size_t out_stride) const;

 private:
  std::size_t panel_rows() const noexcept;

  const kernels::Table* table_ = nullptr;  // whose panels these are
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  Buffer panels_;
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
  std::shared_ptr<const quantizers::PanelMatrix> data;
  std::shared_ptr<const quantizers::PanelMatrix> query;  ///< the same object where A = B
  quantizers::PanelMatrix back;                          ///< B^T
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
  /// The same bits for n queries that follow one another, in less time. Returns the first whose
  /// image float32 cannot hold; n if there is none.
  std::size_t map_queries(const float* from, std::size_t n, Metric metric, float* to,
                          float* shifts) const;
  void map_back(const float* rows, std::size_t in_stride, std::size_t n, float* to,
                std::size_t to_stride) const;
};

}  // namespace vicinal
