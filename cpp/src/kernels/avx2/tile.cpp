#include "kernels/avx2/avx2.h"
#include "kernels/avx2/products.h"

namespace vicinal::kernels::avx2 {
namespace {

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
  Sums<R> sums;
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) {
    sums.low_f32x8[r] = sums.high_f32x8[r] = _mm256_broadcast_ss(bias + r);
  }
  sums.subtract_rows(panel, rows, stride, dim);
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) {
    const auto passes = [top](__m256 x_f32x8, std::size_t q) {
      const __m256 limit_f32x8 = _mm256_loadu_ps(top->threshold + q);
      return static_cast<unsigned>(
          _mm256_movemask_ps(_mm256_cmp_ps(x_f32x8, limit_f32x8, _CMP_LT_OQ)));
    };
    const unsigned mask = passes(sums.low_f32x8[r], 0) | passes(sums.high_f32x8[r], 8) << 8;
    if (mask == 0) continue;
    float scores[kQueries];
    _mm256_storeu_ps(scores, sums.low_f32x8[r]);
    _mm256_storeu_ps(scores + 8, sums.high_f32x8[r]);
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
