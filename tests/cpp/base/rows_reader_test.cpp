#include "base/rows_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

template <class T>
VectorsView dense(const std::vector<T>& data, ElementType type, std::size_t cols) {
  const auto size = static_cast<std::ptrdiff_t>(sizeof(T));
  return {data.data(), type, data.size() / cols, cols, static_cast<std::ptrdiff_t>(cols) * size,
          size};
}

std::string complaint(const VectorsView& view, bool unit, unsigned threads = 1) {
  RunOptions run;
  run.threads = threads;
  try {
    check_rows(view, "vectors", unit, run);
  } catch (const ArgumentError& e) {
    return e.what();
  }
  return "";
}

TEST(RowsReader, ReadsEveryTypeAtEveryStride) {
  // 6 x 5 numbers that every type holds, laid out as a larger array, read through odd windows.
  const auto check = [](auto zero, ElementType type) {
    using T = decltype(zero);
    std::vector<T> data(200);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<T>(i % 100);
    const auto s = static_cast<std::ptrdiff_t>(sizeof(T));
    for (std::ptrdiff_t row_step : {5, 10, -5, 1, 0}) {
      for (std::ptrdiff_t col_step : {1, 2, -1, 0}) {
        const std::ptrdiff_t start = 60;
        const VectorsView view(data.data() + start, type, 6, 5, row_step * s, col_step * s);
        std::vector<float> out(6 * 7, -1.0f);
        read_rows(view, 1, 6, out.data(), 7);
        for (std::ptrdiff_t r = 1; r < 6; ++r) {
          for (std::ptrdiff_t c = 0; c < 7; ++c) {
            const float want =
                c < 5 ? static_cast<float>((start + r * row_step + c * col_step) % 100) : -1.0f;
            EXPECT_EQ(out[static_cast<std::size_t>((r - 1) * 7 + c)], want) << r << " " << c;
          }
        }
      }
    }
  };
  check(double{}, ElementType::kFloat64);
  check(float{}, ElementType::kFloat32);
  check(std::int8_t{}, ElementType::kInt8);
  check(std::uint8_t{}, ElementType::kUint8);
}

TEST(RowsReader, EveryHalfIsExact) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<float> out(all.size());
  read_rows(dense(all, ElementType::kFloat16, 256), 0, 256, out.data(), 256);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const int exponent = (all[i] >> 10) & 31;
    const int mantissa = all[i] & 1023;
    const double sign = (all[i] & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31) {
      EXPECT_TRUE(mantissa == 0 ? out[i] == sign * kInf : std::isnan(out[i])) << i;
    } else {
      const double want =
          exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      EXPECT_EQ(out[i], sign * want) << i;
      EXPECT_EQ(std::signbit(out[i]), sign < 0) << i;
    }
  }
}

TEST(RowsReader, ReadsUnalignedData) {
  std::vector<char> bytes(1 + 12 * sizeof(float));
  for (int i = 0; i < 12; ++i) {
    const auto v = static_cast<float>(i);
    std::memcpy(bytes.data() + 1 + static_cast<std::size_t>(i) * sizeof v, &v, sizeof v);
  }
  const VectorsView view(bytes.data() + 1, ElementType::kFloat32, 3, 4, 16, 4);
  EXPECT_EQ(plain_floats(view), nullptr);
  float out[12];
  read_rows(view, 0, 3, out, 4);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(out[i], static_cast<float>(i));
  EXPECT_EQ(complaint(view, false), "");
}

TEST(RowsReader, PlainFloatsOnlyWithoutGaps) {
  const std::vector<float> data(24, 1.0f);
  EXPECT_EQ(plain_floats({data.data(), ElementType::kFloat32, 4, 6, 24, 4}), data.data());
  EXPECT_EQ(plain_floats({data.data(), ElementType::kFloat32, 1, 6, -999, 4}), data.data());
  EXPECT_EQ(plain_floats({data.data(), ElementType::kFloat32, 4, 3, 24, 4}), nullptr);
  EXPECT_EQ(plain_floats({data.data(), ElementType::kFloat32, 4, 6, 4, 16}), nullptr);
  EXPECT_EQ(plain_floats({data.data(), ElementType::kFloat64, 2, 6, 24, 4}), nullptr);
}

TEST(CheckRows, AcceptsExtremesThatFloatHolds) {
  const double most = std::numeric_limits<float>::max();
  EXPECT_EQ(
      complaint(dense(std::vector<double>{most, -most, 1e-45, -0.0}, ElementType::kFloat64, 2),
                true),
      "");
  // Rounds down to the largest float; half a step further on it would not.
  EXPECT_EQ(
      complaint(dense(std::vector<double>{most * (1 + 1e-9)}, ElementType::kFloat64, 1), false),
      "");
}

TEST(CheckRows, NamesRowColumnAndValue) {
  std::vector<double> d(12, 1.0);
  d[7] = kNan;
  EXPECT_EQ(complaint(dense(d, ElementType::kFloat64, 4), false),
            "vectors: row 1, column 3 is nan; every value must be finite");
  d[7] = 1e39;
  EXPECT_EQ(complaint(dense(d, ElementType::kFloat64, 4), false),
            "vectors: row 1, column 3 is 1e+39, beyond what float32 holds");
  std::vector<float> f(12, 1.0f);
  f[8] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(complaint(dense(f, ElementType::kFloat32, 4), false),
            "vectors: row 2, column 0 is -inf; every value must be finite");
  const std::vector<std::uint16_t> h{0x3C00, 0x7C00};
  EXPECT_EQ(complaint(dense(h, ElementType::kFloat16, 1), false),
            "vectors: row 1, column 0 is inf; every value must be finite");
}

TEST(CheckRows, ZeroRowsMatterOnlyUnderCosine) {
  const std::string want =
      "vectors: row 1 is zero in every column; under cosine a vector needs a direction";
  const std::vector<float> f{1, 0, 0, -0.0f, 0, 1};
  EXPECT_EQ(complaint(dense(f, ElementType::kFloat32, 2), true), want);
  EXPECT_EQ(complaint(dense(f, ElementType::kFloat32, 2), false), "");
  const std::vector<double> tiny{1, 1, 1e-60, 0};  // zero once it is float32
  EXPECT_EQ(complaint(dense(tiny, ElementType::kFloat64, 2), true), want);
  const std::vector<std::int8_t> i{-1, 0, 0, 0};
  EXPECT_EQ(complaint(dense(i, ElementType::kInt8, 2), true), want);
  EXPECT_EQ(complaint(dense(i, ElementType::kInt8, 2), false), "");
}

TEST(CheckRows, NamesTheFirstBadRowForAnyNumberOfThreads) {
  std::vector<float> data(20'000 * 32, 1.0f);
  for (std::size_t r : {19'999u, 15'000u, 9'001u, 9'000u}) {
    data[r * 32 + 31] = std::numeric_limits<float>::quiet_NaN();
    const std::string want =
        "vectors: row " + std::to_string(r) + ", column 31 is nan; every value must be finite";
    for (unsigned threads : {1u, 2u, 4u}) {
      EXPECT_EQ(complaint(dense(data, ElementType::kFloat32, 32), false, threads), want);
      EXPECT_EQ(complaint(dense(data, ElementType::kFloat32, 32), true, threads), want);
      // The same rows through a stride: the converting way.
      const VectorsView window(data.data() + 1, ElementType::kFloat32, 20'000, 31, 128, 4);
      EXPECT_NE(complaint(window, true, threads).find("row " + std::to_string(r) + ", column 30"),
                std::string::npos);
    }
  }
}

TEST(NormalizeRows, UnitLengthAtEveryScaleAndTail) {
  for (std::size_t dim : {1u, 2u, 7u, 8u, 9u, 31u, 384u, 1000u}) {
    for (float scale : {1e-44f, 1e-30f, 1.0f, 1e30f, 3e38f}) {
      const std::size_t stride = dim + 3;
      std::vector<float> rows(2 * stride, 5.0f);
      for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t c = 0; c < dim; ++c) {
          rows[r * stride + c] = static_cast<float>(random_unit(1, r, c)) * scale;
        }
      }
      const std::vector<float> before = rows;
      normalize_rows(rows.data(), 2, dim, stride);
      for (std::size_t r = 0; r < 2; ++r) {
        double norm2 = 0.0;
        double old2 = 0.0;
        for (std::size_t c = 0; c < dim; ++c) {
          norm2 += static_cast<double>(rows[r * stride + c]) * rows[r * stride + c];
          old2 += static_cast<double>(before[r * stride + c]) * before[r * stride + c];
        }
        EXPECT_NEAR(std::sqrt(norm2), 1.0, 2e-7)
            << dim << " " << scale;  // a rounding per coordinate
        EXPECT_NEAR(rows[r * stride], before[r * stride] / std::sqrt(old2), 1e-7);
        EXPECT_EQ(rows[r * stride + dim], 5.0f);  // the gap is left alone
      }
    }
  }
}

}  // namespace
}  // namespace vicinal
