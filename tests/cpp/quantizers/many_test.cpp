#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "quantizers/coded.h"

namespace vicinal::quantizers {
namespace {

CodecSpec spec(CodecKind kind, std::uint32_t parts, std::uint32_t bits, std::uint32_t variant = 0) {
  CodecSpec out = kind;
  out.parts = parts;
  out.bits = bits;
  out.variant = variant;
  return out;
}

std::vector<CodecSpec> kinds_with_blocks(std::size_t dim) {
  std::vector<CodecSpec> out{spec(CodecKind::kPq, static_cast<std::uint32_t>(dim / 2), 4)};
  for (const std::uint32_t bits : {1u, 2u, 3u, 4u, 5u, 8u}) {
    out.push_back(spec(CodecKind::kRotation, 0, bits));
  }
  out.push_back(spec(CodecKind::kBits, 0, 1));
  return out;
}

// More queries than share one reading, and more blocks than are summed before they are finished.
constexpr std::size_t kQueries = 2 * BlockQuery::kMany + 3;
constexpr std::size_t kBlocks = 19;

TEST(BlockQueries, SeveralScoreAsEachAlone) {
  for (const std::size_t dim : {7, 36, 130}) {
    const auto rows = test::bell_rows(kBlocks * kBlockRows, dim, dim);
    const auto asked = test::bell_rows(kQueries, dim, dim + 1);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      for (const CodecSpec& kind : kinds_with_blocks(dim)) {
        const std::string where = std::string(name(kind.kind)) + " " + std::to_string(kind.bits) +
                                  " bits, dim " + std::to_string(dim);
        const test::Coded coded(Codec::train(kind, dim, metric, {rows.data(), 608, dim}), rows);
        const std::size_t bytes = coded.codec->block_bytes();
        if (bytes == 0) continue;
        Buffer blocks = Buffer::allocate(kBlocks * bytes);
        for (std::size_t r = 0; r < coded.n; ++r) {
          coded.codec->pack(coded.row(r), r % kBlockRows,
                            blocks.mutable_data() + r / kBlockRows * bytes);
        }
        std::vector<BlockQuery> queries(kQueries);
        for (std::size_t q = 0; q < kQueries; ++q) {
          coded.codec->prepare_blocks(asked.data() + q * dim, queries[q]);
        }
        constexpr std::size_t kRows = kBlocks * kBlockRows;
        Buffer room = Buffer::allocate((kQueries + 1) * kRows * sizeof(float));
        auto* floats = reinterpret_cast<float*>(room.mutable_data());
        for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{3}, kQueries}) {
          const BlockQuery* some[kQueries];
          float* out[kQueries];
          for (std::size_t q = 0; q < count; ++q) {
            some[q] = &queries[q];
            out[q] = floats + (q + 1) * kRows;
          }
          BlockQuery::score_many(some, count, blocks.data(), kBlocks, out);
          for (std::size_t q = 0; q < count; ++q) {
            queries[q].score(blocks.data(), kBlocks, floats);
            for (std::size_t r = 0; r < kRows; ++r) {
              ASSERT_EQ(out[q][r], floats[r]) << where << ", query " << q << " of " << count;
            }
          }
        }
      }
    }
  }
}

TEST(RowQueries, SeveralScoreAsEachAlone) {
  constexpr std::size_t kDim = 50, kRows = 37;
  const auto rows = test::bell_rows(kRows, kDim, 1), asked = test::bell_rows(kQueries, kDim, 2);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    for (const CodecKind kind : {CodecKind::kFloat32, CodecKind::kSq8, CodecKind::kSq4}) {
      const test::Coded coded(Codec::train(kind, kDim, metric, {rows.data(), kRows, kDim}), rows);
      for (const Precision precision : {Precision::kFast, Precision::kExact}) {
        std::vector<Query> queries(kQueries);
        const Query* some[kQueries];
        std::vector<std::vector<float>> got(kQueries, std::vector<float>(kRows));
        float* out[kQueries];
        for (std::size_t q = 0; q < kQueries; ++q) {
          coded.codec->prepare(asked.data() + q * kDim, precision, queries[q]);
          some[q] = &queries[q];
          out[q] = got[q].data();
        }
        Query::score_block_many(some, kQueries, coded.rows.data(), kRows, out);
        for (std::size_t q = 0; q < kQueries; ++q) {
          std::vector<float> want(kRows);
          queries[q].score_block(coded.rows.data(), kRows, want.data());
          EXPECT_EQ(got[q], want) << name(kind) << " query " << q;
        }
      }
    }
  }
}

}  // namespace
}  // namespace vicinal::quantizers
