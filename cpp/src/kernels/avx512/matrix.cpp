#include "kernels/matrix.h"

#include "kernels/avx512/avx512.h"
#include "kernels/avx512/products.h"

namespace vicinal::kernels::avx512 {
namespace {

// What becomes of the scores of R rows.
struct Nearest {
  const float* bias;
  std::uint32_t first_id;
  float* best;
  std::uint32_t* which;

  VICINAL_INLINE float start(std::size_t r) const noexcept { return bias[r]; }

  template <int R>
  VICINAL_INLINE void finish(const Sums<R>& sums, std::size_t r0) const noexcept {
    keep(sums.low_f32x16, r0, 0);
    keep(sums.high_f32x16, r0, 16);
  }

 private:
  template <int R>
  VICINAL_INLINE void keep(const __m512 (&scores_f32x16)[R], std::size_t r0,
                           std::size_t q) const noexcept {
    __m512 best_f32x16 = _mm512_loadu_ps(best + q);
    __m512i which_u32x16 = load64(which + q);
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) {
      const __mmask16 less = _mm512_cmp_ps_mask(scores_f32x16[r], best_f32x16, _CMP_LT_OQ);
      best_f32x16 = _mm512_mask_mov_ps(best_f32x16, less, scores_f32x16[r]);
      const auto id = static_cast<int>(first_id + static_cast<std::uint32_t>(r0) +
                                       static_cast<std::uint32_t>(r));
      which_u32x16 = _mm512_mask_set1_epi32(which_u32x16, less, id);
    }
    _mm512_storeu_ps(best + q, best_f32x16);
    _mm512_storeu_si512(which + q, which_u32x16);
  }
};

struct Products {
  float* out;

  // From minus zero: what is left of no products at all is then plus zero, once negated.
  VICINAL_INLINE float start(std::size_t) const noexcept { return -0.0f; }

  template <int R>
  VICINAL_INLINE void finish(const Sums<R>& sums, std::size_t r0) const noexcept {
    const __m512 sign_f32x16 = _mm512_set1_ps(-0.0f);
    float* at = out + r0 * kQueries;
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r, at += kQueries) {
      _mm512_storeu_ps(at, _mm512_xor_ps(sums.low_f32x16[r], sign_f32x16));
      _mm512_storeu_ps(at + 16, _mm512_xor_ps(sums.high_f32x16[r], sign_f32x16));
    }
  }
};

template <int R, bool copied, class End>
void rows_of(std::size_t& r, const float* panel, const float* rows, std::size_t stride,
             std::size_t n, std::size_t dim, const End& end) noexcept {
  for (; r + R <= n; r += R) {
    Sums<R> sums;
    VICINAL_UNROLL
    for (int i = 0; i < R; ++i) {
      sums.low_f32x16[i] = sums.high_f32x16[i] =
          _mm512_set1_ps(end.start(r + static_cast<std::size_t>(i)));
    }
    sums.template subtract_rows<copied>(panel, rows + r * stride, stride, dim);
    end.template finish<R>(sums, r);
  }
}

template <class End>
void walk(const float* panel, const float* rows, std::size_t stride, std::size_t n,
          std::size_t dim, const End& end) noexcept {
  std::size_t r = 0;
  if (stride % kClash == 0) {
    rows_of<kRows, true>(r, panel, rows, stride, n, dim, end);
  } else {
    rows_of<kRows, false>(r, panel, rows, stride, n, dim, end);
  }
  rows_of<6, false>(r, panel, rows, stride, n, dim, end);
  rows_of<3, false>(r, panel, rows, stride, n, dim, end);
  rows_of<1, false>(r, panel, rows, stride, n, dim, end);
}

void nearest(const float* panel, const float* rows, std::size_t stride, std::size_t n,
             std::size_t dim, const float* bias, std::uint32_t first_id, float* best,
             std::uint32_t* which) noexcept {
  walk(panel, rows, stride, n, dim, Nearest{bias, first_id, best, which});
}

void products(const float* panel, const float* rows, std::size_t stride, std::size_t n,
              std::size_t dim, float* out) noexcept {
  walk(panel, rows, stride, n, dim, Products{out});
}

}  // namespace

const MatrixKernels matrix = {nearest, products};

}  // namespace vicinal::kernels::avx512
