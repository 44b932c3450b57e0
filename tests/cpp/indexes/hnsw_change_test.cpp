#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "indexes/hnsw_data.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

TEST(HnswAdd, GrowsWithoutACapacityAndKeepsIds) {
  const Matrix rows = spread(3000, 12, 1), queries = spread(60, 12, 2);
  HnswIndex index(12, Metric::kCosine);
  Ids ids;
  for (std::size_t at = 0; at < rows.rows;) {
    const std::size_t n = std::min<std::size_t>(1 + at / 3, rows.rows - at);
    const Ids more = counted(n, static_cast<std::int64_t>(10 * at));
    if (at % 2 == 0) {
      index.add(MatrixView<const float>(rows.row(at), n, 12), more.data());
      ids.insert(ids.end(), more.begin(), more.end());
    } else {
      const std::int64_t next = ids.empty() ? 0 : *std::max_element(ids.begin(), ids.end()) + 1;
      index.add(MatrixView<const float>(rows.row(at), n, 12));
      for (std::size_t i = 0; i < n; ++i) ids.push_back(next + static_cast<std::int64_t>(i));
    }
    at += n;
  }
  EXPECT_EQ(index.ids(), ids);
  EXPECT_EQ(index.size(), rows.rows);
  const Answers found = search(index, queries.view(), 10, 64);
  EXPECT_GE(recall(found, Metric::kCosine, queries, rows, ids), 0.98);  // measured 1.000
  EXPECT_TRUE(index.contains(ids.back()));
  EXPECT_FALSE(index.contains(ids.back() + 1));
}

TEST(HnswAdd, RefusesAndThenNothingHasChanged) {
  const Matrix rows = spread(8, 3, 2);
  HnswIndex index(3, Metric::kCosine);
  const Ids ids{5, 7, 6};
  index.add(MatrixView<const float>(rows.row(0), 3, 3), ids.data());
  const auto refuses = [&](Matrix bad, const Ids& with) {
    EXPECT_THROW(index.add(bad.view(), with.data()), ArgumentError);
    EXPECT_EQ(index.ids(), ids);
    EXPECT_EQ(search(index, rows.view(), 3, 8).ids.size(), 24u);
  };
  Matrix two{2, 3, {1, 2, 3, 4, 5, 6}};
  refuses(two, {8, 8});
  refuses(two, {8, 7});
  refuses(two, {8, -1});
  two.values[4] = std::numeric_limits<float>::quiet_NaN();
  refuses(two, {8, 9});
  two.values[4] = -std::numeric_limits<float>::infinity();
  refuses(two, {8, 9});
  two.values = {1, 2, 3, 0, 0, 0};
  refuses(two, {8, 9});
}

TEST(HnswAdd, AStoppedBuildKeepsWhatItFinished) {
  const Matrix rows = spread(6000, 8, 3);
  HnswParams params;
  params.builder = HnswParams::Builder::kInsert;
  HnswIndex index(8, Metric::kL2, params);
  RunOptions run;
  std::uint64_t seen = 0;
  run.threads = 2;
  run.progress = [&](const Progress& p) {
    if (std::string(p.stage) != "inserting" || p.done < 500) return true;
    seen = p.done;
    return false;
  };
  // The callback comes ten times a second at most, so a quick build may end unstopped.
  try {
    index.add(rows.view(), nullptr, run);
    EXPECT_EQ(index.size(), rows.rows);
  } catch (const CancelledError&) {
    // Only the batch under way is lost, at most 1/200 of the rows before it.
    EXPECT_GE(index.size() + index.size() / 200 + 1, seen);
    EXPECT_LT(index.size(), rows.rows);
  }
  const std::size_t kept = index.size();
  index.add(MatrixView<const float>(rows.row(kept), rows.rows - kept, 8));
  EXPECT_EQ(index.ids(), counted(rows.rows));
  const Answers found = search(index, rows.view(), 1, 32);
  std::size_t self = 0;
  for (std::size_t r = 0; r < rows.rows; ++r) self += found.ids[r] == static_cast<std::int64_t>(r);
  EXPECT_GE(self, rows.rows * 99 / 100);
}

class HnswRemove : public testing::TestWithParam<bool> {};

TEST_P(HnswRemove, HidesRowsAndGivesTheirMemoryBackWhenAsked) {
  const Matrix rows = spread(3000, 12, 4), queries = spread(60, 12, 5);
  HnswParams params;
  params.codec = CodecKind::kSq8;
  params.refine = RefineKind::kFloat32;
  HnswIndex index(12, Metric::kL2, params);
  const bool table = GetParam();
  Ids ids = counted(rows.rows, table ? 77 : 0);
  index.add(rows.view(), ids.data());
  Ids gone, left;
  Matrix kept{0, 12, {}};
  for (std::size_t r = 0; r < rows.rows; ++r) {
    if (r % 3 == 1) {
      gone.push_back(ids[r]);
    } else {
      left.push_back(ids[r]);
      kept.values.insert(kept.values.end(), rows.row(r), rows.row(r) + 12);
      ++kept.rows;
    }
  }
  index.remove(gone.data(), gone.size());
  EXPECT_EQ(index.size(), left.size());
  EXPECT_EQ(index.removed(), gone.size());
  EXPECT_EQ(index.ids(), left);
  EXPECT_THROW(index.remove(gone.data(), 1), ArgumentError);
  EXPECT_FALSE(index.contains(gone[0]));
  const auto check = [&] {
    const Answers found = search(index, queries.view(), 10, 64);
    EXPECT_GE(recall(found, Metric::kL2, queries, kept, left), 0.98);  // measured 1.000
  };
  check();
  const auto bytes = [&] {
    std::uint64_t sum = 0;
    for (const MemoryPart& part : index.memory()) sum += part.bytes;
    return sum;
  };
  const std::uint64_t before = bytes();
  index.compact();
  EXPECT_EQ(index.removed(), 0u);
  EXPECT_EQ(index.ids(), left);
  EXPECT_LT(bytes(), before * 8 / 10);
  check();
  // A removed id may come again.
  index.add(MatrixView<const float>(rows.row(1), 1, 12), &gone[0]);
  EXPECT_TRUE(index.contains(gone[0]));
  EXPECT_EQ(search(index, MatrixView<const float>(rows.row(1), 1, 12), 1, 32).ids[0], gone[0]);
}

INSTANTIATE_TEST_SUITE_P(IdsAreRowsOrNot, HnswRemove, testing::Bool());

TEST(HnswRemove, OfEverythingLeavesAnEmptyIndexThatWorks) {
  using Builder = HnswParams::Builder;
  const Matrix rows = spread(200, 6, 4);
  for (const Builder builder : {Builder::kAuto, Builder::kBatch, Builder::kInsert}) {
    HnswParams params;
    params.builder = builder;
    HnswIndex index(6, Metric::kL2, params);
    index.add(rows.view());
    const Ids ids = index.ids();
    index.remove(ids.data(), ids.size());
    EXPECT_EQ(index.size(), 0u);
    EXPECT_EQ(search(index, rows.view(), 1, 8).ids, Ids(200, -1));
    index.compact();
    EXPECT_EQ(search(index, rows.view(), 1, 8).ids, Ids(200, -1));
    index.add(rows.view());
    EXPECT_EQ(index.ids(), counted(200, 200));
    EXPECT_EQ(search(index, MatrixView<const float>(rows.row(3), 1, 6), 1, 8).ids[0], 203);
  }
}

/// `rows` with 1000 added to every value.
Matrix far_away(Matrix rows) {
  for (float& value : rows.values) value += 1000;
  return rows;
}

TEST(HnswAdd, AnEmptyIndexForgetsWhatItsCodecLearned) {
  const Matrix rows = spread(5000, 8, 3);
  const Matrix wrong = far_away(rows);
  HnswParams params;
  params.codec.kind = CodecKind::kSq8;
  HnswIndex fresh(8, Metric::kL2, params);
  fresh.add(rows.view());
  const Answers want = search(fresh, rows.view(), 3, 32);

  HnswIndex stopped(8, Metric::kL2, params);
  RunOptions run;
  run.progress = [](const Progress& p) { return std::string(p.stage) != "building"; };
  EXPECT_THROW(stopped.add(wrong.view(), nullptr, run), CancelledError);
  stopped.add(rows.view());
  EXPECT_EQ(search(stopped, rows.view(), 3, 32), want);

  HnswIndex emptied(8, Metric::kL2, params);
  emptied.add(wrong.view());
  const Ids ids = emptied.ids();
  emptied.remove(ids.data(), ids.size());
  emptied.compact();
  emptied.add(rows.view());
  EXPECT_EQ(search(emptied, rows.view(), 3, 32).distances, want.distances);
}

TEST(HnswAdd, IdsAreFoundWhileItLasts) {
  const Matrix rows = spread(3000, 8, 3);
  HnswIndex index(8, Metric::kL2);
  const Ids ids = counted(3000, 500);
  index.add(MatrixView<const float>(rows.row(0), 1000, 8), ids.data());
  std::size_t looked = 0;
  RunOptions run;
  run.progress = [&](const Progress&) {
    float row[8];
    index.get(500, row);
    EXPECT_EQ(row[0], rows.row(0)[0]);
    EXPECT_TRUE(index.contains(1499));
    EXPECT_FALSE(index.contains(499));
    ++looked;
    return true;
  };
  index.add(MatrixView<const float>(rows.row(1000), 2000, 8), ids.data() + 1000, run);
  EXPECT_GT(looked, 0u);
  for (const std::int64_t id : {500, 1500, 3499}) EXPECT_TRUE(index.contains(id));
}

TEST(HnswMemory, CountsTheMapOfIds) {
  const auto map_of = [](const HnswIndex& index) {
    for (const auto& part : index.memory()) {
      if (part.name == "id map") return part.bytes;
    }
    return std::uint64_t{0};
  };
  const Matrix rows = spread(1000, 8, 3);
  HnswIndex index(8, Metric::kL2);
  index.add(rows.view());
  index.reorder();
  HnswSearch how;
  const Ids own = counted(1000);
  how.without = own.data();
  std::vector<std::int64_t> found(1000);
  std::vector<float> distances(1000);
  index.search(rows.view(), how, {found.data(), 1000, 1}, {distances.data(), 1000, 1});
  EXPECT_EQ(map_of(index), 0u);  // what build() promises of memory holds without it
  EXPECT_TRUE(index.contains(7));
  EXPECT_GE(map_of(index), 1000u * 12);
}

TEST(HnswReorder, ChangesNoAnswer) {
  const Matrix rows = spread(3000, 12, 6), queries = spread(60, 12, 7);
  HnswIndex index(12, Metric::kL2);
  index.add(rows.view());
  const Ids gone{5, 6, 7};
  index.remove(gone.data(), gone.size());
  const Answers before = search(index, queries.view(), 10, 32);
  index.reorder();
  EXPECT_EQ(search(index, queries.view(), 10, 32), before);
  EXPECT_FALSE(index.contains(6));
  float row[12];
  index.get(99, row);
  EXPECT_TRUE(std::equal(row, row + 12, rows.row(99)));
  index.add(MatrixView<const float>(rows.row(6), 1, 12));
  EXPECT_EQ(search(index, MatrixView<const float>(rows.row(6), 1, 12), 1, 32).ids[0], 3000);
}

// Run under the thread sanitizer this is the proof that searches need no lock.
TEST(HnswThreads, SearchesRunBesideEverythingThatChangesTheIndex) {
  const Matrix rows = spread(2400, 8, 8), queries = spread(16, 8, 9);
  HnswParams params;
  params.codec = CodecKind::kSq8;
  params.refine = RefineKind::kFloat16;
  params.build_ef = 40;
  HnswIndex index(8, Metric::kL2, params);
  index.add(MatrixView<const float>(rows.row(0), 400, 8));
  std::atomic<bool> done{false};
  std::atomic<std::size_t> searches{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done.load()) {
        const Answers found = search(index, queries.view(), 5, 24);
        for (std::size_t i = 0; i < found.ids.size(); ++i) {
          ASSERT_GE(found.ids[i], -1);
          ASSERT_LT(found.ids[i], 2400);
        }
        ++searches;
        (void)index.memory();
        (void)index.ids();
      }
    });
  }
  RunOptions two;
  two.threads = 2;
  for (std::size_t at = 400; at < rows.rows; at += 400) {
    index.add(MatrixView<const float>(rows.row(at), 400, 8), nullptr, two);
    const Ids gone = counted(20, static_cast<std::int64_t>(at - 400));
    index.remove(gone.data(), gone.size());
  }
  index.reorder(two);
  index.compact(two);
  while (searches.load() < 4) std::this_thread::yield();
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(index.size(), 2400u - 5 * 20);
}

}  // namespace
}  // namespace vicinal
