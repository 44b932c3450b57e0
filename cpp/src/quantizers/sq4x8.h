#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quantizers/codec.h"
#include "quantizers/packed.h"
#include "quantizers/plain.h"

namespace vicinal::quantizers {

/// Scalar codes of two levels (LVQ-4x8: Aguerrebere et al., PVLDB 16(11), 2023): a row of kSq4,
/// then a byte per dimension for what it leaves over, [-delta / 2, delta / 2] in 255 steps, then
/// under L2 the squared norm of both together, less the mean. Precision::kFast reads the first
/// level alone, and so do distances between stored rows; kExact and decode() take both.
class Sq4x8Codec final : public Codec {
 public:
  Sq4x8Codec(const CodecSpec& spec, std::size_t dim, Metric metric, std::vector<float> mean);

  bool has_fast() const noexcept override { return true; }
  std::vector<Learned> learned() const override { return first_.learned(); }
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row = 0) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  void prepare(const float* query, Precision precision, Query& out) const override;
  void prepare_row(const std::byte* row, Query& out) const override;

 private:
  /// Lets a query prepared for rows of first_ step over the second level.
  void use_first(Query& out) const;
  /// delta * (code / 255 - 1 / 2) added to each dimension.
  void add_second(const std::byte* row, float* out) const noexcept;

  PlainCodec first_;
  PackedCodes packed_;
};

std::shared_ptr<const Codec> train_sq4x8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                         MatrixView<const float> sample,
                                         const RunOptions& run = {});
std::shared_ptr<const Codec> restore_sq4x8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                           std::vector<Learned> learned);
std::vector<std::pair<std::string, std::size_t>> learns_sq4x8(const CodecSpec& spec,
                                                              std::size_t dim);

}  // namespace vicinal::quantizers
