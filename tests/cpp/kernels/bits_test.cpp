#include "kernels/bits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "support/bits_reference.h"
#include "support/guarded.h"
#include "support/isa_name.h"

namespace vicinal {
namespace {

using kernels::BitTile;
using kernels::kBitBlock;
using kernels::kBitTile;
using test::Guarded;

constexpr std::size_t kMostWords = 40;

class Bits : public testing::TestWithParam<const kernels::Table*> {
 protected:
  const kernels::BitKernels& kernels() const { return *GetParam()->bits; }
};

/// Words of queries and of blocks of rows, every one ending against an unreadable page.
struct Blocks {
  Blocks(std::size_t words_, std::size_t blocks_, std::uint64_t seed)
      : words(words_), blocks(blocks_), data(test::guarded_bytes(blocks_ * words_ * 64, seed)) {
    for (std::size_t q = 0; q < kBitTile; ++q) {
      queries.emplace_back(words);
      const Guarded<std::byte> bytes = test::guarded_bytes(words * 8, seed + 1 + q);
      std::memcpy(queries.back().data(), bytes.data(), words * 8);
    }
  }
  /// Row r as bytes.
  std::vector<std::byte> row(std::size_t r) const {
    std::vector<std::byte> out(words * 8);
    for (std::size_t w = 0; w < words; ++w) {
      const std::size_t at = (r / kBitBlock * words + w) * 64 + r % kBitBlock * 8;
      std::memcpy(&out[w * 8], data.data() + at, 8);
    }
    return out;
  }
  const std::byte* query(std::size_t q) const {
    return reinterpret_cast<const std::byte*>(queries[q].data());
  }

  std::size_t words;
  std::size_t blocks;
  Guarded<std::byte> data;
  std::vector<Guarded<std::uint64_t>> queries;
};

/// Compares a scan of all blocks with plain loops; bars lie about where half of the rows pass.
void expect_scan(const kernels::BitKernels& kernels, const Blocks& given, std::size_t queries,
                 bool hamming) {
  const std::size_t rows = given.blocks * kBitBlock;
  BitTile tile;
  std::vector<Guarded<std::uint32_t>> found_rows;
  std::vector<Guarded<std::uint32_t>> found_counts;
  for (std::size_t q = 0; q < queries; ++q) {
    found_rows.emplace_back(rows);  // a store past the end would fault
    found_counts.emplace_back(rows);
    tile.query[q] = given.queries[q].data();
    const auto half = static_cast<std::uint32_t>(given.words * (hamming ? 32 : 16));
    tile.bar[q] = half + static_cast<std::uint32_t>(q % 3) - 1;
    tile.rows[q] = found_rows[q].data();
    tile.counts[q] = found_counts[q].data();
  }
  const auto scan = hamming ? kernels.hamming_below : kernels.common_from;
  scan(given.data.data(), given.blocks, given.words, queries, &tile);
  for (std::size_t q = 0; q < queries; ++q) {
    std::size_t at = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      const std::vector<std::byte> row = given.row(r);
      const std::uint32_t want =
          hamming ? test::differing(given.query(q), row.data(), row.size())
                  : test::common(given.query(q), row.data(), row.size());
      if (hamming ? want >= tile.bar[q] : want < tile.bar[q]) continue;
      ASSERT_LT(at, tile.found[q]) << "query " << q << " misses row " << r;
      ASSERT_EQ(found_rows[q][at], r) << "query " << q;
      ASSERT_EQ(found_counts[q][at], want) << "query " << q << " row " << r;
      ++at;
    }
    ASSERT_EQ(tile.found[q], at) << "query " << q << " finds what does not pass";
  }
}

TEST_P(Bits, CountsOfRowsMatchPlainLoopsAtEveryWidth) {
  for (std::size_t bytes = 1; bytes <= kMostWords * 8; ++bytes) {
    const std::size_t width = (bytes + 7) / 8 * 8;
    const std::size_t n = bytes % 11;
    const std::size_t stride = width + bytes % 3 * 8;
    Guarded<std::byte> query = test::guarded_bytes(width, bytes);
    // The last row ends at the page though the stride goes on.
    Guarded<std::byte> rows = test::guarded_bytes(n == 0 ? 0 : (n - 1) * stride + width, bytes + 1);
    std::fill(query.begin() + bytes, query.end(), std::byte{0});
    for (std::size_t r = 0; r < n; ++r) {
      std::byte* row = rows.data() + r * stride;
      std::fill(row + bytes, row + width, std::byte{0});
    }
    Guarded<std::uint32_t> got(n);
    kernels().hamming_rows(query.data(), rows.data(), stride, n, bytes, got.data());
    for (std::size_t r = 0; r < n; ++r) {
      ASSERT_EQ(got[r], test::differing(query.data(), rows.data() + r * stride, bytes))
          << bytes << " bytes, row " << r;
    }
    kernels().common_rows(query.data(), rows.data(), stride, n, bytes, got.data());
    for (std::size_t r = 0; r < n; ++r) {
      ASSERT_EQ(got[r], test::common(query.data(), rows.data() + r * stride, bytes))
          << bytes << " bytes, row " << r;
    }
  }
}

TEST_P(Bits, BlocksMatchPlainLoopsAtEveryWidth) {
  for (std::size_t words = 1; words <= kMostWords; ++words) {
    SCOPED_TRACE(std::to_string(words) + " words");
    const Blocks given(words, 1 + words % 3, words);
    expect_scan(kernels(), given, 1 + words % kBitTile, true);
    expect_scan(kernels(), given, 1 + words % kBitTile, false);
  }
}

TEST_P(Bits, EveryNumberOfQueriesAndBlocks) {
  for (std::size_t queries = 1; queries <= kBitTile; ++queries) {
    for (std::size_t blocks = 0; blocks <= 5; ++blocks) {
      for (const std::size_t words : {3, 16, 21}) {
        SCOPED_TRACE(std::to_string(queries) + " queries, " + std::to_string(blocks) + " blocks");
        const Blocks given(words, blocks, queries * 100 + blocks);
        expect_scan(kernels(), given, queries, true);
        expect_scan(kernels(), given, queries, false);
      }
    }
  }
}

TEST_P(Bits, HoldTheLargestCounts) {
  for (const std::size_t words : {15, 16, 31, 32, 63, 64, 4096}) {
    std::vector<std::byte> ones(words * 64, std::byte{0xFF});
    const std::vector<std::uint64_t> zeros(words, 0), all(words, ~std::uint64_t{0});
    std::uint32_t rows[2][kBitBlock], counts[2][kBitBlock];
    BitTile tile;
    const auto most = static_cast<std::uint32_t>(words * 64);
    for (const bool hamming : {true, false}) {
      for (int q = 0; q < 2; ++q) {
        tile.query[q] = hamming ? zeros.data() : all.data();
        tile.bar[q] = most + (hamming ? 1 : 0) - static_cast<std::uint32_t>(hamming ? q : -q);
        tile.rows[q] = rows[q];
        tile.counts[q] = counts[q];
      }
      // The first bar lets all rows pass, the second none.
      const auto scan = hamming ? kernels().hamming_below : kernels().common_from;
      scan(ones.data(), 1, words, 2, &tile);
      ASSERT_EQ(tile.found[0], kBitBlock) << words;
      ASSERT_EQ(tile.found[1], 0u) << words;
      for (std::size_t r = 0; r < kBitBlock; ++r) {
        EXPECT_EQ(rows[0][r], r);
        EXPECT_EQ(counts[0][r], most);
      }
    }
  }
}

TEST_P(Bits, SumsOfTheSmallerNumbersMatchPlainLoops) {
  for (std::size_t words = 1; words <= 70; ++words) {
    constexpr std::size_t kBlocks = 3;
    Blocks given(words, kBlocks, words);
    const auto shrink = [](std::byte& b) {
      b = static_cast<std::byte>(std::to_integer<int>(b) % 65);
    };
    std::for_each(given.data.begin(), given.data.end(), shrink);
    BitTile tile;
    std::vector<std::vector<std::uint32_t>> rows, counts;
    const std::size_t queries = 1 + words % kBitTile;
    for (std::size_t q = 0; q < queries; ++q) {
      auto* bytes = reinterpret_cast<std::byte*>(given.queries[q].data());
      std::for_each(bytes, bytes + words * 8, shrink);
      rows.emplace_back(kBlocks * kBitBlock);
      counts.emplace_back(kBlocks * kBitBlock);
      tile.query[q] = given.queries[q].data();
      tile.bar[q] = static_cast<std::uint32_t>(words * 8 * 21);  // about the mean
      tile.rows[q] = rows[q].data();
      tile.counts[q] = counts[q].data();
    }
    kernels().least_from(given.data.data(), kBlocks, words, queries, &tile);
    for (std::size_t q = 0; q < queries; ++q) {
      std::size_t at = 0;
      for (std::size_t r = 0; r < kBlocks * kBitBlock; ++r) {
        const std::vector<std::byte> row = given.row(r);
        std::uint32_t want = 0;
        for (std::size_t i = 0; i < row.size(); ++i) {
          want += std::to_integer<std::uint32_t>(std::min(row[i], given.query(q)[i]));
        }
        if (want < tile.bar[q]) continue;
        ASSERT_LT(at, tile.found[q]) << words << " words, query " << q;
        ASSERT_EQ(rows[q][at], r);
        ASSERT_EQ(counts[q][at++], want);
      }
      ASSERT_EQ(tile.found[q], at);
    }
  }
}

TEST_P(Bits, SumsOverSetBitsMatchDoubleAndTheScalarLevel) {
  const auto& plain = *kernels::available().back()->bits;
  for (const std::size_t words : {1, 2, 3, 6, 12, 16, 25}) {
    constexpr std::size_t kRows = 5;
    const std::size_t stride = words * 8;
    const Guarded<float> query = test::guarded_uniform(words * 64, words);
    const Guarded<std::byte> rows = test::guarded_bytes(kRows * stride, words + 1);
    Guarded<float> got(kRows);
    float want[kRows];
    kernels().sum_set(query.data(), rows.data(), stride, kRows, words, got.data());
    plain.sum_set(query.data(), rows.data(), stride, kRows, words, want);
    for (std::size_t r = 0; r < kRows; ++r) {
      double sum = 0.0, sizes = 0.0;
      for (std::size_t b = 0; b < words * 64; ++b) {
        if (!test::bit_of(rows.data() + r * stride, b)) continue;
        sum += query[b];
        sizes += std::abs(query[b]);
      }
      EXPECT_EQ(got[r], want[r]) << words << " words, row " << r;
      // Each of 16 sums adds 4 words numbers, and 4 steps add the sums.
      EXPECT_NEAR(got[r], sum, sizes * static_cast<double>(4 * words + 4) * FLT_EPSILON);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Bits, testing::ValuesIn(kernels::available()), test::isa_name);

}  // namespace
}  // namespace vicinal
