#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/table.h"
#include "support/guarded.h"
#include "support/half_reference.h"
#include "support/isa_name.h"

namespace vicinal {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

float from_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

// Around every half, exactly halfway, and one float to either side; then anything finite.
std::vector<float> awkward_floats() {
  std::vector<float> values;
  for (std::uint32_t h = 0; h < 0x7C00; ++h) {
    const double here = test::half_value(static_cast<std::uint16_t>(h));
    const double next =
        h + 1 < 0x7C00 ? test::half_value(static_cast<std::uint16_t>(h + 1)) : 65536;
    const auto middle = static_cast<float>((here + next) / 2);
    for (const float x : {static_cast<float>(here), middle, std::nextafter(middle, 0.0f),
                          std::nextafter(middle, kInfinity)}) {
      values.push_back(x);
      values.push_back(-x);
    }
  }
  std::mt19937 random(5);
  while (values.size() < 400000) {
    const float x = from_bits(static_cast<std::uint32_t>(random()));
    if (std::isfinite(x)) values.push_back(x);
  }
  return values;
}

class Convert : public testing::TestWithParam<const kernels::Table*> {};

TEST_P(Convert, HalvesAreTheNearest) {
  const std::vector<float> values = awkward_floats();
  std::vector<std::uint16_t> got(values.size());
  GetParam()->to_f16(values.data(), values.size(), got.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(got[i], test::nearest_half(values[i])) << std::hexfloat << values[i];
  }
}

TEST_P(Convert, BfloatsAreTheNearest) {
  const std::vector<float> values = awkward_floats();
  std::vector<std::uint16_t> got(values.size());
  GetParam()->to_bf16(values.data(), values.size(), got.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t bits = bits_of(values[i]);
    const std::uint32_t low = bits >> 16, rest = bits & 0xFFFF;  // low and low + 1 enclose it
    const bool up = rest > 0x8000 || (rest == 0x8000 && low % 2 == 1);
    ASSERT_EQ(got[i], low + (up ? 1 : 0)) << std::hexfloat << values[i];
  }
}

TEST_P(Convert, InfinityStaysAndNanStaysNan) {
  const std::vector<float> values = {kInfinity, -kInfinity, kNan, -kNan, from_bits(0x7F800001u),
                                     from_bits(0xFF800001u), from_bits(0x7FFFFFFFu)};
  std::vector<std::uint16_t> half(values.size()), bfloat(values.size());
  GetParam()->to_f16(values.data(), values.size(), half.data());
  GetParam()->to_bf16(values.data(), values.size(), bfloat.data());
  EXPECT_EQ(half[0], 0x7C00);
  EXPECT_EQ(half[1], 0xFC00);
  EXPECT_EQ(bfloat[0], 0x7F80);
  EXPECT_EQ(bfloat[1], 0xFF80);
  for (std::size_t i = 2; i < values.size(); ++i) {
    EXPECT_TRUE(std::isnan(test::half_value(half[i]))) << i;
    EXPECT_TRUE(std::isnan(from_bits(std::uint32_t{bfloat[i]} << 16))) << i;
  }
}

TEST_P(Convert, WritesNothingPastTheEnd) {
  for (std::size_t n = 0; n <= 40; ++n) {
    const auto values = test::guarded_uniform(n, n);
    test::Guarded<std::uint16_t> half(n), bfloat(n);
    GetParam()->to_f16(values.data(), n, half.data());
    GetParam()->to_bf16(values.data(), n, bfloat.data());
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(half[i], test::nearest_half(values[i]));
  }
}

TEST_P(Convert, BelowKeepsInOrderAndNeverNan) {
  std::mt19937 random(9);
  for (std::size_t n = 0; n <= 70; ++n) {
    for (const float threshold : {0.0f, 0.25f, -2.0f, 2.0f, kInfinity, -kInfinity, kNan}) {
      auto scores = test::guarded_uniform(n, n);
      for (std::size_t i = 0; i < n; ++i) {
        const auto kind = random() % 8;
        if (kind == 0) scores[i] = kNan;
        if (kind == 1) scores[i] = -0.0f;
        if (kind == 2) scores[i] = threshold;
        if (kind == 3) scores[i] = -kInfinity;
      }
      test::Guarded<std::uint32_t> ids(n + 16);
      test::Guarded<float> kept(n + 16);
      const std::size_t count =
          GetParam()->below(scores.data(), n, threshold, 0xFFFFFF00u, ids.data(), kept.data());
      std::size_t at = 0;
      for (std::size_t i = 0; i < n; ++i) {
        if (!(scores[i] < threshold)) continue;
        ASSERT_LT(at, count);
        EXPECT_EQ(ids[at], 0xFFFFFF00u + i);
        EXPECT_EQ(bits_of(kept[at]), bits_of(scores[i]));
        ++at;
      }
      EXPECT_EQ(count, at) << "n " << n << " threshold " << threshold;
    }
  }
}

// Bit by bit, from the polynomial.
std::uint32_t crc_reference(std::uint32_t crc, const std::byte* data, std::size_t bytes) {
  crc = ~crc;
  for (std::size_t i = 0; i < bytes; ++i) {
    crc ^= static_cast<std::uint32_t>(data[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

TEST_P(Convert, CrcHasItsCheckValue) {
  EXPECT_EQ(GetParam()->crc32c(0, "123456789", 9), 0xE3069283u);
}

TEST_P(Convert, CrcMatchesTheDefinitionAndChains) {
  for (std::size_t n = 0; n <= 300; n += n < 70 ? 1 : 23) {
    const auto data = test::guarded_bytes(n, n);
    const std::uint32_t want = crc_reference(0, data.data(), n);
    EXPECT_EQ(GetParam()->crc32c(0, data.data(), n), want) << n;
    const std::uint32_t first = GetParam()->crc32c(0, data.data(), n / 3);
    EXPECT_EQ(GetParam()->crc32c(first, data.data() + n / 3, n - n / 3), want) << n;
  }
  const auto large = test::guarded_bytes(100003, 1);
  EXPECT_EQ(GetParam()->crc32c(7, large.data(), large.size()),
            crc_reference(7, large.data(), large.size()));
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Convert, testing::ValuesIn(kernels::available()),
                         test::isa_name);

}  // namespace
}  // namespace vicinal
