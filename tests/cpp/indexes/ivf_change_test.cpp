#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <utility>

#include "indexes/ivf_data.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;

std::uint64_t bytes(const IvfIndex& index) {
  std::uint64_t sum = 0;
  for (const MemoryPart& part : index.memory()) sum += part.bytes;
  return sum;
}

std::uint64_t code_bytes(const IvfIndex& index) {
  std::uint64_t sum = 0;
  for (const MemoryPart& part : index.memory()) sum += part.name == "codes" ? part.bytes : 0;
  return sum;
}

MatrixView<const float> part(const Matrix& rows, std::size_t first, std::size_t n) {
  return {rows.row(first), n, rows.cols};
}

class IvfChangeOf : public testing::TestWithParam<CodecSpec> {
 protected:
  void SetUp() override {
    params_.codec = GetParam();
    params_.lists = 20;
  }
  const Matrix rows_ = spread(1500, 24, 1);
  const Matrix queries_ = spread(40, 24, 2);
  IvfParams params_;
};

// Lists grow in place, or in new memory; which, no search can tell.
TEST_P(IvfChangeOf, PieceByPieceIsAsAllAtOnce) {
  IvfIndex whole(24, Metric::kL2, params_), pieces(24, Metric::kL2, params_);
  whole.train(rows_.view());
  pieces.train(rows_.view());
  EXPECT_EQ(whole.size(), 0u);
  EXPECT_EQ(search(whole, queries_.view(), 3, probing(20)).ids, Ids(120, -1));
  whole.add(rows_.view());
  for (std::size_t at = 0; at < rows_.rows;) {
    const std::size_t n = std::min<std::size_t>(1 + at / 3, rows_.rows - at);
    pieces.add(part(rows_, at, n));
    at += n;
  }
  EXPECT_EQ(pieces.list_sizes(), whole.list_sizes());
  EXPECT_EQ(pieces.ids(), whole.ids());
  for (const std::uint32_t nprobe : {2u, 20u}) {
    EXPECT_EQ(search(pieces, queries_.view(), 10, probing(nprobe)),
              search(whole, queries_.view(), 10, probing(nprobe)));
  }
  // Room for growth, but no more than half as much again and what lists have moved out of.
  EXPECT_LT(bytes(pieces), 3 * bytes(whole));
}

TEST_P(IvfChangeOf, SweepsRemovedRowsOut) {
  IvfIndex index(24, Metric::kL2, params_), fresh(24, Metric::kL2, params_);
  index.train(rows_.view());
  fresh.train(rows_.view());
  index.add(rows_.view());
  Ids gone;
  Matrix kept{0, 24, {}};
  Ids left;
  for (std::size_t r = 0; r < rows_.rows; ++r) {
    if (r % 3 == 1) {
      gone.push_back(static_cast<std::int64_t>(r));
    } else {
      left.push_back(static_cast<std::int64_t>(r));
      kept.values.insert(kept.values.end(), rows_.row(r), rows_.row(r) + 24);
      ++kept.rows;
    }
  }
  fresh.add(kept.view(), left.data());
  // One by one at first: they are only skipped.
  const Ids first(gone.begin(), gone.begin() + 100);
  index.remove(first.data(), first.size());
  auto sizes = index.list_sizes();
  EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), 0u), 1500u);
  EXPECT_EQ(index.size(), 1400u);
  const Ids rest(gone.begin() + 100, gone.end());
  const std::uint64_t before = code_bytes(index);
  index.remove(rest.data(), rest.size());
  sizes = index.list_sizes();
  EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), 0u), 1000u);
  EXPECT_LT(code_bytes(index), before);
  EXPECT_EQ(index.ids(), left);
  EXPECT_FALSE(index.contains(1));
  EXPECT_THROW(index.remove(gone.data(), 1), ArgumentError);
  EXPECT_EQ(search(index, queries_.view(), 10, probing(20)),
            search(fresh, queries_.view(), 10, probing(20)));
  std::vector<float> a(24), b(24);
  index.get(left[700], a.data());
  fresh.get(left[700], b.data());
  EXPECT_EQ(a, b);
  // A removed id may come again.
  index.add(part(rows_, 1, 1), &gone[0]);
  fresh.add(part(rows_, 1, 1), &gone[0]);
  EXPECT_EQ(search(index, queries_.view(), 10, probing(20)),
            search(fresh, queries_.view(), 10, probing(20)));
}

TEST_P(IvfChangeOf, IsTheSameForAnyNumberOfThreads) {
  params_.soar = true;
  params_.balance = 1.5f;
  Answers first;
  for (const unsigned threads : {1u, 2u, 5u}) {
    IvfIndex index(24, Metric::kCosine, params_);
    RunOptions run;
    run.threads = threads;
    index.add(part(rows_, 0, 1000), nullptr, run);
    index.add(part(rows_, 1000, 500), nullptr, run);
    // Few lists show the index, not only the truth.
    const Answers found = search(index, queries_.view(), 10, probing(2));
    if (threads == 1) first = found;
    EXPECT_EQ(found, first) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(EveryCodec, IvfChangeOf, testing::ValuesIn(ivf_codecs()),
                         [](const auto& info) { return plain_name(info.param); });

TEST(IvfAdd, AnotherSeedIsAnotherIndex) {
  const Matrix rows = spread(1000, 8, 3), queries = spread(100, 8, 4);
  Answers found[2];
  for (const std::uint64_t seed : {0u, 1u}) {
    IvfParams params;
    params.lists = 50;
    params.seed = seed;
    IvfIndex index(8, Metric::kL2, params);
    index.add(rows.view());
    found[seed] = search(index, queries.view(), 10, probing(1));
  }
  EXPECT_FALSE(found[0] == found[1]);
}

TEST(IvfAdd, ChoosesHowManyLists) {
  const std::pair<std::size_t, std::uint32_t> wanted[] = {{1, 1}, {31, 1}, {320, 10}, {3000, 96}};
  for (const auto& [n, lists] : wanted) {
    IvfIndex index(2, Metric::kL2);
    index.add(spread(n, 2, 5).view());
    EXPECT_EQ(index.lists(), lists) << n;
  }
}

TEST(IvfAdd, RefusesAndThenNothingHasChanged) {
  const Matrix rows = spread(8, 3, 2);
  IvfParams params;
  params.refine = RefineKind::kFloat16;
  IvfIndex index(3, Metric::kL2, params);
  const Ids ids{5, 7, 6};
  const Ids spare{8, 9};
  // The codec takes it, the refine store does not: what was learned is forgotten too.
  const Matrix large{2, 3, {1, 2, 3, 4, 70000, 6}};
  EXPECT_THROW(index.add(large.view(), spare.data()), ArgumentError);
  EXPECT_EQ(index.lists(), 0u);
  index.add(part(rows, 0, 3), ids.data());
  const Answers before = search(index, rows.view(), 3, probing(4));
  const auto refuses = [&](const Matrix& bad, const Ids& with) {
    EXPECT_THROW(index.add(bad.view(), with.data()), ArgumentError);
    EXPECT_EQ(index.ids(), ids);
    EXPECT_EQ(search(index, rows.view(), 3, probing(4)), before);
  };
  refuses(large, spare);
  Matrix two{2, 3, {1, 2, 3, 4, 5, 6}};
  refuses(two, {8, 8});
  refuses(two, {8, 7});
  refuses(two, {8, -1});
  two.values[4] = std::numeric_limits<float>::quiet_NaN();
  refuses(two, spare);
  two.values[4] = -std::numeric_limits<float>::infinity();
  refuses(two, spare);
}

TEST(IvfAdd, AStoppedOneChangesNothing) {
  const Matrix rows = spread(30000, 8, 3);
  IvfParams params;
  params.lists = 30;
  IvfIndex index(8, Metric::kL2, params);
  index.add(part(rows, 0, 1000));
  for (const char* stage : {"assigning", "adding"}) {
    RunOptions run;
    run.threads = 2;
    run.progress = [&](const Progress& p) { return std::string(p.stage) != stage; };
    EXPECT_THROW(index.add(part(rows, 1000, 29000), nullptr, run), CancelledError) << stage;
    EXPECT_EQ(index.ids(), counted(1000));
  }
  index.add(part(rows, 1000, 29000));
  EXPECT_EQ(index.ids(), counted(30000));
}

TEST(IvfRemove, OfEverythingLeavesAnEmptyIndexThatWorks) {
  const Matrix rows = spread(200, 6, 4);
  IvfIndex index(6, Metric::kL2);
  index.add(rows.view());
  const Ids ids = index.ids();
  index.remove(ids.data(), ids.size());
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(search(index, rows.view(), 1, probing(8)).ids, Ids(200, -1));
  index.add(rows.view());
  EXPECT_EQ(index.ids(), counted(200, 200));
  EXPECT_EQ(search(index, part(rows, 3, 1), 1, probing(8)).ids[0], 203);
}

TEST(IvfGet, GivesBackWhatIsStored) {
  const Matrix rows = spread(300, 8, 6);
  IvfParams params;
  params.codec = CodecKind::kFloat32;
  params.residual = false;
  IvfIndex exact(8, Metric::kL2, params);
  params.codec = CodecKind::kSq8;
  params.residual = true;
  IvfIndex rough(8, Metric::kL2, params);
  params.refine = RefineKind::kFloat32;
  IvfIndex fine(8, Metric::kL2, params);
  for (IvfIndex* index : {&exact, &rough, &fine}) index->add(rows.view());
  std::vector<float> row(8);
  for (std::int64_t id = 0; id < 300; ++id) {
    const float* want = rows.row(static_cast<std::size_t>(id));
    exact.get(id, row.data());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), want));
    fine.get(id, row.data());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), want));
    rough.get(id, row.data());
    // A step of 1/255 of the range of a residual, less than 4 here.
    for (std::size_t d = 0; d < 8; ++d) EXPECT_NEAR(row[d], want[d], 4.0 / 255);
  }
  EXPECT_THROW(rough.get(300, row.data()), ArgumentError);
  EXPECT_THROW(rough.get(-1, row.data()), ArgumentError);
}

TEST(IvfBalance, KeepsListsShort) {
  // Half of the rows lie in one of nine heaps.
  Matrix rows = clustered(3000, 8, 7);
  for (std::size_t r = 0; r < 1500; ++r) {
    for (std::size_t d = 0; d < 8; ++d) {
      rows.values[r * 8 + d] = static_cast<float>(random_unit(3, 4, r * 8 + d));
    }
  }
  double longest[2];
  for (const bool balanced : {false, true}) {
    IvfParams params;
    params.lists = 60;
    params.balance = balanced ? 1.3f : 0.0f;
    IvfIndex index(8, Metric::kL2, params);
    index.train(rows.view());
    index.add(rows.view());
    const auto sizes = index.list_sizes();
    longest[balanced] = *std::max_element(sizes.begin(), sizes.end()) / 50.0;
  }
  EXPECT_LE(longest[1], 1.3);
  EXPECT_LT(longest[1], longest[0]);
}

// Run under the thread sanitizer this is the proof that searches need no lock.
TEST(IvfThreads, SearchesRunBesideEverythingThatChangesTheIndex) {
  const Matrix rows = spread(2400, 24, 8), queries = spread(32, 24, 9);
  for (const CodecSpec& codec : ivf_codecs()) {
    if (codec.kind != CodecKind::kSq8 && !(codec.kind == CodecKind::kPq && codec.bits == 4)) {
      continue;
    }
    IvfParams params;
    params.codec = codec;
    params.refine = RefineKind::kFloat16;
    params.lists = 16;
    IvfIndex index(24, Metric::kL2, params);
    index.add(part(rows, 0, 400));
    std::atomic<bool> done{false};
    std::atomic<std::size_t> searches{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 2; ++t) {
      readers.emplace_back([&] {
        while (!done.load()) {
          const Answers found = search(index, queries.view(), 5, probing(4));
          for (const std::int64_t id : found.ids) {
            ASSERT_GE(id, 0);
            ASSERT_LT(id, 2400);
          }
          ++searches;
          (void)index.memory();
          (void)index.ids();
          (void)index.list_sizes();
          std::vector<float> row(24);
          index.get(0, row.data());
        }
      });
    }
    RunOptions two;
    two.threads = 2;
    for (std::size_t at = 400; at < rows.rows; at += 100) {
      index.add(part(rows, at, 100), nullptr, two);
      const Ids gone = counted(40, static_cast<std::int64_t>(at));
      index.remove(gone.data(), gone.size());
    }
    while (searches.load() < 4) std::this_thread::yield();
    done = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(index.size(), 2400u - 20 * 40);
  }
}

}  // namespace
}  // namespace vicinal
