#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quantizers/codec.h"

namespace vicinal::quantizers {

/// Numbers as they are, rounded to fewer bits (kFloat32 to kUint8), or per-vector scalar codes
/// (kSq8, kSq4: LVQ, Aguerrebere et al., PVLDB 16(11), 2023).
class PlainCodec final : public Codec {
 public:
  /// mean: dim floats for scalar codes, else empty.
  PlainCodec(const CodecSpec& spec, std::size_t dim, Metric metric, std::vector<float> mean);

  const std::vector<float>& mean() const noexcept { return mean_; }
  kernels::RowType row_type(Precision precision) const noexcept;

  bool has_fast() const noexcept override { return !mean_.empty(); }
  std::vector<Learned> learned() const override;
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  /// kInt8/kUint8: whole numbers in range, else ArgumentError.
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row = 0) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  /// kInt8/kUint8: a query that is not whole numbers in range is an ArgumentError.
  void prepare(const float* query, Precision precision, Query& out) const override;
  /// Under inner product of scalar codes this decodes first; scalar codes under L2 need next to
  /// nothing.
  void prepare_row(const std::byte* row, Query& out) const override;
  float twin_limit(const std::byte* row) const noexcept override;

 private:
  void use(kernels::RowType type, const void* data, Query& out) const;

  std::vector<float> mean_;
};

std::shared_ptr<const Codec> train_plain(const CodecSpec& spec, std::size_t dim, Metric metric,
                                         MatrixView<const float> sample, const RunOptions& run);
std::shared_ptr<const Codec> restore_plain(const CodecSpec& spec, std::size_t dim, Metric metric,
                                           std::vector<Learned> learned);
std::vector<std::pair<std::string, std::size_t>> learns_plain(const CodecSpec& spec,
                                                              std::size_t dim);

}  // namespace vicinal::quantizers
