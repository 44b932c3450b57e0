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
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim * Row::kBytes; }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const float* q = static_cast<const float*>(query);
    const std::size_t padded = (dim + Row::kGranule - 1) / Row::kGranule * Row::kGranule;
    // Two sums per row: eight chains keep both multipliers busy.
    __m256 even[4], odd[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) even[j] = odd[j] = _mm256_setzero_ps();
    std::size_t i = 0;
    for (; i + 16 <= padded; i += 16) {
      if (Row::kBytes == 4 || i % 32 == 0) group.prefetch(i * Row::kBytes);
      const __m256 q0_f32x8 = _mm256_loadu_ps(q + i);
      const __m256 q1_f32x8 = _mm256_loadu_ps(q + i + 8);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        even[j] = add_term<rank>(even[j], q0_f32x8, Row::load8(rows[j], i));
        odd[j] = add_term<rank>(odd[j], q1_f32x8, Row::load8(rows[j], i + 8));
      }
    }
    if (i < padded) group.prefetch(i * Row::kBytes);
    if (i + 8 <= padded) {
      const __m256 q_f32x8 = _mm256_loadu_ps(q + i);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) even[j] = add_term<rank>(even[j], q_f32x8, Row::load8(rows[j], i));
      i += 8;
    }
    if (Row::kGranule == 4 && i < padded) {
      const __m256 q_f32x8 = _mm256_zextps128_ps256(_mm_loadu_ps(q + i));
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        const float* row = reinterpret_cast<const float*>(rows[j]);
        odd[j] = add_term<rank>(odd[j], q_f32x8, _mm256_zextps128_ps256(_mm_loadu_ps(row + i)));
      }
    }
    store_floats<rank>(sum4(_mm256_add_ps(even[0], odd[0]), _mm256_add_ps(even[1], odd[1]),
                            _mm256_add_ps(even[2], odd[2]), _mm256_add_ps(even[3], odd[3])),
                       out);
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
