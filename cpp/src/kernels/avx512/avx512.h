#pragma once

#include "kernels/table.h"

namespace vicinal::kernels::avx512 {

extern const RowKernels f32, f16, bf16, sq8, sq4;
extern const TileKernel tile;
extern const MatrixKernels matrix;

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept;
void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept;

}  // namespace vicinal::kernels::avx512
