#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal {

/// What k-medoids adds up. The bit metrics take kUint8 rows of packed bits, of any width.
enum class MedoidMetric : std::uint8_t {
  kL2,            ///< squared, as everywhere: far rows weigh more, as in k-means
  kEuclidean,     ///< its root: the classical sum of distances
  kInnerProduct,  ///< negative; no distance, but swaps need none: any real numbers will do
  kCosine,
  kHamming,
  kJaccard,  ///< 1 - common / union; two empty sets are at distance 0
};

enum class MedoidMethod : std::uint8_t {
  kAuto,       ///< kFasterPam up to kMedoidAutoRows rows, kSampling beyond
  kFasterPam,  ///< every row is tried against all rows: rows^2 distances per iteration
  kSampling,   ///< FasterPAM on samples, the best of which is kept
};
constexpr std::size_t kMedoidAutoRows = 20'000;

/// Where k-medoids begins.
enum class MedoidStart : std::uint8_t {
  kRandom,  ///< distinct rows, each as likely as any other
  kLab,     ///< one after the other, the best of 10 + sqrt(rows) rows for these (LAB)
  kGiven,   ///< KMedoidsParams::first
};

/// What shapes a clustering about medoids.
struct KMedoidsParams {
  std::size_t clusters = 0;  ///< 1 .. rows
  MedoidMetric metric = MedoidMetric::kL2;
  MedoidMethod method = MedoidMethod::kAuto;
  MedoidStart start = MedoidStart::kRandom;
  std::vector<std::int64_t> first;   ///< start kGiven: `clusters` row numbers, none twice
  std::uint32_t iterations = 100;    ///< passes over the candidates at most; 0 only assigns
  std::uint32_t samples = 5;         ///< kSampling: how many, >= 1
  std::size_t sample_size = 0;       ///< kSampling: clusters .. rows; 0: 80 + 4 * clusters, or all
  /// kSampling: rows then tried as medoids against all rows, 0 .. rows; unset: twice the sample
  /// size, or all.
  std::optional<std::size_t> refine;
  std::uint64_t seed = 0;            ///< the only source of randomness
};

struct KMedoidsResult {
  std::vector<std::int64_t> medoids;  ///< row numbers, ascending
  std::vector<std::uint32_t> labels;  ///< of each row: place of its medoid in `medoids`
  double loss = 0.0;                  ///< sum of the rows' distances to their medoids
  std::uint32_t iterations = 0;       ///< passes over candidates, those of all samples together
  std::uint64_t swaps = 0;            ///< of all samples together
  bool converged = false;             ///< the search that gave the medoids ended by itself
  MedoidMethod method = MedoidMethod::kAuto;  ///< the one taken, never kAuto
};

/// k-medoids by eager swaps: FasterPAM (Schubert & Rousseeuw, Information Systems 101, 2021). Rows
/// are tried as medoids in order, round and round; the first that lowers the loss in place of its
/// best slot takes it at once. Under kFasterPam no exchange of a medoid for another row lowers the
/// loss in the end, by more than rounding could feign. Without a matrix of distances: memory grows
/// with rows + sample size^2. Distances are float32, sums double.
/// kSampling: each sample after the first holds the best medoids so far and starts from them.
/// Float32 rows without gaps and of whole 16 bytes are read in place, except under kCosine. A row
/// belongs to its nearest medoid, of several to the one of the smallest row. The answer is the same
/// for any number of threads.
/// Stages reported: "checking", "starting", "assigning", "pass 1" and so on (candidates),
/// "sampling" (samples x rows).
/// Throws ArgumentError: no rows, clusters 0 or more than rows, a row number that is absent or
/// twice among `first`, NaN, infinity, a zero row under kCosine, rows so long that distances would
/// pass float32, rows that are not kUint8 under a bit metric, a parameter out of range.
KMedoidsResult kmedoids(const VectorsView& rows, const KMedoidsParams& params,
                        const RunOptions& run = {});

const char* name(MedoidMetric metric) noexcept;

}  // namespace vicinal
