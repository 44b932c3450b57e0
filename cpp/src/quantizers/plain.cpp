#include "quantizers/plain.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

using kernels::Rank;
using kernels::RowType;
using kernels::ScalarRow;

constexpr std::size_t kQueryPad = 320;  // table.h: zero to a multiple of 64 and 256 beyond

std::size_t code_bytes(CodecKind kind, std::size_t dim) {
  switch (kind) {
    case CodecKind::kFloat32: return dim * 4;
    case CodecKind::kFloat16:
    case CodecKind::kBfloat16: return dim * 2;
    case CodecKind::kInt8:
    case CodecKind::kUint8: return dim;
    case CodecKind::kSq8: return sizeof(ScalarRow) + dim;
    case CodecKind::kSq4: return sizeof(ScalarRow) + kernels::sq4_code_bytes(dim);
    default: return 0;
  }
}

bool scalar(CodecKind kind) { return kind == CodecKind::kSq8 || kind == CodecKind::kSq4; }

// The nearest whole number of |x| < 2^22, ties to even, in a form that every compiler vectorises
// for the plainest CPU.
inline float whole(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23
  return (x + kMagic) - kMagic;
}

// Byte and nibble of dimension d; table.h draws the layout.
struct Sq4Place {
  std::size_t byte;
  unsigned shift;
};
Sq4Place sq4_place(std::size_t d, std::size_t dim) {
  const std::size_t block = d / 128, in = d % 128;
  const bool tail = block == dim / 128;
  const std::size_t half = tail ? kernels::sq4_tail_bytes(dim) : 64;
  return {block * 64 + in % half, in < half ? 0u : 4u};
}

// Offset and scale of one vector, and the codes by their numbers. Levels: 255 or 15.
// LVQ: Aguerrebere et al., PVLDB 16(11), 2023, section 3.
ScalarRow encode_scalar(const float* row, const float* mean, std::size_t dim, float levels,
                        float* centred, std::uint8_t* codes) {
  float low = std::numeric_limits<float>::infinity();
  float high = -low;
  for (std::size_t d = 0; d < dim; ++d) {
    const float y = row[d] - mean[d];
    centred[d] = y;
    low = y < low ? y : low;
    high = y > high ? y : high;
  }
  ScalarRow head{};
  head.lower = low;
  head.delta = (high - low) / levels;
  const float inverse = head.delta > 0 ? 1.0f / head.delta : 0.0f;
  std::uint64_t sum = 0, squares = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const float c = std::min(levels, std::max(0.0f, whole((centred[d] - low) * inverse)));
    const auto code = static_cast<std::uint8_t>(c);
    codes[d] = code;
    sum += code;
    squares += static_cast<std::uint64_t>(code) * code;
  }
  const double delta = head.delta, lower = head.lower, n = static_cast<double>(dim);
  head.sum = static_cast<float>(lower * n + delta * static_cast<double>(sum));
  head.norm = static_cast<float>(lower * lower * n + 2 * lower * delta * static_cast<double>(sum) +
                                 delta * delta * static_cast<double>(squares));
  return head;
}

void fail_whole(const char* what, std::size_t row, std::size_t col, float got, CodecKind kind) {
  throw ArgumentError(std::string(what) + " row " + std::to_string(row) + ", column " +
                      std::to_string(col) + " is " + std::to_string(got) + "; an " + name(kind) +
                      " index takes whole numbers from " +
                      (kind == CodecKind::kInt8 ? "-128 to 127" : "0 to 255"));
}

// float16 ends at 65504; from 65520 on a number would round to infinity.
void check_half(const float* row, std::size_t dim, const char* what, std::size_t row_number) {
  float largest = 0;
  for (std::size_t d = 0; d < dim; ++d) largest = std::max(largest, std::fabs(row[d]));
  if (largest < 65520.0f) return;
  for (std::size_t d = 0; d < dim; ++d) {
    if (std::fabs(row[d]) < 65520.0f) continue;
    throw ArgumentError(std::string(what) + ": row " + std::to_string(row_number) + ", column " +
                        std::to_string(d) + " is " + std::to_string(row[d]) +
                        "; float16 holds magnitudes up to 65504");
  }
}

// Writes bytes; throws on the first value that is not one.
void to_bytes(const float* row, std::size_t dim, CodecKind kind, const char* what,
              std::size_t row_number, std::uint8_t* out) {
  const float low = kind == CodecKind::kInt8 ? -128.0f : 0.0f;
  const float high = low + 255.0f;
  for (std::size_t d = 0; d < dim; ++d) {
    if (!(row[d] >= low && row[d] <= high) || whole(row[d]) != row[d]) {
      fail_whole(what, row_number, d, row[d], kind);
    }
    out[d] = static_cast<std::uint8_t>(static_cast<int>(row[d]));
  }
}

kernels::ScalarQuery& scalar_state(Query& query) {
  return *reinterpret_cast<kernels::ScalarQuery*>(
      query.state().get(sizeof(kernels::ScalarQuery)));
}

}  // namespace

PlainCodec::PlainCodec(const CodecSpec& spec, std::size_t dim, Metric metric,
                       std::vector<float> mean)
    : Codec(spec, dim, metric, code_bytes(spec.kind, dim)), mean_(std::move(mean)) {
  assert(mean_.size() == (scalar(kind()) ? dim : 0));
}

std::vector<Learned> PlainCodec::learned() const {
  if (mean_.empty()) return {};
  return {{"mean", mean_}};
}

std::shared_ptr<const Codec> PlainCodec::for_metric(Metric metric) const {
  return std::make_shared<PlainCodec>(spec(), dim(), metric, mean_);
}

std::shared_ptr<const Codec> train_plain(const CodecSpec& spec, std::size_t dim, Metric metric,
                                         MatrixView<const float> sample, const RunOptions&) {
  std::vector<float> mean;
  if (scalar(spec.kind)) {
    // Summed in order: the mean does not depend on threads.
    std::vector<double> sum(dim);
    for (std::size_t r = 0; r < sample.rows(); ++r) {
      for (std::size_t d = 0; d < dim; ++d) sum[d] += sample.row(r)[d];
    }
    mean.resize(dim);
    const double n = std::max<double>(1.0, static_cast<double>(sample.rows()));
    for (std::size_t d = 0; d < dim; ++d) mean[d] = static_cast<float>(sum[d] / n);
  }
  return std::make_shared<PlainCodec>(spec, dim, metric, std::move(mean));
}

std::shared_ptr<const Codec> restore_plain(const CodecSpec& spec, std::size_t dim, Metric metric,
                                           std::vector<Learned> learned) {
  return std::make_shared<PlainCodec>(
      spec, dim, metric, learned.empty() ? std::vector<float>{} : std::move(learned[0].values));
}

std::vector<std::pair<std::string, std::size_t>> learns_plain(const CodecSpec& spec,
                                                              std::size_t dim) {
  if (!scalar(spec.kind)) return {};
  return {{"mean", dim}};
}

RowType PlainCodec::row_type(Precision precision) const noexcept {
  const bool fast = precision == Precision::kFast;
  switch (kind()) {
    case CodecKind::kFloat32: return RowType::kF32;
    case CodecKind::kFloat16: return RowType::kF16;
    case CodecKind::kBfloat16: return RowType::kBf16;
    case CodecKind::kInt8: return RowType::kI8;
    case CodecKind::kUint8: return RowType::kU8;
    case CodecKind::kSq8: return fast ? RowType::kSq8Int : RowType::kSq8;
    case CodecKind::kSq4: return fast ? RowType::kSq4Int : RowType::kSq4;
    default: return RowType::kF32;
  }
}

void PlainCodec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                        std::size_t first_row) const {
  const std::size_t dim = this->dim();
  const kernels::Table& table = kernels::active();
  std::vector<float> centred(scalar(kind()) ? dim : 0);
  std::vector<std::uint8_t> codes(centred.size());
  for (std::size_t r = 0; r < n; ++r) {
    const float* row = rows + r * in_stride;
    std::byte* to = out + r * stride();
    switch (kind()) {
      case CodecKind::kFloat32:
        std::memcpy(to, row, dim * 4);
        break;
      case CodecKind::kFloat16:
        check_half(row, dim, "vectors", first_row + r);
        table.to_f16(row, dim, reinterpret_cast<std::uint16_t*>(to));
        break;
      case CodecKind::kBfloat16:
        table.to_bf16(row, dim, reinterpret_cast<std::uint16_t*>(to));
        break;
      case CodecKind::kInt8:
      case CodecKind::kUint8:
        to_bytes(row, dim, kind(), "vectors", first_row + r, reinterpret_cast<std::uint8_t*>(to));
        break;
      case CodecKind::kSq8:
      case CodecKind::kSq4: {
        const bool four = kind() == CodecKind::kSq4;
        const ScalarRow head = encode_scalar(row, mean_.data(), dim, four ? 15.0f : 255.0f,
                                             centred.data(), codes.data());
        std::memcpy(to, &head, sizeof head);
        auto* bytes = reinterpret_cast<std::uint8_t*>(to + sizeof head);
        if (!four) {
          std::memcpy(bytes, codes.data(), dim);
          break;
        }
        std::memset(bytes, 0, stride() - sizeof head);
        for (std::size_t d = 0; d < dim; ++d) {
          const Sq4Place at = sq4_place(d, dim);
          bytes[at.byte] = static_cast<std::uint8_t>(bytes[at.byte] | codes[d] << at.shift);
        }
        break;
      }
      default: break;
    }
    const std::size_t used = code_bytes(kind(), dim);
    std::memset(to + used, 0, stride() - used);
  }
}

void PlainCodec::decode(const std::byte* rows, std::size_t n, float* out,
                        std::size_t out_stride) const {
  const std::size_t dim = this->dim();
  kernels::active()
      .row(row_type(Precision::kExact))
      .decode(rows, stride(), n, dim, out, out_stride);
  if (!scalar(kind())) return;
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t d = 0; d < dim; ++d) out[r * out_stride + d] += mean_[d];
  }
}

void PlainCodec::use(RowType type, const void* data, Query& out) const {
  const auto rank = static_cast<std::size_t>(metric() == Metric::kL2 ? Rank::kL2 : Rank::kIp);
  const kernels::RowKernels& row = kernels::active().row(type);
  out.use(data, row.ids[rank], row.block[rank], stride(), dim());
  if (type == RowType::kSq8Int) out.use_many(kernels::active().packed->sq8_int_many[rank]);
}

void PlainCodec::prepare(const float* query, Precision precision, Query& out) const {
  const std::size_t dim = this->dim();
  const RowType type = row_type(precision);
  if (kind() == CodecKind::kInt8 || kind() == CodecKind::kUint8) {
    auto* codes = reinterpret_cast<std::uint8_t*>(out.codes().get(dim + kQueryPad));
    std::memset(codes + dim, 0, kQueryPad);
    to_bytes(query, dim, kind(), "queries", 0, codes);
    use(type, codes, out);
    return;
  }
  float* values = out.values().get(dim + kQueryPad);
  std::memset(values + dim, 0, kQueryPad * sizeof(float));
  if (!scalar(kind())) {
    std::memcpy(values, query, dim * sizeof(float));
    use(type, values, out);
    return;
  }

  kernels::ScalarQuery& q = scalar_state(out);
  q.values = values;
  // Four partial sums each: the order of additions is part of the answer, and one long chain
  // would cost more than the scan of a small graph.
  constexpr std::size_t kLanes = 8;
  float sum[kLanes] = {}, bias[kLanes] = {}, low[kLanes], high[kLanes];
  std::fill(low, low + kLanes, std::numeric_limits<float>::infinity());
  std::fill(high, high + kLanes, -std::numeric_limits<float>::infinity());
  const bool l2 = metric() == Metric::kL2;
  const float* mean = mean_.data();
  const auto step = [&](std::size_t d, std::size_t lane) {
    const float y = l2 ? query[d] - mean[d] : query[d];
    values[d] = y;
    sum[lane] += y;
    bias[lane] += l2 ? y * y : y * mean[d];
    low[lane] = y < low[lane] ? y : low[lane];
    high[lane] = y > high[lane] ? y : high[lane];
  };
  std::size_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) step(d + lane, lane);
  }
  for (; d < dim; ++d) step(d, 0);
  for (std::size_t lane = 1; lane < kLanes; ++lane) {
    sum[0] += sum[lane];
    bias[0] += bias[lane];
    low[0] = std::min(low[0], low[lane]);
    high[0] = std::max(high[0], high[lane]);
  }
  q.sum = sum[0];
  q.bias = bias[0];
  q.codes = nullptr;
  q.scale = q.offset = q.code_sum = 0;
  if (precision == Precision::kFast) {
    std::int8_t* codes = out.codes().get(dim + kQueryPad);
    std::memset(codes + dim, 0, kQueryPad);
    q.codes = codes;
    q.offset = 0.5f * (low[0] + high[0]);
    q.scale = (high[0] - low[0]) / 254.0f;
    const float inverse = q.scale > 0 ? 1.0f / q.scale : 0.0f;
    for (std::size_t i = 0; i < dim; ++i) {
      // Within +-127 by itself, unless the mean of a damaged file made it NaN.
      const float c = std::min(127.0f, std::max(-127.0f, whole((values[i] - q.offset) * inverse)));
      codes[i] = static_cast<std::int8_t>(static_cast<int>(c));
    }
    q.code_sum = q.sum - static_cast<float>(dim) * q.offset;
  }
  use(type, &q, out);
}

void PlainCodec::prepare_row(const std::byte* row, Query& out) const {
  const std::size_t dim = this->dim();
  if (scalar(kind()) && metric() == Metric::kL2) {
    ScalarRow head;
    std::memcpy(&head, row, sizeof head);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(row + sizeof head);
    std::int8_t* codes = out.codes().get(dim + kQueryPad);
    std::memset(codes + dim, 0, kQueryPad);
    kernels::ScalarQuery& q = scalar_state(out);
    float zero_code = head.lower;
    if (kind() == CodecKind::kSq8) {
      zero_code += 128.0f * head.delta;  // codes - 128 fit the signed side of the product
      for (std::size_t d = 0; d < dim; ++d) codes[d] = static_cast<std::int8_t>(bytes[d] ^ 0x80);
    } else {
      const std::size_t tail = kernels::sq4_tail_bytes(dim);
      for (std::size_t block = 0; block <= dim / 128; ++block) {
        const std::size_t half = block == dim / 128 ? tail : 64;
        for (std::size_t j = 0; j < half; ++j) {
          const std::uint8_t byte = bytes[block * 64 + j];
          codes[block * 128 + j] = static_cast<std::int8_t>(byte & 15);
          codes[block * 128 + half + j] = static_cast<std::int8_t>(byte >> 4);
        }
      }
    }
    q.values = nullptr;
    q.codes = codes;
    q.bias = head.norm;
    q.sum = head.sum;
    q.scale = head.delta;
    q.offset = zero_code;
    q.code_sum = head.sum - static_cast<float>(dim) * zero_code;
    use(row_type(Precision::kFast), &q, out);
    return;
  }
  if (kind() == CodecKind::kFloat32 && stride() % 64 == 0) {  // already as a query must be
    use(RowType::kF32, row, out);
    return;
  }
  float* own = out.row().get(dim + kQueryPad);
  decode(row, 1, own, dim);
  prepare(own, Precision::kFast, out);
}

float PlainCodec::twin_limit(const std::byte* row) const noexcept {
  if (metric() != Metric::kL2) return -std::numeric_limits<float>::infinity();
  if (!scalar(kind())) return 0.0f;  // differences of equal rows are exactly zero
  ScalarRow head;
  std::memcpy(&head, row, sizeof head);
  return 16 * std::numeric_limits<float>::epsilon() * head.norm;  // norm + norm - 2 dot
}

}  // namespace vicinal::quantizers
