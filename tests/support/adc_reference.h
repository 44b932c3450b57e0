#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace vicinal::test {

struct TableSum {
  double sum = 0;
  double magnitude = 0;  ///< sum of the entries' absolute values: what rounding is relative to
};

/// What a row of bytes chooses from tables of 256 floats.
inline TableSum table_sum(const float* tables, const std::byte* row, std::size_t bytes) {
  TableSum total;
  for (std::size_t j = 0; j < bytes; ++j) {
    const double entry = tables[j * 256 + static_cast<std::size_t>(row[j])];
    total.sum += entry;
    total.magnitude += std::fabs(entry);
  }
  return total;
}

/// Entry e of the table that a part of a query has with columns of `entries` centroids.
inline TableSum table_entry(bool l2, const float* query, const float* columns, std::size_t width,
                            std::size_t entries, std::size_t e) {
  TableSum total;
  for (std::size_t d = 0; d < width; ++d) {
    const double q = query[d], x = columns[d * entries + e];
    const double term = l2 ? (q - x) * (q - x) : -q * x;
    total.sum += term;
    total.magnitude += std::fabs(term);
  }
  return total;
}

}  // namespace vicinal::test
