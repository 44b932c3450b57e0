#pragma once

#include "kernels/packed_bits.h"
#include "kernels/table.h"

namespace vicinal::kernels::avx512vnni {

extern const RowKernels i8, u8, sq8_int, sq4_int;
extern const PackedKernels packed_codes;

void byte_products(const std::int8_t* queries, std::size_t query_stride, std::size_t n_queries,
                   const std::uint8_t* rows, std::size_t row_stride, std::size_t n_rows,
                   std::size_t bytes, std::int32_t* out, std::size_t out_stride) noexcept;

}  // namespace vicinal::kernels::avx512vnni
