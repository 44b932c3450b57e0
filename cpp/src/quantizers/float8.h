#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quantizers/codec.h"

namespace vicinal::quantizers {

/// Floats of 8 bits, 4 of exponent and 3 of mantissa (e4m3: Micikevicius et al., arXiv 2209.05433),
/// times a factor per row that brings its largest number to 448, the largest there is.
/// A row: a byte per dimension, the factor as float32, and under L2 the squared norm.
class Float8Codec final : public Codec {
 public:
  Float8Codec(const CodecSpec& spec, std::size_t dim, Metric metric);

  std::vector<Learned> learned() const override { return {}; }
  std::shared_ptr<const Codec> for_metric(Metric metric) const override;
  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row = 0) const override;
  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override;
  void prepare(const float* query, Precision precision, Query& out) const override;
  float twin_limit(const std::byte* row) const noexcept override;
};

/// The nearest e4m3 number, ties to even; what is larger than 448 becomes 448. x is finite.
std::uint8_t to_float8(float x) noexcept;
float from_float8(std::uint8_t code) noexcept;

std::shared_ptr<const Codec> train_float8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                          MatrixView<const float> sample,
                                          const RunOptions& run = {});
std::shared_ptr<const Codec> restore_float8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                            std::vector<Learned> learned);
std::vector<std::pair<std::string, std::size_t>> learns_float8(const CodecSpec& spec,
                                                               std::size_t dim);

}  // namespace vicinal::quantizers
