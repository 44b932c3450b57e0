#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quantizers/codec.h"
#include "quantizers/fast_rotation.h"
#include "quantizers/packed.h"

namespace vicinal::quantizers {

/// CodecSpec::variant of kRotation.
enum class RotationLevels : std::uint32_t {
  kBest,      ///< kLloydMax with 4 bits, else kUniform: what measured better
  kUniform,   ///< evenly spaced (extended RaBitQ)
  kLloydMax,  ///< where a normal distribution has them (EDEN); 1, 2 or 4 bits
};

/// Codes of 1 to 8 bits per dimension of r = R (x - mean), R a random rotation. A row stands for
/// y = s v with v the levels of its codes and s = ||r||^2 / <v, r>: then <y, r> = ||r||^2, and over
/// rotations <q, y> is an unbiased estimate of <q, r> (RaBitQ: Gao & Long, SIGMOD 2024; Gao et al.,
/// SIGMOD 2025; EDEN: Vargaftik et al., ICML 2022). Of all ways to round r / t, t > 0, the row has
/// the one whose v is nearest in direction, among the t tried.
///   inner product: score = -(<q, mean> + a <mean, r> + <q - a mean, y>) with
///                  a = <q, mean> / ||mean||^2 and <mean, r> stored: what a query shares with the
///                  mean adds no error. It is -<q, decode()>; decode() also knows what lies along
///                  the mean
///   L2:            score = ||q - mean||^2 + ||r||^2 - 2 <q - mean, y>, with ||r||^2 stored; it may
///                  come out below zero
/// Lloyd-Max levels are whole numbers, so that all arithmetic on codes is exact: 18, 60 for 2 bits
/// and 3, 9, 15, 22, 29, 38, 48, 63 for 4, within 2 % of a standard deviation of the true ones.
/// 3 and 5 to 8 bits are evenly spaced only: a scan looks up four bits at a time, and their codes
/// have to be sums of what parts of them stand for.
/// A row: codes, s, and ||r||^2 or -<r, mean>; 2 bytes each up to 4 bits, 4 bytes each above.
class RotationCodec final : public Codec {
 public:
  RotationCodec(const CodecSpec& spec, std::size_t dim, Metric metric, std::vector<float> mean);

  bool reconstructs() const noexcept override { return false; }
  bool has_fast() const noexcept override { return true; }
  std::vector<Learned> learned() const override;
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row = 0) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  void prepare(const float* query, Precision precision, Query& out) const override;
  /// As near as two codes tell: from the row as it is best known (its own error not made up for).
  void prepare_row(const std::byte* row, Query& out) const override;

  std::size_t block_bytes() const noexcept override { return blocks_.bytes(); }
  void pack(const std::byte* row, std::size_t place, std::byte* block) const override;
  void unpack(const std::byte* block, std::size_t place, std::byte* row) const override;
  void prepare_blocks(const float* query, BlockQuery& out) const override;
  /// Codes of more bits are planes that each take a pass: no faster than rows.
  bool has_bounds() const noexcept override { return spec().bits <= 4; }
  bool prepare_bounds(const float* query, BlockQuery& out) const override;

  /// <u, y> misses <u, r>, u the query less its part of the mean, by a standard deviation of about
  /// spread(row) * ||u||; an L2 score is off by twice that. Gao & Long's bound is 1.9 of them: what
  /// lies further behind the k-th candidate need not be re-ranked. Costs no byte: s tells it, as
  /// levels that suit a normal distribution have about the same angle to all rows.
  float spread(const std::byte* row) const noexcept { return spread_ * scale_of(row); }

 private:
  bool l2() const noexcept { return metric() == Metric::kL2; }
  bool short_factors() const noexcept { return spec().bits <= 4; }
  float scale_of(const std::byte* row) const noexcept;
  /// ||r||^2 under L2, else -<r, mean>.
  float added_by(const std::byte* row) const noexcept;
  /// Rotates the query less its part of the mean into out. Scores: but for `scale`.
  PackedBlocks::Score rotate_query(const float* query, float* out) const noexcept;
  void fit(const float* rotated, std::uint8_t* codes) const;
  void use(kernels::PackedQuery& q, unsigned digits, const PackedBlocks::Score& score,
           Query& out) const;

  std::vector<float> mean_;
  FastRotation rotation_;
  double mean_norm_;
  bool lloyd_;
  std::vector<std::int32_t> values_;  // by code
  std::uint8_t levels_[16];           // of blocks_, if lloyd_
  PackedCodes packed_;
  PackedBlocks blocks_;
  float spread_;
};

std::shared_ptr<const Codec> train_rotation(const CodecSpec& spec, std::size_t dim, Metric metric,
                                            MatrixView<const float> sample,
                                            const RunOptions& run = {});
std::shared_ptr<const Codec> restore_rotation(const CodecSpec& spec, std::size_t dim, Metric metric,
                                              std::vector<Learned> learned);
/// Throws ArgumentError for bits or levels that there are not.
std::vector<std::pair<std::string, std::size_t>> learns_rotation(const CodecSpec& spec,
                                                                 std::size_t dim);

}  // namespace vicinal::quantizers
