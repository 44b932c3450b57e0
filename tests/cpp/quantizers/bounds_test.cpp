#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "quantizers/codec.h"
#include "support/vectors.h"

namespace vicinal::quantizers {
namespace {

struct Kind {
  CodecKind kind;
  std::uint32_t parts_of;  // dimensions of a part, 0 if there are none
  std::uint32_t bits, variant;
};

constexpr Kind kKinds[] = {
    {CodecKind::kPq, 1, 4, 0},       {CodecKind::kPq, 3, 4, 0},       {CodecKind::kPq, 4, 4, 1},
    {CodecKind::kRotation, 0, 1, 0}, {CodecKind::kRotation, 0, 2, 1},
    {CodecKind::kRotation, 0, 2, 2}, {CodecKind::kRotation, 0, 3, 0},
    {CodecKind::kRotation, 0, 4, 1}, {CodecKind::kRotation, 0, 4, 2},
};

CodecSpec spec_of(const Kind& kind, std::size_t dim) {
  CodecSpec spec = kind.kind;
  if (kind.parts_of != 0) {
    spec.parts = static_cast<std::uint32_t>(std::max<std::size_t>(1, dim / kind.parts_of));
  }
  spec.bits = kind.bits;
  spec.variant = kind.variant;
  return spec;
}

struct Rows {
  std::shared_ptr<const Codec> codec;
  Buffer stored;
  Buffer blocks;
  std::size_t n;
};

Rows rows_of(const CodecSpec& spec, std::size_t dim, Metric metric,
             const std::vector<float>& rows) {
  Rows out;
  out.n = rows.size() / dim;
  out.codec = Codec::train(spec, dim, metric, {rows.data(), out.n, dim});
  const std::size_t stride = out.codec->stride();
  out.stored = Buffer::allocate(out.n * stride);
  out.codec->encode(rows.data(), dim, out.n, out.stored.mutable_data());
  const std::size_t blocks = (out.n + kBlockRows - 1) / kBlockRows;
  out.blocks = Buffer::allocate(blocks * out.codec->block_bytes());
  for (std::size_t r = 0; r < out.n; ++r) {
    out.codec->pack(out.stored.data() + r * stride, r % kBlockRows,
                    out.blocks.mutable_data() + r / kBlockRows * out.codec->block_bytes());
  }
  return out;
}

/// Checks one query, and returns the mean slack over the spread of the scores.
double check(const Rows& rows, const float* query) {
  Query exact;
  BlockQuery bounds;
  rows.codec->prepare(query, Precision::kExact, exact);
  EXPECT_TRUE(rows.codec->prepare_bounds(query, bounds));
  const std::size_t blocks = (rows.n + kBlockRows - 1) / kBlockRows;
  std::vector<float> want(rows.n);
  const Buffer room = Buffer::allocate(blocks * kBlockRows * sizeof(float));
  auto* got = const_cast<float*>(reinterpret_cast<const float*>(room.data()));
  exact.score_block(rows.stored.data(), rows.n, want.data());
  bounds.score(rows.blocks.data(), blocks, got);
  double slacks = 0, sum = 0, squares = 0;
  for (std::size_t r = 0; r < rows.n; ++r) {
    EXPECT_LE(got[r], want[r]) << "row " << r;
    const float slack = bounds.slack(
        rows.blocks.data() + r / kBlockRows * rows.codec->block_bytes(), r % kBlockRows);
    // The sum is rounded, and so is what `got` was made of.
    const double hair = 1e-6 * (std::fabs(double{got[r]}) + std::fabs(double{want[r]}) + slack);
    const bool cut = rows.codec->metric() == Metric::kL2 && want[r] == 0.0f;
    if (!cut) EXPECT_GE(double{got[r]} + slack + hair, want[r]) << "row " << r;
    slacks += slack;
    sum += want[r];
    squares += double{want[r]} * want[r];
  }
  const auto n = static_cast<double>(rows.n);
  return slacks / n / std::sqrt(squares / n - sum / n * (sum / n));
}

TEST(Bounds, AreNeverAboveTheExactScore) {
  for (const Kind& kind : kKinds) {
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
      if (kind.kind == CodecKind::kPq && kind.variant == 1 && metric == Metric::kL2) continue;
      for (const std::size_t dim : {1u, 2u, 5u, 16u, 33u, 96u, 200u, 515u}) {
        const CodecSpec spec = spec_of(kind, dim);
        SCOPED_TRACE(std::string(name(kind.kind)) + " " + std::to_string(kind.bits) + " bits, " +
                     std::to_string(kind.variant) + ", " + name(metric) + ", " +
                     std::to_string(dim) + " dimensions");
        auto values = test::normal_vectors(100, dim, 1);
        for (std::size_t r = 0; r < 100; ++r) {
          // One direction beside the others, and rows of all lengths.
          for (std::size_t d = 0; d < dim; ++d) {
            values[r * dim + d] = (values[r * dim + d] + 2.0f) * (metric == Metric::kCosine ? 1.0f
                                  : 0.1f + 0.01f * static_cast<float>(r));
          }
          double square = 0;
          for (std::size_t d = 0; d < dim; ++d) {
            square += double{values[r * dim + d]} * values[r * dim + d];
          }
          for (std::size_t d = 0; metric == Metric::kCosine && d < dim; ++d) {
            values[r * dim + d] = static_cast<float>(values[r * dim + d] / std::sqrt(square));
          }
        }
        const Rows rows = rows_of(spec, dim, metric, values);
        auto queries = test::normal_vectors(6, dim, 2);
        for (std::size_t d = 0; d < dim; ++d) {
          queries[d] *= 1e-20f;          // far below the rows
          queries[dim + d] *= 1e12f;     // and far above
          queries[2 * dim + d] = 0.0f;
          queries[3 * dim + d] = values[7 * dim + d];
          queries[4 * dim + d] = d == 0 ? 1.0f : 0.0f;
        }
        for (std::size_t q = 0; q < 6; ++q) check(rows, queries.data() + q * dim);
      }
    }
  }
}

// Bounds that were far too low would be right and useless. The widest of a table in 255 steps, one
// step for each nibble: within a fifth of the spread of the scores up to two bits, and with one
// dimension to a nibble less than half of it.
TEST(Bounds, AreNear) {
  const std::size_t dim = 96;
  const auto values = test::normal_vectors(100, dim, 3);
  const auto query = test::normal_vectors(1, dim, 4);
  for (const Kind& kind : kKinds) {
    if (kind.variant == 1 && kind.kind == CodecKind::kPq) continue;
    SCOPED_TRACE(std::string(name(kind.kind)) + " " + std::to_string(kind.bits));
    const Rows rows = rows_of(spec_of(kind, dim), dim, Metric::kL2, values);
    EXPECT_LT(check(rows, query.data()), 0.5);
  }
}

TEST(Bounds, AreRefusedWhereNumbersLeaveTheRangeOfFloats) {
  const std::size_t dim = 32;
  const auto values = test::normal_vectors(100, dim, 3);
  const std::vector<float> huge(dim, 1e37f);
  BlockQuery bounds;
  for (const Kind& kind : {kKinds[1], kKinds[3]}) {
    const Rows rows = rows_of(spec_of(kind, dim), dim, Metric::kL2, values);
    EXPECT_TRUE(rows.codec->has_bounds());
    EXPECT_FALSE(rows.codec->prepare_bounds(huge.data(), bounds));
  }
  for (const CodecKind kind : {CodecKind::kFloat32, CodecKind::kSq8}) {
    const auto codec = Codec::train(kind, dim, Metric::kL2, {values.data(), 100, dim});
    EXPECT_FALSE(codec->has_bounds());
    EXPECT_FALSE(codec->prepare_bounds(values.data(), bounds));
  }
}

}  // namespace
}  // namespace vicinal::quantizers
