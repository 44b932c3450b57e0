#include "clustering/sinkhorn.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "clustering/data.h"

namespace vicinal::clustering {
namespace {

struct Solved {
  Scaling did;
  std::vector<double> plan;
  std::vector<double> potential;
  std::vector<std::uint32_t> labels;
};

Solved solve(const std::vector<float>& cost, std::size_t rows, std::size_t cols, double epsilon,
             std::uint32_t rounds, double tolerance, unsigned threads = 1) {
  Solved s;
  s.plan.resize(rows * cols);
  s.labels.resize(rows);
  RunOptions run;
  run.threads = threads;
  s.did = sinkhorn(cost.data(), rows, cols, epsilon, rounds, tolerance, s.potential,
                   s.labels.data(), s.plan.data(), run);
  return s;
}

std::vector<float> random_cost(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> cost(rows * cols);
  for (float& x : cost) x = test::uniform(random);
  return cost;
}

/// Every row has mass 1 and every column rows / cols, up to tolerance; and the plan is a scaling
/// of exp(-cost / epsilon): ratios of its 2 x 2 minors are those of the kernel.
void expect_plan(const std::vector<float>& cost, std::size_t rows, std::size_t cols,
                 double epsilon, double tolerance, const Solved& got) {
  std::vector<double> columns(cols, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    double sum = 0.0;
    std::size_t largest = 0;
    for (std::size_t j = 0; j < cols; ++j) {
      const double x = got.plan[i * cols + j];
      sum += x;
      columns[j] += x;
      if (x > got.plan[i * cols + largest]) largest = j;
    }
    // A sum of cols doubles; exponents of magnitude up to 2 / epsilon are rounded some four times.
    EXPECT_NEAR(sum, 1.0, static_cast<double>(cols) * 0x1p-50 + 8.0 / epsilon * 0x1p-53);
    EXPECT_EQ(got.labels[i], largest) << "row " << i;
  }
  const double wanted = static_cast<double>(rows) / static_cast<double>(cols);
  for (std::size_t j = 0; j < cols; ++j) {
    EXPECT_NEAR(columns[j] / wanted, 1.0, tolerance + 1e-9) << "column " << j;
  }
  const auto exponent = [&](std::size_t i, std::size_t j) {
    return std::log(got.plan[i * cols + j]) + cost[i * cols + j] / epsilon;
  };
  for (std::size_t i = 1; i < rows; ++i) {
    const double x = got.plan[i * cols + 1];
    if (!(x > 1e-250 && got.plan[i * cols] > 1e-250 && got.plan[0] > 1e-250 &&
          got.plan[1] > 1e-250)) {
      continue;
    }
    const double cross = exponent(i, 1) - exponent(i, 0) - exponent(0, 1) + exponent(0, 0);
    // Logarithms of magnitude up to 4 / epsilon, each rounded a few times.
    EXPECT_NEAR(cross, 0.0, 64.0 / epsilon * 0x1p-52 + 1e-12);
  }
}

TEST(Sinkhorn, ReachesBothMargins) {
  for (const double epsilon : {2.0, 0.3, 0.05}) {
    const std::vector<float> cost = random_cost(300, 17, 1);
    const Solved got = solve(cost, 300, 17, epsilon, 5000, 1e-6);
    EXPECT_FALSE(got.did.logarithmic);
    EXPECT_LE(got.did.error, 1e-6);
    expect_plan(cost, 300, 17, epsilon, 1e-6, got);
  }
}

TEST(Sinkhorn, ByLogarithmsWhereExponentialsWouldUnderflow) {
  // exp(-2 / 0.001) is 1e-869.
  const std::vector<float> cost = random_cost(120, 6, 2);
  const Solved got = solve(cost, 120, 6, 0.001, 20000, 0.01);
  EXPECT_TRUE(got.did.logarithmic);
  EXPECT_LE(got.did.error, 0.01);
  expect_plan(cost, 120, 6, 0.001, 0.01, got);
  // So decided are the shares that the labels fill the columns: 20 rows each, but for those shared.
  std::vector<int> sizes(6, 0);
  for (const std::uint32_t label : got.labels) ++sizes[label];
  for (const int size : sizes) EXPECT_NEAR(size, 20, 6);
}

TEST(Sinkhorn, BothWaysAgree) {
  // One row with a wide range sends the whole to logarithms; it hardly moves the others.
  std::vector<float> cost = random_cost(200, 9, 3);
  const Solved plain = solve(cost, 200, 9, 0.1, 2000, 1e-9);
  ASSERT_FALSE(plain.did.logarithmic);
  // The same costs, a thousand further apart for all rows alike in one column: its potential takes
  // all of that up.
  for (std::size_t i = 0; i < 200; ++i) cost[i * 9 + 4] += 100.0f;
  const Solved wide = solve(cost, 200, 9, 0.1, 2000, 1e-9);
  ASSERT_TRUE(wide.did.logarithmic);
  for (std::size_t i = 0; i < plain.plan.size(); ++i) {
    // 100 + x is rounded to multiples of 2^-17: that much over epsilon in the exponent.
    EXPECT_NEAR(wide.plan[i], plain.plan[i], 0x1p-17 / 0.1 + 1e-6);
  }
}

TEST(Sinkhorn, StartsFromGivenPotentials) {
  const std::vector<float> cost = random_cost(300, 17, 1);
  Solved first = solve(cost, 300, 17, 0.1, 5000, 1e-6);
  ASSERT_GT(first.did.rounds, 3u);
  std::vector<std::uint32_t> labels(300);
  const Scaling again = sinkhorn(cost.data(), 300, 17, 0.1, 5000, 2e-6, first.potential,
                                 labels.data(), nullptr, {});
  EXPECT_EQ(again.rounds, 0u);
  EXPECT_EQ(labels, first.labels);
}

TEST(Sinkhorn, IsTheSameForAnyNumberOfThreads) {
  const std::vector<float> cost = random_cost(777, 13, 5);
  for (const double epsilon : {0.1, 0.001}) {
    const Solved want = solve(cost, 777, 13, epsilon, 20, 0.0, 1);
    const Solved got = solve(cost, 777, 13, epsilon, 20, 0.0, 5);
    EXPECT_EQ(got.plan, want.plan);
    EXPECT_EQ(got.potential, want.potential);
    EXPECT_EQ(got.did.rounds, 20u);
  }
}

TEST(Sinkhorn, EqualCostsShareEqually) {
  const std::vector<float> cost(30 * 5, 0.25f);
  const Solved got = solve(cost, 30, 5, 0.01, 10, 1e-12);
  for (const double x : got.plan) EXPECT_NEAR(x, 0.2, 1e-15);
  for (const std::uint32_t label : got.labels) EXPECT_EQ(label, 0u);
}

}  // namespace
}  // namespace vicinal::clustering
