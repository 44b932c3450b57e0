#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::kernels {

// Rows of bits, as words of 64. Bits beyond the width are zero up to the end of the last word, and
// nothing behind that word is read.
//
// Row-major: a row starts at rows + i * stride; stride is a multiple of 8.
//
// Blocks: word w of the eight rows of a block are 64 bytes in a row, row after row. Counts of eight
// rows then grow side by side, and nothing has to be added across a register.

constexpr std::size_t kBitBlock = 8;  ///< rows of a block
constexpr std::size_t kBitTile = 8;   ///< queries that can share one reading of the blocks

constexpr std::size_t bit_block_bytes(std::size_t words) noexcept { return words * 64; }

/// Up to kBitTile queries, and what they find. `rows` and `counts` need room for every row of a
/// call; the places beyond the last row of an incomplete block are found like rows.
struct BitTile {
  const std::uint64_t* query[kBitTile];
  std::uint32_t bar[kBitTile];      ///< at most 2^31
  std::uint32_t found[kBitTile];    ///< out: entries written to
  std::uint32_t* rows[kBitTile];    ///< out: numbered from the first row of the call, ascending
  std::uint32_t* counts[kBitTile];  ///< out
};

using CountRows = void (*)(const std::byte* query, const std::byte* rows, std::size_t stride,
                           std::size_t n, std::size_t bytes, std::uint32_t* out) noexcept;
/// n: blocks, possibly 0. queries: 1 to kBitTile of the tile's.
using ScanBlocks = void (*)(const std::byte* blocks, std::size_t n, std::size_t words,
                            std::size_t queries, BitTile* tile) noexcept;

struct BitKernels {
  CountRows hamming_rows;     ///< out[i] = popcount(query ^ row i)
  CountRows common_rows;      ///< out[i] = popcount(query & row i)
  ScanBlocks hamming_below;   ///< finds rows with popcount(query ^ row) < bar
  ScanBlocks common_from;     ///< finds rows with popcount(query & row) >= bar
  /// Words are eight small numbers, each at most 64; finds rows where the sum of the smaller ones,
  /// of the query's and the row's, is >= bar. Of popcounts of parts: no fewer than are in common.
  ScanBlocks least_from;
  /// out[i] = sum of query[64 w + b] over the bits b (lowest first) set in word w of row i. Sixteen
  /// partial sums, position modulo 16, and halves added: the same bits on every level.
  void (*sum_set)(const float* query, const std::byte* rows, std::size_t stride, std::size_t n,
                  std::size_t words, float* out) noexcept;
};

}  // namespace vicinal::kernels
