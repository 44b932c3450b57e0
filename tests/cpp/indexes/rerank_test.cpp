#include "indexes/rerank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "base/buffer.h"
#include "base/random.h"

namespace vicinal::indexes {
namespace {

using quantizers::Codec;
using quantizers::Precision;
using quantizers::Query;

constexpr std::size_t kRows = 300, kK = 10;

/// Row r lies at 1 + r / 100 from zero, the query; so its score is the square of that.
class Rerank : public testing::Test {
 protected:
  Rerank() : codec_(Codec::train(CodecKind::kFloat32, 4, Metric::kL2, {})) {
    store_ = Buffer::allocate(kRows * codec_->stride());
    for (std::size_t r = 0; r < kRows; ++r) place(r, 1.0f + static_cast<float>(r) / 100.0f);
    const std::vector<float> zero(4);
    codec_->prepare(zero.data(), Precision::kExact, query_);
  }

  void place(std::size_t r, float at) {
    const std::vector<float> row = {0, at, 0, 0};
    codec_->encode(row.data(), 4, 1, store_.mutable_data() + r * codec_->stride());
    exact_.resize(kRows);
    exact_[r] = at * at;
  }

  /// Scores of codes that are off by up to `error`, and by `shift` all alike.
  void guess(float error, float shift = 0) {
    scores_.resize(kRows);
    for (std::size_t r = 0; r < kRows; ++r) {
      const auto part = static_cast<float>(random_unit(7, 0, r) - 0.5);
      scores_[r] = exact_[r] + shift + 2 * error * part;
    }
    rows_.resize(kRows);
    std::iota(rows_.begin(), rows_.end(), 0u);
    std::sort(rows_.begin(), rows_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return scores_[a] < scores_[b]; });
    std::sort(scores_.begin(), scores_.end());
  }

  std::size_t compare(std::size_t k = kK, bool all = false) {
    return reranker_.compare(query_, store_.data(), rows_, k, all, scores_);
  }

  /// The k nearest rows among the first n compared.
  std::vector<std::uint32_t> best(std::size_t n, std::size_t k = kK) {
    std::vector<std::uint32_t> order(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(n));
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return exact_[a] < exact_[b]; });
    order.resize(std::min(order.size(), k));
    return order;
  }

  std::shared_ptr<const Codec> codec_;
  Buffer store_;
  Query query_;
  std::vector<float> exact_;
  std::vector<float> scores_;
  std::vector<std::uint32_t> rows_;
  Reranker reranker_;
};

TEST_F(Rerank, SureScoresNeedFewComparisons) {
  guess(0.0f);
  const std::size_t n = compare();
  EXPECT_EQ(n, kK + 8);
  for (std::size_t i = 0; i < n; ++i) EXPECT_FLOAT_EQ(scores_[i], exact_[rows_[i]]);
}

TEST_F(Rerank, UnsureScoresNeedMore) {
  std::size_t before = 0;
  for (const float error : {0.0f, 0.2f, 0.6f}) {
    guess(error);
    const std::size_t n = compare();
    EXPECT_GT(n, before) << error;
    EXPECT_LT(n, kRows);
    std::vector<std::uint32_t> want(kK);
    std::iota(want.begin(), want.end(), 0u);
    EXPECT_EQ(best(n), want) << error;
    before = n;
  }
}

TEST_F(Rerank, WhatAllScoresAreOffByDoesNotCount) {
  guess(0.05f);
  const std::size_t plain = compare();
  guess(0.05f, -0.9f);  // as where a transform drops the same of all rows
  EXPECT_EQ(compare(), plain);
}

TEST_F(Rerank, FewCandidatesAreAllCompared) {
  guess(0.1f);
  rows_.resize(kK + 3);
  scores_.resize(kK + 3);
  EXPECT_EQ(compare(), kK + 3);
  rows_.resize(4);
  scores_.resize(4);
  EXPECT_EQ(compare(), 4u);
  EXPECT_FLOAT_EQ(scores_[2], exact_[rows_[2]]);
}

TEST_F(Rerank, AllAreComparedWhereThatIsAsked) {
  guess(0.0f);
  EXPECT_EQ(compare(kK, true), kRows);
  EXPECT_FLOAT_EQ(scores_[kRows - 1], exact_[rows_[kRows - 1]]);
}

TEST_F(Rerank, ManyNeighboursGoInLargerSteps) {
  guess(0.0f);
  EXPECT_EQ(compare(100), 125u);
}

TEST_F(Rerank, WhatIsNotANumberEndsNothing) {
  // As a damaged file may hold them.
  guess(0.0f);
  place(3, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(compare(), kRows);
}

}  // namespace
}  // namespace vicinal::indexes
