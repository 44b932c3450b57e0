#pragma once

#include "kernels/x86_512.h"

// The inner loop that tile.cpp and matrix.cpp share. Internal linkage; see walk.h.
namespace vicinal::kernels::avx512 {
namespace {

constexpr std::size_t kQueries = 32;
constexpr std::size_t kRows = 12;  // 24 sums, two query registers and row elements: 32 registers

// Rows a multiple of 4 KiB apart share one set of the first cache, which holds fewer lines than
// there are rows; a piece of each is copied side by side first. Zen 4, 1024 dimensions: 75% of the
// multiply-add peak without, see the benchmark.
constexpr std::size_t kClash = 1024;  // floats
constexpr std::size_t kPiece = 64;

template <int R>
struct Sums {
  __m512 low_f32x16[R], high_f32x16[R];

  VICINAL_INLINE void subtract(const float* panel, const float* rows, std::size_t stride,
                               std::size_t dims) noexcept {
    // Four bases: every address then is base + scaled stride, and no row needs its own pointer.
    const float* base[4] = {rows, rows + 3 * stride, rows + 6 * stride, rows + 9 * stride};
    for (std::size_t d = 0; d < dims; ++d, panel += kQueries) {
      const __m512 q0_f32x16 = _mm512_loadu_ps(panel);
      const __m512 q1_f32x16 = _mm512_loadu_ps(panel + 16);
      VICINAL_UNROLL
      for (int r = 0; r < R; ++r) {
        const __m512 x_f32x16 = _mm512_set1_ps(base[r / 3][(r % 3) * stride]);
        low_f32x16[r] = _mm512_fnmadd_ps(q0_f32x16, x_f32x16, low_f32x16[r]);
        high_f32x16[r] = _mm512_fnmadd_ps(q1_f32x16, x_f32x16, high_f32x16[r]);
      }
      VICINAL_UNROLL
      for (int b = 0; b < 4; ++b) ++base[b];
    }
  }

  // All dimensions of R rows; `copied` for strides that clash.
  template <bool copied>
  VICINAL_INLINE void subtract_rows(const float* panel, const float* rows, std::size_t stride,
                                    std::size_t dim) noexcept {
    if (!copied) {
      subtract(panel, rows, stride, dim);
      return;
    }
    float pieces[R * kPiece];
    std::size_t d = 0;
    for (; d + kPiece <= dim; d += kPiece) {
      for (int r = 0; r < R; ++r) {
        const float* from = rows + static_cast<std::size_t>(r) * stride + d;
        VICINAL_UNROLL
        for (std::size_t i = 0; i < kPiece; i += 16) {
          _mm512_storeu_ps(pieces + static_cast<std::size_t>(r) * kPiece + i,
                           _mm512_loadu_ps(from + i));
        }
      }
      subtract(panel + d * kQueries, pieces, kPiece, kPiece);
    }
    subtract(panel + d * kQueries, rows + d, stride, dim - d);
  }
};

}  // namespace
}  // namespace vicinal::kernels::avx512
