#include "base/topk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace vicinal {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<Hit> exhaustive(const std::vector<float>& scores, std::size_t k) {
  std::vector<Hit> hits;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] < kInf) hits.push_back({scores[i], static_cast<std::uint32_t>(i)});
  }
  std::sort(hits.begin(), hits.end(), nearer);
  hits.resize(std::min(k, hits.size()));
  return hits;
}

void expect_same(const std::vector<Hit>& got, const std::vector<Hit>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].distance, want[i].distance) << i;
    EXPECT_EQ(got[i].row, want[i].row) << i;
  }
}

enum class Kind { kRandom, kFalling, kRising, kFewValues, kAllEqual, kWithNan, kNegative };

std::vector<float> scores_of(Kind kind, std::size_t n) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto u = static_cast<float>(random_unit(7, static_cast<std::uint64_t>(kind), i));
    switch (kind) {
      case Kind::kRandom: out[i] = u; break;
      case Kind::kFalling: out[i] = static_cast<float>(n - i); break;
      case Kind::kRising: out[i] = static_cast<float>(i); break;
      case Kind::kFewValues: out[i] = std::floor(u * 5); break;
      case Kind::kAllEqual: out[i] = 2.5f; break;
      case Kind::kWithNan:
        out[i] = u < 0.3f ? kNan : u < 0.5f ? kInf : u < 0.6f ? -0.0f : u < 0.7f ? 0.0f : u;
        break;
      case Kind::kNegative: out[i] = u < 0.01f ? -kInf : -u * 1e30f; break;
    }
  }
  return out;
}

TEST(BlockTopK, KeepsWhatAnExhaustiveSortKeeps) {
  BlockTopK top(1);  // one object throughout: reset() must leave nothing behind
  for (Kind kind : {Kind::kRandom, Kind::kFalling, Kind::kRising, Kind::kFewValues, Kind::kAllEqual,
                    Kind::kWithNan, Kind::kNegative}) {
    for (std::size_t n : {0u, 1u, 5u, 100u, 3000u, 20'000u}) {
      const auto scores = scores_of(kind, n);
      for (std::size_t k : {0u, 1u, 10u, 16u, 100u, 2500u}) {
        for (std::size_t block : {1u, 64u, 777u, 5000u}) {
          if (block == 1 && n > 3000) continue;
          SCOPED_TRACE(testing::Message()
                       << static_cast<int>(kind) << " n " << n << " k " << k << " b " << block);
          const auto want = exhaustive(scores, k);
          top.reset(k);
          for (std::size_t at = 0; at < n; at += block) {
            top.push_block(scores.data() + at, std::min(block, n - at),
                           static_cast<std::uint32_t>(at));
          }
          expect_same(top.finish(), want);

          top.reset(k);
          for (std::size_t at = 0; at < n; at += block) {
            top.push_block(scores.data() + at, std::min(block, n - at),
                           static_cast<std::uint32_t>(at));
          }
          std::vector<Hit> unordered = top.finish_unordered();
          std::sort(unordered.begin(), unordered.end(), nearer);
          expect_same(unordered, want);

          // Blocks from last to first: ties must still go to the smaller row.
          top.reset(k);
          for (std::size_t end = n; end != 0;) {
            const std::size_t size = std::min(block, end);
            end -= size;
            top.push_block(scores.data() + end, size, static_cast<std::uint32_t>(end));
          }
          expect_same(top.finish(), want);
        }
      }
    }
  }
}

TEST(BlockTopK, TakesIdsInAnyOrder) {
  for (Kind kind : {Kind::kRandom, Kind::kFewValues, Kind::kAllEqual, Kind::kWithNan}) {
    const std::size_t n = 5000;
    const auto scores = scores_of(kind, n);
    std::vector<std::uint32_t> rows(n);
    std::iota(rows.begin(), rows.end(), 0u);
    std::sort(rows.begin(), rows.end(),
              [](auto a, auto b) { return random_u64(3, 0, a) < random_u64(3, 0, b); });
    std::vector<float> shuffled(n);
    for (std::size_t i = 0; i < n; ++i) shuffled[i] = scores[rows[i]];
    BlockTopK top(20);
    for (std::size_t at = 0; at < n; at += 300) {
      const std::size_t size = std::min<std::size_t>(300, n - at);
      top.push_ids(shuffled.data() + at, size, rows.data() + at);
    }
    expect_same(top.finish(), exhaustive(scores, 20));
  }
}

TEST(BlockTopK, ThresholdTightens) {
  BlockTopK top(10);
  EXPECT_EQ(top.threshold(), kInf);
  const auto scores = scores_of(Kind::kRandom, 10'000);
  top.push_block(scores.data(), scores.size(), 0);
  EXPECT_LT(top.threshold(), 0.1f);
  EXPECT_GE(top.threshold(), exhaustive(scores, 10).back().distance);
}

}  // namespace
}  // namespace vicinal
