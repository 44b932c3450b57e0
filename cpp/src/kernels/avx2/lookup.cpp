#include "kernels/lookup.h"

#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

// Sums grow in 16-bit lanes, each a quarter or a half of the nibbles of a row. 64 lines are 256
// nibbles: all of them together stay below 256 * 255 < 2^16.
constexpr std::size_t kLinesTogether = 64;

// A line turned: 16 rows of one nibble in each half, nibbles 0 and 1, then 2 and 3.
struct Turned {
  __m256i pair[2];
};

VICINAL_INLINE Turned turned(const std::byte* line) noexcept {
  // Bytes of four rows to four bytes of one nibble, in each half...
  const __m256i by_nibble = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
                                             0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  // ... then the halves together, eight rows of nibbles 0, 2, 1, 3...
  const __m256i by_row = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
  const __m256i first =
      _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(load32(line), by_nibble), by_row);
  const __m256i second =
      _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(load32(line + 32), by_nibble), by_row);
  // ... then rows 0 to 7 and 8 to 15.
  return {{_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second)}};
}

// 16-bit sums of rows 0 to 15 or 16 to 31: `all` of the bytes as 16-bit words, modulo 2^16, and
// `odd` of the upper bytes. What is left of `all` without `odd` are the even rows.
struct Sums16 {
  __m256i all, odd;

  VICINAL_INLINE void clear() noexcept { all = odd = _mm256_setzero_si256(); }
  VICINAL_INLINE void add(__m256i results_u8x32) noexcept {
    all = _mm256_add_epi16(all, results_u8x32);
    odd = _mm256_add_epi16(odd, _mm256_srli_epi16(results_u8x32, 8));
  }
  VICINAL_INLINE void finish(bool first, std::uint32_t* out) const noexcept {
    const __m256i even = _mm256_sub_epi16(all, _mm256_slli_epi16(odd, 8));
    const __m128i even_u16x8 =
        _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    const __m128i odd_u16x8 =
        _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
    __m256i low_u32x8 = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even_u16x8, odd_u16x8));
    __m256i high_u32x8 = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(even_u16x8, odd_u16x8));
    if (!first) {
      low_u32x8 = _mm256_add_epi32(low_u32x8, load32(out));
      high_u32x8 = _mm256_add_epi32(high_u32x8, load32(out + 8));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), low_u32x8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8), high_u32x8);
  }
};

template <int queries>
VICINAL_INLINE void sum_block(const std::uint8_t* const* tables, const std::byte* codes,
                              std::size_t lines, std::uint32_t* const* out,
                              std::size_t at) noexcept {
  const __m256i mask = _mm256_set1_epi8(15);
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
      const Turned line = turned(codes + 64 * g);
      VICINAL_UNROLL
      for (int h = 0; h < 2; ++h) {
        const __m256i low_u8x32 = _mm256_and_si256(line.pair[h], mask);
        const __m256i high_u8x32 = _mm256_and_si256(_mm256_srli_epi16(line.pair[h], 4), mask);
        VICINAL_UNROLL
        for (int q = 0; q < queries; ++q) {
          const __m256i table_u8x32 = load32(tables[q] + 64 * g + 32 * static_cast<unsigned>(h));
          low[q].add(_mm256_shuffle_epi8(table_u8x32, low_u8x32));
          high[q].add(_mm256_shuffle_epi8(table_u8x32, high_u8x32));
        }
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

// Two queries at most: the sums of more would not stay in 16 registers.
void sums_many(const std::uint8_t* const* tables, std::size_t queries, const std::byte* codes,
               std::size_t block_stride, std::size_t blocks, std::size_t nibbles,
               std::uint32_t* const* out) noexcept {
  std::size_t q = 0;
  for (; q + 2 <= queries; q += 2) {
    sum_blocks<2>(tables + q, codes, block_stride, blocks, nibbles, out + q);
  }
  if (q < queries) sum_blocks<1>(tables + q, codes, block_stride, blocks, nibbles, out + q);
}

void affine(const std::uint32_t* from, const float* add, const float* mul, float scale,
            float offset, std::size_t n, float* out) noexcept {
  const __m256 scale_f32x8 = _mm256_set1_ps(scale), offset_f32x8 = _mm256_set1_ps(offset);
  for (std::size_t i = 0; i < n; i += 8) {
    const __m256 sum_f32x8 = _mm256_cvtepi32_ps(load32(from + i));
    __m256 score_f32x8 = _mm256_add_ps(_mm256_mul_ps(sum_f32x8, scale_f32x8), offset_f32x8);
    if (mul != nullptr) score_f32x8 = _mm256_mul_ps(score_f32x8, _mm256_loadu_ps(mul + i));
    if (add != nullptr) score_f32x8 = _mm256_add_ps(score_f32x8, _mm256_loadu_ps(add + i));
    _mm256_storeu_ps(out + i, score_f32x8);
  }
}

void shift(float* scores, const float* add, float factor, float offset, float least,
           std::size_t n) noexcept {
  const __m256 factor_f32x8 = _mm256_set1_ps(factor), offset_f32x8 = _mm256_set1_ps(offset);
  const __m256 least_f32x8 = _mm256_set1_ps(least);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256 score_f32x8 =
        _mm256_add_ps(_mm256_mul_ps(factor_f32x8, _mm256_loadu_ps(scores + i)), offset_f32x8);
    if (add != nullptr) score_f32x8 = _mm256_add_ps(score_f32x8, _mm256_loadu_ps(add + i));
    // The second operand is what comes out if one is NaN.
    _mm256_storeu_ps(scores + i, _mm256_max_ps(least_f32x8, score_f32x8));
  }
  for (; i < n; ++i) {
    float score = factor * scores[i] + offset;
    if (add != nullptr) score += add[i];
    scores[i] = score < least ? least : score;
  }
}

// Bytes of eight entries, in the low half of 32 bits each.
VICINAL_INLINE __m256i steps8(const float* entries, __m256 least_f32x8,
                              __m256 inverse_f32x8) noexcept {
  __m256 step_f32x8 = _mm256_sub_ps(_mm256_loadu_ps(entries), least_f32x8);
  step_f32x8 = _mm256_add_ps(_mm256_mul_ps(step_f32x8, inverse_f32x8), _mm256_set1_ps(0.5f));
  // The second operand is what comes out if one is NaN.
  step_f32x8 = _mm256_max_ps(step_f32x8, _mm256_setzero_ps());
  return _mm256_cvttps_epi32(_mm256_min_ps(step_f32x8, _mm256_set1_ps(255.0f)));
}

void steps(const float* tables, float inverse, std::size_t nibbles, std::uint8_t* out) noexcept {
  const __m256 inverse_f32x8 = _mm256_set1_ps(inverse);
  for (std::size_t j = 0; j < nibbles; ++j, tables += 16, out += 16) {
    const __m256 least_f32x8 = _mm256_broadcast_ss(reinterpret_cast<const float*>(out));
    const __m256i low_i32x8 = steps8(tables, least_f32x8, inverse_f32x8);
    const __m256i high_i32x8 = steps8(tables + 8, least_f32x8, inverse_f32x8);
    const __m256i mixed_u16x16 =
        _mm256_permute4x64_epi64(_mm256_packus_epi32(low_i32x8, high_i32x8), 0xD8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm_packus_epi16(_mm256_castsi256_si128(mixed_u16x16),
                                      _mm256_extracti128_si256(mixed_u16x16, 1)));
  }
}

}  // namespace

// Four tables side by side: the extremes of quarters turned, so that each lane is one table's.
float widest(const float* tables, std::size_t nibbles, std::uint8_t* least) noexcept {
  __m128 most_f32x4 = _mm_setzero_ps();
  for (std::size_t j = 0; j < nibbles; j += 4) {
    __m128 low_f32x4[4], high_f32x4[4];
    VICINAL_UNROLL
    for (std::size_t t = 0; t < 4; ++t) {
      // The last table stands for those that are missing.
      const float* table = tables + 16 * (j + t < nibbles ? j + t : nibbles - 1);
      const __m128 a = _mm_loadu_ps(table), b = _mm_loadu_ps(table + 4);
      const __m128 c = _mm_loadu_ps(table + 8), d = _mm_loadu_ps(table + 12);
      low_f32x4[t] = _mm_min_ps(_mm_min_ps(a, b), _mm_min_ps(c, d));
      high_f32x4[t] = _mm_max_ps(_mm_max_ps(a, b), _mm_max_ps(c, d));
    }
    _MM_TRANSPOSE4_PS(low_f32x4[0], low_f32x4[1], low_f32x4[2], low_f32x4[3]);
    _MM_TRANSPOSE4_PS(high_f32x4[0], high_f32x4[1], high_f32x4[2], high_f32x4[3]);
    const __m128 lowest_f32x4 = _mm_min_ps(_mm_min_ps(low_f32x4[0], low_f32x4[1]),
                                           _mm_min_ps(low_f32x4[2], low_f32x4[3]));
    const __m128 highest_f32x4 = _mm_max_ps(_mm_max_ps(high_f32x4[0], high_f32x4[1]),
                                            _mm_max_ps(high_f32x4[2], high_f32x4[3]));
    // The second operand is what comes out if one is NaN.
    most_f32x4 = _mm_max_ps(_mm_sub_ps(highest_f32x4, lowest_f32x4), most_f32x4);
    alignas(16) float lowest[4];
    _mm_store_ps(lowest, lowest_f32x4);
    for (std::size_t t = 0; t < 4 && j + t < nibbles; ++t) {
      std::memcpy(least + 16 * (j + t), lowest + t, sizeof(float));
    }
  }
  alignas(16) float most[4];
  _mm_store_ps(most, most_f32x4);
  for (std::size_t lane = 1; lane < 4; ++lane) {
    if (most[lane] > most[0]) most[0] = most[lane];
  }
  return most[0];
}

const LookupKernels lookup = {sums, sums_many, affine, shift, widest, steps};

}  // namespace vicinal::kernels::avx2
