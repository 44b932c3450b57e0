#include <cstring>

#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {
namespace {

std::uint32_t bits_of(float x) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

std::uint16_t half_from(float x) noexcept {
  const std::uint32_t bits = bits_of(x);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {  // NaN: quiet, with what fits of its payload
    return static_cast<std::uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x03FFu));
  }
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // >= 65520
  if (magnitude < 0x38800000u) {  // below 2^-14: a multiple of 2^-24, rounded by hand
    const std::uint32_t shift = 126u - (magnitude >> 23);
    if (shift > 24) return static_cast<std::uint16_t>(sign);  // below 2^-25
    const std::uint32_t whole = (magnitude & 0x007FFFFFu) | 0x00800000u;
    const std::uint32_t half = 1u << (shift - 1);
    const std::uint32_t rest = whole & ((1u << shift) - 1);
    std::uint32_t result = whole >> shift;
    result += rest > half || (rest == half && (result & 1u) != 0) ? 1u : 0u;
    return static_cast<std::uint16_t>(sign | result);
  }
  const std::uint32_t rounded = magnitude + 0x0FFFu + (magnitude >> 13 & 1u) - (112u << 23);
  return static_cast<std::uint16_t>(sign | rounded >> 13);
}

std::uint16_t bfloat_from(float x) noexcept {
  const std::uint32_t bits = bits_of(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

struct CrcTables {
  std::uint32_t of[8][256];
};

// tables.of[k][b] is the effect of byte b, k bytes before the end of a group of eight.
constexpr CrcTables make_crc_tables() noexcept {
  CrcTables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (0x82F63B78u & (0u - (crc & 1u)));
    tables.of[0][b] = crc;
  }
  for (std::uint32_t b = 0; b < 256; ++b) {
    for (int k = 1; k < 8; ++k) {
      const std::uint32_t before = tables.of[k - 1][b];
      tables.of[k][b] = before >> 8 ^ tables.of[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr CrcTables kCrc = make_crc_tables();

}  // namespace

std::size_t below(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                  std::uint32_t* ids, float* kept) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ids[count] = first_id + static_cast<std::uint32_t>(i);
    kept[count] = scores[i];
    count += scores[i] < threshold ? 1 : 0;
  }
  return count;
}

void to_f16(const float* in, std::size_t n, std::uint16_t* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) out[i] = half_from(in[i]);
}

void to_bf16(const float* in, std::size_t n, std::uint16_t* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) out[i] = bfloat_from(in[i]);
}

std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t bytes) noexcept {
  const auto* at = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    const std::uint32_t low = crc ^ (std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 |
                                     std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24);
    crc = kCrc.of[7][low & 0xFF] ^ kCrc.of[6][low >> 8 & 0xFF] ^ kCrc.of[5][low >> 16 & 0xFF] ^
          kCrc.of[4][low >> 24] ^ kCrc.of[3][at[4]] ^ kCrc.of[2][at[5]] ^ kCrc.of[1][at[6]] ^
          kCrc.of[0][at[7]];
  }
  for (; bytes > 0; --bytes, ++at) crc = crc >> 8 ^ kCrc.of[0][(crc ^ *at) & 0xFF];
  return ~crc;
}

}  // namespace vicinal::kernels::scalar
