#pragma once

#include <cstddef>
#include <cstdint>

#include "vicinal/view.h"

namespace vicinal::clustering {

/// The rows of a call, or some of them, as dense floats; of length 1 if `unit`.
class Rows {
 public:
  Rows(const VectorsView& view, bool unit);
  /// Only the rows ids[0..count), which must outlive this.
  Rows(const Rows& all, const std::uint32_t* ids, std::size_t count);

  std::size_t count() const noexcept { return count_; }
  std::size_t dim() const noexcept { return view_.cols; }
  /// All rows, where they lie already as they are wanted, or null.
  const float* plain() const noexcept { return plain_; }
  /// Rows [begin, end) side by side: in place, or written to `out`.
  const float* read(std::size_t begin, std::size_t end, float* out) const;

 private:
  VectorsView view_;
  bool unit_;
  const float* plain_;
  const std::uint32_t* ids_ = nullptr;
  std::size_t count_;
};

/// In double, eight sums side by side: exact enough to subtract from one another.
double squared_length(const float* x, std::size_t dim);
double dot(const float* a, const float* b, std::size_t dim);

}  // namespace vicinal::clustering
