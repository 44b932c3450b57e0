#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::kernels {

// Sums of table entries that 4-bit codes choose, for 32 rows at a time (Andre, Kermarrec & Le
// Scouarnec, PVLDB 9(4), 2015, and ICMR 2017: the tables stay in registers).
//
// A block holds the nibbles of 32 rows in lines of 64 bytes, four nibbles of each row to a line:
// byte 4 r + p (r < 16) of line g holds nibble 4 g + p of row r in its low half and that of row
// r + 16 in its high half. The last line is filled up with zero nibbles.
//
// Four results of one row are then adjacent bytes, which vpdpbusd adds into 32 bits in one step,
// and all sixteen 4-byte words of a line look into the same 64 bytes of tables, which vpermb takes
// at once: 7 operations for 128 lookups, and no sum that could overflow. Levels without vpermb
// first turn a line so that 16 rows of one nibble lie side by side, as vpshufb wants them: two more
// operations on 512 bits. The other way round the widest level would be the one that pays.

constexpr std::size_t kLookupRows = 32;    ///< of a block
constexpr std::size_t kLookupQueries = 4;  ///< that sums_many() takes at most

struct LookupKernels {
  /// sums[32 b + r] = sum over j < nibbles of tables[16 j + nibble j of row r of block b].
  /// tables: 16 bytes a nibble, zeros up to a whole line of four nibbles. Block b starts at codes +
  /// b * block_stride. tables, codes, block_stride and sums are multiples of 64 bytes;
  /// nibbles * 255 < 2^31.
  void (*sums)(const std::uint8_t* tables, const std::byte* codes, std::size_t block_stride,
               std::size_t blocks, std::size_t nibbles, std::uint32_t* sums) noexcept;
  /// The same for 1 to kLookupQueries queries: tables[q] gives sums[q]. Codes are read and taken
  /// apart once for all of them.
  void (*sums_many)(const std::uint8_t* const* tables, std::size_t queries, const std::byte* codes,
                    std::size_t block_stride, std::size_t blocks, std::size_t nibbles,
                    std::uint32_t* const* sums) noexcept;
  /// out[i] = (add ? add[i] : 0) + (mul ? mul[i] : 1) * (scale * sums[i] + offset), rounded after
  /// every operation, the conversion of sums[i] being the first: the same bits at every level.
  /// n is a multiple of 16.
  void (*affine)(const std::uint32_t* sums, const float* add, const float* mul, float scale,
                 float offset, std::size_t n, float* out) noexcept;
  /// scores[i] = max(least, (factor * scores[i] + offset) + (add ? add[i] : 0)), likewise, for any
  /// n. NaN stays NaN.
  void (*shift)(float* scores, const float* add, float factor, float offset, float least,
                std::size_t n) noexcept;
  /// Tables of 16 floats: writes the least entry of table j, a float, to least + 16 j, and returns
  /// the largest difference between entries of one table, 0 if there is no table. Entries that are
  /// not numbers may be passed over or not.
  float (*widest)(const float* tables, std::size_t nibbles, std::uint8_t* least) noexcept;
  /// What widest() wrote to `out` becomes 16 bytes: (tables[16 j + i] - least) * inverse + 0.5,
  /// rounded after every operation, then cut to a whole number from 0 to 255. NaN becomes 0.
  void (*steps)(const float* tables, float inverse, std::size_t nibbles,
                std::uint8_t* out) noexcept;
};

}  // namespace vicinal::kernels
