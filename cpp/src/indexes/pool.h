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
///
/// An entry is one number, distance over row over whether it was expanded, so that a single
/// comparison of integers orders two of them. Rows stay below 2^31.
class Pool {
 public:
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
    std::uint64_t* const base = entries_.data();
    const std::uint64_t entry = entry_of(distance, row);
    // How many come before it, in steps whose number depends on the size alone and without a
    // branch on what is compared: neither could be predicted.
    std::size_t at = 0;
    for (std::size_t n = size_; n > 1;) {
      const std::size_t half = n / 2;
      at += base[at + half - 1] < entry ? half : 0;
      n -= half;
    }
    at += static_cast<std::size_t>((size_ != 0) & (base[at] < entry));
    std::memmove(base + at + 1, base + at, (size_ - at) * sizeof(std::uint64_t));
    base[at] = entry;
    size_ += size_ < capacity_;
    if (size_ == capacity_) bound_ = distance_of(base[size_ - 1]);
    const bool first = at <= cursor_;
    cursor_ = first ? at : cursor_;
    return first;
  }

  /// Whether an unexpanded row is left.
  bool more() noexcept {
    while (cursor_ < size_ && (entries_[cursor_] & kExpanded) != 0) ++cursor_;
    return cursor_ < size_;
  }
  /// The nearest unexpanded row. Only after more().
  std::uint32_t peek() const noexcept { return row(cursor_); }
  /// Its distance.
  float next() const noexcept { return distance(cursor_); }
  /// The same, now expanded.
  std::uint32_t expand() noexcept {
    const std::uint32_t nearest = peek();
    entries_[cursor_++] |= kExpanded;
    return nearest;
  }

  std::size_t size() const noexcept { return size_; }
  float distance(std::size_t i) const noexcept { return distance_of(entries_[i]); }
  std::uint32_t row(std::size_t i) const noexcept {
    return static_cast<std::uint32_t>(entries_[i]) >> 1;
  }

 private:
  static constexpr std::uint64_t kExpanded = 1;
  static constexpr std::uint32_t kSign = 0x80000000u;

  static std::uint64_t entry_of(float distance, std::uint32_t row) noexcept {
    distance += 0.0f;  // -0 is no nearer than 0
    std::uint32_t bits;
    std::memcpy(&bits, &distance, sizeof bits);
    // Bits of floats, as integers, ascend with positive floats and descend with negative ones.
    bits ^= (bits & kSign) != 0 ? ~std::uint32_t{0} : kSign;
    return std::uint64_t{bits} << 32 | row << 1;
  }

  static float distance_of(std::uint64_t entry) noexcept {
    auto bits = static_cast<std::uint32_t>(entry >> 32);
    bits ^= (bits & kSign) != 0 ? kSign : ~std::uint32_t{0};
    float distance;
    std::memcpy(&distance, &bits, sizeof distance);
    return distance;
  }

  std::vector<std::uint64_t> entries_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  float bound_ = std::numeric_limits<float>::infinity();
};

}  // namespace vicinal::indexes
