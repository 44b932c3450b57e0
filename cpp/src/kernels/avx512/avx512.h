#pragma once

#include "kernels/adc.h"
#include "kernels/table.h"

namespace vicinal::kernels::avx512 {

extern const RowKernels f32, f16, bf16, sq8, sq4;
extern const TileKernel tile;
extern const MatrixKernels matrix;
extern const LookupKernels lookup;
extern const AdcKernels adc;

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept;
void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
// Of lookup; the wider level names them.
void affine(const std::uint32_t* sums, const float* add, const float* mul, float scale,
            float offset, std::size_t n, float* out) noexcept;
void shift(float* scores, const float* add, float factor, float offset, float least,
           std::size_t n) noexcept;
void steps(const float* tables, float inverse, std::size_t nibbles, std::uint8_t* out) noexcept;

}  // namespace vicinal::kernels::avx512
