#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "quantizers/codec.h"

namespace vicinal::indexes {

/// The last comparison: candidates by the scores of their codes are compared with finer rows.
class Reranker {
 public:
  /// So many are compared at least, of those there are.
  static std::size_t first(std::size_t k) noexcept { return k + std::max<std::size_t>(8, k / 4); }

  /// rows: candidates, nearest first by `scores`, which are those of their codes. Returns how many
  /// were compared, rows 0 to n - 1; `scores` then begins with what `exact` says of them. Unless
  /// `all` of them are, it ends where no other is likely to be among the k nearest. By how much
  /// codes were off so far says by how much the next may be: whatever the codec, and whatever a
  /// transform dropped, no bound has to be known. On mnist-784, sift-photo-200k and
  /// wordnet-minilm-384 less than one neighbour in 2,000 was lost to that with scalar codes, one in
  /// 500 at most with 2 bits.
  std::size_t compare(const quantizers::Query& exact, const std::byte* store,
                      const std::vector<std::uint32_t>& rows, std::size_t k, bool all,
                      std::vector<float>& scores);

 private:
  std::vector<float> exact_;
  std::vector<float> ranked_;
};

}  // namespace vicinal::indexes
