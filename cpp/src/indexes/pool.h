#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace vicinal::indexes {

/// The candidates of one walk: a sorted line of at most `capacity` rows, nearest first, ties by
/// smaller row, each either expanded or not. One array instead of two heaps: the nearest
/// unexpanded row is found by a cursor, and an insertion is a short memmove.
class Pool {
 public:
  static constexpr std::uint32_t kExpanded = 0x80000000u;  // the top bit: rows stay below 2^31

  struct Entry {
    float distance;
    std::uint32_t tagged;
    std::uint32_t row() const noexcept { return tagged & ~kExpanded; }
  };

  void reset(std::size_t capacity) {
    if (entries_.size() < capacity + 1) entries_.resize(capacity + 1);
    capacity_ = capacity;
    size_ = 0;
    cursor_ = 0;
    bound_ = std::numeric_limits<float>::infinity();
  }

  /// Nothing at or beyond this distance can enter. NaN compares false and never enters.
  float bound() const noexcept { return bound_; }

  /// The caller has checked distance < bound(). Each row comes once. Returns whether it is now the
  /// nearest unexpanded row.
  bool insert(float distance, std::uint32_t row) noexcept {
    Entry* const base = entries_.data();
    // First place that is farther, or as far with a larger row. No branch inside: the compiler
    // turns the choice into a conditional move.
    std::size_t at = 0;
    for (std::size_t n = size_; n > 0;) {
      const std::size_t half = n / 2;
      const Entry& middle = base[at + half];
      const bool before = (middle.distance < distance) |
                          ((middle.distance == distance) & (middle.row() < row));
      at = before ? at + half + 1 : at;
      n = before ? n - half - 1 : half;
    }
    std::memmove(base + at + 1, base + at, (size_ - at) * sizeof(Entry));
    base[at] = {distance, row};
    size_ += size_ < capacity_;
    if (size_ == capacity_) bound_ = base[size_ - 1].distance;
    const bool first = at <= cursor_;
    cursor_ = first ? at : cursor_;
    return first;
  }

  /// Whether an unexpanded row is left.
  bool more() noexcept {
    while (cursor_ < size_ && (entries_[cursor_].tagged & kExpanded) != 0) ++cursor_;
    return cursor_ < size_;
  }
  /// The nearest unexpanded row. Only after more().
  std::uint32_t peek() const noexcept { return entries_[cursor_].tagged; }
  /// Its distance.
  float next() const noexcept { return entries_[cursor_].distance; }
  /// The same, now expanded.
  std::uint32_t expand() noexcept {
    Entry& entry = entries_[cursor_++];
    const std::uint32_t row = entry.tagged;
    entry.tagged |= kExpanded;
    return row;
  }

  std::size_t size() const noexcept { return size_; }
  const Entry& operator[](std::size_t i) const noexcept { return entries_[i]; }

 private:
  std::vector<Entry> entries_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  float bound_ = std::numeric_limits<float>::infinity();
};

}  // namespace vicinal::indexes
