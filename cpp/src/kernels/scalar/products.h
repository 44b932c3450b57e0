#pragma once

#include "kernels/walk.h"

// The inner loop that tile.cpp and matrix.cpp share.
namespace vicinal::kernels::scalar {
namespace {

constexpr std::size_t kQueries = 8;
constexpr std::size_t kRows = 2;  // two rows of eight sums: what sixteen baseline registers hold

template <std::size_t R>
VICINAL_INLINE void subtract_rows(const float* panel, const float* rows, std::size_t stride,
                                  std::size_t dim, float (&sums)[R][kQueries]) noexcept {
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t r = 0; r < R; ++r) {
      const float x = rows[r * stride + d];
      for (std::size_t q = 0; q < kQueries; ++q) sums[r][q] -= panel[d * kQueries + q] * x;
    }
  }
}

}  // namespace
}  // namespace vicinal::kernels::scalar
