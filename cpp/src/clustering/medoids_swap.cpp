#include "clustering/medoids_swap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace vicinal::clustering {
namespace {

constexpr float kFar = std::numeric_limits<float>::infinity();
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
// A row that is in the first cache meets so many candidates.
constexpr std::size_t kBatch = 32;
constexpr std::size_t kColumnBytes = std::size_t{64} << 20;
// Fewer rows are weighed in less time than it takes to wake a thread.
constexpr std::size_t kRowsForThreads = 4096;
constexpr std::size_t kUpdateGrain = 1024;
constexpr std::size_t kChanges = std::size_t{1} << 19;  // kept of candidates weighed together

const char* stage_of(std::uint32_t pass) {
  static constexpr const char* kNames[] = {"pass 1", "pass 2", "pass 3", "pass 4", "pass 5",
                                           "pass 6", "pass 7", "pass 8", "pass 9"};
  constexpr std::size_t kNamed = sizeof(kNames) / sizeof(kNames[0]);
  return pass < kNamed ? kNames[pass] : "later passes";
}

std::size_t batch_size(std::size_t rows) {
  return std::clamp<std::size_t>(kColumnBytes / sizeof(float) / rows, 1, kBatch);
}

}  // namespace

double sum_of(const std::vector<float>& distances) {
  double sum = 0.0;
  for (const float d : distances) sum += d;
  return sum;
}

TwoNearest assign_rows(const MedoidPoints& points, const std::vector<std::uint32_t>& medoids,
                       const RunOptions& run, Ticker& ticker, std::atomic<std::uint64_t>* count) {
  const MedoidPoints queries = points.pick(medoids);
  const auto slots = static_cast<std::uint32_t>(medoids.size());
  TwoNearest out(points.size());
  const auto body = [&](std::size_t begin, std::size_t end, unsigned) {
    float measured[MedoidPoints::kMostBlock];
    std::fill(out.slot.begin() + begin, out.slot.begin() + end, kNoRow);
    std::fill(out.second.begin() + begin, out.second.begin() + end, kNoRow);
    std::fill(out.distance.begin() + begin, out.distance.begin() + end, kFar);
    std::fill(out.second_distance.begin() + begin, out.second_distance.begin() + end, kFar);
    const auto before = [&](float d, std::uint32_t slot, float other_d, std::uint32_t other) {
      return d < other_d || other == kNoRow || (d == other_d && medoids[slot] < medoids[other]);
    };
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      points.measure(queries, slot, begin, end - begin, measured);
      for (std::size_t row = begin; row < end; ++row) {
        const float d = measured[row - begin];
        if (!before(d, slot, out.second_distance[row], out.second[row])) continue;
        if (before(d, slot, out.distance[row], out.slot[row])) {
          out.second_distance[row] = std::exchange(out.distance[row], d);
          out.second[row] = std::exchange(out.slot[row], slot);
        } else {
          out.second_distance[row] = d;
          out.second[row] = slot;
        }
      }
    }
    if (count != nullptr) count->fetch_add(end - begin, std::memory_order_relaxed);
  };
  parallel_for(points.size(), points.block(), run, body, &ticker);
  return out;
}

// ---- Columns

Columns::Columns(const MedoidPoints& points, const std::vector<std::uint32_t>& candidates,
                 const RunOptions& run)
    : points_(points),
      candidates_(candidates),
      run_(run),
      batch_(batch_size(points.size())),
      queries_(points.room(batch_)) {
  const std::size_t batches = (candidates.size() + batch_ - 1) / batch_;
  const std::size_t batch_bytes = batch_ * points.size() * sizeof(float);
  const bool all = batches <= kColumnBytes / batch_bytes;
  held_.assign(all ? batches : 1, kNone);
  columns_ = Buffer::allocate(held_.size() * batch_bytes);
}

const float* Columns::at(std::size_t place, Ticker& ticker) {
  const std::size_t rows = points_.size();
  const std::size_t batch = batch_of(place);
  const std::size_t part = batch % held_.size();
  const std::size_t first = batch * batch_;
  auto* const columns = reinterpret_cast<float*>(columns_.mutable_data()) + part * batch_ * rows;
  if (held_[part] != batch) {
    held_[part] = kNone;  // should it be stopped midway
    const std::size_t some = std::min(batch_, candidates_.size() - first);
    for (std::size_t i = 0; i < some; ++i) queries_.put(i, points_, candidates_[first + i]);
    const auto body = [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t i = 0; i < some; ++i) {
        points_.measure(queries_, i, begin, end - begin, columns + i * rows + begin);
      }
    };
    parallel_for(rows, points_.block(), run_, body, &ticker);
    held_[part] = batch;
  }
  return columns + (place - first) * rows;
}

// ---- EagerSwaps

EagerSwaps::EagerSwaps(const MedoidPoints& points, std::vector<std::uint32_t> medoids,
                       TwoNearest nearest, const RunOptions& run)
    : points_(points),
      run_(run),
      medoids_(std::move(medoids)),
      chosen_(points.size()),
      medoid_points_(points.pick(medoids_)),
      nearest_(std::move(nearest)),
      removal_(medoids_.size()) {
  for (const std::uint32_t row : medoids_) chosen_.set(row);
  const std::size_t threads = workers(run);
  for (std::size_t i = 0; i < threads; ++i) one_.push_back(points.room(1));
  to_slots_.assign(threads, std::vector<float>(medoids_.size()));
  if (threads > 1 && points.size() >= kRowsForThreads) {
    least_abreast_ = std::min(threads, kBatch);
    most_abreast_ = std::clamp(kChanges / medoids_.size(), least_abreast_, kBatch);
  }
  changes_.resize(most_abreast_ * medoids_.size());
  tally();
}

bool EagerSwaps::before(const Near& a, const Near& b) const noexcept {
  return a.distance < b.distance || b.slot == kNoRow ||
         (a.distance == b.distance && medoids_[a.slot] < medoids_[b.slot]);
}

void EagerSwaps::tally() {
  const bool several = medoids_.size() > 1;
  double scale = 0.0;
  loss_ = 0.0;
  std::fill(removal_.begin(), removal_.end(), 0.0);
  for (std::size_t row = 0; row < points_.size(); ++row) {
    const double d = nearest_.distance[row];
    loss_ += d;
    scale += std::fabs(d);
    if (!several) continue;
    const double second = nearest_.second_distance[row];
    removal_[nearest_.slot[row]] += second - d;
    scale += std::fabs(second);
  }
  // Sums of n doubles are off by at most n 2^-53 of the sum of their magnitudes, and weigh() adds
  // some 2 n of them to the 2 n here. Whatever gains more than this truly gains, so that no set of
  // medoids comes back.
  least_gain_ = static_cast<double>(points_.size()) * 0x1.0p-51 * scale;
}

/// What the loss changes by if the candidate takes the best slot for it. In one sweep for all
/// slots: a row that comes nearer to the candidate gains whatever slot goes, one that only finds a
/// nearer second makes its own slot easier to give away.
EagerSwaps::Change EagerSwaps::weigh(const float* column, double* changes) const noexcept {
  const std::size_t rows = points_.size();
  const std::size_t slots = medoids_.size();
  const float* const first = nearest_.distance.data();
  const float* const second = nearest_.second_distance.data();
  const std::uint32_t* const slot = nearest_.slot.data();
  double shared = 0.0;
  if (slots == 1) {
    for (std::size_t row = 0; row < rows; ++row) {
      shared += static_cast<double>(column[row]) - first[row];
    }
    return {shared, 0};
  }
  std::copy(removal_.begin(), removal_.end(), changes);
  for (std::size_t row = 0; row < rows; ++row) {
    const float d = column[row];
    if (!(d < second[row])) continue;
    if (d < first[row]) {
      shared += static_cast<double>(d) - first[row];
      changes[slot[row]] += static_cast<double>(first[row]) - second[row];
    } else {
      changes[slot[row]] += static_cast<double>(d) - second[row];
    }
  }
  const double* const best = std::min_element(changes, changes + slots);
  return {*best + shared, static_cast<std::uint32_t>(best - changes)};
}

void EagerSwaps::find_second(std::size_t row, unsigned worker) {
  one_[worker].put(0, points_, row);
  float* const measured = to_slots_[worker].data();
  medoid_points_.measure(one_[worker], 0, 0, medoids_.size(), measured);
  const std::uint32_t nearest = nearest_.slot[row];
  Near best{kFar, kNoRow};
  for (std::uint32_t slot = 0; slot < medoids_.size(); ++slot) {
    const Near found{measured[slot], slot};
    if (slot != nearest && before(found, best)) best = found;
  }
  nearest_.second[row] = best.slot;
  nearest_.second_distance[row] = best.distance;
}

/// The medoid of `slot` is a new one, at this distance from the row.
void EagerSwaps::update(std::size_t row, std::uint32_t slot, float distance, unsigned worker) {
  const Near fresh{distance, slot};
  const Near first{nearest_.distance[row], nearest_.slot[row]};
  const Near second{nearest_.second_distance[row], nearest_.second[row]};
  if (first.slot == slot) {
    if (before(fresh, second)) {
      nearest_.distance[row] = distance;
      return;
    }
    nearest_.slot[row] = second.slot;
    nearest_.distance[row] = second.distance;
    find_second(row, worker);
  } else if (before(fresh, first)) {
    nearest_.second[row] = first.slot;
    nearest_.second_distance[row] = first.distance;
    nearest_.slot[row] = slot;
    nearest_.distance[row] = distance;
  } else if (second.slot == slot) {
    if (distance < second.distance) {
      nearest_.second_distance[row] = distance;
    } else {
      find_second(row, worker);
    }
  } else if (before(fresh, second)) {
    nearest_.second[row] = slot;
    nearest_.second_distance[row] = distance;
  }
}

void EagerSwaps::swap(std::uint32_t row, std::uint32_t slot, const float* column, Ticker& ticker) {
  chosen_.clear(medoids_[slot]);
  chosen_.set(row);
  medoids_[slot] = row;
  medoid_points_.put(slot, points_, row);
  const auto body = [&](std::size_t begin, std::size_t end, unsigned worker) {
    for (std::size_t r = begin; r < end; ++r) update(r, slot, column[r], worker);
  };
  parallel_for(points_.size(), kUpdateGrain, run_, body, &ticker);
  ++swaps_;
  tally();
}

/// False if no candidate lowers the loss any more.
bool EagerSwaps::pass(const std::vector<std::uint32_t>& candidates, Columns& columns, Meter& meter,
                      bool counts) {
  const std::size_t slots = medoids_.size();
  std::size_t abreast = least_abreast_;
  const std::uint64_t swaps_before = swaps_;
  std::size_t places[kBatch] = {};
  Change changes[kBatch] = {};
  for (std::size_t place = 0; place < candidates.size() && place != last_swap_;) {
    // Of those behind a swap nothing is known, and they are weighed again: few after a swap, more
    // where swaps are rare.
    std::size_t some = 0;
    std::size_t next = place;
    while (some < abreast && next < candidates.size() && next != last_swap_ &&
           columns.batch_of(next) == columns.batch_of(place)) {
      if (!chosen_.test(candidates[next])) places[some++] = next;
      ++next;
    }
    const float* const first = some != 0 ? columns.at(places[0], meter.ticker) : nullptr;
    const auto column = [&](std::size_t i) {
      return first + (places[i] - places[0]) * points_.size();
    };
    parallel_for(
        some, 1, run_,
        [&](std::size_t begin, std::size_t end, unsigned) {
          for (std::size_t i = begin; i < end; ++i) {
            changes[i] = weigh(column(i), changes_.data() + i * slots);
          }
        },
        &meter.ticker);
    const Change* const gain =
        std::find_if(changes, changes + some, [&](const Change& c) { return c.by < -least_gain_; });
    if (gain != changes + some) {
      const auto i = static_cast<std::size_t>(gain - changes);
      swap(candidates[places[i]], gain->slot, column(i), meter.ticker);
      last_swap_ = places[i];
      next = places[i] + 1;
      abreast = least_abreast_;
    } else {
      abreast = std::min(2 * abreast, most_abreast_);
    }
    place = next;
    if (counts) meter.done.store(place, std::memory_order_relaxed);
  }
  return swaps_ != swaps_before;
}

void EagerSwaps::improve(const std::vector<std::uint32_t>& candidates, std::uint32_t passes,
                         Meter* meter) {
  Columns columns(points_, candidates, run_);
  last_swap_ = kNone;
  converged_ = false;
  for (std::uint32_t i = 0; i < passes && !converged_; ++i) {
    ++passes_;
    if (meter != nullptr) {
      converged_ = !pass(candidates, columns, *meter, false);
      continue;
    }
    Meter own(run_, stage_of(i), candidates.size());
    converged_ = !pass(candidates, columns, own, true);
    own.finish();
  }
}

}  // namespace vicinal::clustering
