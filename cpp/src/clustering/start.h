#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "clustering/lloyd.h"
#include "clustering/rows.h"
#include "vicinal/cluster.h"

namespace vicinal::clustering {

/// `count` different numbers below n, in random order (Floyd's algorithm, then as it drew them).
std::vector<std::uint32_t> draw(std::size_t n, std::size_t count, std::uint64_t seed,
                                std::uint64_t stream);

/// clusters x dim floats to begin with, kPlusPlus or kRandom.
std::vector<float> start(const Rows& rows, std::size_t clusters, Metric metric, KMeansStart how,
                         std::uint64_t seed, const RunOptions& run, Watch watch);

/// Rows that k-means++ looks at.
std::size_t start_rows(std::size_t rows, std::size_t clusters);

}  // namespace vicinal::clustering
