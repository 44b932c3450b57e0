#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::quantizers {

// Codes of 4 bits in blocks of kBlockRows rows, as kernels/lookup.h lays them out, and the tables
// they choose from.

/// Bytes of the codes of 32 rows: a multiple of 64, two bytes a row for every four nibbles begun.
std::size_t nibble_block_bytes(std::size_t nibbles) noexcept;
/// values: 0..15 each. The other places of the block stay.
void put_nibbles(const std::uint8_t* values, std::size_t nibbles, std::size_t place,
                 std::byte* codes) noexcept;
void get_nibbles(const std::byte* codes, std::size_t nibbles, std::size_t place,
                 std::uint8_t* values) noexcept;

/// Bytes that round_tables() writes.
std::size_t nibble_table_bytes(std::size_t nibbles) noexcept;

struct TableScale {
  float offset;
  float scale;
};

/// Tables of `nibbles` x 16 floats (finite), as bytes: each loses its minimum, and all share one
/// scale, that of the widest. out: nibble_table_bytes(nibbles), for LookupKernels::sums.
/// With t the floats, sum_j t[j][c_j] = offset + scale * (sum of bytes) + error. A byte is off by at
/// most half, so |error| <= nibbles * scale / 2, scale = (largest max - min of a table) / 255; when
/// the roundings are independent it is about scale * sqrt(nibbles / 12). Float32 rounding adds
/// a few 2^-24 of the sum of the tables' magnitudes.
TableScale round_tables(const float* tables, std::size_t nibbles, std::uint8_t* out) noexcept;

/// What the scores of a block are made of, for codecs whose rows are nibbles and at most two
/// floats: score = add[row] + mul[row] * (offset + scale * sum). Does the work of BlockQuery::Score.
struct NibbleScan {
  const std::uint8_t* tables;  ///< 64-byte aligned
  std::size_t nibbles;
  std::size_t block_bytes;     ///< from block to block: a multiple of 64
  TableScale table_scale;
  std::size_t add_at = 0;      ///< where a block keeps 32 floats to add, 0 if none
  std::size_t mul_at = 0;
};
/// out: 32 scores for each of `count` blocks.
void score_nibbles(const NibbleScan& scan, const std::byte* blocks, std::size_t count, float* out);
/// The same bits for each of several queries over the same blocks: scans[q] into out[q]. The scans
/// differ in tables and table_scale alone.
void score_nibbles(const NibbleScan* const* scans, std::size_t queries, const std::byte* blocks,
                   std::size_t count, float* const* out);

}  // namespace vicinal::quantizers
