#include "quantizers/bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/buffer.h"
#include "support/vectors.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

class Bits : public testing::TestWithParam<BitThreshold> {};

constexpr std::size_t kDims[] = {1, 3, 8, 9, 63, 64, 65, 100, 127, 200, 384, 513};

CodecSpec spec_of(BitThreshold threshold) {
  CodecSpec spec = CodecKind::kBits;
  spec.bits = 1;
  spec.variant = static_cast<std::uint32_t>(threshold);
  spec.seed = 3;
  return spec;
}

std::vector<float> shifted_rows(std::size_t n, std::size_t dim) {
  auto rows = test::normal_vectors(n, dim, dim);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] += 0.3f * static_cast<float>(i % dim % 3);
  return rows;
}

struct Store {
  std::shared_ptr<const Codec> codec;
  Buffer rows;
  std::vector<float> decoded;
};

Store store(BitThreshold threshold, std::size_t dim, Metric metric,
            const std::vector<float>& rows) {
  const std::size_t n = rows.size() / dim;
  Store s;
  s.codec = train_bits(spec_of(threshold), dim, metric, {rows.data(), n, dim});
  s.rows = Buffer::allocate(n * s.codec->stride());
  s.codec->encode(rows.data(), dim, n, s.rows.mutable_data());
  s.decoded.resize(n * dim);
  s.codec->decode(s.rows.data(), n, s.decoded.data(), dim);
  return s;
}

TEST_P(Bits, ScoresAsTheDecodedRowsSay) {
  constexpr std::size_t kRows = 40;
  for (const std::size_t dim : kDims) {
    const auto rows = shifted_rows(kRows, dim), query = test::normal_vectors(1, dim, 1000 + dim);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      const Store s = store(GetParam(), dim, metric, rows);
      EXPECT_EQ(s.codec->bytes(), (dim + 7) / 8);
      Query exact, fast;
      s.codec->prepare(query.data(), Precision::kExact, exact);
      s.codec->prepare(query.data(), Precision::kFast, fast);
      float got[kRows], rounded[kRows];
      exact.score_block(s.rows.data(), kRows, got);
      fast.score_block(s.rows.data(), kRows, rounded);
      // Packed blocks hold the same rows.
      const std::size_t bytes = s.codec->block_bytes();
      Buffer blocks = Buffer::allocate(2 * bytes);
      std::vector<std::byte> row(s.codec->stride());
      for (std::size_t r = 0; r < kRows; ++r) {
        std::byte* block = blocks.mutable_data() + r / 32 * bytes;
        const std::byte* from = s.rows.data() + r * s.codec->stride();
        s.codec->pack(from, r % 32, block);
        s.codec->unpack(block, r % 32, row.data());
        ASSERT_EQ(std::memcmp(row.data(), from, row.size()), 0);
      }
      BlockQuery scan;
      s.codec->prepare_blocks(query.data(), scan);
      float scanned[64];
      scan.score(blocks.data(), 2, scanned);
      for (std::size_t r = 0; r < kRows; ++r) {
        const float* y = s.decoded.data() + r * dim;
        const double want = metric == Metric::kL2 ? test::squared_distance_of(query.data(), y, dim)
                                                  : -test::dot_of(query.data(), y, dim);
        // A bit weighs |q (high - low)| or |2 q - high - low| |high - low|, with no number in it
        // above 5 or so: below 100.
        const double terms = 100.0 * static_cast<double>(dim);
        EXPECT_NEAR(got[r], want, terms * 1e-6) << "dim " << dim << " row " << r;
        EXPECT_NEAR(rounded[r], want, terms / 254) << "dim " << dim << " row " << r;
        // Four bits a table, 255 steps for the widest.
        EXPECT_NEAR(scanned[r], want, terms / 4 * 4 / 510) << "dim " << dim << " row " << r;
      }
      const std::uint32_t ids[] = {39, 0, 3, 3, 1};
      float scores[5];
      exact.score_ids(s.rows.data(), ids, 5, scores);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(scores[i], got[ids[i]]) << "dim " << dim;
    }
  }
}

TEST_P(Bits, DecodesToTheMeansOfBothSides) {
  const std::size_t dim = 48, n = 400;
  const auto rows = shifted_rows(n, dim);
  const Store s = store(GetParam(), dim, Metric::kL2, rows);
  double lost = 0, spread = 0;
  std::vector<double> mean(dim), decoded_mean(dim);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    mean[i % dim] += rows[i] / double{n};
    decoded_mean[i % dim] += s.decoded[i] / double{n};
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    lost += std::pow(double{rows[i]} - s.decoded[i], 2);
    spread += std::pow(rows[i] - mean[i % dim], 2);
  }
  for (std::size_t d = 0; d < dim; ++d) EXPECT_NEAR(decoded_mean[d], mean[d], 1e-5);
  // 1 - 2 / pi of a normal distribution about its middle; thresholds off it lose more.
  EXPECT_LT(lost, (GetParam() == BitThreshold::kZero ? 0.45 : 0.38) * spread);
}

TEST_P(Bits, GivesTheSameCodesFromWhatItLearnt) {
  const auto rows = shifted_rows(40, 100);
  const Store s = store(GetParam(), 100, Metric::kL2, rows);
  const auto learned = s.codec->learned();
  const auto wanted = learns_bits(s.codec->spec(), 100);
  ASSERT_EQ(learned.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(learned[i].name, wanted[i].first);
    EXPECT_EQ(learned[i].values.size(), wanted[i].second);
    auto damaged = learned;
    damaged[i].values[7] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THROW(restore_bits(s.codec->spec(), 100, Metric::kL2, damaged), ArgumentError);
    damaged = learned;
    damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THROW(restore_bits(s.codec->spec(), 100, Metric::kL2, damaged), ArgumentError);
  }
  const auto again = restore_bits(s.codec->spec(), 100, Metric::kL2, learned);
  std::vector<std::byte> codes(40 * again->stride());
  again->encode(rows.data(), 100, 40, codes.data());
  EXPECT_EQ(std::memcmp(codes.data(), s.rows.data(), codes.size()), 0);
}

std::string threshold_name(const testing::TestParamInfo<BitThreshold>& info) {
  constexpr const char* kNames[] = {"Zero", "Mean", "Median", "Rotated"};
  return kNames[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(EveryThreshold, Bits,
                         testing::Values(BitThreshold::kZero, BitThreshold::kMean,
                                         BitThreshold::kMedian, BitThreshold::kRotated),
                         threshold_name);

TEST(BitsCodec, ComparesWithTheThreshold) {
  // Columns whose zero, mean (4, 1) and median (2, 1) part the rows differently.
  const std::vector<float> rows = {-1, 1, 0, 1, 2, 1, 5, 1, 14, 1};
  const auto bits = [&](BitThreshold threshold) {
    const Store s = store(threshold, 2, Metric::kL2, rows);
    std::string text;
    for (std::size_t r = 0; r < 5; ++r) {
      const auto byte = static_cast<unsigned>(s.rows.data()[r * s.codec->stride()]);
      text += (byte & 1) != 0 ? '1' : '0';
      EXPECT_EQ(byte & 2, 2u);  // at the threshold is above it
    }
    return text;
  };
  EXPECT_EQ(bits(BitThreshold::kZero), "01111");
  EXPECT_EQ(bits(BitThreshold::kMean), "00011");
  EXPECT_EQ(bits(BitThreshold::kMedian), "00111");
}

TEST(BitsCodec, RefusesAThresholdThatThereIsNot) {
  CodecSpec spec = CodecKind::kBits;
  spec.variant = 4;
  EXPECT_THROW(learns_bits(spec, 8), ArgumentError);
}

}  // namespace
}  // namespace vicinal::quantizers
