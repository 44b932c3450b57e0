#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/bitmap.h"
#include "base/random.h"
#include "vicinal/errors.h"
#include "vicinal/types.h"

namespace vicinal {
namespace {

TEST(Bitmap, SetsClearsAndCounts) {
  Bitmap map(130);
  EXPECT_EQ(map.count(), 0u);
  for (std::size_t i : {0u, 63u, 64u, 129u}) map.set(i);
  EXPECT_EQ(map.count(), 4u);
  map.clear(64);
  EXPECT_TRUE(map.test(63));
  EXPECT_FALSE(map.test(64));
  EXPECT_EQ(map.count(), 3u);
}

TEST(Bitmap, BitsCutOffDoNotComeBack) {
  Bitmap map(200);
  for (std::size_t i = 0; i < 200; ++i) map.set(i);
  EXPECT_EQ(map.count(), 200u);
  map.resize(70);
  EXPECT_EQ(map.count(), 70u);
  map.resize(300);
  EXPECT_EQ(map.count(), 70u);
  EXPECT_FALSE(map.test(70));
  EXPECT_FALSE(map.test(299));
}

TEST(Random, DependsOnEachOfItsKeysAndSpreads) {
  const std::uint64_t one = random_u64(1, 2, 3);
  EXPECT_EQ(one, random_u64(1, 2, 3));
  EXPECT_NE(one, random_u64(2, 2, 3));
  EXPECT_NE(one, random_u64(1, 3, 3));
  EXPECT_NE(one, random_u64(1, 2, 4));
  std::vector<int> seen(10);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::uint64_t v = random_below(10, 9, 9, i);
    ASSERT_LT(v, 10u);
    ++seen[v];
    const double u = random_unit(9, 9, i);
    ASSERT_TRUE(u > 0.0 && u <= 1.0);
  }
  for (int count : seen) EXPECT_NEAR(count, 10'000, 600);  // six standard deviations
  const std::uint64_t big = ~std::uint64_t{0};
  EXPECT_NEAR(static_cast<double>(random_below(big, 4, 0, 0)),
              static_cast<double>(random_u64(4, 0, 0)), 1e4);
}

TEST(Errors, IoErrorSaysPathActionAndReason) {
  const IoError e("a/b.vicinal", "open", ENOENT);
  const std::string what = e.what();
  EXPECT_EQ(what.rfind("a/b.vicinal: cannot open: ", 0), 0u) << what;
  EXPECT_GT(what.size(), std::strlen("a/b.vicinal: cannot open: "));
  EXPECT_EQ(e.code(), ENOENT);
  EXPECT_EQ(e.path(), "a/b.vicinal");
}

TEST(Types, HaveNamesAndSizes) {
  EXPECT_STREQ(name(Metric::kInnerProduct), "ip");
  EXPECT_STREQ(name(CodecKind::kBfloat16), "bfloat16");
  EXPECT_STREQ(name(RefineKind::kNone), "none");
  EXPECT_STREQ(name(ElementType::kFloat16), "float16");
  EXPECT_STREQ(name(static_cast<Metric>(99)), "unknown");
  EXPECT_EQ(bytes(ElementType::kFloat64), 8u);
  EXPECT_EQ(bytes(ElementType::kUint8), 1u);
}

}  // namespace
}  // namespace vicinal
