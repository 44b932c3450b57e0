#pragma once

#include "kernels/table.h"

namespace vicinal::kernels::avx512vnni {

extern const RowKernels i8, u8, sq8_int, sq4_int;

}  // namespace vicinal::kernels::avx512vnni
