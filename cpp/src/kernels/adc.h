#pragma once

#include <cstddef>

#include "kernels/table.h"

namespace vicinal::kernels {

constexpr std::size_t kAdcEntries = 256;

/// A query against rows of bytes, each of which chooses an entry of a table of its own (asymmetric
/// distance computation: Jegou, Douze & Schmid, TPAMI 33(1), 2011).
struct AdcQuery {
  /// kAdcEntries floats for each byte of a row, one table after the other.
  const float* tables = nullptr;
  float bias = 0.0f;
  float floor = 0.0f;  ///< no score is less; -inf where scores have no end
  /// Null, or 256 factors: byte gain_at of a row chooses what bias + sum is multiplied by.
  const float* gains = nullptr;
  std::size_t gain_at = 0;
};

/// The same bits at every level: each sum has one order, and products are rounded before they are
/// added.
struct AdcKernels {
  /// query: const AdcQuery*; dim: bytes of a row that choose. out[i] = max(floor, gain * (bias +
  /// sum of tables[j][byte j of row i])); byte j is added to sum j % 4, and the four are joined
  /// as (0 + 1) + (2 + 3).
  ScoreBlock block;
  ScoreIds ids;
  /// One table, by Rank: out[e] = sum of (query[d] - columns[d * entries + e])^2, or minus the sum
  /// of query[d] * columns[d * entries + e], over d < width in order. entries: a multiple of 16.
  void (*table[2])(const float* query, const float* columns, std::size_t width,
                   std::size_t entries, float* out) noexcept;
  /// out[e] = first[e] + rows[0][e] + rows[1][e] ... in this order, e < kAdcEntries.
  void (*add_rows)(const float* first, const float* const* rows, std::size_t n,
                   float* out) noexcept;
};

}  // namespace vicinal::kernels
