#include "kernels/lookup.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512 {
namespace {

// Sums grow in 16-bit lanes, each a quarter of the nibbles of a row. 64 lines are 256 nibbles: all
// quarters together stay below 256 * 255 < 2^16.
constexpr std::size_t kLinesTogether = 64;

// A line turned: 16 rows of one nibble in each quarter.
VICINAL_INLINE __m512i turned(const std::byte* line) noexcept {
  // Bytes of four rows to four bytes of one nibble in each quarter, then the quarters together.
  const __m512i by_nibble =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m512i by_row = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(by_row, _mm512_shuffle_epi8(load64(line), by_nibble));
}

VICINAL_INLINE __m128i quarters_added(__m512i x_u16x32) noexcept {
  const __m256i halves =
      _mm256_add_epi16(_mm512_castsi512_si256(x_u16x32), _mm512_extracti64x4_epi64(x_u16x32, 1));
  return _mm_add_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

// 16-bit sums of rows 0 to 15 or 16 to 31: `all` of the bytes as 16-bit words, modulo 2^16, and
// `odd` of the upper bytes. What is left of `all` without `odd` are the even rows.
struct Sums16 {
  __m512i all, odd;

  VICINAL_INLINE void clear() noexcept { all = odd = _mm512_setzero_si512(); }
  VICINAL_INLINE void add(__m512i results_u8x64) noexcept {
    all = _mm512_add_epi16(all, results_u8x64);
    odd = _mm512_add_epi16(odd, _mm512_srli_epi16(results_u8x64, 8));
  }
  VICINAL_INLINE void finish(bool first, std::uint32_t* out) const noexcept {
    const __m128i even_u16x8 = quarters_added(_mm512_sub_epi16(all, _mm512_slli_epi16(odd, 8)));
    const __m128i odd_u16x8 = quarters_added(odd);
    const __m256i both_u16x16 = _mm256_setr_m128i(_mm_unpacklo_epi16(even_u16x8, odd_u16x8),
                                                  _mm_unpackhi_epi16(even_u16x8, odd_u16x8));
    __m512i sums_u32x16 = _mm512_cvtepu16_epi32(both_u16x16);
    if (!first) sums_u32x16 = _mm512_add_epi32(sums_u32x16, load64(out));
    _mm512_storeu_si512(out, sums_u32x16);
  }
};

template <int queries>
VICINAL_INLINE void sum_block(const std::uint8_t* const* tables, const std::byte* codes,
                              std::size_t lines, std::uint32_t* const* out,
                              std::size_t at) noexcept {
  const __m512i mask = _mm512_set1_epi8(15);
  std::size_t g = 0;
  do {
    const std::size_t begin = g;
    const std::size_t end = lines - g < kLinesTogether ? lines : g + kLinesTogether;
    Sums16 low[queries], high[queries];
    VICINAL_UNROLL
    for (int q = 0; q < queries; ++q) {
      low[q].clear();
      high[q].clear();
    }
    for (; g < end; ++g) {
      prefetch_line(codes + 64 * g + kScanAhead);
      const __m512i line = turned(codes + 64 * g);
      const __m512i low_u8x64 = _mm512_and_si512(line, mask);
      const __m512i high_u8x64 = _mm512_and_si512(_mm512_srli_epi16(line, 4), mask);
      VICINAL_UNROLL
      for (int q = 0; q < queries; ++q) {
        const __m512i table_u8x64 = load64(tables[q] + 64 * g);
        low[q].add(_mm512_shuffle_epi8(table_u8x64, low_u8x64));
        high[q].add(_mm512_shuffle_epi8(table_u8x64, high_u8x64));
      }
    }
    VICINAL_UNROLL
    for (int q = 0; q < queries; ++q) {
      low[q].finish(begin == 0, out[q] + at);
      high[q].finish(begin == 0, out[q] + at + 16);
    }
  } while (g < lines);
}

template <int queries>
void sum_blocks(const std::uint8_t* const* tables, const std::byte* codes, std::size_t block_stride,
                std::size_t blocks, std::size_t nibbles, std::uint32_t* const* out) noexcept {
  const std::size_t lines = (nibbles + 3) / 4;
  for (std::size_t b = 0; b < blocks; ++b) {
    sum_block<queries>(tables, codes + b * block_stride, lines, out, b * kLookupRows);
  }
}

void sums(const std::uint8_t* tables, const std::byte* codes, std::size_t block_stride,
          std::size_t blocks, std::size_t nibbles, std::uint32_t* out) noexcept {
  sum_blocks<1>(&tables, codes, block_stride, blocks, nibbles, &out);
}

void sums_many(const std::uint8_t* const* tables, std::size_t queries, const std::byte* codes,
               std::size_t block_stride, std::size_t blocks, std::size_t nibbles,
               std::uint32_t* const* out) noexcept {
  switch (queries) {
    case 4: return sum_blocks<4>(tables, codes, block_stride, blocks, nibbles, out);
    case 3: return sum_blocks<3>(tables, codes, block_stride, blocks, nibbles, out);
    case 2: return sum_blocks<2>(tables, codes, block_stride, blocks, nibbles, out);
    case 1: return sum_blocks<1>(tables, codes, block_stride, blocks, nibbles, out);
    default: return;
  }
}

}  // namespace

void affine(const std::uint32_t* from, const float* add, const float* mul, float scale,
            float offset, std::size_t n, float* out) noexcept {
  const __m512 scale_f32x16 = _mm512_set1_ps(scale), offset_f32x16 = _mm512_set1_ps(offset);
  for (std::size_t i = 0; i < n; i += 16) {
    const __m512 sum_f32x16 = _mm512_cvtepi32_ps(load64(from + i));
    __m512 score_f32x16 = _mm512_add_ps(_mm512_mul_ps(sum_f32x16, scale_f32x16), offset_f32x16);
    if (mul != nullptr) score_f32x16 = _mm512_mul_ps(score_f32x16, _mm512_loadu_ps(mul + i));
    if (add != nullptr) score_f32x16 = _mm512_add_ps(score_f32x16, _mm512_loadu_ps(add + i));
    _mm512_storeu_ps(out + i, score_f32x16);
  }
}

void shift(float* scores, const float* add, float factor, float offset, float least,
           std::size_t n) noexcept {
  const __m512 factor_f32x16 = _mm512_set1_ps(factor), offset_f32x16 = _mm512_set1_ps(offset);
  const __m512 least_f32x16 = _mm512_set1_ps(least);
  for (std::size_t i = 0; i < n; i += 16) {
    const auto live = static_cast<__mmask16>(n - i >= 16 ? 0xFFFFu : (1u << (n - i)) - 1);
    __m512 score_f32x16 = _mm512_add_ps(
        _mm512_mul_ps(factor_f32x16, _mm512_maskz_loadu_ps(live, scores + i)), offset_f32x16);
    if (add != nullptr) {
      score_f32x16 = _mm512_add_ps(score_f32x16, _mm512_maskz_loadu_ps(live, add + i));
    }
    // The second operand is what comes out if one is NaN.
    _mm512_mask_storeu_ps(scores + i, live, _mm512_max_ps(least_f32x16, score_f32x16));
  }
}

void steps(const float* tables, float inverse, std::size_t nibbles, std::uint8_t* out) noexcept {
  const __m512 inverse_f32x16 = _mm512_set1_ps(inverse);
  for (std::size_t j = 0; j < nibbles; ++j, tables += 16, out += 16) {
    const __m512 least_f32x16 = _mm512_set1_ps(*reinterpret_cast<const float*>(out));
    __m512 step_f32x16 = _mm512_sub_ps(_mm512_loadu_ps(tables), least_f32x16);
    step_f32x16 =
        _mm512_add_ps(_mm512_mul_ps(step_f32x16, inverse_f32x16), _mm512_set1_ps(0.5f));
    // The second operand is what comes out if one is NaN.
    step_f32x16 = _mm512_max_ps(step_f32x16, _mm512_setzero_ps());
    step_f32x16 = _mm512_min_ps(step_f32x16, _mm512_set1_ps(255.0f));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(step_f32x16)));
  }
}

const LookupKernels lookup = {sums, sums_many, affine, shift, avx2::widest, steps};

}  // namespace vicinal::kernels::avx512
