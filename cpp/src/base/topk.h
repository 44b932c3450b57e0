#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicinal {

struct Hit {
  float distance;
  std::uint32_t row;
};

/// Nearer first, ties by smaller row.
constexpr bool nearer(const Hit& a, const Hit& b) noexcept {
  return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

/// Keeps the k nearest of a stream of scored blocks: whatever lies below the threshold is
/// compressed into a buffer of a few k; quickselect empties it and tightens the threshold.
/// The set kept is that of an exhaustive sort by (distance, row): ties at the k-th place go to the
/// smaller row. NaN is never kept.
class BlockTopK {
 public:
  explicit BlockTopK(std::size_t k);
  void reset(std::size_t k);
  /// Rows first_row .. first_row + n - 1.
  void push_block(const float* scores, std::size_t n, std::uint32_t first_row);
  /// Rows rows[0..n).
  void push_ids(const float* scores, std::size_t n, const std::uint32_t* rows);
  /// Nearest first; the object is spent until reset().
  const std::vector<Hit>& finish();
  float threshold() const noexcept { return threshold_; }

 private:
  void shrink();
  std::size_t k_ = 0;
  float threshold_;
  std::size_t used_ = 0;
  std::vector<float> scores_;
  std::vector<std::uint32_t> rows_;
  std::vector<Hit> hits_;
};

}  // namespace vicinal
