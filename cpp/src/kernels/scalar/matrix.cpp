#include "kernels/matrix.h"

#include "kernels/scalar/products.h"
#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {
namespace {

template <std::size_t R>
void nearest_rows(const float* panel, const float* rows, std::size_t stride, std::size_t dim,
                  const float* bias, std::uint32_t id, float* best,
                  std::uint32_t* which) noexcept {
  float sums[R][kQueries];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t q = 0; q < kQueries; ++q) sums[r][q] = bias[r];
  }
  subtract_rows(panel, rows, stride, dim, sums);
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      if (!(sums[r][q] < best[q])) continue;
      best[q] = sums[r][q];
      which[q] = id + static_cast<std::uint32_t>(r);
    }
  }
}

void nearest(const float* panel, const float* rows, std::size_t stride, std::size_t n,
             std::size_t dim, const float* bias, std::uint32_t first_id, float* best,
             std::uint32_t* which) noexcept {
  std::size_t r = 0;
  for (; r + kRows <= n; r += kRows) {
    nearest_rows<kRows>(panel, rows + r * stride, stride, dim, bias + r,
                        first_id + static_cast<std::uint32_t>(r), best, which);
  }
  for (; r < n; ++r) {
    nearest_rows<1>(panel, rows + r * stride, stride, dim, bias + r,
                    first_id + static_cast<std::uint32_t>(r), best, which);
  }
}

template <std::size_t R>
void product_rows(const float* panel, const float* rows, std::size_t stride, std::size_t dim,
                  float* out) noexcept {
  float sums[R][kQueries];
  for (std::size_t r = 0; r < R; ++r) {
    // From minus zero: what is left of no products at all is then plus zero, once negated.
    for (std::size_t q = 0; q < kQueries; ++q) sums[r][q] = -0.0f;
  }
  subtract_rows(panel, rows, stride, dim, sums);
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t q = 0; q < kQueries; ++q) out[r * kQueries + q] = -sums[r][q];
  }
}

void products(const float* panel, const float* rows, std::size_t stride, std::size_t n,
              std::size_t dim, float* out) noexcept {
  std::size_t r = 0;
  for (; r + kRows <= n; r += kRows) {
    product_rows<kRows>(panel, rows + r * stride, stride, dim, out + r * kQueries);
  }
  for (; r < n; ++r) product_rows<1>(panel, rows + r * stride, stride, dim, out + r * kQueries);
}

}  // namespace

const MatrixKernels matrix = {nearest, products};

}  // namespace vicinal::kernels::scalar
