#include <gtest/gtest.h>

#include <cfloat>
#include <limits>
#include <numeric>

#include "indexes/flat_data.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace test;

constexpr float kInf = std::numeric_limits<float>::infinity();

/// Numbers a codec holds: unsigned ones for uint8.
Matrix wholes(CodecKind codec, std::size_t rows, std::size_t cols, std::uint64_t seed) {
  return whole_numbers(rows, cols, seed, codec == CodecKind::kUint8 ? 0 : -6, 13);
}

void expect_exactly(const Answers& got, const Matrix& queries, Metric metric, const Matrix& rows,
                    const std::vector<std::int64_t>& ids) {
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const auto want = exhaustive(metric, queries.row(q), rows, ids);
    for (std::size_t i = 0; i < got.k; ++i) {
      const bool there = i < want.size();
      ASSERT_EQ(got.ids[q * got.k + i], there ? want[i].second : kNoId)
          << "query " << q << " place " << i;
      ASSERT_EQ(got.distances[q * got.k + i], there ? static_cast<float>(want[i].first) : kInf)
          << "query " << q << " place " << i;
    }
  }
}

std::vector<std::int64_t> counted(std::size_t n) {
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

/// n distinct ids in no order.
std::vector<std::int64_t> scattered(std::size_t n) {
  auto ids = counted(n);
  std::sort(ids.begin(), ids.end(), [](auto a, auto b) {
    return random_u64(8, 0, static_cast<std::uint64_t>(a)) <
           random_u64(8, 0, static_cast<std::uint64_t>(b));
  });
  for (auto& id : ids) id = id * 1'000'003 + 17;
  return ids;
}

// On small whole numbers float arithmetic is exact, so ids and distances must be those of the
// definition, ties included, whatever the number of queries.
TEST(FlatSearch, WholeNumbersAreExactWithTies) {
  for (CodecKind codec :
       {CodecKind::kFloat32, CodecKind::kFloat16, CodecKind::kInt8, CodecKind::kUint8}) {
    for (Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      for (std::size_t dim : {1u, 19u, 40u}) {
        for (bool own_ids : {false, true}) {
          SCOPED_TRACE(label(codec, metric) + " dim " + std::to_string(dim) +
                       (own_ids ? " own ids" : ""));
          const Matrix rows = wholes(codec, 1500, dim, 1);
          const auto ids = own_ids ? scattered(rows.rows) : counted(rows.rows);
          FlatIndex index(dim, metric, {codec});
          index.add(rows.view(), own_ids ? ids.data() : nullptr);
          const Matrix queries = wholes(codec, 40, dim, 2);
          for (std::size_t k : {1u, 10u, 1499u, 1600u}) {
            expect_exactly(search(index, queries.view(), k), queries, metric, rows, ids);
            expect_exactly(search_singly(index, {3, dim, queries.values}, k),
                           {3, dim, queries.values}, metric, rows, ids);
          }
        }
      }
    }
  }
}

// Halves are exact too, and take byte rows through their float comparison.
TEST(FlatSearch, FractionalQueriesOfByteRows) {
  for (CodecKind codec : {CodecKind::kInt8, CodecKind::kUint8}) {
    for (Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const Matrix rows = wholes(codec, 700, 21, 3);
      Matrix queries = wholes(codec, 20, 21, 4);
      for (std::size_t q = 0; q < queries.rows; q += 2) queries.values[q * 21 + 5] += 0.5f;
      queries.values[1 * 21] = 1000.0f;  // whole, but beyond a byte
      FlatIndex index(21, metric, {codec});
      index.add(rows.view());
      const auto got = search(index, queries.view(), 12);
      expect_exactly(got, queries, metric, rows, counted(700));
      EXPECT_EQ(got, search_singly(index, queries, 12));
    }
  }
}

TEST(FlatSearch, EveryCodecAndMetricAgainstDoubles) {
  for (CodecKind codec : kFlatCodecs) {
    for (Metric metric : kMetrics) {
      if (!holds(codec, metric)) continue;
      for (std::size_t dim : {2u, 33u, 130u}) {
        SCOPED_TRACE(label(codec, metric) + " dim " + std::to_string(dim));
        const bool bytes = codec == CodecKind::kInt8 || codec == CodecKind::kUint8;
        const Matrix rows =
            bytes ? whole_numbers(900, dim, 5, codec == CodecKind::kInt8 ? -128 : 0, 256)
                  : clustered(900, dim, 5);
        const Matrix queries =
            bytes ? whole_numbers(24, dim, 6, codec == CodecKind::kInt8 ? -128 : 0, 256)
                  : clustered(24, dim, 6);
        FlatIndex index(dim, metric, {codec});
        index.add(rows.view());
        std::vector<std::int64_t> ids;
        const Matrix kept = stored(index, ids);
        const std::size_t k = 15;
        const Answers got = search(index, queries.view(), k);
        EXPECT_EQ(got, search_singly(index, queries, k));
        for (std::size_t q = 0; q < queries.rows; ++q) {
          double length2 = 0.0;
          for (std::size_t i = 0; i < dim; ++i)
            length2 += static_cast<double>(queries.row(q)[i]) * queries.row(q)[i];
          // What is stored under cosine is scaled once; the rounded length is not made up for, and
          // a row that came out too long is not nearer than at no distance.
          const auto truth = [&](const float* x) {
            if (metric != Metric::kCosine) return distance(metric, queries.row(q), x, dim);
            return std::max(0.0, 1.0 + distance(Metric::kInnerProduct, queries.row(q), x, dim) /
                                           std::sqrt(length2));
          };
          std::vector<double> want;
          for (std::size_t r = 0; r < kept.rows; ++r) want.push_back(truth(kept.row(r)));
          std::sort(want.begin(), want.end());
          double longest = 0.0;
          for (std::size_t r = 0; r < kept.rows; ++r) {
            longest =
                std::max(longest, -distance(Metric::kInnerProduct, kept.row(r), kept.row(r), dim));
          }
          // Sums of dim products of numbers as large as the vectors are long; scalar codes sum
          // twice.
          const double size =
              metric == Metric::kCosine ? 1.0 : std::sqrt(length2 * longest) + longest + length2;
          const double tolerance = 4.0 * static_cast<double>(dim + 16) * FLT_EPSILON * size;
          for (std::size_t i = 0; i < k; ++i) {
            EXPECT_NEAR(got.distances[q * k + i], want[i], tolerance) << q << " " << i;
            const auto id = static_cast<std::size_t>(got.ids[q * k + i]);
            EXPECT_NEAR(truth(kept.row(id)), want[i], 2 * tolerance) << q << " " << i;
          }
        }
      }
    }
  }
}

// Bit for bit: batches, single queries, any number of threads, whatever is left out.
TEST(FlatSearch, SameAnswersHoweverItRuns) {
  for (CodecKind codec : kFlatCodecs) {
    for (Metric metric : kMetrics) {
      if (!holds(codec, metric)) continue;
      // Ids given or not, and the codec, change different steps: they need not meet each other.
      const bool own_ids = (static_cast<int>(codec) + static_cast<int>(metric)) % 2 != 0;
      SCOPED_TRACE(label(codec, metric) + (own_ids ? " own ids" : ""));
      const std::size_t n = 6000, dim = 48;
      const bool bytes = codec == CodecKind::kInt8 || codec == CodecKind::kUint8;
      const Matrix rows = bytes ? whole_numbers(n, dim, 7, codec == CodecKind::kInt8 ? -9 : 0, 10)
                                : clustered(n, dim, 7);
      const Matrix queries = bytes ? whole_numbers(70, dim, 8, 0, 10) : clustered(70, dim, 8);
      const auto ids = own_ids ? scattered(n) : counted(n);
      FlatIndex index(dim, metric, {codec});
      index.add(rows.view(), own_ids ? ids.data() : nullptr);
      std::vector<std::int64_t> removed;
      for (std::size_t i = 0; i < n; i += 11) removed.push_back(ids[i]);
      std::vector<std::int64_t> few, many;
      for (std::size_t i = 0; i < n; ++i) {
        if (i % 3 != 0) many.push_back(ids[i]);
        if (i % 23 == 5) few.push_back(ids[i]);
      }
      for (bool after_removal : {false, true}) {
        if (after_removal) index.remove(removed.data(), removed.size());
        for (const Allowed& allowed : {Allowed{}, Allowed{nullptr, many.data(), many.size()},
                                       Allowed{nullptr, few.data(), few.size()}}) {
          for (std::size_t k : {1u, 10u, 100u}) {
            const Answers want = search_singly(index, queries, k, allowed);
            for (unsigned threads : {1u, 3u}) {
              EXPECT_EQ(search(index, queries.view(), k, allowed, threads), want)
                  << "k " << k << " threads " << threads << " allowed " << allowed.count;
              const Matrix some{
                  5, dim, {queries.values.begin(), queries.values.begin() + 5 * dim}};
              const Answers part = search(index, some.view(), k, allowed, threads);
              EXPECT_TRUE(std::equal(part.ids.begin(), part.ids.end(), want.ids.begin()));
              EXPECT_TRUE(std::equal(part.distances.begin(), part.distances.end(),
                                     want.distances.begin()));
            }
          }
        }
      }
    }
  }
}

TEST(FlatSearch, NothingButDuplicates) {
  Matrix rows{4000, 24, std::vector<float>(4000 * 24, 0.1f)};
  for (CodecKind codec : {CodecKind::kFloat32, CodecKind::kFloat16, CodecKind::kSq8}) {
    for (Metric metric : kMetrics) {
      FlatIndex index(24, metric, {codec});
      index.add(rows.view());
      const Matrix queries = clustered(30, 24, 9);
      const Answers got = search(index, queries.view(), 10);
      EXPECT_EQ(got, search_singly(index, queries, 10));
      for (std::size_t i = 0; i < got.ids.size(); ++i)
        EXPECT_EQ(got.ids[i], static_cast<std::int64_t>(i % 10));
    }
  }
}

TEST(FlatSearch, AwkwardScalesAgreeToo) {
  for (Metric metric : kMetrics) {
    for (float scale : {1e-30f, 1e-22f, 1e-10f, 1e10f, 1e18f, 1e20f}) {
      Matrix rows = clustered(2000, 17, 10);
      for (std::size_t r = 0; r < rows.rows; ++r) {
        // Lengths rise by a thousand, so that bounds made early do not hold later.
        const float factor = scale * std::pow(1000.0f, static_cast<float>(r) / 2000.0f);
        for (std::size_t c = 0; c < 17; ++c) rows.values[r * 17 + c] *= factor;
      }
      Matrix queries = clustered(20, 17, 11);
      for (float& v : queries.values) v *= scale;
      FlatIndex index(17, metric);
      index.add(rows.view());
      EXPECT_EQ(search(index, queries.view(), 10), search_singly(index, queries, 10))
          << name(metric) << " " << scale;
    }
  }
}

TEST(FlatSearch, MaskAndListsOfIdsAgreeWithAnExhaustiveSearchOfTheAllowed) {
  const Matrix rows = wholes(CodecKind::kFloat32, 1000, 9, 12);
  const Matrix queries = wholes(CodecKind::kFloat32, 12, 9, 13);
  FlatIndex index(9, Metric::kL2);
  index.add(rows.view());
  for (std::size_t step : {1u, 2u, 10u, 400u}) {
    std::vector<std::uint8_t> mask(900,
                                   0);  // shorter than the ids: what is beyond it is not allowed
    std::vector<std::int64_t> list{-1, 5'000'000, std::numeric_limits<std::int64_t>::max()};
    std::vector<std::int64_t> ids;
    Matrix kept{0, 9, {}};
    for (std::size_t i = 0; i < mask.size(); i += step) {
      mask[i] = 1;
      ids.push_back(static_cast<std::int64_t>(i));
      list.push_back(static_cast<std::int64_t>(i));
      list.push_back(static_cast<std::int64_t>(i));  // repeats are ignored
      kept.values.insert(kept.values.end(), rows.row(i), rows.row(i) + 9);
      ++kept.rows;
    }
    std::reverse(list.begin(), list.end());
    for (std::size_t count : {1u, 12u}) {
      const Matrix asked{count,
                         9,
                         {queries.values.begin(),
                          queries.values.begin() + static_cast<std::ptrdiff_t>(9 * count)}};
      expect_exactly(search(index, asked.view(), 20, {mask.data(), nullptr, mask.size()}), asked,
                     Metric::kL2, kept, ids);
      expect_exactly(search(index, asked.view(), 20, {nullptr, list.data(), list.size()}), asked,
                     Metric::kL2, kept, ids);
    }
  }
  const std::uint8_t none = 0;
  const Answers empty = search(index, queries.view(), 3, {&none, nullptr, 1});
  EXPECT_EQ(empty.ids, std::vector<std::int64_t>(36, kNoId));
  EXPECT_EQ(empty.distances, std::vector<float>(36, kInf));
}

TEST(FlatSearch, EmptyIndexAndNoQueries) {
  for (CodecKind codec : {CodecKind::kFloat32, CodecKind::kSq8}) {
    FlatIndex index(4, Metric::kL2, {codec});
    const Matrix queries = clustered(10, 4, 14);
    const Answers got = search(index, queries.view(), 3);
    EXPECT_EQ(got.ids, std::vector<std::int64_t>(30, kNoId));
    EXPECT_EQ(got.distances, std::vector<float>(30, kInf));
    EXPECT_TRUE(index.range_search(queries.view(), 10.0f).ids.empty());
    EXPECT_TRUE(search(index, MatrixView<const float>(nullptr, 0, 4), 3).ids.empty());
  }
}

TEST(FlatRange, FindsAllWithinTheRadiusInclusive) {
  for (CodecKind codec : {CodecKind::kFloat32, CodecKind::kInt8}) {
    const Matrix rows = wholes(codec, 1300, 8, 15);
    const Matrix queries = wholes(codec, 9, 8, 16);
    for (bool own_ids : {false, true}) {
      const auto ids = own_ids ? scattered(1300) : counted(1300);
      FlatIndex index(8, Metric::kL2, {codec});
      index.add(rows.view(), ids.data());
      for (float radius : {-1.0f, 0.0f, 60.0f, 100.0f, kInf}) {
        for (unsigned threads : {1u, 3u}) {
          RunOptions run;
          run.threads = threads;
          const RangeResult got = index.range_search(queries.view(), radius, {}, run);
          ASSERT_EQ(got.offsets.size(), 10u);
          for (std::size_t q = 0; q < 9; ++q) {
            auto want = exhaustive(Metric::kL2, queries.row(q), rows, ids);
            while (!want.empty() && want.back().first > radius) want.pop_back();
            ASSERT_EQ(got.offsets[q + 1] - got.offsets[q], want.size());
            for (std::size_t i = 0; i < want.size(); ++i) {
              EXPECT_EQ(got.ids[got.offsets[q] + i], want[i].second);
              EXPECT_EQ(got.distances[got.offsets[q] + i], static_cast<float>(want[i].first));
            }
          }
        }
      }
    }
  }
}

TEST(FlatRange, CosineRadiusMeansWhatSearchReports) {
  const Matrix rows = clustered(500, 20, 17);
  const Matrix queries = clustered(6, 20, 18);
  FlatIndex index(20, Metric::kCosine);
  index.add(rows.view());
  const Answers nearest = search(index, queries.view(), 500);
  for (std::size_t q = 0; q < 6; ++q) {
    const float radius = nearest.distances[q * 500 + 100];  // a distance that occurs: it counts
    const RangeResult got =
        index.range_search(MatrixView<const float>(queries.row(q), 1, 20), radius);
    std::size_t want = 0;
    while (want < 500 && nearest.distances[q * 500 + want] <= radius) ++want;
    ASSERT_EQ(got.ids.size(), want);
    for (std::size_t i = 0; i < want; ++i) EXPECT_EQ(got.ids[i], nearest.ids[q * 500 + i]);
  }
}

TEST(FlatSearch, RefusesWhatCannotWork) {
  FlatIndex index(4, Metric::kCosine);
  const Matrix rows = clustered(10, 4, 19);
  index.add(rows.view());
  std::vector<std::int64_t> ids(10);
  std::vector<float> distances(10);
  const Matrix wrong = clustered(1, 5, 19);
  EXPECT_THROW(search(index, wrong.view(), 3), DimensionError);
  EXPECT_THROW(search(index, rows.view(), 0), ArgumentError);
  EXPECT_THROW(index.search(rows.view(), {ids.data(), 2, 5}, {distances.data(), 2, 5}),
               ArgumentError);
  EXPECT_THROW(index.search(MatrixView<const float>(rows.row(0), 1, 4), {ids.data(), 1, 5},
                            {distances.data(), 1, 4}),
               ArgumentError);
  const Matrix zero{1, 4, {0, 0, 0, 0}};
  EXPECT_THROW(search(index, zero.view(), 3), ArgumentError);
  const Matrix nan{1, 4, {0, std::nanf(""), 0, 0}};
  EXPECT_THROW(search(index, nan.view(), 3), ArgumentError);
  EXPECT_THROW(index.range_search(rows.view(), std::nanf("")), ArgumentError);
  EXPECT_THROW(index.range_search(wrong.view(), 1.0f), DimensionError);
}

TEST(FlatSearch, CancelsBetweenPieces) {
  const Matrix rows = clustered(3000, 64, 20);
  FlatIndex index(64, Metric::kL2);
  index.add(rows.view());
  RunOptions run;
  run.threads = 2;
  run.progress = [](const Progress&) { return false; };
  std::vector<std::int64_t> ids(3000);
  std::vector<float> distances(3000);
  EXPECT_THROW(
      index.search(rows.view(), {ids.data(), 3000, 1}, {distances.data(), 3000, 1}, {}, run),
      CancelledError);
}

}  // namespace
}  // namespace vicinal
