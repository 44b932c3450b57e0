#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "indexes/ivf_data.h"
#include "vicinal/file.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

class IvfFile : public testing::Test {
 protected:
  IvfFile() {
    // Two runs of these tests may share a machine.
    path_ = testing::TempDir() + "ivf_file_test_" + std::to_string(std::random_device{}()) +
            testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  ~IvfFile() override { std::filesystem::remove(path_); }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& content) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
  }

  std::string path_;
};

IvfIndex sample(std::size_t n, Metric metric = Metric::kL2, CodecSpec codec = CodecKind::kSq8,
                bool soar = false) {
  const Matrix rows = spread(n, 24, 1);
  IvfParams params;
  params.codec = codec;
  params.refine = codec.kind == CodecKind::kSq4 ? RefineKind::kSq8 : RefineKind::kFloat16;
  params.lists = 12;
  params.soar = soar;
  params.spill = 0.75f;
  params.balance = 1.3f;
  params.seed = 5;
  IvfIndex index(24, metric, params);
  index.train(spread(1000, 24, 4).view());
  const Ids ids = counted(n, 1000);
  index.add(rows.view(), ids.data());
  const Ids gone{1003, 1005};
  index.remove(gone.data(), gone.size());
  return index;
}

TEST_F(IvfFile, OpensAsItWasSaved) {
  const Matrix queries = spread(40, 24, 2);
  for (const CodecSpec& codec : ivf_codecs()) {
    if (codec.kind == CodecKind::kFloat32 || codec.kind == CodecKind::kFloat16) continue;
    for (const Metric metric : kMetrics) {
      const bool soar = metric == Metric::kCosine;
      const IvfIndex index = sample(500, metric, codec, soar);
      index.save(path_, "{\"nprobe\": 17}");
      EXPECT_EQ(file_info(path_).metadata, "{\"nprobe\": 17}");
      EXPECT_EQ(file_info(path_).kind, "ivf");
      verify_file(path_);
      const Answers want = search(index, queries.view(), 10, probing(3));
      for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
        SCOPED_TRACE(plain_name(codec) + " " + name(metric));
        IvfIndex again = IvfIndex::open(path_, mode);
        EXPECT_EQ(again.metric(), metric);
        EXPECT_EQ(again.params().codec, codec);
        EXPECT_EQ(again.params().lists, 12u);
        EXPECT_EQ(again.params().soar, soar);
        EXPECT_EQ(again.params().spill, 0.75f);
        EXPECT_EQ(again.params().balance, 1.3f);
        EXPECT_EQ(again.params().seed, 5u);
        EXPECT_EQ(again.ids(), index.ids());
        EXPECT_EQ(again.list_sizes(), index.list_sizes());
        EXPECT_EQ(search(again, queries.view(), 10, probing(3)), want);
        // It goes on as if it had never been away, and the file stays as it is.
        const std::string before = bytes();
        IvfIndex alive = sample(500, metric, codec, soar);
        const Matrix more = spread(300, 24, 3);
        for (IvfIndex* one : {&again, &alive}) {
          one->add(more.view());
          const Ids gone = counted(300, 1010);
          one->remove(gone.data(), gone.size());
          one->add(MatrixView<const float>(more.row(0), 1, 24));
        }
        EXPECT_EQ(again.ids(), alive.ids());
        EXPECT_EQ(search(again, queries.view(), 10, probing(3)),
                  search(alive, queries.view(), 10, probing(3)));
        EXPECT_EQ(bytes(), before);
      }
    }
  }
}

TEST_F(IvfFile, MapsListsWithoutCopyingThem) {
  sample(2000).save(path_);
  const IvfIndex index = IvfIndex::open(path_);
  for (const MemoryPart& part : index.memory()) {
    const bool mapped = part.name == "codes" || part.name == "rows" || part.name == "terms" ||
                        part.name == "refine" || part.name == "ids" || part.name == "centroids";
    EXPECT_EQ(part.mapped, mapped) << part.name;
  }
}

TEST_F(IvfFile, HoldsAnIndexWithoutListsWithoutRowsAndWithOne) {
  IvfIndex index(5, Metric::kInnerProduct);
  index.save(path_);
  EXPECT_EQ(IvfIndex::open(path_).lists(), 0u);
  const Matrix rows = spread(40, 5, 1);
  index.train(rows.view());
  index.save(path_);
  IvfIndex trained = IvfIndex::open(path_);
  EXPECT_EQ(trained.lists(), 1u);
  EXPECT_EQ(trained.size(), 0u);
  for (IvfIndex* one : {&index, &trained}) one->add(MatrixView<const float>(rows.row(3), 1, 5));
  trained.save(path_);
  const IvfIndex again = IvfIndex::open(path_, OpenMode::kLoad);
  EXPECT_EQ(search(again, rows.view(), 1, probing(1)), search(index, rows.view(), 1, probing(1)));
}

TEST_F(IvfFile, OverwritesTheFileItIsMappedFrom) {
  sample(300).save(path_);
  IvfIndex index = IvfIndex::open(path_);
  const Matrix queries = spread(10, 24, 2);
  const Answers want = search(index, queries.view(), 5, probing(4));
  index.save(path_);
  EXPECT_EQ(search(index, queries.view(), 5, probing(4)), want);
  EXPECT_EQ(search(IvfIndex::open(path_), queries.view(), 5, probing(4)), want);
}

TEST_F(IvfFile, LoadingRefusesEveryFlippedBit) {
  sample(60).save(path_);
  const std::string whole = bytes();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    std::string damaged = whole;
    const std::uint64_t bit = random_below(whole.size() * 8, 11, 1, i);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write(damaged);
    EXPECT_THROW(IvfIndex::open(path_, OpenMode::kLoad), FormatError) << "bit " << bit;
  }
}

// A mapped file is not read whole before use. Whatever its sections hold, a search ends, stays in
// bounds and answers with numbers.
TEST_F(IvfFile, SearchesOfADamagedMappingEndWithoutHarm) {
  std::size_t opened = 0;
  for (const bool soar : {false, true}) {
    sample(200, Metric::kL2, CodecKind::kSq8, soar).save(path_);
    const std::string whole = bytes();
    const Matrix queries = spread(20, 24, 2);
    const auto sections = file_info(path_).sections;
    for (std::uint64_t i = 0; i < 200; ++i) {
      std::string damaged = whole;
      const SectionInfo& section = sections[random_below(sections.size(), 12, 1, i)];
      const std::uint64_t burst = 1 + random_below(200, 12, 2, i);
      for (std::uint64_t b = 0; b < burst; ++b) {
        const std::uint64_t at = section.offset + random_below(section.bytes, 12, 3, i * 1000 + b);
        damaged[at] = static_cast<char>(random_u64(12, 4, i * 1000 + b));
      }
      write(damaged);
      try {
        IvfIndex index = IvfIndex::open(path_, OpenMode::kMap);
        ++opened;
        const Answers found = search(index, queries.view(), 5, probing(4));
        for (const float d : found.distances) EXPECT_FALSE(d != d);
        const Matrix more = spread(20, 24, 3);
        try {
          index.add(more.view());
          (void)search(index, queries.view(), 5, probing(4));
          const Ids all = index.ids();
          index.remove(all.data(), all.size() / 2);
          (void)search(index, queries.view(), 5, probing(4));
        } catch (const Error&) {
        }
      } catch (const FormatError&) {
      }
    }
  }
  EXPECT_GT(opened, 100u);
}

TEST_F(IvfFile, RefusesAFileOfAnotherKindAndEveryTruncation) {
  FlatIndex flat(24, Metric::kL2);
  flat.save(path_);
  EXPECT_THROW(IvfIndex::open(path_), FormatError);
  sample(40).save(path_);
  const std::string whole = bytes();
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 40) {
    write(whole.substr(0, size));
    EXPECT_THROW(IvfIndex::open(path_), FormatError) << size;
  }
  EXPECT_THROW(IvfIndex::open(path_ + ".absent"), IoError);
}

}  // namespace
}  // namespace vicinal
