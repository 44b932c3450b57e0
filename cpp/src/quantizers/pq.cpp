#include "quantizers/pq.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/adc.h"
#include "kernels/matrix.h"
#include "quantizers/nibbles.h"
#include "quantizers/training.h"
#include "vicinal/cluster.h"

namespace vicinal::quantizers {
namespace {

using kernels::AdcQuery;
using kernels::kAdcEntries;
using kernels::kMaxTileQueries;
using kernels::Rank;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kRowsAtOnce = 256;

std::size_t rank_of(Metric metric) {
  return static_cast<std::size_t>(metric == Metric::kL2 ? Rank::kL2 : Rank::kIp);
}

std::size_t entries_of(const CodecSpec& spec) { return std::size_t{1} << spec.bits; }

std::size_t row_bytes(const CodecSpec& spec) {
  return spec.bits == 8 ? spec.parts : (std::size_t{spec.parts} + 1) / 2;
}

void check_spec(const CodecSpec& spec, std::size_t dim) {
  if (spec.bits != 4 && spec.bits != 8) {
    throw ArgumentError("bits is " + std::to_string(spec.bits) +
                        "; product quantization takes 4 or 8");
  }
  if (spec.parts < 1 || spec.parts > dim) {
    throw ArgumentError("parts is " + std::to_string(spec.parts) + "; vectors of " +
                        std::to_string(dim) + " dimensions can have 1 to " + std::to_string(dim));
  }
  if (spec.variant > kPqScoreAware) {
    throw ArgumentError("variant is " + std::to_string(spec.variant) +
                        "; product quantization knows 0 and " + std::to_string(kPqScoreAware));
  }
}

}  // namespace

void check_pq_metric(const CodecSpec& spec, Metric metric) {
  if (spec.kind == CodecKind::kPq && spec.variant == kPqScoreAware && metric == Metric::kL2) {
    throw ArgumentError(
        "score-aware product quantization is for inner product and cosine; metric is l2");
  }
}

namespace {

// Guo et al. show that with h_par : h_perp = (dim - 1) t^2 / (1 - t^2) the loss is that of the
// scores above t * ||x||, and use 0.2. Less than 1, in few dimensions, would punish what is right.
float score_weight(std::size_t dim) {
  constexpr double kThreshold = 0.2;
  const double ratio =
      (static_cast<double>(dim) - 1) * kThreshold * kThreshold / (1 - kThreshold * kThreshold);
  return static_cast<float>(std::max(0.0, ratio - 1));
}

// The first place of the least value; 0 if all are NaN.
std::size_t least(const float* values, std::size_t n) {
  float low[16];
  std::fill(low, low + 16, kInfinity);
  for (std::size_t i = 0; i < n; i += 16) {
    for (std::size_t j = 0; j < 16; ++j) low[j] = values[i + j] < low[j] ? values[i + j] : low[j];
  }
  const float lowest = *std::min_element(low, low + 16);
  for (std::size_t i = 0; i < n; ++i) {
    if (values[i] == lowest) return i;
  }
  return 0;
}

// Tables of bytes from those of nibbles. The last high nibble of an odd number of parts says
// nothing, whatever a file holds there.
void pair_tables(const float* nibbles, std::size_t parts, float* out) {
  for (std::size_t part = 0; part < parts; part += 2, out += kAdcEntries) {
    const float* low = nibbles + 16 * part;
    for (std::size_t h = 0; h < 16; ++h) {
      const float high = part + 1 < parts ? low[16 + h] : 0.0f;
      for (std::size_t l = 0; l < 16; ++l) out[16 * h + l] = low[l] + high;
    }
  }
}

void score_blocks(const void* scan, const std::byte* blocks, std::size_t count, float* out) {
  score_nibbles(*static_cast<const NibbleScan*>(scan), blocks, count, out);
}

struct BoundScan {
  NibbleScan scan;  // first: score_blocks() takes it for one
  float slack;
};

float slack_of(const void* scan, const std::byte*, std::size_t) {
  return static_cast<const BoundScan*>(scan)->slack;
}

void score_blocks_many(const void* const* scans, std::size_t queries, const std::byte* blocks,
                       std::size_t count, float* const* out) {
  const NibbleScan* own[BlockQuery::kMany];
  for (std::size_t q = 0; q < queries; ++q) own[q] = static_cast<const NibbleScan*>(scans[q]);
  score_nibbles(own, queries, blocks, count, out);
}

// The length of all vectors, 0 if some differ by more than a hundredth.
float common_length(MatrixView<const float> sample) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (std::size_t r = 0; r < sample.rows(); ++r) {
    double square = 0;
    for (std::size_t d = 0; d < sample.cols(); ++d) {
      square += double{sample.row(r)[d]} * sample.row(r)[d];
    }
    least = std::min(least, square);
    most = std::max(most, square);
  }
  return most <= 1.02 * least ? static_cast<float>(std::sqrt(0.5 * (least + most))) : 0.0f;
}

// ---- Score-aware codebooks

// The step of one centroid that lowers the loss of its rows most, all else as it is: the solution
// of (n + weight * sum u u^T) step = sum (e + weight * along * u), e what a row's part leaves over,
// u = x / ||x|| of that part and along = <r, u> of the whole row. Conjugate gradients: the matrix
// lies between n and (1 + weight) n times the identity, so that a dozen steps are enough.
class CentroidStep {
 public:
  explicit CentroidStep(std::size_t width)
      : step_(width), rest_(width), direction_(width), image_(width) {}

  const std::vector<double>& solve(double weight, const float* sample, std::size_t dim,
                                   std::size_t first, const std::uint32_t* rows, std::size_t n,
                                   const float* centroid, const double* along,
                                   const double* inverse_norms) {
    const std::size_t width = step_.size();
    std::fill(step_.begin(), step_.end(), 0.0);
    std::fill(rest_.begin(), rest_.end(), 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      const float* x = sample + rows[i] * dim + first;
      const double pull = weight * along[rows[i]] * inverse_norms[rows[i]];
      for (std::size_t d = 0; d < width; ++d) rest_[d] += x[d] - centroid[d] + pull * x[d];
    }
    direction_ = rest_;
    double left = dot(rest_, rest_);
    const double enough = 1e-10 * left;
    for (int round = 0; round < 32 && left > enough; ++round) {
      for (std::size_t d = 0; d < width; ++d) image_[d] = static_cast<double>(n) * direction_[d];
      for (std::size_t i = 0; i < n; ++i) {
        const float* x = sample + rows[i] * dim + first;
        double along_x = 0;
        for (std::size_t d = 0; d < width; ++d) along_x += direction_[d] * x[d];
        along_x *= weight * inverse_norms[rows[i]] * inverse_norms[rows[i]];
        for (std::size_t d = 0; d < width; ++d) image_[d] += along_x * x[d];
      }
      const double length = left / dot(direction_, image_);
      for (std::size_t d = 0; d < width; ++d) {
        step_[d] += length * direction_[d];
        rest_[d] -= length * image_[d];
      }
      const double now = dot(rest_, rest_);
      for (std::size_t d = 0; d < width; ++d) {
        direction_[d] = rest_[d] + now / left * direction_[d];
      }
      left = now;
    }
    return step_;
  }

 private:
  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
    return sum;
  }

  std::vector<double> step_, rest_, direction_, image_;
};

// Codes, then codebooks, in turn, as k-means does; a centroid moves while all others stay.
std::vector<float> fit_to_scores(std::unique_ptr<PqBooks> books, MatrixView<const float> sample,
                                 const RunOptions& run) {
  constexpr std::size_t kRounds = 8;
  const std::size_t n = sample.rows(), dim = books->dim(), parts = books->parts();
  const std::size_t entries = books->entries();
  const float weight = score_weight(dim);
  std::vector<std::uint8_t> codes(n * parts);
  std::vector<double> along(n), inverse_norms(n);
  for (std::size_t r = 0; r < n; ++r) {
    double norm = 0;
    for (std::size_t d = 0; d < dim; ++d) norm += double{sample.row(r)[d]} * sample.row(r)[d];
    inverse_norms[r] = norm > 0 ? 1 / std::sqrt(norm) : 0.0;
  }
  std::vector<float> codebooks = books->codebooks();
  for (std::size_t round = 0; round < kRounds; ++round) {
    const RunOptions step = step_of(run, kRounds + round, 2 * kRounds, n);
    parallel_for(n, kRowsAtOnce, step, [&](std::size_t begin, std::size_t end, unsigned) {
      books->nearest_in_score(weight, sample.row(begin), dim, end - begin,
                              codes.data() + begin * parts);
      for (std::size_t r = begin; r < end; ++r) {
        double sum = 0;
        for (std::size_t part = 0; part < parts; ++part) {
          const float* x = sample.row(r) + books->first(part);
          const float* c = books->rows(part) + codes[r * parts + part] * books->width(part);
          for (std::size_t d = 0; d < books->width(part); ++d) sum += double{x[d] - c[d]} * x[d];
        }
        along[r] = sum * inverse_norms[r];
      }
    });
    for (std::size_t part = 0; part < parts; ++part) {
      const std::size_t width = books->width(part), first = books->first(part);
      const Buckets buckets(codes.data() + part, parts, n, entries);
      float* centroids = codebooks.data() + entries * first;
      parallel_for(entries, 4, step, [&](std::size_t begin, std::size_t end, unsigned) {
        CentroidStep solver(width);
        for (std::size_t k = begin; k < end; ++k) {
          const std::uint32_t* rows = buckets.order.data() + buckets.starts[k];
          const std::size_t count = buckets.starts[k + 1] - buckets.starts[k];
          if (count == 0) continue;
          float* centroid = centroids + k * width;
          const std::vector<double>& move =
              solver.solve(weight, sample.data(), dim, first, rows, count, centroid, along.data(),
                           inverse_norms.data());
          for (std::size_t i = 0; i < count; ++i) {
            const float* x = sample.row(rows[i]) + first;
            double less = 0;
            for (std::size_t d = 0; d < width; ++d) less += move[d] * x[d];
            along[rows[i]] -= less * inverse_norms[rows[i]];
          }
          for (std::size_t d = 0; d < width; ++d) {
            centroid[d] = static_cast<float>(centroid[d] + move[d]);
          }
        }
      });
    }
    books = std::make_unique<PqBooks>(dim, parts, entries, codebooks);
  }
  return codebooks;
}

}  // namespace

// ---- Codebooks

PqBooks::PqBooks(std::size_t dim, std::size_t parts, std::size_t entries,
                 std::vector<float> codebooks)
    : dim_(dim),
      parts_(parts),
      entries_(entries),
      codebooks_(std::move(codebooks)),
      columns_(Buffer::allocate(codebooks_.size() * sizeof(float))),
      centred_(codebooks_.size()),
      centred_half_norms_(parts * entries),
      means_(dim),
      half_norms_(parts * entries) {
  auto* columns = reinterpret_cast<float*>(columns_.mutable_data());
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t w = width(part);
    float* mean = means_.data() + first(part);
    for (std::size_t d = 0; d < w; ++d) {
      double sum = 0;
      for (std::size_t k = 0; k < entries; ++k) sum += this->rows(part)[k * w + d];
      mean[d] = static_cast<float>(sum / static_cast<double>(entries));
    }
    for (std::size_t k = 0; k < entries; ++k) {
      const float* centroid = this->rows(part) + k * w;
      float* centred = centred_.data() + entries * first(part) + k * w;
      double norm = 0, centred_norm = 0;
      for (std::size_t d = 0; d < w; ++d) {
        columns[entries * first(part) + d * entries + k] = centroid[d];
        centred[d] = centroid[d] - mean[d];
        norm += double{centroid[d]} * centroid[d];
        centred_norm += double{centred[d]} * centred[d];
      }
      half_norms_[part * entries + k] = static_cast<float>(0.5 * norm);
      centred_half_norms_[part * entries + k] = static_cast<float>(0.5 * centred_norm);
    }
  }
}

void PqBooks::nearest(const float* rows, std::size_t stride, std::size_t n,
                      std::uint8_t* codes) const {
  const kernels::Table& table = kernels::active();
  const kernels::TileKernel& tile = *table.tile;
  std::vector<float> panel(width(0) * tile.queries), centred(panel.size());
  float best[kMaxTileQueries];
  std::uint32_t which[kMaxTileQueries];
  for (std::size_t part = 0; part < parts_; ++part) {
    const std::size_t w = width(part);
    const float* mean = means_.data() + first(part);
    for (std::size_t r = 0; r < n; r += tile.queries) {
      const std::size_t live = std::min(tile.queries, n - r);
      for (std::size_t q = 0; q < live; ++q) {
        const float* row = rows + (r + q) * stride + first(part);
        for (std::size_t d = 0; d < w; ++d) centred[q * w + d] = row[d] - mean[d];
      }
      tile.pack(centred.data(), w, live, w, panel.data());
      std::fill(best, best + tile.queries, kInfinity);
      std::fill(which, which + tile.queries, 0u);
      table.matrix->nearest(panel.data(), centred_.data() + entries_ * first(part), w, entries_, w,
                            centred_half_norms_.data() + part * entries_, 0, best, which);
      for (std::size_t q = 0; q < live; ++q) {
        codes[(r + q) * parts_ + part] = static_cast<std::uint8_t>(which[q]);
      }
    }
  }
}

void PqBooks::nearest_in_score(float weight, const float* rows, std::size_t stride, std::size_t n,
                               std::uint8_t* codes) const {
  constexpr int kSweeps = 8;
  nearest(rows, stride, n, codes);
  const auto dots_of = kernels::active().adc->table[static_cast<std::size_t>(Rank::kIp)];
  // Of each entry: ||x - c||^2 - ||x||^2, and <x - c, x> / ||x||, both of one part.
  std::vector<float> apart(parts_ * entries_), along(parts_ * entries_), cost(entries_);
  for (std::size_t r = 0; r < n; ++r) {
    const float* x = rows + r * stride;
    std::uint8_t* code = codes + r * parts_;
    double norm = 0;
    for (std::size_t d = 0; d < dim_; ++d) norm += double{x[d]} * x[d];
    if (!(norm > 0)) continue;
    const auto inverse = static_cast<float>(1 / std::sqrt(norm));
    float total = 0;
    for (std::size_t part = 0; part < parts_; ++part) {
      const std::size_t w = width(part);
      const float* own = x + first(part);
      float* minus_dots = along.data() + part * entries_;
      dots_of(own, columns(part), w, entries_, minus_dots);
      float square = 0;
      for (std::size_t d = 0; d < w; ++d) square += own[d] * own[d];
      for (std::size_t k = 0; k < entries_; ++k) {
        apart[part * entries_ + k] = 2 * (half_norms(part)[k] + minus_dots[k]);
        minus_dots[k] = (square + minus_dots[k]) * inverse;
      }
      total += minus_dots[code[part]];
    }
    bool changed = true;
    for (int sweep = 0; sweep < kSweeps && changed; ++sweep) {
      changed = false;
      for (std::size_t part = 0; part < parts_; ++part) {
        const float* a = apart.data() + part * entries_;
        const float* b = along.data() + part * entries_;
        const float others = total - b[code[part]];
        for (std::size_t k = 0; k < entries_; ++k) {
          const float sum = others + b[k];
          cost[k] = a[k] + weight * (sum * sum);
        }
        const std::size_t best = least(cost.data(), entries_);
        if (!(cost[best] < cost[code[part]])) continue;
        code[part] = static_cast<std::uint8_t>(best);
        total = others + b[best];
        changed = true;
      }
    }
  }
}

// ---- The codec

PqCodec::PqCodec(const CodecSpec& spec, Metric metric, float length,
                 std::shared_ptr<const PqBooks> books)
    : Codec(spec, books->dim(), metric, row_bytes(spec)),
      books_(std::move(books)),
      length_(length) {
  if (!nibbles() || by_length()) return;
  const auto table = kernels::active().adc->table[rank_of(metric)];
  symmetric_.resize(books_->parts() * kAdcEntries);
  for (std::size_t part = 0; part < books_->parts(); ++part) {
    const std::size_t width = books_->width(part);
    for (std::size_t k = 0; k < 16; ++k) {
      table(books_->rows(part) + k * width, books_->columns(part), width, 16,
            symmetric_.data() + part * kAdcEntries + 16 * k);
    }
  }
}

std::vector<Learned> PqCodec::learned() const {
  return {{"codebooks", books_->codebooks()}, {"length", {length_}}};
}

std::shared_ptr<const Codec> PqCodec::for_metric(Metric other) const {
  check_pq_metric(spec(), other);
  return std::make_shared<PqCodec>(spec(), other, length_, books_);
}

std::size_t PqCodec::code(const std::byte* row, std::size_t part) const noexcept {
  if (!nibbles()) return static_cast<std::size_t>(row[part]);
  return (static_cast<std::size_t>(row[part / 2]) >> (part % 2 * 4)) & 15;
}

void PqCodec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                     std::size_t /*first_row*/) const {
  const std::size_t parts = books_->parts();
  std::vector<std::uint8_t> codes(std::min(n, kRowsAtOnce) * parts);
  for (std::size_t begin = 0; begin < n; begin += kRowsAtOnce) {
    const std::size_t count = std::min(kRowsAtOnce, n - begin);
    const float* from = rows + begin * in_stride;
    if (spec().variant == kPqScoreAware) {
      books_->nearest_in_score(score_weight(dim()), from, in_stride, count, codes.data());
    } else {
      books_->nearest(from, in_stride, count, codes.data());
    }
    for (std::size_t r = 0; r < count; ++r) {
      const std::uint8_t* code = codes.data() + r * parts;
      std::byte* row = out + (begin + r) * stride();
      std::memset(row, 0, stride());
      if (!nibbles()) {
        std::memcpy(row, code, parts);
        continue;
      }
      for (std::size_t part = 0; part < parts; ++part) {
        row[part / 2] |= static_cast<std::byte>(code[part] << (part % 2 * 4));
      }
    }
  }
}

void PqCodec::decode(const std::byte* rows, std::size_t n, float* out,
                     std::size_t out_stride) const {
  for (std::size_t part = 0; part < books_->parts(); ++part) {
    const std::size_t width = books_->width(part), first = books_->first(part);
    for (std::size_t r = 0; r < n; ++r) {
      std::memcpy(out + r * out_stride + first,
                  books_->rows(part) + code(rows + r * stride(), part) * width,
                  width * sizeof(float));
    }
  }
}

float PqCodec::part_tables(const float* query, float* out) const noexcept {
  const auto table = kernels::active().adc->table[rank_of(metric())];
  const std::size_t entries = books_->entries();
  for (std::size_t part = 0; part < books_->parts(); ++part) {
    table(query + books_->first(part), books_->columns(part), books_->width(part), entries,
          out + part * entries);
  }
  if (!by_length()) return 0.0f;
  double square = 0;
  for (std::size_t d = 0; d < dim(); ++d) square += double{query[d]} * query[d];
  const auto norm = static_cast<float>(std::sqrt(square));
  const float scale = norm / length_;
  const float* half_norms = books_->half_norms(0);
  for (std::size_t i = 0; i < books_->parts() * entries; ++i) out[i] += scale * half_norms[i];
  return -0.5f * norm * length_;
}

void PqCodec::use_tables(const float* tables, float bias, Query& out) const {
  const kernels::AdcKernels& adc = *kernels::active().adc;
  const auto* state = new (out.state().get(sizeof(AdcQuery)))
      AdcQuery{tables, bias, metric() == Metric::kL2 ? 0.0f : -kInfinity, nullptr, 0};
  out.use(state, adc.ids, adc.block, stride(), bytes());
}

void PqCodec::prepare(const float* query, Precision, Query& out) const {
  // The query may lie in out.row().
  float* tables = out.values().get(bytes() * kAdcEntries + (nibbles() ? 16 * spec().parts : 0));
  float* narrow = tables + bytes() * kAdcEntries;
  const float bias = part_tables(query, nibbles() ? narrow : tables);
  if (nibbles()) pair_tables(narrow, books_->parts(), tables);
  use_tables(tables, bias, out);
}

void PqCodec::prepare_row(const std::byte* row, Query& out) const {
  if (symmetric_.empty()) {
    float* own = out.row().get(dim());
    decode(row, 1, own, dim());
    prepare(own, Precision::kExact, out);
    return;
  }
  float* tables = out.values().get(bytes() * kAdcEntries + 16 * std::size_t{spec().parts});
  float* narrow = tables + bytes() * kAdcEntries;
  for (std::size_t part = 0; part < books_->parts(); ++part) {
    std::memcpy(narrow + 16 * part, symmetric_.data() + part * kAdcEntries + 16 * code(row, part),
                16 * sizeof(float));
  }
  pair_tables(narrow, books_->parts(), tables);
  use_tables(tables, 0.0f, out);
}

float PqCodec::twin_limit(const std::byte*) const noexcept {
  return metric() == Metric::kL2 ? 0.0f : -kInfinity;  // equal codes differ by exactly nothing
}

std::size_t PqCodec::block_bytes() const noexcept {
  return nibbles() ? nibble_block_bytes(books_->parts()) : 0;
}

void PqCodec::pack(const std::byte* row, std::size_t place, std::byte* block) const {
  std::vector<std::uint8_t> codes(books_->parts());
  for (std::size_t part = 0; part < codes.size(); ++part) {
    codes[part] = static_cast<std::uint8_t>(code(row, part));
  }
  put_nibbles(codes.data(), codes.size(), place, block);
}

void PqCodec::unpack(const std::byte* block, std::size_t place, std::byte* row) const {
  const std::size_t parts = books_->parts();
  constexpr std::size_t kTogether = 64;
  std::uint8_t codes[kTogether + 1];
  std::memset(row, 0, stride());
  for (std::size_t first = 0; first < parts; first += kTogether) {
    const std::size_t n = std::min(kTogether, parts - first);
    get_nibbles(block + nibble_block_bytes(first), n, place, codes);
    codes[n] = 0;  // beside an odd last one
    std::byte* to = row + first / 2;
    for (std::size_t i = 0; i < n; i += 2) {
      *to++ = static_cast<std::byte>(codes[i] | codes[i + 1] << 4);
    }
  }
}

void PqCodec::prepare_blocks(const float* query, BlockQuery& out) const {
  const std::size_t parts = books_->parts();
  // Wanted until they are rounded: a batch keeps many prepared queries, and these are four times
  // as long as what they become.
  thread_local Scratch<float> floats;
  float* tables = floats.get(16 * parts);
  const float bias = part_tables(query, tables);
  std::uint8_t* rounded = out.tables().get(nibble_table_bytes(parts));
  NibbleScan scan;
  scan.tables = rounded;
  scan.nibbles = parts;
  scan.block_bytes = block_bytes();
  scan.scale = round_tables(tables, parts, rounded);
  scan.scale.offset += bias;
  out.use(new (out.state().get(sizeof scan)) NibbleScan(scan), score_blocks, score_blocks_many);
}

// Exact scores add up entries of the same tables, in parts + 2 roundings at most, every partial sum
// within `size` and the bias; a scan rounds the differences, the sum of bytes, its product with the
// scale and the offset. 64 for all that does not grow with the parts.
bool PqCodec::prepare_bounds(const float* query, BlockQuery& out) const {
  if (!nibbles()) return false;
  const std::size_t parts = books_->parts();
  float* tables = out.values().get(16 * parts);
  const double bias = double{part_tables(query, tables)};
  std::uint8_t* rounded = out.tables().get(nibble_table_bytes(parts));
  const float scale = round_tables(tables, parts, rounded).scale;
  const TableErrors errors = table_errors(tables, parts, rounded, scale);
  const double size = 3 * errors.size + std::fabs(bias);
  if (!(size < 1e37)) return false;  // a sum could be infinite
  // What is smaller than any normal float may come out as zero.
  const double rounding = (static_cast<double>(parts) + 64) * (0x1.0p-24 * size + 0x1.0p-126);
  auto& state = *new (out.state().get(sizeof(BoundScan))) BoundScan{};
  state.scan.tables = rounded;
  state.scan.nibbles = parts;
  state.scan.block_bytes = block_bytes();
  state.scan.scale = {static_cast<float>(errors.least + bias - rounding), scale};
  state.slack = static_cast<float>(errors.most - errors.least + 2 * rounding);
  out.use(&state, score_blocks, score_blocks_many, slack_of);
  return true;
}

// ---- What the factories call

std::vector<std::pair<std::string, std::size_t>> learns_pq(const CodecSpec& spec,
                                                           std::size_t dim) {
  check_spec(spec, dim);
  return {{"codebooks", entries_of(spec) * dim}, {"length", 1}};
}

std::shared_ptr<const Codec> restore_pq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                        std::vector<Learned> learned) {
  check_learned(learned, learns_pq(spec, dim), "pq");
  check_pq_metric(spec, metric);
  return std::make_shared<PqCodec>(
      spec, metric, learned[1].values[0],
      std::make_shared<const PqBooks>(dim, spec.parts, entries_of(spec),
                                      std::move(learned[0].values)));
}

std::shared_ptr<const Codec> train_pq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                      MatrixView<const float> sample, const RunOptions& run) {
  check_spec(spec, dim);
  check_pq_metric(spec, metric);
  const std::size_t entries = entries_of(spec), parts = spec.parts, n = sample.rows();
  check_sample(sample, dim, entries, "product quantization");
  const bool aware = spec.variant == kPqScoreAware;
  const std::size_t longer = dim % parts;
  std::vector<float> codebooks, own;
  codebooks.reserve(entries * dim);
  for (std::size_t part = 0, first = 0; part < parts; ++part) {
    const std::size_t width = dim / parts + (part < longer ? 1 : 0);
    own.resize(n * width);
    for (std::size_t r = 0; r < n; ++r) {
      std::memcpy(own.data() + r * width, sample.row(r) + first, width * sizeof(float));
    }
    KMeansParams params;
    params.clusters = entries;
    params.seed = random_u64(spec.seed, 1, part);
    const KMeansResult found = kmeans(MatrixView<const float>(own.data(), n, width), params,
                                      step_of(run, part, aware ? 2 * parts : parts, n));
    codebooks.insert(codebooks.end(), found.centroids.begin(), found.centroids.end());
    first += width;
  }
  if (aware) {
    codebooks = fit_to_scores(
        std::make_unique<PqBooks>(dim, parts, entries, std::move(codebooks)), sample, run);
  }
  return restore_pq(spec, dim, metric,
                    {{"codebooks", std::move(codebooks)},
                     {"length", {aware ? 0.0f : common_length(sample)}}});
}

}  // namespace vicinal::quantizers
