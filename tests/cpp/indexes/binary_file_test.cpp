#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "indexes/binary_data.h"
#include "vicinal/errors.h"
#include "vicinal/file.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

class BinaryFile : public testing::TestWithParam<BitMetric> {
 protected:
  void SetUp() override {
    const std::string unique = std::to_string(std::random_device{}()) + name(GetParam());
    path_ = (std::filesystem::temp_directory_path() / ("vicinal_binary_" + unique)).string();
  }
  void TearDown() override { std::remove(path_.c_str()); }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  std::string path_;
};

TEST_P(BinaryFile, RoundTripsBothWays) {
  for (const bool changed : {false, true}) {
    SCOPED_TRACE(changed ? "changed" : "as added");
    const BitRows rows = varied_bits(700, 333, 1);
    const BitRows queries = varied_bits(12, 333, 2);
    BinaryIndex index(333, GetParam());
    index.add(rows.part(0, 500));
    if (changed) {
      const Ids ids{9000, 8000};
      index.add(rows.part(500, 502), ids.data());
      const Ids gone{3, 8000, 77};
      index.remove(gone.data(), gone.size());
      index.add(rows.part(502, 700));
    }
    index.save(path_, "kept as it is");
    verify_file(path_);
    EXPECT_EQ(file_info(path_).kind, "binary");
    EXPECT_EQ(file_info(path_).metadata, "kept as it is");
    for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      BinaryIndex back = BinaryIndex::open(path_, mode);
      EXPECT_EQ(back.dim(), 333u);
      EXPECT_EQ(back.metric(), GetParam());
      EXPECT_EQ(back.ids(), index.ids());
      EXPECT_EQ(search(back, queries.view(), 30), search(index, queries.view(), 30));
      EXPECT_EQ(back.memory().front().mapped, mode == OpenMode::kMap);
      // It goes on as the first would have, and the file stays as it was.
      back.add(rows.part(5, 6));
      EXPECT_EQ(back.ids().back(), changed ? 9199 : 500);
      const std::int64_t nine = 9;
      back.remove(&nine, 1);
      EXPECT_FALSE(back.contains(9));
      EXPECT_TRUE(back.contains(10));
      EXPECT_EQ(back.size(), index.size());
    }
    verify_file(path_);
    const std::string first = bytes();
    BinaryIndex::open(path_, OpenMode::kMap).save(path_, "kept as it is");  // onto itself
    EXPECT_EQ(bytes(), first);
  }
}

TEST_P(BinaryFile, EmptyIndexesToo) {
  BinaryIndex index(5, GetParam());
  const BitRows rows = varied_bits(3, 5, 3);
  index.save(path_);
  for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
    BinaryIndex back = BinaryIndex::open(path_, mode);
    EXPECT_EQ(back.size(), 0u);
    back.add(rows.view());
    EXPECT_EQ(back.ids(), (Ids{0, 1, 2}));
  }
  index.add(rows.view());
  const Ids all{0, 1, 2};
  index.remove(all.data(), 3);
  index.save(path_);
  BinaryIndex back = BinaryIndex::open(path_);
  back.add(rows.view());
  EXPECT_EQ(back.ids(), (Ids{3, 4, 5}));  // what was removed stays used
}

// Whatever a byte is changed to, or wherever the file ends: an error or an index that can be
// searched, never a crash. Rows that are mapped are not checked, so their change goes unseen.
TEST_P(BinaryFile, DamageIsNeverACrash) {
  BinaryIndex index(260, GetParam());
  const BitRows rows = varied_bits(40, 260, 5);
  Ids ids(40);
  for (std::size_t i = 0; i < 40; ++i) ids[i] = static_cast<std::int64_t>(i * 7 % 40 + 2);
  index.add(rows.view(), ids.data());
  const Ids gone{3, 9};
  index.remove(gone.data(), 2);
  index.save(path_, "text");
  const std::string whole = bytes();
  std::size_t refused = 0;
  const auto attempt = [&](const std::string& content) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
    for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      try {
        BinaryIndex back = BinaryIndex::open(path_, mode);
        search(back, rows.part(0, 10), 4);
        back.range_search(rows.part(0, 3), 0.6f);
        for (const std::int64_t id : back.ids()) back.contains(id);
        back.add(rows.part(0, 1));
      } catch (const Error&) {
        ++refused;
      }
    }
  };
  for (std::size_t i = 0; i < 600; ++i) {
    std::string damaged = whole;
    const std::size_t at = random_below(damaged.size(), 7, 0, i);
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random_below(8, 7, 1, i)));
    attempt(damaged);
  }
  for (std::size_t size = 0; size < whole.size(); size += 499) attempt(whole.substr(0, size));
  EXPECT_GT(refused, 300u);  // measured 600 and more
}

TEST_P(BinaryFile, RefusesAFileOfAnotherKind) {
  FlatIndex(4, Metric::kL2).save(path_);
  EXPECT_THROW(BinaryIndex::open(path_), FormatError);
  BinaryIndex(4, GetParam()).save(path_);
  EXPECT_THROW(FlatIndex::open(path_), FormatError);
  EXPECT_THROW(BinaryIndex::open(path_ + ".absent"), IoError);
}

INSTANTIATE_TEST_SUITE_P(EveryMetric, BinaryFile, testing::ValuesIn(kBitMetrics),
                         [](const auto& metric) { return std::string(name(metric.param)); });

}  // namespace
}  // namespace vicinal
