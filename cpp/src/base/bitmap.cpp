#include "base/bitmap.h"

namespace vicinal {

std::size_t Bitmap::count() const noexcept {
  std::size_t set_bits = 0;
  for (std::uint64_t w : words_) {
    // Adds bits in pairs, nibbles, bytes, and the bytes by a multiplication: the portable popcount.
    w -= (w >> 1) & 0x5555555555555555ull;
    w = (w & 0x3333333333333333ull) + ((w >> 2) & 0x3333333333333333ull);
    w = (w + (w >> 4)) & 0x0F0F0F0F0F0F0F0Full;
    set_bits += static_cast<std::size_t>((w * 0x0101010101010101ull) >> 56);
  }
  return set_bits;
}

void Bitmap::resize(std::size_t bits) {
  words_.resize((bits + 63) / 64);
  // Bits cut off must not come back when the map grows again.
  if (bits < bits_ && bits % 64 != 0) words_.back() &= (std::uint64_t{1} << (bits % 64)) - 1;
  bits_ = bits;
}

}  // namespace vicinal
