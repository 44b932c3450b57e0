#include "quantizers/pq.h"

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

CodecSpec pq(std::uint32_t parts, std::uint32_t bits, std::uint32_t variant = 0) {
  CodecSpec spec(CodecKind::kPq);
  spec.parts = parts;
  spec.bits = bits;
  spec.variant = variant;
  spec.seed = 7;
  return spec;
}

std::shared_ptr<const Codec> trained(const CodecSpec& spec, std::size_t dim, Metric metric,
                                     const std::vector<float>& rows, unsigned threads = 1) {
  RunOptions run;
  run.threads = threads;
  return train_pq(spec, dim, metric, {rows.data(), rows.size() / dim, dim}, run);
}

// Parts that do not divide the dimensions, one part, as many parts as dimensions.
struct Shape {
  std::size_t dim;
  std::uint32_t parts, bits;
};
constexpr Shape kShapes[] = {{24, 6, 8}, {23, 5, 8}, {9, 9, 8}, {12, 1, 8},
                             {24, 6, 4}, {23, 5, 4}, {9, 9, 4}, {12, 1, 4}};

class PqOf : public testing::TestWithParam<Shape> {
 protected:
  const Shape& shape() const { return GetParam(); }
  std::vector<float> rows() const { return bell_rows(500, shape().dim, 3); }
  CodecSpec spec() const { return pq(shape().parts, shape().bits); }
};

TEST_P(PqOf, CountsItsBytes) {
  const auto codec = trained(spec(), shape().dim, Metric::kL2, rows());
  EXPECT_EQ(codec->bytes(), shape().bits == 8 ? shape().parts : (shape().parts + 1) / 2);
  EXPECT_EQ(codec->stride() % 16, 0u);
}

TEST_P(PqOf, DecodedRowsEncodeToThemselves) {
  const std::size_t dim = shape().dim;
  const Coded first(trained(spec(), dim, Metric::kL2, rows()), rows());
  const Coded again(first.codec, first.decoded);
  for (std::size_t r = 0; r < first.n; ++r) {
    double off = 0, norm = 0;
    for (std::size_t i = r * dim; i < (r + 1) * dim; ++i) {
      off += std::pow(double{first.decoded[i]} - again.decoded[i], 2);
      norm += double{first.decoded[i]} * first.decoded[i];
    }
    // Two centroids so near to each other that rounding, relative to the norms, confuses them.
    EXPECT_LE(off, 8 * (static_cast<double>(dim) + 2) * FLT_EPSILON * norm) << "row " << r;
  }
}

TEST_P(PqOf, EveryPartGetsItsNearestCentroid) {
  const std::size_t dim = shape().dim;
  const std::vector<float> from = rows();
  const Coded coded(trained(spec(), dim, Metric::kL2, from), from);
  const PqBooks& books = static_cast<const PqCodec&>(*coded.codec).books();
  for (std::size_t r = 0; r < coded.n; r += 37) {
    for (std::size_t part = 0; part < books.parts(); ++part) {
      const std::size_t first = books.first(part), width = books.width(part);
      const float* x = from.data() + r * dim + first;
      double least = std::numeric_limits<double>::infinity(), norm = 0;
      for (std::size_t k = 0; k < books.entries(); ++k) {
        const float* c = books.rows(part) + k * width;
        least = std::min(least, test::plain_score(Metric::kL2, x, c, width).value);
        double own = 0;
        for (std::size_t d = 0; d < width; ++d) own += double{c[d]} * c[d];
        norm = std::max(norm, own);
      }
      for (std::size_t d = 0; d < width; ++d) norm += double{x[d]} * x[d];
      const double got =
          test::plain_score(Metric::kL2, x, coded.decoded.data() + r * dim + first, width).value;
      // Distances are compared as ||c||^2 / 2 - <x, c>, rounded relative to the norms.
      EXPECT_LE(got, least + 4 * (static_cast<double>(width) + 2) * FLT_EPSILON * norm)
          << "row " << r << " part " << part;
    }
  }
}

TEST_P(PqOf, ScoresAreThoseOfDecodedRows) {
  const std::size_t dim = shape().dim;
  const std::vector<float> from = rows(), queries = bell_rows(3, dim, 9);
  for (const Metric metric : kMetrics) {
    const Coded coded(trained(spec(), dim, metric, from), from);
    Query query;
    std::vector<float> got(coded.n);
    for (std::size_t q = 0; q < 3; ++q) {
      coded.codec->prepare(queries.data() + q * dim, Precision::kExact, query);
      query.score_block(coded.rows.data(), coded.n, got.data());
      for (std::size_t r = 0; r < coded.n; ++r) {
        const test::Score want = test::plain_score(metric, queries.data() + q * dim,
                                                   coded.decoded.data() + r * dim, dim);
        // Every term takes part in at most `dim` additions, its own rounding is within three.
        EXPECT_NEAR(got[r], want.value,
                    (static_cast<double>(dim) + 8) * FLT_EPSILON * want.magnitude);
      }
    }
  }
}

TEST_P(PqOf, GatheredRowsScoreAsScannedOnes) {
  const std::size_t dim = shape().dim;
  const Coded coded(trained(spec(), dim, Metric::kL2, rows()), rows());
  Query query;
  coded.codec->prepare(bell_rows(1, dim, 9).data(), Precision::kExact, query);
  std::vector<float> block(coded.n), got(coded.n);
  std::vector<std::uint32_t> ids(coded.n);
  for (std::size_t i = 0; i < coded.n; ++i) {
    ids[i] = static_cast<std::uint32_t>((i * 7 + 3) % coded.n);
  }
  query.score_block(coded.rows.data(), coded.n, block.data());
  query.score_ids(coded.rows.data(), ids.data(), coded.n, got.data());
  for (std::size_t i = 0; i < coded.n; ++i) EXPECT_EQ(got[i], block[ids[i]]) << i;
}

TEST_P(PqOf, AStoredRowScoresAsItsDecodedVectorDoes) {
  const std::size_t dim = shape().dim;
  for (const Metric metric : kMetrics) {
    const Coded coded(trained(spec(), dim, metric, rows()), rows());
    Query stored, decoded;
    std::vector<float> got(coded.n), want(coded.n);
    for (const std::size_t r : {std::size_t{0}, std::size_t{321}}) {
      coded.codec->prepare_row(coded.row(r), stored);
      coded.codec->prepare(coded.decoded.data() + r * dim, Precision::kExact, decoded);
      stored.score_block(coded.rows.data(), coded.n, got.data());
      decoded.score_block(coded.rows.data(), coded.n, want.data());
      EXPECT_EQ(got, want);
      if (metric == Metric::kL2) {
        EXPECT_LE(got[r], coded.codec->twin_limit(coded.row(r)));
      }
    }
  }
}

TEST_P(PqOf, ThreadsAndBatchesChangeNothing) {
  const std::size_t dim = shape().dim;
  const std::vector<float> from = rows();
  const auto one = trained(spec(), dim, Metric::kL2, from, 1);
  const auto three = trained(spec(), dim, Metric::kL2, from, 3);
  EXPECT_EQ(one->learned()[0].values, three->learned()[0].values);
  const Coded whole(one, from);
  Buffer single = Buffer::allocate(one->stride());
  for (std::size_t r = 0; r < whole.n; r += 29) {
    one->encode(from.data() + r * dim, dim, 1, single.mutable_data());
    EXPECT_EQ(std::memcmp(single.data(), whole.row(r), one->stride()), 0) << "row " << r;
  }
}

TEST_P(PqOf, LearnedArraysMakeTheSameCodec) {
  const std::size_t dim = shape().dim;
  const auto codec = trained(spec(), dim, Metric::kL2, rows());
  const auto learned = codec->learned();
  const auto names = learns_pq(spec(), dim);
  ASSERT_EQ(names.size(), learned.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(names[i].first, learned[i].name);
    EXPECT_EQ(names[i].second, learned[i].values.size());
  }
  const Coded before(codec, rows());
  const Coded after(restore_pq(spec(), dim, Metric::kL2, learned), rows());
  EXPECT_EQ(before.decoded, after.decoded);
  EXPECT_EQ(std::memcmp(before.rows.data(), after.rows.data(), before.rows.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PqOf, testing::ValuesIn(kShapes),
                         [](const testing::TestParamInfo<Shape>& info) {
                           return "dim" + std::to_string(info.param.dim) + "parts" +
                                  std::to_string(info.param.parts) + "bits" +
                                  std::to_string(info.param.bits);
                         });

TEST(Pq, ErrorFallsWithBytes) {
  constexpr std::size_t kDim = 32;
  const std::vector<float> sample = bell_rows(4000, kDim, 1), others = bell_rows(1000, kDim, 2);
  double before = std::numeric_limits<double>::infinity();
  for (const CodecSpec& spec : {pq(2, 8), pq(4, 8), pq(8, 8), pq(16, 8), pq(32, 8)}) {
    const Coded coded(trained(spec, kDim, Metric::kL2, sample), others);
    const double error = test::squared_error(others, coded.decoded, coded.n);
    EXPECT_LT(error, before) << spec.parts << " parts";
    before = error;
  }
  const Coded narrow(trained(pq(32, 4), kDim, Metric::kL2, sample), others);
  EXPECT_GT(test::squared_error(others, narrow.decoded, narrow.n), before);
}

TEST(Pq, TheSeedDecides) {
  const std::vector<float> rows = bell_rows(600, 8, 1);
  CodecSpec other = pq(2, 8);
  other.seed = 8;
  const auto a = trained(pq(2, 8), 8, Metric::kL2, rows), b = trained(other, 8, Metric::kL2, rows);
  EXPECT_NE(a->learned()[0].values, b->learned()[0].values);
}

TEST(Pq, BlocksHoldTheCodesAndScoreThemWithinHalfAStepAPart) {
  for (const std::size_t dim : {24, 23}) {
    const std::uint32_t parts = dim == 24 ? 12 : 7;
    const std::vector<float> from = bell_rows(64, dim, 4), q = bell_rows(1, dim, 5);
    for (const Metric metric : kMetrics) {
      const Coded coded(trained(pq(parts, 4), dim, metric, from), from);
      const std::size_t bytes = coded.codec->block_bytes();
      ASSERT_GT(bytes, 0u);
      ASSERT_EQ(bytes % 64, 0u);
      Buffer blocks = Buffer::allocate(2 * bytes);
      Buffer back = Buffer::allocate(coded.codec->stride());
      for (std::size_t r = 0; r < 64; ++r) {
        coded.codec->pack(coded.row(r), r % kBlockRows,
                          blocks.mutable_data() + r / kBlockRows * bytes);
      }
      for (std::size_t r = 0; r < 64; ++r) {
        coded.codec->unpack(blocks.data() + r / kBlockRows * bytes, r % kBlockRows,
                            back.mutable_data());
        EXPECT_EQ(std::memcmp(back.data(), coded.row(r), coded.codec->stride()), 0) << r;
      }
      const PqBooks& books = static_cast<const PqCodec&>(*coded.codec).books();
      double widest = 0, magnitude = 0;
      for (std::size_t part = 0; part < parts; ++part) {
        double low = 1e30, high = -1e30;
        for (std::size_t k = 0; k < 16; ++k) {
          const double entry =
              test::plain_score(metric, q.data() + books.first(part),
                                books.rows(part) + k * books.width(part), books.width(part))
                  .value;
          low = std::min(low, entry);
          high = std::max(high, entry);
        }
        widest = std::max(widest, high - low);
        magnitude += std::max(std::fabs(low), std::fabs(high));
      }
      BlockQuery query;
      coded.codec->prepare_blocks(q.data(), query);
      alignas(64) float got[64];
      query.score(blocks.data(), 2, got);
      Query exact;
      coded.codec->prepare(q.data(), Precision::kExact, exact);
      float want[64];
      exact.score_block(coded.rows.data(), 64, want);
      const double bound = 0.5 * parts * widest / 255 + 64 * FLT_EPSILON * (magnitude + widest);
      for (std::size_t r = 0; r < 64; ++r) EXPECT_NEAR(got[r], want[r], bound) << "row " << r;
    }
  }
}

// Vectors of length 3.
std::vector<float> on_a_sphere(std::size_t n, std::size_t dim, std::uint64_t seed) {
  std::vector<float> rows = bell_rows(n, dim, seed);
  for (std::size_t r = 0; r < n; ++r) {
    double square = 0;
    for (std::size_t d = 0; d < dim; ++d) square += double{rows[r * dim + d]} * rows[r * dim + d];
    for (std::size_t d = 0; d < dim; ++d) {
      rows[r * dim + d] = static_cast<float>(rows[r * dim + d] * 3 / std::sqrt(square));
    }
  }
  return rows;
}

TEST(Pq, InnerProductsOfVectorsOfOneLengthAreHalvedDistances) {
  for (const std::uint32_t bits : {8u, 4u}) {
    const std::vector<float> from = on_a_sphere(400, 12, 4), q = bell_rows(1, 12, 9);
    const Coded coded(trained(pq(4, bits), 12, Metric::kInnerProduct, from), from);
    EXPECT_FALSE(coded.codec->reconstructs());
    EXPECT_TRUE(coded.codec->for_metric(Metric::kL2)->reconstructs());
    double norm = 0;
    for (const float x : q) norm += double{x} * x;
    norm = std::sqrt(norm);
    std::vector<float> scaled(12);  // as long as the vectors
    for (std::size_t d = 0; d < 12; ++d) scaled[d] = static_cast<float>(q[d] * 3 / norm);
    Query query, stored;
    coded.codec->prepare(q.data(), Precision::kExact, query);
    std::vector<float> got(coded.n), of_row(coded.n);
    query.score_block(coded.rows.data(), coded.n, got.data());
    for (std::size_t r = 0; r < coded.n; ++r) {
      const double distance =
          test::plain_score(Metric::kL2, scaled.data(), coded.decoded.data() + r * 12, 12).value;
      const double want = (distance - 9 - 9) / 2 * norm / 3;
      EXPECT_NEAR(got[r], want, 64 * FLT_EPSILON * norm * 9) << "row " << r;
    }
    // And a stored row is a query like any other.
    coded.codec->prepare_row(coded.row(7), stored);
    coded.codec->prepare(coded.decoded.data() + 7 * 12, Precision::kExact, query);
    stored.score_block(coded.rows.data(), coded.n, of_row.data());
    query.score_block(coded.rows.data(), coded.n, got.data());
    EXPECT_EQ(of_row, got);
  }
}

TEST(Pq, VectorsOfManyLengthsAreScoredAsTheyDecode) {
  EXPECT_TRUE(trained(pq(4, 8), 12, Metric::kInnerProduct, bell_rows(400, 12, 4))->reconstructs());
}

TEST(Pq, EightBitsHaveNoBlocks) {
  EXPECT_EQ(trained(pq(2, 8), 8, Metric::kL2, bell_rows(300, 8, 1))->block_bytes(), 0u);
}

TEST(Pq, AHostileHighNibbleOfAnOddPartChangesNothing) {
  const std::vector<float> from = bell_rows(100, 9, 4);
  const Coded coded(trained(pq(3, 4), 9, Metric::kL2, from), from);
  Buffer row = Buffer::allocate(coded.codec->stride());
  std::memcpy(row.mutable_data(), coded.row(0), coded.codec->stride());
  row.mutable_data()[1] |= std::byte{0xF0};
  Query query;
  coded.codec->prepare(from.data(), Precision::kExact, query);
  float clean = 0, hostile = 0;
  query.score_block(coded.row(0), 1, &clean);
  query.score_block(row.data(), 1, &hostile);
  EXPECT_EQ(clean, hostile);
}

TEST(Pq, AnotherMetricKeepsTheRows) {
  const std::vector<float> from = bell_rows(400, 12, 4);
  const Coded l2(trained(pq(3, 8), 12, Metric::kL2, from), from);
  const Coded ip(l2.codec->for_metric(Metric::kInnerProduct), from);
  EXPECT_EQ(ip.codec->metric(), Metric::kInnerProduct);
  EXPECT_EQ(l2.decoded, ip.decoded);
}

// Mean of ||r||^2 and of <r, x / ||x||>^2.
std::pair<double, double> errors_along(const std::vector<float>& rows, const Coded& coded) {
  const std::size_t dim = coded.codec->dim();
  double all = 0, along = 0;
  for (std::size_t r = 0; r < coded.n; ++r) {
    double norm = 0, dot = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const double x = rows[r * dim + d], left = x - coded.decoded[r * dim + d];
      all += left * left;
      dot += left * x;
      norm += x * x;
    }
    along += dot * dot / norm;
  }
  return {all / static_cast<double>(coded.n), along / static_cast<double>(coded.n)};
}

TEST(Pq, ScoreAwareCodesErrLessAlongTheVectors) {
  constexpr std::size_t kDim = 64;
  const std::vector<float> sample = bell_rows(3000, kDim, 1), others = bell_rows(500, kDim, 2);
  const Coded plain(trained(pq(8, 8), kDim, Metric::kInnerProduct, sample), others);
  const auto codec = trained(pq(8, 8, kPqScoreAware), kDim, Metric::kInnerProduct, sample);
  const Coded aware(codec, others);
  const auto [plain_all, plain_along] = errors_along(others, plain);
  const auto [aware_all, aware_along] = errors_along(others, aware);
  EXPECT_LT(aware_along, 0.7 * plain_along);
  EXPECT_GT(aware_all, plain_all);  // what it pays
  const double weight = 63 * 0.04 / 0.96 - 1;
  EXPECT_LT(aware_all + weight * aware_along, plain_all + weight * plain_along);
  const auto again = trained(pq(8, 8, kPqScoreAware), kDim, Metric::kInnerProduct, sample, 3);
  EXPECT_EQ(codec->learned()[0].values, again->learned()[0].values);
}

TEST(Pq, RefusesWhatCannotBe) {
  const std::vector<float> rows = bell_rows(300, 8, 1);
  EXPECT_THROW(trained(pq(0, 8), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(pq(9, 8), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(pq(2, 5), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(pq(2, 8, 2), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(trained(pq(2, 8, kPqScoreAware), 8, Metric::kL2, rows), ArgumentError);
  EXPECT_THROW(train_pq(pq(2, 8), 7, Metric::kL2, {rows.data(), 300, 8}, {}), DimensionError);
  try {
    train_pq(pq(2, 8), 8, Metric::kL2, {rows.data(), 255, 8}, {});
    ADD_FAILURE() << "255 rows were enough for 256 centroids";
  } catch (const ArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("255 rows"), std::string::npos) << error.what();
  }
  EXPECT_NO_THROW(train_pq(pq(2, 4), 8, Metric::kL2, {rows.data(), 16, 8}, {}));
}

TEST(Pq, RefusesDamagedArrays) {
  const CodecSpec spec = pq(2, 4);
  const auto good = trained(spec, 8, Metric::kL2, bell_rows(100, 8, 1))->learned();
  const auto restored = [&](std::vector<Learned> learned) {
    return restore_pq(spec, 8, Metric::kL2, std::move(learned));
  };
  EXPECT_NO_THROW(restored(good));
  EXPECT_THROW(restored({}), ArgumentError);
  auto bad = good;
  bad[0].name = "codebook";
  EXPECT_THROW(restored(bad), ArgumentError);
  bad = good;
  bad[0].values.pop_back();
  EXPECT_THROW(restored(bad), ArgumentError);
  bad = good;
  bad[0].values[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(restored(bad), ArgumentError);
  bad = good;
  bad.push_back(good[0]);
  EXPECT_THROW(restored(bad), ArgumentError);
  bad = good;
  bad[0].values.assign(bad[0].values.size(), 3e38f);  // finite; scores are not
  const auto huge = restored(bad);
  const std::vector<float> rows = bell_rows(3, 8, 1);
  const Coded coded(huge, rows);
  Query query;
  huge->prepare(rows.data(), Precision::kExact, query);
  float got[3];
  query.score_block(coded.rows.data(), 3, got);  // no crash is all that is asked
}

}  // namespace
}  // namespace vicinal::quantizers
