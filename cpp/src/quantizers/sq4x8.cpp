#include "quantizers/sq4x8.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

namespace vicinal::quantizers {
namespace {

using kernels::PackedFactors;
using kernels::PackedQuery;
using kernels::Rank;
using kernels::RowType;
using kernels::ScalarRow;

std::size_t first_bytes(std::size_t dim) {
  return sizeof(ScalarRow) + kernels::sq4_code_bytes(dim);
}

std::size_t all_bytes(std::size_t dim, Metric metric) {
  return first_bytes(dim) + dim + (metric == Metric::kL2 ? sizeof(float) : 0);
}

// Both levels as one whole number, 255 of the first to one of the second, about their middle.
PackedCodes both_levels(std::size_t dim) {
  PackedCodes packed(dim, {{4, 0, 255, nullptr}}, 2040, 2040, sizeof(ScalarRow));
  packed.widen_tail(kernels::sq4_tail_bytes(dim));
  packed.add({8, 0, 1, nullptr});
  return packed;
}

ScalarRow head_of(const std::byte* row) {
  ScalarRow head;
  std::memcpy(&head, row, sizeof head);
  return head;
}

}  // namespace

Sq4x8Codec::Sq4x8Codec(const CodecSpec& spec, std::size_t dim, Metric metric,
                       std::vector<float> mean)
    : Codec(spec, dim, metric, all_bytes(dim, metric)),
      first_(CodecKind::kSq4, dim, metric, std::move(mean)),
      packed_(both_levels(dim)) {}

std::shared_ptr<const Codec> Sq4x8Codec::for_metric(Metric metric) const {
  return std::make_shared<Sq4x8Codec>(spec(), dim(), metric, first_.mean());
}

void Sq4x8Codec::add_second(const std::byte* row, float* out) const noexcept {
  const float delta = head_of(row).delta;
  const float step = delta / 255.0f, lower = -0.5f * delta;
  const auto* codes = reinterpret_cast<const std::uint8_t*>(row + first_bytes(dim()));
  for (std::size_t d = 0; d < dim(); ++d) out[d] += lower + step * static_cast<float>(codes[d]);
}

void Sq4x8Codec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                        std::size_t first_row) const {
  const std::size_t dim = this->dim();
  const std::vector<float>& mean = first_.mean();
  std::vector<float> near(dim);
  for (std::size_t r = 0; r < n; ++r) {
    const float* row = rows + r * in_stride;
    std::byte* to = out + r * stride();
    std::memset(to, 0, stride());
    first_.encode(row, in_stride, 1, to, first_row + r);
    first_.decode(to, 1, near.data(), dim);
    const float delta = head_of(to).delta;
    const float inverse = delta > 0 ? 255.0f / delta : 0.0f;
    auto* codes = reinterpret_cast<std::uint8_t*>(to + first_bytes(dim));
    for (std::size_t d = 0; d < dim; ++d) {
      const float c = nearest_whole((row[d] - near[d]) * inverse + 127.5f);
      codes[d] = static_cast<std::uint8_t>(std::min(255.0f, std::max(0.0f, c)));
    }
    if (metric() != Metric::kL2) continue;
    add_second(to, near.data());
    for (std::size_t d = 0; d < dim; ++d) near[d] -= mean[d];
    const auto norm = static_cast<float>(std::min(
        squared_norm(near.data(), dim), static_cast<double>(std::numeric_limits<float>::max())));
    std::memcpy(to + first_bytes(dim) + dim, &norm, sizeof norm);
  }
}

void Sq4x8Codec::decode(const std::byte* rows, std::size_t n, float* out,
                        std::size_t out_stride) const {
  for (std::size_t r = 0; r < n; ++r, rows += stride(), out += out_stride) {
    first_.decode(rows, 1, out, out_stride);
    add_second(rows, out);
  }
}

void Sq4x8Codec::use_first(Query& out) const {
  const auto rank = static_cast<std::size_t>(metric() == Metric::kL2 ? Rank::kL2 : Rank::kIp);
  const kernels::RowKernels& row = kernels::active().row(RowType::kSq4Int);
  out.use(out.state().get(sizeof(kernels::ScalarQuery)), row.ids[rank], row.block[rank], stride(),
          dim());
}

void Sq4x8Codec::prepare(const float* query, Precision precision, Query& out) const {
  if (precision == Precision::kFast) {
    first_.prepare(query, precision, out);
    use_first(out);
    return;
  }
  const std::size_t dim = this->dim();
  const std::vector<float>& mean = first_.mean();
  const bool l2 = metric() == Metric::kL2;
  float* values = out.values().get(dim);
  for (std::size_t d = 0; d < dim; ++d) values[d] = l2 ? query[d] - mean[d] : query[d];
  constexpr unsigned kDigits = 3;
  auto& q = *new (out.state().get(sizeof(PackedQuery))) PackedQuery{};
  packed_.round_query(values, kDigits, out.codes().get(packed_.query_room(kDigits)), q);
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) sum += static_cast<double>(values[d]);
  const float factor = l2 ? -2.0f : -1.0f;
  q.scale *= factor / 255.0f;
  q.lower = factor * static_cast<float>(sum);
  q.bias = l2 ? dot_product(values, values, dim) : -dot_product(query, mean.data(), dim);
  q.least = l2 ? 0.0f : -std::numeric_limits<float>::infinity();
  q.factors = PackedFactors::kScalarRow;
  q.factors_at = static_cast<std::uint32_t>(packed_.end());
  q.adds = l2 ? 1 : 0;
  q.add_scale = 1.0f;
  const kernels::PackedKernels& kernels = *kernels::active().packed;
  out.use(&q, kernels.ids[1], kernels.block[1], stride(), bytes());
}

void Sq4x8Codec::prepare_row(const std::byte* row, Query& out) const {
  first_.prepare_row(row, out);
  use_first(out);
}

std::shared_ptr<const Codec> train_sq4x8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                         MatrixView<const float> sample, const RunOptions& run) {
  static_cast<void>(run);
  return std::make_shared<Sq4x8Codec>(
      spec, dim, metric, sample.rows() == 0 ? std::vector<float>(dim) : mean_of(sample));
}

std::shared_ptr<const Codec> restore_sq4x8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                           std::vector<Learned> learned) {
  return std::make_shared<Sq4x8Codec>(spec, dim, metric,
                                      std::move(take_array(learned, 0, "mean", dim)));
}

std::vector<std::pair<std::string, std::size_t>> learns_sq4x8(const CodecSpec& spec,
                                                              std::size_t dim) {
  static_cast<void>(spec);
  return {{"mean", dim}};
}

}  // namespace vicinal::quantizers
