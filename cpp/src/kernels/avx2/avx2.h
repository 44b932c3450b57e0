#pragma once

#include "kernels/adc.h"
#include "kernels/packed_bits.h"
#include "kernels/table.h"

namespace vicinal::kernels::avx2 {

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

// Writing float32 is all that decoding does; the wider levels name these.
using DecodeRows = void(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                        float* out, std::size_t out_stride) noexcept;
DecodeRows decode_f32, decode_f16, decode_bf16, decode_i8, decode_u8, decode_sq8, decode_sq4;

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept;
void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept;
std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t bytes) noexcept;
// Of lookup; the wider levels name it.
float widest(const float* tables, std::size_t nibbles, std::uint8_t* least) noexcept;

}  // namespace vicinal::kernels::avx2
