#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicinal::indexes {

/// Which rows a walk has met: a byte per row that holds the number of the walk, so that a new walk
/// costs nothing; wiped once in 255 walks.
class Visited {
 public:
  void reset(std::size_t rows) {
    if (marks_.size() < rows) {
      marks_.assign(rows, 0);
      epoch_ = 0;
    }
    if (++epoch_ == 0) {
      std::fill(marks_.begin(), marks_.end(), std::uint8_t{0});
      epoch_ = 1;
    }
  }
  /// For loops: where the marks lie. A store to bytes may change anything but a local variable, and
  /// what it may change has to be loaded again.
  struct Marks {
    std::uint8_t* marks;
    std::uint8_t epoch;

    /// True the first time a row is met.
    bool first(std::uint32_t row) const noexcept {
      const bool fresh = marks[row] != epoch;
      marks[row] = epoch;
      return fresh;
    }
  };
  Marks marks() noexcept { return {marks_.data(), epoch_}; }
  bool first(std::uint32_t row) noexcept { return marks().first(row); }
  std::size_t bytes() const noexcept { return marks_.size(); }

 private:
  std::vector<std::uint8_t> marks_;
  std::uint8_t epoch_ = 0;
};

}  // namespace vicinal::indexes
