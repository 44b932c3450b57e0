#include "clustering/balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "clustering/data.h"
#include "vicinal/cluster.h"

namespace vicinal {
namespace {

using test::grouped_points;
using test::Points;
using test::uniform_points;

/// Groups of very different sizes: most rows around few places.
Points uneven_points(std::size_t rows, std::size_t dim) {
  Points points = grouped_points(rows, dim, 40, 0.3f, 7);
  const Points dense = grouped_points(rows / 2, dim, 3, 0.3f, 8);
  std::copy(dense.values.begin(), dense.values.end(), points.values.begin());
  return points;
}

KMeansResult balanced(const Points& points, std::size_t clusters, Balance balance,
                      double slack = 1.05) {
  KMeansParams params;
  params.clusters = clusters;
  params.balance = balance;
  params.slack = slack;
  return kmeans(points.view(), params);
}

TEST(Balance, CapacityLetsNoClusterHoldMore) {
  const Points points = uneven_points(1000, 6);
  for (const double slack : {1.0, 1.05, 100.0}) {
    for (const std::size_t clusters : {1, 7, 64, 999, 1000}) {
      const std::uint64_t most = clustering::capacity(1000, clusters, slack);
      EXPECT_EQ(most, std::min<std::uint64_t>(
                          1000, static_cast<std::uint64_t>(std::ceil(
                                    1000.0 / static_cast<double>(clusters) * slack - 1e-9))));
      const KMeansResult got = balanced(points, clusters, Balance::kCapacity, slack);
      EXPECT_LE(*std::max_element(got.sizes.begin(), got.sizes.end()), most);
      EXPECT_EQ(std::accumulate(got.sizes.begin(), got.sizes.end(), std::uint64_t{0}), 1000u);
    }
  }
}

TEST(Balance, RoomForAllChangesNothingMuch) {
  // With room for all rows everywhere, each takes its nearest: Lloyd's algorithm goes on.
  const Points points = uneven_points(2000, 10);
  const double free = balanced(points, 30, Balance::kNone).objective;
  const double wide = balanced(points, 30, Balance::kCapacity, 1e6).objective;
  EXPECT_LE(wide, free * (1.0 + 1e-6));
  EXPECT_GE(wide, 0.8 * free);
}

TEST(Balance, CostsLittleMoreThanTheBestAssignment) {
  // Six rows on a line, two clusters of three, start at 0 and 1: the best split is in the middle.
  Points line{{0.0f, 0.1f, 0.2f, 0.3f, 0.4f, 5.0f}, 1};
  const KMeansResult got = balanced(line, 2, Balance::kCapacity, 1.0);
  EXPECT_EQ(got.sizes, (std::vector<std::uint64_t>{3, 3}));
  EXPECT_EQ(got.labels[0], got.labels[1]);
  EXPECT_EQ(got.labels[1], got.labels[2]);
  EXPECT_EQ(got.labels[3], got.labels[5]);
}

TEST(Balance, EveryFormEvensTheSizesOut) {
  const Points points = uneven_points(4000, 12);
  const KMeansResult free = balanced(points, 40, Balance::kNone);
  EXPECT_GT(free.max_over_mean, 2.0);  // measured 4.0: there is something to even out
  struct Bound {
    Balance balance;
    double most;
  };
  for (const Bound bound : {Bound{Balance::kPenalty, 1.3}, Bound{Balance::kCapacity, 1.05},
                            Bound{Balance::kTransport, 1.3}}) {
    const KMeansResult got = balanced(points, 40, bound.balance);
    EXPECT_LE(got.max_over_mean, bound.most) << static_cast<int>(bound.balance);
    EXPECT_GT(got.entropy, free.entropy);
    EXPECT_GT(got.entropy, std::log2(40.0) - 0.05);
    EXPECT_EQ(got.sizes.size(), 40u);
    // Evenness has a price.
    EXPECT_LT(got.objective, 2.0 * free.objective);
    EXPECT_NEAR(got.objective, test::objective_of(points, got.centroids, got.labels),
                1e-6 * got.objective);
  }
}

TEST(Balance, PenaltyGivesAsManyClustersAsAsked) {
  const Points points = uniform_points(500, 5, 1);
  for (const std::size_t clusters : {1, 2, 3, 16, 17, 100, 499, 500}) {
    for (const std::uint32_t branching : {2u, 16u, 1024u}) {
      KMeansParams params;
      params.clusters = clusters;
      params.balance = Balance::kPenalty;
      params.branching = branching;
      const KMeansResult got = kmeans(points.view(), params);
      EXPECT_EQ(got.sizes.size(), clusters);
      EXPECT_EQ(std::count(got.sizes.begin(), got.sizes.end(), 0u), 0)
          << clusters << " by " << branching;
    }
  }
}

TEST(Balance, SplitLevels) {
  EXPECT_EQ(clustering::split_levels(1, 16), 0u);
  EXPECT_EQ(clustering::split_levels(16, 16), 1u);
  EXPECT_EQ(clustering::split_levels(17, 16), 2u);
  EXPECT_EQ(clustering::split_levels(1000, 2), 10u);
}

}  // namespace
}  // namespace vicinal
