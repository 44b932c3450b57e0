#pragma once

#include "kernels/x86.h"

// The inner loop that tile.cpp and matrix.cpp share. Internal linkage; see walk.h.
namespace vicinal::kernels::avx2 {
namespace {

constexpr std::size_t kQueries = 16;
constexpr std::size_t kRows = 6;  // twelve sums, two query registers, one row element: 15 of 16

template <int R>
struct Sums {
  __m256 low_f32x8[R], high_f32x8[R];

  VICINAL_INLINE void subtract_rows(const float* panel, const float* rows, std::size_t stride,
                                    std::size_t dim) noexcept {
    const float* later = rows + 3 * stride;  // two bases: every address is base + scaled stride
    for (std::size_t d = 0; d < dim; ++d, ++rows, ++later, panel += kQueries) {
      const __m256 q0_f32x8 = _mm256_loadu_ps(panel);
      const __m256 q1_f32x8 = _mm256_loadu_ps(panel + 8);
      VICINAL_UNROLL
      for (int r = 0; r < R; ++r) {
        const float* from = r < 3 ? rows + r * stride : later + (r - 3) * stride;
        const __m256 x_f32x8 = _mm256_broadcast_ss(from);
        low_f32x8[r] = _mm256_fnmadd_ps(q0_f32x8, x_f32x8, low_f32x8[r]);
        high_f32x8[r] = _mm256_fnmadd_ps(q1_f32x8, x_f32x8, high_f32x8[r]);
      }
    }
  }
};

}  // namespace
}  // namespace vicinal::kernels::avx2
