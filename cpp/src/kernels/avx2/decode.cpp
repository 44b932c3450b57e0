#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

// Stores the first `live` lanes (any number from 0 up).
VICINAL_INLINE void store_first(float* out, __m256 x_f32x8, std::size_t live) noexcept {
  if (live >= 8) {
    _mm256_storeu_ps(out, x_f32x8);
    return;
  }
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(live)), lanes);
  _mm256_maskstore_ps(out, mask, x_f32x8);
}

// Load: eight dimensions from `bytes` bytes each; the padding of a row covers the last group.
template <std::size_t bytes, class Load>
VICINAL_INLINE void decode_plain(const std::byte* rows, std::size_t stride, std::size_t n,
                                 std::size_t dim, float* out, std::size_t out_stride,
                                 Load load) noexcept {
  for (std::size_t r = 0; r < n; ++r, rows += stride, out += out_stride) {
    for (std::size_t i = 0; i < dim; i += 8) store_first(out + i, load(rows + bytes * i), dim - i);
  }
}

VICINAL_INLINE __m128i load8(const std::byte* at) noexcept {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
}

struct Line {
  __m256 delta_f32x8, lower_f32x8;

  VICINAL_INLINE __m256 at(__m128i codes_u8x8) const noexcept {
    const __m256 code_f32x8 = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes_u8x8));
    return _mm256_add_ps(lower_f32x8, _mm256_mul_ps(delta_f32x8, code_f32x8));
  }
};

VICINAL_INLINE Line line_of(const std::byte* row) noexcept {
  const ScalarRow head = head_of(row);
  return {_mm256_set1_ps(head.delta), _mm256_set1_ps(head.lower)};
}

}  // namespace

void decode_f32(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                float* out, std::size_t out_stride) noexcept {
  for (std::size_t r = 0; r < n; ++r) std::memcpy(out + r * out_stride, rows + r * stride, dim * 4);
}

void decode_f16(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                float* out, std::size_t out_stride) noexcept {
  decode_plain<2>(rows, stride, n, dim, out, out_stride,
                  [](const std::byte* at) { return _mm256_cvtph_ps(load16(at)); });
}

void decode_bf16(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                 float* out, std::size_t out_stride) noexcept {
  decode_plain<2>(rows, stride, n, dim, out, out_stride, [](const std::byte* at) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(at)), 16));
  });
}

void decode_i8(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
               float* out, std::size_t out_stride) noexcept {
  decode_plain<1>(rows, stride, n, dim, out, out_stride, [](const std::byte* at) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load8(at)));
  });
}

void decode_u8(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
               float* out, std::size_t out_stride) noexcept {
  decode_plain<1>(rows, stride, n, dim, out, out_stride, [](const std::byte* at) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load8(at)));
  });
}

void decode_sq8(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                float* out, std::size_t out_stride) noexcept {
  for (std::size_t r = 0; r < n; ++r, rows += stride, out += out_stride) {
    const Line line = line_of(rows);
    for (std::size_t i = 0; i < dim; i += 8) {
      store_first(out + i, line.at(load8(rows + 16 + i)), dim - i);
    }
  }
}

void decode_sq4(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                float* out, std::size_t out_stride) noexcept {
  const __m128i mask = _mm_set1_epi8(15);
  for (std::size_t r = 0; r < n; ++r, rows += stride, out += out_stride) {
    const Line line = line_of(rows);
    const std::byte* code = rows + 16;
    for (std::size_t base = 0; base < dim; base += 128) {
      const std::size_t half = base + 128 <= dim ? 64 : nibble_tail(dim);
      for (std::size_t i = 0; i < half; i += 8, code += 8) {
        const __m128i packed = load8(code);
        const std::size_t low = base + i, high = base + half + i;
        if (low < dim) store_first(out + low, line.at(_mm_and_si128(packed, mask)), dim - low);
        if (high < dim) {
          store_first(out + high, line.at(_mm_and_si128(_mm_srli_epi16(packed, 4), mask)),
                      dim - high);
        }
      }
    }
  }
}

}  // namespace vicinal::kernels::avx2
