#pragma once

#include <cstddef>

#include "indexes/flat_plan.h"
#include "indexes/flat_search.h"

// Rows that lie in blocks. A scan gives lower bounds of distances, several times as fast as the
// distances of rows that lie one after the other; the few rows whose bound leaves room for them in
// the answer are unpacked and compared in full. So answers are those of stream(), bit for bit.
namespace vicinal::indexes {

/// The answers to all queries; plan.packed(), and no list of places.
void scan_packed(const FlatSearch& search, const RunOptions& run);
/// collect() of such a plan.
void collect_packed(const FlatPlan& plan, FlatQuery& query, std::size_t first, std::size_t last,
                    float radius, Reached& out, Comparisons* counted);

}  // namespace vicinal::indexes
