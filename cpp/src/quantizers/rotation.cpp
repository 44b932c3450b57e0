#include "quantizers/rotation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

using kernels::PackedFactors;
using kernels::PackedQuery;

// The least squares step of 2^bits even levels for a standard normal, and the share of the variance
// they lose (Max, IRE Trans. Inf. Theory 6, 1960; one bit is its sign).
struct EvenLevels {
  double step, lost;
};
constexpr EvenLevels kEven[] = {{1.5958, 0.36338},   {0.9957, 0.1188},   {0.5860, 0.03744},
                                {0.3352, 0.01154},   {0.1881, 0.003495}, {0.1041, 0.001041},
                                {0.0569, 0.0003035}, {0.0308, 0.0000869}};

// Lloyd-Max levels times `unit`, rounded to whole numbers, and what they lose (ibid.).
struct NormalLevels {
  double unit, lost;
  int count;  // of magnitudes
  std::int32_t magnitudes[8];
};
constexpr NormalLevels kNormal2 = {39.735, 0.1175, 2, {18, 60}};
constexpr NormalLevels kNormal4 = {23.235, 0.00953, 8, {3, 9, 15, 22, 29, 38, 48, 63}};
constexpr std::int32_t kNormalCentre = 64;  // levels of planes are unsigned

// Estimates that come out below zero still say which row is nearer.
constexpr float kNoLeast = -std::numeric_limits<float>::infinity();

bool lloyd(const CodecSpec& spec) {
  // 100,000 word senses of 384 dimensions, recall at 10: even .8536 and normal .8520 with 2 bits,
  // .9511 and .9561 with 4.
  const auto levels = static_cast<RotationLevels>(spec.variant);
  if (spec.bits == 2) return levels == RotationLevels::kLloydMax;
  return spec.bits == 4 && levels != RotationLevels::kUniform;
}

const NormalLevels& normal_levels(unsigned bits) { return bits == 2 ? kNormal2 : kNormal4; }

void check(const CodecSpec& spec) {
  if (spec.bits < 1 || spec.bits > 8) {
    throw ArgumentError("bits of a rotation codec is " + std::to_string(spec.bits) +
                        "; wanted 1 to 8 per dimension");
  }
  if (spec.variant > static_cast<std::uint32_t>(RotationLevels::kLloydMax)) {
    throw ArgumentError("variant of a rotation codec is " + std::to_string(spec.variant) +
                        "; wanted 0 (the better levels), 1 (even) or 2 (normal)");
  }
  if (spec.variant == static_cast<std::uint32_t>(RotationLevels::kLloydMax) && spec.bits != 1 &&
      spec.bits != 2 && spec.bits != 4) {
    throw ArgumentError("normal levels come with 1, 2 or 4 bits per dimension, got " +
                        std::to_string(spec.bits));
  }
}

std::vector<std::int32_t> code_values(const CodecSpec& spec) {
  std::vector<std::int32_t> values(std::size_t{1} << spec.bits);
  const auto n = static_cast<std::int32_t>(values.size());
  for (std::int32_t c = 0; c < n; ++c) {
    if (lloyd(spec)) {
      const NormalLevels& normal = normal_levels(spec.bits);
      values[static_cast<std::size_t>(c)] =
          c < n / 2 ? -normal.magnitudes[n / 2 - 1 - c] : normal.magnitudes[c - n / 2];
    } else {
      values[static_cast<std::size_t>(c)] = 2 * c + 1 - n;
    }
  }
  return values;
}

// Planes from the highest bits of a code down.
std::vector<CodePart> even_parts(unsigned bits, const std::vector<unsigned>& widths) {
  std::vector<CodePart> parts;
  for (const unsigned width : widths) {
    bits -= width;
    parts.push_back({width, bits, 2 << bits, nullptr});
  }
  return parts;
}

std::vector<unsigned> plane_widths(unsigned bits) {
  if (bits == 8) return {8};
  std::vector<unsigned> widths;
  for (const unsigned width : {4u, 2u, 1u}) {
    if ((bits & width) != 0) widths.push_back(width);
  }
  return widths;
}

struct NormalPart {
  explicit NormalPart(const CodecSpec& spec) {
    const std::vector<std::int32_t> values = code_values(spec);
    for (std::size_t c = 0; c < values.size(); ++c) {
      levels[c] = static_cast<std::uint8_t>(values[c] + kNormalCentre);
    }
    part = {spec.bits, 0, 1, levels};
  }
  std::uint8_t levels[16] = {};
  CodePart part;
};

PackedCodes packed_codes(const CodecSpec& spec, std::size_t dim) {
  if (lloyd(spec)) {
    const NormalPart normal(spec);
    return PackedCodes(dim, {normal.part}, kNormalCentre, 63);
  }
  const std::int32_t most = (1 << spec.bits) - 1;
  return PackedCodes(dim, even_parts(spec.bits, plane_widths(spec.bits)), most, most);
}

std::size_t factor_bytes(const CodecSpec& spec) { return spec.bits <= 4 ? 2 : 4; }

PackedFactors factors_kind(const CodecSpec& spec) {
  return spec.bits <= 4 ? PackedFactors::kShort : PackedFactors::kFloat;
}

PackedBlocks packed_blocks(const CodecSpec& spec, std::size_t dim, const std::uint8_t* levels) {
  if (lloyd(spec)) {
    const std::vector<PackedBlocks::Part> parts = {{{spec.bits, 0, 1, levels}, false}};
    return PackedBlocks(dim, parts, kNormalCentre, factors_kind(spec), true);
  }
  std::vector<PackedBlocks::Part> parts;
  const std::vector<unsigned> widths =
      spec.bits == 8 ? std::vector<unsigned>{4, 4} : plane_widths(spec.bits);
  for (const CodePart& part : even_parts(spec.bits, widths)) {
    // Tables of 8 bits lose as much of the highest four bits as two bits below them are worth.
    parts.push_back({part, spec.bits >= 6 && parts.empty()});
  }
  return PackedBlocks(dim, parts, (1 << spec.bits) - 1, factors_kind(spec), true);
}

// How far a row's levels lie from an angle of zero: see spread().
float spread_factor(const CodecSpec& spec, std::size_t dim) {
  const bool normal = lloyd(spec);
  const double unit = normal ? normal_levels(spec.bits).unit : 2.0 / kEven[spec.bits - 1].step;
  const double lost = normal ? normal_levels(spec.bits).lost : kEven[spec.bits - 1].lost;
  const auto n = static_cast<double>(dim);
  return static_cast<float>(unit * std::sqrt((1 - lost) * lost * n / std::max(1.0, n - 1)));
}

// Rounding to levels: value() is one of them, of the sign of x.
struct EvenRound {
  float inverse, half, top;

  explicit EvenRound(unsigned bits)
      : inverse(static_cast<float>(1.0 / kEven[bits - 1].step)),
        half(static_cast<float>(1 << (bits - 1))),
        top(static_cast<float>(1 << bits) - 0.5f) {}
  int code(float x) const noexcept {
    const float at = x * inverse + half;
    const float low = at > 0.0f ? at : 0.0f;
    return static_cast<int>(low < top ? low : top);
  }
  float value(float x) const noexcept { return 2.0f * (static_cast<float>(code(x)) - half) + 1.0f; }
};

template <int kCount>
struct NormalRound {
  float first, steps[kCount - 1], limits[kCount - 1];

  explicit NormalRound(const NormalLevels& levels)
      : first(static_cast<float>(levels.magnitudes[0])) {
    for (int k = 0; k + 1 < kCount; ++k) {
      const std::int32_t low = levels.magnitudes[k], high = levels.magnitudes[k + 1];
      steps[k] = static_cast<float>(high - low);
      limits[k] = static_cast<float>(0.5 * (low + high) / levels.unit);
    }
  }
  int code(float x) const noexcept {
    const float size = std::fabs(x);
    int k = 0;
    for (int i = 0; i + 1 < kCount; ++i) k += size > limits[i] ? 1 : 0;
    return x < 0 ? kCount - 1 - k : kCount + k;
  }
  float value(float x) const noexcept {
    const float size = std::fabs(x);
    float v = first;
    for (int i = 0; i + 1 < kCount; ++i) v += size > limits[i] ? steps[i] : 0.0f;
    return x < 0 ? -v : v;
  }
};

// Numbers taken together, each with sums of its own: compilers then see nothing that has to stay in
// order, and vectorise for the plainest CPU.
constexpr std::size_t kTogether = 64;

// The squared cosine between x and its levels at one scale, but for ||x||^2. x is zero from dim up
// to a multiple of kTogether.
template <class Round>
float nearness(const float* x, std::size_t dim, float scale, const Round& levels) {
  const Round round = levels;  // nothing else can change it: it may stay in registers
  float dots[kTogether] = {}, squares[kTogether] = {};
  for (std::size_t at = 0; at < dim; at += kTogether) {
    for (std::size_t i = 0; i < kTogether; ++i) {
      const float v = round.value(x[at + i] * scale);
      dots[i] += v * x[at + i];
      squares[i] += v * v;
    }
  }
  float dot = 0, square = 0;
  for (std::size_t i = 0; i < kTogether; ++i) {
    dot += dots[i];
    square += squares[i];
  }
  const std::size_t beyond = (kTogether - dim % kTogether) % kTogether;
  const float zero = round.value(0.0f);
  square -= static_cast<float>(beyond) * (zero * zero);
  return dot * dot / square;
}

// Codes of x (squared norm about dim), whose levels are nearest in direction over the scales tried.
// The nearness is flat about its maximum: steps of 1 % lose nothing that counts.
template <class Round>
void fit_codes(const float* x, std::size_t dim, const Round& round, std::uint8_t* codes) {
  float best = 1.0f, most = -1.0f;
  const auto consider = [&](float scale) {
    const float now = nearness(x, dim, scale, round);
    if (now > most) {
      most = now;
      best = scale;
    }
  };
  float scale = 0.82f;
  for (int i = 0; i < 12; ++i, scale *= 1.04f) consider(scale);
  const float middle = best;
  for (const float nudge : {0.98f, 0.99f, 1.01f, 1.02f}) consider(middle * nudge);
  for (std::size_t d = 0; d < dim; ++d) {
    codes[d] = static_cast<std::uint8_t>(round.code(x[d] * best));
  }
}

}  // namespace

RotationCodec::RotationCodec(const CodecSpec& spec, std::size_t dim, Metric metric,
                             std::vector<float> mean)
    : Codec(spec, dim, metric, packed_codes(spec, dim).end() + 2 * factor_bytes(spec)),
      mean_(std::move(mean)),
      rotation_(dim, spec.seed),
      mean_norm_(squared_norm(mean_.data(), dim)),
      lloyd_(lloyd(spec)),
      values_(code_values(spec)),
      levels_{},
      packed_(packed_codes(spec, dim)),
      spread_(spread_factor(spec, dim)) {
  if (lloyd_) std::memcpy(levels_, NormalPart(spec).levels, sizeof levels_);
  blocks_ = packed_blocks(spec, dim, levels_);
}

std::vector<Learned> RotationCodec::learned() const { return {{"mean", mean_}}; }

std::shared_ptr<const Codec> RotationCodec::for_metric(Metric metric) const {
  return std::make_shared<RotationCodec>(spec(), dim(), metric, mean_);
}

float RotationCodec::scale_of(const std::byte* row) const noexcept {
  const std::byte* at = row + packed_.end();
  if (short_factors()) {
    std::uint16_t x;
    std::memcpy(&x, at, sizeof x);
    return from_short_mul(x);
  }
  float x;
  std::memcpy(&x, at, sizeof x);
  return x;
}

float RotationCodec::added_by(const std::byte* row) const noexcept {
  const std::byte* at = row + packed_.end() + factor_bytes(spec());
  if (short_factors()) {
    std::uint16_t x;
    std::memcpy(&x, at, sizeof x);
    return from_short_add(x);
  }
  float x;
  std::memcpy(&x, at, sizeof x);
  return x;
}

void RotationCodec::fit(const float* rotated, std::uint8_t* codes) const {
  switch (spec().bits) {
    case 1:
      for (std::size_t d = 0; d < dim(); ++d) codes[d] = rotated[d] < 0 ? 0 : 1;
      break;
    case 2:
      if (lloyd_) return fit_codes(rotated, dim(), NormalRound<2>(kNormal2), codes);
      return fit_codes(rotated, dim(), EvenRound(2), codes);
    case 4:
      if (lloyd_) return fit_codes(rotated, dim(), NormalRound<8>(kNormal4), codes);
      return fit_codes(rotated, dim(), EvenRound(4), codes);
    default: fit_codes(rotated, dim(), EvenRound(spec().bits), codes);
  }
}

void RotationCodec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                           std::size_t first_row) const {
  const std::size_t dim = this->dim();
  std::vector<float> padded((dim + kTogether - 1) / kTogether * kTogether);
  float* const rotated = padded.data();
  std::vector<std::uint8_t> codes(dim);
  for (std::size_t r = 0; r < n; ++r) {
    const float* row = rows + r * in_stride;
    std::byte* to = out + r * stride();
    for (std::size_t d = 0; d < dim; ++d) rotated[d] = row[d] - mean_[d];
    const double norm = squared_norm(rotated, dim);
    if (!(norm <= static_cast<double>(std::numeric_limits<float>::max()))) {
      throw ArgumentError("vectors: row " + std::to_string(first_row + r) +
                          " lies at a squared distance of " + std::to_string(norm) +
                          " from the mean; rotation codes hold up to 3.4e38");
    }
    double scale = 0;
    double added = norm;
    if (!l2()) {
      added = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        added -= static_cast<double>(rotated[d]) * static_cast<double>(mean_[d]);
      }
    }
    // What is shorter than single precision can tell from the mean is the mean.
    if (norm > 1e-60) {
      rotation_.apply(rotated, rotated);
      const double unit = std::sqrt(static_cast<double>(dim) / norm);
      for (std::size_t d = 0; d < dim; ++d) rotated[d] = static_cast<float>(rotated[d] * unit);
      fit(rotated, codes.data());
      double dot = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        dot += static_cast<double>(values_[codes[d]]) * static_cast<double>(rotated[d]);
      }
      // <v, r> = dot / unit.
      if (dot > 0) scale = norm * unit / dot;
    } else {
      std::fill(codes.begin(), codes.end(), static_cast<std::uint8_t>(values_.size() / 2));
    }
    std::memset(to, 0, stride());
    packed_.put(codes.data(), to);
    std::byte* factors = to + packed_.end();
    if (short_factors()) {
      const std::uint16_t kept[] = {to_short_mul(scale), to_short_add(added)};
      std::memcpy(factors, kept, sizeof kept);
    } else {
      const auto most = static_cast<double>(std::numeric_limits<float>::max());
      const float kept[] = {static_cast<float>(std::min(scale, most)),
                            static_cast<float>(std::min(most, std::max(-most, added)))};
      std::memcpy(factors, kept, sizeof kept);
    }
  }
}

void RotationCodec::decode(const std::byte* rows, std::size_t n, float* out,
                           std::size_t out_stride) const {
  const std::size_t dim = this->dim();
  std::vector<std::uint8_t> codes(dim);
  for (std::size_t r = 0; r < n; ++r, rows += stride(), out += out_stride) {
    packed_.get(rows, codes.data());
    const float scale = scale_of(rows);
    for (std::size_t d = 0; d < dim; ++d) out[d] = scale * static_cast<float>(values_[codes[d]]);
    rotation_.apply_transposed(out, out);
    float part = 1.0f;
    if (!l2() && static_cast<float>(mean_norm_) > 0) {
      // Along the mean the row is known: scores are those of what comes out here.
      const double known = -static_cast<double>(added_by(rows));
      double coded = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        coded += static_cast<double>(out[d]) * static_cast<double>(mean_[d]);
      }
      part = static_cast<float>(1 + (known - coded) / mean_norm_);
    }
    for (std::size_t d = 0; d < dim; ++d) out[d] += part * mean_[d];
  }
}

PackedBlocks::Score RotationCodec::rotate_query(const float* query, float* out) const noexcept {
  const std::size_t dim = this->dim();
  PackedBlocks::Score score{0.0f, -2.0f, 1.0f, kNoLeast};
  if (!l2()) {
    const float part = dot_product(query, mean_.data(), dim);
    const auto norm = static_cast<float>(mean_norm_);
    score = {-part, -1.0f, norm > 0 ? part / norm : 0.0f, kNoLeast};
  }
  for (std::size_t d = 0; d < dim; ++d) out[d] = query[d] - score.add_scale * mean_[d];
  if (l2()) score.bias = dot_product(out, out, dim);
  rotation_.apply(out, out);
  return score;
}

void RotationCodec::use(PackedQuery& q, unsigned digits, const PackedBlocks::Score& score,
                        Query& out) const {
  q.scale *= score.scale;
  q.bias = score.bias;
  q.least = score.least;
  q.add_scale = score.add_scale;
  q.factors = factors_kind(spec());
  q.factors_at = static_cast<std::uint32_t>(packed_.end());
  q.adds = 1;
  const kernels::PackedKernels& kernels = *kernels::active().packed;
  const std::size_t which = digits == 1 ? 0 : 1;
  out.use(&q, kernels.ids[which], kernels.block[which], stride(), bytes());
}

void RotationCodec::prepare(const float* query, Precision precision, Query& out) const {
  const unsigned digits = precision == Precision::kFast ? 1 : 3;
  float* rotated = out.values().get(dim());
  const auto score = rotate_query(query, rotated);
  auto& q = *new (out.state().get(sizeof(PackedQuery))) PackedQuery{};
  packed_.round_query(rotated, digits, out.codes().get(packed_.query_room(digits)), q);
  use(q, digits, score, out);
}

void RotationCodec::prepare_row(const std::byte* row, Query& out) const {
  const std::size_t dim = this->dim();
  auto* codes = reinterpret_cast<std::uint8_t*>(out.row().get((dim + 3) / 4));
  packed_.get(row, codes);
  const float scale = scale_of(row), added = added_by(row);
  auto& q = *new (out.state().get(sizeof(PackedQuery))) PackedQuery{};
  std::int64_t squares = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    squares += std::int64_t{values_[codes[d]]} * values_[codes[d]];
  }
  // Of all multiples of v, n / (s ||v||^2) is nearest to r: a row is at distance zero from itself.
  // Inner product keeps no norm n, but nearly all rows lose the same share of it.
  const double lost = lloyd_ ? normal_levels(spec().bits).lost : kEven[spec().bits - 1].lost;
  float nearest = scale * static_cast<float>(1 - lost);
  if (l2()) nearest = scale > 0 ? added / (scale * static_cast<float>(squares)) : 0.0f;
  const float bias = l2() ? added : added - static_cast<float>(mean_norm_);
  const float factor = (l2() ? -2.0f : -1.0f) * nearest;
  if (spec().bits < 8) {
    std::int8_t* const room = out.codes().get(dim + packed_.query_room(1));
    for (std::size_t d = 0; d < dim; ++d) room[d] = static_cast<std::int8_t>(values_[codes[d]]);
    packed_.place_query(room, room + dim, q);
  } else {
    float* values = out.values().get(dim);
    for (std::size_t d = 0; d < dim; ++d) values[d] = static_cast<float>(values_[codes[d]]);
    packed_.round_query(values, 1, out.codes().get(packed_.query_room(1)), q);
  }
  use(q, 1, {bias, factor, 1.0f, kNoLeast}, out);
}

void RotationCodec::pack(const std::byte* row, std::size_t place, std::byte* block) const {
  std::vector<std::uint8_t> codes(dim());
  packed_.get(row, codes.data());
  blocks_.put(codes.data(), row + packed_.end(), place, block);
}

void RotationCodec::unpack(const std::byte* block, std::size_t place, std::byte* row) const {
  std::vector<std::uint8_t> codes(dim());
  std::memset(row, 0, stride());
  blocks_.get(block, place, codes.data(), row + packed_.end());
  packed_.put(codes.data(), row);
}

void RotationCodec::prepare_blocks(const float* query, BlockQuery& out) const {
  float* rotated = out.values().get(dim());
  const auto score = rotate_query(query, rotated);
  blocks_.prepare(rotated, score, out);
}

bool RotationCodec::prepare_bounds(const float* query, BlockQuery& out) const {
  if (!has_bounds()) return false;
  float* rotated = out.values().get(dim());
  const auto score = rotate_query(query, rotated);
  return blocks_.prepare_bounds(rotated, score, out);
}

std::shared_ptr<const Codec> train_rotation(const CodecSpec& spec, std::size_t dim, Metric metric,
                                            MatrixView<const float> sample, const RunOptions& run) {
  static_cast<void>(run);
  check(spec);
  return std::make_shared<RotationCodec>(
      spec, dim, metric, sample.rows() == 0 ? std::vector<float>(dim) : mean_of(sample));
}

std::shared_ptr<const Codec> restore_rotation(const CodecSpec& spec, std::size_t dim, Metric metric,
                                              std::vector<Learned> learned) {
  check(spec);
  return std::make_shared<RotationCodec>(spec, dim, metric,
                                         std::move(take_array(learned, 0, "mean", dim)));
}

std::vector<std::pair<std::string, std::size_t>> learns_rotation(const CodecSpec& spec,
                                                                 std::size_t dim) {
  check(spec);
  return {{"mean", dim}};
}

}  // namespace vicinal::quantizers
