#include "kernels/cpu.h"

#if defined(__x86_64__) || defined(_M_X64)
#define VICINAL_HAS_CPUID 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace vicinal::kernels {

#if defined(VICINAL_HAS_CPUID)
namespace {

struct Leaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(std::uint32_t leaf, std::uint32_t sub = 0) noexcept {
  Leaf r;
#if defined(_MSC_VER)
  int regs[4];
  __cpuid(regs, static_cast<int>(leaf & 0x80000000u));
  if (static_cast<std::uint32_t>(regs[0]) < leaf) return r;
  __cpuidex(regs, static_cast<int>(leaf), static_cast<int>(sub));
  r.eax = static_cast<std::uint32_t>(regs[0]);
  r.ebx = static_cast<std::uint32_t>(regs[1]);
  r.ecx = static_cast<std::uint32_t>(regs[2]);
  r.edx = static_cast<std::uint32_t>(regs[3]);
#else
  __get_cpuid_count(leaf, sub, &r.eax, &r.ebx, &r.ecx, &r.edx);  // leaves zeros if unknown
#endif
  return r;
}

std::uint64_t enabled_state() noexcept {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  std::uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
#endif
}

constexpr bool bit(std::uint32_t word, unsigned n) noexcept { return (word >> n & 1u) != 0; }

}  // namespace

std::uint64_t cpu_bits() noexcept {
  const Leaf one = cpuid(1);
  const Leaf seven = cpuid(7);
  std::uint64_t bits = 0;
  if (bit(one.ecx, 20)) bits |= kSse42;
  if (bit(one.ecx, 23)) bits |= kPopcnt;
  if (!bit(one.ecx, 27)) return bits;  // no OSXSAVE: the system saves no wide registers
  const std::uint64_t state = enabled_state();
  if ((state & 0x06) != 0x06) return bits;
  if (bit(one.ecx, 12)) bits |= kFma;
  if (bit(one.ecx, 29)) bits |= kF16c;
  if (bit(seven.ebx, 5)) bits |= kAvx2;
  if ((state & 0xE6) != 0xE6) return bits;
  if (bit(seven.ebx, 16)) bits |= kAvx512f;
  if (bit(seven.ebx, 17)) bits |= kAvx512dq;
  if (bit(seven.ebx, 30)) bits |= kAvx512bw;
  if (bit(seven.ebx, 31)) bits |= kAvx512vl;
  if (bit(seven.ecx, 11)) bits |= kAvx512vnni;
  if (bit(seven.ecx, 1)) bits |= kAvx512vbmi;
  if (bit(seven.ecx, 12)) bits |= kAvx512bitalg;
  if (bit(seven.ecx, 14)) bits |= kAvx512vpopcntdq;
  return bits;
}

std::string cpu_brand() {
  std::string brand;
  for (std::uint32_t leaf = 0x80000002u; leaf <= 0x80000004u; ++leaf) {
    const Leaf r = cpuid(leaf);
    for (const std::uint32_t word : {r.eax, r.ebx, r.ecx, r.edx}) {
      for (unsigned shift = 0; shift < 32; shift += 8) {
        const char c = static_cast<char>(word >> shift & 0xFF);
        if (c != '\0') brand += c;
      }
    }
  }
  const std::size_t first = brand.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return brand.substr(first, brand.find_last_not_of(' ') - first + 1);
}

#else

std::uint64_t cpu_bits() noexcept { return 0; }
std::string cpu_brand() { return {}; }

#endif

const char* cpu_bit_name(CpuBit bit) noexcept {
  switch (bit) {
    case kAvx2: return "avx2";
    case kFma: return "fma";
    case kF16c: return "f16c";
    case kSse42: return "sse4.2";
    case kPopcnt: return "popcnt";
    case kAvx512f: return "avx512f";
    case kAvx512bw: return "avx512bw";
    case kAvx512dq: return "avx512dq";
    case kAvx512vl: return "avx512vl";
    case kAvx512vnni: return "avx512vnni";
    case kAvx512vbmi: return "avx512vbmi";
    case kAvx512bitalg: return "avx512bitalg";
    case kAvx512vpopcntdq: return "avx512vpopcntdq";
  }
  return "";
}

}  // namespace vicinal::kernels
