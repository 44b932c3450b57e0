#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

constexpr std::size_t kQueries = 16;
constexpr std::size_t kRows = 6;  // twelve sums, two query registers, one row element: 15 of 16

void pack(const float* from, std::size_t stride, std::size_t n, std::size_t dim,
          float* panel) noexcept {
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      panel[d * kQueries + q] = q < n ? from[q * stride + d] : 0.0f;
    }
  }
}

template <int R>
VICINAL_INLINE void score_rows(const float* panel, const float* rows, std::size_t stride,
                               std::size_t dim, const float* bias, std::uint32_t first_id,
                               TileTop* top) noexcept {
  __m256 low_f32x8[R], high_f32x8[R];
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) low_f32x8[r] = high_f32x8[r] = _mm256_broadcast_ss(bias + r);
  const float* later = rows + 3 * stride;  // two bases: every address then is base + scaled stride
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
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) {
    const auto passes = [top](__m256 x_f32x8, std::size_t q) {
      const __m256 limit_f32x8 = _mm256_loadu_ps(top->threshold + q);
      return static_cast<unsigned>(
          _mm256_movemask_ps(_mm256_cmp_ps(x_f32x8, limit_f32x8, _CMP_LT_OQ)));
    };
    const unsigned mask = passes(low_f32x8[r], 0) | passes(high_f32x8[r], 8) << 8;
    if (mask == 0) continue;
    float scores[kQueries];
    _mm256_storeu_ps(scores, low_f32x8[r]);
    _mm256_storeu_ps(scores + 8, high_f32x8[r]);
    append(mask, scores, first_id + static_cast<std::uint32_t>(r), top);
  }
}

template <int R>
void score_each(std::size_t& r, const float* panel, const float* rows, std::size_t stride,
                std::size_t n, std::size_t dim, const float* bias, std::uint32_t first_id,
                TileTop* top) noexcept {
  for (; r + R <= n; r += R) {
    score_rows<R>(panel, rows + r * stride, stride, dim, bias + r,
                  first_id + static_cast<std::uint32_t>(r), top);
  }
}

void score(const float* panel, const float* rows, std::size_t stride, std::size_t n,
           std::size_t dim, const float* bias, std::uint32_t first_id, TileTop* top) noexcept {
  std::size_t r = 0;
  score_each<kRows>(r, panel, rows, stride, n, dim, bias, first_id, top);
  score_each<3>(r, panel, rows, stride, n, dim, bias, first_id, top);
  score_each<1>(r, panel, rows, stride, n, dim, bias, first_id, top);
}

}  // namespace

const TileKernel tile = {kQueries, kRows, pack, score};

}  // namespace vicinal::kernels::avx2
