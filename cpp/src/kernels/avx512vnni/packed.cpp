#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/packed_rows.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512vnni {
namespace {

VICINAL_INLINE __mmask64 first_bytes(std::size_t live) noexcept {
  return live >= 64 ? ~__mmask64{0} : (__mmask64{1} << live) - 1;
}

// The instruction wants a number, also from compilers that do not unroll.
VICINAL_INLINE __m512i shifted(__m512i x, int by) noexcept {
  switch (by) {
    case 1: return _mm512_srli_epi16(x, 1);
    case 2: return _mm512_srli_epi16(x, 2);
    case 3: return _mm512_srli_epi16(x, 3);
    case 4: return _mm512_srli_epi16(x, 4);
    case 5: return _mm512_srli_epi16(x, 5);
    case 6: return _mm512_srli_epi16(x, 6);
    case 7: return _mm512_srli_epi16(x, 7);
    default: return x;
  }
}

template <int kDigits>
struct PackedSum {
  __m512i of[kDigits];
};

template <int kWidth, bool kMapped, int kDigits, int kRows>
struct Plane {
  static constexpr int kShifts = 8 / kWidth;
  // Shifts take turns between two sums: one chain of eight products would be slower than memory in
  // a scan.
  static constexpr int kChains = kDigits == 1 && kShifts > 1 ? 2 : 1;

  __m512i sums_i32x16[kChains][kDigits][kRows];
  __m512i levels_u8x64;
  std::size_t digit_bytes;

  VICINAL_INLINE Plane(const PackedPlane& plane, std::size_t bytes) noexcept
      : levels_u8x64(_mm512_broadcast_i32x4(load16(plane.levels))), digit_bytes(bytes) {
    VICINAL_UNROLL
    for (int c = 0; c < kChains; ++c) {
      VICINAL_UNROLL
      for (int d = 0; d < kDigits; ++d) {
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) sums_i32x16[c][d][j] = _mm512_setzero_si512();
      }
    }
  }

  VICINAL_INLINE __m512i codes_at(__m512i packed_u8x64, int k) const noexcept {
    if (kWidth == 8) return packed_u8x64;
    const __m512i code_u8x64 = _mm512_and_si512(
        shifted(packed_u8x64, k * kWidth), _mm512_set1_epi8(static_cast<char>((1 << kWidth) - 1)));
    return kMapped ? _mm512_shuffle_epi8(levels_u8x64, code_u8x64) : code_u8x64;
  }

  VICINAL_INLINE void add(const __m512i* packed_u8x64, const std::int8_t* q) noexcept {
    VICINAL_UNROLL
    for (int k = 0; k < kShifts; ++k) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const __m512i code_u8x64 = codes_at(packed_u8x64[j], k);
        VICINAL_UNROLL
        for (int d = 0; d < kDigits; ++d) {
          __m512i& sum_i32x16 = sums_i32x16[k % kChains][d][j];
          sum_i32x16 =
              _mm512_dpbusd_epi32(sum_i32x16, code_u8x64, load64(q + 64 * k + d * digit_bytes));
        }
      }
    }
  }

  VICINAL_INLINE void total(std::int32_t weight, PackedSum<kDigits>* sums) const noexcept {
    const __m512i weight_i32x16 = _mm512_set1_epi32(weight);
    VICINAL_UNROLL
    for (int d = 0; d < kDigits; ++d) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        __m512i sum_i32x16 = sums_i32x16[0][d][j];
        if (kChains == 2) {
          sum_i32x16 = _mm512_add_epi32(sum_i32x16, sums_i32x16[kChains - 1][d][j]);
        }
        sums[j].of[d] =
            _mm512_add_epi32(sums[j].of[d], _mm512_mullo_epi32(sum_i32x16, weight_i32x16));
      }
    }
  }
};

template <int kWidth, bool kMapped, int kDigits, class Rows>
VICINAL_INLINE const std::int8_t* add_plane(const PackedQuery& q, const PackedPlane& plane,
                                            const std::int8_t* codes, const Rows& group,
                                            PackedSum<kDigits>* sums) noexcept {
  constexpr int kRows = Rows::kSize;
  using Sums = Plane<kWidth, kMapped, kDigits, kRows>;
  Sums plane_sums(plane, q.digit_bytes);
  __m512i packed_u8x64[kRows];
  std::size_t at = plane.offset;
  for (std::uint32_t line = 0; line < plane.lines; ++line, at += 64) {
    group.prefetch(at);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) packed_u8x64[j] = load64(group.rows[j] + at);
    plane_sums.add(packed_u8x64, codes);
    codes += 64 * Sums::kShifts;
  }
  if (plane.tail > 0) {
    group.prefetch(at);
    const __mmask64 live = first_bytes(plane.tail);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      packed_u8x64[j] = _mm512_maskz_loadu_epi8(live, group.rows[j] + at);
    }
    plane_sums.add(packed_u8x64, codes);
    codes += 64 * Sums::kShifts;
  }
  plane_sums.total(plane.weight, sums);
  return codes;
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
    (void)dim;
    const PackedQuery& q = *static_cast<const PackedQuery*>(query);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      VICINAL_UNROLL
      for (int d = 0; d < kDigits; ++d) sums[j].of[d] = _mm512_setzero_si512();
    }
    const std::int8_t* codes = q.codes;
    for (std::uint32_t p = 0; p < q.plane_count; ++p) {
      const PackedPlane& plane = q.planes[p];
      switch (plane.width + plane.mapped) {
        case 1: codes = add_plane<1, false>(q, plane, codes, group, sums); break;
        case 2: codes = add_plane<2, false>(q, plane, codes, group, sums); break;
        case 3: codes = add_plane<2, true>(q, plane, codes, group, sums); break;
        case 4: codes = add_plane<4, false>(q, plane, codes, group, sums); break;
        case 5: codes = add_plane<4, true>(q, plane, codes, group, sums); break;
        default: codes = add_plane<8, false>(q, plane, codes, group, sums); break;
      }
    }
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    const PackedQuery& q = *static_cast<const PackedQuery*>(query);
    std::int32_t totals[kDigits][4];
    VICINAL_UNROLL
    for (int d = 0; d < kDigits; ++d) {
      const __m512i digit_i32x16[4] = {sums[0].of[d], sums[1].of[d], sums[2].of[d], sums[3].of[d]};
      _mm_storeu_si128(reinterpret_cast<__m128i*>(totals[d]),
                       _mm_sub_epi32(sum4(digit_i32x16), _mm_set1_epi32(q.centre[d])));
    }
    packed_scores<kDigits, 4>(q, rows, totals, out);
  }
};

// Sixteen e4m3 codes as halves 2^-8 times as large: exponent and mantissa lie alike, and the sign,
// spread over the upper byte, leaves bit 14.
VICINAL_INLINE __m512 float8_values(const std::byte* at) noexcept {
  const __m256i code_i16x16 = _mm256_cvtepi8_epi16(load16(at));
  const __m256i half_f16x16 = _mm256_and_si256(_mm256_slli_epi16(code_i16x16, 7),
                                               _mm256_set1_epi16(static_cast<short>(0xBFFF)));
  return _mm512_cvtph_ps(half_f16x16);
}

struct Float8Op {
  using Sum = __m512;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    (void)dim;
    const Float8Query& q = *static_cast<const Float8Query*>(query);
    __m512 even_f32x16[kRows], odd_f32x16[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) even_f32x16[j] = odd_f32x16[j] = _mm512_setzero_ps();
    const auto add16 = [&](__m512* to, std::size_t i) VICINAL_LAMBDA {
      const __m512 q_f32x16 = _mm512_loadu_ps(q.values + i);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        to[j] = _mm512_fmadd_ps(q_f32x16, float8_values(group.rows[j] + i), to[j]);
      }
    };
    std::size_t i = 0;
    for (; i + 64 <= q.dim; i += 64) {
      group.prefetch(i);
      add16(even_f32x16, i);
      add16(odd_f32x16, i + 16);
      add16(even_f32x16, i + 32);
      add16(odd_f32x16, i + 48);
    }
    if (i < q.dim) group.prefetch(i);
    // Codes behind the last dimension are finite, and the query is zero there.
    for (; i < q.dim; i += 16) add16(even_f32x16, i);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm512_add_ps(even_f32x16[j], odd_f32x16[j]);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    const Float8Query& q = *static_cast<const Float8Query*>(query);
    float dots[4];
    _mm_storeu_ps(dots, sum4(sums));
    for (int j = 0; j < 4; ++j) out[j] = float8_score(q, rows[j], dots[j]);
  }
};

VICINAL_INLINE __m512 shorts_at(const std::byte* at, int shift) noexcept {
  const __m512i high_u32x16 = _mm512_cvtepu16_epi32(load32(at));
  return _mm512_castsi512_ps(shift == 15 ? _mm512_slli_epi32(high_u32x16, 15)
                                         : _mm512_slli_epi32(high_u32x16, 16));
}

VICINAL_INLINE __m512 floats_at(const std::byte* at) noexcept { return _mm512_loadu_ps(at); }

void finish_blocks(const PackedFinish& how, const std::uint32_t* sums, PackedFactors factors,
                   const std::byte* mul, const std::byte* add, float* out) noexcept {
  VICINAL_UNROLL
  for (std::size_t i = 0; i < 32; i += 16) {
    __m512 dot_f32x16 = _mm512_set1_ps(how.offset);
    for (std::size_t p = 0; p < how.passes; ++p) {
      const __m512 sum_f32x16 = _mm512_cvtepi32_ps(load64(sums + p * how.sums_stride + i));
      dot_f32x16 =
          _mm512_add_ps(dot_f32x16, _mm512_mul_ps(_mm512_set1_ps(how.scale[p]), sum_f32x16));
    }
    __m512 bias_f32x16 = _mm512_set1_ps(how.bias);
    const __m512 add_scale_f32x16 = _mm512_set1_ps(how.add_scale);
    if (factors == PackedFactors::kShort) {
      if (add != nullptr)
        bias_f32x16 =
            _mm512_add_ps(bias_f32x16, _mm512_mul_ps(add_scale_f32x16, shorts_at(add + 2 * i, 16)));
      dot_f32x16 = _mm512_mul_ps(dot_f32x16, shorts_at(mul + 2 * i, 15));
    } else if (factors == PackedFactors::kFloat) {
      if (add != nullptr)
        bias_f32x16 =
            _mm512_add_ps(bias_f32x16, _mm512_mul_ps(add_scale_f32x16, floats_at(add + 4 * i)));
      dot_f32x16 = _mm512_mul_ps(dot_f32x16, floats_at(mul + 4 * i));
    }
    // The maximum is its second operand where one is not a number.
    _mm512_storeu_ps(
        out + i, _mm512_max_ps(_mm512_set1_ps(how.least), _mm512_add_ps(bias_f32x16, dot_f32x16)));
  }
}

// Four rows against some queries: with four, eight loads serve sixteen products, where one row and
// one query take two loads for one.
template <Rank rank, int kQueries>
void sq8_int_tiles(const void* const* queries, const std::byte* rows, std::size_t stride,
                   std::size_t n, std::size_t dim, float* const* out) noexcept {
  constexpr int kRows = 4;
  const ScalarQuery* query[kQueries];
  for (int q = 0; q < kQueries; ++q) query[q] = static_cast<const ScalarQuery*>(queries[q]);
  for (std::size_t first = 0; first < n; first += kRows) {
    const std::byte* group[kRows];
    for (std::size_t j = 0; j < kRows; ++j) {
      group[j] = rows + (first + j < n ? first + j : first) * stride;
    }
    __m512i sums_i32x16[kQueries][kRows];
    VICINAL_UNROLL
    for (int q = 0; q < kQueries; ++q) {
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) sums_i32x16[q][j] = _mm512_setzero_si512();
    }
    for (std::size_t i = 0; i < dim; i += 64) {
      const __mmask64 live = first_bytes(dim - i);
      __m512i codes_u8x64[kRows];
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        codes_u8x64[j] = _mm512_maskz_loadu_epi8(live, group[j] + 16 + i);
      }
      VICINAL_UNROLL
      for (int q = 0; q < kQueries; ++q) {
        const __m512i q_i8x64 = load64(query[q]->codes + i);
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          sums_i32x16[q][j] = _mm512_dpbusd_epi32(sums_i32x16[q][j], codes_u8x64[j], q_i8x64);
        }
      }
    }
    VICINAL_UNROLL
    for (int q = 0; q < kQueries; ++q) {
      float* const to = out[q] + first;
      if (first + kRows <= n) {
        finish_codes<rank>(*query[q], group, sum4(sums_i32x16[q]), to);
        continue;
      }
      float scores[kRows];
      finish_codes<rank>(*query[q], group, sum4(sums_i32x16[q]), scores);
      for (std::size_t j = 0; first + j < n; ++j) to[j] = scores[j];
    }
  }
}

template <Rank rank>
void sq8_int_many(const void* const* queries, std::size_t count, const std::byte* rows,
                  std::size_t stride, std::size_t n, std::size_t dim, float* const* out) noexcept {
  switch (count) {
    case 4: return sq8_int_tiles<rank, 4>(queries, rows, stride, n, dim, out);
    case 3: return sq8_int_tiles<rank, 3>(queries, rows, stride, n, dim, out);
    case 2: return sq8_int_tiles<rank, 2>(queries, rows, stride, n, dim, out);
    case 1: return sq8_int_tiles<rank, 1>(queries, rows, stride, n, dim, out);
    default: return;
  }
}

}  // namespace

const PackedKernels packed_codes = packed_kernels<PackedOp<1>, PackedOp<3>, Float8Op>(
    finish_blocks, sq8_int_many<Rank::kL2>, sq8_int_many<Rank::kIp>);

}  // namespace vicinal::kernels::avx512vnni
