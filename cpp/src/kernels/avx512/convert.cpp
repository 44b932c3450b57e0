#include "kernels/avx512/avx512.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512 {
namespace {

VICINAL_INLINE __mmask16 first_lanes(std::size_t live) noexcept {
  return live >= 16 ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1u << live) - 1);
}

VICINAL_INLINE __m256i bfloats_from(__m512 x_f32x16) noexcept {
  const __m512i bits_u32x16 = _mm512_castps_si512(x_f32x16);
  const __m512i high_u32x16 = _mm512_srli_epi32(bits_u32x16, 16);
  const __m512i odd_u32x16 = _mm512_and_si512(high_u32x16, _mm512_set1_epi32(1));
  const __m512i near_u32x16 = _mm512_srli_epi32(
      _mm512_add_epi32(_mm512_add_epi32(bits_u32x16, _mm512_set1_epi32(0x7FFF)), odd_u32x16), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x_f32x16, x_f32x16, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(
      _mm512_mask_or_epi32(near_u32x16, nan, high_u32x16, _mm512_set1_epi32(0x40)));
}

}  // namespace

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept {
  const __m512 limit_f32x16 = _mm512_set1_ps(threshold);
  const __m512i lanes_u32x16 =
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 live = first_lanes(n - i);
    const __m512 x_f32x16 = _mm512_maskz_loadu_ps(live, scores + i);
    const __mmask16 pass = _mm512_mask_cmp_ps_mask(live, x_f32x16, limit_f32x16, _CMP_LT_OQ);
    if (pass == 0) continue;
    // Compress into a register, then store: compressing to memory is microcoded on Zen 4.
    const __m512i id_u32x16 =
        _mm512_add_epi32(lanes_u32x16, _mm512_set1_epi32(static_cast<int>(first_id + i)));
    const __m512i few_u32x16 = _mm512_mask_compress_epi32(id_u32x16, pass, id_u32x16);
    const __m512 few_f32x16 = _mm512_mask_compress_ps(x_f32x16, pass, x_f32x16);
    _mm512_storeu_si512(ids + count, few_u32x16);
    _mm512_storeu_ps(kept + count, few_f32x16);
    count += static_cast<unsigned>(_mm_popcnt_u32(pass));
  }
  return count;
}

void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 live = first_lanes(n - i);
    const __m256i x_f16x16 = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(live, in + i),
                                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(out + i, live, x_f16x16);
  }
}

void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 live = first_lanes(n - i);
    _mm256_mask_storeu_epi16(out + i, live, bfloats_from(_mm512_maskz_loadu_ps(live, in + i)));
  }
}

}  // namespace vicinal::kernels::avx512
