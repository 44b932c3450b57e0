#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/packed_bits.h"
#include "kernels/table.h"
#include "support/isa_name.h"
#include "support/row_reference.h"

namespace vicinal {
namespace {

using kernels::Rank;
using kernels::RowType;

constexpr RowType kTypes[] = {RowType::kF32, RowType::kF16,    RowType::kBf16,
                              RowType::kI8,  RowType::kU8,     RowType::kSq8,
                              RowType::kSq4, RowType::kSq8Int, RowType::kSq4Int};
constexpr const char* kTypeNames[] = {"f32", "f16", "bf16",   "i8",    "u8",
                                      "sq8", "sq4", "sq8int", "sq4int"};

const char* type_name(RowType type) { return kTypeNames[static_cast<std::size_t>(type)]; }

std::vector<std::size_t> some_dims() {
  std::vector<std::size_t> dims;
  for (std::size_t dim = 1; dim <= 130; ++dim) dims.push_back(dim);
  for (const std::size_t dim : {191, 192, 200, 255, 256, 257, 384, 784, 1000, 4096}) {
    dims.push_back(dim);
  }
  return dims;
}

class Rows : public testing::TestWithParam<const kernels::Table*> {
 protected:
  void expect_right(const test::RowCase& rows, Rank rank, std::size_t row, float got,
                    const std::string& where) {
    const auto want = rows.want(rank, row);
    if (rows.is_integer()) {
      EXPECT_EQ(got, static_cast<float>(want.score)) << where;
    } else {
      EXPECT_NEAR(got, want.score, want.tolerance) << where;
    }
  }
};

TEST_P(Rows, BlocksMatchPlainDoubleLoopsAtEveryTail) {
  for (const RowType type : kTypes) {
    const kernels::RowKernels& kernel = GetParam()->row(type);
    for (const std::size_t dim : some_dims()) {
      const std::size_t n = dim % 14;
      const test::RowCase rows(type, dim, std::max<std::size_t>(n, 1), dim);
      for (const Rank rank : {Rank::kL2, Rank::kIp}) {
        test::Guarded<float> got(n);
        kernel.block[static_cast<int>(rank)](rows.query(), rows.rows(), rows.stride(), n, dim,
                                             got.data());
        for (std::size_t r = 0; r < n; ++r) {
          expect_right(rows, rank, r, got[r],
                       std::string(type_name(type)) + " dim " + std::to_string(dim) + " row " +
                           std::to_string(r));
        }
      }
    }
  }
}

TEST_P(Rows, EveryCountOfRowsIsScoredAndNoMore) {
  for (const RowType type : kTypes) {
    const kernels::RowKernels& kernel = GetParam()->row(type);
    for (std::size_t n = 0; n <= 13; ++n) {
      const test::RowCase rows(type, 100, std::max<std::size_t>(n, 1), n);
      for (const Rank rank : {Rank::kL2, Rank::kIp}) {
        test::Guarded<float> got(n);  // a store past the end would fault
        kernel.block[static_cast<int>(rank)](rows.query(), rows.rows(), rows.stride(), n, 100,
                                             got.data());
        for (std::size_t r = 0; r < n; ++r) {
          expect_right(rows, rank, r, got[r], std::string(type_name(type)) + " of " +
                                                  std::to_string(n) + " row " + std::to_string(r));
        }
      }
    }
  }
}

TEST_P(Rows, GatheredRowsScoreAsTheyDoInABlock) {
  constexpr std::size_t kStored = 9;
  for (const RowType type : kTypes) {
    const kernels::RowKernels& kernel = GetParam()->row(type);
    for (const std::size_t dim : {1, 17, 64, 100, 127, 128, 144, 384, 784, 1000}) {
      const test::RowCase rows(type, dim, kStored, dim);
      for (const Rank rank : {Rank::kL2, Rank::kIp}) {
        const auto k = static_cast<int>(rank);
        std::vector<float> block(kStored);
        kernel.block[k](rows.query(), rows.rows(), rows.stride(), kStored, dim, block.data());
        for (std::size_t n = 0; n <= 13; ++n) {
          test::Guarded<std::uint32_t> ids(n);  // the prefetch must not look past the last id
          for (std::size_t i = 0; i < n; ++i) {
            ids[i] = static_cast<std::uint32_t>((i * 5 + n) % kStored);  // repeats beyond nine
          }
          for (const unsigned ahead : {0u, 1u, 4u, 100u, 0xFFFFFFFFu}) {
            test::Guarded<float> got(n);
            kernel.ids[k](rows.query(), rows.rows(), rows.stride(), ids.data(), n, dim, ahead,
                          got.data());
            for (std::size_t i = 0; i < n; ++i) {
              EXPECT_EQ(got[i], block[ids[i]])
                  << type_name(type) << " dim " << dim << " n " << n << " place " << i;
            }
          }
        }
      }
    }
  }
}

TEST_P(Rows, IntegersHoldTheLargestSums) {
  for (const RowType type : {RowType::kI8, RowType::kU8}) {
    constexpr std::size_t kDim = 32768;
    std::vector<std::byte> low(kDim, type == RowType::kI8 ? std::byte{0x80} : std::byte{0});
    std::vector<std::byte> high(kDim, type == RowType::kI8 ? std::byte{0x7F} : std::byte{0xFF});
    float got = 0;
    const kernels::RowKernels& kernel = GetParam()->row(type);
    kernel.block[0](low.data(), high.data(), kDim, 1, kDim, &got);
    EXPECT_EQ(got, 32768.0f * 65025.0f);
    const std::vector<std::byte>& extreme = type == RowType::kI8 ? low : high;
    kernel.block[1](extreme.data(), extreme.data(), kDim, 1, kDim, &got);
    EXPECT_EQ(got, type == RowType::kI8 ? -32768.0f * 16384.0f : -32768.0f * 65025.0f);
  }
}

TEST_P(Rows, IntegerArithmeticAgreesWithTheScalarLevelBitForBit) {
  const kernels::Table& plain = *kernels::available().back();
  for (const RowType type : {RowType::kI8, RowType::kU8, RowType::kSq8Int, RowType::kSq4Int}) {
    for (const std::size_t dim : some_dims()) {
      const test::RowCase rows(type, dim, 5, dim);
      for (const int rank : {0, 1}) {
        float got[5], want[5];
        GetParam()->row(type).block[rank](rows.query(), rows.rows(), rows.stride(), 5, dim, got);
        plain.row(type).block[rank](rows.query(), rows.rows(), rows.stride(), 5, dim, want);
        for (int r = 0; r < 5; ++r) EXPECT_EQ(got[r], want[r]) << type_name(type) << " dim " << dim;
      }
    }
  }
}

TEST_P(Rows, SeveralQueriesOfEightBitsScoreAsEachAlone) {
  const kernels::Table& level = *GetParam();
  for (const std::size_t dim : some_dims()) {
    const std::size_t n = dim % 11;
    const test::RowCase rows(RowType::kSq8Int, dim, std::max<std::size_t>(n, 1), dim);
    std::vector<test::RowCase> asked;
    asked.reserve(kernels::kCodeQueries);
    for (std::size_t q = 0; q < kernels::kCodeQueries; ++q) {
      asked.emplace_back(RowType::kSq8Int, dim, 1, 1000 + dim + q);
    }
    for (const std::size_t rank : {0, 1}) {
      for (std::size_t count = 1; count <= asked.size(); ++count) {
        std::vector<test::Guarded<float>> got;
        const void* queries[kernels::kCodeQueries];
        float* out[kernels::kCodeQueries];
        for (std::size_t q = 0; q < count; ++q) got.emplace_back(n);
        for (std::size_t q = 0; q < count; ++q) {
          queries[q] = asked[q].query();
          out[q] = got[q].data();
        }
        level.packed->sq8_int_many[rank](queries, count, rows.rows(), rows.stride(), n, dim, out);
        for (std::size_t q = 0; q < count; ++q) {
          std::vector<float> want(n);
          level.row(RowType::kSq8Int)
              .block[rank](queries[q], rows.rows(), rows.stride(), n, dim, want.data());
          for (std::size_t r = 0; r < n; ++r) {
            ASSERT_EQ(got[q][r], want[r]) << "dim " << dim << " query " << q << " of " << count;
          }
        }
      }
    }
  }
}

TEST_P(Rows, DecodeGivesTheStoredValues) {
  for (const RowType type : kTypes) {
    for (const std::size_t dim : some_dims()) {
      const test::RowCase rows(type, dim, 3, dim);
      const std::size_t out_stride = dim + 3;
      test::Guarded<float> got(2 * out_stride + dim);
      for (float& x : got) x = -77.0f;
      GetParam()->row(type).decode(rows.rows(), rows.stride(), 3, dim, got.data(), out_stride);
      for (std::size_t at = 0; at < got.size(); ++at) {
        const std::size_t r = at / out_stride, i = at % out_stride;
        if (i >= dim) {
          ASSERT_EQ(got[at], -77.0f) << type_name(type) << " wrote past row " << r;
          continue;
        }
        const double want = rows.values()[r * dim + i];
        // Scalar codes round once in the product and once in the sum; the others are exact.
        const double tolerance = type >= RowType::kSq8 ? 3 * 0x1p-23 : 0.0;
        ASSERT_NEAR(got[at], want, tolerance) << type_name(type) << " dim " << dim;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Rows, testing::ValuesIn(kernels::available()), test::isa_name);

}  // namespace
}  // namespace vicinal
