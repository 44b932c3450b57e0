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

/// CodecSpec::variant of kBits: what a dimension is compared with.
enum class BitThreshold : std::uint32_t {
  kZero,
  kMean,
  kMedian,
  kRotated,  ///< zero, after a random rotation about the mean; seed decides it
};

/// One bit per dimension: whether it is at or above a threshold. A row stands for the mean of what
/// the sample has on that side of the threshold, so that dimensions count as much as they vary; a
/// float query is compared with those two values a dimension, bit by bit.
class BitsCodec final : public Codec {
 public:
  /// threshold: dim floats, zeros for kZero, the mean for kRotated. low, high: what 0 and 1 stand
  /// for, after the rotation if there is one.
  BitsCodec(const CodecSpec& spec, std::size_t dim, Metric metric, std::vector<float> threshold,
            std::vector<float> low, std::vector<float> high);

  bool has_fast() const noexcept override { return true; }
  std::vector<Learned> learned() const override;
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row = 0) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  void prepare(const float* query, Precision precision, Query& out) const override;

  std::size_t block_bytes() const noexcept override { return blocks_.bytes(); }
  void pack(const std::byte* row, std::size_t place, std::byte* block) const override;
  void unpack(const std::byte* block, std::size_t place, std::byte* row) const override;
  void prepare_blocks(const float* query, BlockQuery& out) const override;

 private:
  /// What each bit adds to the score, into dim floats; returns the bias.
  float weigh(const float* query, float* weights) const noexcept;

  std::vector<float> threshold_, low_, high_;
  std::unique_ptr<const FastRotation> rotation_;
  PackedCodes packed_;
  PackedBlocks blocks_;
};

std::shared_ptr<const Codec> train_bits(const CodecSpec& spec, std::size_t dim, Metric metric,
                                        MatrixView<const float> sample, const RunOptions& run = {});
std::shared_ptr<const Codec> restore_bits(const CodecSpec& spec, std::size_t dim, Metric metric,
                                          std::vector<Learned> learned);
std::vector<std::pair<std::string, std::size_t>> learns_bits(const CodecSpec& spec,
                                                             std::size_t dim);

}  // namespace vicinal::quantizers
