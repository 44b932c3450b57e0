#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "support/bits_reference.h"
#include "vicinal/binary.h"

namespace vicinal::test {

/// Packed rows.
struct BitRows {
  BitRows(std::size_t rows_, std::size_t dim_)
      : rows(rows_), dim(dim_), bytes((dim_ + 7) / 8), values(rows_ * bytes) {}

  void set(std::size_t r, std::size_t bit) {
    values[r * bytes + bit / 8] |= static_cast<std::uint8_t>(0x80u >> (bit % 8));
  }
  VectorsView view() const { return part(0, rows); }
  VectorsView part(std::size_t begin, std::size_t end) const {
    return {values.data() + begin * bytes, ElementType::kUint8, end - begin, bytes,
            static_cast<std::ptrdiff_t>(bytes), 1};
  }
  const std::byte* row(std::size_t r) const {
    return reinterpret_cast<const std::byte*>(values.data() + r * bytes);
  }

  std::size_t rows;
  std::size_t dim;
  std::size_t bytes;
  std::vector<std::uint8_t> values;
};

/// Rows with few to many bits; some are empty, some repeated, and neighbours share bits.
inline BitRows varied_bits(std::size_t rows, std::size_t dim, std::uint64_t seed) {
  BitRows out(rows, dim);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t like = r % 5 == 4 ? r - 1 : r;
    const double share = random_unit(seed, 1, like);
    const double density = like % 11 == 7 ? 0.0 : 0.9 * share * share;
    const std::uint64_t cluster = random_below(4, seed, 2, like);
    for (std::size_t b = 0; b < dim; ++b) {
      const bool from_cluster = random_unit(seed, 3, like * dim + b) < 0.6;
      const double chance =
          from_cluster ? random_unit(9, 4 + cluster, b) : random_unit(seed, 10, like * dim + b);
      if (chance < density) out.set(r, b);
    }
  }
  return out;
}

/// From the definition.
inline float bit_distance(BitMetric metric, const std::byte* a, const std::byte* b,
                          std::size_t bytes) {
  const std::uint32_t apart = differing(a, b, bytes);
  if (metric == BitMetric::kHamming) return static_cast<float>(apart);
  const std::uint32_t either = apart + common(a, b, bytes);
  // Of whole numbers below 2^24, rounding a quotient twice gives what rounding it once gives.
  return either == 0 ? 0.0f : static_cast<float>(static_cast<double>(apart) / either);
}

using BitTruth = std::vector<std::pair<float, std::int64_t>>;

/// Everything kept, nearest first, ties by smaller id.
template <class Keep>
BitTruth bit_truth(BitMetric metric, const std::byte* query, const BitRows& rows,
                   const std::vector<std::int64_t>& ids, const Keep& keep) {
  BitTruth all;
  for (std::size_t r = 0; r < rows.rows; ++r) {
    if (!keep(ids[r])) continue;
    all.emplace_back(bit_distance(metric, query, rows.row(r), rows.bytes), ids[r]);
  }
  std::sort(all.begin(), all.end());
  return all;
}

struct BitAnswers {
  std::vector<std::int64_t> ids;
  std::vector<float> distances;
  bool operator==(const BitAnswers& other) const {
    return ids == other.ids && distances == other.distances;
  }
};

inline BitAnswers search(const BinaryIndex& index, const VectorsView& queries, std::size_t k,
                         const Allowed& allowed = {}, unsigned threads = 1) {
  BitAnswers out{std::vector<std::int64_t>(queries.rows * k), std::vector<float>(queries.rows * k)};
  RunOptions run;
  run.threads = threads;
  index.search(queries, {out.ids.data(), queries.rows, k}, {out.distances.data(), queries.rows, k},
               allowed, run);
  return out;
}

/// The answer of one query, padded.
inline void append_truth(const BitTruth& truth, std::size_t k, BitAnswers& out) {
  for (std::size_t i = 0; i < k; ++i) {
    const bool here = i < truth.size();
    out.ids.push_back(here ? truth[i].second : kNoId);
    out.distances.push_back(here ? truth[i].first : std::numeric_limits<float>::infinity());
  }
}

constexpr BitMetric kBitMetrics[] = {BitMetric::kHamming, BitMetric::kJaccard};

}  // namespace vicinal::test
