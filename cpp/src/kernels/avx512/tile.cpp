#include "kernels/avx512/avx512.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512 {
namespace {

constexpr std::size_t kQueries = 32;
constexpr std::size_t kRows = 12;  // 24 sums, two query registers and row elements: 32 registers

void pack(const float* from, std::size_t stride, std::size_t n, std::size_t dim,
          float* panel) noexcept {
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      panel[d * kQueries + q] = q < n ? from[q * stride + d] : 0.0f;
    }
  }
}

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
};

// Rows a multiple of 4 KiB apart share one set of the first cache, which holds fewer lines than
// there are rows; a piece of each is copied side by side first. Zen 4, 1024 dimensions: 75% of the
// multiply-add peak without, see the benchmark.
constexpr std::size_t kClash = 1024;  // floats
constexpr std::size_t kPiece = 64;

template <int R, bool copied>
VICINAL_INLINE void score_rows(const float* panel, const float* rows, std::size_t stride,
                               std::size_t dim, const float* bias, std::uint32_t first_id,
                               TileTop* top) noexcept {
  Sums<R> sums;
  VICINAL_UNROLL
  for (int r = 0; r < R; ++r) sums.low_f32x16[r] = sums.high_f32x16[r] = _mm512_set1_ps(bias[r]);
  if (copied) {
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
      sums.subtract(panel + d * kQueries, pieces, kPiece, kPiece);
    }
    sums.subtract(panel + d * kQueries, rows + d, stride, dim - d);
  } else {
    sums.subtract(panel, rows, stride, dim);
  }
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
