#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {

void byte_products(const std::int8_t* queries, std::size_t query_stride, std::size_t n_queries,
                   const std::uint8_t* rows, std::size_t row_stride, std::size_t n_rows,
                   std::size_t bytes, std::int32_t* out, std::size_t out_stride) noexcept {
  for (std::size_t q = 0; q < n_queries; ++q) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < bytes; ++i) {
        sum += queries[q * query_stride + i] * rows[r * row_stride + i];
      }
      out[q * out_stride + r] = sum;
    }
  }
}

}  // namespace vicinal::kernels::scalar
