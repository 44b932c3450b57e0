#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

// load8: eight dimensions of a row as float32; kGranule: dimensions in 16 stored bytes.
struct F32 {
  static constexpr std::size_t kGranule = 4;
  static constexpr std::size_t kBytes = 4;
  static VICINAL_INLINE __m256 load8(const std::byte* row, std::size_t i) noexcept {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(row) + i);
  }
};

struct F16 {
  static constexpr std::size_t kGranule = 8;
  static constexpr std::size_t kBytes = 2;
  static VICINAL_INLINE __m256 load8(const std::byte* row, std::size_t i) noexcept {
    return _mm256_cvtph_ps(load16(row + 2 * i));
  }
};

struct Bf16 {
  static constexpr std::size_t kGranule = 8;
  static constexpr std::size_t kBytes = 2;
  static VICINAL_INLINE __m256 load8(const std::byte* row, std::size_t i) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(row + 2 * i)), 16));
  }
};

template <Rank rank>
VICINAL_INLINE __m256 add_term(__m256 sum_f32x8, __m256 query_f32x8, __m256 row_f32x8) noexcept {
  if (rank == Rank::kIp) return _mm256_fmadd_ps(query_f32x8, row_f32x8, sum_f32x8);
  const __m256 diff_f32x8 = _mm256_sub_ps(query_f32x8, row_f32x8);
  return _mm256_fmadd_ps(diff_f32x8, diff_f32x8, sum_f32x8);
}

template <class Row, Rank rank>
struct FloatOp {
  using Sum = __m256;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim * Row::kBytes; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const float* q = static_cast<const float*>(query);
    const std::size_t padded = (dim + Row::kGranule - 1) / Row::kGranule * Row::kGranule;
    // Two sums per row: eight chains keep both multipliers busy.
    __m256 even[kRows], odd[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) even[j] = odd[j] = _mm256_setzero_ps();
    const auto add16 = [&](std::size_t i) VICINAL_LAMBDA {
      const __m256 q0_f32x8 = _mm256_loadu_ps(q + i);
      const __m256 q1_f32x8 = _mm256_loadu_ps(q + i + 8);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        even[j] = add_term<rank>(even[j], q0_f32x8, Row::load8(rows[j], i));
        odd[j] = add_term<rank>(odd[j], q1_f32x8, Row::load8(rows[j], i + 8));
      }
    };
    constexpr std::size_t kLine = 64 / Row::kBytes;  // dimensions in a cache line
    std::size_t i = 0;
    for (; i + kLine <= padded; i += kLine) {
      group.prefetch(i * Row::kBytes);
      add16(i);
      if (kLine == 32) add16(i + 16);
    }
    if (i < padded) group.prefetch(i * Row::kBytes);
    for (; i + 16 <= padded; i += 16) add16(i);
    if (i + 8 <= padded) {
      const __m256 q_f32x8 = _mm256_loadu_ps(q + i);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j)
        even[j] = add_term<rank>(even[j], q_f32x8, Row::load8(rows[j], i));
      i += 8;
    }
    if (Row::kGranule == 4 && i < padded) {
      const __m256 q_f32x8 = _mm256_zextps128_ps256(_mm_loadu_ps(q + i));
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const float* row = reinterpret_cast<const float*>(rows[j]);
        odd[j] = add_term<rank>(odd[j], q_f32x8, _mm256_zextps128_ps256(_mm_loadu_ps(row + i)));
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm256_add_ps(even[j], odd[j]);
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* sums,
                                    float* out) noexcept {
    store_floats<rank>(sum4(sums), out);
  }
};

template <class Row>
constexpr RowKernels kernels_for(Decode decode) noexcept {
  return row_kernels<FloatOp<Row, Rank::kL2>, FloatOp<Row, Rank::kIp>>(decode);
}

}  // namespace

const RowKernels f32 = kernels_for<F32>(decode_f32);
const RowKernels f16 = kernels_for<F16>(decode_f16);
const RowKernels bf16 = kernels_for<Bf16>(decode_bf16);

}  // namespace vicinal::kernels::avx2
