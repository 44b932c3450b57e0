#include "indexes/hnsw_partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "indexes/hnsw_data.h"

namespace vicinal {
namespace {

using indexes::Leaves;
using indexes::PartitionParams;
using test::Matrix;
using test::spread;

Leaves leaves_of(const Matrix& rows, const PartitionParams& params, unsigned threads = 1) {
  const auto codec = quantizers::Codec::train(CodecKind::kFloat32, rows.cols, Metric::kL2, {});
  std::vector<std::byte> codes(rows.rows * codec->stride());
  codec->encode(rows.values.data(), rows.cols, rows.rows, codes.data());
  std::vector<std::uint32_t> all(rows.rows);
  std::iota(all.begin(), all.end(), 0u);
  RunOptions run;
  run.threads = threads;
  return indexes::partition(*codec, codes.data(), all, params, run, nullptr);
}

void expect_sound(const Leaves& leaves, std::size_t rows, const PartitionParams& params) {
  std::vector<std::size_t> seen(rows);
  ASSERT_EQ(leaves.starts.front(), 0u);
  ASSERT_EQ(leaves.starts.back(), leaves.members.size());
  for (std::size_t l = 0; l < leaves.count(); ++l) {
    const auto begin = leaves.members.begin() + static_cast<std::ptrdiff_t>(leaves.starts[l]);
    const auto end = leaves.members.begin() + static_cast<std::ptrdiff_t>(leaves.starts[l + 1]);
    EXPECT_GT(end - begin, 0);
    EXPECT_LE(static_cast<std::size_t>(end - begin), params.leaf + 8);
    EXPECT_TRUE(std::is_sorted(begin, end)) << "leaf " << l;
    EXPECT_EQ(std::adjacent_find(begin, end), end) << "leaf " << l << " has a row twice";
    for (auto at = begin; at != end; ++at) ++seen[*at];
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 0u), 0);
}

TEST(Partition, HasEveryRowInSmallLeaves) {
  PartitionParams params;
  params.leaf = 64;
  for (const std::size_t n : {1, 2, 63, 64, 65, 130, 1000, 5000}) {
    SCOPED_TRACE(n);
    expect_sound(leaves_of(spread(n, 8, 1), params), n, params);
  }
}

TEST(Partition, EndsWhereRowsAreAllAlike) {
  PartitionParams params;
  params.leaf = 64;
  Matrix rows = spread(3000, 8, 1);
  // Copies of three rows, and a few others.
  for (std::size_t r = 20; r < rows.rows; ++r) {
    std::copy_n(rows.row(r % 3), rows.cols, &rows.values[r * rows.cols]);
  }
  expect_sound(leaves_of(rows, params), rows.rows, params);
}

TEST(Partition, IsTheSameForAnyNumberOfThreads) {
  PartitionParams params;
  params.leaf = 100;
  const Matrix rows = spread(3000, 8, 2);
  const Leaves first = leaves_of(rows, params, 1);
  for (const unsigned threads : {2u, 5u}) {
    const Leaves again = leaves_of(rows, params, threads);
    EXPECT_EQ(first.members, again.members);
    EXPECT_EQ(first.starts, again.starts);
  }
  params.seed = 1;
  EXPECT_NE(first.members, leaves_of(rows, params).members);
}

}  // namespace
}  // namespace vicinal
