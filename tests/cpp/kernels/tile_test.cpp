#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/table.h"
#include "support/guarded.h"
#include "support/isa_name.h"

namespace vicinal {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One call of a tile kernel with buffers that fault if a candidate too many is written.
struct TileRun {
  std::vector<test::Guarded<float>> scores;
  std::vector<test::Guarded<std::uint32_t>> ids;
  kernels::TileTop top{};

  TileRun(const kernels::TileKernel& tile, const test::Guarded<float>& queries,
          std::size_t n_queries, const test::Guarded<float>& rows, std::size_t stride,
          std::size_t n, std::size_t dim, const test::Guarded<float>& bias, std::uint32_t first_id,
          const std::vector<float>& thresholds) {
    test::Guarded<float> panel(dim * tile.queries);
    for (float& x : panel) x = 99.0f;  // pack() must zero the absent ones
    tile.pack(queries.data(), dim, n_queries, dim, panel.data());
    for (std::size_t q = 0; q < tile.queries; ++q) {
      scores.emplace_back(q < n_queries ? n : 0);
      ids.emplace_back(q < n_queries ? n : 0);
      top.threshold[q] = q < n_queries ? thresholds[q] : -kInfinity;
      top.scores[q] = scores.back().data();
      top.ids[q] = ids.back().data();
    }
    tile.score(panel.data(), rows.data(), stride, n, dim, bias.data(), first_id, &top);
  }
};

class Tile : public testing::TestWithParam<const kernels::Table*> {};

TEST_P(Tile, KeepsExactlyWhatIsBelowTheThreshold) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  for (const std::size_t dim : {1, 2, 7, 16, 31, 100, 128, 784, 1024}) {
    for (std::size_t n : {0, 1, 2, 3, 5, 11, 12, 13, 23, 30, 49}) {
      const std::size_t n_queries = 1 + (n * 7 + dim) % tile.queries;  // mostly incomplete panels
      const std::size_t stride = dim + n % 3;
      const auto queries = test::guarded_uniform(n_queries * dim, dim);
      const auto rows = test::guarded_uniform(n == 0 ? 0 : (n - 1) * stride + dim, n + 1);
      auto bias = test::guarded_uniform(n, 3);
      if (n > 4) bias[4] = kInfinity;
      std::vector<float> thresholds(n_queries);
      for (std::size_t q = 0; q < n_queries; ++q) {
        thresholds[q] = q % 3 == 0 ? kInfinity : q % 3 == 1 ? 0.0f : -0.5f;
      }
      TileRun run(tile, queries, n_queries, rows, stride, n, dim, bias, 1000, thresholds);
      for (std::size_t q = 0; q < n_queries; ++q) {
        std::size_t at = 0;
        for (std::size_t r = 0; r < n; ++r) {
          double want = bias[r], size = std::fabs(bias[r]);
          for (std::size_t i = 0; i < dim; ++i) {
            const double term = double{queries[q * dim + i]} * rows[r * stride + i];
            want -= term;
            size += std::fabs(term);
          }
          const bool kept = at < run.top.count[q] && run.ids[q][at] == 1000 + r;
          // One rounding per fused step, of at most the sum of magnitudes.
          const double tolerance = (static_cast<double>(dim) + 2) * 0x1p-23 * size;
          if (std::isinf(bias[r])) {
            EXPECT_FALSE(kept) << "hidden row " << r;
          } else if (want < thresholds[q] - tolerance) {
            EXPECT_TRUE(kept) << "dim " << dim << " n " << n << " query " << q << " row " << r;
          } else if (want > thresholds[q] + tolerance) {
            EXPECT_FALSE(kept) << "dim " << dim << " n " << n << " query " << q << " row " << r;
          }
          if (!kept) continue;
          EXPECT_NEAR(run.scores[q][at], want, tolerance);
          EXPECT_LT(run.scores[q][at], thresholds[q]);
          ++at;
        }
        EXPECT_EQ(at, run.top.count[q]) << "ids out of order or repeated";
      }
      for (std::size_t q = n_queries; q < tile.queries; ++q) EXPECT_EQ(run.top.count[q], 0u);
    }
  }
}

TEST_P(Tile, AScoreDoesNotDependOnTheRowsScoredBesideIt) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  constexpr std::size_t kDim = 100, kRows = 29;
  const auto queries = test::guarded_uniform(tile.queries * kDim, 1);
  const auto rows = test::guarded_uniform(kRows * kDim, 2);
  const auto bias = test::guarded_uniform(kRows, 3);
  const std::vector<float> all(tile.queries, kInfinity);
  const TileRun whole(tile, queries, tile.queries, rows, kDim, kRows, kDim, bias, 0, all);
  for (std::size_t r = 0; r < kRows; ++r) {
    test::Guarded<float> one(kDim), one_bias(1);
    for (std::size_t i = 0; i < kDim; ++i) one[i] = rows[r * kDim + i];
    one_bias[0] = bias[r];
    const TileRun alone(tile, queries, tile.queries, one, kDim, 1, kDim, one_bias, 0, all);
    for (std::size_t q = 0; q < tile.queries; ++q) {
      EXPECT_EQ(whole.scores[q][r], alone.scores[q][0]) << "row " << r << " query " << q;
    }
  }
}

TEST_P(Tile, AppendsToWhatIsThere) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  const auto panel = test::guarded_uniform(tile.queries, 1);
  const auto rows = test::guarded_uniform(1, 2);
  const auto bias = test::guarded_uniform(1, 3);
  kernels::TileTop top{};
  std::vector<float> scores(tile.queries * 3);
  std::vector<std::uint32_t> ids(tile.queries * 3);
  for (std::size_t q = 0; q < tile.queries; ++q) {
    top.threshold[q] = kInfinity;
    top.count[q] = 2;
    top.scores[q] = scores.data() + 3 * q;
    top.ids[q] = ids.data() + 3 * q;
  }
  tile.score(panel.data(), rows.data(), 1, 1, 1, bias.data(), 77, &top);
  for (std::size_t q = 0; q < tile.queries; ++q) {
    EXPECT_EQ(top.count[q], 3u);
    EXPECT_EQ(ids[3 * q + 1], 0u);
    EXPECT_EQ(ids[3 * q + 2], 77u);
  }
}

TEST_P(Tile, FitsTheContract) {
  EXPECT_LE(GetParam()->tile->queries, kernels::kMaxTileQueries);
  EXPECT_GE(GetParam()->tile->rows, 1u);
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Tile, testing::ValuesIn(kernels::available()), test::isa_name);

}  // namespace
}  // namespace vicinal
