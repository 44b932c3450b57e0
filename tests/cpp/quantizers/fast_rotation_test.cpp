#include "quantizers/fast_rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/vectors.h"

namespace vicinal::quantizers {
namespace {

std::vector<std::size_t> dims() {
  std::vector<std::size_t> all;
  for (std::size_t dim = 1; dim <= 130; ++dim) all.push_back(dim);
  for (const std::size_t dim : {255, 256, 257, 384, 784, 1000, 1536}) all.push_back(dim);
  return all;
}

TEST(FastRotation, KeepsInnerProducts) {
  for (const std::size_t dim : dims()) {
    const FastRotation rotation(dim, 7);
    const auto in = test::normal_vectors(2, dim, dim);
    std::vector<float> out(2 * dim);
    rotation.apply(in.data(), out.data());
    rotation.apply(in.data() + dim, out.data() + dim);
    const float* a = in.data();
    const float* b = a + dim;
    const double size = std::sqrt(test::dot_of(a, a, dim) * test::dot_of(b, b, dim));
    // Some 4 (2 + log2 dim) steps per number, each rounded.
    const double rounding = size * 4 * (3 + std::log2(dim)) * 0x1p-23;
    EXPECT_NEAR(test::dot_of(out.data(), out.data() + dim, dim), test::dot_of(a, b, dim), rounding)
        << "dim " << dim;
    EXPECT_NEAR(test::dot_of(out.data(), out.data(), dim), test::dot_of(a, a, dim),
                test::dot_of(a, a, dim) * 4 * (3 + std::log2(dim)) * 0x1p-23);
  }
}

TEST(FastRotation, ComesBackByItsTranspose) {
  for (const std::size_t dim : dims()) {
    const FastRotation rotation(dim, 11);
    const auto in = test::normal_vectors(1, dim, dim);
    std::vector<float> there(dim), back(dim), in_place(in);
    rotation.apply(in.data(), there.data());
    rotation.apply(in_place.data(), in_place.data());
    EXPECT_EQ(there, in_place) << "dim " << dim;
    rotation.apply_transposed(there.data(), back.data());
    rotation.apply_transposed(in_place.data(), in_place.data());
    EXPECT_EQ(back, in_place) << "dim " << dim;
    const double norm = std::sqrt(test::dot_of(in.data(), in.data(), dim));
    for (std::size_t d = 0; d < dim; ++d) {
      EXPECT_NEAR(back[d], in[d], norm * 8 * (3 + std::log2(dim)) * 0x1p-23) << "dim " << dim;
    }
  }
}

TEST(FastRotation, DependsOnTheSeedAlone) {
  const auto in = test::normal_vectors(1, 100, 1);
  std::vector<float> a(100), b(100), c(100);
  FastRotation(100, 5).apply(in.data(), a.data());
  FastRotation(100, 5).apply(in.data(), b.data());
  FastRotation(100, 6).apply(in.data(), c.data());
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

// What codes assume: whatever the vector was, its numbers end up like those of a normal
// distribution. One dimension alone is the hardest: nothing averages by itself.
TEST(FastRotation, SpreadsOneDimensionOverAll) {
  for (const std::size_t dim : {96, 128, 200, 384, 520, 784}) {
    double fourth = 0, largest = 0;
    std::size_t count = 0;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const FastRotation rotation(dim, seed);
      std::vector<float> x(dim);
      for (std::size_t axis = 0; axis < dim; axis += 5) {
        std::fill(x.begin(), x.end(), 0.0f);
        x[axis] = 1.0f;
        rotation.apply(x.data(), x.data());
        for (const float y : x) {
          const double z = y * std::sqrt(static_cast<double>(dim));
          fourth += z * z * z * z;
          largest = std::max(largest, std::fabs(z));
          ++count;
        }
      }
    }
    // 3 for a normal distribution; numbers that a few values dominate have more.
    EXPECT_NEAR(fourth / static_cast<double>(count), 3.0, 0.3) << "dim " << dim;
    EXPECT_LT(largest, 6.5) << "dim " << dim;
  }
}

}  // namespace
}  // namespace vicinal::quantizers
