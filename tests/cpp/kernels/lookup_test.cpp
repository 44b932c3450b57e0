#include "kernels/lookup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/table.h"
#include "support/guarded.h"
#include "support/isa_name.h"
#include "support/lookup_reference.h"

namespace vicinal {
namespace {

using test::LookupCase;

std::vector<std::size_t> some_nibbles() {
  std::vector<std::size_t> all;
  for (std::size_t nibbles = 0; nibbles <= 300; ++nibbles) all.push_back(nibbles);
  // Around the ends of what fits 16 bits: 256, 257, and four and eight times as many.
  for (const std::size_t nibbles : {511, 512, 513, 767, 768, 769, 1023, 1024, 1025, 1028, 1029,
                                    1100, 2047, 2048, 2056, 2057, 4096}) {
    all.push_back(nibbles);
  }
  return all;
}

class Lookup : public testing::TestWithParam<const kernels::Table*> {
 protected:
  static const kernels::LookupKernels& kernel() { return *GetParam()->lookup; }

  static void expect_sums(const LookupCase& data, const std::uint8_t* tables,
                          const test::Guarded<std::uint32_t>& got) {
    for (std::size_t r = 0; r < data.rows(); ++r) {
      ASSERT_EQ(got[r], data.want(tables, r)) << "row " << r;
    }
  }
};

TEST_P(Lookup, SumsAreExactAtEveryWidth) {
  for (const std::size_t nibbles : some_nibbles()) {
    SCOPED_TRACE(testing::Message() << nibbles << " nibbles");
    const std::size_t blocks = nibbles % 6;
    const LookupCase data(nibbles, blocks, nibbles % 3 * 64, nibbles);
    test::Guarded<std::uint32_t> got(data.rows());
    kernel().sums(data.tables(), data.codes(), data.stride(), blocks, nibbles, got.data());
    expect_sums(data, data.tables(), got);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Lookup, LargestEntriesNeverOverflow) {
  for (const std::size_t nibbles : some_nibbles()) {
    SCOPED_TRACE(testing::Message() << nibbles << " nibbles");
    const LookupCase data(nibbles, 1, 0, nibbles, LookupCase::Tables::kAll255);
    test::Guarded<std::uint32_t> got(32);
    kernel().sums(data.tables(), data.codes(), data.stride(), 1, nibbles, got.data());
    for (std::size_t r = 0; r < 32; ++r) ASSERT_EQ(got[r], 255 * nibbles) << "row " << r;
  }
}

TEST_P(Lookup, EveryCountOfBlocks) {
  for (std::size_t blocks = 0; blocks <= 5; ++blocks) {
    for (const std::size_t nibbles : {1, 4, 5, 8, 12, 96, 260}) {
      SCOPED_TRACE(testing::Message() << blocks << " blocks of " << nibbles);
      const LookupCase data(nibbles, blocks, 128, blocks);
      test::Guarded<std::uint32_t> got(data.rows());
      kernel().sums(data.tables(), data.codes(), data.stride(), blocks, nibbles, got.data());
      expect_sums(data, data.tables(), got);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Lookup, SeveralQueriesSumAsOne) {
  for (std::size_t queries = 1; queries <= kernels::kLookupQueries; ++queries) {
    for (const std::size_t nibbles :
         {0, 1, 3, 4, 7, 8, 16, 64, 96, 192, 255, 256, 257, 300, 1100}) {
      SCOPED_TRACE(testing::Message() << queries << " queries, " << nibbles << " nibbles");
      const std::size_t blocks = nibbles % 4 + 1;
      const LookupCase data(nibbles, blocks, 64, nibbles);
      std::vector<test::Guarded<std::uint8_t>> tables;
      std::vector<test::Guarded<std::uint32_t>> got;
      const std::uint8_t* from[kernels::kLookupQueries];
      std::uint32_t* to[kernels::kLookupQueries];
      for (std::size_t q = 0; q < queries; ++q) {
        const LookupCase other(nibbles, 0, 0, 100 + q);
        tables.emplace_back((nibbles + 3) / 4 * 64);
        std::memcpy(tables[q].data(), other.tables(), tables[q].size());
        got.emplace_back(data.rows());
      }
      for (std::size_t q = 0; q < queries; ++q) {
        from[q] = tables[q].data();
        to[q] = got[q].data();
      }
      kernel().sums_many(from, queries, data.codes(), data.stride(), blocks, nibbles, to);
      for (std::size_t q = 0; q < queries; ++q) expect_sums(data, from[q], got[q]);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Lookup, AffineRoundsAfterEveryOperation) {
  for (const std::size_t n : {0, 16, 32, 48, 64, 480}) {
    test::Guarded<std::uint32_t> sums(n);
    for (std::size_t i = 0; i < n; ++i) {
      sums[i] = static_cast<std::uint32_t>(i * 2654435761u) >> (i % 3 == 0 ? 1 : 16);  // < 2^31
    }
    const auto add = test::guarded_uniform(n, 1), mul = test::guarded_uniform(n, 2);
    for (const bool with_add : {false, true}) {
      for (const bool with_mul : {false, true}) {
        test::Guarded<float> got(n);
        kernel().affine(sums.data(), with_add ? add.data() : nullptr,
                        with_mul ? mul.data() : nullptr, 0.3f, -7.1f, n, got.data());
        for (std::size_t i = 0; i < n; ++i) {
          // volatile: the compiler must not join a product and a sum either.
          volatile float want = static_cast<float>(sums[i]);
          want = want * 0.3f;
          want = want + -7.1f;
          if (with_mul) want = want * mul[i];
          if (with_add) want = want + add[i];
          ASSERT_EQ(got[i], want) << i << " of " << n;
        }
      }
    }
  }
}

TEST_P(Lookup, ShiftRoundsInOrderAndKeepsNan) {
  for (std::size_t n = 0; n <= 70; ++n) {
    const auto add = test::guarded_uniform(n, 1);
    const auto scores = test::guarded_uniform(n, 2);
    for (const bool with_add : {false, true}) {
      for (const float least : {-std::numeric_limits<float>::infinity(), 0.25f}) {
        test::Guarded<float> got(n);
        for (std::size_t i = 0; i < n; ++i) {
          got[i] = i % 7 == 3 ? std::numeric_limits<float>::quiet_NaN() : scores[i];
        }
        kernel().shift(got.data(), with_add ? add.data() : nullptr, 1.7f, 0.3f, least, n);
        for (std::size_t i = 0; i < n; ++i) {
          if (i % 7 == 3) {
            ASSERT_NE(got[i], got[i]) << i << " of " << n;
            continue;
          }
          volatile float want = 1.7f * scores[i];
          want = want + 0.3f;
          if (with_add) want = want + add[i];
          if (want < least) want = least;
          ASSERT_EQ(got[i], want) << i << " of " << n;
        }
      }
    }
  }
}

TEST_P(Lookup, TablesBecomeTheSameBytesAtEveryLevel) {
  const kernels::LookupKernels& plain = *kernels::available().back()->lookup;
  for (const std::size_t nibbles : some_nibbles()) {
    test::Guarded<float> tables(16 * nibbles);
    std::uint32_t state = static_cast<std::uint32_t>(nibbles) + 1;
    for (float& x : tables) {
      state = state * 1664525u + 1013904223u;
      x = static_cast<float>(static_cast<std::int32_t>(state)) * 1e-7f;
    }
    test::Guarded<std::uint8_t> got(16 * nibbles), want(16 * nibbles);
    const float widest = kernel().widest(tables.data(), nibbles, got.data());
    ASSERT_EQ(widest, plain.widest(tables.data(), nibbles, want.data())) << nibbles;
    float most = 0.0f;
    for (std::size_t j = 0; j < nibbles; ++j) {
      const auto [low, high] =
          std::minmax_element(tables.data() + 16 * j, tables.data() + 16 * j + 16);
      most = std::max(most, *high - *low);
      float least;
      std::memcpy(&least, got.data() + 16 * j, sizeof least);
      ASSERT_EQ(least, *low) << "table " << j << " of " << nibbles;
    }
    ASSERT_EQ(widest, most) << nibbles;
    // Twice what fits: large entries stop at 255. Nothing that is not a number goes beyond either.
    const float inverse = nibbles == 0 ? 0.0f : 510.0f / widest;
    if (nibbles > 5) {
      tables[7] = std::numeric_limits<float>::quiet_NaN();
      tables[16 + 3] = std::numeric_limits<float>::infinity();
      tables[32 + 1] = -std::numeric_limits<float>::infinity();
    }
    kernel().steps(tables.data(), inverse, nibbles, got.data());
    plain.steps(tables.data(), inverse, nibbles, want.data());
    for (std::size_t i = 0; i < 16 * nibbles; ++i) {
      ASSERT_EQ(got[i], want[i]) << "entry " << i << " of " << nibbles << " tables";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Lookup, testing::ValuesIn(kernels::available()), test::isa_name);

}  // namespace
}  // namespace vicinal
