#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512 {
namespace {

// load: sixteen dimensions of a row as float32; first: those of them that the mask names.
struct F32 {
  static constexpr std::size_t kBytes = 4;
  static VICINAL_INLINE __m512 load(const std::byte* row, std::size_t i) noexcept {
    return _mm512_loadu_ps(row + 4 * i);
  }
  static VICINAL_INLINE __m512 first(__mmask16 live, const std::byte* row, std::size_t i) noexcept {
    return _mm512_maskz_loadu_ps(live, row + 4 * i);
  }
};

struct F16 {
  static constexpr std::size_t kBytes = 2;
  static VICINAL_INLINE __m512 load(const std::byte* row, std::size_t i) noexcept {
    return _mm512_cvtph_ps(load32(row + 2 * i));
  }
  static VICINAL_INLINE __m512 first(__mmask16 live, const std::byte* row, std::size_t i) noexcept {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(live, row + 2 * i));
  }
};

struct Bf16 {
  static constexpr std::size_t kBytes = 2;
  static VICINAL_INLINE __m512 widen(__m256i x) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
  static VICINAL_INLINE __m512 load(const std::byte* row, std::size_t i) noexcept {
    return widen(load32(row + 2 * i));
  }
  static VICINAL_INLINE __m512 first(__mmask16 live, const std::byte* row, std::size_t i) noexcept {
    return widen(_mm256_maskz_loadu_epi16(live, row + 2 * i));
  }
};

template <Rank rank>
VICINAL_INLINE __m512 add_term(__m512 sum_f32x16, __m512 query_f32x16,
                               __m512 row_f32x16) noexcept {
  if (rank == Rank::kIp) return _mm512_fmadd_ps(query_f32x16, row_f32x16, sum_f32x16);
  const __m512 diff_f32x16 = _mm512_sub_ps(query_f32x16, row_f32x16);
  return _mm512_fmadd_ps(diff_f32x16, diff_f32x16, sum_f32x16);
}

template <class Row, Rank rank>
struct FloatOp {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim * Row::kBytes; }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const float* q = static_cast<const float*>(query);
    __m512 sums_f32x16[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) sums_f32x16[j] = _mm512_setzero_ps();
    std::size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
      if (Row::kBytes == 4 || i % 32 == 0) group.prefetch(i * Row::kBytes);
      const __m512 q_f32x16 = _mm512_loadu_ps(q + i);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums_f32x16[j] = add_term<rank>(sums_f32x16[j], q_f32x16, Row::load(rows[j], i));
      }
    }
    if (i < dim) {
      group.prefetch(i * Row::kBytes);
      // Lanes outside the mask are never read, so the last row may end at a page edge.
      const auto live = static_cast<__mmask16>((1u << (dim % 16)) - 1);
      const __m512 q_f32x16 = _mm512_loadu_ps(q + i);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums_f32x16[j] = add_term<rank>(sums_f32x16[j], q_f32x16, Row::first(live, rows[j], i));
      }
    }
    store_floats<rank>(sum4(sums_f32x16), out);
  }
};

template <class Row>
constexpr RowKernels kernels_for(Decode decode) noexcept {
  return row_kernels<FloatOp<Row, Rank::kL2>, FloatOp<Row, Rank::kIp>>(decode);
}

// Codes as float32 against the float32 query; see table.h for the layouts.
VICINAL_INLINE __m512 to_floats(__m128i codes_u8x16) noexcept {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes_u8x16));
}

template <Rank rank>
struct Sq8Op {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m512 sums_f32x16[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) sums_f32x16[j] = _mm512_setzero_ps();
    for (std::size_t i = 0; i < dim; i += 16) {
      if (i % 64 == 0) group.prefetch(i);
      const __m512 q_f32x16 = _mm512_loadu_ps(q.values + i);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums_f32x16[j] =
            _mm512_fmadd_ps(q_f32x16, to_floats(load16(rows[j] + 16 + i)), sums_f32x16[j]);
      }
    }
    finish_values<rank>(q, rows, sum4(sums_f32x16), out);
  }
};

template <Rank rank>
struct Sq4Op {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    const __m512i mask = _mm512_set1_epi32(15);
    __m512 sums_f32x16[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) sums_f32x16[j] = _mm512_setzero_ps();
    const std::size_t whole = dim / 128 * 64;
    const std::size_t tail = nibble_tail(dim);
    const float* values = q.values;
    for (std::size_t i = 0; i < whole + tail; i += 16) {
      if (i % 64 == 0) group.prefetch(i);
      const __m512 low_f32x16 = _mm512_loadu_ps(values);
      const __m512 high_f32x16 = _mm512_loadu_ps(values + (i < whole ? 64 : tail));
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        const __m512i packed_u32x16 = _mm512_cvtepu8_epi32(load16(rows[j] + 16 + i));
        const __m512 code0_f32x16 = _mm512_cvtepi32_ps(_mm512_and_si512(packed_u32x16, mask));
        const __m512 code1_f32x16 = _mm512_cvtepi32_ps(_mm512_srli_epi32(packed_u32x16, 4));
        sums_f32x16[j] = _mm512_fmadd_ps(low_f32x16, code0_f32x16, sums_f32x16[j]);
        sums_f32x16[j] = _mm512_fmadd_ps(high_f32x16, code1_f32x16, sums_f32x16[j]);
      }
      values += i < whole && i % 64 == 48 ? 80 : 16;
    }
    finish_values<rank>(q, rows, sum4(sums_f32x16), out);
  }
};

}  // namespace

const RowKernels f32 = kernels_for<F32>(avx2::decode_f32);
const RowKernels f16 = kernels_for<F16>(avx2::decode_f16);
const RowKernels bf16 = kernels_for<Bf16>(avx2::decode_bf16);
const RowKernels sq8 = row_kernels<Sq8Op<Rank::kL2>, Sq8Op<Rank::kIp>>(avx2::decode_sq8);
const RowKernels sq4 = row_kernels<Sq4Op<Rank::kL2>, Sq4Op<Rank::kIp>>(avx2::decode_sq4);

}  // namespace vicinal::kernels::avx512
