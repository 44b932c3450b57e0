#include "quantizers/float8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/buffer.h"
#include "support/packed_reference.h"
#include "support/vectors.h"

namespace vicinal::quantizers {
namespace {

TEST(Float8, HasTheValuesOfE4m3) {
  for (unsigned code = 0; code < 256; ++code) {
    const auto c = static_cast<std::uint8_t>(code);
    EXPECT_EQ(from_float8(c), test::float8_reference(c));
    if ((code & 127) != 127) EXPECT_EQ(to_float8(from_float8(c)), c);
  }
}

TEST(Float8, RoundsToTheNearestEven) {
  const auto check = [](float x) {
    const double got = test::float8_reference(to_float8(x));
    for (unsigned code = 0; code < 255; ++code) {
      if ((code & 127) == 127) continue;
      const double other = test::float8_reference(static_cast<std::uint8_t>(code));
      ASSERT_LE(std::fabs(got - x), std::fabs(other - x)) << x;
      if (other != got && std::fabs(got - x) == std::fabs(other - x)) {
        ASSERT_EQ(to_float8(x) % 2, 0) << x;
      }
    }
  };
  for (unsigned code = 0; code + 1 < 127; ++code) {
    const double low = test::float8_reference(static_cast<std::uint8_t>(code));
    const double high = test::float8_reference(static_cast<std::uint8_t>(code + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    for (const float x : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e9f)}) {
      check(x);
      check(-x);
    }
  }
  EXPECT_EQ(to_float8(449.0f), 0x7E);
  EXPECT_EQ(to_float8(-1e30f), 0xFE);
  EXPECT_EQ(to_float8(0.0f), 0);
}

TEST(Float8, ScoresAsTheDecodedRowsSay) {
  for (const std::size_t dim : {1, 2, 15, 16, 17, 63, 64, 100, 127, 129, 384, 785}) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      auto rows = test::normal_vectors(9, dim, dim);
      for (std::size_t d = 0; d < dim; ++d) rows[dim + d] *= 1e6f, rows[2 * dim + d] *= 1e-30f;
      std::fill(rows.begin() + 3 * static_cast<std::ptrdiff_t>(dim),
                rows.begin() + 4 * static_cast<std::ptrdiff_t>(dim), 0.0f);
      const auto query = test::normal_vectors(1, dim, 1000 + dim);
      const auto codec = train_float8(CodecKind::kFloat8, dim, metric, {});
      EXPECT_EQ(codec->bytes(), dim + (metric == Metric::kL2 ? 8 : 4));
      const Buffer stored = [&] {
        Buffer made = Buffer::allocate(9 * codec->stride());
        codec->encode(rows.data(), dim, 9, made.mutable_data());
        return made;
      }();
      std::vector<float> back(9 * dim);
      codec->decode(stored.data(), 9, back.data(), dim);
      Query q;
      codec->prepare(query.data(), Precision::kFast, q);
      float got[9];
      q.score_block(stored.data(), 9, got);
      for (std::size_t i = 0; i < 9; ++i) {
        const float* y = back.data() + i * dim;
        float largest = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          largest = std::max(largest, std::fabs(rows[i * dim + d]));
        }
        for (std::size_t d = 0; d < dim; ++d) {
          const double x = rows[i * dim + d];
          // Half a step of 3 bits; below 2^-6 / 448 of the largest, half of its step.
          EXPECT_NEAR(y[d], x,
                      std::fmax(std::fabs(x) / 16, double{largest} / 448 / 1024) * 1.00001);
        }
        const double norm = test::dot_of(y, y, dim) + test::dot_of(query.data(), query.data(), dim);
        const double want = metric == Metric::kL2 ? test::squared_distance_of(query.data(), y, dim)
                                                  : -test::dot_of(query.data(), y, dim);
        // Sums of dim terms that add up to less than the norms, each rounded.
        EXPECT_NEAR(got[i], want, norm * static_cast<double>(dim + 8) * 0x1p-23) << "dim " << dim;
      }
      const std::uint32_t ids[] = {8, 0, 3, 3, 1};
      float scores[5];
      q.score_ids(stored.data(), ids, 5, scores);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(scores[i], got[ids[i]]) << "dim " << dim;
      codec->prepare_row(stored.data(), q);
      q.score_block(stored.data(), 1, got);
      if (metric == Metric::kL2) EXPECT_LE(got[0], codec->twin_limit(stored.data())) << dim;
    }
  }
}

}  // namespace
}  // namespace vicinal::quantizers
