#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vicinal/types.h"

namespace vicinal {

/// External int64 id -> row, open addressing. Not synchronised.
class IdMap {
 public:
  /// kNoRow if absent.
  std::uint32_t find(std::int64_t id) const noexcept;
  /// False, and nothing changes, if present.
  bool insert(std::int64_t id, std::uint32_t row);
  void assign(std::int64_t id, std::uint32_t row);  ///< insert or replace
  bool replace(std::int64_t id, std::uint32_t row);  ///< false, and nothing changes, if absent
  void reserve(std::size_t ids);
  void clear();
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept;

 private:
  struct Slot {
    std::int64_t id;  // kNoId: empty
    std::uint32_t row;
  };
  std::size_t home(std::int64_t id) const noexcept;
  void grow(std::size_t slots);
  std::vector<Slot> slots_;  // a power of two
  std::size_t size_ = 0;
  unsigned shift_ = 0;  // of a hash, to the number of a slot
};

}  // namespace vicinal
