#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace vicinal::kernels {

/// The arithmetic of TileKernel without its buffers. Panels are packed by TileKernel::pack of the
/// same level, TileKernel::queries wide. Each product is summed over the dimensions in order, one
/// fused step each (one multiplication and one subtraction at the level "scalar"), so it does not
/// depend on the rows or queries beside it.
struct MatrixKernels {
  /// score[q][r] = bias[r] - <query q, row r>. Lowers best[q] to the least score of the n rows, and
  /// sets which[q] to first_id + r of it, where that is less than best[q]. Equal scores: the
  /// smaller r. best and which have TileKernel::queries places, filled by the caller beforehand.
  /// NaN never wins.
  void (*nearest)(const float* panel, const float* rows, std::size_t stride, std::size_t n,
                  std::size_t dim, const float* bias, std::uint32_t first_id, float* best,
                  std::uint32_t* which) noexcept;
  /// out[r * TileKernel::queries + q] = <query q, row r>.
  void (*products)(const float* panel, const float* rows, std::size_t stride, std::size_t n,
                   std::size_t dim, float* out) noexcept;
};

}  // namespace vicinal::kernels
