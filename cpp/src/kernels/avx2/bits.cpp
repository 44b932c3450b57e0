#include "kernels/bits.h"

#include <cstring>

#include "kernels/avx2/avx2.h"
#include "kernels/x86.h"

namespace vicinal::kernels::avx2 {
namespace {

constexpr std::size_t kTreeWords = 16;  // from here on adders save more than they cost
constexpr std::size_t kTreeStep = 8;

// Bits set in each byte.
VICINAL_INLINE __m256i ones_u8(__m256i x) noexcept {
  const __m256i of_nibble_u8x32 =
      _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                       0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low_u8x32 = _mm256_set1_epi8(15);
  const __m256i lower_u8x32 = _mm256_and_si256(x, low_u8x32);
  const __m256i upper_u8x32 = _mm256_and_si256(_mm256_srli_epi16(x, 4), low_u8x32);
  return _mm256_add_epi8(_mm256_shuffle_epi8(of_nibble_u8x32, lower_u8x32),
                         _mm256_shuffle_epi8(of_nibble_u8x32, upper_u8x32));
}

// hits: which of the four lanes of count - bar pass.
struct Differing {
  static constexpr std::size_t kByteWords = 31;  // tallies, 8 a byte at most, that fit a byte
  static VICINAL_INLINE __m256i tally_u8(__m256i joined) noexcept { return ones_u8(joined); }
  static VICINAL_INLINE std::uint64_t join(std::uint64_t a, std::uint64_t b) noexcept {
    return a ^ b;
  }
  static VICINAL_INLINE __m256i join(__m256i a, __m256i b) noexcept {
    return _mm256_xor_si256(a, b);
  }
  static VICINAL_INLINE unsigned hits(__m256i over_i64x4) noexcept {
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(over_i64x4)));
  }
};

struct Common {
  static constexpr std::size_t kByteWords = 31;
  static VICINAL_INLINE __m256i tally_u8(__m256i joined) noexcept { return ones_u8(joined); }
  static VICINAL_INLINE std::uint64_t join(std::uint64_t a, std::uint64_t b) noexcept {
    return a & b;
  }
  static VICINAL_INLINE __m256i join(__m256i a, __m256i b) noexcept {
    return _mm256_and_si256(a, b);
  }
  static VICINAL_INLINE unsigned hits(__m256i over_i64x4) noexcept {
    return ~Differing::hits(over_i64x4) & 15u;
  }
};

struct Least {
  static constexpr std::size_t kByteWords = 3;  // numbers, at most 64, that fit a byte
  static VICINAL_INLINE __m256i tally_u8(__m256i joined) noexcept { return joined; }
  static VICINAL_INLINE __m256i join(__m256i a, __m256i b) noexcept {
    return _mm256_min_epu8(a, b);
  }
  static VICINAL_INLINE unsigned hits(__m256i over_i64x4) noexcept {
    return Common::hits(over_i64x4);
  }
};

VICINAL_INLINE std::uint64_t word_at(const std::byte* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

VICINAL_INLINE std::uint64_t ones(std::uint64_t word) noexcept {
  return static_cast<std::uint64_t>(_mm_popcnt_u64(word));
}

template <class Op>
void count_rows(const std::byte* query, const std::byte* rows, std::size_t stride, std::size_t n,
                std::size_t bytes, std::uint32_t* out) noexcept {
  const std::size_t end = (bytes + 7) / 8 * 8;
  const auto joined = [query](const std::byte* row, std::size_t at) VICINAL_LAMBDA {
    return ones(Op::join(word_at(query + at), word_at(row + at)));
  };
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* row = rows + i * stride;
    std::uint64_t sums[4] = {0, 0, 0, 0};
    std::size_t at = 0;
    for (; at + 32 <= end; at += 32) {
      prefetch_line(row + at + kScanAhead);
      for (std::size_t j = 0; j < 4; ++j) sums[j] += joined(row, at + 8 * j);
    }
    for (; at < end; at += 8) sums[0] += joined(row, at);
    out[i] = static_cast<std::uint32_t>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
}

// The bytes of each 64-bit lane added.
VICINAL_INLINE __m256i lanes_of(__m256i bytes_u8x32) noexcept {
  return _mm256_sad_epu8(bytes_u8x32, _mm256_setzero_si256());
}
VICINAL_INLINE __m256i ones_u64(__m256i x) noexcept { return lanes_of(ones_u8(x)); }

VICINAL_INLINE __m256i four_of(std::uint64_t word) noexcept {
  return _mm256_set1_epi64x(static_cast<long long>(word));
}
VICINAL_INLINE __m256i minus(std::uint32_t bar) noexcept {
  return _mm256_set1_epi64x(-static_cast<long long>(bar));
}

// Rows are counted in halves of four: lane r of `over` is the count of row first + r less the bar.
VICINAL_INLINE void keep(unsigned hits, __m256i over_i64x4, std::size_t first, std::size_t q,
                         BitTile* tile) noexcept {
  long long over[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(over), over_i64x4);
  for (std::size_t r = 0; hits != 0; ++r, hits >>= 1) {
    if ((hits & 1u) == 0) continue;
    const std::uint32_t at = tile->found[q]++;
    tile->rows[q][at] = static_cast<std::uint32_t>(first + r);
    tile->counts[q][at] = static_cast<std::uint32_t>(over[r] + tile->bar[q]);
  }
}

template <class Op, int Q>
VICINAL_INLINE void scan_some(const std::byte* blocks, std::size_t n, std::size_t words,
                              std::size_t first, BitTile* tile) noexcept {
  const std::uint64_t* query[Q];
  for (int q = 0; q < Q; ++q) query[q] = tile->query[first + static_cast<std::size_t>(q)];
  for (std::size_t half = 0; half < 2 * n; ++half) {
    const std::byte* at = blocks + half / 2 * words * 64 + half % 2 * 32;
    __m256i over_i64x4[Q];
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) {
      over_i64x4[q] = minus(tile->bar[first + static_cast<std::size_t>(q)]);
    }
    for (std::size_t w = 0; w < words;) {
      const std::size_t end = words - w < Op::kByteWords ? words : w + Op::kByteWords;
      __m256i bytes_u8x32[Q];
      VICINAL_UNROLL
      for (int q = 0; q < Q; ++q) bytes_u8x32[q] = _mm256_setzero_si256();
      for (; w < end; ++w, at += 64) {
        prefetch_line(at + kScanAhead);
        const __m256i line = load32(at);
        VICINAL_UNROLL
        for (int q = 0; q < Q; ++q) {
          bytes_u8x32[q] =
              _mm256_add_epi8(bytes_u8x32[q], Op::tally_u8(Op::join(line, four_of(query[q][w]))));
        }
      }
      VICINAL_UNROLL
      for (int q = 0; q < Q; ++q) {
        over_i64x4[q] = _mm256_add_epi64(over_i64x4[q], lanes_of(bytes_u8x32[q]));
      }
    }
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) {
      const unsigned hits = Op::hits(over_i64x4[q]);
      if (hits != 0) keep(hits, over_i64x4[q], 4 * half, first + static_cast<std::size_t>(q), tile);
    }
  }
}

// One column of a full adder: a + b + c = 2 * carry + sum, bit by bit.
VICINAL_INLINE void add3(__m256i a, __m256i b, __m256i c, __m256i& carry, __m256i& sum) noexcept {
  const __m256i u = _mm256_xor_si256(a, b);
  carry = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(u, c));
  sum = _mm256_xor_si256(u, c);
}

// Carry-save adders count eight words with one look-up (Mula, Kurz & Lemire, "Faster population
// counts using AVX2 instructions", The Computer Journal 61(1), 2018). Bits stay in their lane.
template <class Op>
VICINAL_INLINE __m256i counted_by_tree(const std::byte* at, const std::uint64_t* query,
                                       std::size_t words) noexcept {
  const __m256i zero = _mm256_setzero_si256();
  __m256i one = zero, two = zero, four = zero, eights_u64x4 = zero;
  std::size_t w = 0;
  const auto word = [&](std::size_t j) VICINAL_LAMBDA {
    return Op::join(load32(at + (w + j) * 64), four_of(query[w + j]));
  };
  for (; w + kTreeStep <= words; w += kTreeStep) {
    __m256i two_a, two_b, four_a, four_b, eight;
    add3(one, word(0), word(1), two_a, one);
    add3(one, word(2), word(3), two_b, one);
    add3(two, two_a, two_b, four_a, two);
    add3(one, word(4), word(5), two_a, one);
    add3(one, word(6), word(7), two_b, one);
    add3(two, two_a, two_b, four_b, two);
    add3(four, four_a, four_b, eight, four);
    eights_u64x4 = _mm256_add_epi64(eights_u64x4, ones_u64(eight));
  }
  __m256i sum_u64x4 = _mm256_add_epi64(_mm256_slli_epi64(eights_u64x4, 3),
                                       _mm256_slli_epi64(ones_u64(four), 2));
  sum_u64x4 = _mm256_add_epi64(sum_u64x4, _mm256_slli_epi64(ones_u64(two), 1));
  sum_u64x4 = _mm256_add_epi64(sum_u64x4, ones_u64(one));
  for (; w < words; ++w) sum_u64x4 = _mm256_add_epi64(sum_u64x4, ones_u64(word(0)));
  return sum_u64x4;
}

template <class Op>
void scan_wide(const std::byte* blocks, std::size_t n, std::size_t words, std::size_t queries,
               BitTile* tile) noexcept {
  for (std::size_t q = 0; q < queries; ++q) tile->found[q] = 0;
  for (std::size_t half = 0; half < 2 * n; ++half) {
    const std::byte* at = blocks + half / 2 * words * 64 + half % 2 * 32;
    for (std::size_t w = 0; w < words; ++w) prefetch_line(at + w * 64 + kScanAhead);
    for (std::size_t q = 0; q < queries; ++q) {
      const __m256i over_i64x4 =
          _mm256_add_epi64(minus(tile->bar[q]), counted_by_tree<Op>(at, tile->query[q], words));
      const unsigned hits = Op::hits(over_i64x4);
      if (hits != 0) keep(hits, over_i64x4, 4 * half, q, tile);
    }
  }
}

template <class Op>
void scan_narrow(const std::byte* blocks, std::size_t n, std::size_t words, std::size_t queries,
                 BitTile* tile) noexcept {
  for (std::size_t q = 0; q < queries; ++q) tile->found[q] = 0;
  std::size_t q = 0;
  for (; q + 4 <= queries; q += 4) scan_some<Op, 4>(blocks, n, words, q, tile);
  if (q + 2 <= queries) {
    scan_some<Op, 2>(blocks, n, words, q, tile);
    q += 2;
  }
  if (q < queries) scan_some<Op, 1>(blocks, n, words, q, tile);
}

template <class Op>
void scan(const std::byte* blocks, std::size_t n, std::size_t words, std::size_t queries,
          BitTile* tile) noexcept {
  if (words < kTreeWords) {
    scan_narrow<Op>(blocks, n, words, queries, tile);
  } else {
    scan_wide<Op>(blocks, n, words, queries, tile);
  }
}

void sum_set(const float* query, const std::byte* rows, std::size_t stride, std::size_t n,
             std::size_t words, float* out) noexcept {
  const __m256i low_i32x8 = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i high_i32x8 = _mm256_slli_epi32(low_i32x8, 8);
  const auto where_set = [](__m256i bits_i32x8, __m256i bit_i32x8,
                            const float* from) VICINAL_LAMBDA {
    const __m256i set_i32x8 =
        _mm256_cmpeq_epi32(_mm256_and_si256(bits_i32x8, bit_i32x8), bit_i32x8);
    return _mm256_and_ps(_mm256_castsi256_ps(set_i32x8), _mm256_loadu_ps(from));
  };
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* row = rows + i * stride;
    __m256 low_f32x8 = _mm256_setzero_ps();
    __m256 high_f32x8 = _mm256_setzero_ps();
    for (std::size_t w = 0; w < words; ++w) {
      std::uint64_t word = word_at(row + w * 8);
      for (const float* from = query + w * 64; from != query + w * 64 + 64; from += 16) {
        const __m256i bits_i32x8 = _mm256_set1_epi32(static_cast<int>(word & 0xFFFF));
        low_f32x8 = _mm256_add_ps(low_f32x8, where_set(bits_i32x8, low_i32x8, from));
        high_f32x8 = _mm256_add_ps(high_f32x8, where_set(bits_i32x8, high_i32x8, from + 8));
        word >>= 16;
      }
    }
    const __m256 eight_f32x8 = _mm256_add_ps(low_f32x8, high_f32x8);
    const __m128 four_f32x4 =
        _mm_add_ps(_mm256_castps256_ps128(eight_f32x8), _mm256_extractf128_ps(eight_f32x8, 1));
    const __m128 two_f32x4 = _mm_add_ps(four_f32x4, _mm_movehl_ps(four_f32x4, four_f32x4));
    out[i] = _mm_cvtss_f32(_mm_add_ss(two_f32x4, _mm_shuffle_ps(two_f32x4, two_f32x4, 1)));
  }
}

}  // namespace

const BitKernels bits = {count_rows<Differing>, count_rows<Common>, scan<Differing>, scan<Common>,
                         scan_narrow<Least>, sum_set};

}  // namespace vicinal::kernels::avx2
