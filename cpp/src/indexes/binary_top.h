#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicinal::indexes {

struct BitHit {
  float distance;
  std::int64_t id;
};

/// Nearer first, ties by smaller id.
constexpr bool closer(const BitHit& a, const BitHit& b) noexcept {
  return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
}

/// Keeps the k nearest of a stream of hits, or all within a radius. Ids are distinct. Where
/// distances are whole numbers a histogram of them tells after every hit which can still be among
/// the k; others are sorted out when twice as many have come.
class NearestBits {
 public:
  /// most: the largest distance where distances are whole numbers, else 0. k > 0.
  void nearest(std::size_t k, std::size_t most);
  /// NaN is no radius.
  void within(float radius);
  /// Nothing at or beyond it is kept any more.
  const BitHit& cut() const noexcept { return cut_; }
  void push(float distance, std::int64_t id) {
    const BitHit hit{distance, id};
    if (!closer(hit, cut_)) return;
    hits_.push_back(hit);
    if (counting_) count(static_cast<std::size_t>(distance));
    if (hits_.size() >= limit_) shrink();
  }
  /// Nearest first. The object is spent.
  std::vector<BitHit> finish();

 private:
  void count(std::size_t distance);
  void shrink();

  std::size_t k_ = 0;
  std::size_t limit_ = 0;
  BitHit cut_{0.0f, 0};
  bool counting_ = false;
  std::vector<BitHit> hits_;
  std::vector<std::uint32_t> histogram_;
  std::size_t top_ = 0;    // no hit beyond this distance is among the k nearest
  std::size_t total_ = 0;  // hits up to it
};

}  // namespace vicinal::indexes
