#include "kernels/avx512/avx512.h"
#include "kernels/avx512/products.h"

namespace vicinal::kernels::avx512 {
namespace {

void pack(const float* from, std::size_t stride, std::size_t n, std::size_t dim,
          float* panel) noexcept {
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      panel[d * kQueries + q] = q < n ? from[q * stride + d] : 0.0f;
    }
  }
}

template <int R, bool copied>
VICINAL_INLINE void score_rows(const float* panel, const float* rows, std::size_t stride,
                               std::size_t dim, const float* bias, std::uint32_t first_id,
                               TileTop* top) noexcept {
  Sums<R> sums;
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) sums.low_f32x16[r] = sums.high_f32x16[r] = _mm512_set1_ps(bias[r]);
  sums.template subtract_rows<copied>(panel, rows, stride, dim);
  const __m512 limit0_f32x16 = _mm512_loadu_ps(top->threshold);
  const __m512 limit1_f32x16 = _mm512_loadu_ps(top->threshold + 16);
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) {
    const std::uint32_t mask =
        static_cast<std::uint32_t>(
            _mm512_cmp_ps_mask(sums.low_f32x16[r], limit0_f32x16, _CMP_LT_OQ)) |
        static_cast<std::uint32_t>(
            _mm512_cmp_ps_mask(sums.high_f32x16[r], limit1_f32x16, _CMP_LT_OQ)) << 16;
    if (mask == 0) continue;
    float scores[kQueries];
    _mm512_storeu_ps(scores, sums.low_f32x16[r]);
    _mm512_storeu_ps(scores + 16, sums.high_f32x16[r]);
    append(mask, scores, first_id + static_cast<std::uint32_t>(r), top);
  }
}

template <int R, bool copied = false>
void score_each(std::size_t& r, const float* panel, const float* rows, std::size_t stride,
                std::size_t n, std::size_t dim, const float* bias, std::uint32_t first_id,
                TileTop* top) noexcept {
  for (; r + R <= n; r += R) {
    score_rows<R, copied>(panel, rows + r * stride, stride, dim, bias + r,
                  first_id + static_cast<std::uint32_t>(r), top);
  }
}

void score(const float* panel, const float* rows, std::size_t stride, std::size_t n,
           std::size_t dim, const float* bias, std::uint32_t first_id, TileTop* top) noexcept {
  std::size_t r = 0;
  if (stride % kClash == 0) {
    score_each<kRows, true>(r, panel, rows, stride, n, dim, bias, first_id, top);
  } else {
    score_each<kRows>(r, panel, rows, stride, n, dim, bias, first_id, top);
  }
  score_each<6>(r, panel, rows, stride, n, dim, bias, first_id, top);
  score_each<3>(r, panel, rows, stride, n, dim, bias, first_id, top);
  score_each<1>(r, panel, rows, stride, n, dim, bias, first_id, top);
}

}  // namespace

const TileKernel tile = {kQueries, kRows, pack, score};

}  // namespace vicinal::kernels::avx512
