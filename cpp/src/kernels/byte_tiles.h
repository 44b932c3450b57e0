#pragma once

#include "kernels/x86.h"

// Products of bytes in tiles, for levels that differ in how wide they add. Internal linkage
// throughout; see walk.h. Ops gives the integers of one step: Wide; kStep, bytes of a row read at
// once; kQueries, queries of a tile; zero(), load_row(), load_query(), added(), and sum4(), which
// adds up each of four.
namespace vicinal::kernels {
namespace {

// Q queries by R rows whose sums stay in registers.
template <class Ops, int Q, int R>
VICINAL_INLINE void byte_tile(const std::int8_t* queries, std::size_t query_stride,
                              const std::uint8_t* rows, std::size_t row_stride, std::size_t bytes,
                              std::int32_t* out, std::size_t out_stride) noexcept {
  using Wide = typename Ops::Wide;
  Wide sums[Q][R];
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) sums[q][r] = Ops::zero();
  }
  for (std::size_t i = 0; i < bytes; i += Ops::kStep) {
    Wide rows_wide[R];
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) rows_wide[r] = Ops::load_row(rows + r * row_stride + i);
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) {
      const Wide query_wide = Ops::load_query(queries + q * query_stride + i);
      VICINAL_UNROLL
      for (int r = 0; r < R; ++r) sums[q][r] = Ops::added(sums[q][r], rows_wide[r], query_wide);
    }
  }
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    constexpr int kLast = R - 1;  // R is 4, or 1 and then all four sums are alike
    const Wide four[4] = {sums[q][0], sums[q][kLast / 3], sums[q][kLast / 3 * 2], sums[q][kLast]};
    const __m128i sums_i32x4 = Ops::sum4(four);
    std::int32_t* to = out + q * out_stride;
    if (R == 4) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), sums_i32x4);
    } else {
      *to = _mm_cvtsi128_si32(sums_i32x4);
    }
  }
}

template <class Ops, int Q>
void byte_rows(const std::int8_t* queries, std::size_t query_stride, const std::uint8_t* rows,
               std::size_t row_stride, std::size_t n_rows, std::size_t bytes, std::int32_t* out,
               std::size_t out_stride) noexcept {
  std::size_t r = 0;
  for (; r + 4 <= n_rows; r += 4) {
    byte_tile<Ops, Q, 4>(queries, query_stride, rows + r * row_stride, row_stride, bytes, out + r,
                         out_stride);
  }
  for (; r < n_rows; ++r) {
    byte_tile<Ops, Q, 1>(queries, query_stride, rows + r * row_stride, row_stride, bytes, out + r,
                         out_stride);
  }
}

template <class Ops>
VICINAL_INLINE void byte_tiles(const std::int8_t* queries, std::size_t query_stride,
                               std::size_t n_queries, const std::uint8_t* rows,
                               std::size_t row_stride, std::size_t n_rows, std::size_t bytes,
                               std::int32_t* out, std::size_t out_stride) noexcept {
  std::size_t q = 0;
  for (; q + Ops::kQueries <= n_queries; q += Ops::kQueries) {
    byte_rows<Ops, Ops::kQueries>(queries + q * query_stride, query_stride, rows, row_stride,
                                  n_rows, bytes, out + q * out_stride, out_stride);
  }
  for (; q < n_queries; ++q) {
    byte_rows<Ops, 1>(queries + q * query_stride, query_stride, rows, row_stride, n_rows, bytes,
                      out + q * out_stride, out_stride);
  }
}

}  // namespace
}  // namespace vicinal::kernels
