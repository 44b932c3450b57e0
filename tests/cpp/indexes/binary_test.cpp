#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

#include "indexes/binary_data.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace test;
using Ids = std::vector<std::int64_t>;
using testing::HasSubstr;

Ids numbered(std::size_t n) {
  Ids ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

/// Distinct and in no order.
Ids shuffled(std::size_t n) {
  Ids ids = numbered(n);
  for (std::size_t i = n; i-- > 1;) std::swap(ids[i], ids[random_below(i + 1, 5, 0, i)]);
  for (std::int64_t& id : ids) id *= 3;
  return ids;
}

void expect_truth(const BinaryIndex& index, const BitRows& rows, const Ids& ids,
                  const BitRows& queries, std::size_t k, const Allowed& allowed = {}) {
  const auto keep = [&](std::int64_t id) {
    if (!index.contains(id)) return false;
    if (allowed.mask != nullptr) {
      return static_cast<std::size_t>(id) < allowed.count && allowed.mask[id] != 0;
    }
    return allowed.ids == nullptr ||
           std::find(allowed.ids, allowed.ids + allowed.count, id) != allowed.ids + allowed.count;
  };
  BitAnswers want;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    append_truth(bit_truth(index.metric(), queries.row(q), rows, ids, keep), k, want);
  }
  const BitAnswers got = search(index, queries.view(), k, allowed);
  EXPECT_EQ(got.ids, want.ids);
  EXPECT_EQ(got.distances, want.distances);
  EXPECT_EQ(search(index, queries.view(), k, allowed, 3), got) << "three threads";
  BitAnswers singly;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const BitAnswers one = search(index, queries.part(q, q + 1), k, allowed);
    singly.ids.insert(singly.ids.end(), one.ids.begin(), one.ids.end());
    singly.distances.insert(singly.distances.end(), one.distances.begin(), one.distances.end());
  }
  EXPECT_EQ(singly, got) << "one by one";
}

TEST(Binary, MatchesAnExhaustiveSearchAtEveryWidth) {
  for (const BitMetric metric : kBitMetrics) {
    for (const std::size_t dim : {1, 7, 8, 63, 64, 65, 100, 256, 1031}) {
      for (const std::size_t n : {1, 8, 9, 530}) {
        SCOPED_TRACE(std::string(name(metric)) + " " + std::to_string(dim) + " bits, " +
                     std::to_string(n) + " rows");
        const BitRows rows = varied_bits(n, dim, 1);
        const BitRows queries = varied_bits(11, dim, 2);
        BinaryIndex index(dim, metric);
        index.add(rows.view());
        expect_truth(index, rows, numbered(n), queries, 1);
        expect_truth(index, rows, numbered(n), queries, 10);
        if (n < 100) expect_truth(index, rows, numbered(n), queries, n + 3);
      }
    }
  }
}

TEST(Binary, TiesGoToTheSmallerIdWhateverTheOrder) {
  for (const BitMetric metric : kBitMetrics) {
    SCOPED_TRACE(name(metric));
    BitRows rows(3000, 40);  // nine rows over and over: more ties than any buffer
    const BitRows nine = varied_bits(9, 40, 3);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      std::copy_n(nine.values.data() + r % 9 * 5, 5, rows.values.data() + r * 5);
    }
    const Ids ids = shuffled(rows.rows);
    BinaryIndex index(40, metric);
    index.add(rows.part(0, 1000), ids.data());
    index.add(rows.part(1000, 3000), ids.data() + 1000);
    expect_truth(index, rows, ids, nine, 7);
    expect_truth(index, rows, ids, nine, 400);
  }
}

TEST(Binary, OnlyWhatIsAllowedAndNotRemovedIsFound) {
  for (const BitMetric metric : kBitMetrics) {
    for (const bool in_order : {true, false}) {
      SCOPED_TRACE(std::string(name(metric)) + (in_order ? " in order" : " shuffled"));
      const std::size_t n = 900;
      const BitRows rows = varied_bits(n, 130, 4);
      const BitRows queries = varied_bits(5, 130, 5);
      const Ids ids = in_order ? numbered(n) : shuffled(n);
      BinaryIndex index(130, metric);
      index.add(rows.part(0, 700), ids.data());
      index.add(rows.part(700, n), ids.data() + 700);
      Ids gone;
      for (std::size_t i = 3; i < n; i += 9) gone.push_back(ids[i]);
      index.remove(gone.data(), gone.size());
      EXPECT_EQ(index.size(), n - gone.size());
      expect_truth(index, rows, ids, queries, 12);

      std::vector<std::uint8_t> mask(2 * n);
      for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = random_below(3, 6, 0, i) == 0 ? 1 : 0;
      Allowed some;
      some.mask = mask.data();
      some.count = mask.size();
      expect_truth(index, rows, ids, queries, 12, some);
      const Ids few{ids[3], ids[4], ids[4], ids[800], -1, 1'000'000'007};
      Allowed listed;
      listed.ids = few.data();
      listed.count = few.size();
      expect_truth(index, rows, ids, queries, 4, listed);
      listed.count = 0;
      expect_truth(index, rows, ids, queries, 4, listed);

      gone.assign(ids.begin(), ids.end());  // so many that what is left moves together
      const auto stays = [&](std::int64_t id) { return id % 2 == 0 || !index.contains(id); };
      gone.erase(std::remove_if(gone.begin(), gone.end(), stays), gone.end());
      index.remove(gone.data(), gone.size());
      expect_truth(index, rows, ids, queries, 12);
      index.add(rows.part(3, 4), &ids[3]);
      EXPECT_TRUE(index.contains(ids[3]));
      expect_truth(index, rows, ids, queries, 12);
      const Ids rest = index.ids();
      index.remove(rest.data(), rest.size());
      EXPECT_EQ(index.size(), 0u);
      expect_truth(index, rows, ids, queries, 2);
    }
  }
}

TEST(Binary, RangeSearchFindsAllWithin) {
  for (const BitMetric metric : kBitMetrics) {
    const BitRows rows = varied_bits(700, 90, 7);
    const BitRows queries = varied_bits(9, 90, 8);
    const Ids ids = shuffled(rows.rows);
    BinaryIndex index(90, metric);
    index.add(rows.view(), ids.data());
    const auto everything = [](std::int64_t) { return true; };
    const BitTruth nearest = bit_truth(metric, queries.row(0), rows, ids, everything);
    for (const float radius : {-1.0f, 0.0f, nearest[20].first, 0.5f, 20.0f, 1e9f, INFINITY}) {
      SCOPED_TRACE(std::string(name(metric)) + " " + std::to_string(radius));
      for (const unsigned threads : {1u, 4u}) {
        RunOptions run;
        run.threads = threads;
        const RangeResult got = index.range_search(queries.view(), radius, {}, run);
        ASSERT_EQ(got.offsets.size(), queries.rows + 1);
        for (std::size_t q = 0; q < queries.rows; ++q) {
          BitTruth want = bit_truth(metric, queries.row(q), rows, ids, everything);
          want.erase(std::upper_bound(want.begin(), want.end(),
                                      std::make_pair(radius, std::int64_t{1} << 62)),
                     want.end());
          BitTruth found;
          for (auto i = got.offsets[q]; i < got.offsets[q + 1]; ++i) {
            found.emplace_back(got.distances[i], got.ids[i]);
          }
          EXPECT_EQ(found, want) << "query " << q;
        }
      }
    }
  }
}

// Long enough for several threads to share a query, and for segments to be merged.
TEST(Binary, NeitherThreadsNorTheWayItGrewChangeAnything) {
  for (const BitMetric metric : kBitMetrics) {
    SCOPED_TRACE(name(metric));
    const std::size_t n = 20000;
    const BitRows rows = varied_bits(n, 1000, 9);
    const BitRows queries = varied_bits(70, 1000, 10);
    BinaryIndex whole(1000, metric);
    whole.add(rows.view());
    BinaryIndex grown(1000, metric);
    std::size_t begin = 0;
    for (std::size_t step = 1; begin < n; step = step * 2 % 1021 + 1) {
      RunOptions run;
      run.threads = static_cast<unsigned>(1 + step % 3);
      grown.add(rows.part(begin, std::min(n, begin + step)), nullptr, run);
      begin = std::min(n, begin + step);
    }
    EXPECT_EQ(grown.ids(), numbered(n));
    const BitAnswers want = search(whole, queries.view(), 10);
    for (const unsigned threads : {1u, 2u, 5u}) {
      EXPECT_EQ(search(whole, queries.view(), 10, {}, threads), want);
      EXPECT_EQ(search(grown, queries.view(), 10, {}, threads), want);
      EXPECT_EQ(search(grown, queries.part(3, 4), 10, {}, threads),
                search(whole, queries.part(3, 4), 10));
    }
    std::vector<std::uint8_t> row(rows.bytes);
    for (const std::int64_t id : {0, 1, 777, 19999}) {
      grown.get(id, row.data());
      EXPECT_TRUE(std::equal(row.begin(), row.end(),
                             rows.values.data() + static_cast<std::size_t>(id) * rows.bytes));
    }
    std::uint64_t codes = 0;
    for (const MemoryPart& part : whole.memory()) {
      if (part.name == "codes") codes = part.bytes;
    }
    EXPECT_EQ(codes, n * 128u);
  }
}

// Rows so wide that a segment holds two thousand of them.
TEST(Binary, ManySegmentsAreOneIndex) {
  const std::size_t n = 2100;
  BitRows rows(n, kMaxBits);
  for (std::size_t i = 0; i < rows.values.size(); i += 8) {
    const std::uint64_t random = random_u64(16, i % 5, i);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&random), 8, rows.values.data() + i);
  }
  for (const BitMetric metric : kBitMetrics) {
    SCOPED_TRACE(name(metric));
    BinaryIndex index(kMaxBits, metric);
    index.add(rows.view());
    EXPECT_EQ(index.ids(), numbered(n));
    for (const std::size_t r : {0, 2047, 2048, 2099}) {
      const BitAnswers got = search(index, rows.part(r, r + 1), 2);
      EXPECT_EQ(got.ids[0], static_cast<std::int64_t>(r));
      EXPECT_EQ(got.distances[0], 0.0f);
      EXPECT_EQ(got.distances[1], bit_distance(metric, rows.row(r),
                                               rows.row(static_cast<std::size_t>(got.ids[1])),
                                               rows.bytes));
    }
    const Ids gone{2048, 5};
    index.remove(gone.data(), 2);
    EXPECT_NE(search(index, rows.part(2048, 2049), 1).ids[0], 2048);
    EXPECT_EQ(index.size(), n - 2);
  }
}

TEST(Binary, MistakesChangeNothing) {
  BinaryIndex index(20, BitMetric::kHamming);
  const BitRows rows = varied_bits(6, 20, 11);
  index.add(rows.view());
  const auto refused = [&](const auto& call) -> std::string {
    try {
      call();
    } catch (const ArgumentError& error) {
      EXPECT_EQ(index.ids(), numbered(6));
      return error.what();
    }
    return "nothing thrown";
  };
  BitRows spare = rows;
  spare.values[4 * 3 + 2] |= 1;  // bit 23 of row 4
  EXPECT_THAT(refused([&] { index.add(spare.view()); }), HasSubstr("row 4 has bits set beyond"));
  const BitRows wide = varied_bits(2, 32, 1);
  EXPECT_THAT(refused([&] { index.add(wide.view()); }), HasSubstr("vectors has 4 columns"));
  EXPECT_THROW(index.add(wide.view()), DimensionError);
  EXPECT_THROW(search(index, wide.view(), 1), DimensionError);
  EXPECT_THAT(refused([&] { search(index, spare.view(), 1); }), HasSubstr("queries: row 4"));
  const std::vector<float> floats(3);
  EXPECT_THAT(refused([&] { index.add(MatrixView<const float>(floats.data(), 1, 3)); }),
              HasSubstr("float32"));
  for (const Ids& ids : {Ids{7, 8, 9, 10, 11, -1}, Ids{7, 8, 9, 10, 11, 5},
                         Ids{7, 8, 9, 10, 11, 9}}) {
    EXPECT_THAT(refused([&] { index.add(rows.view(), ids.data()); }), HasSubstr("ids[5]"));
  }
  for (const Ids& ids : {Ids{1, 6}, Ids{1, 1}, Ids{1, -1}}) {
    EXPECT_THAT(refused([&] { index.remove(ids.data(), 2); }), HasSubstr("ids[1]"));
  }
  EXPECT_THAT(refused([&] { search(index, rows.view(), 0); }), HasSubstr("k is 0"));
  EXPECT_THAT(refused([&] { index.range_search(rows.view(), NAN); }), HasSubstr("radius"));
  EXPECT_THROW(BinaryIndex(0, BitMetric::kJaccard), ArgumentError);
  EXPECT_THROW(BinaryIndex(kMaxBits + 1, BitMetric::kJaccard), ArgumentError);
  BinaryIndex widest(kMaxBits, BitMetric::kHamming);
  const BitRows row = varied_bits(1, kMaxBits, 2);
  widest.add(row.view());
  EXPECT_EQ(search(widest, row.view(), 1).distances, std::vector<float>{0.0f});
}

TEST(Binary, SearchesGoOnBesideChanges) {
  for (const BitMetric metric : kBitMetrics) {
    const BitRows rows = varied_bits(2000, 70, 12);
    BinaryIndex index(70, metric);
    index.add(rows.part(0, 100));
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 2; ++t) {
      readers.emplace_back([&] {
        while (!stop) {
          // Row 50 is always there; nothing that was never added may come out.
          const BitAnswers got = search(index, rows.part(50, 51), 20);
          if (got.distances[0] != 0.0f) ++wrong;
          for (std::size_t i = 0; i < 20; ++i) {
            if (got.ids[i] >= 2000) ++wrong;
            if (got.ids[i] >= 0 &&
                got.distances[i] != bit_distance(metric, rows.row(50),
                                                 rows.row(static_cast<std::size_t>(got.ids[i])),
                                                 rows.bytes)) {
              ++wrong;
            }
          }
        }
      });
    }
    for (std::size_t begin = 100; begin < 2000; begin += 19) {
      index.add(rows.part(begin, begin + 19 < 2000 ? begin + 19 : 2000));
      const auto gone = static_cast<std::int64_t>(begin + 3);
      index.remove(&gone, 1);
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(wrong, 0);
  }
}

TEST(Binary, RescoringRanksByTheNumbersOfTheQuery) {
  const std::size_t dim = 100, n = 300, q = 13, c = 150, k = 20;
  const BitRows rows = varied_bits(n, dim, 13);
  const Ids ids = shuffled(n);
  BinaryIndex index(dim, BitMetric::kHamming);
  index.add(rows.view(), ids.data());
  std::vector<float> queries(q * dim);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    // Whole numbers: every sum is exact.
    queries[i] = static_cast<float>(random_below(41, 14, 0, i)) - 20.0f;
  }
  Ids candidates(q * c);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates[i] = static_cast<std::int64_t>(random_below(3 * n + 9, 15, 0, i)) - 1;
  }
  Ids got(q * k);
  std::vector<float> distances(q * k);
  index.rescore(MatrixView<const float>(queries.data(), q, dim), {candidates.data(), q, c},
                {got.data(), q, k}, {distances.data(), q, k});
  for (std::size_t i = 0; i < q; ++i) {
    BitTruth want;
    for (std::size_t r = 0; r < n; ++r) {
      const auto from = candidates.begin() + static_cast<std::ptrdiff_t>(i * c);
      if (std::find(from, from + static_cast<std::ptrdiff_t>(c), ids[r]) ==
          from + static_cast<std::ptrdiff_t>(c)) {
        continue;
      }
      float sum = 0.0f;
      for (std::size_t d = 0; d < dim; ++d) {
        const bool set = (rows.values[r * rows.bytes + d / 8] >> (7 - d % 8) & 1) != 0;
        sum += set ? queries[i * dim + d] : -queries[i * dim + d];
      }
      want.emplace_back(-sum, ids[r]);
    }
    std::sort(want.begin(), want.end());
    for (std::size_t j = 0; j < k; ++j) {
      const bool here = j < want.size();
      EXPECT_EQ(got[i * k + j], here ? want[j].second : kNoId);
      EXPECT_EQ(distances[i * k + j], here ? want[j].first : INFINITY);
    }
  }
}

}  // namespace
}  // namespace vicinal
