#pragma once

#include "kernels/adc.h"
#include "kernels/packed_bits.h"
#include "kernels/table.h"

namespace vicinal::kernels::scalar {

extern const RowKernels f32, f16, bf16, i8, u8, sq8, sq4, sq8_int, sq4_int;
extern const TileKernel tile;
extern const MatrixKernels matrix;
extern const BitKernels bits;
extern const LookupKernels lookup;
extern const AdcKernels adc;
extern const PackedKernels packed_codes;

void byte_products(const std::int8_t* queries, std::size_t query_stride, std::size_t n_queries,
                   const std::uint8_t* rows, std::size_t row_stride, std::size_t n_rows,
                   std::size_t bytes, std::int32_t* out, std::size_t out_stride) noexcept;

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept;
void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t bytes) noexcept;

}  // namespace vicinal::kernels::scalar
