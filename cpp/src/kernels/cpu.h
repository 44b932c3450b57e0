#pragma once

#include <cstdint>
#include <string>

namespace vicinal::kernels {

/// Single CPUID features, each counted only if the operating system also saves its registers.
enum CpuBit : std::uint64_t {
  kAvx2 = 1u << 0,
  kFma = 1u << 1,
  kF16c = 1u << 2,
  kSse42 = 1u << 3,
  kPopcnt = 1u << 4,
  kAvx512f = 1u << 5,
  kAvx512bw = 1u << 6,
  kAvx512dq = 1u << 7,
  kAvx512vl = 1u << 8,
  kAvx512vnni = 1u << 9,
  kAvx512vbmi = 1u << 10,
  kAvx512bitalg = 1u << 11,
  kAvx512vpopcntdq = 1u << 12,
};

std::uint64_t cpu_bits() noexcept;
std::string cpu_brand();
const char* cpu_bit_name(CpuBit bit) noexcept;

}  // namespace vicinal::kernels
