#include "quantizers/rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "support/vectors.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

struct Kind {
  std::uint32_t bits, variant;
};

std::string kind_name(const testing::TestParamInfo<Kind>& info) {
  return std::to_string(info.param.bits) + "bits" +
         (info.param.variant == 0   ? "Best"
          : info.param.variant == 1 ? "Even"
                                    : "Normal");
}

CodecSpec spec_of(const Kind& kind, std::uint64_t seed = 0) {
  CodecSpec spec = CodecKind::kRotation;
  spec.bits = kind.bits;
  spec.variant = kind.variant;
  spec.seed = seed;
  return spec;
}

struct Store {
  std::shared_ptr<const Codec> codec;
  Buffer rows;
  std::size_t n = 0;

  const std::byte* row(std::size_t r) const { return rows.data() + r * codec->stride(); }
  std::vector<float> scores(const float* query, Precision precision = Precision::kExact) const {
    Query q;
    codec->prepare(query, precision, q);
    std::vector<float> out(n);
    q.score_block(rows.data(), n, out.data());
    return out;
  }
  std::vector<float> mean() const { return codec->learned()[0].values; }
};

Store store(const CodecSpec& spec, std::size_t dim, Metric metric, const std::vector<float>& rows,
            std::size_t sample = std::numeric_limits<std::size_t>::max()) {
  Store s;
  s.n = rows.size() / dim;
  s.codec = train_rotation(spec, dim, metric, {rows.data(), std::min(s.n, sample), dim});
  s.rows = Buffer::allocate(s.n * s.codec->stride());
  s.codec->encode(rows.data(), dim, s.n, s.rows.mutable_data());
  return s;
}

class Rotation : public testing::TestWithParam<Kind> {};

constexpr std::size_t kDims[] = {1, 2, 3, 7, 16, 31, 64, 65, 100, 127, 128, 200, 384, 513};

// Mean error within three standard errors, over rotations (rows that share one may err alike), and
// its size what spread() says. Queries lie anywhere between unrelated and near.
TEST_P(Rotation, EstimatesWithoutBias) {
  const std::size_t dim = 96, n = 8;
  constexpr int kRotations = 150;
  auto rows = test::normal_vectors(n, dim, 3);
  for (std::size_t d = 0; d < dim; ++d) rows[d] += 0.5f;
  auto query = test::normal_vectors(1, dim, 4);
  for (std::size_t d = 0; d < dim; ++d) query[d] += 0.7f * rows[d];
  for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
    for (const Precision precision : {Precision::kExact, Precision::kFast}) {
      double sum = 0, squares = 0, error = 0;
      for (int seed = 0; seed < kRotations; ++seed) {
        // Nothing to learn from: the mean is zero and r the row itself.
        const Store s =
            store(spec_of(GetParam(), static_cast<std::uint64_t>(seed)), dim, metric, rows, 0);
        const auto scores = s.scores(query.data(), precision);
        double mean = 0;
        for (std::size_t r = 0; r < n; ++r) {
          const float* row = rows.data() + r * dim;
          // The rounding of the kept norm is the same for every rotation.
          const double norm = test::dot_of(row, row, dim);
          const double kept = GetParam().bits <= 4 ? from_short_add(to_short_add(norm)) : norm;
          const double truth = metric == Metric::kL2
                                   ? test::squared_distance_of(query.data(), row, dim) + kept - norm
                                   : -test::dot_of(query.data(), row, dim);
          const double spread = dynamic_cast<const RotationCodec&>(*s.codec).spread(s.row(r)) *
                                std::sqrt(test::dot_of(query.data(), query.data(), dim)) *
                                (metric == Metric::kL2 ? 2 : 1);
          const double off = (scores[r] - truth) / spread;
          mean += off / n;
          error += off * off / (n * kRotations);
        }
        sum += mean;
        squares += mean * mean;
      }
      const double mean = sum / kRotations;
      const double deviation = std::sqrt((squares / kRotations - mean * mean) / kRotations);
      EXPECT_LT(std::fabs(mean), 3 * deviation) << name(metric);
      // The kept norm and a query of 8 bits add to it where codes are fine. Measured: 0.9 to 1.1
      // up to 4 bits.
      if (GetParam().bits <= 4) {
        EXPECT_GT(std::sqrt(error), 0.75) << name(metric);
        EXPECT_LT(std::sqrt(error), 1.3) << name(metric);
      }
    }
  }
}

TEST_P(Rotation, KeepsTheProductWithTheRowItself) {
  for (const std::size_t dim : kDims) {
    const auto rows = test::normal_vectors(20, dim, dim);
    const Store s = store(spec_of(GetParam()), dim, Metric::kL2, rows);
    const auto mean = s.mean();
    std::vector<float> back(dim), r(dim);
    for (std::size_t i = 0; i < s.n; ++i) {
      s.codec->decode(s.row(i), 1, back.data(), dim);
      for (std::size_t d = 0; d < dim; ++d) {
        r[d] = rows[i * dim + d] - mean[d];
        back[d] -= mean[d];
      }
      const double norm = test::dot_of(r.data(), r.data(), dim);
      // s is kept to 2^-9 up to four bits; the rest is rounding of the rotations.
      const double most = GetParam().bits <= 4 ? 0x1p-9 + 1e-5 : 1e-5;
      EXPECT_NEAR(test::dot_of(back.data(), r.data(), dim), norm, norm * most) << "dim " << dim;
    }
  }
}

// What is left of a query when its part of the mean is taken off, and that part.
struct Centred {
  std::vector<double> rest;
  double part = 1;
};

Centred centred(const float* query, const std::vector<float>& mean, Metric metric) {
  const std::size_t dim = mean.size();
  Centred c;
  if (metric != Metric::kL2) {
    const double norm = test::dot_of(mean.data(), mean.data(), dim);
    c.part = norm > 0 ? test::dot_of(query, mean.data(), dim) / norm : 0;
  }
  for (std::size_t d = 0; d < dim; ++d) c.rest.push_back(query[d] - c.part * mean[d]);
  return c;
}

double norm_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

TEST_P(Rotation, ScoresAsDefined) {
  for (const std::size_t dim : kDims) {
    const auto rows = test::normal_vectors(20, dim, dim);
    const auto query = test::normal_vectors(1, dim, 1000 + dim);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const Store s = store(spec_of(GetParam()), dim, metric, rows);
      const auto mean = s.mean();
      const auto exact = s.scores(query.data()), fast = s.scores(query.data(), Precision::kFast);
      const Centred u = centred(query.data(), mean, metric);
      std::vector<float> back(dim);
      for (std::size_t i = 0; i < s.n; ++i) {
        s.codec->decode(s.row(i), 1, back.data(), dim);
        double y_norm = 0, norm = 0, dot = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          const double y = double{back[d]} - mean[d], r = double{rows[i * dim + d]} - mean[d];
          y_norm += y * y;
          norm += r * r;
          dot += u.rest[d] * y;
        }
        y_norm = std::sqrt(y_norm);
        const double rest = norm_of(u.rest);
        const double of_mean = test::dot_of(query.data(), mean.data(), dim);
        const bool l2 = metric == Metric::kL2;
        const double want =
            l2 ? rest * rest + norm - 2 * dot : -test::dot_of(query.data(), back.data(), dim);
        // Single precision, 21 bits of the query, two rotations; and the norm is kept to 2^-8 up to
        // four bits.
        const double rounding = (l2 ? 2 : 1) * rest * (y_norm + 1e-3) * 8e-6 +
                                (std::fabs(want) + rest * rest + std::fabs(of_mean)) * 2e-6 +
                                (l2 && GetParam().bits <= 4 ? norm * 0x1p-8 : 0);
        EXPECT_NEAR(exact[i], want, rounding) << name(metric) << " dim " << dim;
        // A number of a fast query is off by 1/254 of the largest at most.
        const double most = (l2 ? 2 : 1) * y_norm * std::sqrt(double(dim)) * rest / 254;
        EXPECT_NEAR(fast[i], want, most + rounding) << name(metric) << " dim " << dim;
      }
    }
  }
}

TEST_P(Rotation, ScoresTheSameByIdAndInBlocks) {
  for (const std::size_t dim : kDims) {
    const auto rows = test::normal_vectors(40, dim, dim);
    const auto query = test::normal_vectors(1, dim, 1000 + dim);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const Store s = store(spec_of(GetParam()), dim, metric, rows);
      for (const Precision precision : {Precision::kExact, Precision::kFast}) {
        const auto block = s.scores(query.data(), precision);
        Query q;
        s.codec->prepare(query.data(), precision, q);
        const std::uint32_t ids[] = {39, 0, 3, 3, 17, 1, 22};
        float got[7];
        q.score_ids(s.rows.data(), ids, 7, got);
        for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(got[i], block[ids[i]]) << "dim " << dim;
      }
    }
  }
}

// Tables of 8 bits: each look-up is off by half a step of its plane at most, a step being 1/255 of
// the widest table.
TEST_P(Rotation, ScansPackedBlocksWithinTheRoundingOfTheirTables) {
  for (const std::size_t dim : kDims) {
    const auto rows = test::normal_vectors(40, dim, dim);
    const auto query = test::normal_vectors(1, dim, 1000 + dim);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const Store s = store(spec_of(GetParam()), dim, metric, rows);
      const std::size_t bytes = s.codec->block_bytes();
      ASSERT_EQ(bytes % 64, 0u);
      const Buffer blocks = [&] {
        Buffer made = Buffer::allocate(2 * bytes);
        for (std::size_t r = 0; r < s.n; ++r) {
          s.codec->pack(s.row(r), r % 32, made.mutable_data() + r / 32 * bytes);
        }
        return made;
      }();
      std::vector<std::byte> row(s.codec->stride());
      for (std::size_t r = 0; r < s.n; ++r) {
        s.codec->unpack(blocks.data() + r / 32 * bytes, r % 32, row.data());
        ASSERT_EQ(std::memcmp(row.data(), s.row(r), row.size()), 0) << "dim " << dim;
      }
      BlockQuery scan;
      s.codec->prepare_blocks(query.data(), scan);
      std::vector<float> got(64);
      scan.score(blocks.data(), 2, got.data());
      const auto want = s.scores(query.data());

      std::vector<float> back(dim);
      const auto mean = s.mean();
      const bool l2 = metric == Metric::kL2;
      const Centred u = centred(query.data(), mean, metric);
      std::vector<float> q(u.rest.begin(), u.rest.end());
      FastRotation(dim, 0).apply(q.data(), q.data());
      double largest = 0, sum = 0;
      for (const float x : q) {
        largest = std::max<double>(largest, std::fabs(x));
        sum += std::fabs(x);
      }
      for (std::size_t r = 0; r < s.n; ++r) {
        s.codec->decode(s.row(r), 1, back.data(), dim);
        double norm = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          norm += (double{back[d]} - mean[d]) * (double{back[d]} - mean[d]);
        }
        // |level| <= 4.1 ||y|| / sqrt(dim) for every kind once dim > 1 or so; a nibble spans twice
        // that times up to four numbers of the query. Planes of fewer bits span less.
        const double level = 4.1 * std::sqrt(norm) * (dim < 16 ? 1 : 1 / std::sqrt(double(dim)));
        const double step = 2 * level * std::min(4 * largest, sum) / 255;
        const double nibbles = GetParam().bits == 1 ? (dim + 3) / 4 : 1.5 * dim;
        const double most = (l2 ? 2 : 1) * nibbles * step / 2;
        EXPECT_NEAR(got[r], want[r], most + 1e-4 * (1 + std::fabs(want[r])))
            << "dim " << dim << " row " << r;
      }
    }
  }
}

TEST_P(Rotation, GivesTheSameCodesFromWhatItLearnt) {
  const auto rows = test::normal_vectors(40, 100, 1), query = test::normal_vectors(1, 100, 2);
  const Store s = store(spec_of(GetParam(), 9), 100, Metric::kL2, rows);
  const auto again = restore_rotation(s.codec->spec(), 100, Metric::kL2, s.codec->learned());
  std::vector<std::byte> codes(40 * again->stride());
  again->encode(rows.data(), 100, 40, codes.data());
  EXPECT_EQ(std::memcmp(codes.data(), s.rows.data(), codes.size()), 0);
  const auto other = s.codec->for_metric(Metric::kInnerProduct);
  EXPECT_EQ(other->metric(), Metric::kInnerProduct);
}

TEST_P(Rotation, HoldsRowsAtTheMean) {
  std::vector<float> rows(5 * 40, 2.5f);
  const auto query = test::normal_vectors(1, 40, 2);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    const Store s = store(spec_of(GetParam()), 40, metric, rows);
    std::vector<float> back(40);
    s.codec->decode(s.row(3), 1, back.data(), 40);
    EXPECT_EQ(back, std::vector<float>(40, 2.5f));
    const double want = metric == Metric::kL2
                            ? test::squared_distance_of(query.data(), rows.data(), 40)
                            : -test::dot_of(query.data(), rows.data(), 40);
    for (const float score : s.scores(query.data())) {
      EXPECT_NEAR(score, want, 1e-5 * (1 + std::fabs(want)));
    }
  }
}

TEST_P(Rotation, FindsARowAtNoDistanceFromItself) {
  for (const std::size_t dim : {7, 64, 100, 384}) {
    const auto rows = test::normal_vectors(20, dim, dim);
    const Store s = store(spec_of(GetParam()), dim, Metric::kL2, rows);
    const auto mean = s.mean();
    for (std::size_t r = 0; r < s.n; ++r) {
      Query q;
      s.codec->prepare_row(s.row(r), q);
      std::vector<float> scores(s.n);
      q.score_block(s.rows.data(), s.n, scores.data());
      const double norm = test::squared_distance_of(rows.data() + r * dim, mean.data(), dim);
      // Eight bits go the way of rounded floats, through the average share that codes lose.
      EXPECT_NEAR(scores[r], 0.0, norm * (GetParam().bits == 8 ? 0.02 : 1e-5)) << "dim " << dim;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryKind, Rotation,
                         testing::Values(Kind{1, 0}, Kind{2, 0}, Kind{3, 0}, Kind{4, 0}, Kind{5, 0},
                                         Kind{6, 0}, Kind{7, 0}, Kind{8, 0}, Kind{1, 2}, Kind{2, 2},
                                         Kind{4, 1}),
                         kind_name);

// Mean squared error of <q, y> over rows, as a share of ||q||^2 ||r||^2 / dim.
double error_of(const Kind& kind) {
  const std::size_t dim = 256, n = 200;
  const auto rows = test::normal_vectors(n, dim, 1), query = test::normal_vectors(1, dim, 2);
  const Store s = store(spec_of(kind), dim, Metric::kInnerProduct, rows);
  const auto scores = s.scores(query.data());
  double sum = 0;
  for (std::size_t r = 0; r < n; ++r) {
    const double off = scores[r] + test::dot_of(query.data(), rows.data() + r * dim, dim);
    sum += off * off / n;
  }
  return sum * dim / (test::dot_of(query.data(), query.data(), dim) * dim);
}

TEST(RotationError, FallsWithEveryBit) {
  double last = error_of({1, 0});
  for (std::uint32_t bits = 2; bits <= 8; ++bits) {
    const double now = error_of({bits, 0});
    EXPECT_LT(now, 0.5 * last) << bits << " bits";  // a quarter, where levels are many
    last = now;
  }
}

TEST(RotationError, IsSmallerWithNormalLevelsAtFourBits) {
  // Theory: 0.0095 against 0.0115. At two bits a best scale per row makes up for the difference.
  EXPECT_LT(error_of({4, 2}), error_of({4, 1}));
  EXPECT_LT(error_of({2, 2}), 1.05 * error_of({2, 1}));
}

TEST(RotationSpec, RefusesWhatThereIsNot) {
  const std::vector<float> rows(8);
  for (const Kind kind : {Kind{0, 0}, Kind{9, 0}, Kind{4, 3}, Kind{3, 2}, Kind{8, 2}}) {
    EXPECT_THROW(learns_rotation(spec_of(kind), 8), ArgumentError) << kind.bits;
    EXPECT_THROW(train_rotation(spec_of(kind), 8, Metric::kL2, {rows.data(), 1, 8}), ArgumentError);
    EXPECT_THROW(restore_rotation(spec_of(kind), 8, Metric::kL2, {{"mean", rows}}), ArgumentError);
  }
}

TEST(RotationSpec, RefusesDamagedArrays) {
  const CodecSpec spec = spec_of({4, 0});
  const std::vector<float> good(8), bad(8, std::numeric_limits<float>::quiet_NaN());
  EXPECT_NO_THROW(restore_rotation(spec, 8, Metric::kL2, {{"mean", good}}));
  EXPECT_THROW(restore_rotation(spec, 8, Metric::kL2, {}), ArgumentError);
  EXPECT_THROW(restore_rotation(spec, 8, Metric::kL2, {{"other", good}}), ArgumentError);
  EXPECT_THROW(restore_rotation(spec, 9, Metric::kL2, {{"mean", good}}), ArgumentError);
  EXPECT_THROW(restore_rotation(spec, 8, Metric::kL2, {{"mean", bad}}), ArgumentError);
}

TEST(RotationSpec, NamesARowThatIsTooLong) {
  const std::vector<float> mean(8);
  const auto codec = restore_rotation(spec_of({4, 0}), 8, Metric::kL2, {{"mean", mean}});
  std::vector<float> rows(16, 1.0f);
  rows[12] = 3e38f;
  std::vector<std::byte> out(2 * codec->stride());
  try {
    codec->encode(rows.data(), 8, 2, out.data(), 40);
    FAIL();
  } catch (const ArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("row 41"), std::string::npos) << error.what();
  }
}

TEST(RotationBytes, CountsEveryByte) {
  const std::size_t dim = 384;
  const std::vector<float> mean(dim);
  const std::size_t bytes[] = {52, 100, 148, 196, 248, 296, 344, 392};
  for (std::uint32_t bits = 1; bits <= 8; ++bits) {
    for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
      const auto codec = restore_rotation(spec_of({bits, 0}), dim, metric, {{"mean", mean}});
      EXPECT_EQ(codec->bytes(), bytes[bits - 1]);
      // A block costs no more than its rows.
      EXPECT_EQ(codec->block_bytes(), 32 * codec->bytes());
    }
  }
}

}  // namespace
}  // namespace vicinal::quantizers
