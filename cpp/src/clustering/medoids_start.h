#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "clustering/medoids_points.h"
#include "vicinal/control.h"

namespace vicinal::clustering {

/// Numbers below n, of which distinct ones are drawn and set apart. The same seed and stream draw
/// the same ones of the same numbers.
class Urn {
 public:
  explicit Urn(std::size_t n);
  /// Sets these apart, which are all in it.
  void leave_out(const std::vector<std::uint32_t>& numbers);
  /// Brings `count` of what is left to the front, in random order; they stay in the urn.
  const std::uint32_t* draw(std::size_t count, std::uint64_t seed, std::uint64_t stream);
  /// Sets the one at this place of the front apart.
  void take(std::size_t place) { order_[place] = order_[--left_]; }
  std::size_t left() const noexcept { return left_; }

 private:
  std::vector<std::uint32_t> order_;
  std::size_t left_;
};

/// `count` distinct rows, each as likely as any other, in no order.
std::vector<std::uint32_t> random_start(std::size_t rows, std::size_t count, std::uint64_t seed);

/// LAB (Schubert & Rousseeuw, 2021): medoid after medoid, of 10 + sqrt(rows) rows drawn anew the
/// one that lowers the loss of these rows most.
std::vector<std::uint32_t> lab_start(const MedoidPoints& points, std::size_t count,
                                     std::uint64_t seed, const RunOptions& run);

}  // namespace vicinal::clustering
