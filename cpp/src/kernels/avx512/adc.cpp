#include "kernels/adc_rows.h"
#include "kernels/avx512/avx512.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512 {
namespace {

constexpr std::size_t kRegisters = 16;  // a whole table of 256 entries: its columns are one stream

// Products are rounded before they are added, as at the other levels: no fused steps.
template <Rank rank, std::size_t N>
VICINAL_INLINE void some_entries(const float* query, const float* columns, std::size_t width,
                                 std::size_t entries, float* out) noexcept {
  __m512 sums_f32x16[N];
  VICINAL_UNROLL
  for (std::size_t j = 0; j < N; ++j) sums_f32x16[j] = _mm512_setzero_ps();
  for (std::size_t d = 0; d < width; ++d, columns += entries) {
    const __m512 q_f32x16 = _mm512_set1_ps(query[d]);
    VICINAL_UNROLL
    for (std::size_t j = 0; j < N; ++j) {
      const __m512 x_f32x16 = _mm512_loadu_ps(columns + 16 * j);
      if (rank == Rank::kL2) {
        const __m512 diff_f32x16 = _mm512_sub_ps(q_f32x16, x_f32x16);
        sums_f32x16[j] = _mm512_add_ps(sums_f32x16[j], _mm512_mul_ps(diff_f32x16, diff_f32x16));
      } else {
        sums_f32x16[j] = _mm512_sub_ps(sums_f32x16[j], _mm512_mul_ps(q_f32x16, x_f32x16));
      }
    }
  }
  VICINAL_UNROLL
  for (std::size_t j = 0; j < N; ++j) _mm512_storeu_ps(out + 16 * j, sums_f32x16[j]);
}

template <Rank rank>
void table(const float* query, const float* columns, std::size_t width, std::size_t entries,
           float* out) noexcept {
  constexpr std::size_t kMany = 16 * kRegisters;
  std::size_t e = 0;
  for (; e + kMany <= entries; e += kMany) {
    some_entries<rank, kRegisters>(query, columns + e, width, entries, out + e);
  }
  for (; e < entries; e += 16) {
    some_entries<rank, 1>(query, columns + e, width, entries, out + e);
  }
}

void add_rows(const float* first, const float* const* rows, std::size_t n, float* out) noexcept {
  static_assert(16 * kRegisters == kAdcEntries);
  __m512 sums_f32x16[kRegisters];
  VICINAL_UNROLL
  for (std::size_t j = 0; j < kRegisters; ++j) sums_f32x16[j] = _mm512_loadu_ps(first + 16 * j);
  for (std::size_t r = 0; r < n; ++r) {
    const float* row = rows[r];
    VICINAL_UNROLL
    for (std::size_t j = 0; j < kRegisters; ++j) {
      sums_f32x16[j] = _mm512_add_ps(sums_f32x16[j], _mm512_loadu_ps(row + 16 * j));
    }
  }
  VICINAL_UNROLL
  for (std::size_t j = 0; j < kRegisters; ++j) _mm512_storeu_ps(out + 16 * j, sums_f32x16[j]);
}

}  // namespace

const AdcKernels adc = {score_block<TableOp>,
                        score_ids<TableOp>,
                        {table<Rank::kL2>, table<Rank::kIp>},
                        add_rows};

}  // namespace vicinal::kernels::avx512
