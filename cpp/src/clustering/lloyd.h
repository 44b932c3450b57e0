#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/parallel.h"
#include "clustering/centroids.h"
#include "clustering/rows.h"
#include "vicinal/cluster.h"

namespace vicinal::clustering {

class Pruner;

/// Where the progress of a call is counted; several loops add to it.
struct Watch {
  Ticker* ticker = nullptr;  ///< follows `done`
  std::atomic<std::uint64_t>* done = nullptr;
};

/// Writes the labels of the dense rows [begin, end) to `out`. Runs on several threads.
using Labeller = std::function<void(const float* rows, std::size_t begin, std::size_t end,
                                    unsigned worker, std::uint32_t* out)>;

/// Rows with a cluster each, and the centroids. Sums are kept in double and change only where a
/// row changes its cluster, in order of the rows: the same for any number of threads.
class Lloyd {
 public:
  /// Labels are kNoRow at first, centroids zero.
  Lloyd(const Rows& rows, std::size_t clusters, Metric metric, const RunOptions& run, Watch watch);
  ~Lloyd();
  Lloyd(const Lloyd&) = delete;
  Lloyd& operator=(const Lloyd&) = delete;

  Centroids& centroids() noexcept { return centroids_; }
  const Centroids& centroids() const noexcept { return centroids_; }
  const std::vector<std::uint32_t>& labels() const noexcept { return labels_; }
  const std::vector<std::uint64_t>& sizes() const noexcept { return sizes_; }
  const Rows& rows() const noexcept { return rows_; }
  void report_to(Watch watch) noexcept { watch_ = watch; }

  /// Each row to its nearest centroid. Returns how many rows changed their cluster.
  std::size_t assign();
  /// Each row to what `label` says.
  std::size_t relabel(const Labeller& label);
  std::size_t relabel(const std::vector<std::uint32_t>& labels);
  /// Centroids to the means of their rows; those without rows stay. The caller settles them.
  void move();
  /// Moves centroids without rows beside the largest clusters, which they split in two.
  void repair(std::uint64_t seed, std::uint64_t round);
  bool any_empty() const;
  /// Sum of the distances of the rows to their centroids.
  double objective() const;

  /// Lloyd's iterations from the centroids as they are.
  void train(const KMeansParams& params, std::uint64_t seed);
  std::uint32_t iterations() const noexcept { return iterations_; }
  bool converged() const noexcept { return converged_; }

  /// Compares all rows with all centroids from now on: for comparison in tests.
  void forbid_pruning() noexcept { may_prune_ = false; }
  bool pruned() const noexcept { return pruner_ != nullptr; }

 private:
  void add_moved(const float* block, std::size_t first);
  void squares();

  const Rows& rows_;
  const RunOptions& run_;
  RunOptions quiet_;  // for steps too short to report
  Watch watch_;
  std::size_t grain_;  // rows of a piece
  std::size_t block_;  // rows between two updates of the sums
  Centroids centroids_;
  std::vector<std::uint32_t> labels_;
  std::vector<std::uint64_t> sizes_;
  std::vector<double> sums_;  // clusters x dim
  double squares_ = 0.0;      // of all rows, under L2
  Buffer copy_;               // a block of rows, unless they are read in place
  std::vector<std::uint32_t> fresh_;
  std::vector<std::uint32_t> moved_;
  std::vector<Scratch> scratch_;  // by worker
  std::unique_ptr<Pruner> pruner_;
  bool may_prune_ = true;
  std::uint32_t iterations_ = 0;
  bool converged_ = false;
};

}  // namespace vicinal::clustering
