#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512vnni {
namespace {

VICINAL_INLINE __m512i zero() noexcept { return _mm512_setzero_si512(); }
VICINAL_INLINE __m512i load_row(const std::uint8_t* at) noexcept { return load64(at); }
VICINAL_INLINE __m512i load_query(const std::int8_t* at) noexcept { return load64(at); }
VICINAL_INLINE __m512i added(__m512i sum, __m512i row, __m512i query) noexcept {
  return _mm512_dpbusd_epi32(sum, row, query);
}

// Q queries by R rows whose sums stay in registers.
template <int Q, int R>
VICINAL_INLINE void tile(const std::int8_t* queries, std::size_t query_stride,
                         const std::uint8_t* rows, std::size_t row_stride, std::size_t bytes,
                         std::int32_t* out, std::size_t out_stride) noexcept {
  __m512i sums_i32x16[Q][R];
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) sums_i32x16[q][r] = zero();
  }
  for (std::size_t i = 0; i < bytes; i += 64) {
    __m512i rows_wide[R];
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) rows_wide[r] = load_row(rows + r * row_stride + i);
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) {
      const __m512i query_wide = load_query(queries + q * query_stride + i);
      VICINAL_UNROLL
      for (int r = 0; r < R; ++r) {
        sums_i32x16[q][r] = added(sums_i32x16[q][r], rows_wide[r], query_wide);
      }
    }
  }
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    constexpr int kLast = R - 1;  // R is 4, or 1 and then all four sums are alike
    const __m512i four[4] = {sums_i32x16[q][0], sums_i32x16[q][kLast / 3],
                             sums_i32x16[q][kLast / 3 * 2], sums_i32x16[q][kLast]};
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
  for (; q + 4 <= n_queries; q += 4) {
    rows_of<4>(queries + q * query_stride, query_stride, rows, row_stride, n_rows, bytes,
               out + q * out_stride, out_stride);
  }
  for (; q < n_queries; ++q) {
    rows_of<1>(queries + q * query_stride, query_stride, rows, row_stride, n_rows, bytes,
               out + q * out_stride, out_stride);
  }
}

}  // namespace vicinal::kernels::avx512vnni
