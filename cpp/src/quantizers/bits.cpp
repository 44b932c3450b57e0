#include "quantizers/bits.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

using kernels::PackedFactors;
using kernels::PackedQuery;

constexpr CodePart kBit = {1, 0, 1, nullptr};

BitThreshold threshold_of(const CodecSpec& spec) { return static_cast<BitThreshold>(spec.variant); }

void check(const CodecSpec& spec) {
  if (spec.variant > static_cast<std::uint32_t>(BitThreshold::kRotated)) {
    throw ArgumentError("variant of a codec of sign bits is " + std::to_string(spec.variant) +
                        "; wanted 0 (zero), 1 (mean), 2 (median) or 3 (rotated)");
  }
}

std::vector<float> medians_of(MatrixView<const float> rows) {
  const std::size_t n = rows.rows();
  std::vector<float> medians(rows.cols()), column(n);
  for (std::size_t d = 0; d < rows.cols(); ++d) {
    for (std::size_t r = 0; r < n; ++r) column[r] = rows.row(r)[d];
    const auto middle = column.begin() + static_cast<std::ptrdiff_t>(n / 2);
    std::nth_element(column.begin(), middle, column.end());
    medians[d] = *middle;
  }
  return medians;
}

// Between the least and the greatest float, as a sum of two may not be.
float clamped(double x) {
  const auto most = static_cast<double>(std::numeric_limits<float>::max());
  return static_cast<float>(std::min(most, std::max(-most, x)));
}

}  // namespace

BitsCodec::BitsCodec(const CodecSpec& spec, std::size_t dim, Metric metric,
                     std::vector<float> threshold, std::vector<float> low, std::vector<float> high)
    : Codec(spec, dim, metric, (dim + 7) / 8),
      threshold_(std::move(threshold)),
      low_(std::move(low)),
      high_(std::move(high)),
      packed_(dim, {kBit}, 0, 1),
      blocks_(dim, {{kBit, false}}, 0, PackedFactors::kNone, false) {
  if (threshold_of(spec) == BitThreshold::kRotated) {
    rotation_ = std::make_unique<const FastRotation>(dim, spec.seed);
  }
}

std::vector<Learned> BitsCodec::learned() const {
  std::vector<Learned> arrays = {{"low", low_}, {"high", high_}};
  if (threshold_of(spec()) != BitThreshold::kZero) arrays.push_back({"threshold", threshold_});
  return arrays;
}

std::shared_ptr<const Codec> BitsCodec::for_metric(Metric metric) const {
  return std::make_shared<BitsCodec>(spec(), dim(), metric, threshold_, low_, high_);
}

void BitsCodec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                       std::size_t first_row) const {
  static_cast<void>(first_row);
  const std::size_t dim = this->dim();
  std::vector<float> rotated(rotation_ ? dim : 0);
  std::vector<std::uint8_t> codes(dim);
  for (std::size_t r = 0; r < n; ++r) {
    const float* row = rows + r * in_stride;
    std::byte* to = out + r * stride();
    if (rotation_) {
      for (std::size_t d = 0; d < dim; ++d) rotated[d] = row[d] - threshold_[d];
      rotation_->apply(rotated.data(), rotated.data());
      for (std::size_t d = 0; d < dim; ++d) codes[d] = rotated[d] >= 0 ? 1 : 0;
    } else {
      for (std::size_t d = 0; d < dim; ++d) codes[d] = row[d] >= threshold_[d] ? 1 : 0;
    }
    std::memset(to, 0, stride());
    packed_.put(codes.data(), to);
  }
}

void BitsCodec::decode(const std::byte* rows, std::size_t n, float* out,
                       std::size_t out_stride) const {
  const std::size_t dim = this->dim();
  std::vector<std::uint8_t> codes(dim);
  for (std::size_t r = 0; r < n; ++r, rows += stride(), out += out_stride) {
    packed_.get(rows, codes.data());
    for (std::size_t d = 0; d < dim; ++d) out[d] = codes[d] != 0 ? high_[d] : low_[d];
    if (!rotation_) continue;
    rotation_->apply_transposed(out, out);
    for (std::size_t d = 0; d < dim; ++d) out[d] += threshold_[d];
  }
}

float BitsCodec::weigh(const float* query, float* weights) const noexcept {
  const std::size_t dim = this->dim();
  const bool l2 = metric() == Metric::kL2;
  float bias = 0;
  const float* q = query;
  if (rotation_) {
    if (l2) {
      for (std::size_t d = 0; d < dim; ++d) weights[d] = query[d] - threshold_[d];
      rotation_->apply(weights, weights);
    } else {
      bias = -dot_product(query, threshold_.data(), dim);
      rotation_->apply(query, weights);
    }
    q = weights;
  }
  if (!l2) {
    bias -= dot_product(q, low_.data(), dim);
    for (std::size_t d = 0; d < dim; ++d) weights[d] = q[d] * (low_[d] - high_[d]);
    return bias;
  }
  // (q - high)^2 - (q - low)^2, and the sum of the (q - low)^2 as the bias.
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const float to_low = q[d] - low_[d], to_high = q[d] - high_[d];
    sum += static_cast<double>(to_low) * static_cast<double>(to_low);
    weights[d] = (to_high + to_low) * (low_[d] - high_[d]);
  }
  return static_cast<float>(sum);
}

void BitsCodec::prepare(const float* query, Precision precision, Query& out) const {
  const unsigned digits = precision == Precision::kFast ? 1 : 3;
  float* weights = out.values().get(dim());
  const float bias = weigh(query, weights);
  auto& q = *new (out.state().get(sizeof(PackedQuery))) PackedQuery{};
  packed_.round_query(weights, digits, out.codes().get(packed_.query_room(digits)), q);
  q.bias = bias;
  q.least = metric() == Metric::kL2 ? 0.0f : -std::numeric_limits<float>::infinity();
  q.factors = PackedFactors::kNone;
  const kernels::PackedKernels& kernels = *kernels::active().packed;
  const std::size_t which = digits == 1 ? 0 : 1;
  out.use(&q, kernels.ids[which], kernels.block[which], stride(), bytes());
}

void BitsCodec::pack(const std::byte* row, std::size_t place, std::byte* block) const {
  std::vector<std::uint8_t> codes(dim());
  packed_.get(row, codes.data());
  blocks_.put(codes.data(), nullptr, place, block);
}

void BitsCodec::unpack(const std::byte* block, std::size_t place, std::byte* row) const {
  std::vector<std::uint8_t> codes(dim());
  blocks_.get(block, place, codes.data(), nullptr);
  std::memset(row, 0, stride());
  packed_.put(codes.data(), row);
}

void BitsCodec::prepare_blocks(const float* query, BlockQuery& out) const {
  float* weights = out.values().get(dim());
  const float bias = weigh(query, weights);
  const bool l2 = metric() == Metric::kL2;
  const float least = l2 ? 0.0f : -std::numeric_limits<float>::infinity();
  blocks_.prepare(weights, {bias, 1.0f, 0.0f, least}, out);
}

std::shared_ptr<const Codec> train_bits(const CodecSpec& spec, std::size_t dim, Metric metric,
                                        MatrixView<const float> sample, const RunOptions& run) {
  static_cast<void>(run);
  check(spec);
  std::vector<float> threshold(dim), low(dim), high(dim);
  if (sample.rows() > 0) {
    switch (threshold_of(spec)) {
      case BitThreshold::kZero: break;
      case BitThreshold::kMedian: threshold = medians_of(sample); break;
      case BitThreshold::kMean:
      case BitThreshold::kRotated: threshold = mean_of(sample); break;
    }
  }
  const bool rotated = threshold_of(spec) == BitThreshold::kRotated;
  const FastRotation rotation(dim, spec.seed);
  std::vector<double> sums(2 * dim);
  std::vector<std::uint64_t> counts(2 * dim);
  std::vector<float> row(dim);
  for (std::size_t r = 0; r < sample.rows(); ++r) {
    const float* from = sample.row(r);
    if (rotated) {
      for (std::size_t d = 0; d < dim; ++d) row[d] = from[d] - threshold[d];
      rotation.apply(row.data(), row.data());
      from = row.data();
    }
    for (std::size_t d = 0; d < dim; ++d) {
      const std::size_t side = from[d] >= (rotated ? 0.0f : threshold[d]) ? 1 : 0;
      sums[2 * d + side] += static_cast<double>(from[d]);
      ++counts[2 * d + side];
    }
  }
  for (std::size_t d = 0; d < dim; ++d) {
    const float middle = rotated ? 0.0f : threshold[d];
    const auto side_mean = [&](std::size_t side) {
      const std::uint64_t n = counts[2 * d + side];
      return n > 0 ? clamped(sums[2 * d + side] / static_cast<double>(n)) : middle;
    };
    low[d] = side_mean(0);
    high[d] = side_mean(1);
  }
  return std::make_shared<BitsCodec>(spec, dim, metric, std::move(threshold), std::move(low),
                                     std::move(high));
}

std::shared_ptr<const Codec> restore_bits(const CodecSpec& spec, std::size_t dim, Metric metric,
                                          std::vector<Learned> learned) {
  check(spec);
  std::vector<float> low = std::move(take_array(learned, 0, "low", dim));
  std::vector<float> high = std::move(take_array(learned, 1, "high", dim));
  std::vector<float> threshold(dim);
  if (threshold_of(spec) != BitThreshold::kZero) {
    threshold = std::move(take_array(learned, 2, "threshold", dim));
  }
  return std::make_shared<BitsCodec>(spec, dim, metric, std::move(threshold), std::move(low),
                                     std::move(high));
}

std::vector<std::pair<std::string, std::size_t>> learns_bits(const CodecSpec& spec,
                                                             std::size_t dim) {
  check(spec);
  std::vector<std::pair<std::string, std::size_t>> arrays = {{"low", dim}, {"high", dim}};
  if (threshold_of(spec) != BitThreshold::kZero) arrays.emplace_back("threshold", dim);
  return arrays;
}

}  // namespace vicinal::quantizers
