#include "quantizers/sq4x8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/buffer.h"
#include "support/vectors.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

constexpr std::size_t kDims[] = {1, 2, 15, 17, 63, 64, 97, 100, 127, 128, 129, 250, 384, 785};

struct Store {
  std::shared_ptr<const Codec> codec;
  Buffer rows;
  std::size_t n = 0;

  const std::byte* row(std::size_t r) const { return rows.data() + r * codec->stride(); }
  std::vector<float> scores(const float* query, Precision precision) const {
    Query q;
    codec->prepare(query, precision, q);
    std::vector<float> out(n);
    q.score_block(rows.data(), n, out.data());
    return out;
  }
};

Store store(std::shared_ptr<const Codec> codec, const std::vector<float>& rows) {
  Store s;
  s.codec = std::move(codec);
  s.n = rows.size() / s.codec->dim();
  s.rows = Buffer::allocate(s.n * s.codec->stride());
  s.codec->encode(rows.data(), s.codec->dim(), s.n, s.rows.mutable_data());
  return s;
}

Store two_levels(std::size_t dim, Metric metric, const std::vector<float>& rows) {
  return store(train_sq4x8(CodecKind::kSq4x8, dim, metric, {rows.data(), rows.size() / dim, dim}),
               rows);
}

TEST(Sq4x8, DecodesWithinHalfAStepOfTheSecondLevel) {
  for (const std::size_t dim : kDims) {
    const auto rows = test::normal_vectors(20, dim, dim);
    const Store s = two_levels(dim, Metric::kL2, rows);
    std::vector<float> back(20 * dim);
    s.codec->decode(s.rows.data(), 20, back.data(), dim);
    for (std::size_t i = 0; i < 20; ++i) {
      kernels::ScalarRow head;
      std::memcpy(&head, s.row(i), sizeof head);
      for (std::size_t d = 0; d < dim; ++d) {
        // And the rounding of some float operations on numbers up to 8.
        EXPECT_NEAR(back[i * dim + d], rows[i * dim + d], head.delta / 510 + 4e-6) << "dim " << dim;
      }
    }
  }
}

TEST(Sq4x8, ScoresExactQueriesAsTheDecodedRowsSay) {
  for (const std::size_t dim : kDims) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const auto rows = test::normal_vectors(9, dim, dim);
      const auto query = test::normal_vectors(1, dim, 1000 + dim);
      const Store s = two_levels(dim, metric, rows);
      std::vector<float> back(9 * dim);
      s.codec->decode(s.rows.data(), 9, back.data(), dim);
      const auto got = s.scores(query.data(), Precision::kExact);
      for (std::size_t i = 0; i < 9; ++i) {
        const float* y = back.data() + i * dim;
        const double want = metric == Metric::kL2 ? test::squared_distance_of(query.data(), y, dim)
                                                  : -test::dot_of(query.data(), y, dim);
        // 21 bits of the query and single precision sums of terms below 25.
        EXPECT_NEAR(got[i], want, 25 * static_cast<double>(dim + 8) * 1e-6) << "dim " << dim;
      }
      Query q;
      s.codec->prepare(query.data(), Precision::kExact, q);
      const std::uint32_t ids[] = {8, 0, 3, 3, 1};
      float scores[5];
      q.score_ids(s.rows.data(), ids, 5, scores);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(scores[i], got[ids[i]]) << "dim " << dim;
    }
  }
}

// The first level is a row of kSq4, bit by bit, and fast queries see nothing else.
TEST(Sq4x8, WalksItsFirstLevelAsSq4) {
  for (const std::size_t dim : kDims) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const auto rows = test::normal_vectors(9, dim, dim);
      const auto query = test::normal_vectors(1, dim, 1000 + dim);
      const Store both = two_levels(dim, metric, rows);
      const Store one =
          store(train_plain(CodecKind::kSq4, dim, metric, {rows.data(), 9, dim}, {}), rows);
      for (std::size_t i = 0; i < 9; ++i) {
        EXPECT_EQ(std::memcmp(both.row(i), one.row(i), one.codec->bytes()), 0) << "dim " << dim;
      }
      EXPECT_EQ(both.scores(query.data(), Precision::kFast),
                one.scores(query.data(), Precision::kFast))
          << "dim " << dim;
      Query of_both, of_one;
      both.codec->prepare_row(both.row(4), of_both);
      one.codec->prepare_row(one.row(4), of_one);
      float a[9], b[9];
      of_both.score_block(both.rows.data(), 9, a);
      of_one.score_block(one.rows.data(), 9, b);
      EXPECT_EQ(std::memcmp(a, b, sizeof a), 0) << "dim " << dim;
    }
  }
}

// Numbers of the query get fewer bits where the sums of so many dimensions could leave 32.
TEST(Sq4x8, HoldsTheWidestRows) {
  const std::size_t dim = 32768;
  std::vector<float> rows(2 * dim, -1.0f), query(dim, 1.0f);
  std::fill(rows.begin() + dim, rows.end(), 1.0f);
  rows[0] = 1.0f;
  rows[dim] = -1.0f;
  const std::vector<float> mean(dim);
  const Store s =
      store(restore_sq4x8(CodecKind::kSq4x8, dim, Metric::kInnerProduct, {{"mean", mean}}), rows);
  const auto got = s.scores(query.data(), Precision::kExact);
  std::vector<float> back(2 * dim);
  s.codec->decode(s.rows.data(), 2, back.data(), dim);
  EXPECT_NEAR(got[0], -test::dot_of(query.data(), back.data(), dim), 0.1);
  EXPECT_NEAR(got[1], -test::dot_of(query.data(), back.data() + dim, dim), 0.1);
}

TEST(Sq4x8, HoldsConstantRows) {
  const std::vector<float> rows(3 * 20, 2.5f);
  const Store s = two_levels(20, Metric::kL2, rows);
  std::vector<float> back(60);
  s.codec->decode(s.rows.data(), 3, back.data(), 20);
  EXPECT_EQ(back, rows);
  for (const Precision precision : {Precision::kExact, Precision::kFast}) {
    EXPECT_EQ(s.scores(rows.data(), precision), std::vector<float>(3, 0.0f));
  }
}

TEST(Sq4x8, RefusesDamagedArrays) {
  const std::vector<float> good(8), bad(8, std::numeric_limits<float>::infinity());
  const CodecSpec spec = CodecKind::kSq4x8;
  EXPECT_NO_THROW(restore_sq4x8(spec, 8, Metric::kL2, {{"mean", good}}));
  EXPECT_THROW(restore_sq4x8(spec, 8, Metric::kL2, {}), ArgumentError);
  EXPECT_THROW(restore_sq4x8(spec, 7, Metric::kL2, {{"mean", good}}), ArgumentError);
  EXPECT_THROW(restore_sq4x8(spec, 8, Metric::kL2, {{"mean", bad}}), ArgumentError);
}

}  // namespace
}  // namespace vicinal::quantizers
