#include "kernels/bits.h"

#include <cstring>

#include "kernels/scalar/scalar.h"
#include "kernels/walk.h"

namespace vicinal::kernels::scalar {
namespace {

VICINAL_INLINE std::uint32_t ones(std::uint64_t w) noexcept {
  w -= (w >> 1) & 0x5555555555555555ull;
  w = (w & 0x3333333333333333ull) + ((w >> 2) & 0x3333333333333333ull);
  w = (w + (w >> 4)) & 0x0F0F0F0F0F0F0F0Full;
  return static_cast<std::uint32_t>((w * 0x0101010101010101ull) >> 56);
}

struct Differing {
  static std::uint64_t join(std::uint64_t a, std::uint64_t b) noexcept { return a ^ b; }
  static std::uint32_t tally(std::uint64_t joined) noexcept { return ones(joined); }
  static bool hit(std::uint32_t count, std::uint32_t bar) noexcept { return count < bar; }
};

struct Common {
  static std::uint64_t join(std::uint64_t a, std::uint64_t b) noexcept { return a & b; }
  static std::uint32_t tally(std::uint64_t joined) noexcept { return ones(joined); }
  static bool hit(std::uint32_t count, std::uint32_t bar) noexcept { return count >= bar; }
};

struct Least {
  static std::uint64_t join(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) {
      const std::uint64_t x = a >> shift & 0xFF;
      const std::uint64_t y = b >> shift & 0xFF;
      out |= (x < y ? x : y) << shift;
    }
    return out;
  }
  static std::uint32_t tally(std::uint64_t joined) noexcept {
    std::uint32_t sum = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) {
      sum += static_cast<std::uint32_t>(joined >> shift & 0xFF);
    }
    return sum;
  }
  static bool hit(std::uint32_t count, std::uint32_t bar) noexcept { return count >= bar; }
};

VICINAL_INLINE std::uint64_t word_at(const std::byte* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

template <class Op>
void count_rows(const std::byte* query, const std::byte* rows, std::size_t stride, std::size_t n,
                std::size_t bytes, std::uint32_t* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* row = rows + i * stride;
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < bytes; at += 8) {
      sum += ones(Op::join(word_at(query + at), word_at(row + at)));
    }
    out[i] = sum;
  }
}

template <class Op>
void scan(const std::byte* blocks, std::size_t n, std::size_t words, std::size_t queries,
          BitTile* tile) noexcept {
  for (std::size_t q = 0; q < queries; ++q) {
    std::uint32_t found = 0;
    for (std::size_t b = 0; b < n; ++b) {
      const std::byte* block = blocks + b * words * 64;
      std::uint32_t sums[kBitBlock] = {};
      for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t wanted = tile->query[q][w];
        for (std::size_t r = 0; r < kBitBlock; ++r) {
          sums[r] += Op::tally(Op::join(wanted, word_at(block + w * 64 + r * 8)));
        }
      }
      for (std::size_t r = 0; r < kBitBlock; ++r) {
        if (!Op::hit(sums[r], tile->bar[q])) continue;
        tile->rows[q][found] = static_cast<std::uint32_t>(b * kBitBlock + r);
        tile->counts[q][found++] = sums[r];
      }
    }
    tile->found[q] = found;
  }
}

void sum_set(const float* query, const std::byte* rows, std::size_t stride, std::size_t n,
             std::size_t words, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* row = rows + i * stride;
    float sums[16] = {};
    for (std::size_t w = 0; w < words; ++w) {
      const std::uint64_t word = word_at(row + w * 8);
      for (std::size_t b = 0; b < 64; ++b) {
        if ((word >> b & 1u) != 0) sums[b % 16] += query[w * 64 + b];
      }
    }
    for (std::size_t width = 8; width > 0; width /= 2) {
      for (std::size_t j = 0; j < width; ++j) sums[j] += sums[j + width];
    }
    out[i] = sums[0];
  }
}

}  // namespace

const BitKernels bits = {count_rows<Differing>, count_rows<Common>, scan<Differing>, scan<Common>,
                         scan<Least>, sum_set};

}  // namespace vicinal::kernels::scalar
