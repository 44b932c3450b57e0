#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "support/guarded.h"

namespace vicinal::test {

/// Blocks of 32 rows of nibbles and a query's tables, laid out as kernels/lookup.h says, against
/// unreadable pages; and what they sum to. Calls nothing of ours.
class LookupCase {
 public:
  enum class Tables { kRandom, kAll255 };

  /// gap: bytes between the codes of one block and the next, a multiple of 64, filled with noise.
  LookupCase(std::size_t nibbles, std::size_t blocks, std::size_t gap, std::uint64_t seed,
             Tables kind = Tables::kRandom)
      : nibbles_(nibbles),
        blocks_(blocks),
        stride_((nibbles + 3) / 4 * 64 + gap),
        // Nothing follows the codes of the last block.
        codes_(blocks == 0 ? 0 : blocks * stride_ - gap),
        tables_((nibbles + 3) / 4 * 64),
        values_(blocks * 32 * nibbles) {
    std::mt19937_64 random(seed);
    for (std::byte& b : codes_) b = static_cast<std::byte>(random() >> 56);
    for (std::size_t b = 0; b < blocks; ++b) {
      for (std::size_t j = 0; j < (nibbles + 3) / 4 * 4; ++j) {
        for (std::size_t r = 0; r < 32; ++r) {
          const unsigned value = j < nibbles ? static_cast<unsigned>(random() >> 60) : 0;
          if (j < nibbles) values_[(b * 32 + r) * nibbles + j] = value;
          std::byte& byte = codes_[b * stride_ + j / 4 * 64 + 4 * (r % 16) + j % 4];
          byte = r < 16 ? (byte & std::byte{0xF0}) | static_cast<std::byte>(value)
                        : (byte & std::byte{0x0F}) | static_cast<std::byte>(value << 4);
        }
      }
    }
    for (std::size_t i = 0; i < nibbles * 16; ++i) {
      tables_[i] = kind == Tables::kAll255 ? 255 : static_cast<std::uint8_t>(random() >> 56);
    }
  }

  const std::byte* codes() const { return codes_.data(); }
  const std::uint8_t* tables() const { return tables_.data(); }
  std::size_t stride() const { return stride_; }
  std::size_t rows() const { return blocks_ * 32; }
  unsigned value(std::size_t row, std::size_t nibble) const {
    return values_[row * nibbles_ + nibble];
  }

  /// With these tables, 16 bytes a nibble.
  std::uint64_t want(const std::uint8_t* tables, std::size_t row) const {
    std::uint64_t sum = 0;
    for (std::size_t j = 0; j < nibbles_; ++j) sum += tables[16 * j + value(row, j)];
    return sum;
  }

 private:
  std::size_t nibbles_, blocks_, stride_;
  Guarded<std::byte> codes_;
  Guarded<std::uint8_t> tables_;
  std::vector<unsigned> values_;
};

}  // namespace vicinal::test
