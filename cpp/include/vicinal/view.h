#pragma once

#include <cassert>
#include <cstddef>

#include "vicinal/types.h"

namespace vicinal {

/// Row-major rows without gaps. Does not own.
template <class T>
class MatrixView {
 public:
  MatrixView() = default;
  MatrixView(T* data, std::size_t rows, std::size_t cols) : data_(data), rows_(rows), cols_(cols) {}

  T* data() const noexcept { return data_; }
  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }
  T* row(std::size_t r) const noexcept {
    assert(r < rows_);
    return data_ + r * cols_;
  }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

/// Numbers of any supported type at any strides, as numpy lays them out. Does not own.
struct VectorsView {
  const void* data = nullptr;
  ElementType type = ElementType::kFloat32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::ptrdiff_t row_stride = 0;  ///< bytes; may be negative or zero
  std::ptrdiff_t col_stride = 0;  ///< bytes

  VectorsView() = default;
  VectorsView(const void* data_, ElementType type_, std::size_t rows_, std::size_t cols_,
              std::ptrdiff_t row_stride_, std::ptrdiff_t col_stride_)
      : data(data_), type(type_), rows(rows_), cols(cols_), row_stride(row_stride_),
        col_stride(col_stride_) {}
  /// Plain float rows without gaps.
  VectorsView(MatrixView<const float> m)  // NOLINT: a widening, meant to be implicit
      : VectorsView(m.data(), ElementType::kFloat32, m.rows(), m.cols(),
                    static_cast<std::ptrdiff_t>(m.cols() * sizeof(float)), sizeof(float)) {}
};

}  // namespace vicinal
