#include "quantizers/float8.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "kernels/packed_bits.h"
#include "quantizers/packed.h"

namespace vicinal::quantizers {
namespace {

using kernels::Float8Query;

constexpr float kLargest = 448.0f;
constexpr std::size_t kFactor = sizeof(float);

float float_at(const std::byte* at) noexcept {
  float x;
  std::memcpy(&x, at, sizeof x);
  return x;
}

}  // namespace

std::uint8_t to_float8(float x) noexcept {
  const float size = std::fabs(x);
  const unsigned sign = std::signbit(x) ? 128u : 0u;
  // Below 2^-6 all steps are 2^-9; eight of them are the least number with an exponent.
  if (size < 0x1p-6f) {
    return static_cast<std::uint8_t>(sign | static_cast<unsigned>(nearest_whole(size * 512.0f)));
  }
  if (size >= kLargest) return static_cast<std::uint8_t>(sign | 0x7Eu);
  std::uint32_t bits;
  std::memcpy(&bits, &size, sizeof bits);
  bits += 0x7FFFFu + (bits >> 20 & 1u);
  return static_cast<std::uint8_t>(sign | ((bits >> 20) - (120u << 3)));
}

float from_float8(std::uint8_t code) noexcept {
  const unsigned exponent = code >> 3 & 15u, mantissa = code & 7u;
  const float size =
      exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                    : std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
  return (code & 128) != 0 ? -size : size;
}

Float8Codec::Float8Codec(const CodecSpec& spec, std::size_t dim, Metric metric)
    : Codec(spec, dim, metric, dim + kFactor * (metric == Metric::kL2 ? 2 : 1)) {}

std::shared_ptr<const Codec> Float8Codec::for_metric(Metric metric) const {
  return std::make_shared<Float8Codec>(spec(), dim(), metric);
}

void Float8Codec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                         std::size_t first_row) const {
  static_cast<void>(first_row);
  const std::size_t dim = this->dim();
  for (std::size_t r = 0; r < n; ++r) {
    const float* row = rows + r * in_stride;
    std::byte* to = out + r * stride();
    std::memset(to, 0, stride());
    float largest = 0;
    for (std::size_t d = 0; d < dim; ++d) largest = std::max(largest, std::fabs(row[d]));
    const float factor = largest / kLargest;
    // In double: the inverse of a tiny factor is no float.
    const double inverse = factor > 0 ? 1.0 / static_cast<double>(factor) : 0.0;
    double norm = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const std::uint8_t code =
          to_float8(static_cast<float>(static_cast<double>(row[d]) * inverse));
      to[d] = static_cast<std::byte>(code);
      const double y = static_cast<double>(factor) * static_cast<double>(from_float8(code));
      norm += y * y;
    }
    std::memcpy(to + dim, &factor, sizeof factor);
    if (metric() != Metric::kL2) continue;
    const auto kept =
        static_cast<float>(std::min(norm, static_cast<double>(std::numeric_limits<float>::max())));
    std::memcpy(to + dim + kFactor, &kept, sizeof kept);
  }
}

void Float8Codec::decode(const std::byte* rows, std::size_t n, float* out,
                         std::size_t out_stride) const {
  float values[256];
  for (unsigned c = 0; c < 256; ++c) values[c] = from_float8(static_cast<std::uint8_t>(c));
  for (std::size_t r = 0; r < n; ++r, rows += stride(), out += out_stride) {
    const float factor = float_at(rows + dim());
    for (std::size_t d = 0; d < dim(); ++d) {
      out[d] = factor * values[static_cast<std::uint8_t>(rows[d])];
    }
  }
}

void Float8Codec::prepare(const float* query, Precision precision, Query& out) const {
  static_cast<void>(precision);
  const std::size_t dim = this->dim(), padded = (dim + 63) / 64 * 64;
  const bool l2 = metric() == Metric::kL2;
  float* values = out.values().get(padded);
  std::memcpy(values, query, dim * sizeof(float));
  std::memset(values + dim, 0, (padded - dim) * sizeof(float));
  auto& q = *new (out.state().get(sizeof(Float8Query))) Float8Query{};
  q.values = values;
  q.bias = l2 ? dot_product(query, query, dim) : 0.0f;
  q.scale = l2 ? -512.0f : -256.0f;  // the kernels' codes are 2^-8 times their value
  q.least = l2 ? 0.0f : -std::numeric_limits<float>::infinity();
  q.adds = l2 ? 1 : 0;
  q.dim = static_cast<std::uint32_t>(dim);
  const kernels::PackedKernels& kernels = *kernels::active().packed;
  out.use(&q, kernels.float8_ids, kernels.float8_block, stride(), bytes());
}

float Float8Codec::twin_limit(const std::byte* row) const noexcept {
  if (metric() != Metric::kL2) return -std::numeric_limits<float>::infinity();
  // norm + norm - 2 dot, each rounded.
  return 16 * std::numeric_limits<float>::epsilon() * float_at(row + dim() + kFactor);
}

std::shared_ptr<const Codec> train_float8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                          MatrixView<const float> sample, const RunOptions& run) {
  static_cast<void>(sample);
  static_cast<void>(run);
  return std::make_shared<Float8Codec>(spec, dim, metric);
}

std::shared_ptr<const Codec> restore_float8(const CodecSpec& spec, std::size_t dim, Metric metric,
                                            std::vector<Learned>) {  // NOLINT: all take it so
  return std::make_shared<Float8Codec>(spec, dim, metric);
}

std::vector<std::pair<std::string, std::size_t>> learns_float8(const CodecSpec& spec,
                                                               std::size_t dim) {
  static_cast<void>(spec);
  static_cast<void>(dim);
  return {};
}

}  // namespace vicinal::quantizers
