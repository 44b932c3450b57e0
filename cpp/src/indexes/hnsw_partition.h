#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "quantizers/codec.h"
#include "vicinal/control.h"

namespace vicinal::indexes {

/// Small groups of rows that lie near one another; a row is in several.
struct Leaves {
  std::vector<std::uint32_t> members;  ///< places in the list of rows, ascending within a leaf
  std::vector<std::size_t> starts;     ///< leaf l is members[starts[l], starts[l + 1])

  std::size_t count() const noexcept { return starts.size() - 1; }
};

struct PartitionParams {
  std::size_t leaf = 512;       ///< most rows of a leaf
  std::size_t leaders = 256;    ///< most leaders of one split
  std::size_t fanout = 4;       ///< groups that a row joins at the first split
  std::size_t fanout_below = 2; ///< and at those that follow
  std::uint64_t seed = 0;
};

/// Splits rows[0, n) by the nearest of randomly drawn leaders, again and again until a group is
/// small enough: the partition of PiPNN (arXiv 2602.21247). `codec` compares the stored rows and
/// should give distances, for inner products would send all rows to a few long leaders.
/// The same leaves for any number of threads.
Leaves partition(const quantizers::Codec& codec, const std::byte* codes,
                 const std::vector<std::uint32_t>& rows, const PartitionParams& params,
                 const RunOptions& run, Ticker* ticker);

}  // namespace vicinal::indexes
