#include "kernels/scalar/products.h"
#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {
namespace {

void pack(const float* from, std::size_t stride, std::size_t n, std::size_t dim,
          float* panel) noexcept {
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      panel[d * kQueries + q] = q < n ? from[q * stride + d] : 0.0f;
    }
  }
}

template <std::size_t R>
void score_rows(const float* panel, const float* rows, std::size_t stride, std::size_t dim,
                const float* bias, std::uint32_t first_id, TileTop* top) noexcept {
  float sums[R][kQueries];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t q = 0; q < kQueries; ++q) sums[r][q] = bias[r];
  }
  subtract_rows(panel, rows, stride, dim, sums);
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t q = 0; q < kQueries; ++q) {
      if (!(sums[r][q] < top->threshold[q])) continue;
      const std::uint32_t at = top->count[q]++;
      top->scores[q][at] = sums[r][q];
      top->ids[q][at] = first_id + static_cast<std::uint32_t>(r);
    }
  }
}

void score(const float* panel, const float* rows, std::size_t stride, std::size_t n,
           std::size_t dim, const float* bias, std::uint32_t first_id, TileTop* top) noexcept {
  std::size_t r = 0;
  for (; r + kRows <= n; r += kRows) {
    score_rows<kRows>(panel, rows + r * stride, stride, dim, bias + r,
                      first_id + static_cast<std::uint32_t>(r), top);
  }
  for (; r < n; ++r) {
    score_rows<1>(panel, rows + r * stride, stride, dim, bias + r,
                  first_id + static_cast<std::uint32_t>(r), top);
  }
}

}  // namespace

const TileKernel tile = {kQueries, kRows, pack, score};

}  // namespace vicinal::kernels::scalar
