#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "kernels/adc.h"
#include "quantizers/codec.h"

namespace vicinal::quantizers {

// CodecSpec::variant of kRq: the beam in the low byte, 0 for kRqBeam, and kRqPlain.
constexpr std::uint32_t kRqBeam = 5;
constexpr std::uint32_t kRqMaxBeam = 64;
/// Codebooks stay as residual k-means leaves them, from the coarse to the fine, as code prefixes
/// that name clusters want it. Otherwise they are fitted to one another afterwards, which lowers
/// the error.
constexpr std::uint32_t kRqPlain = 256;
constexpr std::uint32_t kRqMaxLevels = 256;
constexpr std::size_t kRqSampleRows = 100'000;  ///< worth learning from

/// Chooses codes. Costs are put together from tables: ||x - sum c||^2 - ||x||^2 is a sum of
/// ||c||^2 - 2 <x, c> per level and 2 <c, c'> per pair of levels, so that a row meets the codebooks
/// once, however wide the beam (Babenko & Lempitsky, CVPR 2014, write the cost so).
/// Pairs are kept within stages of kStage levels, 256 KiB each; between two stages only the best
/// path goes on, and its residual becomes the x of the next.
class RqEncoder {
 public:
  static constexpr std::size_t kStage = 16;

  struct Path {
    float cost;
    std::uint8_t codes[kStage];  // of the stage so far
  };

  RqEncoder(std::size_t dim, std::size_t levels);

  /// codebooks: level after level; those before `level` have been set.
  void set_level(std::size_t level, const float* codebooks, const RunOptions& run);
  /// out: n x 256, ||c||^2 - 2 <x, c>. rows: dense.
  void bases(std::size_t level, const float* rows, std::size_t n, float* out) const;
  /// The `beam` best of the paths, each with every code of this level added; best first.
  /// base: of the row; paths: room for `beam`.
  void extend(std::size_t level, const float* base, std::size_t beam, Path* paths,
              std::uint32_t& count) const;
  /// codes: n x levels. rows: dense; what the codes leave of them comes back.
  void encode(const float* codebooks, std::size_t beam, float* rows, std::size_t n,
              std::uint8_t* codes) const;

 private:
  float* cross(std::size_t level, std::size_t earlier) noexcept;
  const float* cross(std::size_t level, std::size_t earlier) const noexcept;

  std::size_t dim_;
  std::size_t levels_;
  const kernels::Table* table_;
  std::size_t panels_;           // a level
  std::vector<float> norms_;     // levels x 256
  Buffer packed_;                // the codebooks as TileKernel::pack writes them
  Buffer cross_;                 // pairs of levels x 256 x 256
};

/// What a residual quantizer learned. A row stands for mean + the sum of one centroid per level.
class RqBooks {
 public:
  RqBooks(std::size_t dim, std::size_t levels, std::vector<float> mean,
          std::vector<float> codebooks, std::vector<float> norms, std::vector<float> gains);

  std::size_t dim() const noexcept { return dim_; }
  std::size_t levels() const noexcept { return levels_; }
  const std::vector<float>& mean() const noexcept { return mean_; }
  const std::vector<float>& codebooks() const noexcept { return codebooks_; }
  const std::vector<float>& norms() const noexcept { return norms_; }
  const std::vector<float>& gains() const noexcept { return gains_; }
  const float* columns(std::size_t level) const noexcept {
    return reinterpret_cast<const float*>(columns_.data()) + level * dim_ * kernels::kAdcEntries;
  }
  /// Made when something is first encoded: tens of megabytes that searching does not need.
  const RqEncoder& encoder() const;

 private:
  std::size_t dim_;
  std::size_t levels_;
  std::vector<float> mean_;
  std::vector<float> codebooks_;  // levels x 256 x dim
  std::vector<float> norms_;      // ascending, as are the gains
  std::vector<float> gains_;
  Buffer columns_;                // levels x dim x 256
  mutable std::once_flag once_;
  mutable std::unique_ptr<const RqEncoder> encoder_;
};

/// Residual quantization with a beam (Chen, Guan & Wang, Sensors 10(12), 2010), codebooks fitted to
/// one another by least squares (as in LSQ, Martinez et al., ECCV 2016).
/// A row is one byte per level and one more, which of 256 learned values is nearest to what sums of
/// centroids do not tell:
///  * Inner product and cosine: the gain ||x|| / ||y||, 0.5 to 2, that makes the row as long as the
///    vector was. Sums of centroids are shorter than what they stand for, and the worse they fit
///    the shorter: without it the rows that fit best would come first.
///  * L2: ||y - mean||^2 + ||x - y||^2 / 2. With the first term alone ||q - y||^2 is a sum of table
///    entries, but holds too little of rows that fit badly to compare them with others; with the
///    whole of the second, the expectation of ||q - x||^2 where q knows nothing of x, it holds too
///    much against them. Half ranks better than either (8 levels; SIFT, MNIST and sentence
///    embeddings).
class RqCodec final : public Codec {
 public:
  RqCodec(const CodecSpec& spec, Metric metric, std::shared_ptr<const RqBooks> books);

  std::vector<Learned> learned() const override;
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  bool reconstructs() const noexcept override { return metric() != Metric::kL2; }
  void prepare(const float* query, Precision precision, Query& out) const override;

  const RqBooks& books() const noexcept { return *books_; }

 private:
  std::shared_ptr<const RqBooks> books_;
};

/// What the factories of Codec call for kRq. All throw ArgumentError for a spec that cannot be.
std::shared_ptr<const Codec> train_rq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                      MatrixView<const float> sample, const RunOptions& run);
std::shared_ptr<const Codec> restore_rq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                        std::vector<Learned> learned);
std::vector<std::pair<std::string, std::size_t>> learns_rq(const CodecSpec& spec, std::size_t dim);

}  // namespace vicinal::quantizers
