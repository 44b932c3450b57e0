#include "clustering/prune.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "base/random.h"
#include "clustering/streams.h"
#include "kernels/table.h"

namespace vicinal::clustering {
namespace {

using kernels::kMaxTileQueries;

constexpr std::size_t kFewestClusters = 256;
constexpr std::size_t kFewestDims = 64;
constexpr std::size_t kFewestRows = 8192;
constexpr std::size_t kTrialRows = 1024;
constexpr std::size_t kMostLearned = 4096;  // centroids
constexpr int kSweeps = 4;                  // of subspace iteration
constexpr std::size_t kBlock = 512;         // centroids between two tightenings
constexpr std::size_t kTogether = 8;        // compared in full at a time
constexpr std::size_t kProjected = 1024;    // rows per piece

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

std::size_t head_width(std::size_t dim) {
  return std::max<std::size_t>(32, round_up(dim / 6, 16));
}

std::vector<float> transposed(const std::vector<float>& from, std::size_t rows,
                              std::size_t cols) {
  std::vector<float> out(from.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) out[c * rows + r] = from[r * cols + c];
  }
  return out;
}

/// Makes the rows orthonormal, in order; one that depends on those before it becomes zero.
void orthonormalize(std::vector<float>& rows, std::size_t count, std::size_t dim) {
  std::vector<double> done(count * dim);
  for (std::size_t i = 0; i < count; ++i) {
    double* x = done.data() + i * dim;
    double before = 0.0;
    for (std::size_t d = 0; d < dim; ++d) {
      x[d] = rows[i * dim + d];
      before += x[d] * x[d];
    }
    for (int twice = 0; twice < 2; ++twice) {  // once leaves what rounding brings back
      for (std::size_t j = 0; j < i; ++j) {
        const double* y = done.data() + j * dim;
        double product = 0.0;
        for (std::size_t d = 0; d < dim; ++d) product += x[d] * y[d];
        for (std::size_t d = 0; d < dim; ++d) x[d] -= product * y[d];
      }
    }
    double after = 0.0;
    for (std::size_t d = 0; d < dim; ++d) after += x[d] * x[d];
    const double scale = after > 1e-10 * before ? 1.0 / std::sqrt(after) : 0.0;
    for (std::size_t d = 0; d < dim; ++d) {
      x[d] *= scale;
      rows[i * dim + d] = static_cast<float>(x[d]);
    }
  }
}

/// Of |<x, y> computed - exact| / (|x| |y|) with either side projected first: a sum of dim products
/// is off by at most dim u |x| |y|, each of h coordinates of a head likewise, the lengths of both
/// heads by sqrt(h) times that, and h is at most 256 for 1536 dimensions.
double rounding(std::size_t dim) { return 12.0 * static_cast<double>(dim + 16) * 0x1p-24; }

}  // namespace

std::unique_ptr<Pruner> Pruner::make(const Rows& rows, const Centroids& centroids,
                                     const std::vector<std::uint32_t>& labels,
                                     const RunOptions& run) {
  const std::size_t n = rows.count();
  if (centroids.count() < kFewestClusters || rows.dim() < kFewestDims || n < kFewestRows) {
    return nullptr;
  }
  std::unique_ptr<Pruner> made(new Pruner(centroids));
  if (!made->pays(rows, centroids, labels)) return nullptr;
  made->heads_ = Buffer::allocate(n * made->width_ * sizeof(float));
  made->lengths_.resize(n);
  auto* heads = reinterpret_cast<float*>(made->heads_.mutable_data());
  parallel_for(n, kProjected, run, [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<float> room(rows.plain() != nullptr ? 0 : (end - begin) * rows.dim());
    const float* from = rows.read(begin, end, room.data());
    made->project(from, end - begin, heads + begin * made->width_, made->lengths_.data() + begin);
  });
  return made;
}

Pruner::Pruner(const Centroids& centroids)
    : dim_(centroids.dim()),
      width_(head_width(centroids.dim())),
      l2_(centroids.l2()),
      origin_(centroids.dim(), 0.0f) {
  learn(centroids);
  prepare(centroids);
}

void Pruner::learn(const Centroids& centroids) {
  const std::size_t count = centroids.count();
  if (l2_) {
    std::vector<double> mean(dim_, 0.0);
    for (std::size_t c = 0; c < count; ++c) {
      for (std::size_t d = 0; d < dim_; ++d) mean[d] += centroids.row(c)[d];
    }
    for (std::size_t d = 0; d < dim_; ++d) {
      origin_[d] = static_cast<float>(mean[d] / static_cast<double>(count));
    }
    origin_length_ = std::sqrt(squared_length(origin_.data(), dim_));
  }
  const std::size_t used = std::min(count, kMostLearned);
  std::vector<float> points(used * dim_);
  for (std::size_t i = 0; i < used; ++i) {
    const float* x = centroids.row(i * count / used);
    for (std::size_t d = 0; d < dim_; ++d) points[i * dim_ + d] = x[d] - origin_[d];
  }
  const std::vector<float> columns = transposed(points, used, dim_);
  const std::size_t directions = width_ - 1;
  basis_.resize(directions * dim_);
  for (std::size_t i = 0; i < basis_.size(); ++i) {
    basis_[i] = static_cast<float>(random_unit(0, kBasisStream, i) - 0.5);
  }
  orthonormalize(basis_, directions, dim_);
  std::vector<float> along(used * directions);
  std::vector<float> next(dim_ * directions);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    inner_products(points.data(), used, basis_.data(), directions, dim_, along.data(), directions);
    const std::vector<float> weights = transposed(along, used, directions);
    inner_products(columns.data(), dim_, weights.data(), directions, used, next.data(),
                   directions);
    basis_ = transposed(next, dim_, directions);
    orthonormalize(basis_, directions, dim_);
  }
  shift_.resize(directions);
  for (std::size_t j = 0; j < directions; ++j) {
    shift_[j] = static_cast<float>(dot(origin_.data(), basis_.data() + j * dim_, dim_));
  }
}

void Pruner::project(const float* rows, std::size_t n, float* heads, float* lengths) const {
  const std::size_t directions = width_ - 1;
  inner_products(rows, n, basis_.data(), directions, dim_, heads, width_);
  std::vector<float> centred(dim_);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t d = 0; d < dim_; ++d) centred[d] = rows[i * dim_ + d] - origin_[d];
    const double whole = squared_length(centred.data(), dim_);
    float* head = heads + i * width_;
    double told = 0.0;
    for (std::size_t j = 0; j < directions; ++j) {
      head[j] -= shift_[j];
      told += static_cast<double>(head[j]) * head[j];
    }
    head[directions] = static_cast<float>(std::sqrt(std::max(0.0, whole - told)));
    lengths[i] = static_cast<float>(whole);
  }
}

void Pruner::prepare(const Centroids& centroids) {
  const std::size_t count = centroids.count();
  if (centroid_heads_.size() == 0) {
    centroid_heads_ = Buffer::allocate(count * width_ * sizeof(float));
    bias_.resize(count);
  }
  std::vector<float> dense(count * dim_);
  centroids.write(dense.data());
  auto* heads = reinterpret_cast<float*>(centroid_heads_.mutable_data());
  project(dense.data(), count, heads, bias_.data());
  float most = 0.0f;
  for (float& bias : bias_) {
    most = std::max(most, bias);
    bias = l2_ ? bias / 2.0f : 0.0f;
  }
  reach_ = std::sqrt(static_cast<double>(most));
}

void Pruner::nearest(const float* rows, std::size_t begin, std::size_t end,
                     const Centroids& centroids, const std::uint32_t* before,
                     std::uint32_t* labels, Scratch& scratch) const {
  const auto* heads = reinterpret_cast<const float*>(heads_.data());
  compare(rows, heads + begin * width_, lengths_.data() + begin, end - begin, centroids, before,
          labels, scratch);
}

std::uint64_t Pruner::compare(const float* rows, const float* heads, const float* lengths,
                              std::size_t n, const Centroids& centroids,
                              const std::uint32_t* before, std::uint32_t* labels,
                              Scratch& scratch) const {
  const kernels::TileKernel& tile = *kernels::active().tile;
  const auto rank = static_cast<std::size_t>(l2_ ? kernels::Rank::kL2 : kernels::Rank::kIp);
  const kernels::ScoreIds score = kernels::active().row(kernels::RowType::kF32).ids[rank];
  const auto* centroid_rows = reinterpret_cast<const std::byte*>(centroids.row(0));
  const std::size_t row_bytes = centroids.stride() * sizeof(float);
  const std::size_t panel_rows = tile.queries;
  const auto* centroid_heads = reinterpret_cast<const float*>(centroid_heads_.data());
  scratch.panels.resize(std::max(scratch.panels.size(), panel_rows * width_));
  scratch.scores.resize(std::max(scratch.scores.size(), panel_rows * kBlock));
  scratch.ids.resize(std::max(scratch.ids.size(), panel_rows * kBlock));
  const std::size_t padded = round_up(dim_, 16);
  scratch.row.assign(panel_rows * padded, 0.0f);

  kernels::TileTop top{};
  float best[kMaxTileQueries];
  float margin[kMaxTileQueries];
  // What the kernel of full distances gives, as a score like those of the heads.
  const auto as_score = [this](float value, float length) {
    return l2_ ? (value - length) / 2.0f : value;
  };
  std::uint64_t compared = 0;
  for (std::size_t first = 0; first < n; first += panel_rows) {
    const std::size_t live = std::min(panel_rows, n - first);
    tile.pack(heads + first * width_, width_, live, width_, scratch.panels.data());
    for (std::size_t q = 0; q < panel_rows; ++q) {
      top.count[q] = 0;
      top.scores[q] = scratch.scores.data() + q * kBlock;
      top.ids[q] = scratch.ids.data() + q * kBlock;
      top.threshold[q] = -std::numeric_limits<float>::infinity();
      if (q >= live) continue;
      float* row = scratch.row.data() + q * padded;
      std::memcpy(row, rows + (first + q) * dim_, dim_ * sizeof(float));
      labels[first + q] = before[first + q];
      score(row, centroid_rows, row_bytes, before + first + q, 1, dim_, 0, best + q);
      const float length = lengths[first + q];
      const double side = std::sqrt(static_cast<double>(length)) + origin_length_ + reach_;
      margin[q] = static_cast<float>(rounding(dim_) * side * side) +
                  std::numeric_limits<float>::min();
      top.threshold[q] = as_score(best[q], length) + margin[q];
    }
    compared += live;
    for (std::size_t c = 0; c < centroids.count(); c += kBlock) {
      const std::size_t count = std::min(kBlock, centroids.count() - c);
      tile.score(scratch.panels.data(), centroid_heads + c * width_, width_, count, width_,
                 bias_.data() + c, static_cast<std::uint32_t>(c), &top);
      for (std::size_t q = 0; q < live; ++q) {
        std::uint32_t& label = labels[first + q];
        const std::uint32_t bounds = top.count[q];
        for (std::uint32_t i = 0; i < bounds;) {
          std::uint32_t chosen[kTogether];
          float values[kTogether];
          std::size_t together = 0;
          for (; i < bounds && together < kTogether; ++i) {
            if (top.scores[q][i] < top.threshold[q] && top.ids[q][i] != label) {
              chosen[together++] = top.ids[q][i];
            }
          }
          if (together == 0) break;
          score(scratch.row.data() + q * padded, centroid_rows, row_bytes, chosen, together, dim_,
                4, values);
          compared += together;
          for (std::size_t j = 0; j < together; ++j) {
            if (values[j] < best[q] || (values[j] == best[q] && chosen[j] < label)) {
              best[q] = values[j];
              label = chosen[j];
            }
          }
          top.threshold[q] = as_score(best[q], lengths[first + q]) + margin[q];
        }
        top.count[q] = 0;
      }
    }
  }
  return compared;
}

bool Pruner::pays(const Rows& rows, const Centroids& centroids,
                  const std::vector<std::uint32_t>& labels) const {
  const std::size_t n = std::min(kTrialRows, rows.count());
  std::vector<float> dense(n * dim_);
  std::vector<std::uint32_t> before(n);
  std::vector<std::uint32_t> after(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t row = i * rows.count() / n;
    const float* from = rows.read(row, row + 1, dense.data() + i * dim_);
    if (rows.plain() != nullptr) std::copy_n(from, dim_, dense.data() + i * dim_);
    before[i] = labels[row];
  }
  std::vector<float> heads(n * width_);
  std::vector<float> lengths(n);
  project(dense.data(), n, heads.data(), lengths.data());
  Scratch scratch;
  const std::uint64_t compared = compare(dense.data(), heads.data(), lengths.data(), n, centroids,
                                         before.data(), after.data(), scratch);
  // A row compared by itself costs some five times as much per dimension as one in a product.
  const double full = 5.0 * static_cast<double>(compared) / static_cast<double>(n) *
                      static_cast<double>(dim_);
  const auto bounds = static_cast<double>(centroids.count() * width_);
  return full + bounds < 0.8 * static_cast<double>(centroids.count() * dim_);
}

}  // namespace vicinal::clustering
