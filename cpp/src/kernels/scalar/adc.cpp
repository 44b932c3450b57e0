#include "kernels/adc_rows.h"
#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {
namespace {

constexpr std::size_t kAtOnce = 16;  // what a compiler keeps in registers of the plainest CPU

template <Rank rank>
void table(const float* query, const float* columns, std::size_t width, std::size_t entries,
           float* out) noexcept {
  for (std::size_t e = 0; e < entries; e += kAtOnce) {
    float sums[kAtOnce] = {};
    for (std::size_t d = 0; d < width; ++d) {
      const float* column = columns + d * entries + e;
      for (std::size_t j = 0; j < kAtOnce; ++j) {
        if (rank == Rank::kL2) {
          const float difference = query[d] - column[j];
          sums[j] += difference * difference;
        } else {
          sums[j] -= query[d] * column[j];
        }
      }
    }
    for (std::size_t j = 0; j < kAtOnce; ++j) out[e + j] = sums[j];
  }
}

void add_rows(const float* first, const float* const* rows, std::size_t n, float* out) noexcept {
  for (std::size_t e = 0; e < kAdcEntries; e += kAtOnce) {
    float sums[kAtOnce];
    for (std::size_t j = 0; j < kAtOnce; ++j) sums[j] = first[e + j];
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t j = 0; j < kAtOnce; ++j) sums[j] += rows[r][e + j];
    }
    for (std::size_t j = 0; j < kAtOnce; ++j) out[e + j] = sums[j];
  }
}

}  // namespace

const AdcKernels adc = {score_block<TableOp>,
                        score_ids<TableOp>,
                        {table<Rank::kL2>, table<Rank::kIp>},
                        add_rows};

}  // namespace vicinal::kernels::scalar
