#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal {

/// Which ids a search may return. Does not own. At most one of the two is set; neither: all.
struct Allowed {
  const std::uint8_t* mask = nullptr;  ///< one byte per id: id i is allowed if i < count && mask[i]
  const std::int64_t* ids = nullptr;   ///< in any order, repeats and unknown ids are ignored
  std::size_t count = 0;               ///< entries in the one that is set

  bool everything() const noexcept { return mask == nullptr && ids == nullptr; }
};

}  // namespace vicinal
