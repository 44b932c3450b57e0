#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

struct Signed {
  static VICINAL_INLINE __m256i widen(__m128i x) noexcept { return _mm256_cvtepi8_epi16(x); }
};
struct Unsigned {
  static VICINAL_INLINE __m256i widen(__m128i x) noexcept { return _mm256_cvtepu8_epi16(x); }
};

// Products in 16 bits, sums in 32: vpmaddubsw on bytes would saturate.
template <class Sign, Rank rank>
struct ByteOp {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const auto* q = static_cast<const std::byte*>(query);
    __m256i sums_i32x8[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) sums_i32x8[j] = _mm256_setzero_si256();
    for (std::size_t i = 0; i < dim; i += 16) {
      if (i % 64 == 0) group.prefetch(i);
      const __m256i q_i16x16 = Sign::widen(load16(q + i));
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        __m256i a_i16x16 = q_i16x16, b_i16x16 = Sign::widen(load16(rows[j] + i));
        if (rank == Rank::kL2) a_i16x16 = b_i16x16 = _mm256_sub_epi16(a_i16x16, b_i16x16);
        sums_i32x8[j] = _mm256_add_epi32(sums_i32x8[j], _mm256_madd_epi16(a_i16x16, b_i16x16));
      }
    }
    store_integers<rank>(sum4(sums_i32x8[0], sums_i32x8[1], sums_i32x8[2], sums_i32x8[3]), out);
  }
};

template <Rank rank>
struct Sq8IntOp {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m256i sums_i32x8[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) sums_i32x8[j] = _mm256_setzero_si256();
    for (std::size_t i = 0; i < dim; i += 16) {
      if (i % 64 == 0) group.prefetch(i);
      const __m256i q_i16x16 = _mm256_cvtepi8_epi16(load16(q.codes + i));
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        const __m256i code_i16x16 = _mm256_cvtepu8_epi16(load16(rows[j] + 16 + i));
        sums_i32x8[j] = _mm256_add_epi32(sums_i32x8[j], _mm256_madd_epi16(q_i16x16, code_i16x16));
      }
    }
    finish_codes<rank>(q, rows,
                       sum4(sums_i32x8[0], sums_i32x8[1], sums_i32x8[2], sums_i32x8[3]), out);
  }
};

// 15 * 128 * 2 * 2 stays within 16 bits, so two nibble products per lane add up before widening.
VICINAL_INLINE __m256i add_nibbles(__m256i sums_i32x8, __m256i packed_u8x32, __m256i q_low_i8x32,
                                   __m256i q_high_i8x32) noexcept {
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i low_u8x32 = _mm256_and_si256(packed_u8x32, mask);
  const __m256i high_u8x32 = _mm256_and_si256(_mm256_srli_epi16(packed_u8x32, 4), mask);
  const __m256i sum_i16x16 = _mm256_add_epi16(_mm256_maddubs_epi16(low_u8x32, q_low_i8x32),
                                              _mm256_maddubs_epi16(high_u8x32, q_high_i8x32));
  return _mm256_add_epi32(sums_i32x8, _mm256_madd_epi16(sum_i16x16, _mm256_set1_epi16(1)));
}

template <Rank rank>
struct Sq4IntOp {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m256i sums_i32x8[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) sums_i32x8[j] = _mm256_setzero_si256();
    const std::int8_t* codes = q.codes;
    std::size_t at = 16;
    for (std::size_t blocks = dim / 128 * 2; blocks > 0; --blocks, at += 32) {
      if (blocks % 2 == 0) group.prefetch(at - 16);
      const __m256i low_i8x32 = load32(codes);
      const __m256i high_i8x32 = load32(codes + 64);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums_i32x8[j] = add_nibbles(sums_i32x8[j], load32(rows[j] + at), low_i8x32, high_i8x32);
      }
      codes += blocks % 2 == 0 ? 32 : 96;
    }
    const std::size_t half = nibble_tail(dim);
    std::size_t i = 0;
    if (half > 0) group.prefetch(at - 16);
    if (half >= 32) {
      const __m256i low_i8x32 = load32(codes);
      const __m256i high_i8x32 = load32(codes + half);
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums_i32x8[j] = add_nibbles(sums_i32x8[j], load32(rows[j] + at), low_i8x32, high_i8x32);
      }
      i = 32;
    }
    for (; i < half; i += 16) {
      const __m256i low_i8x32 = _mm256_zextsi128_si256(load16(codes + i));
      const __m256i high_i8x32 = _mm256_zextsi128_si256(load16(codes + half + i));
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums_i32x8[j] =
            add_nibbles(sums_i32x8[j], _mm256_zextsi128_si256(load16(rows[j] + at + i)), low_i8x32,
                        high_i8x32);
      }
    }
    finish_codes<rank>(q, rows,
                       sum4(sums_i32x8[0], sums_i32x8[1], sums_i32x8[2], sums_i32x8[3]), out);
  }
};

VICINAL_INLINE __m256 to_floats(__m128i codes_u8x8) noexcept {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes_u8x8));
}

// Sixteen codes of each of four rows times sixteen values of the query.
VICINAL_INLINE void add_codes(__m256* even, __m256* odd, const __m128i* codes_u8x16,
                              const float* values) noexcept {
  const __m256 q0_f32x8 = _mm256_loadu_ps(values);
  const __m256 q1_f32x8 = _mm256_loadu_ps(values + 8);
  VICINAL_UNROLL
  for (int j = 0; j < 4; ++j) {
    even[j] = _mm256_fmadd_ps(q0_f32x8, to_floats(codes_u8x16[j]), even[j]);
    odd[j] = _mm256_fmadd_ps(q1_f32x8, to_floats(_mm_srli_si128(codes_u8x16[j], 8)), odd[j]);
  }
}

VICINAL_INLINE __m128 sum_pairs(const __m256* even, const __m256* odd) noexcept {
  return sum4(_mm256_add_ps(even[0], odd[0]), _mm256_add_ps(even[1], odd[1]),
              _mm256_add_ps(even[2], odd[2]), _mm256_add_ps(even[3], odd[3]));
}

template <Rank rank>
struct Sq8Op {
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  static VICINAL_INLINE void score(const void* query, const Group<4>& group,
                                   std::size_t dim, float* out) noexcept {
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m256 even[4], odd[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) even[j] = odd[j] = _mm256_setzero_ps();
    for (std::size_t i = 0; i < dim; i += 16) {
      if (i % 64 == 0) group.prefetch(i);
      __m128i codes_u8x16[4];
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) codes_u8x16[j] = load16(rows[j] + 16 + i);
      add_codes(even, odd, codes_u8x16, q.values + i);
    }
    finish_values<rank>(q, rows, sum_pairs(even, odd), out);
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
    const __m128i mask = _mm_set1_epi8(15);
    __m256 even[4], odd[4];
    VICINAL_UNROLL
    for (int j = 0; j < 4; ++j) even[j] = odd[j] = _mm256_setzero_ps();
    const std::size_t whole = dim / 128 * 64;
    const std::size_t tail = nibble_tail(dim);
    const float* values = q.values;
    for (std::size_t i = 0; i < whole + tail; i += 16) {
      if (i % 64 == 0) group.prefetch(i);
      const std::size_t half = i < whole ? 64 : tail;
      __m128i low_u8x16[4], high_u8x16[4];
      VICINAL_UNROLL
      for (int j = 0; j < 4; ++j) {
        const __m128i packed = load16(rows[j] + 16 + i);
        low_u8x16[j] = _mm_and_si128(packed, mask);
        high_u8x16[j] = _mm_and_si128(_mm_srli_epi16(packed, 4), mask);
      }
      add_codes(even, odd, low_u8x16, values);
      add_codes(even, odd, high_u8x16, values + half);
      values += i < whole && i % 64 == 48 ? 80 : 16;
    }
    finish_values<rank>(q, rows, sum_pairs(even, odd), out);
  }
};

}  // namespace

const RowKernels i8 = row_kernels<ByteOp<Signed, Rank::kL2>, ByteOp<Signed, Rank::kIp>>(decode_i8);
const RowKernels u8 =
    row_kernels<ByteOp<Unsigned, Rank::kL2>, ByteOp<Unsigned, Rank::kIp>>(decode_u8);
const RowKernels sq8 = row_kernels<Sq8Op<Rank::kL2>, Sq8Op<Rank::kIp>>(decode_sq8);
const RowKernels sq4 = row_kernels<Sq4Op<Rank::kL2>, Sq4Op<Rank::kIp>>(decode_sq4);
const RowKernels sq8_int = row_kernels<Sq8IntOp<Rank::kL2>, Sq8IntOp<Rank::kIp>>(decode_sq8);
const RowKernels sq4_int = row_kernels<Sq4IntOp<Rank::kL2>, Sq4IntOp<Rank::kIp>>(decode_sq4);

}  // namespace vicinal::kernels::avx2
