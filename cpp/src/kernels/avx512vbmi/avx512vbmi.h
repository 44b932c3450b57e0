#pragma once

#include "kernels/table.h"

namespace vicinal::kernels::avx512vbmi {

extern const BitKernels bits;

}  // namespace vicinal::kernels::avx512vbmi
