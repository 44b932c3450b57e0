#include <immintrin.h>

#include "kernels/cpu.h"
#include "loops.h"

namespace vicinal::bench {
namespace {

constexpr int kChains = 12;  // two units of latency four need eight; twelve leave room

double fma(std::uint64_t rounds, float* sink) {
  const __m256 factor_f32x8 = _mm256_set1_ps(sink[0]);
  const __m256 term_f32x8 = _mm256_set1_ps(sink[1]);
  __m256 sum_f32x8[kChains];
  for (int c = 0; c < kChains; ++c) sum_f32x8[c] = _mm256_set1_ps(static_cast<float>(c));
  for (std::uint64_t r = 0; r < rounds; ++r) {
    for (int c = 0; c < kChains; ++c) {
      sum_f32x8[c] = _mm256_fmadd_ps(sum_f32x8[c], factor_f32x8, term_f32x8);
    }
  }
  for (int c = 1; c < kChains; ++c) sum_f32x8[0] = _mm256_add_ps(sum_f32x8[0], sum_f32x8[c]);
  sink[2] = _mm256_cvtss_f32(sum_f32x8[0]);
  return static_cast<double>(rounds) * kChains * 16;
}

// Pairs of 16-bit products: exact for bytes widened once, which is what AVX2 kernels use.
double byte_mac(std::uint64_t rounds, std::int32_t* sink) {
  const __m256i codes_i16x16 = _mm256_set1_epi16(static_cast<short>(sink[0]));
  __m256i sum_i32x8[kChains];
  for (int c = 0; c < kChains; ++c) sum_i32x8[c] = _mm256_set1_epi32(c);
  for (std::uint64_t r = 0; r < rounds; ++r) {
    for (int c = 0; c < kChains; ++c) {
      // The sum itself is a factor, or the product would leave the loop.
      sum_i32x8[c] = _mm256_add_epi32(sum_i32x8[c], _mm256_madd_epi16(codes_i16x16, sum_i32x8[c]));
    }
  }
  for (int c = 1; c < kChains; ++c) sum_i32x8[0] = _mm256_add_epi32(sum_i32x8[0], sum_i32x8[c]);
  sink[2] = _mm256_extract_epi32(sum_i32x8[0], 0);
  return static_cast<double>(rounds) * kChains * 16;
}

__m256i load(const std::byte* at) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
}

template <bool kPrefetch>
std::uint64_t read_all(const std::byte* data, std::size_t bytes, std::size_t ahead) {
  __m256i sum_u64x4[8];
  for (__m256i& sum : sum_u64x4) sum = _mm256_setzero_si256();
  for (std::size_t i = 0; i < bytes; i += 256) {
    for (int j = 0; j < 8; ++j) {
      if (kPrefetch && j % 2 == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(data + i + ahead + j * 32), _MM_HINT_T0);
      }
      sum_u64x4[j] = _mm256_add_epi64(sum_u64x4[j], load(data + i + j * 32));
    }
  }
  for (int j = 1; j < 8; ++j) sum_u64x4[0] = _mm256_add_epi64(sum_u64x4[0], sum_u64x4[j]);
  std::uint64_t lanes[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum_u64x4[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

std::uint64_t stream(const std::byte* data, std::size_t bytes, std::size_t ahead) {
  return ahead != 0 ? read_all<true>(data, bytes, ahead) : read_all<false>(data, bytes, 0);
}

}  // namespace

const Loops kAvx2Loops = {"avx2", kernels::kAvx2 | kernels::kFma, 32, fma, byte_mac, stream};

}  // namespace vicinal::bench
