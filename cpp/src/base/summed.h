#pragma once

#include <cstddef>

namespace vicinal {

/// The sum of term(0) to term(n - 1), in an order that is part of the answer: eight sums, so that
/// compilers may use vectors without reordering what is written here.
template <class Term>
double summed(std::size_t n, const Term& term) {
  constexpr std::size_t kLanes = 8;
  double sums[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(i + lane);
  }
  for (; i < n; ++i) sums[0] += term(i);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace vicinal
