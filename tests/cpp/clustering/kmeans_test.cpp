#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "clustering/centroids.h"
#include "clustering/data.h"
#include "clustering/lloyd.h"
#include "clustering/rows.h"
#include "clustering/start.h"
#include "vicinal/cluster.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using test::grouped_points;
using test::Points;
using test::uniform_points;

RunOptions on(unsigned threads) {
  RunOptions run;
  run.threads = threads;
  return run;
}

std::vector<float> first_rows(const Points& points, std::size_t count) {
  return {points.values.begin(),
          points.values.begin() + static_cast<std::ptrdiff_t>(count * points.dim)};
}

KMeansParams given(const std::vector<float>& start, std::size_t dim) {
  KMeansParams params;
  params.clusters = start.size() / dim;
  params.start = KMeansStart::kGiven;
  params.first = {start.data(), params.clusters, dim};
  params.tolerance = 0.0;
  return params;
}

void expect_consistent(const Points& points, const KMeansResult& got) {
  ASSERT_EQ(got.labels.size(), points.rows());
  std::vector<std::uint64_t> sizes(got.clusters, 0);
  for (const std::uint32_t label : got.labels) {
    ASSERT_LT(label, got.clusters);
    ++sizes[label];
  }
  EXPECT_EQ(sizes, got.sizes);
  double entropy = 0.0;
  for (const std::uint64_t size : sizes) {
    const double part = static_cast<double>(size) / static_cast<double>(points.rows());
    if (size > 0) entropy -= part * std::log2(part);
  }
  EXPECT_NEAR(got.entropy, entropy, 1e-12 * static_cast<double>(got.clusters));
  EXPECT_NEAR(got.max_over_mean,
              static_cast<double>(*std::max_element(sizes.begin(), sizes.end())) *
                  static_cast<double>(got.clusters) / static_cast<double>(points.rows()),
              1e-12);
}

TEST(KMeans, ReachesWhatPlainLloydReachesFromTheSameStart) {
  for (const std::size_t dim : {1, 3, 17, 40}) {
    const Points points = grouped_points(700, dim, 12, 0.5f, dim);
    const std::vector<float> start = first_rows(points, 9);
    for (const std::uint32_t iterations : {0u, 1u, 4u, 30u}) {
      KMeansParams params = given(start, dim);
      params.iterations = iterations;
      const KMeansResult got = kmeans(points.view(), params);
      const test::Plain want = test::plain_lloyd(points, start, got.iterations);
      expect_consistent(points, got);
      // Centroids are rounded to float once per iteration, and a row within rounding of a border
      // may go either way: both change the objective by about as much as it is rounded itself.
      EXPECT_NEAR(got.objective, want.objective, 1e-5 * want.objective)
          << "dim " << dim << " iterations " << iterations;
      EXPECT_NEAR(got.objective, test::objective_of(points, got.centroids, got.labels),
                  1e-9 * want.objective + 1e-9);
      EXPECT_LE(got.iterations, iterations);
    }
  }
}

TEST(KMeans, IsTheSameForAnyNumberOfThreads) {
  const Points points = grouped_points(4300, 66, 300, 0.5f, 1);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    for (const Balance balance :
         {Balance::kNone, Balance::kPenalty, Balance::kCapacity, Balance::kTransport}) {
      KMeansParams params;
      params.clusters = balance == Balance::kNone ? 256 : 20;  // 256: pruned
      params.metric = metric;
      params.balance = balance;
      params.iterations = 2;
      params.rounds = 20;
      params.seed = 5;
      const KMeansResult want = kmeans(points.view(), params, on(1));
      for (const unsigned threads : {3u}) {
        const KMeansResult got = kmeans(points.view(), params, on(threads));
        EXPECT_EQ(got.labels, want.labels);
        EXPECT_EQ(got.centroids, want.centroids);
        EXPECT_EQ(got.objective, want.objective);
        EXPECT_EQ(got.iterations, want.iterations);
      }
    }
  }
}

TEST(KMeans, TheSeedDecides) {
  const Points points = uniform_points(500, 6, 1);
  KMeansParams params;
  params.clusters = 20;
  for (const KMeansStart start : {KMeansStart::kPlusPlus, KMeansStart::kRandom}) {
    params.start = start;
    params.seed = 1;
    const KMeansResult one = kmeans(points.view(), params);
    EXPECT_EQ(kmeans(points.view(), params).centroids, one.centroids);
    params.seed = 2;
    EXPECT_NE(kmeans(points.view(), params).centroids, one.centroids);
  }
}

TEST(KMeans, ReadsEveryTypeAndLayout) {
  // Whole numbers: exact in every type, so every sum is.
  Points points = uniform_points(400, 9, 3);
  for (float& x : points.values) x = std::floor(x * 50.0f) + 60.0f;
  KMeansParams params;
  params.clusters = 7;
  params.seed = 3;
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    params.metric = metric;
    const KMeansResult want = kmeans(points.view(), params);
    const std::vector<double> doubles(points.values.begin(), points.values.end());
    std::vector<std::uint8_t> bytes;
    for (const float x : points.values) bytes.push_back(static_cast<std::uint8_t>(x));
    std::vector<float> turned(points.values.size());
    for (std::size_t i = 0; i < points.rows(); ++i) {
      for (std::size_t d = 0; d < points.dim; ++d) {
        turned[d * points.rows() + i] = points.row(i)[d];
      }
    }
    const VectorsView views[] = {
        {doubles.data(), ElementType::kFloat64, 400, 9, 9 * 8, 8},
        {bytes.data(), ElementType::kUint8, 400, 9, 9, 1},
        {turned.data(), ElementType::kFloat32, 400, 9, 4, 400 * 4},
    };
    for (const VectorsView& view : views) {
      const KMeansResult got = kmeans(view, params);
      EXPECT_EQ(got.labels, want.labels);
      EXPECT_EQ(got.centroids, want.centroids);
    }
  }
}

TEST(KMeans, OneCluster) {
  const Points points = uniform_points(100, 5, 1);
  KMeansParams params;
  params.clusters = 1;
  const KMeansResult got = kmeans(points.view(), params);
  expect_consistent(points, got);
  EXPECT_TRUE(got.converged);
  EXPECT_EQ(got.iterations, 1u);
  EXPECT_EQ(got.entropy, 0.0);
  for (std::size_t d = 0; d < 5; ++d) {
    double mean = 0.0;
    for (std::size_t i = 0; i < 100; ++i) mean += points.row(i)[d] / 100.0;
    EXPECT_NEAR(got.centroids[d], mean, 1e-7);
  }
}

TEST(KMeans, AsManyClustersAsRows) {
  const Points points = uniform_points(60, 4, 1);
  for (const KMeansStart start : {KMeansStart::kPlusPlus, KMeansStart::kRandom}) {
    KMeansParams params;
    params.clusters = 60;
    params.start = start;
    const KMeansResult got = kmeans(points.view(), params);
    expect_consistent(points, got);
    EXPECT_EQ(std::set<std::uint32_t>(got.labels.begin(), got.labels.end()).size(), 60u);
    // Each row is its own centroid; what is left is rounding of sums of squares below 60 * 4.
    EXPECT_NEAR(got.objective, 0.0, 1e-10);
    EXPECT_NEAR(got.entropy, std::log2(60.0), 1e-12);
  }
}

TEST(KMeans, NothingButDuplicates) {
  Points points = uniform_points(200, 3, 1);
  for (std::size_t i = 3; i < points.values.size(); ++i) points.values[i] = points.values[i % 3];
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    for (const Balance balance :
         {Balance::kNone, Balance::kPenalty, Balance::kCapacity, Balance::kTransport}) {
      KMeansParams params;
      params.clusters = 8;
      params.metric = metric;
      params.balance = balance;
      const KMeansResult got = kmeans(points.view(), params);
      expect_consistent(points, got);
      for (const float x : got.centroids) EXPECT_TRUE(std::isfinite(x));
      if (balance == Balance::kCapacity) {
        EXPECT_LE(*std::max_element(got.sizes.begin(), got.sizes.end()), 27u);  // ceil(25 * 1.05)
      }
      if (balance == Balance::kPenalty) EXPECT_EQ(got.max_over_mean, 1.0);
    }
  }
}

TEST(KMeans, RepairsEmptyClusters) {
  const Points points = grouped_points(600, 8, 30, 0.2f, 1);
  // Fifteen of the sixteen start where no row is nearest.
  std::vector<float> start = first_rows(points, 16);
  for (std::size_t i = 8; i < start.size(); ++i) start[i] = 1000.0f + static_cast<float>(i);
  KMeansParams params = given(start, 8);
  params.iterations = 50;
  const KMeansResult got = kmeans(points.view(), params);
  expect_consistent(points, got);
  EXPECT_EQ(std::count(got.sizes.begin(), got.sizes.end(), 0u), 0);
  // And as good as from a good start; measured 1.02 times that.
  params = KMeansParams{};
  params.clusters = 16;
  params.iterations = 50;
  EXPECT_LT(got.objective, 1.5 * kmeans(points.view(), params).objective);
}

TEST(KMeans, RestartsKeepTheBest) {
  const Points points = grouped_points(500, 4, 25, 0.1f, 1);
  KMeansParams params;
  params.clusters = 25;
  params.start = KMeansStart::kRandom;
  const double once = kmeans(points.view(), params).objective;
  params.restarts = 8;
  const double best = kmeans(points.view(), params).objective;
  EXPECT_LT(best, once);
}

TEST(KMeans, StopsByTolerance) {
  const Points points = uniform_points(2000, 4, 1);
  KMeansParams params;
  params.clusters = 30;
  params.iterations = 1000;
  params.tolerance = 0.0;
  const KMeansResult all = kmeans(points.view(), params);
  params.tolerance = 0.01;
  const KMeansResult some = kmeans(points.view(), params);
  EXPECT_TRUE(all.converged);
  EXPECT_TRUE(some.converged);
  EXPECT_LT(some.iterations, all.iterations);
  EXPECT_GE(some.objective, all.objective);
  params.iterations = 1;
  params.tolerance = 0.0;
  EXPECT_FALSE(kmeans(points.view(), params).converged);
}

TEST(KMeans, SphericalCentroidsHaveLengthOneAndAreNearest) {
  Points points = grouped_points(800, 12, 10, 0.5f, 1);
  for (std::size_t i = 0; i < points.rows(); ++i) {  // of lengths that differ a thousandfold
    const float scale = std::pow(10.0f, static_cast<float>(i % 4) - 2.0f);
    for (std::size_t d = 0; d < 12; ++d) points.values[i * 12 + d] *= scale;
  }
  for (const Metric metric : {Metric::kInnerProduct, Metric::kCosine}) {
    KMeansParams params;
    params.clusters = 10;
    params.metric = metric;
    const KMeansResult got = kmeans(points.view(), params);
    double objective = 0.0;
    for (std::size_t i = 0; i < points.rows(); ++i) {
      double best = -std::numeric_limits<double>::infinity(), own = 0.0, squared = 0.0;
      for (std::size_t d = 0; d < 12; ++d) squared += std::pow(points.row(i)[d], 2.0);
      const double length = metric == Metric::kCosine ? std::sqrt(squared) : 1.0;
      for (std::size_t c = 0; c < 10; ++c) {
        double product = 0.0;
        for (std::size_t d = 0; d < 12; ++d) {
          product += double{points.row(i)[d]} * got.centroids[c * 12 + d];
        }
        best = std::max(best, product / length);
        if (got.labels[i] == c) own = product / length;
      }
      // A score is a sum of 12 products of at most the row's length.
      const double size = metric == Metric::kCosine ? 1.0 : std::sqrt(squared);
      EXPECT_NEAR(own, best, 4 * 14 * 0x1p-24 * size);
      objective += metric == Metric::kCosine ? 1.0 - own : -own;
    }
    EXPECT_NEAR(got.objective, objective, 1e-5 * std::abs(objective));
    for (std::size_t c = 0; c < 10; ++c) {
      double squared = 0.0;
      for (std::size_t d = 0; d < 12; ++d) squared += std::pow(got.centroids[c * 12 + d], 2.0);
      EXPECT_NEAR(squared, 1.0, 1e-6);
    }
  }
}

// Pruned and plain iterations side by side, from the same start.
void compare_pruned(Metric metric, const Points& points, std::size_t clusters, bool expected) {
  const RunOptions run = on(1);
  const clustering::Rows rows(points.view(), metric == Metric::kCosine);
  const std::vector<float> start = clustering::start(rows, clusters, metric,
                                                     KMeansStart::kRandom, 1, run, {});
  KMeansParams params;
  params.iterations = 6;
  params.tolerance = 0.0;
  clustering::Lloyd pruned(rows, clusters, metric, run, {});
  clustering::Lloyd plain(rows, clusters, metric, run, {});
  plain.forbid_pruning();
  for (clustering::Lloyd* lloyd : {&pruned, &plain}) {
    lloyd->centroids().read(start.data());
    lloyd->train(params, 1);
  }
  EXPECT_EQ(pruned.pruned(), expected);
  EXPECT_FALSE(plain.pruned());
  EXPECT_NEAR(pruned.objective(), plain.objective(), 1e-5 * std::abs(plain.objective()));
  // The last labels of the pruned run are those of comparing all, but for near ties.
  clustering::Scratch scratch;
  std::size_t different = 0;
  std::vector<float> room(points.dim);
  for (std::size_t i = 0; i < points.rows(); ++i) {
    const float* row = rows.read(i, i + 1, room.data());
    std::uint32_t label;
    float score;
    clustering::nearest(row, 1, pruned.centroids(), scratch, &label, &score);
    if (label == pruned.labels()[i]) continue;
    ++different;
    std::vector<float> moved(row, row + points.dim);
    const float* origin = pruned.centroids().origin();
    for (std::size_t d = 0; origin != nullptr && d < points.dim; ++d) moved[d] -= origin[d];
    const double gap = pruned.centroids().bias()[pruned.labels()[i]] -
                       clustering::dot(moved.data(),
                                       pruned.centroids().compared(pruned.labels()[i]),
                                       points.dim) -
                       score;
    // Rounding of a score: sums of dim products, with centroids and rows of about this length.
    const double length = std::sqrt(clustering::squared_length(row, points.dim));
    EXPECT_LT(std::abs(gap), 8.0 * static_cast<double>(points.dim) * 0x1p-24 * (length + 1.0) *
                                 (length + 1.0));
  }
  EXPECT_LE(different, points.rows() / 1000);
}

TEST(KMeans, PruningChangesNothing) {
  const Points points = grouped_points(9000, 96, 400, 0.6f, 3);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    compare_pruned(metric, points, 300, true);
  }
}

TEST(KMeans, PruningIsLeftOutWhereItTellsNothing) {
  compare_pruned(Metric::kL2, uniform_points(9000, 96, 3), 300, false);
}

TEST(KMeans, ProgressCountsUp) {
  const Points points = uniform_points(20000, 16, 1);
  for (const Balance balance :
       {Balance::kNone, Balance::kPenalty, Balance::kCapacity, Balance::kTransport}) {
    KMeansParams params;
    params.clusters = 64;
    params.balance = balance;
    RunOptions run = on(2);
    std::set<std::string> stages;
    std::string last;
    std::uint64_t done = 0;
    run.progress = [&](const Progress& now) {
      EXPECT_LE(now.done, now.total) << now.stage;
      if (now.stage == last) EXPECT_GE(now.done, done) << now.stage;
      last = now.stage;
      done = now.done;
      stages.insert(now.stage);
      return true;
    };
    kmeans(points.view(), params, run);
    EXPECT_EQ(stages.count("working"), 0u);
    if (balance != Balance::kPenalty) EXPECT_EQ(stages.count("clustering"), 1u);
    if (balance != Balance::kNone) EXPECT_EQ(stages.count("balancing"), 1u);
  }
}

TEST(KMeans, StopsWhenToldTo) {
  const Points points = uniform_points(20000, 16, 1);
  for (const Balance balance :
       {Balance::kNone, Balance::kPenalty, Balance::kCapacity, Balance::kTransport}) {
    for (const char* stage : {"clustering", "balancing"}) {
      if (balance == Balance::kNone && std::string(stage) == "balancing") continue;
      if (balance == Balance::kPenalty && std::string(stage) == "clustering") continue;
      KMeansParams params;
      params.clusters = 64;
      params.balance = balance;
      RunOptions run = on(2);
      run.progress = [stage](const Progress& now) { return std::string(now.stage) != stage; };
      EXPECT_THROW(kmeans(points.view(), params, run), CancelledError) << stage;
    }
  }
}

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(KMeans, RefusesWhatCannotWork) {
  const Points points = uniform_points(10, 3, 1);
  const auto fails = [&](const char* word, auto change) {
    KMeansParams params;
    params.clusters = 2;
    change(params);
    const std::string text = message_of([&] { kmeans(points.view(), params); });
    EXPECT_NE(text.find(word), std::string::npos) << text;
  };
  fails("clusters", [](KMeansParams& p) { p.clusters = 0; });
  fails("clusters", [](KMeansParams& p) { p.clusters = 11; });
  fails("restarts", [](KMeansParams& p) { p.restarts = 0; });
  fails("iterations", [](KMeansParams& p) { p.iterations = 2'000'000; });
  fails("tolerance", [](KMeansParams& p) { p.tolerance = -0.1; });
  fails("tolerance", [](KMeansParams& p) { p.tolerance = std::nan(""); });
  fails("slack", [](KMeansParams& p) {
    p.balance = Balance::kCapacity;
    p.slack = 0.9;
  });
  fails("branching", [](KMeansParams& p) {
    p.balance = Balance::kPenalty;
    p.branching = 1;
  });
  fails("epsilon", [](KMeansParams& p) {
    p.balance = Balance::kTransport;
    p.epsilon = 0.0;
  });
  fails("rounds", [](KMeansParams& p) {
    p.balance = Balance::kTransport;
    p.rounds = 0;
  });
  std::vector<float> start(6, 1.0f);
  const auto with_start = [&](KMeansParams& p) {
    p.start = KMeansStart::kGiven;
    p.first = {start.data(), 2, 3};
  };
  fails("start has 2 columns", [&](KMeansParams& p) {
    with_start(p);
    p.first = {start.data(), 3, 2};
  });
  fails("start has 1 rows", [&](KMeansParams& p) {
    with_start(p);
    p.first = {start.data(), 1, 3};
  });
  fails("restarts", [&](KMeansParams& p) {
    with_start(p);
    p.restarts = 2;
  });
  fails("penalty", [&](KMeansParams& p) {
    with_start(p);
    p.balance = Balance::kPenalty;
  });
  start[4] = std::numeric_limits<float>::quiet_NaN();
  fails("start: row 1, column 1 is nan", with_start);

  Points bad = points;
  bad.values[7] = std::numeric_limits<float>::infinity();
  KMeansParams params;
  params.clusters = 2;
  EXPECT_NE(message_of([&] { kmeans(bad.view(), params); }).find("vectors: row 2, column 1"),
            std::string::npos);
  bad = points;
  for (std::size_t d = 0; d < 3; ++d) bad.values[9 + d] = 0.0f;
  params.metric = Metric::kCosine;
  EXPECT_NE(message_of([&] { kmeans(bad.view(), params); }).find("row 3"), std::string::npos);
  const Points none{{}, 3};
  EXPECT_NE(message_of([&] { kmeans(none.view(), params); }).find("no rows"), std::string::npos);
}

TEST(Assign, MatchesPlainSorting) {
  const Points points = uniform_points(90, 21, 1);
  const Points centroids = uniform_points(410, 21, 2);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    for (const std::size_t several : {1, 2, 7, 409, 415}) {
      std::vector<std::uint32_t> labels(90 * several);
      std::vector<float> distances(90 * several);
      assign(points.view(), centroids.view(), metric, {labels.data(), 90, several},
             {distances.data(), 90, several}, on(2));
      for (std::size_t i = 0; i < 90; ++i) {
        std::vector<double> want;
        for (std::size_t c = 0; c < 410; ++c) {
          double l2 = 0, product = 0, a = 0, b = 0;
          for (std::size_t d = 0; d < 21; ++d) {
            const double x = points.row(i)[d], y = centroids.row(c)[d];
            l2 += (x - y) * (x - y);
            product += x * y;
            a += x * x;
            b += y * y;
          }
          want.push_back(metric == Metric::kL2              ? l2
                         : metric == Metric::kInnerProduct ? -product
                                                           : 1.0 - product / std::sqrt(a * b));
        }
        std::vector<double> sorted = want;
        std::sort(sorted.begin(), sorted.end());
        std::set<std::uint32_t> seen;
        for (std::size_t j = 0; j < several; ++j) {
          const std::uint32_t label = labels[i * several + j];
          const float distance = distances[i * several + j];
          if (j >= 410) {
            EXPECT_EQ(label, kNoRow);
            EXPECT_EQ(distance, std::numeric_limits<float>::infinity());
            continue;
          }
          ASSERT_LT(label, 410u);
          EXPECT_TRUE(seen.insert(label).second);
          // Sums of 21 products of numbers below 1, and of squared lengths of at most 21 each.
          const double tolerance = 8 * 24 * 0x1p-24 * 21;
          EXPECT_NEAR(distance, want[label], tolerance);
          EXPECT_NEAR(distance, sorted[j], tolerance);
          if (j > 0) EXPECT_GE(distance, distances[i * several + j - 1]);
        }
      }
    }
  }
}

TEST(Assign, TiesGoToTheSmallerNumber) {
  const Points points = uniform_points(50, 7, 1);
  Points centroids = uniform_points(30, 7, 2);
  centroids.values.insert(centroids.values.end(), centroids.values.begin(),
                          centroids.values.end());
  for (const std::size_t several : {1, 4}) {
    std::vector<std::uint32_t> labels(50 * several);
    assign(points.view(), centroids.view(), Metric::kL2, {labels.data(), 50, several});
    for (std::size_t i = 0; i < 50; ++i) {
      EXPECT_LT(labels[i * several], 30u);
      if (several == 4) {
        EXPECT_EQ(labels[i * 4 + 1], labels[i * 4] + 30);
        EXPECT_EQ(labels[i * 4 + 3], labels[i * 4 + 2] + 30);
      }
    }
  }
}

TEST(Assign, GivesTheLabelsOfTheClustering) {
  const Points points = grouped_points(3000, 24, 50, 0.5f, 1);
  KMeansParams params;
  params.clusters = 40;
  const KMeansResult found = kmeans(points.view(), params);
  std::vector<std::uint32_t> labels(3000);
  assign(points.view(), found.centroids_view(), Metric::kL2, {labels.data(), 3000, 1});
  EXPECT_EQ(labels, found.labels);
}

TEST(Assign, RefusesWhatCannotWork) {
  const Points points = uniform_points(10, 3, 1);
  const Points wide = uniform_points(10, 4, 1);
  std::vector<std::uint32_t> labels(10);
  const MatrixView<std::uint32_t> out{labels.data(), 10, 1};
  EXPECT_NE(message_of([&] { assign(points.view(), wide.view(), Metric::kL2, out); })
                .find("centroids has 4 columns"),
            std::string::npos);
  Points bad = points;
  bad.values[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(message_of([&] { assign(bad.view(), points.view(), Metric::kL2, out); })
                .find("vectors: row 0"),
            std::string::npos);
  EXPECT_NE(message_of([&] { assign(points.view(), bad.view(), Metric::kL2, out); })
                .find("centroids: row 0"),
            std::string::npos);
  EXPECT_THROW(assign(points.view(), {nullptr, 0, 3}, Metric::kL2, out), ArgumentError);
}

TEST(Start, DrawsDifferentRows) {
  for (const std::size_t n : {1, 2, 10, 1000}) {
    for (const std::size_t count : {std::size_t{1}, n / 2, n}) {
      if (count == 0) continue;
      const std::vector<std::uint32_t> drawn = clustering::draw(n, count, 3, 1);
      EXPECT_EQ(std::set<std::uint32_t>(drawn.begin(), drawn.end()).size(), count);
      for (const std::uint32_t row : drawn) EXPECT_LT(row, n);
    }
  }
}

TEST(Start, PlusPlusFindsFarGroups) {
  // Groups far apart: seeds by squared distance find nearly all, seeds by chance do not.
  const std::size_t dim = 6;
  Points points = grouped_points(4000, dim, 20, 0.01f, 2);
  const clustering::Rows rows(points.view(), false);
  const auto cost = [&](KMeansStart how) {
    const std::vector<float> start = clustering::start(rows, 20, Metric::kL2, how, 1, on(1), {});
    return test::plain_lloyd(points, start, 0).objective;
  };
  EXPECT_LT(cost(KMeansStart::kPlusPlus), 0.5 * cost(KMeansStart::kRandom));
}

}  // namespace
}  // namespace vicinal
