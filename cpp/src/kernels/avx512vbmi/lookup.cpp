#include "kernels/lookup.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512vbmi/avx512vbmi.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512vbmi {
namespace {

// GCC would put a load into each of the two uses, and loads of 512 bits are one a cycle: 103 G
// lookups/s against 93.
VICINAL_INLINE __m512i load_once(const void* at) noexcept {
  __m512i bytes = load64(at);
#if defined(__GNUC__)
  asm("" : "+v"(bytes));
#endif
  return bytes;
}

// Where the nibbles of 16 rows look: 16 * (place of the byte in its word) + nibble.
struct Indexes {
  __m512i low, high;
};

VICINAL_INLINE Indexes indexes_of(const std::byte* line) noexcept {
  constexpr int kMaskedOr = 0xEA;  // (a & b) | c
  const __m512i mask = _mm512_set1_epi8(15);
  const __m512i table = _mm512_set1_epi32(0x30201000);
  const __m512i codes_u8x64 = load_once(line);
  return {_mm512_ternarylogic_epi32(codes_u8x64, mask, table, kMaskedOr),
          _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes_u8x64, 4), mask, table, kMaskedOr)};
}

// Sums of rows 0 to 15 and 16 to 31.
struct Sums {
  __m512i low_u32x16, high_u32x16;

  VICINAL_INLINE void clear() noexcept { low_u32x16 = high_u32x16 = _mm512_setzero_si512(); }
  VICINAL_INLINE void add(const Indexes& at, const std::uint8_t* table) noexcept {
    const __m512i ones = _mm512_set1_epi8(1);
    const __m512i table_u8x64 = load_once(table);
    low_u32x16 =
        _mm512_dpbusd_epi32(low_u32x16, _mm512_permutexvar_epi8(at.low, table_u8x64), ones);
    high_u32x16 =
        _mm512_dpbusd_epi32(high_u32x16, _mm512_permutexvar_epi8(at.high, table_u8x64), ones);
  }
  VICINAL_INLINE void store(std::uint32_t* out) const noexcept {
    _mm512_storeu_si512(out, low_u32x16);
    _mm512_storeu_si512(out + 16, high_u32x16);
  }
};

// One block after the other, in one stream: two side by side came from memory at half the speed.
// vpdpbusd takes longer than a line does, but the next block fills the gaps.
// Zen 4, codes in the second cache, 64 / 384 nibbles, G lookups/s: 103 / 95 for one query, 147 /
// 145 for four together, where vpshufb makes 46 / 49 and 68 / 75 (66 / 71 if lines lay as it wants
// them, and 92 / 88 here if they did).
template <int queries>
void sums_of(const std::uint8_t* const* tables, const std::byte* codes, std::size_t block_stride,
             std::size_t blocks, std::size_t nibbles, std::uint32_t* const* out) noexcept {
  const std::size_t bytes = (nibbles + 3) / 4 * 64;
  for (std::size_t b = 0; b < blocks; ++b, codes += block_stride) {
    Sums all[queries];
    VICINAL_UNROLL
    for (int q = 0; q < queries; ++q) all[q].clear();
    for (std::size_t i = 0; i < bytes; i += 64) {
      prefetch_line(codes + i + kScanAhead);
      const Indexes at = indexes_of(codes + i);
      VICINAL_UNROLL
      for (int q = 0; q < queries; ++q) all[q].add(at, tables[q] + i);
    }
    VICINAL_UNROLL
    for (int q = 0; q < queries; ++q) all[q].store(out[q] + b * kLookupRows);
  }
}

void sums(const std::uint8_t* tables, const std::byte* codes, std::size_t block_stride,
          std::size_t blocks, std::size_t nibbles, std::uint32_t* out) noexcept {
  sums_of<1>(&tables, codes, block_stride, blocks, nibbles, &out);
}

void sums_many(const std::uint8_t* const* tables, std::size_t queries, const std::byte* codes,
               std::size_t block_stride, std::size_t blocks, std::size_t nibbles,
               std::uint32_t* const* out) noexcept {
  switch (queries) {
    case 4: return sums_of<4>(tables, codes, block_stride, blocks, nibbles, out);
    case 3: return sums_of<3>(tables, codes, block_stride, blocks, nibbles, out);
    case 2: return sums_of<2>(tables, codes, block_stride, blocks, nibbles, out);
    case 1: return sums_of<1>(tables, codes, block_stride, blocks, nibbles, out);
    default: return;
  }
}

}  // namespace

const LookupKernels lookup = {sums, sums_many, avx512::affine, avx512::shift,
                              avx2::widest, avx512::steps};

}  // namespace vicinal::kernels::avx512vbmi
