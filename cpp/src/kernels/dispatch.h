#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace vicinal::kernels {

/// The best level that a CPU with these bits can run, or the one called `wanted` (null or empty:
/// no wish). Throws ConfigError if there is no such level or the CPU lacks one of its bits.
const Table& choose(const char* wanted, std::uint64_t bits);

}  // namespace vicinal::kernels
