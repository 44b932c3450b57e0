#include "kernels/packed_bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/table.h"
#include "support/guarded.h"
#include "support/isa_name.h"
#include "support/packed_reference.h"

namespace vicinal {
namespace {

using kernels::PackedFactors;
using test::PackedCase;
using test::PlaneShape;

class Packed : public testing::TestWithParam<const kernels::Table*> {};

const std::vector<std::vector<PlaneShape>>& shapes() {
  static const std::vector<std::vector<PlaneShape>> all = {
      {{1, false, 2}},
      {{2, false, 2}},
      {{2, true, 1}},
      {{4, false, 2}},
      {{4, true, 1}},
      {{8, false, 2}},
      {{2, false, 4}, {1, false, 2}},
      {{4, false, 4}, {1, false, 2}},
      {{4, false, 8}, {2, false, 2}},
      {{4, false, 16}, {2, false, 4}, {1, false, 2}},
      {{4, false, 255, true}, {8, false, 1}},
  };
  return all;
}

std::vector<std::size_t> dims() {
  std::vector<std::size_t> all;
  for (std::size_t dim = 1; dim <= 130; ++dim) all.push_back(dim);
  for (const std::size_t dim : {191, 255, 256, 257, 384, 511, 512, 513, 784, 1000, 1025, 1600}) {
    all.push_back(dim);
  }
  return all;
}

const kernels::PackedKernels& scalar() { return *kernels::available().back()->packed; }

constexpr std::size_t kRows = 9;

TEST_P(Packed, ScoresEveryShapeAtEveryTail) {
  const kernels::PackedKernels& level = *GetParam()->packed;
  constexpr PackedFactors kFactors[] = {PackedFactors::kNone, PackedFactors::kShort,
                                        PackedFactors::kFloat};
  std::uint64_t seed = 0;
  for (const std::size_t dim : dims()) {
    for (const auto& shape : shapes()) {
      for (const unsigned digits : {1u, 3u}) {
        ++seed;
        const PackedFactors factors =
            shape[0].wide ? PackedFactors::kScalarRow : kFactors[seed / 2 % 3];
        const PackedCase c(dim, shape, digits, factors, seed % 5 < 3, kRows, seed);
        const std::size_t which = digits == 1 ? 0 : 1;
        float got[kRows], plain[kRows];
        level.block[which](&c.query(), c.rows(), c.stride(), kRows, c.bytes(), got);
        scalar().block[which](&c.query(), c.rows(), c.stride(), kRows, c.bytes(), plain);
        ASSERT_EQ(std::memcmp(got, plain, sizeof got), 0) << "dim " << dim << " seed " << seed;
        for (std::size_t r = 0; r < kRows; ++r) {
          const auto want = c.want(r);
          ASSERT_NEAR(got[r], want.score, want.tolerance)
              << "dim " << dim << " planes " << shape.size() << " of " << shape[0].width
              << " bits, digits " << digits << ", row " << r;
        }
        const std::uint32_t ids[] = {8, 0, 3, 3, 1, 7};
        float gathered[6];
        level.ids[which](&c.query(), c.rows(), c.stride(), ids, 6, c.bytes(), 4, gathered);
        for (std::size_t i = 0; i < 6; ++i) ASSERT_EQ(gathered[i], got[ids[i]]) << "dim " << dim;
      }
    }
  }
}

// The widest sums there are: every code and every number of the query at its end.
TEST_P(Packed, HoldsTheLargestSums) {
  const kernels::PackedKernels& level = *GetParam()->packed;
  const std::vector<std::vector<PlaneShape>> widest = {
      {{8, false, 2}}, {{4, true, 1}}, {{4, false, 16}, {2, false, 4}, {1, false, 2}}};
  for (const auto& shape : widest) {
    PackedCase c(32768, shape, 1, PackedFactors::kNone, false, 4, 1, true);
    c.query().bias = 0.0f;
    c.query().scale = 1.0f;
    float got[4];
    level.block[0](&c.query(), c.rows(), c.stride(), 4, c.bytes(), got);
    for (std::size_t r = 0; r < 4; ++r) EXPECT_EQ(got[r], static_cast<float>(c.dot(r, 0)));
  }
}

TEST_P(Packed, NeverScoresBelowTheLeast) {
  const kernels::PackedKernels& level = *GetParam()->packed;
  PackedCase c(100, {{1, false, 2}}, 1, PackedFactors::kShort, false, kRows, 3);
  c.query().least = -std::numeric_limits<float>::infinity();
  float free[kRows], bound[kRows];
  level.block[0](&c.query(), c.rows(), c.stride(), kRows, c.bytes(), free);
  c.query().least = free[4];
  level.block[0](&c.query(), c.rows(), c.stride(), kRows, c.bytes(), bound);
  for (std::size_t r = 0; r < kRows; ++r) EXPECT_EQ(bound[r], std::fmax(free[r], free[4]));
}

TEST_P(Packed, ScoresFloat8AtEveryTail) {
  const kernels::PackedKernels& level = *GetParam()->packed;
  for (const std::size_t dim : dims()) {
    for (const bool adds : {false, true}) {
      std::mt19937_64 random(dim);
      const std::size_t bytes = dim + (adds ? 8 : 4), stride = (bytes + 15) / 16 * 16;
      auto rows = test::guarded_bytes(kRows * stride, dim);
      test::Guarded<float> values((dim + 63) / 64 * 64);
      for (std::size_t i = 0; i < dim; ++i) {
        values[i] = static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f;
      }
      kernels::Float8Query q{};
      q.values = values.data();
      q.bias = 0.75f;
      q.scale = -512.0f;
      q.least = -1e30f;
      q.adds = adds ? 1 : 0;
      q.dim = static_cast<std::uint32_t>(dim);
      double want[kRows], tolerance[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        std::byte* row = rows.data() + r * stride;
        double dot = 0, size = 0;
        for (std::size_t i = 0; i < dim; ++i) {
          // The code of "not a number" never occurs: its place in the exponents is used up to 448.
          if ((row[i] & std::byte{0x7F}) == std::byte{0x7F}) row[i] = std::byte{0x7E};
          const double term =
              double{values[i]} * test::float8_reference(static_cast<std::uint8_t>(row[i]));
          dot += term;
          size += std::fabs(term);
        }
        const float factor = 0.01f * static_cast<float>(r + 1), norm = static_cast<float>(r);
        std::memcpy(row + dim, &factor, 4);
        if (adds) std::memcpy(row + dim + 4, &norm, 4);
        want[r] = 0.75 + (adds ? r : 0) - 2 * double{factor} * dot;
        // dim products and sums of the magnitudes `size`, then four more steps.
        tolerance[r] = (2 * double{factor} * size * (static_cast<double>(dim) + 8) + 80) * 0x1p-24;
      }
      float got[kRows];
      level.float8_block(&q, rows.data(), stride, kRows, bytes, got);
      for (std::size_t r = 0; r < kRows; ++r) {
        ASSERT_NEAR(got[r], want[r], tolerance[r]) << "dim " << dim << " row " << r;
      }
      const std::uint32_t ids[] = {8, 0, 3, 3, 1, 7};
      float gathered[6];
      level.float8_ids(&q, rows.data(), stride, ids, 6, bytes, 4, gathered);
      for (std::size_t i = 0; i < 6; ++i) ASSERT_EQ(gathered[i], got[ids[i]]) << "dim " << dim;
    }
  }
}

TEST_P(Packed, FinishesBlocks) {
  const kernels::PackedKernels& level = *GetParam()->packed;
  std::mt19937_64 random(5);
  const auto uniform = [&] { return static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f; };
  for (const PackedFactors factors :
       {PackedFactors::kNone, PackedFactors::kShort, PackedFactors::kFloat}) {
    for (const bool adds : {false, true}) {
      for (std::size_t passes = 1; passes <= 4; ++passes) {
        kernels::PackedFinish how{};
        how.bias = uniform();
        how.least = -2.0f;
        how.add_scale = uniform();
        how.offset = uniform();
        how.passes = passes;
        how.sums_stride = 40;
        std::vector<std::uint32_t> sums(40 * passes);
        for (std::size_t p = 0; p < passes; ++p) how.scale[p] = 1e-5f * uniform();
        for (std::uint32_t& sum : sums) sum = static_cast<std::uint32_t>(random() % 3000000);
        const std::size_t size = factors == PackedFactors::kShort ? 2 : 4;
        test::Guarded<std::byte> mul(32 * size), add(32 * size);
        double muls[32], added[32];
        for (std::size_t i = 0; i < 32; ++i) {
          if (factors == PackedFactors::kShort) {
            const auto m = static_cast<std::uint16_t>(126 << 8 | random() % 256);
            const auto a = static_cast<std::uint16_t>(127 << 7 | random() % 128);
            std::memcpy(mul.data() + 2 * i, &m, 2);
            std::memcpy(add.data() + 2 * i, &a, 2);
            muls[i] = std::ldexp(256 + m % 256, -9);
            added[i] = std::ldexp(128 + a % 128, -7);
          } else {
            const float m = uniform(), a = uniform();
            std::memcpy(mul.data() + 4 * i, &m, 4);
            std::memcpy(add.data() + 4 * i, &a, 4);
            muls[i] = m;
            added[i] = a;
          }
        }
        const bool none = factors == PackedFactors::kNone;
        test::Guarded<float> got(32), plain(32);
        level.finish(how, sums.data(), factors, none ? nullptr : mul.data(),
                     adds && !none ? add.data() : nullptr, got.data());
        scalar().finish(how, sums.data(), factors, none ? nullptr : mul.data(),
                        adds && !none ? add.data() : nullptr, plain.data());
        EXPECT_EQ(std::memcmp(got.data(), plain.data(), 32 * sizeof(float)), 0);
        for (std::size_t i = 0; i < 32; ++i) {
          double dot = how.offset, most = std::fabs(how.offset);
          for (std::size_t p = 0; p < passes; ++p) {
            dot += double{how.scale[p]} * sums[40 * p + i];
            most += std::fabs(double{how.scale[p]} * sums[40 * p + i]);
          }
          double want = how.bias + (none ? dot : muls[i] * dot);
          if (adds && !none) want += double{how.add_scale} * added[i];
          EXPECT_NEAR(got[i], std::fmax(want, -2.0), (most + 4) * 12 * 0x1p-24);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Packed, testing::ValuesIn(kernels::available()), test::isa_name);

}  // namespace
}  // namespace vicinal
