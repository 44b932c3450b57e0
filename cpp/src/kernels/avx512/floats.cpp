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

// Four sums per row: a scan meets one row at a time, and a single chain of additions would be
// slower than memory.
template <int kRows>
struct Chains {
  __m512 of[4][kRows];

  VICINAL_INLINE Chains() noexcept {
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) of[0][j] = of[1][j] = of[2][j] = of[3][j] = _mm512_setzero_ps();
  }
  VICINAL_INLINE void total(__m512* sums) const noexcept {
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      sums[j] = _mm512_add_ps(_mm512_add_ps(of[0][j], of[1][j]), _mm512_add_ps(of[2][j], of[3][j]));
    }
  }
};

template <class Row, Rank rank>
struct FloatOp {
  using Sum = __m512;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim * Row::kBytes; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const float* q = static_cast<const float*>(query);
    Chains<kRows> sums_f32x16;
    const auto add16 = [&](int chain, std::size_t i) VICINAL_LAMBDA {
      __m512* to = sums_f32x16.of[chain];
      const __m512 q_f32x16 = _mm512_loadu_ps(q + i);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        to[j] = add_term<rank>(to[j], q_f32x16, Row::load(rows[j], i));
      }
    };
    constexpr std::size_t kLine = 64 / Row::kBytes;  // dimensions in a cache line
    std::size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
      VICINAL_UNROLL
      for (int k = 0; k < 4; ++k) {
        if (k * 16 % kLine == 0) group.prefetch((i + 16 * k) * Row::kBytes);
        add16(k, i + 16 * k);
      }
    }
    VICINAL_UNROLL
    for (int k = 0; k < 3; ++k) {
      if (i + 16 > dim) break;
      if (k * 16 % kLine == 0) group.prefetch(i * Row::kBytes);
      add16(k, i);
      i += 16;
    }
    if (i < dim) {
      // Lanes outside the mask are never read, so the last row may end at a page edge.
      const auto live = static_cast<__mmask16>((1u << (dim % 16)) - 1);
      if (i % kLine == 0) group.prefetch(i * Row::kBytes);
      const __m512 q_f32x16 = _mm512_loadu_ps(q + i);
      __m512* to = sums_f32x16.of[3];
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        to[j] = add_term<rank>(to[j], q_f32x16, Row::first(live, rows[j], i));
      }
    }
    sums_f32x16.total(sums);
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

// Codes as float32 against the float32 query; see table.h for the layouts.
VICINAL_INLINE __m512 to_floats(__m128i codes_u8x16) noexcept {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes_u8x16));
}

template <Rank rank>
struct Sq8Op {
  using Sum = __m512;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    Chains<kRows> sums_f32x16;
    const auto add16 = [&](int chain, std::size_t i) VICINAL_LAMBDA {
      __m512* to = sums_f32x16.of[chain];
      const __m512 q_f32x16 = _mm512_loadu_ps(q.values + i);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        to[j] = _mm512_fmadd_ps(q_f32x16, to_floats(load16(rows[j] + 16 + i)), to[j]);
      }
    };
    std::size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
      group.prefetch(i);
      add16(0, i);
      add16(1, i + 16);
      add16(2, i + 32);
      add16(3, i + 48);
    }
    if (i < dim) group.prefetch(i);
    for (; i < dim; i += 16) add16(0, i);
    sums_f32x16.total(sums);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_values<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
  }
};

template <Rank rank>
struct Sq4Op {
  using Sum = __m512;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    // Nibbles become floats by looking them up, which ignores the bits above them.
    const __m512 floats_f32x16 =
        _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    Chains<kRows> sums_f32x16;
    const float* values = q.values;
    for (std::size_t base = 0; base < dim; base += 128, values += 128) {
      const std::size_t half = base + 128 <= dim ? 64 : nibble_tail(dim);
      const std::size_t at = 16 + base / 2;
      group.prefetch(base / 2);
      const auto add16 = [&](int chain, std::size_t i) VICINAL_LAMBDA {
        const __m512 low_f32x16 = _mm512_loadu_ps(values + i);
        const __m512 high_f32x16 = _mm512_loadu_ps(values + half + i);
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          __m512& sum0 = sums_f32x16.of[chain][j];
          __m512& sum1 = sums_f32x16.of[chain + 1][j];
          const __m512i packed_u32x16 = _mm512_cvtepu8_epi32(load16(rows[j] + at + i));
          const __m512 code0_f32x16 = _mm512_permutexvar_ps(packed_u32x16, floats_f32x16);
          const __m512 code1_f32x16 =
              _mm512_permutexvar_ps(_mm512_srli_epi32(packed_u32x16, 4), floats_f32x16);
          sum0 = _mm512_fmadd_ps(low_f32x16, code0_f32x16, sum0);
          sum1 = _mm512_fmadd_ps(high_f32x16, code1_f32x16, sum1);
        }
      };
      if (half == 64) {
        add16(0, 0);
        add16(2, 16);
        add16(0, 32);
        add16(2, 48);
      } else {
        for (std::size_t i = 0; i < half; i += 16) add16(0, i);
      }
    }
    sums_f32x16.total(sums);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_values<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
  }
};

}  // namespace

const RowKernels f32 = kernels_for<F32>(avx2::decode_f32);
const RowKernels f16 = kernels_for<F16>(avx2::decode_f16);
const RowKernels bf16 = kernels_for<Bf16>(avx2::decode_bf16);
const RowKernels sq8 = row_kernels<Sq8Op<Rank::kL2>, Sq8Op<Rank::kIp>>(avx2::decode_sq8);
const RowKernels sq4 = row_kernels<Sq4Op<Rank::kL2>, Sq4Op<Rank::kIp>>(avx2::decode_sq4);

}  // namespace vicinal::kernels::avx512
