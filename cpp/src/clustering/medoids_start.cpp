#include "clustering/medoids_start.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/bitmap.h"
#include "base/parallel.h"
#include "base/random.h"

namespace vicinal::clustering {
namespace {

constexpr std::uint64_t kStartStream = 0x6C6162;  // apart from those of the samples
constexpr std::size_t kCandidateGrain = 8;

/// What each row of the sample would lower the loss of the sample by, as a medoid more. known:
/// distance of each of them to its medoid, empty if there is none yet.
std::vector<double> gains(const MedoidPoints& sample, const std::vector<float>& known,
                          const RunOptions& run, Ticker& ticker) {
  std::vector<double> out(sample.size());
  const auto body = [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<float> measured(sample.size());
    for (std::size_t c = begin; c < end; ++c) {
      sample.measure(sample, c, 0, sample.size(), measured.data());
      double sum = 0.0;
      for (std::size_t i = 0; i < measured.size(); ++i) {
        const double d = measured[i];
        sum += known.empty() ? d : std::min(d - known[i], 0.0);
      }
      out[c] = -sum;
    }
  };
  parallel_for(sample.size(), kCandidateGrain, run, body, &ticker);
  return out;
}

}  // namespace

Urn::Urn(std::size_t n) : order_(n), left_(n) { std::iota(order_.begin(), order_.end(), 0u); }

void Urn::leave_out(const std::vector<std::uint32_t>& numbers) {
  Bitmap out(order_.size());
  for (const std::uint32_t number : numbers) out.set(number);
  const auto end = order_.begin() + static_cast<std::ptrdiff_t>(left_);
  const auto kept = std::remove_if(order_.begin(), end, [&](auto i) { return out.test(i); });
  left_ = static_cast<std::size_t>(kept - order_.begin());
}

const std::uint32_t* Urn::draw(std::size_t count, std::uint64_t seed, std::uint64_t stream) {
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(order_[i], order_[i + random_below(left_ - i, seed, stream, i)]);
  }
  return order_.data();
}

std::vector<std::uint32_t> random_start(std::size_t rows, std::size_t count, std::uint64_t seed) {
  Urn urn(rows);
  const std::uint32_t* drawn = urn.draw(count, seed, kStartStream);
  return {drawn, drawn + count};
}

std::vector<std::uint32_t> lab_start(const MedoidPoints& points, std::size_t count,
                                     std::uint64_t seed, const RunOptions& run) {
  const std::size_t rows = points.size();
  const auto most = 10 + static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(rows))));
  Urn urn(rows);
  std::vector<float> known(rows, std::numeric_limits<float>::infinity());
  std::vector<std::uint32_t> medoids;
  Ticker ticker(run, "starting", count);
  std::atomic<std::uint64_t> done{0};
  ticker.follow(done);
  while (medoids.size() < count) {
    const std::size_t some = std::min(most, urn.left());
    const std::uint32_t* drawn = urn.draw(some, seed, kStartStream + medoids.size());
    const std::vector<std::uint32_t> chosen(drawn, drawn + some);
    const MedoidPoints sample = points.pick(chosen);
    std::vector<float> sample_known;
    if (!medoids.empty()) {
      for (const std::uint32_t row : chosen) sample_known.push_back(known[row]);
    }
    const std::vector<double> gain = gains(sample, sample_known, run, ticker);
    std::size_t best = 0;
    for (std::size_t i = 1; i < some; ++i) {
      if (gain[i] > gain[best] || (gain[i] == gain[best] && chosen[i] < chosen[best])) best = i;
    }
    medoids.push_back(chosen[best]);
    urn.take(best);
    const auto body = [&](std::size_t begin, std::size_t end, unsigned) {
      float measured[MedoidPoints::kMostBlock];
      points.measure(sample, best, begin, end - begin, measured);
      for (std::size_t r = begin; r < end; ++r) known[r] = std::min(known[r], measured[r - begin]);
    };
    parallel_for(rows, points.block(), run, body, &ticker);
    done.store(medoids.size(), std::memory_order_relaxed);
  }
  ticker.at(count);
  return medoids;
}

}  // namespace vicinal::clustering
