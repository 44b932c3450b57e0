#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "clustering/lloyd.h"
#include "clustering/rows.h"
#include "vicinal/cluster.h"

namespace vicinal::clustering {

/// Balance::kPenalty: a cluster of each row, from nothing but the rows.
std::vector<std::uint32_t> split_evenly(const Rows& rows, const KMeansParams& params,
                                        std::uint64_t seed, const RunOptions& run, Watch watch);
/// Charges all clusters side by side; gives largest size by the mean. A few dozen times the work of
/// one assignment.
double even_out(Lloyd& lloyd, const KMeansParams& params);
/// Levels of splits that reach so many clusters.
std::size_t split_levels(std::size_t clusters, std::size_t branching);

/// Balance::kCapacity: gives the rows of a finished clustering to clusters with limited room, and
/// moves the centroids, until that gains little.
void fill_evenly(Lloyd& lloyd, const KMeansParams& params, const RunOptions& run, Watch watch);

/// Balance::kTransport, likewise.
void transport(Lloyd& lloyd, const KMeansParams& params, std::uint64_t seed, const RunOptions& run,
               Watch watch);

constexpr int kEveningSweeps = 24;
constexpr std::size_t kMostTransported = 4096;  ///< clusters
constexpr std::size_t kBalancingPasses = 8;     ///< of labels and means in turns, at most

/// The most rows a cluster may hold.
std::uint64_t capacity(std::size_t rows, std::size_t clusters, double slack);

}  // namespace vicinal::clustering
