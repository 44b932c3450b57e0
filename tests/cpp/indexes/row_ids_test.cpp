#include "indexes/row_ids.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "vicinal/errors.h"

namespace vicinal::indexes {
namespace {

struct Snapshot {
  std::vector<std::int64_t> ids;
  std::set<std::uint32_t> dead;
  std::uint64_t numbering = 0;
  std::uint32_t rows = 0;
  bool plain = false;

  std::uint32_t live() const { return rows - static_cast<std::uint32_t>(dead.size()); }
  bool numbered() const { return plain; }
  std::int64_t id(std::uint32_t row) const { return ids[row]; }
  bool gone(std::uint32_t row) const { return dead.count(row) != 0; }
};

class RowIdsTest : public testing::Test {
 protected:
  std::uint32_t find(std::int64_t id) {
    std::uint32_t row = 0;
    map.with([this] { return std::make_shared<Snapshot>(now); },
             [&](const auto&, const auto& found) { row = found(id); });
    return row;
  }
  void add(std::vector<std::int64_t> more) {
    now.ids.insert(now.ids.end(), more.begin(), more.end());
    now.rows = static_cast<std::uint32_t>(now.ids.size());
  }

  Snapshot now;
  RowIds map;
};

TEST_F(RowIdsTest, NeedsNoMapWhileIdsAreRows) {
  now.plain = true;
  now.rows = 5;
  now.dead = {3};
  EXPECT_EQ(find(4), 4u);
  EXPECT_EQ(find(3), kNoRow);
  EXPECT_EQ(find(5), kNoRow);
  EXPECT_EQ(find(-1), kNoRow);
  EXPECT_EQ(map.bytes(), 0u);
}

TEST_F(RowIdsTest, GoesOnWithRowsThatCome) {
  EXPECT_EQ(find(7), kNoRow);
  add({70, 7, 700});
  EXPECT_EQ(find(7), 1u);
  add({71, -5});  // a damaged file may hold such
  EXPECT_EQ(find(71), 3u);
  EXPECT_EQ(find(-5), kNoRow);
  EXPECT_EQ(find(700), 2u);
  EXPECT_GT(map.bytes(), 0u);
}

TEST_F(RowIdsTest, KnowsWhatIsRemovedAndAddedAgain) {
  add({10, 20, 30});
  EXPECT_EQ(find(20), 1u);
  now.dead = {1};
  EXPECT_EQ(find(20), kNoRow);
  add({20});
  EXPECT_EQ(find(20), 3u);
  now.dead = {1, 3};
  EXPECT_EQ(find(20), kNoRow);
  EXPECT_EQ(find(30), 2u);
}

TEST_F(RowIdsTest, StartsAnewWhereRowsHaveOtherNumbers) {
  add({10, 20, 30});
  EXPECT_EQ(find(10), 0u);
  now = {};
  now.numbering = 1;
  add({30, 10, 40});
  EXPECT_EQ(find(30), 0u);
  EXPECT_EQ(find(10), 1u);
  EXPECT_EQ(find(20), kNoRow);
}

TEST(Ids, RiseOrNot) {
  const std::int64_t ids[] = {4, 5, 9, 9};
  EXPECT_TRUE(ids_rise(ids, 3, 4));
  EXPECT_FALSE(ids_rise(ids, 3, 5));
  EXPECT_FALSE(ids_rise(ids, 4, 0));
  EXPECT_TRUE(ids_rise(ids, 0, 100));
  const std::int64_t negative[] = {-1};
  EXPECT_FALSE(ids_rise(negative, 1, 0));
}

std::string told(const std::vector<std::int64_t>& ids, bool removing) {
  const auto find = [](std::int64_t id) { return id == 5 || id == 6 ? 0u : kNoRow; };
  try {
    if (removing) {
      rows_to_remove(ids.data(), ids.size(), find);
    } else {
      check_new_ids(ids.data(), ids.size(), find);
    }
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "";
}

TEST(Ids, TheFirstWrongOneIsNamed) {
  EXPECT_EQ(told({1, 2}, false), "");
  EXPECT_EQ(told({1, -2}, false), "ids[1] is -2; ids are 0 or more");
  EXPECT_EQ(told({1, 5}, false), "ids[1] is 5, which this index already holds");
  EXPECT_EQ(told({1, 2, 1}, false), "ids[2] is 1 for the second time");
  EXPECT_EQ(told({5, 6}, true), "");
  EXPECT_EQ(told({5, 7}, true), "ids[1] is 7, which this index does not hold");
  EXPECT_EQ(told({5, 5}, true), "ids[1] is 5 for the second time");
}

}  // namespace
}  // namespace vicinal::indexes
