#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "indexes/hnsw_data.h"
#include "vicinal/errors.h"
#include "vicinal/file.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

class HnswFile : public testing::Test {
 protected:
  HnswFile() {
    // Two runs of these tests may share a machine.
    path_ = testing::TempDir() + "hnsw_file_test_" + std::to_string(std::random_device{}()) +
            testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  ~HnswFile() override { std::filesystem::remove(path_); }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& content) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
  }

  std::string path_;
};

HnswIndex sample(std::size_t n, Metric metric = Metric::kL2) {
  const Matrix rows = spread(n, 12, 1);
  HnswParams params;
  params.codec = CodecKind::kSq8;
  params.refine = RefineKind::kFloat16;
  params.links = 6;
  HnswIndex index(12, metric, params);
  const Ids ids = counted(n, 1000);
  index.add(rows.view(), ids.data());
  const Ids gone{1003, 1005};
  index.remove(gone.data(), gone.size());
  return index;
}

TEST_F(HnswFile, OpensAsItWasSaved) {
  const Matrix queries = spread(40, 12, 2);
  for (const Metric metric : kMetrics) {
    const HnswIndex index = sample(900, metric);
    index.save(path_, "{\"ef\": 17}");
    EXPECT_EQ(file_info(path_).metadata, "{\"ef\": 17}");
    EXPECT_EQ(file_info(path_).kind, "hnsw");
    verify_file(path_);
    const Answers want = search(index, queries.view(), 10, 20);
    for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      HnswIndex again = HnswIndex::open(path_, mode);
      EXPECT_EQ(again.metric(), metric);
      EXPECT_EQ(again.params().links, 6u);
      EXPECT_EQ(again.ids(), index.ids());
      EXPECT_EQ(search(again, queries.view(), 10, 20), want);
      // It goes on as if it had never been away, and the file stays as it is.
      const std::string before = bytes();
      HnswIndex alive = sample(900, metric);
      const Matrix more = spread(300, 12, 3);
      again.add(more.view());
      alive.add(more.view());
      EXPECT_EQ(again.ids(), alive.ids());
      EXPECT_EQ(search(again, queries.view(), 10, 20), search(alive, queries.view(), 10, 20));
      EXPECT_EQ(bytes(), before);
    }
  }
}

TEST_F(HnswFile, HoldsAnEmptyIndexAndASingleRow) {
  HnswIndex index(5, Metric::kInnerProduct);
  index.save(path_);
  EXPECT_EQ(HnswIndex::open(path_).size(), 0u);
  const Matrix row = spread(1, 5, 1);
  index.add(row.view());
  index.save(path_);
  HnswIndex again = HnswIndex::open(path_);
  EXPECT_EQ(search(again, row.view(), 1, 1).ids[0], 0);
}

TEST_F(HnswFile, OverwritesTheFileItIsMappedFrom) {
  sample(300).save(path_);
  HnswIndex index = HnswIndex::open(path_);
  const Matrix queries = spread(10, 12, 2);
  const Answers want = search(index, queries.view(), 5, 20);
  index.save(path_);
  EXPECT_EQ(search(index, queries.view(), 5, 20), want);
  EXPECT_EQ(search(HnswIndex::open(path_), queries.view(), 5, 20), want);
}

TEST_F(HnswFile, LoadingRefusesEveryFlippedBit) {
  sample(60).save(path_);
  const std::string whole = bytes();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    std::string damaged = whole;
    const std::uint64_t bit = random_below(whole.size() * 8, 11, 1, i);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write(damaged);
    EXPECT_THROW(HnswIndex::open(path_, OpenMode::kLoad), FormatError) << "bit " << bit;
  }
}

// A mapped file is not read whole before use. Whatever its sections hold, a search ends, stays in
// bounds and answers with numbers.
TEST_F(HnswFile, SearchesOfADamagedMappingEndWithoutHarm) {
  sample(200).save(path_);
  const std::string whole = bytes();
  const Matrix queries = spread(6, 12, 2);
  const auto sections = file_info(path_).sections;
  std::size_t opened = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    std::string damaged = whole;
    const SectionInfo& section = sections[random_below(sections.size(), 12, 1, i)];
    const std::uint64_t burst = 1 + random_below(200, 12, 2, i);
    for (std::uint64_t b = 0; b < burst; ++b) {
      const std::uint64_t at = section.offset + random_below(section.bytes, 12, 3, i * 1000 + b);
      damaged[at] = static_cast<char>(random_u64(12, 4, i * 1000 + b));
    }
    write(damaged);
    try {
      HnswIndex index = HnswIndex::open(path_, OpenMode::kMap);
      ++opened;
      const Answers found = search(index, queries.view(), 5, 30);
      for (const float d : found.distances) EXPECT_FALSE(d != d);
      const Matrix more = spread(20, 12, 3);
      try {
        index.add(more.view());
        (void)search(index, queries.view(), 5, 30);
      } catch (const Error&) {
      }
    } catch (const FormatError&) {
    }
  }
  EXPECT_GT(opened, 100u);
}

TEST_F(HnswFile, RefusesAFileOfAnotherKindAndEveryTruncation) {
  FlatIndex flat(12, Metric::kL2);
  flat.save(path_);
  EXPECT_THROW(HnswIndex::open(path_), FormatError);
  sample(40).save(path_);
  const std::string whole = bytes();
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 40) {
    write(whole.substr(0, size));
    EXPECT_THROW(HnswIndex::open(path_), FormatError) << size;
  }
  EXPECT_THROW(HnswIndex::open(path_ + ".absent"), IoError);
}

}  // namespace
}  // namespace vicinal
