#include "kernels/matrix.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx2/products.h"

namespace vicinal::kernels::avx2 {
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
    keep(sums.low_f32x8, r0, 0);
    keep(sums.high_f32x8, r0, 8);
  }

 private:
  template <int R>
  VICINAL_INLINE void keep(const __m256 (&scores_f32x8)[R], std::size_t r0,
                           std::size_t q) const noexcept {
    __m256 best_f32x8 = _mm256_loadu_ps(best + q);
    __m256 which_u32x8 = _mm256_castsi256_ps(load32(which + q));
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m256 less_f32x8 = _mm256_cmp_ps(scores_f32x8[r], best_f32x8, _CMP_LT_OQ);
      const auto id = static_cast<int>(first_id + static_cast<std::uint32_t>(r0) +
                                       static_cast<std::uint32_t>(r));
      best_f32x8 = _mm256_blendv_ps(best_f32x8, scores_f32x8[r], less_f32x8);
      which_u32x8 = _mm256_blendv_ps(which_u32x8, _mm256_castsi256_ps(_mm256_set1_epi32(id)),
                                     less_f32x8);
    }
    _mm256_storeu_ps(best + q, best_f32x8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(which + q), _mm256_castps_si256(which_u32x8));
  }
};

struct Products {
  float* out;

  // From minus zero: what is left of no products at all is then plus zero, once negated.
  VICINAL_INLINE float start(std::size_t) const noexcept { return -0.0f; }

  template <int R>
  VICINAL_INLINE void finish(const Sums<R>& sums, std::size_t r0) const noexcept {
    const __m256 sign_f32x8 = _mm256_set1_ps(-0.0f);
    float* at = out + r0 * kQueries;
    VICINAL_UNROLL
    for (int r = 0; r < R; ++r, at += kQueries) {
      _mm256_storeu_ps(at, _mm256_xor_ps(sums.low_f32x8[r], sign_f32x8));
      _mm256_storeu_ps(at + 8, _mm256_xor_ps(sums.high_f32x8[r], sign_f32x8));
    }
  }
};

template <int R, class End>
void rows_of(std::size_t& r, const float* panel, const float* rows, std::size_t stride,
             std::size_t n, std::size_t dim, const End& end) noexcept {
  for (; r + R <= n; r += R) {
    Sums<R> sums;
    VICINAL_UNROLL
    for (int i = 0; i < R; ++i) {
      sums.low_f32x8[i] = sums.high_f32x8[i] =
          _mm256_set1_ps(end.start(r + static_cast<std::size_t>(i)));
    }
    sums.subtract_rows(panel, rows + r * stride, stride, dim);
    end.template finish<R>(sums, r);
  }
}

template <class End>
void walk(const float* panel, const float* rows, std::size_t stride, std::size_t n,
          std::size_t dim, const End& end) noexcept {
  std::size_t r = 0;
  rows_of<kRows>(r, panel, rows, stride, n, dim, end);
  rows_of<3>(r, panel, rows, stride, n, dim, end);
  rows_of<1>(r, panel, rows, stride, n, dim, end);
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

}  // namespace vicinal::kernels::avx2
