#include <immintrin.h>

#include "kernels/cpu.h"
#include "loops.h"

namespace vicinal::bench {
namespace {

constexpr int kChains = 16;

double fma(std::uint64_t rounds, float* sink) {
  const __m512 factor_f32x16 = _mm512_set1_ps(sink[0]);
  const __m512 term_f32x16 = _mm512_set1_ps(sink[1]);
  __m512 sum_f32x16[kChains];
  for (int c = 0; c < kChains; ++c) sum_f32x16[c] = _mm512_set1_ps(static_cast<float>(c));
  for (std::uint64_t r = 0; r < rounds; ++r) {
    for (int c = 0; c < kChains; ++c) {
      sum_f32x16[c] = _mm512_fmadd_ps(sum_f32x16[c], factor_f32x16, term_f32x16);
    }
  }
  for (int c = 1; c < kChains; ++c) sum_f32x16[0] = _mm512_add_ps(sum_f32x16[0], sum_f32x16[c]);
  sink[2] = _mm512_cvtss_f32(sum_f32x16[0]);
  return static_cast<double>(rounds) * kChains * 32;
}

double byte_mac(std::uint64_t rounds, std::int32_t* sink) {
  const __m512i query_u8x64 = _mm512_set1_epi8(static_cast<char>(sink[0]));
  const __m512i codes_i8x64 = _mm512_set1_epi8(static_cast<char>(sink[1]));
  __m512i sum_i32x16[kChains];
  for (int c = 0; c < kChains; ++c) sum_i32x16[c] = _mm512_set1_epi32(c);
  for (std::uint64_t r = 0; r < rounds; ++r) {
    for (int c = 0; c < kChains; ++c) {
      sum_i32x16[c] = _mm512_dpbusd_epi32(sum_i32x16[c], query_u8x64, codes_i8x64);
    }
  }
  for (int c = 1; c < kChains; ++c) sum_i32x16[0] = _mm512_add_epi32(sum_i32x16[0], sum_i32x16[c]);
  sink[2] = _mm512_reduce_add_epi32(sum_i32x16[0]);
  return static_cast<double>(rounds) * kChains * 64;
}

template <bool kPrefetch>
std::uint64_t read_all(const std::byte* data, std::size_t bytes, std::size_t ahead) {
  __m512i sum_u64x8[8];
  for (__m512i& sum : sum_u64x8) sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < bytes; i += 512) {
    for (int j = 0; j < 8; ++j) {
      if (kPrefetch && j % 1 == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(data + i + ahead + j * 64), _MM_HINT_T0);
      }
      sum_u64x8[j] = _mm512_add_epi64(sum_u64x8[j], _mm512_load_si512(data + i + j * 64));
    }
  }
  for (int j = 1; j < 8; ++j) sum_u64x8[0] = _mm512_add_epi64(sum_u64x8[0], sum_u64x8[j]);
  return static_cast<std::uint64_t>(_mm512_reduce_add_epi64(sum_u64x8[0]));
}

std::uint64_t stream(const std::byte* data, std::size_t bytes, std::size_t ahead) {
  return ahead != 0 ? read_all<true>(data, bytes, ahead) : read_all<false>(data, bytes, 0);
}

}  // namespace

const Loops kAvx512Loops = {
    "avx512",
    kernels::kAvx512f | kernels::kAvx512bw | kernels::kAvx512vnni,
    64,
    fma,
    byte_mac,
    stream,
};

}  // namespace vicinal::bench
