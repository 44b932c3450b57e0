#include "kernels/bits.h"

#include "kernels/avx512vbmi/avx512vbmi.h"
#include "kernels/x86_512.h"

// No carry-save tree here: an adder takes two instructions a word (vpternlogq), as much as
// vpopcntq and the addition that it would save.
namespace vicinal::kernels::avx512vbmi {
namespace {

// Lanes hold count - bar. merge() keeps what any() needs of several of them.
struct Differing {
  static VICINAL_INLINE __m512i tally(__m512i joined) noexcept {
    return _mm512_popcnt_epi64(joined);
  }
  static VICINAL_INLINE __m512i join(__m512i a, __m512i b) noexcept {
    return _mm512_xor_si512(a, b);
  }
  static VICINAL_INLINE __m512i merge(__m512i a, __m512i b) noexcept {
    return _mm512_or_si512(a, b);
  }
  static VICINAL_INLINE unsigned hits(__m512i over_i64x8) noexcept {
    return static_cast<unsigned>(_mm512_movepi64_mask(over_i64x8));
  }
};

struct Common {
  static VICINAL_INLINE __m512i tally(__m512i joined) noexcept {
    return _mm512_popcnt_epi64(joined);
  }
  static VICINAL_INLINE __m512i join(__m512i a, __m512i b) noexcept {
    return _mm512_and_si512(a, b);
  }
  static VICINAL_INLINE __m512i merge(__m512i a, __m512i b) noexcept {
    return _mm512_and_si512(a, b);
  }
  static VICINAL_INLINE unsigned hits(__m512i over_i64x8) noexcept {
    return static_cast<unsigned>(_mm512_movepi64_mask(over_i64x8)) ^ 0xFFu;
  }
};

struct Least {
  static VICINAL_INLINE __m512i tally(__m512i joined) noexcept {
    return _mm512_sad_epu8(joined, _mm512_setzero_si512());
  }
  static VICINAL_INLINE __m512i join(__m512i a, __m512i b) noexcept {
    return _mm512_min_epu8(a, b);
  }
  static VICINAL_INLINE __m512i merge(__m512i a, __m512i b) noexcept {
    return Common::merge(a, b);
  }
  static VICINAL_INLINE unsigned hits(__m512i over_i64x8) noexcept {
    return Common::hits(over_i64x8);
  }
};

VICINAL_INLINE __m512i eight_of(std::uint64_t word) noexcept {
  return _mm512_set1_epi64(static_cast<long long>(word));
}

template <class Op>
VICINAL_INLINE __m512i row_sums(const std::byte* query, const std::byte* row,
                                std::size_t words) noexcept {
  __m512i sum_u64x8 = _mm512_setzero_si512();
  std::size_t w = 0;
  for (; w + 8 <= words; w += 8) {
    prefetch_line(row + w * 8 + kScanAhead);
    const __m512i joined = Op::join(load64(query + w * 8), load64(row + w * 8));
    sum_u64x8 = _mm512_add_epi64(sum_u64x8, _mm512_popcnt_epi64(joined));
  }
  if (w < words) {
    // Lanes outside the mask are never read.
    const auto live = static_cast<__mmask8>((1u << (words - w)) - 1);
    const __m512i joined = Op::join(_mm512_maskz_loadu_epi64(live, query + w * 8),
                                    _mm512_maskz_loadu_epi64(live, row + w * 8));
    sum_u64x8 = _mm512_add_epi64(sum_u64x8, _mm512_popcnt_epi64(joined));
  }
  return sum_u64x8;
}

template <class Op>
void count_rows(const std::byte* query, const std::byte* rows, std::size_t stride, std::size_t n,
                std::size_t bytes, std::uint32_t* out) noexcept {
  const std::size_t words = (bytes + 7) / 8;
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    __m512i sum_u64x8[4];
    VICINAL_UNROLL
    for (std::size_t j = 0; j < 4; ++j) {
      sum_u64x8[j] = row_sums<Op>(query, rows + (i + j) * stride, words);
    }
    // Counts fit 32 bits: two rows share the lanes of one register.
    const __m256i a_u32x8 = halves_added(
        _mm512_or_si512(sum_u64x8[0], _mm512_slli_epi64(sum_u64x8[1], 32)));
    const __m256i b_u32x8 = halves_added(
        _mm512_or_si512(sum_u64x8[2], _mm512_slli_epi64(sum_u64x8[3], 32)));
    const __m256i pairs_u32x8 = _mm256_add_epi32(_mm256_unpacklo_epi64(a_u32x8, b_u32x8),
                                                 _mm256_unpackhi_epi64(a_u32x8, b_u32x8));
    const __m128i four_u32x4 = _mm_add_epi32(_mm256_castsi256_si128(pairs_u32x8),
                                             _mm256_extracti128_si256(pairs_u32x8, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), four_u32x4);
  }
  for (; i < n; ++i) {
    out[i] = static_cast<std::uint32_t>(
        _mm512_reduce_add_epi64(row_sums<Op>(query, rows + i * stride, words)));
  }
}

VICINAL_INLINE void keep(unsigned hits, __m512i over_i64x8, std::size_t first, std::size_t q,
                         BitTile* tile) noexcept {
  long long over[kBitBlock];
  _mm512_storeu_si512(over, over_i64x8);
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
  __m512i start_i64x8[Q];
  VICINAL_UNROLL
  for (int q = 0; q < Q; ++q) {
    const std::size_t place = first + static_cast<std::size_t>(q);
    query[q] = tile->query[place];
    start_i64x8[q] = _mm512_set1_epi64(-static_cast<long long>(tile->bar[place]));
  }
  const std::byte* at = blocks;
  for (std::size_t b = 0; b < n; ++b) {
    __m512i over_i64x8[Q];
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) over_i64x8[q] = start_i64x8[q];
    for (std::size_t w = 0; w < words; ++w, at += 64) {
      prefetch_line(at + kScanAhead);
      const __m512i line = load64(at);
      VICINAL_UNROLL
      for (int q = 0; q < Q; ++q) {
        over_i64x8[q] = _mm512_add_epi64(
            over_i64x8[q], Op::tally(Op::join(line, eight_of(query[q][w]))));
      }
    }
    // Few rows pass: one look at all queries together.
    __m512i any_i64x8 = over_i64x8[0];
    VICINAL_UNROLL
    for (int q = 1; q < Q; ++q) any_i64x8 = Op::merge(any_i64x8, over_i64x8[q]);
    if (Op::hits(any_i64x8) == 0) continue;
    VICINAL_UNROLL
    for (int q = 0; q < Q; ++q) {
      const unsigned hits = Op::hits(over_i64x8[q]);
      if (hits == 0) continue;
      keep(hits, over_i64x8[q], b * kBitBlock, first + static_cast<std::size_t>(q), tile);
    }
  }
}

template <class Op>
void scan(const std::byte* blocks, std::size_t n, std::size_t words, std::size_t queries,
          BitTile* tile) noexcept {
  for (std::size_t q = 0; q < queries; ++q) tile->found[q] = 0;
  std::size_t q = 0;
  if (queries == 8) {
    scan_some<Op, 8>(blocks, n, words, 0, tile);
    return;
  }
  if (q + 4 <= queries) {
    scan_some<Op, 4>(blocks, n, words, q, tile);
    q += 4;
  }
  if (q + 2 <= queries) {
    scan_some<Op, 2>(blocks, n, words, q, tile);
    q += 2;
  }
  if (q < queries) scan_some<Op, 1>(blocks, n, words, q, tile);
}

void sum_set(const float* query, const std::byte* rows, std::size_t stride, std::size_t n,
             std::size_t words, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* row = rows + i * stride;
    __m512 sum_f32x16 = _mm512_setzero_ps();
    for (std::size_t w = 0; w < words; ++w) {
      std::uint64_t word;
      std::memcpy(&word, row + w * 8, sizeof word);
      for (const float* from = query + w * 64; from != query + w * 64 + 64; from += 16) {
        const auto set = static_cast<__mmask16>(word & 0xFFFF);
        sum_f32x16 = _mm512_mask_add_ps(sum_f32x16, set, sum_f32x16, _mm512_loadu_ps(from));
        word >>= 16;
      }
    }
    const __m256 eight_f32x8 = halves_added(sum_f32x16);
    const __m128 four_f32x4 =
        _mm_add_ps(_mm256_castps256_ps128(eight_f32x8), _mm256_extractf128_ps(eight_f32x8, 1));
    const __m128 two_f32x4 = _mm_add_ps(four_f32x4, _mm_movehl_ps(four_f32x4, four_f32x4));
    out[i] = _mm_cvtss_f32(_mm_add_ss(two_f32x4, _mm_shuffle_ps(two_f32x4, two_f32x4, 1)));
  }
}

}  // namespace

const BitKernels bits = {count_rows<Differing>, count_rows<Common>, scan<Differing>, scan<Common>,
                         scan<Least>, sum_set};

}  // namespace vicinal::kernels::avx512vbmi
