#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vicinal/control.h"

namespace vicinal::clustering {

/// What Sinkhorn's algorithm did.
struct Scaling {
  std::uint32_t rounds = 0;
  double error = 0.0;        ///< largest |mass of a column / wanted - 1| at the end
  bool logarithmic = false;  ///< exp() would have underflowed
};

/// Scales exp(-cost / epsilon) by rows and columns in turns until every row has mass 1 and every
/// column rows / cols, up to `tolerance`, or for `rounds` (Cuturi, NIPS 2013). cost: rows x cols.
/// potential: logarithm of each column's factor; what it holds is where to begin. labels: the
/// largest share of each row, ties to the smaller column. plan: rows x cols shares, or null.
/// In double; by logarithms where a factor or a sum leaves its range.
Scaling sinkhorn(const float* cost, std::size_t rows, std::size_t cols, double epsilon,
                 std::uint32_t rounds, double tolerance, std::vector<double>& potential,
                 std::uint32_t* labels, double* plan, const RunOptions& run);

}  // namespace vicinal::clustering
