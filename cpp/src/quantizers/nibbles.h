#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::quantizers {

// Codes of 4 bits in blocks of kBlockRows rows, as kernels/lookup.h lays them out, and the tables
// they choose from.

/// Bytes of the codes of a block: a multiple of 64, two a row for every four nibbles begun.
std::size_t nibble_block_bytes(std::size_t nibbles) noexcept;
/// values: 0..15 each. The other places of the block stay.
void put_nibbles(const std::uint8_t* values, std::size_t nibbles, std::size_t place,
                 std::byte* codes) noexcept;
void get_nibbles(const std::byte* codes, std::size_t nibbles, std::size_t place,
                 std::uint8_t* values) noexcept;

/// Bytes that round_tables() writes; a multiple of 64.
std::size_t nibble_table_bytes(std::size_t nibbles) noexcept;

struct TableScale {
  float offset;
  float scale;
};

/// `nibbles` tables of 16 floats, as bytes for LookupKernels::sums: each loses its minimum, and all
/// share one scale, that of the widest. out: nibble_table_bytes(nibbles).
/// sum_j tables[j][c_j] = offset + scale * (sum of bytes) + error. A byte is off by half a step at
/// most, so |error| <= nibbles * scale / 2 where scale = (largest max - min of a table) / 255;
/// errors that know nothing of one another give a standard deviation of scale * sqrt(nibbles / 12).
/// Float32 rounding of the differences adds at most 2^-22 of the widest table per nibble.
/// Tables that are flat or not finite give bytes and a scale of zero.
TableScale round_tables(const float* tables, std::size_t nibbles, std::uint8_t* out) noexcept;

/// What table entries are above scale * their bytes, over all rows there could be.
struct TableErrors {
  double least;  ///< sum over tables of the least difference
  double most;   ///< and of the greatest
  double size;   ///< sum over tables of the largest |entry|
};
/// sum_j tables[j][c_j] - scale * (sum of bytes) lies between least and most, but for the rounding
/// of the differences to float32, less than 2^-22 * size. Not finite if an entry is not.
TableErrors table_errors(const float* tables, std::size_t nibbles, const std::uint8_t* rounded,
                         float scale) noexcept;

/// How the scores of blocks come about, for codecs whose rows are nibbles and at most two floats:
/// score = add[row] + mul[row] * (offset + scale * sum).
struct NibbleScan {
  const std::uint8_t* tables = nullptr;  ///< as round_tables() writes them, 64-byte aligned
  std::size_t nibbles = 0;
  std::size_t block_bytes = 0;  ///< from block to block, a multiple of 64; codes first
  TableScale scale = {0.0f, 0.0f};
  std::size_t add_at = 0;  ///< where in a block the kBlockRows floats to add lie; 0: none
  std::size_t mul_at = 0;  ///< likewise those to multiply by
};
/// out: kBlockRows scores for each of `count` blocks, 64-byte aligned.
void score_nibbles(const NibbleScan& scan, const std::byte* blocks, std::size_t count,
                   float* out) noexcept;
/// The same bits for several queries over the same blocks, scans[q] to out[q], in much less time:
/// codes are taken apart once for four of them. The scans differ in tables and scale alone.
void score_nibbles(const NibbleScan* const* scans, std::size_t queries, const std::byte* blocks,
                   std::size_t count, float* const* out) noexcept;

}  // namespace vicinal::quantizers
