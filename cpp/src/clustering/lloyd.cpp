#include "clustering/lloyd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>

#include "base/random.h"
#include "clustering/prune.h"
#include "clustering/streams.h"
#include "kernels/table.h"

namespace vicinal::clustering {
namespace {

constexpr std::size_t kPlainBlockBytes = std::size_t{64} << 20;
constexpr std::size_t kCopiedBlockBytes = std::size_t{16} << 20;
constexpr std::size_t kPieceFlops = std::size_t{1} << 22;
constexpr std::size_t kSlice = 64;  // dimensions of the sums that one thread adds to at a time
constexpr std::size_t kSquaresBlock = 4096;  // rows

/// Rows per piece: some tenths of a millisecond of work, whole panels. Not by threads, so that
/// every partial sum covers the same rows for any number of them.
std::size_t grain(std::size_t clusters, std::size_t dim) {
  const std::size_t width = kernels::active().tile->queries;
  const std::size_t panels = kPieceFlops / (clusters * dim * width + 1);
  return std::clamp<std::size_t>(panels, 4, 64) * width;
}

std::size_t block(const Rows& rows, std::size_t grain) {
  const std::size_t bytes = rows.plain() != nullptr ? kPlainBlockBytes : kCopiedBlockBytes;
  const std::size_t fits = bytes / (rows.dim() * sizeof(float)) / grain * grain;
  return std::min(std::max(fits, grain), std::max<std::size_t>(rows.count(), 1));
}

}  // namespace

Lloyd::Lloyd(const Rows& rows, std::size_t clusters, Metric metric, const RunOptions& run,
             Watch watch)
    : rows_(rows),
      run_(run),
      watch_(watch),
      grain_(grain(clusters, rows.dim())),
      block_(block(rows, grain_)),
      centroids_(clusters, rows.dim(), metric),
      labels_(rows.count(), kNoRow),
      sizes_(clusters, 0),
      sums_(clusters * rows.dim(), 0.0),
      fresh_(block_),
      scratch_(workers(run)) {
  quiet_.threads = run.threads;
  if (rows.plain() == nullptr) {
    copy_ = Buffer::allocate(block_ * rows.dim() * sizeof(float));
  }
  if (metric == Metric::kL2) squares();
}

Lloyd::~Lloyd() = default;

void Lloyd::squares() {
  const std::size_t n = rows_.count();
  const std::size_t dim = rows_.dim();
  std::vector<double> parts((n + kSquaresBlock - 1) / kSquaresBlock);
  parallel_for(parts.size(), 1, quiet_, [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<float> row(rows_.plain() != nullptr ? 0 : dim);
    for (std::size_t part = begin; part < end; ++part) {
      double sum = 0.0;
      const std::size_t last = std::min(n, (part + 1) * kSquaresBlock);
      for (std::size_t i = part * kSquaresBlock; i < last; ++i) {
        sum += squared_length(rows_.read(i, i + 1, row.data()), dim);
      }
      parts[part] = sum;
    }
  });
  for (const double part : parts) squares_ += part;
}

std::size_t Lloyd::assign() {
  if (pruner_ != nullptr) {
    pruner_->prepare(centroids_);
    return relabel([this](const float* rows, std::size_t begin, std::size_t end, unsigned worker,
                          std::uint32_t* out) {
      pruner_->nearest(rows, begin, end, centroids_, labels_.data() + begin, out,
                       scratch_[worker]);
    });
  }
  return relabel([this](const float* rows, std::size_t begin, std::size_t end, unsigned worker,
                        std::uint32_t* out) {
    nearest(rows, end - begin, centroids_, scratch_[worker], out, nullptr);
  });
}

std::size_t Lloyd::relabel(const std::vector<std::uint32_t>& labels) {
  return relabel([&labels](const float*, std::size_t begin, std::size_t end, unsigned,
                           std::uint32_t* out) {
    std::copy(labels.begin() + static_cast<std::ptrdiff_t>(begin),
              labels.begin() + static_cast<std::ptrdiff_t>(end), out);
  });
}

std::size_t Lloyd::relabel(const Labeller& label) {
  const std::size_t n = rows_.count();
  const std::size_t dim = rows_.dim();
  auto* copy = reinterpret_cast<float*>(copy_.size() != 0 ? copy_.mutable_data() : nullptr);
  std::size_t changed = 0;
  for (std::size_t first = 0; first < n; first += block_) {
    const std::size_t count = std::min(block_, n - first);
    parallel_for(
        count, grain_, watch_.ticker != nullptr ? run_ : quiet_,
        [&](std::size_t begin, std::size_t end, unsigned worker) {
          float* room = copy != nullptr ? copy + begin * dim : nullptr;
          const float* rows = rows_.read(first + begin, first + end, room);
          label(rows, first + begin, first + end, worker, fresh_.data() + begin);
          if (watch_.done != nullptr) watch_.done->fetch_add(end - begin);
        },
        watch_.ticker);
    moved_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      if (fresh_[i] != labels_[first + i]) moved_.push_back(static_cast<std::uint32_t>(i));
    }
    changed += moved_.size();
    add_moved(copy != nullptr ? copy : rows_.plain() + first * dim, first);
  }
  return changed;
}

void Lloyd::add_moved(const float* block, std::size_t first) {
  const std::size_t dim = rows_.dim();
  parallel_for(dim, kSlice, quiet_, [&](std::size_t from, std::size_t to, unsigned) {
    const std::size_t width = to - from;
    for (const std::uint32_t i : moved_) {
      const float* x = block + i * dim + from;
      const std::uint32_t before = labels_[first + i];
      if (before != kNoRow) {
        double* sum = sums_.data() + before * dim + from;
        for (std::size_t d = 0; d < width; ++d) sum[d] -= static_cast<double>(x[d]);
      }
      double* sum = sums_.data() + fresh_[i] * dim + from;
      for (std::size_t d = 0; d < width; ++d) sum[d] += static_cast<double>(x[d]);
    }
  });
  for (const std::uint32_t i : moved_) {
    std::uint32_t& label = labels_[first + i];
    if (label != kNoRow) --sizes_[label];
    label = fresh_[i];
    ++sizes_[label];
  }
}

void Lloyd::move() {
  const std::size_t dim = rows_.dim();
  for (std::size_t c = 0; c < sizes_.size(); ++c) {
    if (sizes_[c] == 0) continue;
    const double* sum = sums_.data() + c * dim;
    double scale = 1.0 / static_cast<double>(sizes_[c]);
    if (!centroids_.l2()) {
      // The mean of unit rows may be short; as a direction it must not lose digits in float.
      double squared = 0.0;
      for (std::size_t d = 0; d < dim; ++d) squared += sum[d] * sum[d];
      if (!(squared > 0.0)) continue;  // rows that cancel out point nowhere
      scale = 1.0 / std::sqrt(squared);
    }
    float* x = centroids_.mutable_row(c);
    for (std::size_t d = 0; d < dim; ++d) x[d] = static_cast<float>(sum[d] * scale);
  }
}

bool Lloyd::any_empty() const {
  return std::find(sizes_.begin(), sizes_.end(), 0u) != sizes_.end();
}

void Lloyd::repair(std::uint64_t seed, std::uint64_t round) {
  using Cluster = std::pair<std::uint64_t, std::size_t>;  // size, number
  const auto smaller = [](const Cluster& a, const Cluster& b) {
    return a.first < b.first || (a.first == b.first && a.second > b.second);
  };
  std::priority_queue<Cluster, std::vector<Cluster>, decltype(smaller)> largest(smaller);
  std::vector<std::size_t> empty;
  for (std::size_t c = 0; c < sizes_.size(); ++c) {
    if (sizes_[c] == 0) {
      empty.push_back(c);
    } else {
      largest.emplace(sizes_[c], c);
    }
  }
  if (empty.empty()) return;
  // Rows in order of their clusters.
  std::vector<std::uint64_t> begin(sizes_.size() + 1, 0);
  for (std::size_t c = 0; c < sizes_.size(); ++c) begin[c + 1] = begin[c] + sizes_[c];
  std::vector<std::uint64_t> next(begin.begin(), begin.end() - 1);
  std::vector<std::uint32_t> members(rows_.count());
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    members[next[labels_[i]]++] = static_cast<std::uint32_t>(i);
  }
  std::vector<std::size_t> origin(sizes_.size());  // whose rows a cluster is split off from
  std::iota(origin.begin(), origin.end(), std::size_t{0});
  const std::size_t dim = rows_.dim();
  std::vector<float> room(dim);
  for (const std::size_t c : empty) {
    const auto [size, from] = largest.top();
    if (size < 2) return;
    largest.pop();
    origin[c] = origin[from];
    const std::uint64_t pick =
        random_below(sizes_[origin[c]], seed, kRepairStream, round * sizes_.size() + c);
    const std::uint32_t member = members[begin[origin[c]] + pick];
    const float* x = rows_.read(member, std::size_t{member} + 1, room.data());
    // A short step towards the member, and as far back: the border between the two runs through
    // the mean, and other clusters hardly notice.
    constexpr float kStep = 1.0f / 64.0f;
    float* mean = centroids_.mutable_row(from);
    float* other = centroids_.mutable_row(c);
    for (std::size_t d = 0; d < dim; ++d) {
      const float step = kStep * (x[d] - mean[d]);
      other[d] = mean[d] + step;
      mean[d] -= step;
    }
    largest.emplace(size / 2, c);
    largest.emplace(size - size / 2, from);
  }
}

double Lloyd::objective() const {
  const std::size_t dim = rows_.dim();
  const bool l2 = centroids_.l2();
  double total = l2 ? squares_ : 0.0;
  if (centroids_.metric() == Metric::kCosine) total = static_cast<double>(rows_.count());
  for (std::size_t c = 0; c < sizes_.size(); ++c) {
    const float* x = centroids_.row(c);
    const double* sum = sums_.data() + c * dim;
    double product = 0.0;
    double squared = 0.0;
    for (std::size_t d = 0; d < dim; ++d) {
      product += sum[d] * x[d];
      squared += static_cast<double>(x[d]) * x[d];
    }
    total += l2 ? static_cast<double>(sizes_[c]) * squared - 2.0 * product : -product;
  }
  const bool bounded = centroids_.metric() != Metric::kInnerProduct;
  return bounded ? std::max(total, 0.0) : total;
}

void Lloyd::train(const KMeansParams& params, std::uint64_t seed) {
  centroids_.settle();
  double before = std::numeric_limits<double>::infinity();
  converged_ = false;
  for (iterations_ = 0;; ++iterations_) {
    if (iterations_ == 1 && may_prune_) {
      pruner_ = Pruner::make(rows_, centroids_, labels_, quiet_);
    }
    const std::size_t changed = assign();
    const double now = objective();
    const bool little = params.tolerance > 0.0 && iterations_ > 0 && !any_empty() &&
                        before - now <= params.tolerance * std::abs(now);
    converged_ = changed == 0 || little;
    if (converged_ || iterations_ == params.iterations) break;
    before = now;
    move();
    repair(seed, iterations_);
    centroids_.settle();
  }
}

}  // namespace vicinal::clustering
