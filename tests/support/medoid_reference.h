#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

// k-medoids from its definition, in double, one exchange after the other.
namespace vicinal::test {

/// Of two rows.
using PairDistance = std::function<double(std::size_t, std::size_t)>;
using RowList = std::vector<std::size_t>;

inline double medoid_loss(const PairDistance& distance, std::size_t rows, const RowList& medoids) {
  double sum = 0.0;
  for (std::size_t row = 0; row < rows; ++row) {
    double nearest = std::numeric_limits<double>::infinity();
    for (const std::size_t medoid : medoids) nearest = std::min(nearest, distance(row, medoid));
    sum += nearest;
  }
  return sum;
}

struct MedoidTrail {
  RowList medoids;
  std::size_t swaps = 0;
  double loss = 0.0;
  bool ended = false;
};

/// Candidates in order, round and round; the first that lowers the loss in its best slot (the
/// first of equally good ones) takes it.
inline MedoidTrail eager_medoids(const PairDistance& distance, std::size_t rows, RowList medoids,
                                 std::size_t passes) {
  MedoidTrail out{medoids, 0, medoid_loss(distance, rows, medoids), false};
  std::size_t last = rows;
  for (std::size_t pass = 0; pass < passes && !out.ended; ++pass) {
    const std::size_t before = out.swaps;
    for (std::size_t row = 0; row < rows && row != last; ++row) {
      if (std::count(out.medoids.begin(), out.medoids.end(), row) != 0) continue;
      double best = std::numeric_limits<double>::infinity();
      std::size_t best_slot = 0;
      for (std::size_t slot = 0; slot < out.medoids.size(); ++slot) {
        RowList other = out.medoids;
        other[slot] = row;
        const double loss = medoid_loss(distance, rows, other);
        if (loss < best) {
          best = loss;
          best_slot = slot;
        }
      }
      if (!(best < out.loss)) continue;
      out.medoids[best_slot] = row;
      out.loss = best;
      ++out.swaps;
      last = row;
    }
    out.ended = out.swaps == before;
  }
  return out;
}

/// The least change of the loss that any exchange of one medoid for another row makes.
inline double best_exchange(const PairDistance& distance, std::size_t rows,
                            const RowList& medoids) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  std::vector<std::size_t> own(rows);
  std::vector<double> nearest(rows, kFar);
  std::vector<double> second(rows, kFar);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t slot = 0; slot < medoids.size(); ++slot) {
      const double d = distance(row, medoids[slot]);
      if (d < nearest[row]) {
        second[row] = nearest[row];
        nearest[row] = d;
        own[row] = slot;
      } else {
        second[row] = std::min(second[row], d);
      }
    }
  }
  double least = kFar;
  std::vector<double> change(medoids.size());
  for (std::size_t candidate = 0; candidate < rows; ++candidate) {
    if (std::count(medoids.begin(), medoids.end(), candidate) != 0) continue;
    // As one medoid more, then what each row of a slot loses when the slot's own medoid goes.
    double more = 0.0;
    std::fill(change.begin(), change.end(), 0.0);
    for (std::size_t row = 0; row < rows; ++row) {
      const double d = distance(row, candidate);
      more += std::min(d, nearest[row]) - nearest[row];
      change[own[row]] += std::min(d, second[row]) - std::min(d, nearest[row]);
    }
    for (const double c : change) least = std::min(least, more + c);
  }
  return least;
}

}  // namespace vicinal::test
