#include "quantizers/nibbles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/buffer.h"
#include "base/random.h"
#include "quantizers/codec.h"

namespace vicinal::quantizers {
namespace {

constexpr std::size_t kWidths[] = {1, 2, 3, 4, 5, 8, 13, 64, 96, 255, 256, 300};

std::uint8_t value(std::size_t nibbles, std::size_t row, std::size_t j) {
  return static_cast<std::uint8_t>(random_below(16, nibbles, row, j));
}

std::vector<std::uint8_t> row_of(std::size_t nibbles, std::size_t row) {
  std::vector<std::uint8_t> values(nibbles);
  for (std::size_t j = 0; j < nibbles; ++j) values[j] = value(nibbles, row, j);
  return values;
}

float* floats_of(Buffer& buffer) { return reinterpret_cast<float*>(buffer.mutable_data()); }

std::vector<float> uniform_tables(std::size_t nibbles, std::uint64_t seed, double low,
                                  double high) {
  std::vector<float> tables(nibbles * 16);
  for (std::size_t i = 0; i < tables.size(); ++i) {
    tables[i] = static_cast<float>(low + (high - low) * random_unit(seed, 3, i));
  }
  return tables;
}

TEST(Nibbles, BlocksTakeTwoBytesARowForEveryFourBegun) {
  for (std::size_t nibbles = 0; nibbles <= 300; ++nibbles) {
    EXPECT_EQ(nibble_block_bytes(nibbles), (nibbles + 3) / 4 * 2 * kBlockRows);
    EXPECT_GE(nibble_table_bytes(nibbles), nibbles * 16);
    EXPECT_EQ(nibble_table_bytes(nibbles) % 64, 0u);
  }
}

TEST(Nibbles, ComeBackFromEveryPlace) {
  for (const std::size_t nibbles : kWidths) {
    std::vector<std::byte> codes(nibble_block_bytes(nibbles));
    // Backwards, and once over something else: places must not disturb one another.
    for (std::size_t place = kBlockRows; place-- > 0;) {
      put_nibbles(row_of(nibbles, place + 1).data(), nibbles, place, codes.data());
      put_nibbles(row_of(nibbles, place).data(), nibbles, place, codes.data());
    }
    for (std::size_t place = 0; place < kBlockRows; ++place) {
      std::vector<std::uint8_t> got(nibbles);
      get_nibbles(codes.data(), nibbles, place, got.data());
      ASSERT_EQ(got, row_of(nibbles, place)) << nibbles << " nibbles, place " << place;
    }
  }
}

TEST(Nibbles, FillNothingBeyondTheirNumber) {
  std::vector<std::uint8_t> full(7, 15);
  std::vector<std::byte> codes(nibble_block_bytes(7));
  for (std::size_t place = 0; place < kBlockRows; ++place) {
    put_nibbles(full.data(), 7, place, codes.data());
  }
  std::size_t bits = 0;
  for (const std::byte b : codes) {
    for (unsigned i = 0; i < 8; ++i) bits += static_cast<unsigned>(b) >> i & 1u;
  }
  EXPECT_EQ(bits, 7 * 4 * kBlockRows);
}

TEST(RoundTables, SumsAreOffByHalfAStepANibbleAtMost) {
  for (const std::size_t nibbles : kWidths) {
    const auto tables = uniform_tables(nibbles, nibbles, -3, 40);
    std::vector<std::uint8_t> bytes(nibble_table_bytes(nibbles));
    const TableScale scale = round_tables(tables.data(), nibbles, bytes.data());
    EXPECT_EQ(*std::max_element(bytes.begin(), bytes.end()), 255);  // the widest table is used up
    double worst = 0;
    for (std::size_t row = 0; row < 200; ++row) {
      double want = 0;
      unsigned sum = 0;
      for (std::size_t j = 0; j < nibbles; ++j) {
        const std::size_t at = 16 * j + value(nibbles, row, j);
        want += tables[at];
        sum += bytes[at];
      }
      const double got = double(scale.offset) + double(scale.scale) * sum;
      // Half a step a nibble; differences, the inverse and the product round once each, to 2^-24
      // of 43, and the offset to 2^-24 of its size.
      const double rounding = static_cast<double>(nibbles) * (43 * 0x1p-22 + 3 * 0x1p-24);
      worst = std::max(worst, std::fabs(got - want));
      ASSERT_NEAR(got, want, 0.5 * scale.scale * static_cast<double>(nibbles) + rounding);
    }
    EXPECT_GT(worst, 0.0);
  }
}

TEST(RoundTables, OneScaleServesAll) {
  std::vector<float> tables(32, 0.0f);
  for (std::size_t i = 0; i < 16; ++i) {
    tables[i] = static_cast<float>(i) * 10 - 4;  // 0 to 150 wide
    tables[16 + i] = 7.0f + static_cast<float>(i % 2) * 15;
  }
  std::vector<std::uint8_t> bytes(nibble_table_bytes(2), 9);
  const TableScale scale = round_tables(tables.data(), 2, bytes.data());
  EXPECT_FLOAT_EQ(scale.offset, 3.0f);
  EXPECT_FLOAT_EQ(scale.scale, 150.0f / 255);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(bytes[i], 17 * i);
    EXPECT_EQ(bytes[16 + i], i % 2 == 0 ? 0 : 26);  // 15 / 150 * 255 = 25.5, upwards
  }
  for (std::size_t i = 32; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], 0) << i;
}

TEST(RoundTables, FlatAndOverflownTablesGiveNoSteps) {
  const float inf = std::numeric_limits<float>::infinity();
  const float big = std::numeric_limits<float>::max();
  std::vector<std::uint8_t> bytes(nibble_table_bytes(2), 9);

  std::vector<float> tables(32, 2.5f);
  TableScale scale = round_tables(tables.data(), 2, bytes.data());
  EXPECT_EQ(scale.offset, 5.0f);
  EXPECT_EQ(scale.scale, 0.0f);
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 0), 64);

  // Whatever comes of these, it must not be undefined.
  for (const float odd : {inf, -inf, big, -big, std::numeric_limits<float>::quiet_NaN()}) {
    tables.assign(32, odd);
    scale = round_tables(tables.data(), 2, bytes.data());
    EXPECT_EQ(scale.scale, 0.0f) << odd;
    tables.assign(32, 1.0f);
    tables[3] = odd;
    tables[20] = -big;
    round_tables(tables.data(), 2, bytes.data());
  }
  EXPECT_EQ(round_tables(tables.data(), 0, bytes.data()).scale, 0.0f);
}

struct Scanned {
  Scanned(std::size_t nibbles, std::size_t count, bool add, bool mul)
      : code_bytes(nibble_block_bytes(nibbles)),
        block_bytes(code_bytes + (add ? 128 : 0) + (mul ? 128 : 0)),
        add_at(add ? code_bytes : 0),
        mul_at(mul ? block_bytes - 128 : 0),
        blocks(Buffer::allocate(count * block_bytes)) {
    for (std::size_t row = 0; row < count * kBlockRows; ++row) {
      std::byte* block = blocks.mutable_data() + row / kBlockRows * block_bytes;
      put_nibbles(row_of(nibbles, row).data(), nibbles, row % kBlockRows, block);
      const auto put = [&](std::size_t at, float x) {
        std::memcpy(block + at + row % kBlockRows * 4, &x, 4);
      };
      if (add) put(add_at, add_of(row));
      if (mul) put(mul_at, mul_of(row));
    }
  }
  static float add_of(std::size_t row) { return static_cast<float>(random_unit(5, 1, row)) * 90; }
  static float mul_of(std::size_t row) { return static_cast<float>(random_unit(5, 2, row)) - 0.5f; }

  std::size_t code_bytes, block_bytes, add_at, mul_at;
  Buffer blocks;
};

TEST(ScoreNibbles, AddsAndMultipliesWhatABlockKeeps) {
  for (const std::size_t nibbles : {5, 32, 300}) {
    const auto tables = uniform_tables(nibbles, 1, 0, 3);
    Buffer bytes = Buffer::allocate(nibble_table_bytes(nibbles));
    auto* to = reinterpret_cast<std::uint8_t*>(bytes.mutable_data());
    const TableScale scale = round_tables(tables.data(), nibbles, to);
    for (const int kept : {0, 1, 2, 3}) {
      const bool add = (kept & 1) != 0, mul = (kept & 2) != 0;
      for (const std::size_t count : {0, 1, 15, 16, 17, 40}) {
        const Scanned data(nibbles, count, add, mul);
        const NibbleScan scan{to, nibbles, data.block_bytes, scale, data.add_at, data.mul_at};
        Buffer out = Buffer::allocate(count * kBlockRows * 4);
        score_nibbles(scan, data.blocks.data(), count, floats_of(out));
        for (std::size_t row = 0; row < count * kBlockRows; ++row) {
          unsigned sum = 0;
          for (std::size_t j = 0; j < nibbles; ++j) sum += to[16 * j + value(nibbles, row, j)];
          const double inner = double(scale.scale) * sum + scale.offset;
          const double size = std::fabs(inner) + (add ? 90 : 0);
          const double want = (add ? Scanned::add_of(row) : 0.0) +
                              (mul ? double(Scanned::mul_of(row)) : 1.0) * inner;
          // Four operations, each rounded to 2^-24 of no more than what went in.
          ASSERT_NEAR(floats_of(out)[row], want, 8 * 0x1p-24 * size) << row << " kept " << kept;
        }
      }
    }
  }
}

TEST(ScoreNibbles, SeveralQueriesScoreAsEachAlone) {
  constexpr std::size_t kNibbles = 50, kCount = 37;
  const Scanned data(kNibbles, kCount, true, true);
  for (std::size_t queries = 0; queries <= 9; ++queries) {
    std::vector<Buffer> tables, together;
    std::vector<NibbleScan> scans(queries);
    std::vector<const NibbleScan*> at(queries);
    std::vector<float*> out(queries);
    for (std::size_t q = 0; q < queries; ++q) {
      tables.push_back(Buffer::allocate(nibble_table_bytes(kNibbles)));
      together.push_back(Buffer::allocate(kCount * kBlockRows * 4));
      auto* to = reinterpret_cast<std::uint8_t*>(tables[q].mutable_data());
      const auto floats = uniform_tables(kNibbles, q, -1, static_cast<double>(q + 1));
      scans[q] = {
          to,          kNibbles,   data.block_bytes, round_tables(floats.data(), kNibbles, to),
          data.add_at, data.mul_at};
      at[q] = &scans[q];
      out[q] = floats_of(together[q]);
    }
    score_nibbles(at.data(), queries, data.blocks.data(), kCount, out.data());
    for (std::size_t q = 0; q < queries; ++q) {
      Buffer alone = Buffer::allocate(kCount * kBlockRows * 4);
      score_nibbles(scans[q], data.blocks.data(), kCount, floats_of(alone));
      EXPECT_EQ(std::memcmp(alone.data(), out[q], alone.size()), 0) << q << " of " << queries;
    }
  }
}

}  // namespace
}  // namespace vicinal::quantizers
