#include "quantizers/plain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/random.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

std::vector<float> uniform(std::size_t n, std::uint64_t seed, double low, double high) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(low + (high - low) * random_unit(seed, 1, i));
  }
  return out;
}

constexpr std::size_t kDims[] = {1, 2, 15, 16, 17, 63, 64, 100, 127, 128, 129, 160, 255, 384, 784};

const std::vector<float>& mean_of(const Codec& codec) {
  return dynamic_cast<const PlainCodec&>(codec).mean();
}

struct Store {
  std::shared_ptr<const Codec> codec;
  Buffer rows;
  std::vector<float> decoded;
};

Store store(CodecKind kind, std::size_t dim, Metric metric, const std::vector<float>& rows) {
  const std::size_t n = rows.size() / dim;
  Store s;
  s.codec = Codec::train(kind, dim, metric, {rows.data(), n, dim});
  s.rows = Buffer::allocate(n * s.codec->stride());
  s.codec->encode(rows.data(), dim, n, s.rows.mutable_data());
  s.decoded.resize(n * dim);
  s.codec->decode(s.rows.data(), n, s.decoded.data(), dim);
  return s;
}

double reference(Metric metric, const float* q, const float* x, std::size_t dim) {
  double l2 = 0, dot = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    l2 += (double(q[i]) - x[i]) * (double(q[i]) - x[i]);
    dot += double(q[i]) * x[i];
  }
  return metric == Metric::kL2 ? l2 : -dot;
}

class CodecOf : public testing::TestWithParam<CodecKind> {};

TEST_P(CodecOf, DecodesWithinHalfAStep) {
  const CodecKind kind = GetParam();
  for (const std::size_t dim : kDims) {
    const std::vector<float> rows = uniform(20 * dim, dim, -3, 5);
    const Store s = store(kind, dim, Metric::kL2, rows);
    EXPECT_EQ(s.codec->stride() % 16, 0u);
    for (std::size_t r = 0; r < 20; ++r) {
      double low = 1e9, high = -1e9;
      for (std::size_t d = 0; d < dim && !mean_of(*s.codec).empty(); ++d) {
        const double y = rows[r * dim + d] - mean_of(*s.codec)[d];
        low = std::min(low, y);
        high = std::max(high, y);
      }
      for (std::size_t d = 0; d < dim; ++d) {
        const double x = rows[r * dim + d];
        double step = 0;  // float32 keeps every bit
        if (kind == CodecKind::kFloat16) step = std::ldexp(std::abs(x), -10) + 1e-7;
        if (kind == CodecKind::kBfloat16) step = std::ldexp(std::abs(x), -7);
        if (kind == CodecKind::kSq8) step = (high - low) / 255;
        if (kind == CodecKind::kSq4) step = (high - low) / 15;
        // Half a step, and the rounding of a few float operations on values up to 8.
        EXPECT_NEAR(s.decoded[r * dim + d], x, step / 2 + (kind == CodecKind::kFloat32 ? 0 : 4e-6))
            << name(kind) << " dim " << dim << " row " << r << " column " << d;
      }
    }
  }
}

TEST_P(CodecOf, ScoresExactQueriesAsTheDecodedRowsSay) {
  const CodecKind kind = GetParam();
  for (const std::size_t dim : kDims) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const std::vector<float> rows = uniform(9 * dim, dim, -3, 5);
      const std::vector<float> query = uniform(dim, 1000 + dim, -3, 5);
      const Store s = store(kind, dim, metric, rows);
      Query q;
      s.codec->prepare(query.data(), Precision::kExact, q);
      const std::uint32_t ids[] = {8, 0, 3, 3, 1};
      float scores[5], block[9];
      q.score_ids(s.rows.data(), ids, 5, scores);
      q.score_block(s.rows.data(), 9, block);
      for (std::size_t i = 0; i < 5; ++i) {
        const double want = reference(metric, query.data(), s.decoded.data() + ids[i] * dim, dim);
        // Sums of dim terms below 64 in size, each rounded.
        const double most = 64.0 * (dim + 8) * (dim + 8) * 6e-8 + 1e-5;
        EXPECT_NEAR(scores[i], want, most) << name(kind) << " dim " << dim;
        EXPECT_EQ(scores[i], block[ids[i]]);
      }
    }
  }
}

// A fast query is rounded to 1/254 of its range: |error| <= 2 sum |y_i| step / 2.
TEST_P(CodecOf, ScoresFastQueriesWithinTheirRounding) {
  const CodecKind kind = GetParam();
  for (const std::size_t dim : kDims) {
    const std::vector<float> rows = uniform(9 * dim, dim, -3, 5);
    const std::vector<float> query = uniform(dim, 1000 + dim, -3, 5);
    const Store s = store(kind, dim, Metric::kL2, rows);
    Query q;
    s.codec->prepare(query.data(), Precision::kFast, q);
    float block[9];
    q.score_block(s.rows.data(), 9, block);
    for (std::size_t r = 0; r < 9; ++r) {
      double size = 0;
      for (std::size_t d = 0; d < dim && !mean_of(*s.codec).empty(); ++d) {
        size += std::abs(s.decoded[r * dim + d] - mean_of(*s.codec)[d]);
      }
      const double step = mean_of(*s.codec).empty() ? 0 : 16.0 / 254;
      const double want = reference(Metric::kL2, query.data(), s.decoded.data() + r * dim, dim);
      EXPECT_NEAR(block[r], want, size * step + 64.0 * (dim + 8) * (dim + 8) * 6e-8 + 1e-5)
          << name(kind) << " dim " << dim;
    }
  }
}

TEST_P(CodecOf, ComparesStoredRows) {
  const CodecKind kind = GetParam();
  for (const std::size_t dim : kDims) {
    const std::vector<float> rows = uniform(9 * dim, dim, -3, 5);
    const Store s = store(kind, dim, Metric::kL2, rows);
    for (std::size_t from = 0; from < 9; ++from) {
      Query q;
      s.codec->prepare_row(s.rows.data() + from * s.codec->stride(), q);
      float block[9];
      q.score_block(s.rows.data(), 9, block);
      for (std::size_t r = 0; r < 9; ++r) {
        const double want = reference(Metric::kL2, s.decoded.data() + from * dim,
                                      s.decoded.data() + r * dim, dim);
        EXPECT_NEAR(block[r], want, 64.0 * (dim + 8) * (dim + 8) * 6e-8 + 1e-4)
            << name(kind) << " dim " << dim << " rows " << from << ", " << r;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryFloat, CodecOf,
                         testing::Values(CodecKind::kFloat32, CodecKind::kFloat16,
                                         CodecKind::kBfloat16, CodecKind::kSq8, CodecKind::kSq4),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST(CodecBytes, TakeWholeNumbersInRangeOnly) {
  const float good[] = {-128, 127, 0, 5};
  const Store s = store(CodecKind::kInt8, 4, Metric::kL2, {good, good + 4});
  EXPECT_TRUE(std::equal(good, good + 4, s.decoded.data()));
  std::byte out[16];
  for (const float bad : {-129.0f, 128.0f, 0.5f, std::numeric_limits<float>::quiet_NaN()}) {
    const float row[] = {1, 2, bad, 4};
    EXPECT_THROW(s.codec->encode(row, 4, 1, out), ArgumentError) << bad;
  }
  const Store u = store(CodecKind::kUint8, 4, Metric::kL2, {0, 255, 3, 4});
  const float query[] = {1, 2, -1, 4};
  Query q;
  EXPECT_THROW(u.codec->prepare(query, Precision::kExact, q), ArgumentError);
}

TEST(CodecScalar, HoldsAConstantRow) {
  // min = max: the step is zero and so is every code.
  const std::vector<float> rows(3 * 20, 2.5f);
  for (const CodecKind kind : {CodecKind::kSq8, CodecKind::kSq4}) {
    const Store s = store(kind, 20, Metric::kL2, rows);
    EXPECT_EQ(s.decoded, rows);
    Query q;
    s.codec->prepare(rows.data(), Precision::kFast, q);
    float score = -1;
    q.score_block(s.rows.data(), 1, &score);
    EXPECT_EQ(score, 0.0f);
  }
}

TEST(CodecQuery, ForgetsTheOneBefore) {
  const std::vector<float> rows = uniform(200, 1, -1, 1), query = uniform(200, 2, -1, 1);
  const Store wide = store(CodecKind::kSq4, 200, Metric::kL2, rows);
  const Store slim = store(CodecKind::kSq4, 40, Metric::kL2, rows);
  Query used, fresh;
  wide.codec->prepare(query.data(), Precision::kFast, used);
  slim.codec->prepare(query.data(), Precision::kFast, used);
  slim.codec->prepare(query.data(), Precision::kFast, fresh);
  float a[5], b[5];
  used.score_block(slim.rows.data(), 5, a);
  fresh.score_block(slim.rows.data(), 5, b);
  EXPECT_EQ(std::memcmp(a, b, sizeof a), 0);
}

}  // namespace
}  // namespace vicinal::quantizers
