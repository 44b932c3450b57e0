#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

// order.of[m] lists the set bits of m, lowest first: a left-packing permutation, one byte a lane.
struct Order {
  std::uint8_t of[256][8];
};

constexpr Order make_order() noexcept {
  Order order{};
  for (int m = 0; m < 256; ++m) {
    int at = 0;
    for (int b = 0; b < 8; ++b) {
      if ((m >> b & 1) != 0) order.of[m][at++] = static_cast<std::uint8_t>(b);
    }
  }
  return order;
}

constexpr Order kOrder = make_order();

VICINAL_INLINE __m256i first_lanes(std::size_t live) noexcept {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(live)), lanes);
}

VICINAL_INLINE __m128i bfloats_from(__m256 x_f32x8) noexcept {
  const __m256i bits_u32x8 = _mm256_castps_si256(x_f32x8);
  const __m256i high_u32x8 = _mm256_srli_epi32(bits_u32x8, 16);
  const __m256i odd_u32x8 = _mm256_and_si256(high_u32x8, _mm256_set1_epi32(1));
  const __m256i near_u32x8 = _mm256_srli_epi32(
      _mm256_add_epi32(_mm256_add_epi32(bits_u32x8, _mm256_set1_epi32(0x7FFF)), odd_u32x8), 16);
  const __m256i quiet_u32x8 = _mm256_or_si256(high_u32x8, _mm256_set1_epi32(0x40));
  const __m256 nan = _mm256_cmp_ps(x_f32x8, x_f32x8, _CMP_UNORD_Q);
  const __m256i all_u32x8 = _mm256_blendv_epi8(near_u32x8, quiet_u32x8, _mm256_castps_si256(nan));
  return _mm_packus_epi32(_mm256_castsi256_si128(all_u32x8),
                          _mm256_extracti128_si256(all_u32x8, 1));
}

VICINAL_INLINE __m128i halves_from(__m256 x_f32x8) noexcept {
  return _mm256_cvtps_ph(x_f32x8, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

template <class To>
VICINAL_INLINE void convert(const float* in, std::size_t n, std::uint16_t* out, To to) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), to(_mm256_loadu_ps(in + i)));
  }
  if (i == n) return;
  std::uint16_t last[8];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(last),
                   to(_mm256_maskload_ps(in + i, first_lanes(n - i))));
  std::memcpy(out + i, last, (n - i) * 2);
}

}  // namespace

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept {
  const __m256 limit_f32x8 = _mm256_set1_ps(threshold);
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; i += 8) {
    const std::size_t left = n - i;
    const __m256 x_f32x8 = left >= 8 ? _mm256_loadu_ps(scores + i)
                                     : _mm256_maskload_ps(scores + i, first_lanes(left));
    auto mask = static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_cmp_ps(x_f32x8, limit_f32x8, _CMP_LT_OQ)));
    if (left < 8) mask &= (1u << left) - 1;
    if (mask == 0) continue;
    const __m256i order_u32x8 = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kOrder.of[mask])));
    const __m256i id_u32x8 =
        _mm256_add_epi32(order_u32x8, _mm256_set1_epi32(static_cast<int>(first_id + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(ids + count), id_u32x8);
    _mm256_storeu_ps(kept + count, _mm256_permutevar8x32_ps(x_f32x8, order_u32x8));
    count += static_cast<unsigned>(_mm_popcnt_u32(mask));
  }
  return count;
}

void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept {
  convert(in, n, out, [](__m256 x) { return halves_from(x); });
}

void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept {
  convert(in, n, out, [](__m256 x) { return bfloats_from(x); });
}

std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t bytes) noexcept {
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint64_t state = ~crc;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto last = static_cast<std::uint32_t>(state);
  for (; bytes > 0; --bytes, ++at) last = _mm_crc32_u8(last, *at);
  return ~last;
}

}  // namespace vicinal::kernels::avx2
