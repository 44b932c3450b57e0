#include "clustering/start.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "base/parallel.h"
#include "base/random.h"
#include "base/rows_reader.h"
#include "clustering/streams.h"
#include "kernels/matrix.h"
#include "kernels/table.h"

namespace vicinal::clustering {
namespace {

constexpr std::size_t kFewestSampled = 32768;
constexpr std::size_t kSampledPerCluster = 8;
constexpr std::size_t kBatchPart = 8;     // a batch is at most this part of the seeds before it
constexpr std::size_t kPiece = 512;       // rows
constexpr std::size_t kFewSeeds = 2;      // fewer are compared one by one, without a panel

/// The rows that seeds are drawn from, and how far each is from the seeds so far.
class Field {
 public:
  Field(const Rows& rows, const std::vector<std::uint32_t>& sample, bool spherical,
        const RunOptions& run, Watch watch)
      : dim_(rows.dim()),
        watch_(watch),
        count_(sample.empty() ? rows.count() : sample.size()),
        distances_(count_, std::numeric_limits<float>::infinity()),
        lengths_(count_),
        sums_(count_ + 1, 0.0) {
    quiet_.threads = run.threads;
    copy_.resize(count_ * dim_);
    const Rows chosen(rows, sample.data(), sample.size());
    const Rows& from = sample.empty() ? rows : chosen;
    // Distances are made of products: far from zero, floats would lose them.
    std::vector<float> origin(dim_);
    if (!spherical) std::copy_n(from.read(0, 1, origin.data()), dim_, origin.data());
    parallel_for(count_, kPiece, quiet_, [&](std::size_t begin, std::size_t end, unsigned) {
      float* to = copy_.data() + begin * dim_;
      const float* read = from.read(begin, end, to);
      if (spherical) {
        if (read != to) std::copy_n(read, (end - begin) * dim_, to);
        normalize_rows(to, end - begin, dim_, dim_);
      } else {
        for (std::size_t i = 0; i < end - begin; ++i) {
          for (std::size_t d = 0; d < dim_; ++d) to[i * dim_ + d] = read[i * dim_ + d] - origin[d];
        }
      }
      for (std::size_t i = begin; i < end; ++i) {
        lengths_[i] = static_cast<float>(squared_length(row(i), dim_));
        // A zero row has no direction and would be no centroid of a sphere.
        if (spherical && !(lengths_[i] > 0.0f)) distances_[i] = 0.0f;
      }
    });
  }

  std::size_t count() const noexcept { return count_; }
  const float* row(std::size_t i) const noexcept { return copy_.data() + i * dim_; }

  /// Up to `most` rows, each as likely as it is far from the seeds so far.
  std::vector<std::uint32_t> draw_far(std::size_t most, std::uint64_t seed,
                                      std::uint64_t& counter) {
    for (std::size_t i = 0; i < count_; ++i) {
      sums_[i + 1] = sums_[i] + static_cast<double>(distances_[i]);
    }
    std::vector<std::uint32_t> drawn;
    const double total = sums_.back();
    if (!(total > 0.0)) return drawn;
    for (std::size_t i = 0; i < most; ++i) {
      const double target = total * random_unit(seed, kSeedStream, counter++);
      // The first place whose sum reaches the target: its row has a part of its own in the sum.
      const auto at = std::lower_bound(sums_.begin() + 1, sums_.end(), target);
      const auto row =
          static_cast<std::uint32_t>(std::min<std::ptrdiff_t>(
              at - sums_.begin() - 1, static_cast<std::ptrdiff_t>(count_) - 1));
      if (distances_[row] == 0.0f) continue;  // drawn a moment ago
      distances_[row] = 0.0f;
      drawn.push_back(row);
    }
    return drawn;
  }

  void take(std::uint32_t row) { distances_[row] = 0.0f; }

  /// These are seeds now.
  void approach(const std::vector<std::uint32_t>& seeds) {
    if (seeds.size() < kFewSeeds) {
      for (const std::uint32_t seed : seeds) approach_one(seed);
    } else {
      const std::size_t width = kernels::active().tile->queries;
      for (std::size_t first = 0; first < seeds.size(); first += width) {
        approach_panel(seeds.data() + first, std::min(width, seeds.size() - first));
      }
    }
  }

 private:
  void approach_one(std::uint32_t seed) {
    parallel_for(count_, kPiece, quiet_, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t i = begin; i < end; ++i) {
        const double d = lengths_[i] + static_cast<double>(lengths_[seed]) -
                         2.0 * dot(row(i), row(seed), dim_);
        lower(i, static_cast<float>(std::max(0.0, d)));
      }
    });
    report();
  }

  void approach_panel(const std::uint32_t* seeds, std::size_t n) {
    const kernels::TileKernel& tile = *kernels::active().tile;
    const std::size_t width = tile.queries;
    std::vector<float> dense(n * dim_);
    std::vector<float> panel(width * dim_);
    for (std::size_t s = 0; s < n; ++s) std::copy_n(row(seeds[s]), dim_, dense.data() + s * dim_);
    tile.pack(dense.data(), dim_, n, dim_, panel.data());
    parallel_for(count_, kPiece, quiet_, [&](std::size_t begin, std::size_t end, unsigned) {
      std::vector<float> products((end - begin) * width);
      kernels::active().matrix->products(panel.data(), row(begin), dim_, end - begin, dim_,
                                         products.data());
      for (std::size_t i = begin; i < end; ++i) {
        const float* product = products.data() + (i - begin) * width;
        float least = distances_[i];
        for (std::size_t s = 0; s < n; ++s) {
          const float d = lengths_[i] + lengths_[seeds[s]] - 2.0f * product[s];
          least = std::min(least, d);
        }
        lower(i, std::max(0.0f, least));
      }
    });
    report();
  }

  void lower(std::size_t i, float distance) {
    distances_[i] = std::min(distances_[i], distance);
  }

  void report() {
    if (watch_.ticker != nullptr) watch_.ticker->poll();
  }

  std::size_t dim_;
  RunOptions quiet_;
  Watch watch_;
  std::size_t count_;
  std::vector<float> copy_;
  std::vector<float> distances_;
  std::vector<float> lengths_;
  std::vector<double> sums_;
};

/// Rows of the sample, as far from one another as chance has it.
std::vector<std::uint32_t> plus_plus(Field& field, std::size_t clusters, std::uint64_t seed,
                                     Watch watch) {
  std::vector<std::uint32_t> seeds;
  std::vector<bool> taken(field.count(), false);
  std::uint64_t counter = 0;
  std::vector<std::uint32_t> batch{
      static_cast<std::uint32_t>(random_below(field.count(), seed, kSeedStream, counter++))};
  field.take(batch[0]);
  while (!batch.empty()) {
    for (const std::uint32_t row : batch) taken[row] = true;
    seeds.insert(seeds.end(), batch.begin(), batch.end());
    if (watch.done != nullptr) watch.done->fetch_add(batch.size());
    if (seeds.size() == clusters) return seeds;
    field.approach(batch);
    const std::size_t most = std::max<std::size_t>(1, seeds.size() / kBatchPart);
    batch = field.draw_far(std::min(most, clusters - seeds.size()), seed, counter);
  }
  // Every row equals a seed: any others will do.
  for (const std::uint32_t row : draw(field.count(), field.count(), seed, kSeedStream)) {
    if (seeds.size() == clusters) break;
    if (!taken[row]) seeds.push_back(row);
  }
  return seeds;
}

}  // namespace

std::vector<std::uint32_t> draw(std::size_t n, std::size_t count, std::uint64_t seed,
                                std::uint64_t stream) {
  std::vector<std::uint32_t> drawn;
  drawn.reserve(count);
  std::unordered_set<std::uint32_t> seen;
  for (std::size_t j = n - count; j < n; ++j) {
    auto pick = static_cast<std::uint32_t>(random_below(j + 1, seed, stream, j));
    if (!seen.insert(pick).second) {
      pick = static_cast<std::uint32_t>(j);
      seen.insert(pick);
    }
    drawn.push_back(pick);
  }
  return drawn;
}

std::size_t start_rows(std::size_t rows, std::size_t clusters) {
  return std::min(rows, std::max(kFewestSampled, kSampledPerCluster * clusters));
}

std::vector<float> start(const Rows& rows, std::size_t clusters, Metric metric, KMeansStart how,
                         std::uint64_t seed, const RunOptions& run, Watch watch) {
  const std::size_t dim = rows.dim();
  std::vector<std::uint32_t> chosen;
  if (how == KMeansStart::kRandom) {
    chosen = draw(rows.count(), clusters, seed, kSampleStream);
  } else {
    std::vector<std::uint32_t> sample;  // empty: all of them
    const std::size_t count = start_rows(rows.count(), clusters);
    if (count < rows.count()) {
      sample = draw(rows.count(), count, seed, kSampleStream);
      std::sort(sample.begin(), sample.end());
    }
    Field field(rows, sample, metric != Metric::kL2, run, watch);
    chosen = plus_plus(field, clusters, seed, watch);
    for (std::uint32_t& row : chosen) {
      if (!sample.empty()) row = sample[row];
    }
  }
  std::vector<float> out(clusters * dim);
  for (std::size_t c = 0; c < clusters; ++c) {
    float* to = out.data() + c * dim;
    const float* from = rows.read(chosen[c], std::size_t{chosen[c]} + 1, to);
    if (from != to) std::copy_n(from, dim, to);
  }
  return out;
}

}  // namespace vicinal::clustering
