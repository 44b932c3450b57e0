#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "indexes/binary_impl.h"
#include "vicinal/idset.h"

namespace vicinal::indexes {

/// Which rows of which snapshot one call looks at.
class BitPlan {
 public:
  BitPlan(BinaryIndex::Impl::View view, const Allowed& allowed);

  const BitSnapshot& at() const noexcept { return *view_; }
  std::uint64_t count() const noexcept { return count_; }  ///< rows that may be returned
  bool shown(std::size_t part, std::uint32_t row) const noexcept {
    return !view_->parts[part].gone(row) && (shown_.empty() || shown_[part].test(row));
  }
  /// Calls use(first, blocks) for the runs of blocks of a chunk that may hold something.
  template <class Use>
  void each_run(const BitChunk& chunk, Use use) const {
    if (shown_.empty()) {
      use(chunk.first, chunk.blocks);
      return;
    }
    const std::uint32_t end = chunk.first + chunk.blocks;
    for (std::uint32_t first = chunk.first; first < end;) {
      if (first % 8 == 0 && shown_[chunk.part].words()[first / 8] == 0) {
        first += 8;  // 64 rows
        continue;
      }
      if (hidden(chunk.part, first)) {
        ++first;
        continue;
      }
      std::uint32_t last = first + 1;
      while (last < end && !hidden(chunk.part, last)) ++last;
      use(first, last - first);
      first = last;
    }
  }

 private:
  bool hidden(std::size_t part, std::uint32_t block) const noexcept {
    return (shown_[part].words()[block / 8] >> (block % 8 * 8) & 0xFFu) == 0;
  }

  BinaryIndex::Impl::View view_;
  std::uint64_t count_ = 0;
  std::vector<Bitmap> shown_;  // by part; empty if everything may be found
};

}  // namespace vicinal::indexes
