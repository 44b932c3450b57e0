#include "kernels/avx2/avx2.h"
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/x86_512.h"

namespace vicinal::kernels::avx512vnni {
namespace {

VICINAL_INLINE __mmask64 first_bytes(std::size_t live) noexcept {
  return live >= 64 ? ~__mmask64{0} : (__mmask64{1} << live) - 1;
}

// The last bytes of a row, 1 to 63, and the zeros up to the next multiple of 16. A masked load of
// 64 bytes would touch the line behind the row, which nobody asked memory for: on Zen 4, graphs of
// 784 or 80 dimensions waited for it at every row.
template <int sixteens>
VICINAL_INLINE __m512i load_last(const std::byte* at) noexcept {
  if constexpr (sixteens == 1) return _mm512_zextsi128_si512(load16(at));
  if constexpr (sixteens == 2) return _mm512_zextsi256_si512(load32(at));
  if constexpr (sixteens == 3) {
    return _mm512_inserti32x4(_mm512_zextsi256_si512(load32(at)), load16(at + 32), 2);
  }
  return load64(at);
}

/// Calls use(loader) with the load_last() of so many bytes.
template <class Use>
VICINAL_INLINE void with_last(std::size_t bytes, const Use& use) noexcept {
  switch ((bytes + 15) / 16) {
    case 1: return use([](const std::byte* at) VICINAL_LAMBDA { return load_last<1>(at); });
    case 2: return use([](const std::byte* at) VICINAL_LAMBDA { return load_last<2>(at); });
    case 3: return use([](const std::byte* at) VICINAL_LAMBDA { return load_last<3>(at); });
    default: return use([](const std::byte* at) VICINAL_LAMBDA { return load_last<4>(at); });
  }
}

VICINAL_INLINE __m512i flipped(__m512i x) noexcept {
  return _mm512_xor_si512(x, _mm512_set1_epi8(-128));
}

// vpdpbusd multiplies unsigned by signed bytes and adds four products into 32 bits, exactly.
// Signed rows: <q, r> = <q, r + 128> - 128 sum(q). Unsigned ones: <q, r> = <q - 128, r> + 128
// sum(r).
struct SignedIp {
  using Sum = __m512i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const auto* q = static_cast<const std::byte*>(query);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sums_i32x16[kRows], query_i32x16 = _mm512_setzero_si512();
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x16[j] = _mm512_setzero_si512();
    for (std::size_t i = 0; i < dim; i += 64) {
      group.prefetch(i);
      const __m512i q_i8x64 = load64(q + i);
      const __mmask64 live = first_bytes(dim - i);
      query_i32x16 = _mm512_dpbusd_epi32(query_i32x16, ones, q_i8x64);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const __m512i row_u8x64 = flipped(_mm512_maskz_loadu_epi8(live, rows[j] + i));
        sums_i32x16[j] = _mm512_dpbusd_epi32(sums_i32x16[j], row_u8x64, q_i8x64);
      }
    }
    const __m512i shift_i32x16 = _mm512_slli_epi32(query_i32x16, 7);
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm512_sub_epi32(sums_i32x16[j], shift_i32x16);
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* sums,
                                    float* out) noexcept {
    store_integers<Rank::kIp>(sum4(sums), out);
  }
};

struct UnsignedIp {
  using Sum = __m512i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const auto* q = static_cast<const std::byte*>(query);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sums_i32x16[kRows], rows_i32x16[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x16[j] = rows_i32x16[j] = _mm512_setzero_si512();
    for (std::size_t i = 0; i < dim; i += 64) {
      group.prefetch(i);
      const __m512i q_i8x64 = flipped(load64(q + i));
      const __mmask64 live = first_bytes(dim - i);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const __m512i row_u8x64 = _mm512_maskz_loadu_epi8(live, rows[j] + i);
        sums_i32x16[j] = _mm512_dpbusd_epi32(sums_i32x16[j], row_u8x64, q_i8x64);
        rows_i32x16[j] = _mm512_dpbusd_epi32(rows_i32x16[j], row_u8x64, ones);
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) {
      sums[j] = _mm512_add_epi32(sums_i32x16[j], _mm512_slli_epi32(rows_i32x16[j], 7));
    }
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* sums,
                                    float* out) noexcept {
    store_integers<Rank::kIp>(sum4(sums), out);
  }
};

// Squared differences need 16-bit lanes: a difference of bytes has nine bits.
template <bool is_signed>
struct ByteL2 {
  using Sum = __m512i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  static VICINAL_INLINE __m512i widen(__m256i x) noexcept {
    return is_signed ? _mm512_cvtepi8_epi16(x) : _mm512_cvtepu8_epi16(x);
  }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const auto* q = static_cast<const std::byte*>(query);
    __m512i sums_i32x16[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x16[j] = _mm512_setzero_si512();
    const auto add32 = [&](std::size_t i) VICINAL_LAMBDA {
      const __m512i q_i16x32 = widen(load32(q + i));
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const __m512i diff_i16x32 = _mm512_sub_epi16(q_i16x32, widen(load32(rows[j] + i)));
        sums_i32x16[j] = _mm512_dpwssd_epi32(sums_i32x16[j], diff_i16x32, diff_i16x32);
      }
    };
    std::size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
      group.prefetch(i);
      add32(i);
      add32(i + 32);
    }
    if (i < dim) group.prefetch(i);
    if (i + 32 <= dim) {
      add32(i);
      i += 32;
    }
    if (i < dim) {
      const auto live = static_cast<__mmask32>((1u << (dim - i)) - 1);
      const __m512i q_i16x32 = widen(load32(q + i));
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        const __m512i diff_i16x32 =
            _mm512_sub_epi16(q_i16x32, widen(_mm256_maskz_loadu_epi8(live, rows[j] + i)));
        sums_i32x16[j] = _mm512_dpwssd_epi32(sums_i32x16[j], diff_i16x32, diff_i16x32);
      }
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = sums_i32x16[j];
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* sums,
                                    float* out) noexcept {
    store_integers<Rank::kL2>(sum4(sums), out);
  }
};

template <Rank rank>
struct Sq8IntOp {
  using Sum = __m512i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m512i sums_i32x16[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums_i32x16[j] = _mm512_setzero_si512();
    std::size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
      group.prefetch(i);
      const __m512i q_i8x64 = load64(q.codes + i);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        sums_i32x16[j] = _mm512_dpbusd_epi32(sums_i32x16[j], load64(rows[j] + 16 + i), q_i8x64);
      }
    }
    if (i < dim) {
      group.prefetch(i);
      const __m512i q_i8x64 = load64(q.codes + i);
      with_last(dim - i, [&](const auto& load) VICINAL_LAMBDA {
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          sums_i32x16[j] = _mm512_dpbusd_epi32(sums_i32x16[j], load(rows[j] + 16 + i), q_i8x64);
        }
      });
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = sums_i32x16[j];
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_codes<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
  }
};

template <Rank rank>
struct Sq4IntOp {
  using Sum = __m512i;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  // Low and high nibbles have a sum each: one chain of both would be slower than memory in a scan.
  static VICINAL_INLINE void add_nibbles(__m512i& low_i32x16, __m512i& high_i32x16,
                                         __m512i packed_u8x64, __m512i q_low_i8x64,
                                         __m512i q_high_i8x64) noexcept {
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i low_u8x64 = _mm512_and_si512(packed_u8x64, mask);
    const __m512i high_u8x64 = _mm512_and_si512(_mm512_srli_epi16(packed_u8x64, 4), mask);
    low_i32x16 = _mm512_dpbusd_epi32(low_i32x16, low_u8x64, q_low_i8x64);
    high_i32x16 = _mm512_dpbusd_epi32(high_i32x16, high_u8x64, q_high_i8x64);
  }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sums) noexcept {
    constexpr int kRows = Rows::kSize;
    const std::byte* const* rows = group.rows;
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    __m512i low_i32x16[kRows], high_i32x16[kRows];
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) low_i32x16[j] = high_i32x16[j] = _mm512_setzero_si512();
    const std::int8_t* codes = q.codes;
    std::size_t at = 16;
    for (std::size_t blocks = dim / 128; blocks > 0; --blocks, at += 64, codes += 128) {
      group.prefetch(at - 16);
      const __m512i low_i8x64 = load64(codes);
      const __m512i high_i8x64 = load64(codes + 64);
      VICINAL_UNROLL
      for (int j = 0; j < kRows; ++j) {
        add_nibbles(low_i32x16[j], high_i32x16[j], load64(rows[j] + at), low_i8x64, high_i8x64);
      }
    }
    const std::size_t half = nibble_tail(dim);
    if (half > 0) {
      group.prefetch(at - 16);
      const __m512i low_i8x64 = load64(codes);
      const __m512i high_i8x64 = load64(codes + half);
      with_last(half, [&](const auto& load) VICINAL_LAMBDA {
        VICINAL_UNROLL
        for (int j = 0; j < kRows; ++j) {
          add_nibbles(low_i32x16[j], high_i32x16[j], load(rows[j] + at), low_i8x64, high_i8x64);
        }
      });
    }
    VICINAL_UNROLL
    for (int j = 0; j < kRows; ++j) sums[j] = _mm512_add_epi32(low_i32x16[j], high_i32x16[j]);
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    finish_codes<rank>(*static_cast<const ScalarQuery*>(query), rows, sum4(sums), out);
  }
};

}  // namespace

const RowKernels i8 = row_kernels<ByteL2<true>, SignedIp>(avx2::decode_i8);
const RowKernels u8 = row_kernels<ByteL2<false>, UnsignedIp>(avx2::decode_u8);
const RowKernels sq8_int = row_kernels<Sq8IntOp<Rank::kL2>, Sq8IntOp<Rank::kIp>>(avx2::decode_sq8);
const RowKernels sq4_int = row_kernels<Sq4IntOp<Rank::kL2>, Sq4IntOp<Rank::kIp>>(avx2::decode_sq4);

}  // namespace vicinal::kernels::avx512vnni
