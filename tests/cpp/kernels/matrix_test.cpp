#include "kernels/matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/guarded.h"
#include "support/isa_name.h"

namespace vicinal {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kDims[] = {0, 1, 2, 7, 16, 31, 100, 128, 384, 784, 1024};
constexpr std::size_t kCounts[] = {0, 1, 2, 3, 5, 6, 11, 12, 13, 23, 30, 49};

test::Guarded<float> packed(const kernels::TileKernel& tile, const test::Guarded<float>& queries,
                            std::size_t n, std::size_t dim) {
  test::Guarded<float> panel(dim * tile.queries);
  tile.pack(queries.data(), dim, n, dim, panel.data());
  return panel;
}

struct Exact {
  double value;
  double size;  // sum of the magnitudes that were added
};

Exact exact_dot(const float* a, const float* b, std::size_t dim) {
  Exact sum{0.0, 0.0};
  for (std::size_t i = 0; i < dim; ++i) {
    const double term = double{a[i]} * b[i];
    sum.value += term;
    sum.size += std::fabs(term);
  }
  return sum;
}

// One rounding per fused step (two at the level without), of at most the sum of magnitudes.
double tolerance(std::size_t dim, double size) {
  return 2.0 * (static_cast<double>(dim) + 2.0) * 0x1p-24 * size;
}

class Matrix : public testing::TestWithParam<const kernels::Table*> {};

TEST_P(Matrix, ProductsMatchPlainDoubleSums) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  for (const std::size_t dim : kDims) {
    for (const std::size_t n : kCounts) {
      const std::size_t n_queries = 1 + (n * 7 + dim) % tile.queries;
      const std::size_t stride = dim + n % 3;
      const auto queries = test::guarded_uniform(n_queries * dim, dim + 1);
      const auto rows = test::guarded_uniform(n == 0 ? 0 : (n - 1) * stride + dim, n + 1);
      const auto panel = packed(tile, queries, n_queries, dim);
      test::Guarded<float> out(n * tile.queries);
      for (float& x : out) x = 99.0f;
      GetParam()->matrix->products(panel.data(), rows.data(), stride, n, dim, out.data());
      for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t q = 0; q < tile.queries; ++q) {
          const float got = out[r * tile.queries + q];
          if (q >= n_queries) {
            EXPECT_EQ(got, 0.0f);
            continue;
          }
          const Exact want = exact_dot(&queries[q * dim], &rows[r * stride], dim);
          EXPECT_NEAR(got, want.value, tolerance(dim, want.size))
              << "dim " << dim << " n " << n << " query " << q << " row " << r;
        }
      }
    }
  }
}

TEST_P(Matrix, NoDimensionsGivePlusZero) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  std::vector<float> out(tile.queries, 99.0f);
  const float nothing = 0.0f;
  GetParam()->matrix->products(&nothing, &nothing, 0, 1, 0, out.data());
  for (const float x : out) {
    EXPECT_EQ(x, 0.0f);
    EXPECT_FALSE(std::signbit(x));
  }
}

TEST_P(Matrix, NearestIsTheLeastScore) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  for (const std::size_t dim : kDims) {
    for (const std::size_t n : kCounts) {
      const std::size_t n_queries = 1 + (n * 7 + dim) % tile.queries;
      const std::size_t stride = dim + n % 3;
      const auto queries = test::guarded_uniform(n_queries * dim, dim + 1);
      const auto rows = test::guarded_uniform(n == 0 ? 0 : (n - 1) * stride + dim, n + 1);
      const auto bias = test::guarded_uniform(n, 3);
      const auto panel = packed(tile, queries, n_queries, dim);
      test::Guarded<float> best(tile.queries);
      test::Guarded<std::uint32_t> which(tile.queries);
      for (float& x : best) x = kInfinity;
      for (std::uint32_t& x : which) x = 7;
      GetParam()->matrix->nearest(panel.data(), rows.data(), stride, n, dim, bias.data(), 1000,
                                  best.data(), which.data());
      for (std::size_t q = 0; q < n_queries; ++q) {
        if (n == 0) {
          EXPECT_EQ(which[q], 7u);
          EXPECT_EQ(best[q], kInfinity);
          continue;
        }
        double least = kInfinity, slack = 0.0;
        std::vector<double> want(n);
        for (std::size_t r = 0; r < n; ++r) {
          const Exact product = exact_dot(&queries[q * dim], &rows[r * stride], dim);
          want[r] = bias[r] - product.value;
          least = std::min(least, want[r]);
          slack = std::max(slack, tolerance(dim, std::fabs(bias[r]) + product.size));
        }
        ASSERT_GE(which[q], 1000u);
        ASSERT_LT(which[q], 1000u + n);
        EXPECT_NEAR(best[q], want[which[q] - 1000], slack);
        // Either score may be off by its rounding.
        EXPECT_LE(want[which[q] - 1000], least + 2.0 * slack)
            << "dim " << dim << " n " << n << " query " << q;
      }
    }
  }
}

TEST_P(Matrix, NearestKeepsTheBetterOfCallsAndTheSmallerOfEquals) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  constexpr std::size_t kDim = 5, kRows = 40;
  const auto queries = test::guarded_uniform(tile.queries * kDim, 1);
  const auto panel = packed(tile, queries, tile.queries, kDim);
  // Every row is there several times: rows r and r + 8 are equal.
  const auto some = test::guarded_uniform(8 * kDim, 2);
  test::Guarded<float> rows(kRows * kDim), bias(kRows);
  for (std::size_t r = 0; r < kRows; ++r) {
    bias[r] = 0.25f;
    for (std::size_t i = 0; i < kDim; ++i) rows[r * kDim + i] = some[r % 8 * kDim + i];
  }
  const auto run = [&](std::size_t cut) {
    std::vector<float> best(tile.queries, kInfinity);
    std::vector<std::uint32_t> which(tile.queries, 99);
    const auto nearest = GetParam()->matrix->nearest;
    nearest(panel.data(), rows.data(), kDim, cut, kDim, bias.data(), 0, best.data(),
            which.data());
    nearest(panel.data(), rows.data() + cut * kDim, kDim, kRows - cut, kDim, bias.data() + cut,
            static_cast<std::uint32_t>(cut), best.data(), which.data());
    return which;
  };
  const std::vector<std::uint32_t> whole = run(0);
  for (const std::uint32_t row : whole) EXPECT_LT(row, 8u);
  for (std::size_t cut = 1; cut <= kRows; ++cut) EXPECT_EQ(run(cut), whole) << cut;
}

TEST_P(Matrix, NearestIgnoresWhatIsNoNumberOrHidden) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  constexpr std::size_t kRows = 14;
  const auto panel = test::guarded_uniform(tile.queries, 1);
  test::Guarded<float> rows(kRows), bias(kRows);
  for (std::size_t r = 0; r < kRows; ++r) bias[r] = kInfinity;
  bias[3] = std::numeric_limits<float>::quiet_NaN();
  bias[9] = 1.0f;
  std::vector<float> best(tile.queries, kInfinity);
  std::vector<std::uint32_t> which(tile.queries, 99);
  GetParam()->matrix->nearest(panel.data(), rows.data(), 1, kRows, 1, bias.data(), 0, best.data(),
                              which.data());
  for (std::size_t q = 0; q < tile.queries; ++q) {
    EXPECT_EQ(which[q], 9u);
    EXPECT_EQ(best[q], 1.0f);
  }
}

TEST_P(Matrix, ScoresAreThoseOfTheTile) {
  const kernels::TileKernel& tile = *GetParam()->tile;
  constexpr std::size_t kDim = 100, kRows = 29;
  const auto queries = test::guarded_uniform(tile.queries * kDim, 1);
  const auto rows = test::guarded_uniform(kRows * kDim, 2);
  const auto bias = test::guarded_uniform(kRows, 3);
  const auto panel = packed(tile, queries, tile.queries, kDim);
  std::vector<float> best(tile.queries, kInfinity);
  std::vector<std::uint32_t> which(tile.queries, 99);
  GetParam()->matrix->nearest(panel.data(), rows.data(), kDim, kRows, kDim, bias.data(), 0,
                              best.data(), which.data());
  kernels::TileTop top{};
  std::vector<float> scores(tile.queries * kRows);
  std::vector<std::uint32_t> ids(tile.queries * kRows);
  for (std::size_t q = 0; q < tile.queries; ++q) {
    top.threshold[q] = kInfinity;
    top.scores[q] = scores.data() + q * kRows;
    top.ids[q] = ids.data() + q * kRows;
  }
  tile.score(panel.data(), rows.data(), kDim, kRows, kDim, bias.data(), 0, &top);
  for (std::size_t q = 0; q < tile.queries; ++q) {
    std::size_t least = 0;
    for (std::size_t r = 1; r < kRows; ++r) {
      if (top.scores[q][r] < top.scores[q][least]) least = r;
    }
    EXPECT_EQ(which[q], least);
    EXPECT_EQ(best[q], top.scores[q][least]);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Matrix, testing::ValuesIn(kernels::available()),
                         test::isa_name);

}  // namespace
}  // namespace vicinal
