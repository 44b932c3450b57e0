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

float widest(const float* tables, std::size_t nibbles, std::uint8_t* least) noexcept {
  float most = 0.0f;
  for (std::size_t j = 0; j < nibbles; ++j, tables += 16) {
    // Four chains of comparisons: one would cost more than the scan of a short list.
    float low[4], high[4];
    for (std::size_t lane = 0; lane < 4; ++lane) low[lane] = high[lane] = tables[lane];
    for (std::size_t i = 4; i < 16; i += 4) {
      for (std::size_t lane = 0; lane < 4; ++lane) {
        const float x = tables[i + lane];
        low[lane] = x < low[lane] ? x : low[lane];
        high[lane] = x > high[lane] ? x : high[lane];
      }
    }
    for (std::size_t lane = 1; lane < 4; ++lane) {
      low[0] = low[lane] < low[0] ? low[lane] : low[0];
      high[0] = high[lane] > high[0] ? high[lane] : high[0];
    }
    const float difference = high[0] - low[0];
    most = difference > most ? difference : most;
    std::memcpy(least + 16 * j, low, sizeof(float));
  }
  return most;
}

void steps(const float* tables, float inverse, std::size_t nibbles, std::uint8_t* out) noexcept {
  for (std::size_t j = 0; j < nibbles; ++j, tables += 16, out += 16) {
    float least;
    std::memcpy(&least, out, sizeof least);
    for (std::size_t i = 0; i < 16; ++i) {
      float step = (tables[i] - least) * inverse + 0.5f;
      step = step > 0.0f ? step : 0.0f;
      step = step < 255.0f ? step : 255.0f;
      out[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(step));
    }
  }
}

}  // namespace

const LookupKernels lookup = {sums, sums_many, affine, shift, widest, steps};

}  // namespace vicinal::kernels::scalar
