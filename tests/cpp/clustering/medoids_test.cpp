#include "vicinal/medoids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "indexes/flat_data.h"
#include "support/medoid_reference.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using namespace test;

constexpr MedoidMetric kFloatMetrics[] = {MedoidMetric::kL2, MedoidMetric::kEuclidean,
                                          MedoidMetric::kInnerProduct, MedoidMetric::kCosine};
constexpr MedoidMetric kBitMetrics[] = {MedoidMetric::kHamming, MedoidMetric::kJaccard};

/// Rows of packed bits, some of them empty, some repeated.
struct Bits {
  std::size_t rows = 0;
  std::size_t bytes = 0;
  std::vector<std::uint8_t> values;

  VectorsView view() const {
    return {values.data(), ElementType::kUint8, rows, bytes, static_cast<std::ptrdiff_t>(bytes), 1};
  }
  const std::uint8_t* row(std::size_t r) const { return values.data() + r * bytes; }
};

Bits bits(std::size_t rows, std::size_t bytes, std::uint64_t seed) {
  Bits out{rows, bytes, std::vector<std::uint8_t>(rows * bytes)};
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t twin = r % 9 == 8 ? r - 1 : r;
    for (std::size_t b = 0; b < bytes; ++b) {
      const std::uint64_t centre = random_u64(seed, 1, random_below(5, seed, 2, twin) * bytes + b);
      const std::uint64_t noise = random_u64(seed, 3, twin * bytes + b);
      const auto flips = static_cast<std::uint8_t>(noise & (noise >> 8) & (noise >> 16));
      const auto value = static_cast<std::uint8_t>(static_cast<std::uint8_t>(centre) ^ flips);
      out.values[r * bytes + b] = r % 13 == 5 ? std::uint8_t{0} : value;
    }
  }
  return out;
}

unsigned ones(unsigned byte) {
  unsigned count = 0;
  for (; byte != 0; byte /= 2) count += byte % 2;
  return count;
}

PairDistance by_definition(const Bits& rows, MedoidMetric metric) {
  std::vector<double> table(rows.rows * rows.rows);
  for (std::size_t i = 0; i < table.size(); ++i) {
    unsigned differ = 0;
    unsigned either = 0;
    for (std::size_t b = 0; b < rows.bytes; ++b) {
      const unsigned x = rows.row(i / rows.rows)[b];
      const unsigned y = rows.row(i % rows.rows)[b];
      differ += ones(x ^ y);
      either += ones(x | y);
    }
    table[i] = differ;
    if (metric == MedoidMetric::kJaccard && either != 0) table[i] /= either;
  }
  return [n = rows.rows, table](std::size_t x, std::size_t y) { return table[x * n + y]; };
}

PairDistance by_definition(const Matrix& rows, MedoidMetric metric) {
  return [&rows, metric](std::size_t a, std::size_t b) {
    const Metric plain = metric == MedoidMetric::kInnerProduct ? Metric::kInnerProduct
                         : metric == MedoidMetric::kCosine     ? Metric::kCosine
                                                               : Metric::kL2;
    const double d = distance(plain, rows.row(a), rows.row(b), rows.cols);
    return metric == MedoidMetric::kEuclidean ? std::sqrt(d) : d;
  };
}

RowList medoids_of(const KMedoidsResult& got) { return {got.medoids.begin(), got.medoids.end()}; }

/// Distinct rows.
std::vector<std::int64_t> some_rows(std::size_t rows, std::size_t count, std::uint64_t seed) {
  std::vector<std::int64_t> all(rows);
  for (std::size_t i = 0; i < rows; ++i) all[i] = static_cast<std::int64_t>(i);
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(all[i], all[i + random_below(rows - i, seed, 9, i)]);
  }
  all.resize(count);
  return all;
}

/// Distances in float32 are off by at most so much; each of the two losses adds up `rows` of them.
double rounding(const PairDistance& distance, std::size_t rows, std::size_t dim) {
  double largest = 1.0;
  for (std::size_t a = 0; a < rows; ++a) {
    for (std::size_t b = 0; b < rows; b += 7) {
      largest = std::max(largest, std::fabs(distance(a, b)));
    }
    largest = std::max(largest, std::fabs(distance(a, a)));
  }
  // The stride of 7 may miss the largest; every metric here is within four times of what any row
  // measures to any seventh of the others.
  return 4.0 * largest * static_cast<double>(dim + 8) * FLT_EPSILON * static_cast<double>(rows);
}

void expect_sound(const KMedoidsResult& got, const PairDistance& distance, std::size_t rows,
                  std::size_t clusters, double tolerance) {
  ASSERT_EQ(got.medoids.size(), clusters);
  ASSERT_EQ(got.labels.size(), rows);
  EXPECT_TRUE(std::is_sorted(got.medoids.begin(), got.medoids.end()));
  EXPECT_EQ(std::set<std::int64_t>(got.medoids.begin(), got.medoids.end()).size(), clusters);
  const RowList medoids = medoids_of(got);
  EXPECT_NEAR(got.loss, medoid_loss(distance, rows, medoids), tolerance);
  for (std::size_t row = 0; row < rows; ++row) {
    ASSERT_LT(got.labels[row], clusters);
    const double own = distance(row, medoids[got.labels[row]]);
    for (const std::size_t medoid : medoids) {
      ASSERT_LE(own, distance(row, medoid) + tolerance) << "row " << row;
    }
  }
}

void expect_same(const KMedoidsResult& got, const KMedoidsResult& want) {
  EXPECT_EQ(got.medoids, want.medoids);
  EXPECT_EQ(got.labels, want.labels);
  EXPECT_EQ(got.loss, want.loss);
  EXPECT_EQ(got.iterations, want.iterations);
  EXPECT_EQ(got.swaps, want.swaps);
  EXPECT_EQ(got.converged, want.converged);
  EXPECT_EQ(got.method, want.method);
}

// Sums of small whole numbers are exact, so every decision must be that of the definition.
void expect_trail(const VectorsView& view, MedoidMetric metric, const PairDistance& distance,
                  std::uint64_t seed) {
  const std::size_t rows = view.rows;
  for (const std::size_t clusters : {std::size_t{1}, std::size_t{2}, std::size_t{5}, rows}) {
    if (clusters > rows) continue;
    for (const std::uint32_t passes : {0u, 1u, 2u, 100u}) {
      SCOPED_TRACE(std::string(name(metric)) + " rows " + std::to_string(rows) + " clusters " +
                   std::to_string(clusters) + " passes " + std::to_string(passes));
      KMedoidsParams params;
      params.clusters = clusters;
      params.metric = metric;
      params.start = MedoidStart::kGiven;
      params.first = some_rows(rows, clusters, seed);
      params.iterations = passes;
      const KMedoidsResult got = kmedoids(view, params);
      const MedoidTrail want =
          eager_medoids(distance, rows, {params.first.begin(), params.first.end()}, passes);
      RowList medoids = want.medoids;
      std::sort(medoids.begin(), medoids.end());
      EXPECT_EQ(medoids_of(got), medoids);
      EXPECT_EQ(got.loss, want.loss);
      EXPECT_EQ(got.swaps, want.swaps);
      EXPECT_EQ(got.converged, want.ended);
      EXPECT_EQ(got.method, MedoidMethod::kFasterPam);
      for (std::size_t row = 0; row < rows; ++row) {
        std::size_t nearest = 0;
        for (std::size_t slot = 1; slot < clusters; ++slot) {
          if (distance(row, medoids[slot]) < distance(row, medoids[nearest])) nearest = slot;
        }
        ASSERT_EQ(got.labels[row], nearest) << "row " << row;
      }
    }
  }
}

TEST(KMedoids, WholeNumbersFollowTheDefinition) {
  for (const std::size_t rows : {1u, 2u, 9u, 33u, 64u}) {
    for (const std::size_t dim : {1u, 3u, 4u, 8u}) {
      for (const unsigned spread : {3u, 40u}) {  // with many ties, with few
        const Matrix data = whole_numbers(rows, dim, rows + dim, -1, spread);
        for (const MedoidMetric metric : {MedoidMetric::kL2, MedoidMetric::kInnerProduct}) {
          expect_trail(data.view(), metric, by_definition(data, metric), 3);
        }
      }
    }
  }
}

TEST(KMedoids, BitsFollowTheDefinition) {
  for (const std::size_t rows : {1u, 9u, 64u}) {
    for (const std::size_t bytes : {1u, 3u, 8u, 17u, 128u}) {
      const Bits data = bits(rows, bytes, rows + bytes);
      expect_trail(data.view(), MedoidMetric::kHamming, by_definition(data, MedoidMetric::kHamming),
                   4);
    }
  }
}

TEST(KMedoids, InTheEndNoExchangeHelps) {
  for (const MedoidMetric metric : kFloatMetrics) {
    const Matrix data = clustered(300, 7, 11);
    const PairDistance distance = by_definition(data, metric);
    const double tolerance = rounding(distance, data.rows, data.cols);
    for (const std::size_t clusters : {1u, 2u, 9u, 40u}) {
      for (const MedoidStart start : {MedoidStart::kRandom, MedoidStart::kLab}) {
        SCOPED_TRACE(std::string(name(metric)) + " clusters " + std::to_string(clusters));
        KMedoidsParams params;
        params.clusters = clusters;
        params.metric = metric;
        params.start = start;
        const KMedoidsResult got = kmedoids(data.view(), params);
        expect_sound(got, distance, data.rows, clusters, tolerance);
        EXPECT_TRUE(got.converged);
        EXPECT_GE(best_exchange(distance, data.rows, medoids_of(got)), -tolerance);
      }
    }
  }
}

TEST(KMedoids, InTheEndNoExchangeOfBitsHelps) {
  for (const MedoidMetric metric : kBitMetrics) {
    for (const std::size_t bytes : {2u, 13u, 64u}) {
      const Bits data = bits(250, bytes, 5);
      const PairDistance distance = by_definition(data, metric);
      const double tolerance = rounding(distance, data.rows, 1);
      for (const std::size_t clusters : {1u, 2u, 6u}) {
        SCOPED_TRACE(std::string(name(metric)) + " bytes " + std::to_string(bytes));
        KMedoidsParams params;
        params.clusters = clusters;
        params.metric = metric;
        const KMedoidsResult got = kmedoids(data.view(), params);
        expect_sound(got, distance, data.rows, clusters, tolerance);
        EXPECT_TRUE(got.converged);
        EXPECT_GE(best_exchange(distance, data.rows, medoids_of(got)), -tolerance);
      }
    }
  }
}

// So many rows that several threads weigh candidates and that columns are not kept.
TEST(KMedoids, ManyRows) {
  const Matrix data = whole_numbers(4200, 3, 6, 0, 60);
  const PairDistance distance = by_definition(data, MedoidMetric::kL2);
  KMedoidsParams params;
  params.clusters = 12;
  RunOptions run;
  run.threads = 3;
  const KMedoidsResult got = kmedoids(data.view(), params, run);
  expect_sound(got, distance, data.rows, 12, 0.0);
  EXPECT_TRUE(got.converged);
  EXPECT_GT(got.swaps, 12u);
  EXPECT_GE(best_exchange(distance, data.rows, medoids_of(got)), 0.0);
  run.threads = 1;
  expect_same(kmedoids(data.view(), params, run), got);
}

TEST(KMedoids, ThreadsChangeNothing) {
  const Matrix floats = clustered(4300, 5, 2);
  const Bits fingerprints = bits(4300, 6, 2);
  for (const MedoidMethod method : {MedoidMethod::kFasterPam, MedoidMethod::kSampling}) {
    for (const MedoidMetric metric : {MedoidMetric::kCosine, MedoidMetric::kJaccard}) {
      KMedoidsParams params;
      params.clusters = 8;
      params.metric = metric;
      params.method = method;
      params.start = method == MedoidMethod::kFasterPam ? MedoidStart::kLab : MedoidStart::kRandom;
      params.iterations = 2;
      params.seed = 5;
      const VectorsView view =
          metric == MedoidMetric::kJaccard ? fingerprints.view() : VectorsView(floats.view());
      RunOptions run;
      run.threads = 1;
      const KMedoidsResult want = kmedoids(view, params, run);
      EXPECT_EQ(want.method, method);
      for (const unsigned threads : {2u, 5u}) {
        run.threads = threads;
        expect_same(kmedoids(view, params, run), want);
      }
    }
  }
}

TEST(KMedoids, SamplingMeasuresOnAllRows) {
  const Matrix data = clustered(2500, 4, 8);
  for (const MedoidMetric metric : kFloatMetrics) {
    const PairDistance distance = by_definition(data, metric);
    const double tolerance = rounding(distance, data.rows, data.cols);
    KMedoidsParams params;
    params.clusters = 9;
    params.metric = metric;
    params.method = MedoidMethod::kSampling;
    params.refine = 0;
    double last = std::numeric_limits<double>::infinity();
    for (const std::uint32_t samples : {1u, 2u, 3u, 6u}) {
      params.samples = samples;
      const KMedoidsResult got = kmedoids(data.view(), params);
      expect_sound(got, distance, data.rows, 9, tolerance);
      EXPECT_EQ(got.method, MedoidMethod::kSampling);
      EXPECT_LE(got.loss, last);  // it keeps the best
      last = got.loss;
    }
    params.refine = 300;
    const KMedoidsResult refined = kmedoids(data.view(), params);
    expect_sound(refined, distance, data.rows, 9, tolerance);
    EXPECT_LT(refined.loss, last);
    params.refine = data.rows;
    const KMedoidsResult full = kmedoids(data.view(), params);
    EXPECT_TRUE(full.converged);
    EXPECT_GE(best_exchange(distance, data.rows, medoids_of(full)), -tolerance);
  }
}

TEST(KMedoids, ASampleOfAllRowsIsFasterPam) {
  const Matrix data = clustered(400, 6, 3);
  KMedoidsParams params;
  params.clusters = 7;
  params.start = MedoidStart::kGiven;
  params.first = some_rows(400, 7, 1);
  const KMedoidsResult want = kmedoids(data.view(), params);
  params.method = MedoidMethod::kSampling;
  params.samples = 1;
  params.sample_size = 400;
  params.refine = 0;
  const KMedoidsResult got = kmedoids(data.view(), params);
  EXPECT_EQ(got.medoids, want.medoids);
  EXPECT_EQ(got.labels, want.labels);
  EXPECT_EQ(got.loss, want.loss);
}

TEST(KMedoids, TheMethodFollowsTheNumberOfRows) {
  const Matrix data = whole_numbers(kMedoidAutoRows + 1, 1, 1, 0, 1000);
  KMedoidsParams params;
  params.clusters = 2;
  params.iterations = 0;
  EXPECT_EQ(kmedoids(data.view(), params).method, MedoidMethod::kSampling);
  const MatrixView<const float> fewer(data.values.data(), kMedoidAutoRows, 1);
  EXPECT_EQ(kmedoids(fewer, params).method, MedoidMethod::kFasterPam);
}

TEST(KMedoids, TheSeedDecides) {
  const Matrix data = clustered(500, 3, 4);
  KMedoidsParams params;
  params.clusters = 6;
  params.iterations = 0;
  const KMedoidsResult one = kmedoids(data.view(), params);
  expect_same(kmedoids(data.view(), params), one);
  params.seed = 1;
  EXPECT_NE(kmedoids(data.view(), params).medoids, one.medoids);
}

TEST(KMedoids, LabBeginsNearerThanChance) {
  const Matrix data = clustered(3000, 8, 5);
  KMedoidsParams params;
  params.clusters = 9;
  params.iterations = 0;
  double chance = 0.0;
  double lab = 0.0;
  for (params.seed = 0; params.seed < 5; ++params.seed) {
    params.start = MedoidStart::kRandom;
    chance += kmedoids(data.view(), params).loss;
    params.start = MedoidStart::kLab;
    lab += kmedoids(data.view(), params).loss;
  }
  EXPECT_LT(lab, chance / 4);  // measured: a 23rd
}

TEST(KMedoids, EqualRows) {
  const Matrix data{50, 4, std::vector<float>(200, 0.3f)};
  for (const MedoidMetric metric : {MedoidMetric::kL2, MedoidMetric::kEuclidean}) {
    KMedoidsParams params;
    params.clusters = 3;
    params.metric = metric;
    const KMedoidsResult got = kmedoids(data.view(), params);
    EXPECT_EQ(got.loss, 0.0);
    EXPECT_EQ(got.swaps, 0u);
    EXPECT_TRUE(got.converged);
    EXPECT_EQ(got.labels, std::vector<std::uint32_t>(50, 0));  // ties go to the smaller row
  }
}

TEST(KMedoids, AnyLayout) {
  const Matrix data = whole_numbers(200, 8, 4, 0, 50);
  KMedoidsParams params;
  params.clusters = 5;
  const KMedoidsResult want = kmedoids(data.view(), params);
  // Backwards in memory, and as other types.
  std::vector<double> doubles(data.values.rbegin(), data.values.rend());
  expect_same(
      kmedoids({doubles.data() + doubles.size() - 1, ElementType::kFloat64, 200, 8, -64, -8},
               params),
      want);
  std::vector<std::uint8_t> bytes(data.values.begin(), data.values.end());
  expect_same(kmedoids({bytes.data(), ElementType::kUint8, 200, 8, 8, 1}, params), want);

  const Bits packed = bits(100, 11, 3);
  params.metric = MedoidMetric::kJaccard;
  const KMedoidsResult want_bits = kmedoids(packed.view(), params);
  std::vector<std::uint8_t> back(packed.values.rbegin(), packed.values.rend());
  expect_same(
      kmedoids({back.data() + back.size() - 1, ElementType::kUint8, 100, 11, -11, -1}, params),
      want_bits);
}

TEST(KMedoids, LongRowsUpToTheLimit) {
  Matrix data = clustered(20, 5, 1);
  for (float& x : data.values) x *= 1e18f;
  KMedoidsParams params;
  params.clusters = 3;
  for (const MedoidMetric metric : kFloatMetrics) {
    params.metric = metric;
    EXPECT_TRUE(std::isfinite(kmedoids(data.view(), params).loss)) << name(metric);
  }
  data.values[7 * 5 + 2] = 1e19f;
  for (const MedoidMetric metric : {MedoidMetric::kL2, MedoidMetric::kEuclidean}) {
    params.metric = metric;
    try {
      kmedoids(data.view(), params);
      FAIL() << name(metric);
    } catch (const ArgumentError& error) {
      EXPECT_NE(std::string(error.what()).find("vectors: row 7 has length 1"), std::string::npos)
          << error.what();
    }
  }
  params.metric = MedoidMetric::kCosine;
  EXPECT_TRUE(std::isfinite(kmedoids(data.view(), params).loss));
}

struct Mistake {
  const char* says;
  void (*make)(KMedoidsParams&);
};

TEST(KMedoids, Mistakes) {
  const Matrix data = clustered(30, 4, 1);
  const Mistake mistakes[] = {
      {"clusters must be from 1 to 30, the number of vectors, got 0",
       [](KMedoidsParams& p) { p.clusters = 0; }},
      {"clusters must be from 1 to 30, the number of vectors, got 31",
       [](KMedoidsParams& p) { p.clusters = 31; }},
      {"start has 2 rows; wanted one for each of 3 clusters",
       [](KMedoidsParams& p) {
         p.first = {1, 2};
       }},
      {"start holds row 2 twice",
       [](KMedoidsParams& p) {
         p.first = {2, 7, 2};
       }},
      {"start holds row 30; wanted 0 to 29",
       [](KMedoidsParams& p) {
         p.first = {2, 30, 1};
       }},
      {"start holds row -1; wanted 0 to 29",
       [](KMedoidsParams& p) {
         p.first = {-1, 3, 1};
       }},
      {"samples must be from 1", [](KMedoidsParams& p) { p.samples = 0; }},
      {"sample_size must be from 3 to 30, got 2", [](KMedoidsParams& p) { p.sample_size = 2; }},
      {"sample_size must be from 3 to 30, got 31", [](KMedoidsParams& p) { p.sample_size = 31; }},
      {"refine must be from 0 to 30, got 31", [](KMedoidsParams& p) { p.refine = 31; }},
      {"vectors holds float32; under hamming wanted uint8",
       [](KMedoidsParams& p) { p.metric = MedoidMetric::kHamming; }},
  };
  for (const Mistake& mistake : mistakes) {
    KMedoidsParams params;
    params.clusters = 3;
    mistake.make(params);
    if (!params.first.empty()) params.start = MedoidStart::kGiven;
    try {
      kmedoids(data.view(), params);
      FAIL() << mistake.says;
    } catch (const ArgumentError& error) {
      EXPECT_NE(std::string(error.what()).find(mistake.says), std::string::npos) << error.what();
    }
  }
}

TEST(KMedoids, BadRows) {
  Matrix data = clustered(30, 4, 1);
  KMedoidsParams params;
  params.clusters = 3;
  EXPECT_THROW(kmedoids(MatrixView<const float>(nullptr, 0, 4), params), ArgumentError);
  EXPECT_THROW(kmedoids(MatrixView<const float>(data.values.data(), 30, 0), params), ArgumentError);
  data.values[10] = std::numeric_limits<float>::quiet_NaN();
  for (const MedoidMetric metric : kFloatMetrics) {
    params.metric = metric;
    EXPECT_THROW(kmedoids(data.view(), params), ArgumentError);
  }
  std::fill_n(data.values.begin() + 8, 4, 0.0f);
  EXPECT_THROW(kmedoids(data.view(), params), ArgumentError);  // cosine
  params.metric = MedoidMetric::kL2;
  EXPECT_NO_THROW(kmedoids(data.view(), params));
}

TEST(KMedoids, ReportsAndStops) {
  const Matrix data = clustered(2000, 40, 3);
  for (const MedoidMethod method : {MedoidMethod::kFasterPam, MedoidMethod::kSampling}) {
    KMedoidsParams params;
    params.clusters = 20;
    params.method = method;
    params.start = MedoidStart::kLab;
    params.iterations = 1;
    RunOptions run;
    std::set<std::string> stages;
    run.progress = [&](const Progress& now) {
      EXPECT_LE(now.done, now.total);
      stages.insert(now.stage);
      return true;
    };
    const KMedoidsResult want = kmedoids(data.view(), params, run);
    const bool sampled = method == MedoidMethod::kSampling;
    EXPECT_EQ(stages.count("sampling"), sampled ? 1u : 0u);
    EXPECT_EQ(stages.count("starting"), sampled ? 0u : 1u);
    EXPECT_EQ(stages.count("pass 1"), 1u);
    for (const std::string& stage : stages) {
      run.progress = [&](const Progress& now) { return now.stage != stage; };
      EXPECT_THROW(kmedoids(data.view(), params, run), CancelledError) << stage;
    }
    run.progress = nullptr;
    expect_same(kmedoids(data.view(), params, run), want);
  }
}

}  // namespace
}  // namespace vicinal
