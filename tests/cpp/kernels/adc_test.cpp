#include "kernels/adc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "support/adc_reference.h"
#include "support/guarded.h"
#include "support/isa_name.h"

namespace vicinal {
namespace {

using kernels::AdcQuery;
using kernels::kAdcEntries;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::size_t padded(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

std::vector<std::size_t> some_bytes() {
  std::vector<std::size_t> all;
  for (std::size_t bytes = 1; bytes <= 36; ++bytes) all.push_back(bytes);
  for (const std::size_t bytes : {47, 48, 49, 64, 65, 96, 97, 192}) all.push_back(bytes);
  return all;
}

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

class Adc : public testing::TestWithParam<const kernels::Table*> {
 protected:
  const kernels::AdcKernels& kernel() const { return *GetParam()->adc; }
  const kernels::AdcKernels& plain() const { return *kernels::available().back()->adc; }
};

TEST_P(Adc, BlocksMatchPlainDoubleSumsAtEveryTail) {
  for (const std::size_t bytes : some_bytes()) {
    const std::size_t n = bytes % 11, stride = padded(bytes);
    const auto tables = test::guarded_uniform(bytes * kAdcEntries, bytes);
    const auto rows = test::guarded_bytes(n * stride, bytes + 1);
    const AdcQuery query{tables.data(), 0.25f, -kInfinity, nullptr, 0};
    test::Guarded<float> got(n), least(n);
    kernel().block(&query, rows.data(), stride, n, bytes, got.data());
    plain().block(&query, rows.data(), stride, n, bytes, least.data());
    for (std::size_t r = 0; r < n; ++r) {
      const test::TableSum want = test::table_sum(tables.data(), rows.data() + r * stride, bytes);
      // A chain of at most bytes / 4 additions, two that join the chains, one of the bias.
      const double bound =
          (static_cast<double>(bytes) / 4 + 4) * FLT_EPSILON * (want.magnitude + 0.25);
      EXPECT_NEAR(got[r], want.sum + 0.25, bound) << bytes << " bytes, row " << r;
      EXPECT_TRUE(same_bits(got[r], least[r])) << bytes << " bytes, row " << r;
    }
  }
}

TEST_P(Adc, GatheredRowsScoreAsTheyDoInABlock) {
  constexpr std::size_t kStored = 9;
  for (const std::size_t bytes : {1, 7, 16, 48, 65, 130}) {
    const std::size_t stride = padded(bytes);
    const auto tables = test::guarded_uniform(bytes * kAdcEntries, bytes);
    const auto rows = test::guarded_bytes(kStored * stride, bytes + 1);
    const AdcQuery query{tables.data(), -1.5f, -kInfinity, nullptr, 0};
    float block[kStored];
    kernel().block(&query, rows.data(), stride, kStored, bytes, block);
    for (std::size_t n = 0; n <= 13; ++n) {
      test::Guarded<std::uint32_t> ids(n);
      for (std::size_t i = 0; i < n; ++i) {
        ids[i] = static_cast<std::uint32_t>((i * 5 + n) % kStored);
      }
      for (const unsigned ahead : {0u, 1u, 4u, 100u, 0xFFFFFFFFu}) {
        test::Guarded<float> got(n);
        kernel().ids(&query, rows.data(), stride, ids.data(), n, bytes, ahead, got.data());
        for (std::size_t i = 0; i < n; ++i) {
          EXPECT_TRUE(same_bits(got[i], block[ids[i]])) << bytes << " bytes, place " << i;
        }
      }
    }
  }
}

TEST_P(Adc, NoScoreIsBelowTheFloor) {
  std::vector<float> tables(16 * kAdcEntries, 0.0f);
  for (std::size_t e = 0; e < kAdcEntries; ++e) tables[e] = static_cast<float>(e) - 100;
  std::vector<std::byte> rows(5 * 16);
  for (std::size_t r = 0; r < 5; ++r) rows[r * 16] = static_cast<std::byte>(98 + r);
  const AdcQuery query{tables.data(), 0.0f, 0.0f, nullptr, 0};
  float got[5];
  kernel().block(&query, rows.data(), 16, 5, 16, got);
  const float want[5] = {0, 0, 0, 1, 2};
  for (std::size_t r = 0; r < 5; ++r) EXPECT_EQ(got[r], want[r]) << r;
}

TEST_P(Adc, AByteOfTheRowChoosesItsGain) {
  constexpr std::size_t kBytes = 16, kStride = 32, kRows = 7;
  const auto tables = test::guarded_uniform(kBytes * kAdcEntries, 1);
  const auto gains = test::guarded_uniform(kAdcEntries, 2, 0.5f, 2.0f);
  const auto rows = test::guarded_bytes(kRows * kStride, 3);
  const AdcQuery plain_query{tables.data(), 0.5f, -kInfinity, nullptr, 0};
  const AdcQuery query{tables.data(), 0.5f, -kInfinity, gains.data(), kBytes};
  float without[kRows], got[kRows], gathered[kRows];
  const std::uint32_t ids[kRows] = {0, 1, 2, 3, 4, 5, 6};
  kernel().block(&plain_query, rows.data(), kStride, kRows, kBytes, without);
  kernel().block(&query, rows.data(), kStride, kRows, kBytes, got);
  kernel().ids(&query, rows.data(), kStride, ids, kRows, kBytes, 2, gathered);
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto chosen = static_cast<std::size_t>(rows[r * kStride + kBytes]);
    EXPECT_TRUE(same_bits(got[r], without[r] * gains[chosen])) << r;
    EXPECT_TRUE(same_bits(gathered[r], got[r])) << r;
  }
}

TEST_P(Adc, NanStaysNan) {
  std::vector<float> tables(kAdcEntries, std::numeric_limits<float>::quiet_NaN());
  const std::vector<std::byte> row(16);
  const AdcQuery query{tables.data(), 0.0f, 0.0f, nullptr, 0};
  float got = 0;
  kernel().block(&query, row.data(), 16, 1, 1, &got);
  EXPECT_TRUE(std::isnan(got));
}

TEST_P(Adc, TablesMatchPlainDoubleSums) {
  for (const std::size_t entries : {16, 48, 64, 80, 256, 272}) {
    for (const std::size_t width : {1, 2, 3, 8, 31, 100}) {
      const auto query = test::guarded_uniform(width, width);
      const auto columns = test::guarded_uniform(width * entries, entries);
      for (const int rank : {0, 1}) {
        test::Guarded<float> got(entries), least(entries);
        kernel().table[rank](query.data(), columns.data(), width, entries, got.data());
        plain().table[rank](query.data(), columns.data(), width, entries, least.data());
        for (std::size_t e = 0; e < entries; ++e) {
          const test::TableSum want = test::table_entry(rank == 0, query.data(), columns.data(),
                                                        width, entries, e);
          // A rounded difference, squared, and a chain of `width` additions.
          const double bound = (static_cast<double>(width) + 4) * FLT_EPSILON * want.magnitude;
          EXPECT_NEAR(got[e], want.sum, bound) << width << " x " << entries << " at " << e;
          EXPECT_TRUE(same_bits(got[e], least[e])) << width << " x " << entries << " at " << e;
        }
      }
    }
  }
}

TEST_P(Adc, RowsAreAddedInOrder) {
  const auto first = test::guarded_uniform(kAdcEntries, 1);
  const auto rows = test::guarded_uniform(17 * kAdcEntries, 2);
  for (const std::size_t n : {0, 1, 2, 5, 16, 17}) {
    std::vector<const float*> pointers;
    for (std::size_t r = 0; r < n; ++r) pointers.push_back(rows.data() + r * kAdcEntries);
    test::Guarded<float> got(kAdcEntries);
    kernel().add_rows(first.data(), pointers.data(), n, got.data());
    for (std::size_t e = 0; e < kAdcEntries; ++e) {
      float want = first[e];
      for (std::size_t r = 0; r < n; ++r) want += pointers[r][e];
      EXPECT_TRUE(same_bits(got[e], want)) << n << " rows, entry " << e;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Adc, testing::ValuesIn(kernels::available()), test::isa_name);

}  // namespace
}  // namespace vicinal
