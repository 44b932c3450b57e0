#include "quantizers/packed.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "kernels/lookup.h"
#include "quantizers/nibbles.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

using kernels::PackedFactors;
using kernels::PackedPlane;
using kernels::PackedQuery;

constexpr std::size_t kPasses = sizeof(kernels::PackedFinish::scale) / sizeof(float);
constexpr std::size_t kLineBytes = 64;

std::size_t plane_bytes(const PackedPlane& plane) noexcept {
  return kLineBytes * std::size_t{plane.lines} + plane.tail;
}

// Calls use(first byte, shift, first dimension, n) for every run of dimensions in bytes that follow
// one another.
template <class Use>
void each_run(const PackedPlane& plane, std::size_t dim, Use use) {
  std::size_t d = 0;
  for (std::size_t line = 0; line <= plane.lines; ++line) {
    const std::size_t bytes = line < plane.lines ? kLineBytes : plane.tail;
    for (unsigned shift = 0; shift < 8; shift += plane.width) {
      const std::size_t n = std::min(bytes, dim - d);
      use(line * kLineBytes, shift, d, n);
      d += n;
    }
  }
}

std::size_t query_bytes(const PackedPlane& plane) noexcept {
  return (std::size_t{plane.lines} + (plane.tail > 0 ? 1 : 0)) * kLineBytes * (8 / plane.width);
}

float largest_of(const float* values, std::size_t dim) noexcept {
  constexpr std::size_t kLanes = 8;
  float most[kLanes] = {};
  std::size_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float size = std::fabs(values[d + lane]);
      most[lane] = size > most[lane] ? size : most[lane];
    }
  }
  for (; d < dim; ++d) most[0] = std::max(most[0], std::fabs(values[d]));
  return *std::max_element(most, most + kLanes);
}

// Bits of a float32 from `shift` up, rounded to nearest; x >= 0.
std::uint16_t high_bits(double x, int shift) noexcept {
  const std::uint32_t most = 0x7F7FFFFFu >> shift;  // FLT_MAX
  if (x > static_cast<double>(std::numeric_limits<float>::max())) {
    return static_cast<std::uint16_t>(most);
  }
  const auto value = static_cast<float>(x);
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint16_t>(std::min(most, (bits + (1u << (shift - 1))) >> shift));
}

float from_high_bits(std::uint16_t x, int shift) noexcept {
  const std::uint32_t bits = static_cast<std::uint32_t>(x) << shift;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

PackedCodes::PackedCodes(std::size_t dim, const std::vector<CodePart>& parts, std::int32_t centre,
                         std::int32_t largest, std::size_t offset)
    : dim_(dim), end_(offset), centre_(centre), largest_(largest) {
  for (const CodePart& part : parts) add(part);
}

void PackedCodes::add(const CodePart& part) {
  assert(planes_.size() < kernels::kMaxPlanes);
  PackedPlane plane{};
  const std::size_t in_line = 512 / part.width;
  plane.width = part.width;
  plane.offset = static_cast<std::uint32_t>(end_);
  plane.lines = static_cast<std::uint32_t>(dim_ / in_line);
  plane.tail = static_cast<std::uint32_t>((dim_ % in_line * part.width + 7) / 8);
  plane.weight = part.weight;
  plane.mapped = part.levels != nullptr ? 1 : 0;
  if (part.levels != nullptr) std::memcpy(plane.levels, part.levels, sizeof plane.levels);
  planes_.push_back(plane);
  shifts_.push_back(part.shift);
  end_ += plane_bytes(plane);
  digit_bytes_ += query_bytes(plane);
}

void PackedCodes::widen_tail(std::size_t bytes) {
  PackedPlane& plane = planes_.back();
  assert(bytes >= plane.tail && bytes < kLineBytes + 1);
  if (bytes == kLineBytes && plane.tail > 0) {
    // A tail as long as a line is laid out like one.
    digit_bytes_ -= query_bytes(plane);
    end_ += kLineBytes - plane.tail;
    plane.tail = 0;
    ++plane.lines;
    digit_bytes_ += query_bytes(plane);
    return;
  }
  end_ += bytes - plane.tail;
  plane.tail = static_cast<std::uint32_t>(bytes);
}

void PackedCodes::put(const std::uint8_t* codes, std::byte* row) const noexcept {
  for (std::size_t p = 0; p < planes_.size(); ++p) {
    const PackedPlane& plane = planes_[p];
    auto* bytes = reinterpret_cast<std::uint8_t*>(row + plane.offset);
    const unsigned mask = (1u << plane.width) - 1;
    const unsigned down = shifts_[p];
    each_run(plane, dim_, [&](std::size_t b, unsigned shift, std::size_t d, std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) {
        bytes[b + i] =
            static_cast<std::uint8_t>(bytes[b + i] | (codes[d + i] >> down & mask) << shift);
      }
    });
  }
}

void PackedCodes::get(const std::byte* row, std::uint8_t* codes) const noexcept {
  std::memset(codes, 0, dim_);
  for (std::size_t p = 0; p < planes_.size(); ++p) {
    const PackedPlane& plane = planes_[p];
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(row + plane.offset);
    const unsigned mask = (1u << plane.width) - 1;
    const unsigned up = shifts_[p];
    each_run(plane, dim_, [&](std::size_t b, unsigned shift, std::size_t d, std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) {
        codes[d + i] =
            static_cast<std::uint8_t>(codes[d + i] | (bytes[b + i] >> shift & mask) << up);
      }
    });
  }
}

std::size_t PackedCodes::query_room(unsigned digits) const noexcept {
  return digits * (linear_bytes() + digit_bytes_);
}

void PackedCodes::place(unsigned digits, const std::int8_t* linear, std::int8_t* arranged,
                        PackedQuery& q) const noexcept {
  q.codes = arranged;
  q.digit_bytes = digit_bytes_;
  q.plane_count = static_cast<std::uint32_t>(planes_.size());
  std::copy(planes_.begin(), planes_.end(), q.planes);
  for (unsigned digit = 0; digit < digits; ++digit, linear += linear_bytes()) {
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < dim_; ++d) sum += linear[d];
    q.centre[digit] = static_cast<std::int32_t>(static_cast<std::uint32_t>(centre_) *
                                                static_cast<std::uint32_t>(sum));
    for (const PackedPlane& plane : planes_) {
      // Whole lines take the dimensions in order.
      const std::size_t whole = plane.lines * (512 / plane.width);
      const std::size_t in_order = std::min(whole, dim_);
      std::memcpy(arranged, linear, in_order);
      std::memset(arranged + in_order, 0, whole - in_order);
      arranged += whole;
      if (plane.tail == 0) continue;
      std::size_t d = in_order;
      for (unsigned shift = 0; shift < 8; shift += plane.width, arranged += kLineBytes) {
        const std::size_t n = std::min<std::size_t>(plane.tail, dim_ - d);
        std::memcpy(arranged, linear + d, n);
        std::memset(arranged + n, 0, kLineBytes - n);
        d += n;
      }
    }
  }
}

void PackedCodes::round_query(const float* values, unsigned digits, std::int8_t* room,
                              PackedQuery& q) const noexcept {
  // No sum of a digit may leave 32 bits.
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const auto limit =
      std::min<std::int64_t>(127, most / (static_cast<std::int64_t>(dim_) * largest_));
  int log_base = 7;
  while ((std::int64_t{1} << (log_base - 1)) > limit) --log_base;
  const int base = 1 << log_base;
  const auto top = static_cast<float>(digits == 1 ? limit : limit * base * base);

  const float largest = largest_of(values, dim_);
  const float inverse = largest > 0 ? top / largest : 0.0f;
  q.base = static_cast<float>(base);
  q.scale = largest > 0 ? largest / top : 0.0f;
  const std::size_t apart = linear_bytes();
  for (std::size_t d = 0; d < dim_; ++d) {
    // Within +-top by itself, unless something in it is not finite.
    const float x = std::min(top, std::max(-top, nearest_whole(values[d] * inverse)));
    int rest = static_cast<int>(x);
    for (unsigned digit = 0; digit + 1 < digits; ++digit) {
      const int low = ((rest + base / 2) & (base - 1)) - base / 2;
      room[digit * apart + d] = static_cast<std::int8_t>(low);
      rest = (rest - low) >> log_base;
    }
    room[(digits - 1) * apart + d] = static_cast<std::int8_t>(rest);
  }
  place(digits, room, room + digits * apart, q);
}

void PackedCodes::place_query(const std::int8_t* codes, std::int8_t* room,
                              PackedQuery& q) const noexcept {
  q.base = 1.0f;
  q.scale = 1.0f;
  place(1, codes, room, q);
}

PackedBlocks::PackedBlocks(std::size_t dim, const std::vector<Part>& parts, std::int32_t centre,
                           PackedFactors factors, bool adds)
    : dim_(dim), centre_(centre), factors_(factors), adds_(adds) {
  bytes_ = kBlockRows * factor_bytes() * (adds ? 2 : 1);
  std::size_t passes = 0;
  for (const Part& part : parts) {
    const std::size_t in_nibble = 4 / part.code.width;
    const std::size_t nibbles = (dim + in_nibble - 1) / in_nibble;
    planes_.push_back({part.code, part.twice, nibbles, bytes_});
    bytes_ += nibble_block_bytes(nibbles);
    passes += part.twice ? 2 : 1;
  }
  assert(passes <= kPasses);
  static_cast<void>(passes);
}

void PackedBlocks::put(const std::uint8_t* codes, const std::byte* factors, std::size_t place,
                       std::byte* block) const {
  const std::size_t size = factor_bytes();
  for (std::size_t f = 0; size > 0 && f < (adds_ ? 2u : 1u); ++f) {
    std::memcpy(block + (f * kBlockRows + place) * size, factors + f * size, size);
  }
  std::vector<std::uint8_t> nibbles;
  for (const Plane& plane : planes_) {
    nibbles.assign(plane.nibbles, 0);
    const unsigned mask = (1u << plane.code.width) - 1;
    const std::size_t in_nibble = 4 / plane.code.width;
    for (std::size_t d = 0; d < dim_; ++d) {
      const unsigned part = codes[d] >> plane.code.shift & mask;
      std::uint8_t& nibble = nibbles[d / in_nibble];
      nibble = static_cast<std::uint8_t>(nibble | part << d % in_nibble * plane.code.width);
    }
    put_nibbles(nibbles.data(), plane.nibbles, place, block + plane.at);
  }
}

void PackedBlocks::get(const std::byte* block, std::size_t place, std::uint8_t* codes,
                       std::byte* factors) const {
  const std::size_t size = factor_bytes();
  for (std::size_t f = 0; size > 0 && f < (adds_ ? 2u : 1u); ++f) {
    std::memcpy(factors + f * size, block + (f * kBlockRows + place) * size, size);
  }
  std::memset(codes, 0, dim_);
  constexpr std::size_t kNibbles = 64;  // taken apart together
  std::uint8_t nibbles[kNibbles];
  for (const Plane& plane : planes_) {
    const unsigned width = plane.code.width, up = plane.code.shift;
    const unsigned mask = (1u << width) - 1;
    const std::size_t in_nibble = 4 / width;
    for (std::size_t j = 0; j < plane.nibbles; j += kNibbles) {
      const std::size_t count = std::min(kNibbles, plane.nibbles - j);
      get_nibbles(block + plane.at + nibble_block_bytes(j), count, place, nibbles);
      const std::size_t whole = std::min(count, dim_ / in_nibble - std::min(dim_ / in_nibble, j));
      std::uint8_t* const to = codes + j * in_nibble;
      for (std::size_t k = 0; k < in_nibble; ++k) {
        const unsigned down = static_cast<unsigned>(k) * width;
        // The last nibble may be one of fewer dimensions.
        const std::size_t n = whole + (whole < count && (j + whole) * in_nibble + k < dim_ ? 1 : 0);
        for (std::size_t i = 0; i < n; ++i) {
          const unsigned part = nibbles[i] >> down & mask;
          to[i * in_nibble + k] = static_cast<std::uint8_t>(to[i * in_nibble + k] | part << up);
        }
      }
    }
  }
}

namespace {

struct BlockState {
  kernels::PackedFinish finish;
  float slack;  // of bounds, for a row whose mul is 1
  PackedFactors factors;
  std::size_t block_bytes;
  std::size_t add_at;  // 0: rows add nothing
  const kernels::LookupKernels* lookup;
  const kernels::PackedKernels* packed;
  struct Pass {
    const std::uint8_t* tables;
    std::size_t nibbles;
    std::size_t at;
  } passes[kPasses];
};

constexpr std::size_t kAtOnce = 16;  // blocks whose sums stay in the first cache

void score_blocks(const void* state, const std::byte* blocks, std::size_t count, float* out) {
  const BlockState& s = *static_cast<const BlockState*>(state);
  alignas(64) std::uint32_t sums[kPasses][kAtOnce * kBlockRows];
  while (count > 0) {
    const std::size_t n = std::min(count, kAtOnce);
    for (std::size_t p = 0; p < s.finish.passes; ++p) {
      const BlockState::Pass& pass = s.passes[p];
      s.lookup->sums(pass.tables, blocks + pass.at, s.block_bytes, n, pass.nibbles, sums[p]);
    }
    for (std::size_t b = 0; b < n; ++b, blocks += s.block_bytes, out += kBlockRows) {
      s.packed->finish(s.finish, sums[0] + b * kBlockRows, s.factors, blocks,
                       s.add_at != 0 ? blocks + s.add_at : nullptr, out);
    }
    count -= n;
  }
}

float slack_of(const void* state, const std::byte* block, std::size_t place) {
  const BlockState& s = *static_cast<const BlockState*>(state);
  switch (s.factors) {
    case PackedFactors::kShort: {
      std::uint16_t mul;
      std::memcpy(&mul, block + place * sizeof mul, sizeof mul);
      return s.slack * from_short_mul(mul);
    }
    case PackedFactors::kFloat: {
      float mul;
      std::memcpy(&mul, block + place * sizeof mul, sizeof mul);
      return s.slack * mul;
    }
    default: return s.slack;
  }
}

// What the passes look up is the same for all queries of a codec, but for the tables.
void score_blocks_many(const void* const* states, std::size_t queries, const std::byte* blocks,
                       std::size_t count, float* const* out) {
  constexpr std::size_t kMany = BlockQuery::kMany;
  static_assert(kMany <= kernels::kLookupQueries);
  const BlockState* s[kMany];
  for (std::size_t q = 0; q < queries; ++q) s[q] = static_cast<const BlockState*>(states[q]);
  const BlockState& shape = *s[0];
  alignas(64) std::uint32_t sums[kMany][kPasses][kAtOnce * kBlockRows];
  for (std::size_t first = 0; first < count; first += kAtOnce) {
    const std::size_t n = std::min(count - first, kAtOnce);
    const std::byte* chunk = blocks + first * shape.block_bytes;
    for (std::size_t p = 0; p < shape.finish.passes; ++p) {
      const std::uint8_t* tables[kMany];
      std::uint32_t* to[kMany];
      for (std::size_t q = 0; q < queries; ++q) {
        tables[q] = s[q]->passes[p].tables;
        to[q] = sums[q][p];
      }
      const BlockState::Pass& pass = shape.passes[p];
      shape.lookup->sums_many(tables, queries, chunk + pass.at, shape.block_bytes, n, pass.nibbles,
                              to);
    }
    for (std::size_t q = 0; q < queries; ++q) {
      for (std::size_t b = 0; b < n; ++b) {
        const std::byte* block = chunk + b * shape.block_bytes;
        shape.packed->finish(s[q]->finish, sums[q][0] + b * kBlockRows, shape.factors, block,
                             shape.add_at != 0 ? block + shape.add_at : nullptr,
                             out[q] + (first + b) * kBlockRows);
      }
    }
  }
}

// Tables of one plane: what each nibble adds to the sum of values[i] * value of code i, but for
// the centre.
void fill_tables(const CodePart& part, const float* values, std::size_t dim, std::size_t nibbles,
                 float* tables) {
  const unsigned width = part.width;
  const std::size_t in_nibble = 4 / width, choices = std::size_t{1} << width;
  float levels[16];
  for (std::size_t c = 0; c < choices; ++c) {
    levels[c] =
        static_cast<float>(part.weight) *
        (part.levels != nullptr ? static_cast<float>(part.levels[c]) : static_cast<float>(c));
  }
  for (std::size_t j = 0; j < nibbles; ++j, tables += 16) {
    tables[0] = 0.0f;
    std::size_t size = 1;
    for (std::size_t k = 0; k < in_nibble; ++k, size *= choices) {
      const std::size_t d = j * in_nibble + k;
      const float value = d < dim ? values[d] : 0.0f;
      // From the top down: the first copy is read last.
      for (std::size_t c = choices; c-- > 0;) {
        const float term = levels[c] * value;
        for (std::size_t i = 0; i < size; ++i) tables[c * size + i] = tables[i] + term;
      }
    }
  }
}

}  // namespace

/// What a scan adds to the sums of its bytes, and how sure that is.
struct PackedBlocks::Tables {
  BlockState* state;
  double centre;   // -centre * sum of values
  double offset;   // of all tables
  double least;    // instead of the offset: never too much
  double most;     // nor this too little
};

PackedBlocks::Tables PackedBlocks::prepare_tables(const float* values, const Score& score,
                                                  BlockQuery& out) const {
  std::size_t most = 0, table_bytes = 0;
  for (const Plane& plane : planes_) {
    most = std::max(most, plane.nibbles);
    table_bytes += (plane.twice ? 2 : 1) * nibble_table_bytes(plane.nibbles);
  }
  // `values` may be what out.values() holds.
  std::uint8_t* rounded = out.tables().get(table_bytes);
  // Wanted until they are rounded: a batch keeps many prepared queries, and these are four times
  // as long as what they become.
  thread_local Scratch<float> floats;
  float* const tables = floats.get(16 * most);
  auto& state = *new (out.state().get(sizeof(BlockState))) BlockState{};
  state.factors = factors_;
  state.block_bytes = bytes_;
  state.add_at = adds_ ? kBlockRows * factor_bytes() : 0;
  state.lookup = kernels::active().lookup;
  state.packed = kernels::active().packed;
  kernels::PackedFinish& finish = state.finish;
  finish.bias = score.bias;
  finish.least = score.least;
  finish.add_scale = score.add_scale;
  finish.sums_stride = 16 * kBlockRows;

  double sum = 0;
  for (std::size_t d = 0; d < dim_; ++d) sum += static_cast<double>(values[d]);
  Tables made = {&state, -static_cast<double>(centre_) * sum, 0.0, 0.0, 0.0};
  double& offset = made.offset;
  const auto pass = [&](const Plane& plane, bool last) {
    const TableScale found = round_tables(tables, plane.nibbles, rounded);
    state.passes[finish.passes] = {rounded, plane.nibbles, plane.at};
    finish.scale[finish.passes++] = score.scale * found.scale;
    offset += found.offset;
    if (last) {
      const TableErrors errors = table_errors(tables, plane.nibbles, rounded, found.scale);
      made.least += errors.least;
      made.most += errors.most;
    }
    return found;
  };
  for (const Plane& plane : planes_) {
    fill_tables(plane.code, values, dim_, plane.nibbles, tables);
    const TableScale first = pass(plane, !plane.twice);
    if (plane.twice) {
      // What bytes times the scale leave over still has the offset in it.
      offset -= first.offset;
      for (std::size_t i = 0; i < 16 * plane.nibbles; ++i) {
        tables[i] -= first.scale * static_cast<float>(rounded[i]);
      }
      rounded += nibble_table_bytes(plane.nibbles);
      pass(plane, true);
    }
    rounded += nibble_table_bytes(plane.nibbles);
  }
  return made;
}

void PackedBlocks::prepare(const float* values, const Score& score, BlockQuery& out) const {
  const Tables made = prepare_tables(values, score, out);
  made.state->finish.offset =
      static_cast<float>(static_cast<double>(score.scale) * (made.centre + made.offset));
  out.use(made.state, score_blocks, score_blocks_many);
}

// Both kinds of scores end with (bias + add_scale * add) + mul * x, rounded alike. With mul >= 0
// that rises with x, rounding included, so it is enough that x is never above the other x.
// There it is a sum of values rounded to 20 bits and more of the largest, off by less than a step
// of 2^-20 times the largest for each dimension and times a code's value, then a few float
// operations; here a sum of table entries. All those operations together are fewer than 64 over
// numbers within (entries + values) * sum of |values|.
bool PackedBlocks::prepare_bounds(const float* values, const Score& score, BlockQuery& out) const {
  double sizes = 0.0, largest = 0.0;
  for (std::size_t d = 0; d < dim_; ++d) {
    const double size = std::fabs(static_cast<double>(values[d]));
    sizes += size;
    largest = std::max(largest, size);
  }
  double entry = 0.0;  // the largest of a dimension, over a value of one
  for (const Plane& plane : planes_) {
    std::size_t level = (std::size_t{1} << plane.code.width) - 1;
    if (plane.code.levels != nullptr) {
      level = *std::max_element(plane.code.levels, plane.code.levels + level + 1);
    }
    entry += static_cast<double>(plane.code.weight) * static_cast<double>(level);
  }
  const double centre = static_cast<double>(centre_);
  const double code = std::max(centre, entry - centre);
  const double factor = std::fabs(static_cast<double>(score.scale));
  if (!(factor * (entry + code) * sizes * 4 < 1e37)) return false;
  const double rounding = 64 * 0x1.0p-24 * (entry + code) * sizes +
                          0x1.0p-20 * code * largest * static_cast<double>(dim_) + 0x1.0p-120;

  const Tables made = prepare_tables(values, score, out);
  const double low = made.centre + made.least - rounding, high = made.centre + made.most + rounding;
  made.state->finish.offset =
      static_cast<float>(score.scale < 0 ? static_cast<double>(score.scale) * high
                                         : static_cast<double>(score.scale) * low);
  made.state->slack = static_cast<float>(factor * (high - low));
  out.use(made.state, score_blocks, score_blocks_many, slack_of);
  return true;
}

std::uint16_t to_short_mul(double x) noexcept { return high_bits(std::max(x, 0.0), 15); }

std::uint16_t to_short_add(double x) noexcept {
  return static_cast<std::uint16_t>(high_bits(std::fabs(x), 16) | (x < 0 ? 0x8000u : 0u));
}

float from_short_mul(std::uint16_t x) noexcept { return from_high_bits(x, 15); }
float from_short_add(std::uint16_t x) noexcept { return from_high_bits(x, 16); }

double squared_norm(const float* x, std::size_t dim) noexcept {
  constexpr std::size_t kLanes = 8;
  double sum[kLanes] = {};
  std::size_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double y = x[d + lane];
      sum[lane] += y * y;
    }
  }
  for (; d < dim; ++d) sum[0] += static_cast<double>(x[d]) * x[d];
  for (std::size_t lane = 1; lane < kLanes; ++lane) sum[0] += sum[lane];
  return sum[0];
}

float dot_product(const float* a, const float* b, std::size_t dim) noexcept {
  constexpr std::size_t kLanes = 8;
  float sum[kLanes] = {};
  std::size_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum[lane] += a[d + lane] * b[d + lane];
  }
  for (; d < dim; ++d) sum[0] += a[d] * b[d];
  for (std::size_t lane = 1; lane < kLanes; ++lane) sum[0] += sum[lane];
  return sum[0];
}

std::vector<float> mean_of(MatrixView<const float> rows) {
  // Summed in order: the mean does not depend on threads.
  const std::size_t dim = rows.cols();
  std::vector<double> sum(dim);
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    for (std::size_t d = 0; d < dim; ++d) sum[d] += rows.row(r)[d];
  }
  std::vector<float> mean(dim);
  const double n = std::max<double>(1.0, static_cast<double>(rows.rows()));
  for (std::size_t d = 0; d < dim; ++d) mean[d] = static_cast<float>(sum[d] / n);
  return mean;
}

std::vector<float>& take_array(std::vector<Learned>& learned, std::size_t i, const char* name,
                               std::size_t count) {
  const std::string what = "array \"" + std::string(name) + "\" of the codec";
  if (i >= learned.size() || learned[i].name != name) throw ArgumentError(what + " is missing");
  std::vector<float>& values = learned[i].values;
  if (values.size() != count) {
    throw ArgumentError(what + " has " + std::to_string(values.size()) + " values; wanted " +
                        std::to_string(count));
  }
  for (std::size_t v = 0; v < count; ++v) {
    if (std::isfinite(values[v])) continue;
    throw ArgumentError(what + ": value " + std::to_string(v) + " is not finite");
  }
  return values;
}

}  // namespace vicinal::quantizers
