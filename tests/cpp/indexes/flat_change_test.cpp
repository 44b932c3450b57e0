#include <gtest/gtest.h>

#include <atomic>
#include <cfloat>
#include <limits>
#include <set>
#include <thread>

#include "indexes/flat_data.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

std::string complaint(const std::function<void()>& call) {
  try {
    call();
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "";
}

TEST(FlatAdd, NumbersRowsFromTheHighestIdOn) {
  const Matrix rows = clustered(10, 3, 1);
  FlatIndex index(3, Metric::kL2);
  index.add(rows.view());
  EXPECT_EQ(index.ids(), (Ids{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const std::int64_t last = 9;
  index.remove(&last, 1);
  index.add(MatrixView<const float>(rows.row(0), 1, 3));
  EXPECT_EQ(index.ids().back(), 10);  // a removed id does not come back by itself
  const std::int64_t high = 100;
  index.add(MatrixView<const float>(rows.row(1), 1, 3), &high);
  index.add(MatrixView<const float>(rows.row(2), 1, 3));
  EXPECT_EQ(index.ids(), (Ids{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 100, 101}));
  EXPECT_EQ(index.size(), 12u);
  for (std::int64_t id : index.ids()) EXPECT_TRUE(index.contains(id));
  for (std::int64_t id : {std::int64_t{9}, std::int64_t{-1}, std::int64_t{102}})
    EXPECT_FALSE(index.contains(id));
  float row[3];
  index.get(101, row);
  EXPECT_TRUE(std::equal(row, row + 3, rows.row(2)));
  EXPECT_NE(complaint([&] { index.get(9, row); }), "");
}

TEST(FlatAdd, RefusesAndThenNothingHasChanged) {
  const Matrix rows = clustered(6, 3, 2);
  FlatIndex index(3, Metric::kCosine);
  const Ids ids{5, 7, 6};
  index.add(MatrixView<const float>(rows.row(0), 3, 3), ids.data());
  const auto unchanged = [&] {
    EXPECT_EQ(index.ids(), ids);
    EXPECT_EQ(index.size(), 3u);
  };
  const auto add = [&](const Ids& with) {
    return complaint(
        [&] { index.add(MatrixView<const float>(rows.row(3), with.size(), 3), with.data()); });
  };
  EXPECT_EQ(add({1, 7}), "ids[1] is 7, which this index already holds");
  EXPECT_EQ(add({1, 1}), "ids[1] is 1 for the second time");
  EXPECT_EQ(add({9, -1}), "ids[1] is -1; ids are 0 or more");
  EXPECT_THROW(index.add(clustered(2, 4, 1).view()), DimensionError);
  Matrix bad = clustered(2, 3, 3);
  bad.values[4] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(complaint([&] { index.add(bad.view()); }),
            "vectors: row 1, column 1 is inf; every value must be finite");
  bad.values = {1, 2, 3, 0, 0, 0};
  EXPECT_EQ(complaint([&] { index.add(bad.view()); }),
            "vectors: row 1 is zero in every column; under cosine a vector needs a direction");
  unchanged();
  EXPECT_EQ(complaint([&] {
              index.remove(Ids{5, 8}.data(), 2);
            }),
            "ids[1] is 8, which this index does not hold");
  EXPECT_EQ(complaint([&] {
              index.remove(Ids{5, 5}.data(), 2);
            }),
            "ids[1] is 5 for the second time");
  unchanged();
}

TEST(FlatAdd, HighestIdLeavesNoRoomForMore) {
  FlatIndex index(1, Metric::kL2);
  const float value = 1.0f;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  index.add(MatrixView<const float>(&value, 1, 1), &most);
  EXPECT_NE(complaint([&] { index.add(MatrixView<const float>(&value, 1, 1)); }), "");
  const std::int64_t other = 3;
  index.add(MatrixView<const float>(&value, 1, 1), &other);
  EXPECT_EQ(index.ids(), (Ids{most, 3}));
}

TEST(FlatAdd, BytesTakeWholeNumbersInRange) {
  for (const auto& [codec, bad] : {std::pair{CodecKind::kInt8, 128.0f},
                                   {CodecKind::kInt8, -129.0f},
                                   {CodecKind::kUint8, -1.0f},
                                   {CodecKind::kUint8, 256.0f},
                                   {CodecKind::kUint8, 1.5f}}) {
    FlatIndex index(2, Metric::kL2, {codec});
    Matrix rows{2000, 2, std::vector<float>(4000, 1.0f)};
    for (std::size_t r : {1999u, 700u, 701u}) rows.values[r * 2 + 1] = bad;
    for (unsigned threads : {1u, 3u}) {
      RunOptions run;
      run.threads = threads;
      const std::string what = complaint([&] { index.add(rows.view(), nullptr, run); });
      EXPECT_NE(what.find("row 700, column 1"), std::string::npos) << what;  // always the first
      EXPECT_EQ(index.size(), 0u);
    }
  }
}

TEST(FlatIndex, RefusesWhatItCannotBe) {
  EXPECT_THROW(FlatIndex(0, Metric::kL2), ArgumentError);
  EXPECT_THROW(FlatIndex(kMaxDim + 1, Metric::kL2), ArgumentError);
  EXPECT_THROW(FlatIndex(8, Metric::kL2, {CodecKind::kBfloat16}), ArgumentError);
  EXPECT_NE(complaint([] { FlatIndex(8, Metric::kCosine, {CodecKind::kInt8}); }).find("length 1"),
            std::string::npos);
  EXPECT_THROW(FlatIndex(8, Metric::kCosine, {CodecKind::kUint8}), ArgumentError);
}

TEST(FlatAdd, KeepsWhatTheCodecCanKeep) {
  const Matrix rows = clustered(300, 50, 4);
  for (CodecKind codec : {CodecKind::kFloat32, CodecKind::kFloat16, CodecKind::kSq8}) {
    FlatIndex index(50, Metric::kL2, {codec});
    index.add(rows.view());
    std::vector<std::int64_t> ids;
    const Matrix kept = stored(index, ids);
    for (std::size_t i = 0; i < rows.values.size(); ++i) {
      // A half has 11 bits; 255 steps span the centred row, here less than 8 wide.
      const double tolerance = codec == CodecKind::kFloat32 ? 0.0
                               : codec == CodecKind::kFloat16
                                   ? std::abs(rows.values[i]) * 0x1p-11 + 0x1p-25
                                   : 8.0 / 255 * 0.51;
      ASSERT_NEAR(kept.values[i], rows.values[i], tolerance) << name(codec) << " " << i;
    }
  }
}

TEST(FlatAdd, AnyInputTypeAndStrideGivesTheSameIndex) {
  const Matrix rows = whole_numbers(200, 6, 5, 0, 100);
  FlatIndex plain(6, Metric::kL2);
  plain.add(rows.view());
  std::vector<double> wide(200 * 6 * 2);
  std::vector<std::uint8_t> bytes(200 * 6);
  for (std::size_t r = 0; r < 200; ++r) {
    for (std::size_t c = 0; c < 6; ++c) {
      wide[((199 - r) * 6 + c) * 2] = rows.row(r)[c];  // backwards, every other place
      bytes[r * 6 + c] = static_cast<std::uint8_t>(rows.row(r)[c]);
    }
  }
  FlatIndex other(6, Metric::kL2);
  other.add(VectorsView(wide.data() + 199 * 12, ElementType::kFloat64, 100, 6, -96, 16));
  other.add(VectorsView(bytes.data() + 600, ElementType::kUint8, 100, 6, 6, 1));
  const Matrix queries = whole_numbers(15, 6, 6, 0, 100);
  EXPECT_EQ(search(plain, queries.view(), 20), search(other, queries.view(), 20));
}

TEST(FlatRemove, RemovedRowsAreNeverFoundAgain) {
  const std::size_t n = 2000;
  const Matrix rows = whole_numbers(n, 7, 7, -5, 11);
  const Matrix queries = whole_numbers(20, 7, 8, -5, 11);
  FlatIndex index(7, Metric::kL2);
  index.add(rows.view());
  std::set<std::int64_t> left;
  for (std::size_t i = 0; i < n; ++i) left.insert(static_cast<std::int64_t>(i));
  // Small steps and large ones: with marks only, then across several rewritings.
  for (std::size_t round = 0; !left.empty(); ++round) {
    Ids gone;
    const std::size_t wanted = round < 4 ? 37 : left.size() / 2 + 1;
    for (std::int64_t id : left) {
      if (gone.size() < wanted && random_below(2, 9, round, static_cast<std::uint64_t>(id)) == 0)
        gone.push_back(id);
    }
    if (left.size() < 5) gone.assign(left.begin(), left.end());
    index.remove(gone.data(), gone.size());
    for (std::int64_t id : gone) left.erase(id);
    ASSERT_EQ(index.size(), left.size());
    ASSERT_EQ(index.ids(), Ids(left.begin(), left.end()));
    for (std::int64_t id : gone) ASSERT_FALSE(index.contains(id));
    Matrix kept{0, 7, {}};
    for (std::int64_t id : left) {
      ASSERT_TRUE(index.contains(id));
      const float* row = rows.row(static_cast<std::size_t>(id));
      kept.values.insert(kept.values.end(), row, row + 7);
      ++kept.rows;
    }
    const Answers got = search(index, queries.view(), 9);
    EXPECT_EQ(got, search_singly(index, queries, 9));
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const auto want =
          exhaustive(Metric::kL2, queries.row(q), kept, Ids(left.begin(), left.end()));
      for (std::size_t i = 0; i < 9; ++i) {
        ASSERT_EQ(got.ids[q * 9 + i], i < want.size() ? want[i].second : kNoId);
      }
    }
  }
  index.add(rows.view());
  EXPECT_EQ(index.ids().front(), static_cast<std::int64_t>(n));  // numbering goes on
  EXPECT_EQ(index.size(), n);
}

TEST(FlatRemove, IdsMayComeBackWithOtherRows) {
  FlatIndex index(1, Metric::kL2);
  const Matrix rows{4, 1, {0, 1, 2, 3}};
  index.add(rows.view());
  const Ids two{2};
  index.remove(two.data(), 1);
  const float value = 9.0f;
  index.add(MatrixView<const float>(&value, 1, 1), two.data());
  float got = 0.0f;
  index.get(2, &got);
  EXPECT_EQ(got, 9.0f);
  EXPECT_EQ(search(index, MatrixView<const float>(&value, 1, 1), 2).ids, (Ids{2, 3}));
}

TEST(FlatMemory, NamesWhatItHolds) {
  const Matrix rows = clustered(1000, 10, 10);
  FlatIndex index(10, Metric::kL2, {CodecKind::kSq8});
  std::uint64_t total = 0;
  EXPECT_TRUE(index.memory().empty());
  index.add(rows.view());
  for (const MemoryPart& part : index.memory()) {
    if (part.name == "codes") {
      EXPECT_EQ(part.bytes, 32'000u);
    }
    EXPECT_FALSE(part.mapped);
    total += part.bytes;
  }
  EXPECT_EQ(total, 32'000u + 40u);  // codes and the mean: the first rows take just what they need
  index.add(rows.view());
  index.add(MatrixView<const float>(rows.row(0), 1, 10));
  bool reserve = false;
  for (const MemoryPart& part : index.memory()) reserve |= part.name == "reserve" && part.bytes > 0;
  EXPECT_TRUE(reserve);
}

// Meant for the thread sanitizer: searches of every kind beside add() and remove().
TEST(FlatThreads, SearchesRunBesideChanges) {
  const std::size_t dim = 12;
  const Matrix rows = whole_numbers(3000, dim, 11, -5, 11);
  FlatIndex index(dim, Metric::kL2);
  index.add(MatrixView<const float>(rows.row(0), 100, dim));
  std::atomic<bool> over{false};
  std::atomic<int> rounds{0};
  std::vector<std::thread> searchers;
  for (unsigned t = 0; t < 3; ++t) {
    searchers.emplace_back([&, t] {
      const Matrix queries = whole_numbers(t == 0 ? 20 : 2, dim, 12 + t, -5, 11);
      const Ids list{0, 3, 50, 2000, 2500};
      while (!over || rounds < 10) {
        const Allowed allowed = t == 2 ? Allowed{nullptr, list.data(), list.size()} : Allowed{};
        const Answers got = search(index, queries.view(), 5, allowed, 1 + t % 2);
        for (std::size_t i = 0; i < got.ids.size(); ++i) {
          if (got.ids[i] == kNoId) continue;
          // Row i of the data has id i for ever: whatever is found must be as far as is said.
          const double want = distance(Metric::kL2, queries.row(i / 5),
                                       rows.row(static_cast<std::size_t>(got.ids[i])), dim);
          ASSERT_EQ(got.distances[i], want);
        }
        index.contains(static_cast<std::int64_t>(rounds % 3000));
        ++rounds;
      }
    });
  }
  for (std::size_t at = 100; at < 3000; at += 100) {
    index.add(MatrixView<const float>(rows.row(at), 100, dim));
    Ids gone;
    for (std::size_t i = at - 100; i < at; i += 3) gone.push_back(static_cast<std::int64_t>(i));
    index.remove(gone.data(), gone.size());
  }
  over = true;
  for (auto& searcher : searchers) searcher.join();
  EXPECT_EQ(index.size(), 3000u - 29 * 34);
}

}  // namespace
}  // namespace vicinal
