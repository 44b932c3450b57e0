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
  using Sum = __m256i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const auto* q = static_cast<const std::byte*>(query);
    __m256i sums_i32x8[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x8[j] = _mm256_setzero_si256();
    for (std::size_t i = 0, line = 0; i < dim;) {
      group.prefetch(i);
      for (line += 64; i < line && i < dim; i += 16) {
        const __m256i q_i16x16 = Sign::widen(load16(q + i));
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          __m256i a_i16x16 = q_i16x16, b_i16x16 = Sign::widen(load16(rows[j] + i));
          if (rank == Rank::kL2) a_i16x16 = b_i16x16 = _mm256_sub_epi16(a_i16x16, b_i16x16);
          sums_i32x8[j] = _mm256_add_epi32(sums_i32x8[j], _mm256_madd_epi16(a_i16x16, b_i16x16));
        }
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = sums_i32x8[j];
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* sums,
                                    float* out) noexcept {
    store_integers<rank>(sum4(sums), out);
  }
};

template <Rank rank>
struct Sq8IntOp {
  using Sum = __m256i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m256i sums_i32x8[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x8[j] = _mm256_setzero_si256();
    for (std::size_t i = 0, line = 0; i < dim;) {
      group.prefetch(i);
      for (line += 64; i < line && i < dim; i += 16) {
        const __m256i q_i16x16 = _mm256_cvtepi8_epi16(load16(q.codes + i));
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          const __m256i code_i16x16 = _mm256_cvtepu8_epi16(load16(rows[j] + 16 + i));
          sums_i32x8[j] = _mm256_add_epi32(sums_i32x8[j], _mm256_madd_epi16(q_i16x16, code_i16x16));
        }
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = sums_i32x8[j];
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_codes<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
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
  using Sum = __m256i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m256i sums_i32x8[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x8[j] = _mm256_setzero_si256();
    const std::int8_t* codes = q.codes;
    std::size_t at = 16;
    for (std::size_t blocks = dim / 128; blocks > 0; --blocks, at += 64, codes += 128) {
      group.prefetch(at - 16);
      VICINAL_UNROLL
      for (int k = 0; k < 64; k += 32) {
        const __m256i low_i8x32 = load32(codes + k);
        const __m256i high_i8x32 = load32(codes + 64 + k);
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          sums_i32x8[j] =
              add_nibbles(sums_i32x8[j], load32(rows[j] + at + k), low_i8x32, high_i8x32);
        }
      }
    }
    const std::size_t half = nibble_tail(dim);
    std::size_t i = 0;
    if (half > 0) group.prefetch(at - 16);
    if (half >= 32) {
      const __m256i low_i8x32 = load32(codes);
      const __m256i high_i8x32 = load32(codes + half);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        sums_i32x8[j] = add_nibbles(sums_i32x8[j], load32(rows[j] + at), low_i8x32, high_i8x32);
      }
      i = 32;
    }
    for (; i < half; i += 16) {
      const __m256i low_i8x32 = _mm256_zextsi128_si256(load16(codes + i));
      const __m256i high_i8x32 = _mm256_zextsi128_si256(load16(codes + half + i));
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        sums_i32x8[j] =
            add_nibbles(sums_i32x8[j], _mm256_zextsi128_si256(load16(rows[j] + at + i)), low_i8x32,
                        high_i8x32);
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = sums_i32x8[j];
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_codes<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
  }
};

VICINAL_INLINE __m256 to_floats(__m128i codes_u8x8) noexcept {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes_u8x8));
}

// Sixteen codes of each row times sixteen values of the query.
template <int kRows>
VICINAL_INLINE void add_codes(__m256* even, __m256* odd, const __m128i* codes_u8x16,
                              const float* values) noexcept {
  const __m256 q0_f32x8 = _mm256_loadu_ps(values);
  const __m256 q1_f32x8 = _mm256_loadu_ps(values + 8);
  VICINAL_UNROLL
  for (int j = 0; j < kRows; ++j) {
    even[j] = _mm256_fmadd_ps(q0_f32x8, to_floats(codes_u8x16[j]), even[j]);
    odd[j] = _mm256_fmadd_ps(q1_f32x8, to_floats(_mm_srli_si128(codes_u8x16[j], 8)), odd[j]);
  }
}

template <Rank rank>
struct Sq8Op {
  using Sum = __m256;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m256 even[kRows], odd[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) even[j] = odd[j] = _mm256_setzero_ps();
    for (std::size_t i = 0, line = 0; i < dim;) {
      group.prefetch(i);
      for (line += 64; i < line && i < dim; i += 16) {
        __m128i codes_u8x16[kRows];
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) codes_u8x16[j] = load16(rows[j] + 16 + i);
        add_codes<kRows>(even, odd, codes_u8x16, q.values + i);
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm256_add_ps(even[j], odd[j]);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_values<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
  }
};

template <Rank rank>
struct Sq4Op {
  using Sum = __m256;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    const __m128i mask = _mm_set1_epi8(15);
    __m256 even[kRows], odd[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) even[j] = odd[j] = _mm256_setzero_ps();
    const float* values = q.values;
    for (std::size_t base = 0; base < dim; base += 128, values += 128) {
      const std::size_t half = base + 128 <= dim ? 64 : nibble_tail(dim);
      const std::size_t at = 16 + base / 2;
      group.prefetch(base / 2);
      for (std::size_t i = 0; i < half; i += 16) {
        __m128i low_u8x16[kRows], high_u8x16[kRows];
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          const __m128i packed = load16(rows[j] + at + i);
          low_u8x16[j] = _mm_and_si128(packed, mask);
          high_u8x16[j] = _mm_and_si128(_mm_srli_epi16(packed, 4), mask);
        }
        add_codes<kRows>(even, odd, low_u8x16, values + i);
        add_codes<kRows>(even, odd, high_u8x16, values + half + i);
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm256_add_ps(even[j], odd[j]);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_values<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
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
