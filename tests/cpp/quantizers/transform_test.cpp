#include "vicinal/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/transform_matrices.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using test::Matrix;
using test::random_floats;
using test::reflection;
using test::triangular;

constexpr double kRound = 0x1p-23;  // a product and a sum of float32: half of it each

Transform made(const Matrix& data, const std::vector<float>& offset = {}) {
  const std::vector<float> values = data.floats();
  return Transform({values.data(), data.rows, data.cols}, {}, offset);
}

Transform made(const Matrix& data, const Matrix& query, const std::vector<float>& offset = {}) {
  const std::vector<float> a = data.floats(), b = query.floats();
  return Transform({a.data(), data.rows, data.cols}, {b.data(), query.rows, query.cols}, offset);
}

std::vector<float> data_of(const Transform& transform, const std::vector<float>& rows,
                           unsigned threads = 1) {
  const std::size_t n = rows.size() / transform.in();
  std::vector<float> out(n * transform.out());
  RunOptions run;
  run.threads = threads;
  transform.data(MatrixView<const float>(rows.data(), n, transform.in()),
                 {out.data(), n, transform.out()}, run);
  return out;
}

double dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double apart(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return sum;
}

TEST(Transform, AppliesItsMatrixAndOffsetAtEveryTail) {
  const std::pair<std::size_t, std::size_t> shapes[] = {{1, 1},   {3, 1},   {1, 5},    {16, 15},
                                                        {15, 17}, {64, 64}, {33, 130}, {200, 384}};
  for (const auto& [out, in] : shapes) {
    const std::vector<float> a = random_floats(out * in, 1), o = random_floats(in, 2);
    const std::vector<float> rows = random_floats(11 * in, 3);
    const Transform transform({a.data(), out, in}, {}, o);
    const std::vector<float> got = data_of(transform, rows);
    for (std::size_t r = 0; r < 11; ++r) {
      for (std::size_t j = 0; j < out; ++j) {
        double want = 0, size = 0;
        for (std::size_t i = 0; i < in; ++i) {
          const double term = a[j * in + i] * (static_cast<double>(rows[r * in + i]) - o[i]);
          want += term;
          size += std::fabs(term);
        }
        // One rounding of the difference, and of each of `in` products and sums.
        EXPECT_NEAR(got[r * out + j], want, size * kRound * static_cast<double>(in + 8))
            << out << " x " << in << ", row " << r << ", column " << j;
      }
    }
  }
}

TEST(Transform, GivesTheSameForAnyNumberOfThreadsAndRowsTogether) {
  const Transform transform = made(reflection(100, 40, 100, 1), random_floats(100, 2));
  const std::vector<float> rows = random_floats(300 * 100, 3);
  const std::vector<float> one = data_of(transform, rows), four = data_of(transform, rows, 4);
  EXPECT_EQ(std::memcmp(one.data(), four.data(), one.size() * sizeof(float)), 0);
  for (std::size_t r = 0; r < 300; r += 37) {
    const std::vector<float> alone =
        data_of(transform, {rows.begin() + static_cast<std::ptrdiff_t>(r * 100),
                            rows.begin() + static_cast<std::ptrdiff_t>((r + 1) * 100)});
    EXPECT_EQ(std::memcmp(alone.data(), one.data() + r * 40, 40 * sizeof(float)), 0) << r;
  }
}

TEST(Transform, ReadsAnyTypeAndStride) {
  const Transform transform = made(reflection(9, 9, 9, 1));
  const std::vector<float> rows = random_floats(5 * 9, 2);
  const std::vector<float> want = data_of(transform, rows);
  std::vector<double> wide(5 * 20, 77.0);  // every second column of rows that run backwards
  for (std::size_t r = 0; r < 5; ++r) {
    for (std::size_t c = 0; c < 9; ++c) wide[(4 - r) * 20 + 2 * c] = rows[r * 9 + c];
  }
  std::vector<float> got(5 * 9);
  transform.data(VectorsView(wide.data() + 80, ElementType::kFloat64, 5, 9, -160, 16),
                 {got.data(), 5, 9});
  EXPECT_EQ(got, want);
}

TEST(Transform, KnowsWhichDistancesItKeeps) {
  struct Case {
    const char* what;
    Transform transform;
    bool fits_l2, exact_l2, exact_ip;
  };
  const test::Pair pair = triangular(40, 1);
  Matrix scaled = reflection(40, 40, 40, 1);
  for (double& x : scaled.values) x *= 1.01;
  const Case cases[] = {
      {"rotation", made(reflection(40, 40, 40, 1)), true, true, true},
      {"rotation, twice", made(reflection(40, 40, 40, 1), reflection(40, 40, 40, 1)), true, true,
       true},
      {"fast rotation", Transform::rotation(40, 1), true, true, true},
      {"fewer dimensions", made(reflection(40, 30, 40, 1)), true, false, false},
      {"more dimensions", made(reflection(40, 40, 30, 1)), true, true, true},
      {"whitening", made(pair.data, pair.query), false, false, true},
      {"whitening without its query side", made(pair.data), false, false, false},
      {"whitening the wrong way round", made(pair.data, pair.data), false, false, false},
      {"two rotations", made(reflection(40, 40, 40, 1), reflection(40, 40, 40, 2)), false, false,
       false},
      {"a longer rotation", made(scaled), false, false, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(c.transform.fits(Metric::kL2), c.fits_l2) << c.what;
    EXPECT_EQ(c.transform.exact(Metric::kL2), c.exact_l2) << c.what;
    EXPECT_TRUE(c.transform.fits(Metric::kInnerProduct)) << c.what;
    EXPECT_EQ(c.transform.exact(Metric::kInnerProduct), c.exact_ip) << c.what;
    EXPECT_EQ(c.transform.exact(Metric::kCosine), c.exact_ip) << c.what;
  }
}

// Scores in the new space plus the shift are those of what a transformed row stands for.
TEST(Transform, ShiftsMakeScoresThoseOfTheInverse) {
  const test::Pair pair = triangular(50, 1);
  const std::vector<float> offset = random_floats(50, 2);
  const Transform cases[] = {
      made(reflection(50, 50, 50, 3), offset), made(reflection(50, 20, 50, 3), offset),
      made(reflection(60, 60, 50, 3), offset), made(pair.data, pair.query, offset),
      made(reflection(50, 50, 50, 3)),         Transform::rotation(50, 3)};
  const std::vector<float> rows = random_floats(6 * 50, 4), queries = random_floats(3 * 50, 5);
  for (const Transform& transform : cases) {
    const std::size_t out = transform.out();
    const std::vector<float> images = data_of(transform, rows);
    std::vector<float> back(6 * 50);
    transform.inverse(MatrixView<const float>(images.data(), 6, out), {back.data(), 6, 50});
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
      if (!transform.fits(metric)) continue;
      std::vector<float> asked(3 * out), shifts(3);
      transform.queries(MatrixView<const float>(queries.data(), 3, 50), metric,
                        {asked.data(), 3, out}, shifts.data());
      for (std::size_t q = 0; q < 3; ++q) {
        for (std::size_t r = 0; r < 6; ++r) {
          const float* a = asked.data() + q * out;
          const float* y = images.data() + r * out;
          const float* x = back.data() + r * 50;
          const bool l2 = metric == Metric::kL2;
          const double got = shifts[q] + (l2 ? apart(a, y, out) : -dot(a, y, out));
          const double want =
              l2 ? apart(queries.data() + q * 50, x, 50) : -dot(queries.data() + q * 50, x, 50);
          // Values below 2 go through two sums of 50 terms and are squared and added.
          EXPECT_NEAR(got, want, 4 * 50 * 3 * 58 * kRound) << name(metric) << ", out " << out;
          if (transform.exact(metric)) {
            const float* row = rows.data() + r * 50;
            const double true_score = l2 ? apart(queries.data() + q * 50, row, 50)
                                         : -dot(queries.data() + q * 50, row, 50);
            EXPECT_NEAR(got, true_score, 4 * 50 * 3 * 58 * kRound) << name(metric);
          }
        }
      }
    }
  }
}

TEST(Transform, GivesItsMatricesBack) {
  const test::Pair pair = triangular(17, 1);
  const std::vector<float> offset = random_floats(17, 2);
  const Transform transform = made(pair.data, pair.query, offset);
  EXPECT_EQ(transform.data_matrix(), pair.data.floats());
  EXPECT_EQ(transform.query_matrix(), pair.query.floats());
  EXPECT_EQ(transform.offset(), offset);
  EXPECT_EQ(made(pair.data).query_matrix(), pair.data.floats());
  EXPECT_EQ(made(pair.data).offset(), std::vector<float>(17));
}

TEST(Transform, TurnsFastAsItsMatrixSays) {
  for (const std::size_t dim : {1, 2, 5, 64, 100}) {
    const Transform fast = Transform::rotation(dim, 7);
    EXPECT_TRUE(fast.fast());
    EXPECT_EQ(fast.seed(), 7u);
    const std::vector<float> matrix = fast.data_matrix();
    EXPECT_EQ(fast.query_matrix(), matrix);
    EXPECT_EQ(fast.offset(), std::vector<float>(dim));
    const Transform dense(MatrixView<const float>(matrix.data(), dim, dim));
    EXPECT_FALSE(dense.fast());
    EXPECT_TRUE(dense.exact(Metric::kL2));
    const std::vector<float> rows = random_floats(3 * dim, 1);
    const std::vector<float> a = data_of(fast, rows), b = data_of(dense, rows);
    // Unit rows against values below 1: sums of at most sqrt(dim), some roundings in each.
    const double tolerance = std::sqrt(static_cast<double>(dim)) * kRound * (dim + 40.0);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << dim;
    EXPECT_EQ(data_of(Transform::rotation(dim, 7), rows), a);
    if (dim > 2) {
      EXPECT_NE(data_of(Transform::rotation(dim, 8), rows), a);
    }
  }
  EXPECT_THROW(Transform::rotation(0, 1), ArgumentError);
  EXPECT_THROW(Transform::rotation(kMaxDim + 1, 1), ArgumentError);
}

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Transform, RefusesShapesAndNumbersThatMakeNoSense) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> good(6, 1.0f);
  std::vector<float> bad = good;
  bad[4] = nan;
  const auto view = [](const std::vector<float>& v, std::size_t rows, std::size_t cols) {
    return MatrixView<const float>(v.data(), rows, cols);
  };
  EXPECT_EQ(refusal([&] { Transform(view(good, 0, 6)); }),
            "data is 0 x 6; wanted 1 to 32768 rows and columns");
  EXPECT_EQ(refusal([&] { Transform(view(good, 1, kMaxDim + 1)); }),
            "data is 1 x 32769; wanted 1 to 32768 rows and columns");
  EXPECT_EQ(refusal([&] { Transform(view(good, 2, 3), view(good, 3, 2)); }),
            "query is 3 x 2; wanted 2 x 3 as data is");
  EXPECT_EQ(refusal([&] {
              Transform(view(good, 2, 3), {}, {1, 2});
            }),
            "offset has 2 numbers; wanted 3, one for each column of data");
  EXPECT_EQ(refusal([&] { Transform(view(bad, 2, 3)); }),
            "data holds nan in row 1, column 1; wanted finite numbers");
  EXPECT_EQ(refusal([&] { Transform(view(good, 2, 3), view(bad, 2, 3)); }),
            "query holds nan in row 1, column 1; wanted finite numbers");
  EXPECT_EQ(refusal([&] {
              Transform(view(good, 2, 3), {}, {1, 2, nan});
            }),
            "offset holds nan in row 0, column 2; wanted finite numbers");
}

TEST(Transform, RefusesVectorsThatDoNotFit) {
  const Transform transform = made(reflection(4, 2, 4, 1));
  std::vector<float> rows(100 * 4, 1.0f), out(100 * 4);
  EXPECT_THROW(transform.data(MatrixView<const float>(rows.data(), 1, 3), {out.data(), 1, 2}),
               DimensionError);
  EXPECT_THROW(transform.inverse(MatrixView<const float>(rows.data(), 1, 4), {out.data(), 1, 4}),
               DimensionError);
  rows[70 * 4 + 3] = std::numeric_limits<float>::infinity();
  const auto apply = [&] {
    transform.data(MatrixView<const float>(rows.data(), 100, 4), {out.data(), 100, 2});
  };
  EXPECT_NE(refusal(apply).find("row 70"), std::string::npos) << refusal(apply);
  // Finite, but its image is not.
  Matrix large(1, 4);
  for (double& x : large.values) x = 1e30;
  const Transform grows = made(large);
  for (float& x : rows) x = 1.0f;
  rows[70 * 4] = rows[90 * 4] = 1e20f;
  const auto overflow = [&](unsigned threads) {
    RunOptions run;
    run.threads = threads;
    return refusal([&] {
      grows.data(MatrixView<const float>(rows.data(), 100, 4), {out.data(), 100, 1}, run);
    });
  };
  EXPECT_EQ(overflow(1), "vectors row 70 is too large: after the transform float32 cannot hold it");
  EXPECT_EQ(overflow(4), overflow(1));
  EXPECT_THROW(grows.queries(MatrixView<const float>(rows.data(), 100, 4), Metric::kInnerProduct,
                             {out.data(), 100, 1}),
               ArgumentError);
  EXPECT_NE(
      refusal([&] {
        grows.queries(MatrixView<const float>(rows.data(), 1, 4), Metric::kL2, {out.data(), 1, 1});
      }).find("l2"),
      std::string::npos);
}

}  // namespace
}  // namespace vicinal
