#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::test {

inline bool bit_of(const std::byte* bytes, std::size_t bit) {
  return (static_cast<unsigned>(bytes[bit / 8]) >> (bit % 8) & 1u) != 0;
}

/// Bits set in a ^ b, bit by bit.
inline std::uint32_t differing(const std::byte* a, const std::byte* b, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes * 8; ++i) sum += bit_of(a, i) != bit_of(b, i) ? 1 : 0;
  return sum;
}

/// Bits set in a & b.
inline std::uint32_t common(const std::byte* a, const std::byte* b, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes * 8; ++i) sum += bit_of(a, i) && bit_of(b, i) ? 1 : 0;
  return sum;
}

}  // namespace vicinal::test
