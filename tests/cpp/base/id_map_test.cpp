#include "base/id_map.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <unordered_map>
#include <vector>

#include "base/random.h"

namespace vicinal {
namespace {

TEST(IdMap, BehavesAsAMapUnderRandomUse) {
  for (std::int64_t step : {std::int64_t{1}, std::int64_t{1} << 20, std::int64_t{1} << 52}) {
    IdMap map;
    std::unordered_map<std::int64_t, std::uint32_t> want;
    for (std::uint64_t i = 0; i < 60'000; ++i) {
      // Few enough ids that insertions, repeats and replacements meet.
      const auto id = static_cast<std::int64_t>(random_below(2000, 5, 0, i)) * step;
      const auto row = static_cast<std::uint32_t>(i);
      switch (random_below(4, 5, 1, i)) {
        case 0:
        case 1: ASSERT_EQ(map.insert(id, row), want.emplace(id, row).second); break;
        case 2: {
          const auto found = want.find(id);
          ASSERT_EQ(map.replace(id, row), found != want.end());
          if (found != want.end()) found->second = row;
          break;
        }
        default:
          map.assign(id, row);
          want[id] = row;
      }
      ASSERT_EQ(map.size(), want.size());
    }
    for (std::int64_t i = 0; i < 2000; ++i) {
      const auto found = want.find(i * step);
      EXPECT_EQ(map.find(i * step), found == want.end() ? kNoRow : found->second);
    }
  }
}

TEST(IdMap, EmptyAndExtremeIds) {
  IdMap map;
  EXPECT_EQ(map.find(0), kNoRow);
  EXPECT_EQ(map.find(kNoId), kNoRow);
  EXPECT_FALSE(map.replace(0, 1));
  EXPECT_EQ(map.bytes(), 0u);
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(map.insert(most, 1));
  EXPECT_TRUE(map.insert(0, 2));
  EXPECT_FALSE(map.insert(most, 3));
  EXPECT_EQ(map.find(most), 1u);
  EXPECT_EQ(map.find(kNoId), kNoRow);
  EXPECT_FALSE(map.replace(kNoId, 1));
  map.clear();
  EXPECT_EQ(map.size(), 0u);
  EXPECT_EQ(map.find(most), kNoRow);
}

TEST(IdMap, ReserveKeepsWhatIsThereAndSparesGrowth) {
  IdMap map;
  map.insert(11, 1);
  map.reserve(10'000);
  const std::size_t bytes = map.bytes();
  for (std::int64_t i = 0; i < 9'999; ++i) map.assign(i * 7 + 100, static_cast<std::uint32_t>(i));
  EXPECT_EQ(map.bytes(), bytes);
  EXPECT_EQ(map.find(11), 1u);
}

// Ids of a file may be chosen: these met in one place of the map as it was, where finding all of
// them took 2e10 steps.
TEST(IdMap, NobodyKnowsWhichIdsMeet) {
  const auto undone = [](std::uint64_t home) {  // z ^ z >> 29, times odd, z ^ z >> 32
    home ^= home >> 29 ^ home >> 58;
    std::uint64_t inverse = 1;
    for (int i = 0; i < 6; ++i) inverse *= 2 - 0x9E3779B97F4A7C15ull * inverse;
    home *= inverse;
    return home ^ home >> 32;
  };
  std::vector<std::int64_t> ids;
  for (std::uint64_t k = 0; ids.size() < 200'000; ++k) {
    const auto id = static_cast<std::int64_t>(undone(k << 21));
    if (id >= 0) ids.push_back(id);
  }
  IdMap map;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE(map.insert(ids[i], static_cast<std::uint32_t>(i)));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(map.find(ids[i]), i);
}

}  // namespace
}  // namespace vicinal
