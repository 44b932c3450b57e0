#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vicinal {

/// One named part of an index.
struct MemoryPart {
  std::string name;     ///< "codes", "links", "refine", "ids", "reserve"...
  std::uint64_t bytes;
  bool mapped;          ///< lives in a mapped file, not in allocated memory
};

using MemoryReport = std::vector<MemoryPart>;

}  // namespace vicinal
