#pragma once

#include <immintrin.h>

#include "kernels/walk.h"

// What the AVX2 and the AVX-512 folders both need. Internal linkage throughout; see walk.h.
#if defined(__clang__)
#define VICINAL_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define VICINAL_UNROLL _Pragma("GCC unroll 16")
#else
#define VICINAL_UNROLL
#endif

namespace vicinal::kernels {
namespace {

VICINAL_INLINE __m128i load16(const void* at) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(at));
}
VICINAL_INLINE __m256i load32(const void* at) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}

// Lane j of the result is the sum of s[j]: one joint reduction instead of four.
VICINAL_INLINE __m128 sum4(__m256 s0, __m256 s1, __m256 s2, __m256 s3) noexcept {
  const __m256 pairs_f32x8 = _mm256_hadd_ps(_mm256_hadd_ps(s0, s1), _mm256_hadd_ps(s2, s3));
  return _mm_add_ps(_mm256_castps256_ps128(pairs_f32x8), _mm256_extractf128_ps(pairs_f32x8, 1));
}
VICINAL_INLINE __m128i sum4(__m256i s0, __m256i s1, __m256i s2, __m256i s3) noexcept {
  const __m256i pairs_i32x8 =
      _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
  return _mm_add_epi32(_mm256_castsi256_si128(pairs_i32x8),
                       _mm256_extracti128_si256(pairs_i32x8, 1));
}

VICINAL_INLINE __m128 sum4(const __m256* s) noexcept { return sum4(s[0], s[1], s[2], s[3]); }
VICINAL_INLINE __m128i sum4(const __m256i* s) noexcept { return sum4(s[0], s[1], s[2], s[3]); }

VICINAL_INLINE __m128 negated(__m128 x) noexcept { return _mm_xor_ps(x, _mm_set1_ps(-0.0f)); }

template <Rank rank>
VICINAL_INLINE void store_floats(__m128 sums, float* out) noexcept {
  _mm_storeu_ps(out, rank == Rank::kL2 ? sums : negated(sums));
}

template <Rank rank>
VICINAL_INLINE void store_integers(__m128i sums, float* out) noexcept {
  _mm_storeu_ps(out, _mm_cvtepi32_ps(rank == Rank::kL2 ? sums
                                                       : _mm_sub_epi32(_mm_setzero_si128(), sums)));
}

// The heads of four rows of scalar codes, and the last steps of their scores. The same operations
// in the same order as the scalar level: equal code sums give equal bits.
struct Heads {
  __m128 delta, lower, sum, norm;

  explicit VICINAL_INLINE Heads(const std::byte* const* rows) noexcept
      : delta(_mm_loadu_ps(reinterpret_cast<const float*>(rows[0]))),
        lower(_mm_loadu_ps(reinterpret_cast<const float*>(rows[1]))),
        sum(_mm_loadu_ps(reinterpret_cast<const float*>(rows[2]))),
        norm(_mm_loadu_ps(reinterpret_cast<const float*>(rows[3]))) {
    _MM_TRANSPOSE4_PS(delta, lower, sum, norm);
  }
};

template <Rank rank>
VICINAL_INLINE void finish(const ScalarQuery& q, const Heads& heads, __m128 dot,
                           float* out) noexcept {
  const __m128 bias = _mm_set1_ps(q.bias);
  if (rank == Rank::kIp) {
    _mm_storeu_ps(out, negated(_mm_add_ps(bias, dot)));
    return;
  }
  const __m128 distance =
      _mm_sub_ps(_mm_add_ps(bias, heads.norm), _mm_mul_ps(_mm_set1_ps(2.0f), dot));
  _mm_storeu_ps(out, _mm_max_ps(distance, _mm_setzero_ps()));
}

template <Rank rank>
VICINAL_INLINE void finish_values(const ScalarQuery& q, const std::byte* const* rows, __m128 sums,
                                  float* out) noexcept {
  const Heads heads(rows);
  const __m128 dot = _mm_add_ps(_mm_mul_ps(heads.lower, _mm_set1_ps(q.sum)),
                                _mm_mul_ps(heads.delta, sums));
  finish<rank>(q, heads, dot, out);
}

template <Rank rank>
VICINAL_INLINE void finish_codes(const ScalarQuery& q, const std::byte* const* rows, __m128i sums,
                                 float* out) noexcept {
  const Heads heads(rows);
  const __m128 offsets = _mm_add_ps(_mm_mul_ps(_mm_set1_ps(q.offset), heads.sum),
                                    _mm_mul_ps(heads.lower, _mm_set1_ps(q.code_sum)));
  const __m128 dot = _mm_add_ps(
      offsets, _mm_mul_ps(_mm_mul_ps(_mm_set1_ps(q.scale), heads.delta), _mm_cvtepi32_ps(sums)));
  finish<rank>(q, heads, dot, out);
}

// The rare end of a tile: bit q of mask says that query q keeps scores[q].
VICINAL_INLINE void append(std::uint32_t mask, const float* scores, std::uint32_t id,
                           TileTop* top) noexcept {
  for (std::size_t q = 0; mask != 0; ++q, mask >>= 1) {
    if ((mask & 1u) == 0) continue;
    const std::uint32_t at = top->count[q]++;
    top->scores[q][at] = scores[q];
    top->ids[q][at] = id;
  }
}

}  // namespace
}  // namespace vicinal::kernels
