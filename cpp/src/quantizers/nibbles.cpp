#include "quantizers/nibbles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/lookup.h"
#include "kernels/table.h"
#include "quantizers/codec.h"

namespace vicinal::quantizers {
namespace {

using kernels::kLookupQueries;
using kernels::LookupKernels;

static_assert(kBlockRows == kernels::kLookupRows);

constexpr std::size_t kLine = 64;
constexpr std::size_t kHalf = kBlockRows / 2;
constexpr std::size_t kChunk = 16;  // blocks whose sums wait in the first cache

constexpr std::size_t lines_of(std::size_t nibbles) { return (nibbles + 3) / 4; }

/// Byte of nibble j of place `place`, and how far up it lies there.
struct Spot {
  std::size_t byte;
  unsigned up;
};
constexpr Spot spot(std::size_t j, std::size_t place) {
  return {j / 4 * kLine + place % kHalf * 4 + j % 4, place < kHalf ? 0u : 4u};
}

void finish(const NibbleScan& scan, const LookupKernels& kernel, const std::byte* blocks,
            std::size_t count, const std::uint32_t* sums, float* out) noexcept {
  const auto [offset, scale] = scan.scale;
  if (scan.add_at == 0 && scan.mul_at == 0) {
    kernel.affine(sums, nullptr, nullptr, scale, offset, count * kBlockRows, out);
    return;
  }
  for (std::size_t b = 0; b < count; ++b, blocks += scan.block_bytes) {
    const auto floats = [blocks](std::size_t at) {
      return at == 0 ? nullptr : reinterpret_cast<const float*>(blocks + at);
    };
    kernel.affine(sums + b * kBlockRows, floats(scan.add_at), floats(scan.mul_at), scale, offset,
                  kBlockRows, out + b * kBlockRows);
  }
}

}  // namespace

std::size_t nibble_block_bytes(std::size_t nibbles) noexcept { return lines_of(nibbles) * kLine; }

void put_nibbles(const std::uint8_t* values, std::size_t nibbles, std::size_t place,
                 std::byte* codes) noexcept {
  for (std::size_t j = 0; j < nibbles; ++j) {
    const Spot at = spot(j, place);
    const auto others = static_cast<unsigned>(codes[at.byte]) & (0xF0u >> at.up);
    codes[at.byte] = static_cast<std::byte>(others | (values[j] & 15u) << at.up);
  }
}

void get_nibbles(const std::byte* codes, std::size_t nibbles, std::size_t place,
                 std::uint8_t* values) noexcept {
  const unsigned up = spot(0, place).up;
  for (std::size_t j = 0; j < nibbles; j += 4) {  // four of them lie side by side
    const std::byte* from = codes + spot(j, place).byte;
    const std::size_t n = std::min<std::size_t>(4, nibbles - j);
    for (std::size_t i = 0; i < n; ++i) {
      values[j + i] = static_cast<std::uint8_t>(static_cast<unsigned>(from[i]) >> up & 15u);
    }
  }
}

std::size_t nibble_table_bytes(std::size_t nibbles) noexcept { return lines_of(nibbles) * kLine; }

TableScale round_tables(const float* tables, std::size_t nibbles, std::uint8_t* out) noexcept {
  const LookupKernels& kernel = *kernels::active().lookup;
  std::memset(out + 16 * nibbles, 0, nibble_table_bytes(nibbles) - 16 * nibbles);
  const float widest = kernel.widest(tables, nibbles, out);
  double offset = 0.0;
  for (std::size_t j = 0; j < nibbles; ++j) {
    float least;
    std::memcpy(&least, out + 16 * j, sizeof least);
    offset += least;
  }
  // Below, the inverse of a step would not be finite; above, nor is what it came from.
  constexpr float kSmall = 256 * std::numeric_limits<float>::min();
  const bool usable = widest >= kSmall && widest <= std::numeric_limits<float>::max();
  if (usable) {
    kernel.steps(tables, 255.0f / widest, nibbles, out);
  } else {
    std::memset(out, 0, 16 * nibbles);
  }
  return {static_cast<float>(offset), usable ? widest / 255.0f : 0.0f};
}

TableErrors table_errors(const float* tables, std::size_t nibbles, const std::uint8_t* rounded,
                         float scale) noexcept {
  constexpr std::size_t kLanes = 4;  // chains of comparisons, as above
  TableErrors sum = {0.0, 0.0, 0.0};
  for (std::size_t j = 0; j < nibbles; ++j, tables += 16, rounded += 16) {
    float low[kLanes], high[kLanes], size[kLanes] = {};
    float zero = 0.0f;  // unless an entry is not finite, which comparisons may pass over
    std::fill(low, low + kLanes, std::numeric_limits<float>::infinity());
    std::fill(high, high + kLanes, -std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i < 16; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const float entry = tables[i + lane];
        const float error = entry - scale * static_cast<float>(rounded[i + lane]);
        const float most = std::fabs(entry);
        low[lane] = error < low[lane] ? error : low[lane];
        high[lane] = error > high[lane] ? error : high[lane];
        size[lane] = most > size[lane] ? most : size[lane];
        zero += 0.0f * entry;
      }
    }
    sum.least += std::min(std::min(low[0], low[1]), std::min(low[2], low[3]));
    sum.most += std::max(std::max(high[0], high[1]), std::max(high[2], high[3]));
    sum.size += static_cast<double>(zero);
    sum.size += std::max(std::max(size[0], size[1]), std::max(size[2], size[3]));
  }
  return sum;
}

void score_nibbles(const NibbleScan& scan, const std::byte* blocks, std::size_t count,
                   float* out) noexcept {
  const LookupKernels& kernel = *kernels::active().lookup;
  alignas(kLine) std::uint32_t sums[kChunk * kBlockRows];
  while (count != 0) {
    const std::size_t n = std::min(count, kChunk);
    kernel.sums(scan.tables, blocks, scan.block_bytes, n, scan.nibbles, sums);
    finish(scan, kernel, blocks, n, sums, out);
    blocks += n * scan.block_bytes;
    out += n * kBlockRows;
    count -= n;
  }
}

void score_nibbles(const NibbleScan* const* scans, std::size_t queries, const std::byte* blocks,
                   std::size_t count, float* const* out) noexcept {
  const LookupKernels& kernel = *kernels::active().lookup;
  alignas(kLine) std::uint32_t sums[kLookupQueries][kChunk * kBlockRows];
  for (std::size_t first = 0; first < queries; first += kLookupQueries) {
    const std::size_t together = std::min(kLookupQueries, queries - first);
    const NibbleScan& shape = *scans[first];
    const std::uint8_t* tables[kLookupQueries];
    std::uint32_t* to[kLookupQueries];
    for (std::size_t q = 0; q < together; ++q) {
      tables[q] = scans[first + q]->tables;
      to[q] = sums[q];
    }
    for (std::size_t b = 0; b < count; b += kChunk) {
      const std::size_t n = std::min(count - b, kChunk);
      const std::byte* chunk = blocks + b * shape.block_bytes;
      kernel.sums_many(tables, together, chunk, shape.block_bytes, n, shape.nibbles, to);
      for (std::size_t q = 0; q < together; ++q) {
        finish(*scans[first + q], kernel, chunk, n, sums[q], out[first + q] + b * kBlockRows);
      }
    }
  }
}

}  // namespace vicinal::quantizers
