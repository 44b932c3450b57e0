#include "kernels/avx2/avx2.h"
#include "kernels/packed_rows.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

template <int kDigits>
struct PackedSum {
  __m256i of[kDigits];
};

// Up to 16 bytes of a row that lie anywhere before its end; those behind them mean nothing, and
// the query is zero there. A load across the end of the row might leave the page.
struct Tail {
  std::size_t from;
  __m128i pick_u8x16;

  VICINAL_INLINE Tail(std::size_t at, std::size_t end) noexcept {
    from = at + 16 <= end ? at : end - 16;
    const __m128i places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    pick_u8x16 = _mm_add_epi8(places, _mm_set1_epi8(static_cast<char>(at - from)));
  }
  VICINAL_INLINE __m128i load(const std::byte* row) const noexcept {
    return _mm_shuffle_epi8(load16(row + from), pick_u8x16);
  }
};

template <int kWidth, bool kMapped, int kDigits, int kRows>
struct Plane {
  static constexpr int kShifts = 8 / kWidth;

  __m256i sums_i32x8[kDigits][kRows];
  __m256i levels_u8x32;
  std::size_t digit_bytes;

  VICINAL_INLINE Plane(const PackedPlane& plane, std::size_t bytes) noexcept
      : levels_u8x32(_mm256_broadcastsi128_si256(load16(plane.levels))), digit_bytes(bytes) {
    VICINAL_UNROLL
    for (int d = 0; d < kDigits; ++d) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) sums_i32x8[d][j] = _mm256_setzero_si256();
    }
  }

  VICINAL_INLINE __m256i codes_at(__m256i packed_u8x32, int k) const noexcept {
    if (k > 0) packed_u8x32 = _mm256_srli_epi16(packed_u8x32, k * kWidth);
    const __m256i code_u8x32 = _mm256_and_si256(packed_u8x32, _mm256_set1_epi8((1 << kWidth) - 1));
    return kMapped ? _mm256_shuffle_epi8(levels_u8x32, code_u8x32) : code_u8x32;
  }

  // kHalf: of 16 bytes, the upper half of the registers being zero; a level of zero need not be.
  // Codes themselves are small: the products of all shifts add up within 16 bits, at most
  // 2 * 2 * 15 * 127. Two levels of up to 127 fill them: 2 * 127 * 127.
  template <bool kHalf>
  VICINAL_INLINE void add(const __m256i* packed_u8x32, const std::int8_t* q) noexcept {
    const __m256i ones_i16x16 = _mm256_set1_epi16(1);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      __m256i pairs_i16x16[kDigits];
      VICINAL_UNROLL
      for (int d = 0; d < kDigits; ++d) pairs_i16x16[d] = _mm256_setzero_si256();
      VICINAL_UNROLL
      for (int k = 0; k < kShifts; ++k) {
        const __m256i code_u8x32 = codes_at(packed_u8x32[j], k);
        VICINAL_UNROLL
        for (int d = 0; d < kDigits; ++d) {
          const std::int8_t* at = q + 64 * k + d * digit_bytes;
          const __m256i q_i8x32 = kHalf ? _mm256_zextsi128_si256(load16(at)) : load32(at);
          const __m256i product_i16x16 = _mm256_maddubs_epi16(code_u8x32, q_i8x32);
          if (kMapped) {
            sums_i32x8[d][j] =
                _mm256_add_epi32(sums_i32x8[d][j], _mm256_madd_epi16(product_i16x16, ones_i16x16));
          } else {
            pairs_i16x16[d] = _mm256_add_epi16(pairs_i16x16[d], product_i16x16);
          }
        }
      }
      if (kMapped) continue;
      VICINAL_UNROLL
      for (int d = 0; d < kDigits; ++d) {
        sums_i32x8[d][j] =
            _mm256_add_epi32(sums_i32x8[d][j], _mm256_madd_epi16(pairs_i16x16[d], ones_i16x16));
      }
    }
  }

  VICINAL_INLINE void total(std::int32_t weight, PackedSum<kDigits>* sums) const noexcept {
    const __m256i weight_i32x8 = _mm256_set1_epi32(weight);
    VICINAL_UNROLL
    for (int d = 0; d < kDigits; ++d) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        sums[j].of[d] =
            _mm256_add_epi32(sums[j].of[d], _mm256_mullo_epi32(sums_i32x8[d][j], weight_i32x8));
      }
    }
  }
};

template <int kWidth, bool kMapped, int kDigits, class Rows>
VICINAL_INLINE const std::int8_t* add_plane(const PackedQuery& q, const PackedPlane& plane,
                                            const std::int8_t* codes, const Rows& group,
                                            std::size_t end, PackedSum<kDigits>* sums) noexcept {
  constexpr int kRows = Rows::kSize;
  using Sums = Plane<kWidth, kMapped, kDigits, kRows>;
  Sums plane_sums(plane, q.digit_bytes);
  __m256i packed_u8x32[kRows];
  std::size_t at = plane.offset;
  for (std::uint32_t line = 0; line < plane.lines; ++line, at += 64) {
    group.prefetch(at);
    VICINAL_UNROLL
    for (int half = 0; half < 64; half += 32) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) packed_u8x32[j] = load32(group.rows[j] + at + half);
      plane_sums.template add<false>(packed_u8x32, codes + half);
    }
    codes += 64 * Sums::kShifts;
  }
  const std::size_t tail = plane.tail;
  if (tail > 0) {
    group.prefetch(at);
    std::size_t i = 0;
    if (tail >= 32) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) packed_u8x32[j] = load32(group.rows[j] + at);
      plane_sums.template add<false>(packed_u8x32, codes);
      i = 32;
    }
    for (; i < tail; i += 16) {
      const Tail last(at + i, end);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        packed_u8x32[j] = _mm256_zextsi128_si256(last.load(group.rows[j]));
      }
      plane_sums.template add<true>(packed_u8x32, codes + i);
    }
    codes += 64 * Sums::kShifts;
  }
  plane_sums.total(plane.weight, sums);
  return codes;
}

// Whole bytes: products in 16 bits, vpmaddubsw would saturate.
template <int kDigits, class Rows>
VICINAL_INLINE const std::int8_t* add_bytes(const PackedQuery& q, const PackedPlane& plane,
                                            const std::int8_t* codes, const Rows& group,
                                            std::size_t end, PackedSum<kDigits>* sums) noexcept {
  constexpr int kRows = Rows::kSize;
  __m256i sums_i32x8[kDigits][kRows];
  VICINAL_UNROLL
  for (int d = 0; d < kDigits; ++d) {
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x8[d][j] = _mm256_setzero_si256();
  }
  const std::size_t dims = 64 * std::size_t{plane.lines} + plane.tail;
  for (std::size_t i = 0, line = 0; i < dims;) {
    group.prefetch(plane.offset + i);
    for (line += 64; i < line && i < dims; i += 16) {
      const Tail part(plane.offset + i, end);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const __m256i code_i16x16 = _mm256_cvtepu8_epi16(part.load(group.rows[j]));
        VICINAL_UNROLL
        for (int d = 0; d < kDigits; ++d) {
          const __m256i q_i16x16 = _mm256_cvtepi8_epi16(load16(codes + i + d * q.digit_bytes));
          sums_i32x8[d][j] =
              _mm256_add_epi32(sums_i32x8[d][j], _mm256_madd_epi16(code_i16x16, q_i16x16));
        }
      }
    }
  }
  const __m256i weight_i32x8 = _mm256_set1_epi32(plane.weight);
  VICINAL_UNROLL
  for (int d = 0; d < kDigits; ++d) {
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      sums[j].of[d] =
          _mm256_add_epi32(sums[j].of[d], _mm256_mullo_epi32(sums_i32x8[d][j], weight_i32x8));
    }
  }
  return codes + (dims + 63) / 64 * 64;
}

template <int kDigits>
struct PackedOp {
  using Sum = PackedSum<kDigits>;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const PackedQuery& q = *static_cast<const PackedQuery*>(query);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      VICINAL_UNROLL
      for (int d = 0; d < kDigits; ++d) sums[j].of[d] = _mm256_setzero_si256();
    }
    const std::size_t end = (dim + 15) / 16 * 16;
    const std::int8_t* codes = q.codes;
    for (std::uint32_t p = 0; p < q.plane_count; ++p) {
      const PackedPlane& plane = q.planes[p];
      switch (plane.width + plane.mapped) {
        case 1: codes = add_plane<1, false>(q, plane, codes, group, end, sums); break;
        case 2: codes = add_plane<2, false>(q, plane, codes, group, end, sums); break;
        case 3: codes = add_plane<2, true>(q, plane, codes, group, end, sums); break;
        case 4: codes = add_plane<4, false>(q, plane, codes, group, end, sums); break;
        case 5: codes = add_plane<4, true>(q, plane, codes, group, end, sums); break;
        default: codes = add_bytes(q, plane, codes, group, end, sums); break;
      }
    }
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    const PackedQuery& q = *static_cast<const PackedQuery*>(query);
    std::int32_t totals[kDigits][4];
    VICINAL_UNROLL
    for (int d = 0; d < kDigits; ++d) {
      const __m128i sum_i32x4 = sum4(sums[0].of[d], sums[1].of[d], sums[2].of[d], sums[3].of[d]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(totals[d]),
                       _mm_sub_epi32(sum_i32x4, _mm_set1_epi32(q.centre[d])));
    }
    packed_scores<kDigits, 4>(q, rows, totals, out);
  }
};

// Eight e4m3 codes as halves 2^-8 times as large: exponent and mantissa lie alike, and the sign,
// spread over the upper byte, leaves bit 14.
VICINAL_INLINE __m256 float8_values(const std::byte* at) noexcept {
  const __m128i code_i16x8 =
      _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
  const __m128i half_f16x8 =
      _mm_and_si128(_mm_slli_epi16(code_i16x8, 7), _mm_set1_epi16(static_cast<short>(0xBFFF)));
  return _mm256_cvtph_ps(half_f16x8);
}

struct Float8Op {
  using Sum = __m256;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    (void)dim;
    const Float8Query& q = *static_cast<const Float8Query*>(query);
    __m256 even_f32x8[kRows], odd_f32x8[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) even_f32x8[j] = odd_f32x8[j] = _mm256_setzero_ps();
    for (std::size_t i = 0, line = 0; i < q.dim;) {
      group.prefetch(i);
      for (line += 64; i < line && i < q.dim; i += 16) {
        const __m256 q0_f32x8 = _mm256_loadu_ps(q.values + i);
        const __m256 q1_f32x8 = _mm256_loadu_ps(q.values + i + 8);
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          const std::byte* at = group.rows[j] + i;
          even_f32x8[j] = _mm256_fmadd_ps(q0_f32x8, float8_values(at), even_f32x8[j]);
          odd_f32x8[j] = _mm256_fmadd_ps(q1_f32x8, float8_values(at + 8), odd_f32x8[j]);
        }
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm256_add_ps(even_f32x8[j], odd_f32x8[j]);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    const Float8Query& q = *static_cast<const Float8Query*>(query);
    float dots[4];
    _mm_storeu_ps(dots, sum4(sums));
    for (int j = 0; j < 4; ++j) out[j] = float8_score(q, rows[j], dots[j]);
  }
};

VICINAL_INLINE __m256 shorts_at(const std::byte* at, int shift) noexcept {
  const __m256i high_u32x8 = _mm256_cvtepu16_epi32(load16(at));
  return _mm256_castsi256_ps(shift == 15 ? _mm256_slli_epi32(high_u32x8, 15)
                                         : _mm256_slli_epi32(high_u32x8, 16));
}

VICINAL_INLINE __m256 floats_at(const std::byte* at) noexcept {
  return _mm256_loadu_ps(reinterpret_cast<const float*>(at));
}

void finish_blocks(const PackedFinish& how, const std::uint32_t* sums, PackedFactors factors,
                   const std::byte* mul, const std::byte* add, float* out) noexcept {
  for (std::size_t i = 0; i < 32; i += 8) {
    __m256 dot_f32x8 = _mm256_set1_ps(how.offset);
    for (std::size_t p = 0; p < how.passes; ++p) {
      const __m256 sum_f32x8 = _mm256_cvtepi32_ps(load32(sums + p * how.sums_stride + i));
      dot_f32x8 = _mm256_add_ps(dot_f32x8, _mm256_mul_ps(_mm256_set1_ps(how.scale[p]), sum_f32x8));
    }
    __m256 bias_f32x8 = _mm256_set1_ps(how.bias);
    const __m256 add_scale_f32x8 = _mm256_set1_ps(how.add_scale);
    if (factors == PackedFactors::kShort) {
      if (add != nullptr)
        bias_f32x8 =
            _mm256_add_ps(bias_f32x8, _mm256_mul_ps(add_scale_f32x8, shorts_at(add + 2 * i, 16)));
      dot_f32x8 = _mm256_mul_ps(dot_f32x8, shorts_at(mul + 2 * i, 15));
    } else if (factors == PackedFactors::kFloat) {
      if (add != nullptr)
        bias_f32x8 =
            _mm256_add_ps(bias_f32x8, _mm256_mul_ps(add_scale_f32x8, floats_at(add + 4 * i)));
      dot_f32x8 = _mm256_mul_ps(dot_f32x8, floats_at(mul + 4 * i));
    }
    // The maximum is its second operand where one is not a number.
    _mm256_storeu_ps(
        out + i, _mm256_max_ps(_mm256_set1_ps(how.least), _mm256_add_ps(bias_f32x8, dot_f32x8)));
  }
}

}  // namespace

const PackedKernels packed_codes = packed_kernels<PackedOp<1>, PackedOp<3>, Float8Op>(
    finish_blocks, score_each<sq8_int, Rank::kL2>, score_each<sq8_int, Rank::kIp>);

}  // namespace vicinal::kernels::avx2
