#include "storage/checksum.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "files.h"

namespace vicinal::storage {
namespace {

TEST(Checksum, MatchesPublishedValues) {
  EXPECT_EQ(crc32c_portable(0, "123456789", 9), 0xE3069283u);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c_portable(0, std::string(32, '\0').data(), 32), 0x8A9136AAu);
  EXPECT_EQ(crc32c_portable(0, std::string(32, '\xFF').data(), 32), 0x62A8AB43u);
  EXPECT_EQ(crc32c_portable(0, nullptr, 0), 0u);
}

TEST(Checksum, MatchesBitByBitAtEveryLengthAndAlignment) {
  std::string bytes(128, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(random_u64(/*seed=*/1, 0, i));
  }
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t n = 0; from + n <= bytes.size(); ++n) {
      const std::string_view part = std::string_view(bytes).substr(from, n);
      ASSERT_EQ(crc32c_portable(0, part.data(), n), test::crc32c_reference(part))
          << "from " << from << " length " << n;
    }
  }
}

TEST(Checksum, Chains) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  const std::uint32_t whole = crc32c_portable(0, text.data(), text.size());
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::uint32_t front = crc32c_portable(0, text.data(), cut);
    EXPECT_EQ(crc32c_portable(front, text.data() + cut, text.size() - cut), whole);
  }
}

TEST(Checksum, CanBeReplaced) {
  set_checksum([](std::uint32_t, const void*, std::size_t) noexcept -> std::uint32_t { return 7; });
  const std::uint32_t replaced = crc32c(0, "123456789", 9);
  set_checksum(crc32c_portable);
  EXPECT_EQ(replaced, 7u);
  EXPECT_EQ(crc32c(0, "123456789", 9), 0xE3069283u);
}

}  // namespace
}  // namespace vicinal::storage
