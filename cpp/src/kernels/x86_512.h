#pragma once

#include "kernels/x86.h"

// What the two AVX-512 folders both need. Internal linkage throughout; see walk.h.
namespace vicinal::kernels {
namespace {

VICINAL_INLINE __m512i load64(const void* at) noexcept { return _mm512_loadu_si512(at); }

VICINAL_INLINE __m256 halves_added(__m512 x) noexcept {
  return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}
VICINAL_INLINE __m256i halves_added(__m512i x) noexcept {
  return _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
}

VICINAL_INLINE __m128 sum4(const __m512* s) noexcept {
  return sum4(halves_added(s[0]), halves_added(s[1]), halves_added(s[2]), halves_added(s[3]));
}
VICINAL_INLINE __m128i sum4(const __m512i* s) noexcept {
  return sum4(halves_added(s[0]), halves_added(s[1]), halves_added(s[2]), halves_added(s[3]));
}

}  // namespace
}  // namespace vicinal::kernels
