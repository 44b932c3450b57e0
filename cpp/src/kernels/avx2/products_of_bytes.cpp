#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

// Sixteen at a time as 16-bit numbers: pairs of byte products would not fit 16 bits.
VICINAL_INLINE __m256i zero() noexcept { return _mm256_setzero_si256(); }
VICINAL_INLINE __m256i load_row(const std::uint8_t* at) noexcept {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}
VICINAL_INLINE __m256i load_query(const std::int8_t* at) noexcept {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}
VICINAL_INLINE __m256i added(__m256i sum, __m256i row, __m256i query) noexcept {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(row, query));
}

// Q queries by R rows whose sums stay in registers.
template <int Q, int R>
VICINAL_INLINE void tile(const std::int8_t* queries, std::size_t query_stride,
                         const std::uint8_t* rows, std::size_t row_stride, std::size_t bytes,
                         std::int32_t* out, std::size_t out_stride) noexcept {
  __m256i sums_i32x8[Q][R];
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) sums_i32x8[q][r] = zero();
  }
  for (std::size_t i = 0; i < bytes; i += 16) {
    __m256i rows_wide[R];
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) rows_wide[r] = load_row(rows + r * row_stride + i);
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) {
      const __m256i query_wide = load_query(queries + q * query_stride + i);
      VICINAL_UNROLL
      for (int r = 0; r < R; ++r) {
        sums_i32x8[q][r] = added(sums_i32x8[q][r], rows_wide[r], query_wide);
      }
    }
  }
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    constexpr int kLast = R - 1;  // R is 4, or 1 and then all four sums are alike
    const __m256i four[4] = {sums_i32x8[q][0], sums_i32x8[q][kLast / 3],
                             sums_i32x8[q][kLast / 3 * 2], sums_i32x8[q][kLast]};
    const __m128i sums_i32x4 = sum4(four);
    std::int32_t* to = out + q * out_stride;
    if (R == 4) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), sums_i32x4);
    } else {
      *to = _mm_cvtsi128_si32(sums_i32x4);
    }
  }
}

template <int Q>
void rows_of(const std::int8_t* queries, std::size_t query_stride, const std::uint8_t* rows,
             std::size_t row_stride, std::size_t n_rows, std::size_t bytes, std::int32_t* out,
             std::size_t out_stride) noexcept {
  std::size_t r = 0;
  for (; r + 4 <= n_rows; r += 4) {
    tile<Q, 4>(queries, query_stride, rows + r * row_stride, row_stride, bytes, out + r,
                 out_stride);
  }
  for (; r < n_rows; ++r) {
    tile<Q, 1>(queries, query_stride, rows + r * row_stride, row_stride, bytes, out + r,
               out_stride);
  }
}

}  // namespace

void byte_products(const std::int8_t* queries, std::size_t query_stride, std::size_t n_queries,
                   const std::uint8_t* rows, std::size_t row_stride, std::size_t n_rows,
                   std::size_t bytes, std::int32_t* out, std::size_t out_stride) noexcept {
  std::size_t q = 0;
  for (; q + 2 <= n_queries; q += 2) {
    rows_of<2>(queries + q * query_stride, query_stride, rows, row_stride, n_rows, bytes,
               out + q * out_stride, out_stride);
  }
  for (; q < n_queries; ++q) {
    rows_of<1>(queries + q * query_stride, query_stride, rows, row_stride, n_rows, bytes,
               out + q * out_stride, out_stride);
  }
}

}  // namespace vicinal::kernels::avx2
