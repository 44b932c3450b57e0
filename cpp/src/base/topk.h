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

/// Appends to ids/kept the i (as first_id + i) and scores[i] below threshold, in order; NaN never
/// passes. Returns how many. ids and kept have room for n + 16.
using CompressBelow = std::size_t (*)(const float* scores, std::size_t n, float threshold,
                                      std::uint32_t first_id, std::uint32_t* ids,
                                      float* kept) noexcept;
std::size_t compress_below(const float* scores, std::size_t n, float threshold,
                           std::uint32_t first_id, std::uint32_t* ids, float* kept) noexcept;

/// Keeps the k nearest of a stream of scored blocks: whatever lies below the threshold is
/// compressed into a buffer of a few k. Now and then the farthest leave it, so that about k stay,
/// and the threshold tightens.
/// The set kept is that of an exhaustive sort by (distance, row), whatever the order of pushes:
/// ties at the k-th place go to the smaller row. NaN and +inf are never kept.
class BlockTopK {
 public:
  /// `below` compresses: indexes pass the kernel of the level in use.
  explicit BlockTopK(std::size_t k, CompressBelow below = compress_below);
  void reset(std::size_t k);
  /// Rows first_row .. first_row + n - 1.
  void push_block(const float* scores, std::size_t n, std::uint32_t first_row);
  /// Rows rows[0..n).
  void push_ids(const float* scores, std::size_t n, const std::uint32_t* rows);
  /// Nearest first; the object is spent until reset().
  const std::vector<Hit>& finish();
  /// The same hits in no particular order, sooner: for whoever compares them again.
  const std::vector<Hit>& finish_unordered();
  /// No score at or above it is kept, unless it equals it and has a smaller row than one kept.
  float threshold() const noexcept { return threshold_; }

 private:
  void make_room(std::size_t n);
  void shrink();
  bool shrink_roughly();
  void select();
  float bar(std::uint32_t first_row) const noexcept;

  CompressBelow below_;
  std::size_t k_ = 0;
  float threshold_ = 0.0f;
  std::uint32_t last_row_ = 0;  // row of the k-th hit, once there are k
  std::size_t used_ = 0;
  std::vector<float> scores_;
  std::vector<std::uint32_t> rows_;
  std::vector<std::uint64_t> keys_;
  std::vector<Hit> hits_;
};

}  // namespace vicinal
