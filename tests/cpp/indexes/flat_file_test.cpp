#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "indexes/flat_data.h"
#include "vicinal/errors.h"
#include "vicinal/file.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

class FlatFile : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    const std::string unique = std::to_string(std::random_device{}()) + test->name();
    path_ = (std::filesystem::temp_directory_path() / ("vicinal_flat_" + unique)).string();
  }
  void TearDown() override { std::remove(path_.c_str()); }

  std::string path_;
};

TEST_F(FlatFile, RoundTripsEveryCodecBothWays) {
  for (CodecKind codec : kFlatCodecs) {
    for (Metric metric : kMetrics) {
      if (!holds(codec, metric)) continue;
      for (bool changed : {false, true}) {
        SCOPED_TRACE(label(codec, metric) + (changed ? " changed" : ""));
        const bool bytes = codec == CodecKind::kInt8 || codec == CodecKind::kUint8;
        const Matrix rows = bytes ? whole_numbers(500, 21, 1, 0, 100) : clustered(500, 21, 1);
        const Matrix queries = bytes ? whole_numbers(12, 21, 2, 0, 100) : clustered(12, 21, 2);
        FlatIndex index(21, metric, {codec});
        index.add(rows.view());
        if (changed) {
          const Ids ids{900, 800};
          index.add(MatrixView<const float>(rows.row(0), 2, 21), ids.data());
          const Ids gone{3, 800, 77};
          index.remove(gone.data(), gone.size());
        }
        index.save(path_, "kept as it is");
        verify_file(path_);
        EXPECT_EQ(file_info(path_).kind, "flat");
        EXPECT_EQ(file_info(path_).metadata, "kept as it is");
        for (OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
          FlatIndex back = FlatIndex::open(path_, mode);
          EXPECT_EQ(back.dim(), 21u);
          EXPECT_EQ(back.metric(), metric);
          EXPECT_EQ(back.params().codec, codec);
          EXPECT_EQ(back.ids(), index.ids());
          EXPECT_EQ(search(back, queries.view(), 30), search(index, queries.view(), 30));
          EXPECT_EQ(search_singly(back, queries, 30), search_singly(index, queries, 30));
          EXPECT_EQ(back.memory().front().mapped, mode == OpenMode::kMap);
          // It goes on as the first would have, and the file stays as it was.
          back.add(MatrixView<const float>(rows.row(5), 1, 21));
          EXPECT_EQ(back.ids().back(), changed ? 901 : 500);
          const std::int64_t nine = 9;
          back.remove(&nine, 1);
          EXPECT_FALSE(back.contains(9));
          EXPECT_TRUE(back.contains(10));
          EXPECT_EQ(back.size(), index.size());
        }
        verify_file(path_);
      }
    }
  }
}

TEST_F(FlatFile, EmptyIndexesToo) {
  for (CodecKind codec : {CodecKind::kFloat32, CodecKind::kSq8}) {
    FlatIndex index(5, Metric::kInnerProduct, {codec});
    index.save(path_);
    for (OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      FlatIndex back = FlatIndex::open(path_, mode);
      EXPECT_EQ(back.size(), 0u);
      const Matrix rows = clustered(3, 5, 3);
      back.add(rows.view());
      EXPECT_EQ(back.ids(), (Ids{0, 1, 2}));
    }
    const Matrix rows = clustered(3, 5, 3);
    index.add(rows.view());
    const Ids all{0, 1, 2};
    index.remove(all.data(), 3);
    index.save(path_);
    FlatIndex back = FlatIndex::open(path_);
    back.add(rows.view());
    EXPECT_EQ(back.ids(), (Ids{3, 4, 5}));  // what was removed stays used
  }
}

TEST_F(FlatFile, RepeatedSavesGiveTheSameBytes) {
  FlatIndex index(6, Metric::kCosine, {CodecKind::kSq8});
  index.add(clustered(100, 6, 4).view());
  const auto bytes = [&] {
    std::ifstream in(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  index.save(path_);
  const std::string first = bytes();
  index.save(path_);
  EXPECT_EQ(bytes(), first);
  FlatIndex::open(path_, OpenMode::kMap).save(path_);  // onto the very file it is mapped from
  EXPECT_EQ(bytes(), first);
}

// Whatever a byte is changed to, or wherever the file ends: an error or an index that can be
// searched, never a crash. Rows that are mapped are not checked, so their change goes unseen.
TEST_F(FlatFile, DamageIsNeverACrash) {
  FlatIndex index(9, Metric::kL2, {CodecKind::kSq8});
  const Ids ids{4, 3, 2, 10, 11, 12, 13, 14, 15, 16};
  const Matrix rows = clustered(10, 9, 5);
  index.add(rows.view(), ids.data());
  const std::int64_t gone = 3;
  index.remove(&gone, 1);
  index.save(path_, "text");
  std::ifstream in(path_, std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(in), {});
  in.close();
  const Matrix queries = clustered(10, 9, 6);
  std::size_t refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    for (OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      try {
        FlatIndex back = FlatIndex::open(path_, mode);
        search(back, MatrixView<const float>(queries.row(0), 10, 9), 4);
        search_singly(back, {1, back.dim(), std::vector<float>(back.dim(), 0.5f)}, 4);
        for (std::int64_t id : back.ids()) back.contains(id);
        back.add(MatrixView<const float>(rows.row(0), 1, 9));
      } catch (const Error&) {
        ++refused;
      }
    }
  };
  for (std::size_t i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    const std::size_t at = random_below(bytes.size(), 7, 0, i);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random_below(8, 7, 1, i)));
    attempt(bytes);
  }
  for (std::size_t size = 0; size < whole.size(); size += 61) attempt(whole.substr(0, size));
  EXPECT_GT(refused, 1000u);
}

TEST_F(FlatFile, RefusesAFileOfAnotherKind) {
  std::ofstream(path_) << "not an index at all, but long enough to look at";
  EXPECT_THROW(FlatIndex::open(path_), FormatError);
  EXPECT_THROW(FlatIndex::open(path_ + ".absent"), IoError);
}

}  // namespace
}  // namespace vicinal
