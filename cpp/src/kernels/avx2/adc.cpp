#include "kernels/adc_rows.h"
#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

constexpr std::size_t kRegisters = 8;  // 64 entries at once

// Products are rounded before they are added, as at the other levels: no fused steps.
template <Rank rank, std::size_t N>
VICINAL_INLINE void some_entries(const float* query, const float* columns, std::size_t width,
                                 std::size_t entries, float* out) noexcept {
  __m256 sums_f32x8[N];
  VICINAL_UNROLL
  for (std::size_t j = 0; j < N; ++j) sums_f32x8[j] = _mm256_setzero_ps();
  for (std::size_t d = 0; d < width; ++d, columns += entries) {
    const __m256 q_f32x8 = _mm256_set1_ps(query[d]);
    VICINAL_UNROLL
    for (std::size_t j = 0; j < N; ++j) {
      const __m256 x_f32x8 = _mm256_loadu_ps(columns + 8 * j);
      if (rank == Rank::kL2) {
        const __m256 diff_f32x8 = _mm256_sub_ps(q_f32x8, x_f32x8);
        sums_f32x8[j] = _mm256_add_ps(sums_f32x8[j], _mm256_mul_ps(diff_f32x8, diff_f32x8));
      } else {
        sums_f32x8[j] = _mm256_sub_ps(sums_f32x8[j], _mm256_mul_ps(q_f32x8, x_f32x8));
      }
    }
  }
  VICINAL_UNROLL
  for (std::size_t j = 0; j < N; ++j) _mm256_storeu_ps(out + 8 * j, sums_f32x8[j]);
}

template <Rank rank>
void table(const float* query, const float* columns, std::size_t width, std::size_t entries,
           float* out) noexcept {
  constexpr std::size_t kMany = 8 * kRegisters;
  std::size_t e = 0;
  for (; e + kMany <= entries; e += kMany) {
    some_entries<rank, kRegisters>(query, columns + e, width, entries, out + e);
  }
  for (; e < entries; e += 16) {
    some_entries<rank, 2>(query, columns + e, width, entries, out + e);
  }
}

void add_rows(const float* first, const float* const* rows, std::size_t n, float* out) noexcept {
  for (std::size_t e = 0; e < kAdcEntries; e += 8 * kRegisters) {
    __m256 sums_f32x8[kRegisters];
    VICINAL_UNROLL
    for (std::size_t j = 0; j < kRegisters; ++j) sums_f32x8[j] = _mm256_loadu_ps(first + e + 8 * j);
    for (std::size_t r = 0; r < n; ++r) {
      const float* row = rows[r] + e;
      VICINAL_UNROLL
      for (std::size_t j = 0; j < kRegisters; ++j) {
        sums_f32x8[j] = _mm256_add_ps(sums_f32x8[j], _mm256_loadu_ps(row + 8 * j));
      }
    }
    VICINAL_UNROLL
    for (std::size_t j = 0; j < kRegisters; ++j) _mm256_storeu_ps(out + e + 8 * j, sums_f32x8[j]);
  }
}

}  // namespace

const AdcKernels adc = {score_block<TableOp>,
                        score_ids<TableOp>,
                        {table<Rank::kL2>, table<Rank::kIp>},
                        add_rows};

}  // namespace vicinal::kernels::avx2
