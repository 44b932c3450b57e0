// Flat indexes whose rows lie in blocks: whatever the scan leaves out, answers are those of every
// row compared in full.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <thread>

#include "base/rows_reader.h"
#include "indexes/config.h"
#include "indexes/file.h"
#include "indexes/flat_data.h"
#include "indexes/learn.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

CodecSpec pq(std::uint32_t parts) {
  CodecSpec spec = CodecKind::kPq;
  spec.parts = parts;
  spec.bits = 4;
  return spec;
}

CodecSpec rotation(std::uint32_t bits) {
  CodecSpec spec = CodecKind::kRotation;
  spec.bits = bits;
  return spec;
}

const CodecSpec kSpecs[] = {pq(7), pq(24), rotation(1), rotation(2), rotation(3), rotation(4)};

std::string label(const CodecSpec& spec, Metric metric) {
  return std::string(name(spec.kind)) + " " + std::to_string(spec.parts) + " " +
         std::to_string(spec.bits) + " " + name(metric);
}

/// Every row compared in full, by the codec itself.
class Reference {
 public:
  Reference(const CodecSpec& spec, Metric metric, const Matrix& learned_from)
      : metric_(metric),
        dim_(learned_from.cols),
        codec_(indexes::learn_codec(spec, learned_from.view(), metric, metric == Metric::kCosine,
                                    {}, {})) {}

  void add(const float* row, std::int64_t id) {
    std::vector<float> own(row, row + dim_);
    if (metric_ == Metric::kCosine) normalize_rows(own.data(), 1, dim_, dim_);
    stored_.resize(stored_.size() + codec_->stride());
    codec_->encode(own.data(), dim_, 1, stored_.data() + ids_.size() * codec_->stride());
    ids_.push_back(id);
  }
  void add(const Matrix& rows) {
    for (std::size_t r = 0; r < rows.rows; ++r) add(rows.row(r), static_cast<std::int64_t>(r));
  }
  template <class Keep>
  void keep(const Keep& wanted) {
    Reference all = *this;
    stored_.clear();
    ids_.clear();
    for (std::size_t i = 0; i < all.ids_.size(); ++i) {
      if (!wanted(all.ids_[i])) continue;
      const auto at = all.stored_.begin() + static_cast<std::ptrdiff_t>(i * codec_->stride());
      stored_.insert(stored_.end(), at, at + static_cast<std::ptrdiff_t>(codec_->stride()));
      ids_.push_back(all.ids_[i]);
    }
  }

  std::vector<std::pair<float, std::int64_t>> all(const float* query) const {
    std::vector<float> own(query, query + dim_);
    if (metric_ == Metric::kCosine) normalize_rows(own.data(), 1, dim_, dim_);
    quantizers::Query q;
    codec_->prepare(own.data(), quantizers::Precision::kExact, q);
    std::vector<std::pair<float, std::int64_t>> out;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      float score;
      q.score_block(stored_.data() + i * codec_->stride(), 1, &score);
      if (metric_ == Metric::kCosine) score = std::max(0.0f, 1.0f + score);
      out.emplace_back(score, ids_[i]);
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  Answers search(const Matrix& queries, std::size_t k) const {
    Answers out{k, {}, {}};
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const auto found = all(queries.row(q));
      for (std::size_t i = 0; i < k; ++i) {
        out.ids.push_back(i < found.size() ? found[i].second : -1);
        out.distances.push_back(i < found.size() ? found[i].first
                                                 : std::numeric_limits<float>::infinity());
      }
    }
    return out;
  }

 private:
  Metric metric_;
  std::size_t dim_;
  std::shared_ptr<const quantizers::Codec> codec_;
  std::vector<std::byte> stored_;
  Ids ids_;
};

void expect_answers(const FlatIndex& index, const Reference& reference, const Matrix& queries,
                    const Allowed& allowed = {}) {
  for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{100},
                              index.size() + 3}) {
    SCOPED_TRACE("k " + std::to_string(k));
    const Answers want = reference.search(queries, k);
    EXPECT_EQ(test::search(index, queries.view(), k, allowed), want);
    EXPECT_EQ(test::search(index, queries.view(), k, allowed, 3), want);
    EXPECT_EQ(search_singly(index, queries, k, allowed), want);
  }
}

TEST(FlatPacked, AnswersAreThoseOfEveryRowComparedInFull) {
  for (const CodecSpec& spec : kSpecs) {
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE(label(spec, metric));
      const Matrix rows = clustered(3000, 50, 1), queries = clustered(21, 50, 2);
      FlatIndex index(50, metric, {spec});
      Reference reference(spec, metric, rows);
      index.add(rows.view());
      reference.add(rows);
      expect_answers(index, reference, queries);
    }
  }
}

TEST(FlatPacked, LargeEnoughForSeveralRanges) {
  // A range is a MiB of codes.
  const Matrix rows = clustered(40'000, 64, 3), queries = clustered(2, 64, 4);
  const CodecSpec spec = rotation(4);
  FlatIndex index(64, Metric::kL2, {spec});
  Reference reference(spec, Metric::kL2, rows);
  index.add(rows.view());
  reference.add(rows);
  expect_answers(index, reference, queries);
}

TEST(FlatPacked, RowsComeAndGo) {
  for (const CodecSpec& spec : {pq(10), rotation(1), rotation(4)}) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
      SCOPED_TRACE(label(spec, metric));
      const Matrix rows = clustered(700, 20, 5), queries = clustered(12, 20, 6);
      FlatIndex index(20, metric, {spec});
      Reference reference(spec, metric, rows);
      index.add(rows.view());
      reference.add(rows);
      // One at a time over the end of a block, with ids that fall: ties go by id, not by row.
      for (std::int64_t i = 0; i < 50; ++i) {
        const std::int64_t id = 5000 - i;
        index.add(MatrixView<const float>(rows.row(static_cast<std::size_t>(i)), 1, 20), &id);
        reference.add(rows.row(static_cast<std::size_t>(i)), id);
      }
      expect_answers(index, reference, queries);
      Ids gone;
      for (std::int64_t id = 0; id < 700; id += 9) gone.push_back(id);
      index.remove(gone.data(), gone.size());
      reference.keep([](std::int64_t id) { return id >= 700 || id % 9 != 0; });
      expect_answers(index, reference, queries);
      gone.clear();
      for (std::int64_t id = 1; id < 700; id += 3) {
        if (id % 9 != 0) gone.push_back(id);
      }
      index.remove(gone.data(), gone.size());  // compacts
      reference.keep([](std::int64_t id) { return id >= 700 || id % 3 != 1; });
      expect_answers(index, reference, queries);
      std::vector<float> got(20), twin(20);
      index.get(5000, got.data());
      index.get(4999, twin.data());
      EXPECT_NE(got, twin);
      std::vector<float> again(20);
      FlatIndex fresh(20, metric, {spec});
      fresh.add(rows.view());
      fresh.get(0, again.data());
      EXPECT_EQ(got, again);
    }
  }
}

TEST(FlatPacked, OnlyAllowedRows) {
  const Matrix rows = clustered(5000, 16, 7), queries = clustered(11, 16, 8);
  for (const CodecSpec& spec : {pq(8), rotation(2)}) {
    FlatIndex index(16, Metric::kInnerProduct, {spec});
    Reference everything(spec, Metric::kInnerProduct, rows);
    index.add(rows.view());
    everything.add(rows);
    for (const std::int64_t step : {1, 2, 5, 70, 400, 1500}) {
      SCOPED_TRACE(step);
      Ids ids;
      std::vector<std::uint8_t> mask(5000);
      for (std::int64_t id = 3; id < 5000; id += step) {
        ids.push_back(id);
        mask[static_cast<std::size_t>(id)] = 1;
      }
      Reference reference = everything;
      reference.keep([&](std::int64_t id) { return mask[static_cast<std::size_t>(id)] != 0; });
      expect_answers(index, reference, queries, {nullptr, ids.data(), ids.size()});
      expect_answers(index, reference, queries, {mask.data(), nullptr, mask.size()});
    }
  }
}

TEST(FlatPacked, NothingButDuplicates) {
  Matrix rows = clustered(2000, 12, 9);
  for (std::size_t r = 20; r < 2000; ++r) {
    std::copy_n(rows.row(r % 20), 12, rows.values.data() + r * 12);
  }
  const Matrix queries = clustered(10, 12, 10);
  for (const CodecSpec& spec : {pq(6), rotation(1)}) {
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE(label(spec, metric));
      FlatIndex index(12, metric, {spec});
      Reference reference(spec, metric, rows);
      index.add(rows.view());
      reference.add(rows);
      expect_answers(index, reference, queries);
      expect_answers(index, reference, {1, 12, std::vector<float>(rows.row(3), rows.row(4))});
    }
  }
}

// Queries whose tables overflow have no bounds: all rows are compared.
TEST(FlatPacked, AwkwardQueries) {
  const Matrix rows = clustered(500, 24, 11);
  Matrix queries = clustered(4, 24, 12);
  const float scales[] = {0.0f, 1e-30f, 1e17f, 1e36f};
  for (std::size_t i = 0; i < queries.values.size(); ++i) queries.values[i] *= scales[i / 24];
  for (const CodecSpec& spec : {pq(12), rotation(1), rotation(3)}) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      SCOPED_TRACE(label(spec, metric));
      FlatIndex index(24, metric, {spec});
      Reference reference(spec, metric, rows);
      index.add(rows.view());
      reference.add(rows);
      for (std::size_t q = 0; q < (metric == Metric::kL2 ? 3u : 4u); ++q) {
        const Matrix one{1, 24, std::vector<float>(queries.row(q), queries.row(q) + 24)};
        const auto found = reference.all(one.row(0));
        if (!(found.back().first < std::numeric_limits<float>::infinity())) continue;
        EXPECT_EQ(test::search(index, one.view(), 20), reference.search(one, 20));
      }
    }
  }
}

TEST(FlatPacked, RangesAreThoseOfEveryRowComparedInFull) {
  const Matrix rows = clustered(1500, 30, 13), queries = clustered(5, 30, 14);
  for (const CodecSpec& spec : {pq(15), rotation(1), rotation(4)}) {
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE(label(spec, metric));
      FlatIndex index(30, metric, {spec});
      Reference reference(spec, metric, rows);
      index.add(rows.view());
      reference.add(rows);
      for (const std::size_t rank : {0u, 9u, 300u, 1499u}) {
        const float radius = reference.all(queries.row(0))[rank].first;
        RunOptions run;
        run.threads = 2;
        const RangeResult got = index.range_search(queries.view(), radius, {}, run);
        for (std::size_t q = 0; q < queries.rows; ++q) {
          auto want = reference.all(queries.row(q));
          want.erase(std::find_if(want.begin(), want.end(),
                                  [&](const auto& hit) { return hit.first > radius; }),
                     want.end());
          ASSERT_EQ(got.offsets[q + 1] - got.offsets[q], want.size());
          for (std::size_t i = 0; i < want.size(); ++i) {
            EXPECT_EQ(got.distances[got.offsets[q] + i], want[i].first);
            EXPECT_EQ(got.ids[got.offsets[q] + i], want[i].second);
          }
        }
      }
    }
  }
}

TEST(FlatPacked, MemoryIsThatOfTheBlocks) {
  const Matrix rows = clustered(320, 128, 15);
  FlatIndex index(128, Metric::kL2, {rotation(1)});
  index.add(rows.view());
  for (const MemoryPart& part : index.memory()) {
    if (part.name == "codes") EXPECT_EQ(part.bytes, 320u * 20);  // 16 of bits and 4 of factors
    EXPECT_NE(part.name, "reserve");
  }
  index.add(MatrixView<const float>(rows.row(0), 1, 128));
  for (const MemoryPart& part : index.memory()) {
    if (part.name == "codes") EXPECT_EQ(part.bytes, 352u * 20);
  }
}

TEST(FlatPacked, SearchesBesideChangesSeeWholeRows) {
  const Matrix rows = clustered(4000, 16, 16);
  FlatIndex index(16, Metric::kL2, {pq(8)});
  index.add(MatrixView<const float>(rows.row(0), 1000, 16));
  const Answers before = test::search(index, MatrixView<const float>(rows.row(0), 4, 16), 1);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    do {
      const Answers now = test::search(index, MatrixView<const float>(rows.row(0), 4, 16), 1);
      for (std::size_t q = 0; q < 4; ++q) wrong += now.distances[q] > before.distances[q] ? 1 : 0;
    } while (!stop);
  });
  for (std::size_t r = 1000; r < 4000; r += 7) {
    index.add(MatrixView<const float>(rows.row(r), std::min<std::size_t>(7, 4000 - r), 16));
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(index.size(), 4000u);
}

// ---- Files

class FlatPackedFile : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    const std::string unique = std::to_string(std::random_device{}()) + test->name();
    path_ = (std::filesystem::temp_directory_path() / ("vicinal_packed_" + unique)).string();
  }
  void TearDown() override { std::remove(path_.c_str()); }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  std::string path_;
};

TEST_F(FlatPackedFile, RoundTripsBothWays) {
  const Matrix rows = clustered(500, 21, 1), queries = clustered(12, 21, 2);
  for (const CodecSpec& spec : kSpecs) {
    if (spec.parts > 21) continue;
    for (const std::size_t count : {std::size_t{500}, std::size_t{480}, std::size_t{17}}) {
      SCOPED_TRACE(label(spec, Metric::kL2) + " " + std::to_string(count));
      FlatIndex index(21, Metric::kL2, {spec});
      index.add(MatrixView<const float>(rows.row(0), count, 21));
      const Ids gone{3, 7};
      index.remove(gone.data(), gone.size());
      index.save(path_, "kept as it is");
      verify_file(path_);
      EXPECT_EQ(file_info(path_).version, 2u);
      const std::string first = bytes();
      for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
        FlatIndex back = FlatIndex::open(path_, mode);
        EXPECT_EQ(back.ids(), index.ids());
        EXPECT_EQ(test::search(back, queries.view(), 30), test::search(index, queries.view(), 30));
        EXPECT_EQ(back.memory().front().mapped, mode == OpenMode::kMap);
        EXPECT_EQ(back.memory().front().bytes, index.memory().front().bytes);
        back.save(path_, "kept as it is");  // onto the very file it is mapped from
        EXPECT_EQ(bytes(), first);
        back.add(MatrixView<const float>(rows.row(5), 1, 21));
        index.remove(index.ids().data(), 1);
        back.remove(back.ids().data(), 1);
        FlatIndex same = FlatIndex::open(path_);
        same.add(MatrixView<const float>(rows.row(5), 1, 21));
        same.remove(same.ids().data(), 1);
        EXPECT_EQ(test::search(back, queries.view(), 30), test::search(same, queries.view(), 30));
        index = FlatIndex::open(path_, mode);
      }
      EXPECT_EQ(bytes(), first);
    }
  }
}

TEST_F(FlatPackedFile, OtherCodecsStayReadableByOlderLibraries) {
  FlatIndex index(6, Metric::kCosine, {CodecKind::kSq8});
  index.add(clustered(100, 6, 4).view());
  index.save(path_);
  EXPECT_EQ(file_info(path_).version, 1u);
  FlatIndex empty(6, Metric::kL2, {rotation(1)});
  empty.save(path_);
  EXPECT_EQ(file_info(path_).version, 1u);
}

// Version 1 kept rows one after the other.
TEST_F(FlatPackedFile, ReadsRowsOfVersionOne) {
  const Matrix rows = clustered(77, 18, 5), queries = clustered(12, 18, 6);
  for (const CodecSpec& spec : {pq(9), rotation(2)}) {
    FlatIndex index(18, Metric::kL2, {spec});
    index.add(rows.view());
    index.save(path_);
    {
      storage::File file = indexes::open_file(path_, OpenMode::kLoad, "flat");
      const auto codec = indexes::read_codec(file, spec, 18, Metric::kL2);
      const auto learned = codec->learned();
      std::vector<std::byte> stored(77 * codec->stride());
      codec->encode(rows.row(0), 18, 77, stored.data());
      std::vector<storage::SectionSource> sections{{"codes", {{stored.data(), stored.size()}}}};
      indexes::write_learned(learned, sections);
      indexes::save_file(path_, "flat", file.config(), "", sections, {});
    }
    EXPECT_EQ(file_info(path_).version, 1u);
    for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      const FlatIndex back = FlatIndex::open(path_, mode);
      EXPECT_EQ(test::search(back, queries.view(), 30), test::search(index, queries.view(), 30));
      EXPECT_FALSE(back.memory().front().mapped);
    }
  }
}

TEST_F(FlatPackedFile, DamageIsNeverACrash) {
  const Matrix rows = clustered(40, 9, 5), queries = clustered(10, 9, 6);
  for (const CodecSpec& spec : {pq(4), rotation(1)}) {
    FlatIndex index(9, Metric::kInnerProduct, {spec});
    index.add(rows.view());
    const std::int64_t gone = 3;
    index.remove(&gone, 1);
    index.save(path_, "text");
    const std::string whole = bytes();
    const storage::File file = indexes::open_file(path_, OpenMode::kMap, "flat");
    const FileInfo info = file_info(path_);
    std::size_t refused = 0;
    const auto attempt = [&](const std::string& content) {
      std::remove(path_.c_str());
      std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
      for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
        try {
          FlatIndex back = FlatIndex::open(path_, mode);
          test::search(back, MatrixView<const float>(queries.row(0), 10, 9), 4);
          back.range_search(MatrixView<const float>(queries.row(0), 2, 9), 0.5f);
          for (const std::int64_t id : back.ids()) {
            std::vector<float> out(back.dim());
            back.get(id, out.data());
          }
          back.add(MatrixView<const float>(rows.row(0), 1, 9));
        } catch (const Error&) {
          ++refused;
        }
      }
    };
    for (std::size_t i = 0; i < 1000; ++i) {
      std::string content = whole;
      const std::size_t at = random_below(content.size(), 7, 0, i);
      content[at] = static_cast<char>(content[at] ^ (1 << random_below(8, 7, 1, i)));
      attempt(content);
    }
    // Factors and codes of any bits at all: infinite, not a number.
    for (const auto& section : info.sections) {
      if (section.name != "blocks") continue;
      for (std::size_t i = 0; i < 200; ++i) {
        std::string content = whole;
        for (std::size_t b = 0; b < section.bytes; ++b) {
          content[section.offset + b] =
              static_cast<char>(i < 2 ? 0xFF * i : random_below(256, 8, i, b));
        }
        attempt(content);
      }
    }
    for (std::size_t size = 0; size < whole.size(); size += 97) attempt(whole.substr(0, size));
    EXPECT_GT(refused, 500u);
  }
}

}  // namespace
}  // namespace vicinal
