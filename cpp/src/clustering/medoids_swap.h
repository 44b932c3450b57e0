#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bitmap.h"
#include "base/parallel.h"
#include "clustering/medoids_points.h"
#include "vicinal/control.h"

namespace vicinal::clustering {

/// Progress of work whose steps are uneven: parallel loops only poll the ticker, the owner counts.
struct Meter {
  Meter(const RunOptions& run, const char* stage, std::uint64_t total_)
      : total(total_), ticker(run, stage, total_) {
    ticker.follow(done);
  }
  void finish() {
    done.store(total, std::memory_order_relaxed);
    ticker.at(total);
  }

  const std::uint64_t total;
  std::atomic<std::uint64_t> done{0};
  Ticker ticker;
};

/// Of each row the two nearest medoids, as slots; of equally near ones that of the smaller row.
struct TwoNearest {
  explicit TwoNearest(std::size_t rows)
      : slot(rows), second(rows), distance(rows), second_distance(rows) {}

  std::vector<std::uint32_t> slot;
  std::vector<std::uint32_t> second;  // kNoRow if there is one medoid only
  std::vector<float> distance;
  std::vector<float> second_distance;  // then infinite
};

/// medoids: row of each slot. ticker: sees rows done, unless it follows a counter; then `count`, if
/// any, grows by them.
TwoNearest assign_rows(const MedoidPoints& points, const std::vector<std::uint32_t>& medoids,
                       const RunOptions& run, Ticker& ticker,
                       std::atomic<std::uint64_t>* count = nullptr);

/// Added in order of the rows.
double sum_of(const std::vector<float>& distances);

/// Distances of candidates from all rows. All that were asked for are kept if that takes little
/// memory, else those of one batch.
class Columns {
 public:
  Columns(const MedoidPoints& points, const std::vector<std::uint32_t>& candidates,
          const RunOptions& run);
  /// Of the candidate at this place; good until another batch is asked for. Stops if the ticker
  /// says so.
  const float* at(std::size_t place, Ticker& ticker);
  std::size_t batch_of(std::size_t place) const noexcept { return place / batch_; }

 private:
  const MedoidPoints& points_;
  const std::vector<std::uint32_t>& candidates_;
  const RunOptions& run_;
  std::size_t batch_;  // candidates
  MedoidPoints queries_;
  std::vector<std::size_t> held_;  // which batch each part of columns_ holds
  Buffer columns_;
};

/// FasterPAM: medoids, and what is known of the rows about them.
class EagerSwaps {
 public:
  /// Those it refers to must outlive it.
  EagerSwaps(const MedoidPoints& points, std::vector<std::uint32_t> medoids, TwoNearest nearest,
             const RunOptions& run);

  /// Up to `passes` over the candidates, which are rows, none twice. Without a meter each pass
  /// reports as a stage of its own.
  void improve(const std::vector<std::uint32_t>& candidates, std::uint32_t passes,
               Meter* meter = nullptr);

  const std::vector<std::uint32_t>& medoids() const noexcept { return medoids_; }
  TwoNearest& nearest() noexcept { return nearest_; }
  double loss() const noexcept { return loss_; }
  std::uint32_t passes() const noexcept { return passes_; }
  std::uint64_t swaps() const noexcept { return swaps_; }
  /// The last improve() ended because no candidate lowers the loss.
  bool converged() const noexcept { return converged_; }

 private:
  struct Change {
    double by;
    std::uint32_t slot;
  };
  struct Near {
    float distance;
    std::uint32_t slot;
  };

  bool before(const Near& a, const Near& b) const noexcept;
  Change weigh(const float* column, double* changes) const noexcept;
  void swap(std::uint32_t row, std::uint32_t slot, const float* column, Ticker& ticker);
  void update(std::size_t row, std::uint32_t slot, float distance, unsigned worker);
  void find_second(std::size_t row, unsigned worker);
  void tally();
  bool pass(const std::vector<std::uint32_t>& candidates, Columns& columns, Meter& meter,
            bool counts);

  const MedoidPoints& points_;
  const RunOptions& run_;
  std::vector<std::uint32_t> medoids_;  // by slot
  Bitmap chosen_;                       // rows that are medoids
  MedoidPoints medoid_points_;          // by slot
  TwoNearest nearest_;
  std::vector<double> removal_;  // by slot: what the loss grows by if nothing replaces it
  double loss_ = 0.0;
  double least_gain_ = 0.0;    // less could be rounding
  std::size_t last_swap_ = 0;  // place of the candidate
  std::uint32_t passes_ = 0;
  std::uint64_t swaps_ = 0;
  bool converged_ = false;

  std::vector<MedoidPoints> one_;             // by worker: a row as query
  std::vector<std::vector<float>> to_slots_;  // by worker: its distances to the medoids
  std::size_t least_abreast_ = 1;             // candidates weighed beside one another
  std::size_t most_abreast_ = 1;
  std::vector<double> changes_;  // of each of them
};

}  // namespace vicinal::clustering
