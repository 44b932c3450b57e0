#include "kernels/lookup.h"

#include <cstring>

#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {
namespace {

constexpr std::size_t kHalf = kLookupRows / 2;

void sums(const std::uint8_t* tables, const std::byte* codes, std::size_t block_stride,
          std::size_t blocks, std::size_t nibbles, std::uint32_t* out) noexcept {
  const std::size_t lines = (nibbles + 3) / 4;
  for (std::size_t b = 0; b < blocks; ++b, codes += block_stride, out += kLookupRows) {
    std::uint32_t sum[kLookupRows] = {};
    for (std::size_t g = 0; g < lines; ++g) {
      const std::uint8_t* table = tables + 64 * g;
      const std::byte* line = codes + 64 * g;
      for (std::size_t r = 0; r < kHalf; ++r) {
        for (std::size_t p = 0; p < 4; ++p) {
          const auto code = static_cast<unsigned>(line[4 * r + p]);
          sum[r] += table[16 * p + (code & 15u)];
          sum[r + kHalf] += table[16 * p + (code >> 4)];
        }
      }
    }
    std::memcpy(out, sum, sizeof sum);
  }
}

void sums_many(const std::uint8_t* const* tables, std::size_t queries, const std::byte* codes,
               std::size_t block_stride, std::size_t blocks, std::size_t nibbles,
               std::uint32_t* const* out) noexcept {
  for (std::size_t q = 0; q < queries; ++q) {
    sums(tables[q], codes, block_stride, blocks, nibbles, out[q]);
  }
}

void affine(const std::uint32_t* from, const float* add, const float* mul, float scale,
            float offset, std::size_t n, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    float score = static_cast<float>(static_cast<std::int32_t>(from[i])) * scale + offset;
    if (mul != nullptr) score *= mul[i];
    if (add != nullptr) score += add[i];
    out[i] = score;
  }
}

void shift(float* scores, const float* add, float factor, float offset, float least,
           std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    float score = factor * scores[i] + offset;
    if (add != nullptr) score += add[i];
    scores[i] = score < least ? least : score;
  }
}

}  // namespace

const LookupKernels lookup = {sums, sums_many, affine, shift};

}  // namespace vicinal::kernels::scalar
