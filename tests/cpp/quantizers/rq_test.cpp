#include "quantizers/rq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "quantizers/coded.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

using test::bell_rows;
using test::Coded;

constexpr Metric kMetrics[] = {Metric::kL2, Metric::kInnerProduct, Metric::kCosine};

CodecSpec rq(std::uint32_t levels, std::uint32_t variant = 0) {
  CodecSpec spec(CodecKind::kRq);
  spec.parts = levels;
  spec.bits = 8;
  spec.variant = variant;
  spec.seed = 7;
  return spec;
}

std::shared_ptr<const Codec> trained(const CodecSpec& spec, std::size_t dim, Metric metric,
                                     const std::vector<float>& rows, unsigned threads = 1) {
  RunOptions run;
  run.threads = threads;
  return train_rq(spec, dim, metric, {rows.data(), rows.size() / dim, dim}, run);
}

double error_of(const CodecSpec& spec, std::size_t dim, const std::vector<float>& sample,
                const std::vector<float>& rows) {
  const Coded coded(trained(spec, dim, Metric::kL2, sample), rows);
  return test::squared_error(rows, coded.decoded, coded.n);
}

TEST(Rq, CountsItsBytes) {
  const std::vector<float> rows = bell_rows(300, 5, 1);
  for (const Metric metric : kMetrics) {
    EXPECT_EQ(trained(rq(3), 5, metric, rows)->bytes(), 4u);  // and the gain or norm
  }
}

TEST(Rq, ErrorFallsWithLevels) {
  constexpr std::size_t kDim = 24;
  const std::vector<float> sample = bell_rows(3000, kDim, 1), others = bell_rows(500, kDim, 2);
  double before = std::numeric_limits<double>::infinity();
  for (const std::uint32_t levels : {1u, 2u, 4u, 8u}) {
    const double error = error_of(rq(levels), kDim, sample, others);
    EXPECT_LT(error, before) << levels << " levels";
    before = error;
  }
}

TEST(Rq, ABeamErrsLessThanGreed) {
  constexpr std::size_t kDim = 24;
  const std::vector<float> sample = bell_rows(3000, kDim, 1), others = bell_rows(500, kDim, 2);
  const double greedy = error_of(rq(8, kRqPlain | 1), kDim, sample, others);
  const double beam = error_of(rq(8, kRqPlain | 5), kDim, sample, others);
  EXPECT_LT(beam, greedy);
}

TEST(Rq, FittedCodebooksErrLess) {
  constexpr std::size_t kDim = 24;
  const std::vector<float> sample = bell_rows(5000, kDim, 1);
  EXPECT_LT(error_of(rq(6), kDim, sample, sample), error_of(rq(6, kRqPlain), kDim, sample, sample));
}

// Against every sum of two centroids.
TEST(Rq, AWideBeamFindsTheBestPair) {
  constexpr std::size_t kDim = 6;
  const std::vector<float> sample = bell_rows(600, kDim, 1), others = bell_rows(20, kDim, 2);
  const Coded coded(trained(rq(2, kRqMaxBeam), kDim, Metric::kL2, sample), others);
  const RqBooks& books = static_cast<const RqCodec&>(*coded.codec).books();
  std::size_t best_found = 0;
  for (std::size_t r = 0; r < coded.n; ++r) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < 256; ++i) {
      for (std::size_t j = 0; j < 256; ++j) {
        double error = 0;
        for (std::size_t d = 0; d < kDim; ++d) {
          const double left = double{others[r * kDim + d]} - books.mean()[d] -
                              books.codebooks()[i * kDim + d] -
                              books.codebooks()[(256 + j) * kDim + d];
          error += left * left;
        }
        least = std::min(least, error);
      }
    }
    double got = 0;
    for (std::size_t d = 0; d < kDim; ++d) {
      const double left = double{others[r * kDim + d]} - coded.decoded[r * kDim + d];
      got += left * left;
    }
    EXPECT_GE(got, least - 1e-5);
    if (got <= least + 1e-5) ++best_found;
  }
  EXPECT_GE(best_found, 18u);  // 64 of 256 first codes are followed
}

TEST(Rq, ScoresAreThoseOfDecodedRowsButForTheNormThatL2Keeps) {
  for (const std::size_t dim : {1, 17, 40}) {
    const std::vector<float> from = bell_rows(500, dim, 3), queries = bell_rows(3, dim, 9);
    for (const Metric metric : kMetrics) {
      const Coded coded(trained(rq(5), dim, metric, from), from);
      const RqBooks& books = static_cast<const RqCodec&>(*coded.codec).books();
      Query query;
      std::vector<float> got(coded.n);
      for (std::size_t q = 0; q < 3; ++q) {
        const float* asked = queries.data() + q * dim;
        coded.codec->prepare(asked, Precision::kExact, query);
        query.score_block(coded.rows.data(), coded.n, got.data());
        for (std::size_t r = 0; r < coded.n; ++r) {
          const float* y = coded.decoded.data() + r * dim;
          double want = test::plain_score(metric, asked, y, dim).value;
          double norms = 0, norm = 0;
          for (std::size_t d = 0; d < dim; ++d) {
            const double centred = double{y[d]} - books.mean()[d];
            norm += centred * centred;
            norms += double{asked[d]} * asked[d] + double{y[d]} * y[d] +
                     2 * double{books.mean()[d]} * books.mean()[d];
          }
          for (std::size_t level = 0; level < 5; ++level) {
            const float* c = books.codebooks().data() +
                             (level * 256 + static_cast<std::size_t>(coded.row(r)[level])) * dim;
            for (std::size_t d = 0; d < dim; ++d) norms += double{c[d]} * c[d];
          }
          if (metric == Metric::kL2) {
            want += books.norms()[static_cast<std::size_t>(coded.row(r)[5])] - norm;
            want = std::max(want, 0.0);
          }
          // Sums of dim products each at most (q^2 + c^2), and of six table entries; gains up to 2.
          const double bound = 8 * (static_cast<double>(dim) + 16) * FLT_EPSILON * norms;
          EXPECT_NEAR(got[r], want, bound) << "dim " << dim << " row " << r;
        }
      }
    }
  }
}

TEST(Rq, NormsHoldHalfTheErrorAndAreRoundedToTheNearestValue) {
  constexpr std::size_t kDim = 12;
  const std::vector<float> from = bell_rows(1000, kDim, 3);
  const Coded coded(trained(rq(4), kDim, Metric::kL2, from), from);
  const RqBooks& books = static_cast<const RqCodec&>(*coded.codec).books();
  double off = 0, spread = 0, mean = 0;
  std::vector<double> norms(coded.n);
  for (std::size_t r = 0; r < coded.n; ++r) {
    for (std::size_t d = 0; d < kDim; ++d) {
      const double y = double{coded.decoded[r * kDim + d]} - books.mean()[d];
      const double left = double{from[r * kDim + d]} - coded.decoded[r * kDim + d];
      norms[r] += y * y + 0.5 * left * left;
    }
    mean += norms[r] / static_cast<double>(coded.n);
    double least = std::numeric_limits<double>::infinity();
    for (const float value : books.norms()) least = std::min(least, std::fabs(value - norms[r]));
    const double got = books.norms()[static_cast<std::size_t>(coded.row(r)[4])];
    EXPECT_LE(std::fabs(got - norms[r]), least + 1e-5 * norms[r]);
    off += (got - norms[r]) * (got - norms[r]);
  }
  for (const double norm : norms) spread += (norm - mean) * (norm - mean);
  EXPECT_LT(off, 1e-3 * spread);  // 256 values: a step is some hundredth of the spread
}

TEST(Rq, InnerProductKeepsTheLengthsOfTheVectors) {
  constexpr std::size_t kDim = 12;
  const std::vector<float> from = bell_rows(1000, kDim, 3);
  const Coded coded(trained(rq(3), kDim, Metric::kInnerProduct, from), from);
  double off = 0, all = 0;
  for (std::size_t r = 0; r < coded.n; ++r) {
    double wanted = 0, got = 0;
    for (std::size_t i = r * kDim; i < (r + 1) * kDim; ++i) {
      wanted += double{from[i]} * from[i];
      got += double{coded.decoded[i]} * coded.decoded[i];
    }
    const double ratio = std::sqrt(got / wanted);
    off += std::pow(ratio - 1, 2);
    // Gains end at 2; and 256 of them for a thousand rows leave little.
    all += ratio < 0.99 ? 1 : 0;
  }
  EXPECT_LT(std::sqrt(off / static_cast<double>(coded.n)), 0.02);
  EXPECT_LT(all / static_cast<double>(coded.n), 0.05);
}

TEST(Rq, GatheredRowsScoreAsScannedOnes) {
  const std::vector<float> from = bell_rows(300, 10, 3);
  const Coded coded(trained(rq(3), 10, Metric::kL2, from), from);
  Query query;
  coded.codec->prepare_row(coded.row(5), query);
  std::vector<float> block(coded.n), got(coded.n);
  std::vector<std::uint32_t> ids(coded.n);
  for (std::size_t i = 0; i < coded.n; ++i) {
    ids[i] = static_cast<std::uint32_t>((i * 7 + 3) % coded.n);
  }
  query.score_block(coded.rows.data(), coded.n, block.data());
  query.score_ids(coded.rows.data(), ids.data(), coded.n, got.data());
  for (std::size_t i = 0; i < coded.n; ++i) EXPECT_EQ(got[i], block[ids[i]]) << i;
}

// More levels than a stage holds.
TEST(Rq, ThreadsAndBatchesChangeNothing) {
  constexpr std::size_t kDim = 8;
  const std::vector<float> from = bell_rows(700, kDim, 3);
  const CodecSpec spec = rq(18, 2);
  const auto one = trained(spec, kDim, Metric::kL2, from, 1);
  const auto three = trained(spec, kDim, Metric::kL2, from, 3);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(one->learned()[i].values, three->learned()[i].values) << one->learned()[i].name;
  }
  const Coded whole(one, from);
  Buffer single = Buffer::allocate(one->stride());
  for (std::size_t r = 0; r < whole.n; r += 31) {
    one->encode(from.data() + r * kDim, kDim, 1, single.mutable_data());
    EXPECT_EQ(std::memcmp(single.data(), whole.row(r), one->stride()), 0) << "row " << r;
  }
}

TEST(Rq, LearnedArraysMakeTheSameCodec) {
  const std::vector<float> from = bell_rows(400, 6, 3);
  const Coded before(trained(rq(3), 6, Metric::kL2, from), from);
  const auto learned = before.codec->learned();
  const auto names = learns_rq(rq(3), 6);
  ASSERT_EQ(names.size(), learned.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(names[i].first, learned[i].name);
    EXPECT_EQ(names[i].second, learned[i].values.size());
  }
  const Coded after(restore_rq(rq(3), 6, Metric::kL2, learned), from);
  EXPECT_EQ(std::memcmp(before.rows.data(), after.rows.data(), before.rows.size()), 0);
  const Coded ip(before.codec->for_metric(Metric::kInnerProduct), from);
  for (std::size_t r = 0; r < ip.n; ++r) EXPECT_EQ(std::memcmp(ip.row(r), before.row(r), 3), 0);
}

TEST(Rq, RowsAllAlikeAreHeld) {
  const std::vector<float> rows(300 * 4, 2.5f);
  const Coded coded(trained(rq(2), 4, Metric::kL2, rows), rows);
  for (const float x : coded.decoded) EXPECT_NEAR(x, 2.5f, 1e-5f);
}

TEST(Rq, RefusesWhatCannotBe) {
  const std::vector<float> rows = bell_rows(300, 8, 1);
  EXPECT_THROW(trained(rq(0), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(rq(kRqMaxLevels + 1), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(rq(2, kRqMaxBeam + 1), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(rq(2, 512), 8, Metric::kL2, rows), ArgumentError);
  CodecSpec narrow = rq(2);
  narrow.bits = 4;
  EXPECT_THROW(trained(narrow, 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(train_rq(rq(2), 7, Metric::kL2, {rows.data(), 300, 8}, {}), DimensionError);
  EXPECT_THROW(train_rq(rq(2), 8, Metric::kL2, {rows.data(), 255, 8}, {}), ArgumentError);
}

TEST(Rq, RefusesDamagedArrays) {
  const CodecSpec spec = rq(2, kRqPlain);
  const auto good = trained(spec, 3, Metric::kL2, bell_rows(300, 3, 1))->learned();
  const auto restored = [&](std::vector<Learned> learned) {
    return restore_rq(spec, 3, Metric::kL2, std::move(learned));
  };
  EXPECT_NO_THROW(restored(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i].values.pop_back();
    EXPECT_THROW(restored(bad), ArgumentError) << good[i].name;
    bad = good;
    bad[i].values[1] = std::numeric_limits<float>::infinity();
    EXPECT_THROW(restored(bad), ArgumentError) << good[i].name;
    bad = good;
    bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THROW(restored(bad), ArgumentError) << good[i].name;
  }
  auto bad = good;
  std::reverse(bad[2].values.begin(), bad[2].values.end());
  EXPECT_THROW(restored(bad), ArgumentError);
  bad = good;
  bad[3].values[0] = -1;
  EXPECT_THROW(restored(bad), ArgumentError);
  bad = good;
  bad[1].values.assign(bad[1].values.size(), 3e38f);  // finite; costs are not
  const auto huge = restored(bad);
  const std::vector<float> rows = bell_rows(3, 3, 1);
  const Coded coded(huge, rows);
  Query query;
  huge->prepare(rows.data(), Precision::kExact, query);
  float got[3];
  query.score_block(coded.rows.data(), 3, got);  // no crash is all that is asked
}

}  // namespace
}  // namespace vicinal::quantizers
