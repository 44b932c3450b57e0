#include "quantizers/rq.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/matrix.h"
#include "quantizers/training.h"
#include "vicinal/cluster.h"

namespace vicinal::quantizers {
namespace {

using kernels::AdcQuery;
using kernels::kAdcEntries;
using kernels::Rank;

constexpr std::size_t kEntries = kAdcEntries;  // of a codebook
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kRowsAtOnce = 192;  // their bases, 192 KiB, stay in the second cache
constexpr std::size_t kPairs = RqEncoder::kStage * (RqEncoder::kStage - 1) / 2;

void check_spec(const CodecSpec& spec) {
  if (spec.parts < 1 || spec.parts > kRqMaxLevels) {
    throw ArgumentError("levels is " + std::to_string(spec.parts) +
                        "; residual quantization takes 1 to " + std::to_string(kRqMaxLevels));
  }
  if (spec.bits != 0 && spec.bits != 8) {
    throw ArgumentError("bits is " + std::to_string(spec.bits) +
                        "; residual quantization takes 8 per level");
  }
  if ((spec.variant & 255u) > kRqMaxBeam || spec.variant > (kRqPlain | 255u)) {
    throw ArgumentError("variant is " + std::to_string(spec.variant) + "; the beam, 1 to " +
                        std::to_string(kRqMaxBeam) + " or 0 for " + std::to_string(kRqBeam) +
                        ", is its low byte, and " + std::to_string(kRqPlain) + " its only flag");
  }
}

std::size_t beam_of(const CodecSpec& spec) {
  const std::uint32_t beam = spec.variant & 255u;
  return beam == 0 ? kRqBeam : beam;
}

void subtract(const float* from, float* row, std::size_t dim) {
  for (std::size_t d = 0; d < dim; ++d) row[d] -= from[d];
}

// Which of the ascending values is nearest.
std::size_t nearest_value(const std::vector<float>& values, float x) {
  const auto above = std::lower_bound(values.begin(), values.end(), x);
  if (above == values.begin()) return 0;
  const auto at = static_cast<std::size_t>(above - values.begin());
  if (at == values.size()) return at - 1;
  return x - values[at - 1] <= values[at] - x ? at - 1 : at;
}

// ---- Training

struct Training {
  std::size_t dim;
  std::size_t levels;
  std::size_t beam;
  MatrixView<const float> sample;
  std::vector<float> mean;
  std::vector<float> codebooks;     // levels x 256 x dim
  std::vector<float> left;          // n x dim: what the codes leave of the sample
  std::vector<std::uint8_t> codes;  // n x levels
  RqEncoder encoder;

  Training(const CodecSpec& spec, MatrixView<const float> rows)
      : dim(rows.cols()),
        levels(spec.parts),
        beam(beam_of(spec)),
        sample(rows),
        mean(dim),
        codebooks(levels * kEntries * dim),
        left(rows.rows() * dim),
        codes(rows.rows() * levels),
        encoder(dim, levels) {
    std::vector<double> sum(dim);
    for (std::size_t r = 0; r < rows.rows(); ++r) {
      for (std::size_t d = 0; d < dim; ++d) sum[d] += double{rows.row(r)[d]};
    }
    for (std::size_t d = 0; d < dim; ++d) {
      mean[d] = static_cast<float>(sum[d] / static_cast<double>(rows.rows()));
    }
  }

  float* codebook(std::size_t level) { return codebooks.data() + level * kEntries * dim; }

  void centre(std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      for (std::size_t d = 0; d < dim; ++d) left[r * dim + d] = sample.row(r)[d] - mean[d];
    }
  }
};

// Rows drawn one from each of 256 runs, moved most of the way to the mean. What is left over after
// a few levels is noise in many dimensions: of centroids that are such rows themselves, the
// shortest would be nearest to nearly all.
void start_near_mean(const float* rows, std::size_t n, std::size_t dim, std::uint64_t seed,
                     float* start) {
  constexpr float kShare = 0.25f;
  std::vector<double> sum(dim);
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t d = 0; d < dim; ++d) sum[d] += double{rows[r * dim + d]};
  }
  for (std::size_t k = 0; k < kEntries; ++k) {
    const std::size_t begin = k * n / kEntries, end = (k + 1) * n / kEntries;
    const float* row = rows + (begin + random_below(end - begin, seed, 0, k)) * dim;
    for (std::size_t d = 0; d < dim; ++d) {
      const auto mean = static_cast<float>(sum[d] / static_cast<double>(n));
      start[k * dim + d] = mean + kShare * (row[d] - mean);
    }
  }
}

// Codebooks one after the other, each by k-means of what the best paths through those before it
// leave over.
void learn_levels(Training& t, std::uint64_t seed, const RunOptions& run, std::size_t steps) {
  // A codebook will be fitted to all rows afterwards; 160 rows a centroid are enough to begin with.
  constexpr std::size_t kMeansRows = 160 * kEntries;
  constexpr std::uint32_t kIterations = 20;
  const std::size_t n = t.sample.rows(), dim = t.dim;
  const std::size_t some = std::min(n, kMeansRows);
  std::vector<RqEncoder::Path> paths(n * t.beam);
  std::vector<std::uint32_t> counts(n);
  std::vector<float> own(some * dim);
  std::vector<float> start(kEntries * dim);
  parallel_for(n, kRowsAtOnce, step_of(run, 0, steps, n),
               [&](std::size_t begin, std::size_t end, unsigned) { t.centre(begin, end); });
  for (std::size_t level = 0; level < t.levels; ++level) {
    const RunOptions step = step_of(run, level, steps, n);
    const std::size_t in_stage = level % RqEncoder::kStage, stage = level - in_stage;
    if (in_stage == 0) {
      for (std::size_t r = 0; r < n; ++r) {
        paths[r * t.beam].cost = 0;
        counts[r] = 1;
      }
    }
    parallel_for(some, kRowsAtOnce, step, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t r = i * n / some;
        float* row = own.data() + i * dim;
        std::memcpy(row, t.left.data() + r * dim, dim * sizeof(float));
        for (std::size_t j = 0; j < in_stage; ++j) {
          subtract(t.codebook(stage + j) + paths[r * t.beam].codes[j] * dim, row, dim);
        }
      }
    });
    start_near_mean(own.data(), some, dim, random_u64(seed, 2, level), start.data());
    KMeansParams params;
    params.clusters = kEntries;
    params.start = KMeansStart::kGiven;
    params.first = MatrixView<const float>(start.data(), kEntries, dim);
    params.iterations = kIterations;
    const KMeansResult found =
        kmeans(MatrixView<const float>(own.data(), some, dim), params, step);
    std::copy(found.centroids.begin(), found.centroids.end(), t.codebook(level));
    t.encoder.set_level(level, t.codebooks.data(), step);
    const bool stage_ends = in_stage + 1 == RqEncoder::kStage || level + 1 == t.levels;
    parallel_for(n, kRowsAtOnce, step, [&](std::size_t begin, std::size_t end, unsigned) {
      std::vector<float> bases((end - begin) * kEntries);
      t.encoder.bases(level, t.left.data() + begin * dim, end - begin, bases.data());
      for (std::size_t r = begin; r < end; ++r) {
        RqEncoder::Path* own_paths = paths.data() + r * t.beam;
        t.encoder.extend(level, bases.data() + (r - begin) * kEntries, t.beam, own_paths,
                         counts[r]);
        if (!stage_ends) continue;
        for (std::size_t j = 0; j <= in_stage; ++j) {
          const std::uint8_t code = own_paths[0].codes[j];
          t.codes[r * t.levels + stage + j] = code;
          subtract(t.codebook(stage + j) + code * dim, t.left.data() + r * dim, dim);
        }
      }
    });
  }
}

// Least squares for all codebooks at once, given the codes: level by level, each centroid moves by
// the mean of what its rows leave over (Gauss and Seidel's way to the same solution).
void fit_codebooks(Training& t, const RunOptions& step) {
  constexpr int kSweeps = 3;
  const std::size_t n = t.sample.rows(), dim = t.dim;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t level = 0; level < t.levels; ++level) {
      const Buckets buckets(t.codes.data() + level, t.levels, n, kEntries);
      parallel_for(kEntries, 4, step, [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<double> sum(dim);
        std::vector<float> move(dim);
        for (std::size_t k = begin; k < end; ++k) {
          const std::size_t from = buckets.starts[k], to = buckets.starts[k + 1];
          if (from == to) continue;
          std::fill(sum.begin(), sum.end(), 0.0);
          for (std::size_t i = from; i < to; ++i) {
            const float* row = t.left.data() + buckets.order[i] * dim;
            for (std::size_t d = 0; d < dim; ++d) sum[d] += double{row[d]};
          }
          float* centroid = t.codebook(level) + k * dim;
          for (std::size_t d = 0; d < dim; ++d) {
            const float before = centroid[d];
            centroid[d] = static_cast<float>(before + sum[d] / static_cast<double>(to - from));
            move[d] = centroid[d] - before;
          }
          for (std::size_t i = from; i < to; ++i) {
            subtract(move.data(), t.left.data() + buckets.order[i] * dim, dim);
          }
        }
      });
    }
  }
}

void encode_sample(Training& t, const RunOptions& step) {
  for (std::size_t level = 0; level < t.levels; ++level) {
    t.encoder.set_level(level, t.codebooks.data(), step);
  }
  parallel_for(t.sample.rows(), kRowsAtOnce, step,
               [&](std::size_t begin, std::size_t end, unsigned) {
                 t.centre(begin, end);
                 t.encoder.encode(t.codebooks.data(), t.beam, t.left.data() + begin * t.dim,
                                  end - begin, t.codes.data() + begin * t.levels);
               });
}

// What the last byte of a row is about; rq.h says why. left: x - y.
struct Lengths {
  float norm;
  float gain;
};
Lengths lengths_of(const float* x, const float* mean, const float* left, std::size_t dim) {
  double norm = 0, error = 0, whole = 0, own = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double y = double{x[d]} - left[d], centred = y - mean[d];
    norm += centred * centred;
    error += double{left[d]} * left[d];
    whole += double{x[d]} * x[d];
    own += y * y;
  }
  const double gain = own > 0 ? std::sqrt(whole / own) : 1.0;
  return {static_cast<float>(norm + 0.5 * error),
          static_cast<float>(std::min(2.0, std::max(0.5, gain)))};
}

// 256 values for each, ascending.
std::pair<std::vector<float>, std::vector<float>> learn_lengths(const Training& t,
                                                                std::uint64_t seed,
                                                                const RunOptions& step) {
  const std::size_t n = t.sample.rows();
  std::vector<float> norms(n), gains(n);
  parallel_for(n, kRowsAtOnce, step, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t r = begin; r < end; ++r) {
      const Lengths found =
          lengths_of(t.sample.row(r), t.mean.data(), t.left.data() + r * t.dim, t.dim);
      norms[r] = found.norm;
      gains[r] = found.gain;
    }
  });
  const auto values_for = [&](const std::vector<float>& all, std::uint64_t number) {
    KMeansParams params;
    params.clusters = kEntries;
    params.seed = random_u64(seed, 3, number);
    KMeansResult found = kmeans(MatrixView<const float>(all.data(), n, 1), params, step);
    std::sort(found.centroids.begin(), found.centroids.end());
    return std::move(found.centroids);
  };
  return {values_for(norms, 0), values_for(gains, 1)};
}

}  // namespace

// ---- The encoder

RqEncoder::RqEncoder(std::size_t dim, std::size_t levels)
    : dim_(dim),
      levels_(levels),
      table_(&kernels::active()),
      panels_((kEntries + table_->tile->queries - 1) / table_->tile->queries),
      norms_(levels * kEntries),
      packed_(Buffer::allocate(levels * panels_ * table_->tile->queries * dim * sizeof(float))) {
  const std::size_t last = levels % kStage;
  const std::size_t pairs = levels / kStage * kPairs + (last > 0 ? last * (last - 1) / 2 : 0);
  cross_ = Buffer::allocate(pairs * kEntries * kEntries * sizeof(float));
}

const float* RqEncoder::cross(std::size_t level, std::size_t earlier) const noexcept {
  const std::size_t in_stage = level % kStage;
  const std::size_t pair = level / kStage * kPairs + in_stage * (in_stage - 1) / 2 + earlier;
  return reinterpret_cast<const float*>(cross_.data()) + pair * kEntries * kEntries;
}

float* RqEncoder::cross(std::size_t level, std::size_t earlier) noexcept {
  return const_cast<float*>(static_cast<const RqEncoder*>(this)->cross(level, earlier));
}

void RqEncoder::set_level(std::size_t level, const float* codebooks, const RunOptions& run) {
  const kernels::TileKernel& tile = *table_->tile;
  const std::size_t in_stage = level % kStage;
  const float* own = codebooks + level * kEntries * dim_;
  for (std::size_t k = 0; k < kEntries; ++k) {
    double norm = 0;
    for (std::size_t d = 0; d < dim_; ++d) norm += double{own[k * dim_ + d]} * own[k * dim_ + d];
    norms_[level * kEntries + k] = static_cast<float>(norm);
  }
  auto* panels = reinterpret_cast<float*>(packed_.mutable_data()) +
                 level * panels_ * tile.queries * dim_;
  for (std::size_t p = 0; p < panels_; ++p) {
    const std::size_t first = p * tile.queries;
    tile.pack(own + first * dim_, dim_, std::min(tile.queries, kEntries - first), dim_,
              panels + first * dim_);
  }
  parallel_for(in_stage, 1, run, [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<float> products(kEntries * tile.queries);
    for (std::size_t i = begin; i < end; ++i) {
      const float* earlier = codebooks + (level - in_stage + i) * kEntries * dim_;
      float* out = cross(level, i);
      for (std::size_t p = 0; p < panels_; ++p) {
        const std::size_t first = p * tile.queries;
        const std::size_t live = std::min(tile.queries, kEntries - first);
        table_->matrix->products(panels + first * dim_, earlier, dim_, kEntries, dim_,
                                 products.data());
        for (std::size_t k = 0; k < kEntries; ++k) {
          for (std::size_t q = 0; q < live; ++q) {
            out[k * kEntries + first + q] = 2 * products[k * tile.queries + q];
          }
        }
      }
    }
  });
}

void RqEncoder::bases(std::size_t level, const float* rows, std::size_t n, float* out) const {
  const kernels::TileKernel& tile = *table_->tile;
  const auto* panels = reinterpret_cast<const float*>(packed_.data()) +
                       level * panels_ * tile.queries * dim_;
  const float* norms = norms_.data() + level * kEntries;
  std::vector<float> products(n * tile.queries);
  for (std::size_t p = 0; p < panels_; ++p) {
    const std::size_t first = p * tile.queries;
    const std::size_t live = std::min(tile.queries, kEntries - first);
    table_->matrix->products(panels + first * dim_, rows, dim_, n, dim_, products.data());
    for (std::size_t r = 0; r < n; ++r) {
      const float* from = products.data() + r * tile.queries;
      float* to = out + r * kEntries + first;
      for (std::size_t q = 0; q < live; ++q) to[q] = norms[first + q] - 2 * from[q];
    }
  }
}

void RqEncoder::extend(std::size_t level, const float* base, std::size_t beam, Path* paths,
                       std::uint32_t& count) const {
  struct Choice {
    float cost;
    std::uint32_t path;
    std::uint32_t code;
  };
  const std::size_t in_stage = level % kStage;
  Choice kept[kRqMaxBeam];
  std::size_t used = 0;
  const float* rows[kStage];
  alignas(64) float values[kEntries];
  float low[kEntries + 16];
  std::uint32_t codes[kEntries + 16];
  for (std::uint32_t p = 0; p < count; ++p) {
    const Path& path = paths[p];
    for (std::size_t j = 0; j < in_stage; ++j) rows[j] = cross(level, j) + path.codes[j] * kEntries;
    table_->adc->add_rows(base, rows, in_stage, values);
    const float limit = used < beam ? kInfinity : kept[used - 1].cost - path.cost;
    const std::size_t n = table_->below(values, kEntries, limit, 0, codes, low);
    for (std::size_t i = 0; i < n; ++i) {
      const float cost = path.cost + low[i];
      if (used == beam && !(cost < kept[used - 1].cost)) continue;
      std::size_t at = used < beam ? used++ : used - 1;
      for (; at > 0 && cost < kept[at - 1].cost; --at) kept[at] = kept[at - 1];
      kept[at] = {cost, p, codes[i]};
    }
  }
  if (used == 0) kept[used++] = {0.0f, 0, 0};  // nothing but NaN: codebooks of a damaged file
  Path next[kRqMaxBeam];
  for (std::size_t i = 0; i < used; ++i) {
    next[i] = paths[kept[i].path];
    next[i].cost = kept[i].cost;
    next[i].codes[in_stage] = static_cast<std::uint8_t>(kept[i].code);
  }
  std::copy(next, next + used, paths);
  count = static_cast<std::uint32_t>(used);
}

void RqEncoder::encode(const float* codebooks, std::size_t beam, float* rows, std::size_t n,
                       std::uint8_t* codes) const {
  std::vector<float> base(n * kEntries);
  std::vector<Path> paths(n * beam);
  std::vector<std::uint32_t> counts(n);
  for (std::size_t stage = 0; stage < levels_; stage += kStage) {
    const std::size_t length = std::min(kStage, levels_ - stage);
    for (std::size_t r = 0; r < n; ++r) {
      paths[r * beam].cost = 0;
      counts[r] = 1;
    }
    for (std::size_t j = 0; j < length; ++j) {
      bases(stage + j, rows, n, base.data());
      for (std::size_t r = 0; r < n; ++r) {
        extend(stage + j, base.data() + r * kEntries, beam, paths.data() + r * beam, counts[r]);
      }
    }
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t j = 0; j < length; ++j) {
        const std::uint8_t code = paths[r * beam].codes[j];
        codes[r * levels_ + stage + j] = code;
        subtract(codebooks + ((stage + j) * kEntries + code) * dim_, rows + r * dim_, dim_);
      }
    }
  }
}

// ---- What was learned

RqBooks::RqBooks(std::size_t dim, std::size_t levels, std::vector<float> mean,
                 std::vector<float> codebooks, std::vector<float> norms,
                 std::vector<float> gains)
    : dim_(dim),
      levels_(levels),
      mean_(std::move(mean)),
      codebooks_(std::move(codebooks)),
      norms_(std::move(norms)),
      gains_(std::move(gains)),
      columns_(Buffer::allocate(codebooks_.size() * sizeof(float))) {
  auto* columns = reinterpret_cast<float*>(columns_.mutable_data());
  for (std::size_t level = 0; level < levels; ++level) {
    const std::size_t from = level * kEntries * dim;
    for (std::size_t k = 0; k < kEntries; ++k) {
      for (std::size_t d = 0; d < dim; ++d) {
        columns[from + d * kEntries + k] = codebooks_[from + k * dim + d];
      }
    }
  }
}

const RqEncoder& RqBooks::encoder() const {
  std::call_once(once_, [&] {
    RunOptions alone;
    alone.threads = 1;  // whoever encodes said how many threads there are to be
    auto made = std::make_unique<RqEncoder>(dim_, levels_);
    for (std::size_t level = 0; level < levels_; ++level) {
      made->set_level(level, codebooks_.data(), alone);
    }
    encoder_ = std::move(made);
  });
  return *encoder_;
}

// ---- The codec

RqCodec::RqCodec(const CodecSpec& spec, Metric metric, std::shared_ptr<const RqBooks> books)
    : Codec(spec, books->dim(), metric, spec.parts + std::size_t{1}),
      books_(std::move(books)) {}

std::vector<Learned> RqCodec::learned() const {
  return {{"mean", books_->mean()},
          {"codebooks", books_->codebooks()},
          {"norms", books_->norms()},
          {"gains", books_->gains()}};
}

std::shared_ptr<const Codec> RqCodec::for_metric(Metric other) const {
  return std::make_shared<RqCodec>(spec(), other, books_);
}

void RqCodec::encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
                     std::size_t /*first_row*/) const {
  const RqEncoder& encoder = books_->encoder();
  const std::size_t levels = books_->levels(), most = std::min(n, kRowsAtOnce);
  std::vector<float> left(most * dim());
  std::vector<std::uint8_t> codes(most * levels);
  for (std::size_t begin = 0; begin < n; begin += kRowsAtOnce) {
    const std::size_t count = std::min(kRowsAtOnce, n - begin);
    for (std::size_t r = 0; r < count; ++r) {
      std::memcpy(left.data() + r * dim(), rows + (begin + r) * in_stride, dim() * sizeof(float));
      subtract(books_->mean().data(), left.data() + r * dim(), dim());
    }
    encoder.encode(books_->codebooks().data(), beam_of(spec()), left.data(), count, codes.data());
    for (std::size_t r = 0; r < count; ++r) {
      std::byte* row = out + (begin + r) * stride();
      std::memset(row, 0, stride());
      std::memcpy(row, codes.data() + r * levels, levels);
      const Lengths found = lengths_of(rows + (begin + r) * in_stride, books_->mean().data(),
                                       left.data() + r * dim(), dim());
      row[levels] = static_cast<std::byte>(metric() == Metric::kL2
                                               ? nearest_value(books_->norms(), found.norm)
                                               : nearest_value(books_->gains(), found.gain));
    }
  }
}

void RqCodec::decode(const std::byte* rows, std::size_t n, float* out,
                     std::size_t out_stride) const {
  for (std::size_t r = 0; r < n; ++r) {
    const std::byte* row = rows + r * stride();
    float* to = out + r * out_stride;
    std::memcpy(to, books_->mean().data(), dim() * sizeof(float));
    for (std::size_t level = 0; level < books_->levels(); ++level) {
      const float* centroid = books_->codebooks().data() +
                              (level * kEntries + static_cast<std::size_t>(row[level])) * dim();
      for (std::size_t d = 0; d < dim(); ++d) to[d] += centroid[d];
    }
    if (metric() == Metric::kL2) continue;
    const float gain = books_->gains()[static_cast<std::size_t>(row[books_->levels()])];
    for (std::size_t d = 0; d < dim(); ++d) to[d] *= gain;
  }
}

void RqCodec::prepare(const float* query, Precision, Query& out) const {
  const kernels::AdcKernels& adc = *kernels::active().adc;
  const bool l2 = metric() == Metric::kL2;
  const std::size_t levels = books_->levels();
  float* tables = out.values().get(bytes() * kEntries + dim());
  float* q = tables + bytes() * kEntries;
  // ||q - mean||^2 - 2 <q - mean, y - mean> + norm, or gain * (-<q, mean> - <q, y - mean>).
  double bias = 0;
  for (std::size_t d = 0; d < dim(); ++d) {
    const float centred = query[d] - books_->mean()[d];
    bias += l2 ? double{centred} * centred : -double{query[d]} * books_->mean()[d];
    q[d] = l2 ? 2 * centred : query[d];
  }
  for (std::size_t level = 0; level < levels; ++level) {
    adc.table[static_cast<std::size_t>(Rank::kIp)](q, books_->columns(level), dim(), kEntries,
                                                   tables + level * kEntries);
  }
  if (l2) {
    std::memcpy(tables + levels * kEntries, books_->norms().data(), kEntries * sizeof(float));
  }
  const auto* state = new (out.state().get(sizeof(AdcQuery)))
      AdcQuery{tables, static_cast<float>(bias), l2 ? 0.0f : -kInfinity,
               l2 ? nullptr : books_->gains().data(), levels};
  out.use(state, adc.ids, adc.block, stride(), levels + (l2 ? 1 : 0));
}

// ---- What the factories call

std::vector<std::pair<std::string, std::size_t>> learns_rq(const CodecSpec& spec,
                                                           std::size_t dim) {
  check_spec(spec);
  return {{"mean", dim},
          {"codebooks", spec.parts * kEntries * dim},
          {"norms", kEntries},
          {"gains", kEntries}};
}

std::shared_ptr<const Codec> restore_rq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                        std::vector<Learned> learned) {
  check_learned(learned, learns_rq(spec, dim), "rq");
  for (std::size_t i = 2; i < 4; ++i) {
    const std::vector<float>& values = learned[i].values;
    if (std::is_sorted(values.begin(), values.end()) && values[0] >= 0) continue;
    throw ArgumentError("learned array \"" + learned[i].name +
                        "\" of an rq codec does not ascend from 0 or more, as lengths do");
  }
  return std::make_shared<RqCodec>(
      spec, metric,
      std::make_shared<const RqBooks>(dim, spec.parts, std::move(learned[0].values),
                                      std::move(learned[1].values), std::move(learned[2].values),
                                      std::move(learned[3].values)));
}

std::shared_ptr<const Codec> train_rq(const CodecSpec& spec, std::size_t dim, Metric metric,
                                      MatrixView<const float> sample, const RunOptions& run) {
  constexpr std::size_t kRounds = 4;  // of fitting codebooks to codes and codes to codebooks
  check_spec(spec);
  check_sample(sample, dim, kEntries, "residual quantization");
  const std::size_t rounds = (spec.variant & kRqPlain) != 0 ? 0 : kRounds;
  // A round takes about as long as learning half of the levels.
  const std::size_t fit = (spec.parts + 1) / 2, steps = spec.parts + rounds * fit + 1;
  Training t(spec, sample);
  learn_levels(t, spec.seed, run, steps);
  for (std::size_t round = 0; round < rounds; ++round) {
    const RunOptions step = step_of(run, spec.parts + round * fit, steps, sample.rows());
    fit_codebooks(t, step);
    encode_sample(t, step);
  }
  auto lengths = learn_lengths(t, spec.seed, step_of(run, steps - 1, steps, sample.rows()));
  return restore_rq(spec, dim, metric,
                    {{"mean", std::move(t.mean)},
                     {"codebooks", std::move(t.codebooks)},
                     {"norms", std::move(lengths.first)},
                     {"gains", std::move(lengths.second)}});
}

}  // namespace vicinal::quantizers
