#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal {

/// Where k-means begins.
enum class KMeansStart : std::uint8_t {
  /// Arthur & Vassilvitskii, SODA 2007: rows drawn by squared distance to those drawn before. For
  /// large inputs from a sample of rows, see kmeans().
  kPlusPlus,
  kRandom,  ///< distinct rows, each as likely as any other
  kGiven,   ///< KMeansParams::first
};

/// What keeps clusters alike in size.
enum class Balance : std::uint8_t {
  kNone,
  /// Split again and again, each time by k-means whose assignment charges a part for holding more
  /// than its share (after SPANN, Chen et al., NeurIPS 2021); then all clusters side by side.
  kPenalty,
  /// No cluster may hold more than ceil(rows / clusters * slack): rows that would lose most by
  /// their second choice choose first, later pairs of rows change places while that gains.
  kCapacity,
  /// Every cluster is to receive the same mass: Sinkhorn's scaling of exp(-distance / epsilon),
  /// then each row its largest share (RepCONC, Zhan et al., WSDM 2022).
  /// At most 4096 clusters; more rows than max(2^24 / clusters, 4 * clusters) are treated in
  /// batches drawn by the seed.
  kTransport,
};

/// What shapes a clustering.
struct KMeansParams {
  std::size_t clusters = 0;      ///< 1 .. rows
  Metric metric = Metric::kL2;   ///< kInnerProduct, kCosine: spherical, centroids of length 1
  KMeansStart start = KMeansStart::kPlusPlus;
  MatrixView<const float> first;    ///< start kGiven: clusters x dim
  std::uint32_t iterations = 25;    ///< at most; 0 keeps the start and only assigns
  std::uint32_t restarts = 1;       ///< runs from different starts, of which the best is kept
  double tolerance = 1e-4;          ///< stops once an iteration lowers the objective by less, as a
                                    ///< part of it; 0: only when no row changes its cluster
  Balance balance = Balance::kNone;
  double slack = 1.05;              ///< >= 1; kCapacity: see there. kPenalty: largest size by the
                                    ///< mean at which charges rest; not a promise
  std::uint32_t branching = 16;     ///< kPenalty: parts per split, 2 .. 1024
  double epsilon = 0.01;            ///< kTransport: > 0, distances scaled to [-1, 1] before
  std::uint32_t rounds = 100;       ///< kTransport: of scaling at most, per iteration
  std::uint64_t seed = 0;           ///< the only source of randomness
};

struct KMeansResult {
  std::size_t clusters = 0;
  std::size_t dim = 0;
  std::vector<float> centroids;        ///< clusters x dim
  std::vector<std::uint32_t> labels;   ///< cluster of each row
  std::vector<std::uint64_t> sizes;    ///< rows of each cluster
  double objective = 0.0;              ///< sum of the rows' distances to their centroids
  double entropy = 0.0;                ///< of the sizes, bits; log2(clusters) if all are equal
  double max_over_mean = 0.0;          ///< largest size by the mean size
  std::uint32_t iterations = 0;        ///< of the run that was kept
  bool converged = false;              ///< it ended before its iterations did

  MatrixView<const float> centroids_view() const { return {centroids.data(), clusters, dim}; }
};

/// Lloyd's k-means. Rows of float32 without gaps are read in place, others converted block by
/// block in every iteration. The answer is the same for any number of threads. A cluster that runs
/// empty takes over half of the largest one.
/// k-means++ looks at no more than max(32768, 8 * clusters) rows, drawn by the seed, and draws in
/// batches of at most an eighth of the seeds it has (as in k-means||, Bahmani et al., VLDB 2012).
/// Under a balance the centroids are those of the balanced labels, so a row may be
/// nearer to another one's centroid; assign() tells.
/// Stages reported: "checking", "starting", "clustering" (rows x iterations), "splitting"
/// (clusters), "balancing" (rows x sweeps).
/// Throws ArgumentError: no rows, clusters 0 or more than rows, NaN, infinity, a zero row under
/// kCosine, a parameter out of range, a `first` of another shape.
KMeansResult kmeans(const VectorsView& rows, const KMeansParams& params,
                    const RunOptions& run = {});

/// The labels.cols() nearest centroids of each row, nearest first, ties by smaller number; places
/// beyond the number of centroids hold kNoRow and +inf. distances: of the same shape, or empty if
/// nobody wants them. Under kCosine both sides may have any length but zero.
/// Throws ArgumentError; then nothing was written. Stages: "checking", "assigning".
void assign(const VectorsView& rows, MatrixView<const float> centroids, Metric metric,
            MatrixView<std::uint32_t> labels, MatrixView<float> distances = {},
            const RunOptions& run = {});

}  // namespace vicinal
