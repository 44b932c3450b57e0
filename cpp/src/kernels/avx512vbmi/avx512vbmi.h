#pragma once

#include "kernels/table.h"

namespace vicinal::kernels::avx512vbmi {

extern const BitKernels bits;
extern const LookupKernels lookup;

}  // namespace vicinal::kernels::avx512vbmi
