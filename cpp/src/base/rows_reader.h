#pragma once

#include <cstddef>
#include <cstdint>

#include "vicinal/control.h"
#include "vicinal/view.h"

namespace vicinal {

/// Rows [begin, end) as float32, dense, `out_stride` floats apart (>= view.cols; the rest is left
/// alone).
void read_rows(const VectorsView& view, std::size_t begin, std::size_t end, float* out,
               std::size_t out_stride);

/// The rows themselves if they are float32, C-contiguous and 4-byte aligned, else nullptr.
const float* plain_floats(const VectorsView& view) noexcept;

/// Throws ArgumentError naming `array`, the first bad row and column and the value: NaN, infinity,
/// magnitude beyond float32 range, and, if `unit`, a row whose norm is zero (cosine has no
/// direction for it).
void check_rows(const VectorsView& view, const char* array, bool unit, const RunOptions& run);

/// Scales n dense rows (stride floats apart) to length 1; none is zero.
void normalize_rows(float* rows, std::size_t n, std::size_t dim, std::size_t stride);

}  // namespace vicinal
