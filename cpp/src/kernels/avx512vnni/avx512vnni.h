#pragma once

#include "kernels/packed_bits.h"
#include "kernels/table.h"

namespace vicinal::kernels::avx512vnni {

extern const RowKernels i8, u8, sq8_int, sq4_int;
extern const PackedKernels packed_codes;

}  // namespace vicinal::kernels::avx512vnni
