#include "kernels/dispatch.h"

#include <cstdlib>
#include <string>

#include "kernels/cpu.h"
#include "kernels/scalar/scalar.h"
#if defined(VICINAL_X86_64)
#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512vbmi/avx512vbmi.h"
#include "kernels/avx512vnni/avx512vnni.h"
#endif
#include "vicinal/cpu.h"
#include "vicinal/errors.h"

namespace vicinal::kernels {
namespace {

constexpr CpuBit kAllBits[] = {kAvx2,    kFma,     kF16c,     kSse42,    kPopcnt,
                               kAvx512f, kAvx512bw, kAvx512dq, kAvx512vl, kAvx512vnni,
                               kAvx512vbmi, kAvx512bitalg, kAvx512vpopcntdq};

#if defined(VICINAL_X86_64)
constexpr std::uint64_t kAvx2Bits = kAvx2 | kFma | kF16c | kSse42 | kPopcnt;
constexpr std::uint64_t kAvx512Bits = kAvx2Bits | kAvx512f | kAvx512bw | kAvx512dq | kAvx512vl;
constexpr std::uint64_t kVnniBits = kAvx512Bits | kAvx512vnni;
constexpr std::uint64_t kVbmiBits = kVnniBits | kAvx512vbmi | kAvx512bitalg | kAvx512vpopcntdq;
#endif

// Best first; the first one this CPU can run wins. A row names a narrower function where the wide
// one does not pay. Zen 4, rows of 784 dimensions in the first cache, ns a row, 512 against 256
// bits: f32 scan 39/42, gather 33/34; f16 scan 34/44, gather 33/28 (equal from memory; scan and
// gather must agree in every bit, so they stay together); bf16 scan 35/49, gather 32/38; i8 20/29,
// 15/18; sq8 34/48, 30/36; sq8 integer 11/22, 9/16; sq4 integer 12/12, 10/10.5 (128 dimensions:
// 3.2/2.9, 2.6/2.8). Bits without a popcount instruction for registers go by 256-bit look-ups.
const Table kTables[] = {
#if defined(VICINAL_X86_64)
    {"avx512vbmi",
     kVbmiBits,
     {&avx512::f32, &avx512::f16, &avx512::bf16, &avx512vnni::i8, &avx512vnni::u8, &avx512::sq8,
      &avx512::sq4, &avx512vnni::sq8_int, &avx512vnni::sq4_int},
     &avx512::tile,
     avx512::below,
     avx512::to_f16,
     avx512::to_bf16,
     avx2::crc32c,
     &avx512vbmi::bits,
     &avx512vbmi::lookup,
     &avx512::matrix,
     &avx512::adc,
     &avx512vnni::packed_codes,
     avx512vnni::byte_products},
    {"avx512vnni",
     kVnniBits,
     {&avx512::f32, &avx512::f16, &avx512::bf16, &avx512vnni::i8, &avx512vnni::u8, &avx512::sq8,
      &avx512::sq4, &avx512vnni::sq8_int, &avx512vnni::sq4_int},
     &avx512::tile,
     avx512::below,
     avx512::to_f16,
     avx512::to_bf16,
     avx2::crc32c,
     &avx2::bits,
     &avx512::lookup,
     &avx512::matrix,
     &avx512::adc,
     &avx512vnni::packed_codes,
     avx512vnni::byte_products},
    {"avx512",
     kAvx512Bits,
     {&avx512::f32, &avx512::f16, &avx512::bf16, &avx2::i8, &avx2::u8, &avx512::sq8, &avx512::sq4,
      &avx2::sq8_int, &avx2::sq4_int},
     &avx512::tile,
     avx512::below,
     avx512::to_f16,
     avx512::to_bf16,
     avx2::crc32c,
     &avx2::bits,
     &avx512::lookup,
     &avx512::matrix,
     &avx512::adc,
     &avx2::packed_codes,
     avx2::byte_products},
    {"avx2",
     kAvx2Bits,
     {&avx2::f32, &avx2::f16, &avx2::bf16, &avx2::i8, &avx2::u8, &avx2::sq8, &avx2::sq4,
      &avx2::sq8_int, &avx2::sq4_int},
     &avx2::tile,
     avx2::below,
     avx2::to_f16,
     avx2::to_bf16,
     avx2::crc32c,
     &avx2::bits,
     &avx2::lookup,
     &avx2::matrix,
     &avx2::adc,
     &avx2::packed_codes,
     avx2::byte_products},
#endif
    {"scalar",
     0,
     {&scalar::f32, &scalar::f16, &scalar::bf16, &scalar::i8, &scalar::u8, &scalar::sq8,
      &scalar::sq4, &scalar::sq8_int, &scalar::sq4_int},
     &scalar::tile,
     scalar::below,
     scalar::to_f16,
     scalar::to_bf16,
     scalar::crc32c,
     &scalar::bits,
     &scalar::lookup,
     &scalar::matrix,
     &scalar::adc,
     &scalar::packed_codes,
     scalar::byte_products},
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::vector<std::string> names_of(std::uint64_t bits) {
  std::vector<std::string> names;
  for (const CpuBit bit : kAllBits) {
    if ((bits & bit) != 0) names.emplace_back(cpu_bit_name(bit));
  }
  return names;
}

std::vector<std::string> levels_for(std::uint64_t bits) {
  std::vector<std::string> names;
  for (const Table& table : kTables) {
    if ((table.needs & ~bits) == 0) names.emplace_back(table.name);
  }
  return names;
}

bool is_wish(const char* wanted) { return wanted != nullptr && *wanted != '\0'; }

struct Choice {
  const Table* table;
  bool forced;
};

const Choice& choice() {
  // A throwing initialiser leaves the static unset, so the next call reads the variable again.
  static const Choice made = [] {
    const char* wanted = std::getenv("VICINAL_ISA");
    return Choice{&choose(wanted, cpu_bits()), is_wish(wanted)};
  }();
  return made;
}

}  // namespace

const Table& choose(const char* wanted, std::uint64_t bits) {
  for (const Table& table : kTables) {
    const std::uint64_t lacking = table.needs & ~bits;
    if (!is_wish(wanted)) {
      if (lacking == 0) return table;
      continue;
    }
    if (wanted != std::string(table.name)) continue;
    if (lacking == 0) return table;
    throw ConfigError("VICINAL_ISA asks for " + std::string(wanted) + ", but this CPU lacks " +
                      join(names_of(lacking)) + "; available here: " + join(levels_for(bits)));
  }
  throw ConfigError("VICINAL_ISA asks for \"" + std::string(wanted) +
                    "\", which is no level of this build; available here: " +
                    join(levels_for(bits)));
}

const Table& active() { return *choice().table; }

const std::vector<const Table*>& available() {
  static const std::vector<const Table*> levels = [] {
    std::vector<const Table*> found;
    const std::uint64_t bits = cpu_bits();
    for (const Table& table : kTables) {
      if ((table.needs & ~bits) == 0) found.push_back(&table);
    }
    return found;
  }();
  return levels;
}

}  // namespace vicinal::kernels

namespace vicinal {

CpuInfo cpu_info() {
  CpuInfo info;
  const std::uint64_t bits = kernels::cpu_bits();
  info.brand = kernels::cpu_brand();
  info.features = kernels::names_of(bits);
  info.available = kernels::levels_for(bits);
  info.active = kernels::active().name;
  info.forced = kernels::choice().forced;
  return info;
}

}  // namespace vicinal
