#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "indexes/hnsw_data.h"
#include "vicinal/errors.h"
#include "vicinal/hnsw.h"

namespace vicinal {
namespace {

using test::Answers;
using test::counted;
using test::Matrix;
using test::recall;
using test::search;
using test::spread;
using Builder = HnswParams::Builder;

HnswParams with(Builder builder, CodecKind codec = CodecKind::kFloat32) {
  HnswParams params;
  params.builder = builder;
  params.codec = codec;
  return params;
}

HnswIndex built(const Matrix& rows, const HnswParams& params, Metric metric = Metric::kL2,
                unsigned threads = 1) {
  HnswIndex index(rows.cols, metric, params);
  RunOptions run;
  run.threads = threads;
  index.add(rows.view(), nullptr, run);
  return index;
}

TEST(HnswBatch, HoldsEveryRowOfAnySize) {
  for (const std::size_t n : {1, 2, 3, 16, 17, 33, 100, 2047, 2048, 2049, 4096, 5000}) {
    const Matrix rows = spread(n, 8, 1);
    const HnswIndex index = built(rows, with(Builder::kBatch));
    EXPECT_EQ(index.size(), n);
    const Answers found = search(index, rows.view(), 1, 64);
    std::size_t self = 0;
    for (std::size_t r = 0; r < n; ++r) self += found.ids[r] == static_cast<std::int64_t>(r);
    EXPECT_GE(self, n - n / 200) << n << " rows";  // measured: all
  }
}

class HnswBatchOf : public testing::TestWithParam<Metric> {};

TEST_P(HnswBatchOf, FindsAsMuchAsInsertion) {
  const Matrix rows = spread(3000, 16, 3), queries = spread(100, 16, 4);
  for (const CodecKind codec : {CodecKind::kFloat32, CodecKind::kSq8, CodecKind::kSq4,
                                CodecKind::kFloat8}) {
    double got[2];
    for (const Builder builder : {Builder::kInsert, Builder::kBatch}) {
      HnswParams params = with(builder, codec);
      if (codec != CodecKind::kFloat32) params.refine = RefineKind::kFloat32;
      const HnswIndex index = built(rows, params, GetParam());
      got[builder == Builder::kBatch] = recall(search(index, queries.view(), 10, 64), GetParam(),
                                               queries, rows, counted(rows.rows));
    }
    EXPECT_GE(got[1], got[0] - 0.03) << name(codec);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryMetric, HnswBatchOf,
                         testing::Values(Metric::kL2, Metric::kInnerProduct, Metric::kCosine),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST(HnswBatch, IsTheSameForAnyNumberOfThreads) {
  const Matrix rows = spread(3000, 16, 3), queries = spread(50, 16, 4);
  for (const CodecKind codec : {CodecKind::kFloat32, CodecKind::kSq8}) {
    Answers first;
    for (const unsigned threads : {1u, 2u, 5u}) {
      const HnswIndex index = built(rows, with(Builder::kBatch, codec), Metric::kL2, threads);
      // A low ef shows the graph, not only the truth.
      const Answers found = search(index, queries.view(), 5, 5);
      if (threads == 1) first = found;
      EXPECT_EQ(found, first) << threads << " threads, " << name(codec);
    }
  }
}

TEST(HnswBatch, JoinsClustersThatLieFarApart) {
  // 400 clusters of 15 rows each, a thousandth as wide as they are apart.
  Matrix rows = spread(6000, 12, 5);
  for (std::size_t r = 0; r < rows.rows; ++r) {
    for (std::size_t c = 0; c < rows.cols; ++c) {
      float& value = rows.values[r * rows.cols + c];
      value = value * 0.001f + static_cast<float>(random_unit(9, r % 400, c));
    }
  }
  const Matrix some{800, 12, {rows.values.begin(), rows.values.begin() + 800 * 12}};
  double got[2];
  for (const Builder builder : {Builder::kInsert, Builder::kBatch}) {
    const HnswIndex index = built(rows, with(builder));
    got[builder == Builder::kBatch] = recall(search(index, some.view(), 5, 64), Metric::kL2, some,
                                             rows, counted(rows.rows));
  }
  EXPECT_GE(got[1], got[0] - 0.01) << "insertion " << got[0];
}

TEST(HnswBatch, FindsRowsBesideCrowdsOfCopies) {
  Matrix rows = spread(6000, 8, 6);
  for (std::size_t r = 600; r < rows.rows; ++r) {
    std::copy_n(rows.row(r % 3), rows.cols, &rows.values[r * rows.cols]);
  }
  std::size_t same[2] = {0, 0};
  for (const Builder builder : {Builder::kInsert, Builder::kBatch}) {
    const HnswIndex index = built(rows, with(builder));
    const Answers found =
        search(index, MatrixView<const float>(rows.row(0), 600, rows.cols), 1, 64);
    for (std::size_t r = 0; r < 600; ++r) {
      same[builder == Builder::kBatch] += found.distances[r] == 0.0f;
    }
  }
  EXPECT_EQ(same[0], 600u);
  EXPECT_GE(same[1], 570u);  // measured: 586
}

TEST(HnswBatch, InsertsByItselfWhereRowsCrowd) {
  const Matrix apart = spread(5000, 24, 6);
  for (const bool crowd : {false, true}) {
    Matrix rows = apart;
    for (std::size_t r = 3; crowd && r < 600; ++r) {
      std::copy_n(rows.row(r % 3), rows.cols, &rows.values[r * rows.cols]);
    }
    const auto answers = [&](Builder builder) {
      return search(built(rows, with(builder, CodecKind::kSq8)), apart.view(), 10, 10);
    };
    EXPECT_EQ(answers(Builder::kAuto), answers(crowd ? Builder::kInsert : Builder::kBatch));
    EXPECT_FALSE(answers(Builder::kInsert) == answers(Builder::kBatch));
  }
}

TEST(HnswBatch, StoppedLeavesNothingAndTheIndexUsable) {
  const Matrix rows = spread(5000, 8, 3);
  HnswIndex index(8, Metric::kL2, with(Builder::kBatch));
  for (const unsigned threads : {1u, 2u}) {
    RunOptions run;
    run.threads = threads;
    run.progress = [](const Progress& p) { return std::string(p.stage) != "building"; };
    EXPECT_THROW(index.add(rows.view(), nullptr, run), CancelledError);
    EXPECT_EQ(index.size(), 0u);
    EXPECT_TRUE(index.ids().empty());
  }
  index.add(rows.view());
  EXPECT_EQ(index.ids(), counted(rows.rows));
  // What comes later is inserted.
  const Matrix more = spread(100, 8, 4);
  index.add(more.view());
  const Answers found = search(index, more.view(), 1, 64);
  for (std::size_t r = 0; r < more.rows; ++r) EXPECT_EQ(found.ids[r], 5000 + std::int64_t(r));
}

TEST(HnswBatch, CompactsByTheSameRule) {
  const Matrix rows = spread(6000, 8, 3), queries = spread(50, 8, 4);
  HnswIndex index = built(rows, with(Builder::kBatch));
  const std::vector<std::int64_t> gone = counted(1000);
  index.remove(gone.data(), gone.size());
  index.compact();
  EXPECT_EQ(index.size(), 5000u);
  Matrix rest{5000, 8, {rows.values.begin() + 8000, rows.values.end()}};
  const HnswIndex fresh = built(rest, with(Builder::kBatch));
  const Answers a = search(index, queries.view(), 5, 5);
  const Answers b = search(fresh, queries.view(), 5, 5);
  EXPECT_EQ(a.distances, b.distances);
}

TEST(HnswBatch, EffortImprovesTheGraph) {
  const Matrix rows = spread(8000, 24, 3), queries = spread(200, 24, 4);
  double got[2];
  for (const std::uint32_t build_ef : {1u, 400u}) {
    HnswParams params = with(Builder::kBatch);
    params.build_ef = build_ef;
    const HnswIndex index = built(rows, params);
    got[build_ef > 1] = recall(search(index, queries.view(), 10, 20), Metric::kL2, queries, rows,
                               counted(rows.rows));
  }
  EXPECT_GT(got[1], got[0]);
}

TEST(HnswBatch, RefusesABuilderThatIsNone) {
  EXPECT_THROW(HnswIndex(8, Metric::kL2, with(static_cast<Builder>(7))), ArgumentError);
}

}  // namespace
}  // namespace vicinal
