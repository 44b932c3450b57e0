#include "quantizers/codec.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "quantizers/bits.h"
#include "quantizers/float8.h"
#include "quantizers/plain.h"
#include "quantizers/pq.h"
#include "quantizers/rotation.h"
#include "quantizers/rq.h"
#include "quantizers/sq4x8.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

// Rows further on whose lines are asked for: 200 lines in all, which the second cache holds easily,
// and a multiple of the rows scored together. Zen 4: 1.3 to 1.4 times the throughput of a graph
// against the 24 lines that the first cache can wait for.
unsigned prefetch_depth(std::size_t stride) {
  const std::size_t lines = (stride + 127) / 64;
  return static_cast<unsigned>(std::clamp<std::size_t>(200 / lines / 4 * 4, 4, 32));
}

/// What a family of codecs has to offer.
struct Family {
  std::shared_ptr<const Codec> (*train)(const CodecSpec&, std::size_t dim, Metric,
                                        MatrixView<const float> sample, const RunOptions&);
  std::shared_ptr<const Codec> (*restore)(const CodecSpec&, std::size_t dim, Metric,
                                          std::vector<Learned>);
  std::vector<std::pair<std::string, std::size_t>> (*learns)(const CodecSpec&, std::size_t dim);
};

Family family(const CodecSpec& spec) {
  switch (spec.kind) {
    case CodecKind::kFloat32:
    case CodecKind::kFloat16:
    case CodecKind::kBfloat16:
    case CodecKind::kInt8:
    case CodecKind::kUint8:
    case CodecKind::kSq8:
    case CodecKind::kSq4: return {train_plain, restore_plain, learns_plain};
    case CodecKind::kSq4x8: return {train_sq4x8, restore_sq4x8, learns_sq4x8};
    case CodecKind::kFloat8: return {train_float8, restore_float8, learns_float8};
    case CodecKind::kPq: return {train_pq, restore_pq, learns_pq};
    case CodecKind::kRq: return {train_rq, restore_rq, learns_rq};
    case CodecKind::kRotation: return {train_rotation, restore_rotation, learns_rotation};
    case CodecKind::kBits: return {train_bits, restore_bits, learns_bits};
  }
  throw ArgumentError("codec is of kind " + std::to_string(static_cast<int>(spec.kind)) +
                      ", which this version does not hold");
}

void check_dim(std::size_t dim) {
  if (dim == 0 || dim > kMaxDim) {
    throw ArgumentError("dim is " + std::to_string(dim) + "; wanted 1 to " +
                        std::to_string(kMaxDim));
  }
}

}  // namespace

void Query::use(const void* data, kernels::ScoreIds ids, kernels::ScoreBlock block,
                std::size_t stride, std::size_t width) noexcept {
  data_ = data;
  ids_ = ids;
  block_ = block;
  stride_ = stride;
  dim_ = width;
  ahead_ = prefetch_depth(stride);
  many_ = nullptr;
  shift_ = 0.0f;
}

void Query::score_block_many(const Query* const* queries, std::size_t count,
                             const std::byte* rows, std::size_t n, float* const* out) noexcept {
  for (std::size_t first = 0; first < count; first += kernels::kCodeQueries) {
    const std::size_t together = std::min(kernels::kCodeQueries, count - first);
    const Query& one = *queries[first];
    if (one.many_ == nullptr) {
      for (std::size_t q = first; q < first + together; ++q) {
        queries[q]->score_block(rows, n, out[q]);
      }
      continue;
    }
    const void* data[kernels::kCodeQueries];
    for (std::size_t q = 0; q < together; ++q) data[q] = queries[first + q]->data_;
    one.many_(data, together, rows, one.stride_, n, one.dim_, out + first);
  }
}

Query& Query::inner() {
  if (!inner_) inner_ = std::make_unique<Query>();
  return *inner_;
}

Codec::Codec(const CodecSpec& spec, std::size_t dim, Metric metric, std::size_t bytes)
    : spec_(spec), dim_(dim), metric_(metric), bytes_(bytes), stride_(round_up(bytes, 16)) {}

std::shared_ptr<const Codec> Codec::train(const CodecSpec& spec, std::size_t dim, Metric metric,
                                          MatrixView<const float> sample, const RunOptions& run) {
  check_dim(dim);
  return family(spec).train(spec, dim, metric, sample, run);
}

std::shared_ptr<const Codec> Codec::restore(const CodecSpec& spec, std::size_t dim, Metric metric,
                                            std::vector<Learned> learned) {
  const auto wanted = learns(spec, dim);
  if (learned.size() != wanted.size()) {
    throw ArgumentError("a " + std::string(name(spec.kind)) + " codec learns " +
                        std::to_string(wanted.size()) + " arrays, got " +
                        std::to_string(learned.size()));
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (learned[i].name != wanted[i].first || learned[i].values.size() != wanted[i].second) {
      throw ArgumentError("array " + std::to_string(i) + " of a " + std::string(name(spec.kind)) +
                          " codec is \"" + learned[i].name + "\" with " +
                          std::to_string(learned[i].values.size()) + " values; wanted \"" +
                          wanted[i].first + "\" with " + std::to_string(wanted[i].second));
    }
    const auto& values = learned[i].values;
    const auto bad = std::find_if(values.begin(), values.end(),
                                  [](float value) { return !std::isfinite(value); });
    if (bad != values.end()) {
      throw ArgumentError("array \"" + learned[i].name + "\" of the codec: value " +
                          std::to_string(bad - values.begin()) + " is not finite");
    }
  }
  return family(spec).restore(spec, dim, metric, std::move(learned));
}

std::vector<std::pair<std::string, std::size_t>> Codec::learns(const CodecSpec& spec,
                                                               std::size_t dim) {
  check_dim(dim);
  return family(spec).learns(spec, dim);
}

std::size_t Codec::sample_rows(const CodecSpec& spec) noexcept {
  switch (spec.kind) {
    case CodecKind::kFloat32:
    case CodecKind::kFloat16:
    case CodecKind::kBfloat16:
    case CodecKind::kInt8:
    case CodecKind::kUint8:
    case CodecKind::kFloat8: return 0;
    // Only a mean is learned, and ten thousand rows give it to a hundredth of the spread of the
    // rows. More would cost memory: the sample is held as floats.
    case CodecKind::kSq8:
    case CodecKind::kSq4:
    case CodecKind::kSq4x8:
    case CodecKind::kRotation:
    case CodecKind::kBits: return 10'000;
    case CodecKind::kPq: return kPqSampleRows;
    case CodecKind::kRq: return kRqSampleRows;
  }
  return 0;
}

void Codec::prepare_row(const std::byte* row, Query& out) const {
  float* own = out.row().get(dim_);
  decode(row, 1, own, dim_);
  prepare(own, Precision::kFast, out);
}

float Codec::twin_limit(const std::byte*) const noexcept {
  return -std::numeric_limits<float>::infinity();
}

void BlockQuery::score_many(const BlockQuery* const* queries, std::size_t n,
                            const std::byte* blocks, std::size_t count, float* const* out) {
  const void* states[kMany];
  for (std::size_t first = 0; first < n; first += kMany) {
    const std::size_t together = std::min(kMany, n - first);
    for (std::size_t q = 0; q < together; ++q) states[q] = queries[first + q]->state_;
    queries[first]->many_(states, together, blocks, count, out + first);
  }
}

void Codec::pack(const std::byte*, std::size_t, std::byte*) const { assert(block_bytes() != 0); }
void Codec::unpack(const std::byte*, std::size_t, std::byte*) const { assert(block_bytes() != 0); }
void Codec::prepare_blocks(const float*, BlockQuery&) const { assert(block_bytes() != 0); }
bool Codec::prepare_bounds(const float*, BlockQuery&) const { return false; }

}  // namespace vicinal::quantizers
