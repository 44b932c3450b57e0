#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/parallel.h"
#include "indexes/hnsw_partition.h"
#include "quantizers/codec.h"

namespace vicinal::indexes {

/// The nearest that each of n rows has met so far, rows being known by their place in a list.
/// What is kept depends on what was offered, not on the order of offers, nor on who made them.
class NearestLists {
 public:
  /// Orders as (distance, places after one's own) does. Equal distances: whoever comes next, so
  /// that of a crowd of copies not all keep the same few.
  using Key = std::uint64_t;

  NearestLists(std::size_t n, std::size_t keep);

  static Key key(float distance, std::uint32_t own, std::uint32_t other) noexcept;
  static float distance(Key key) noexcept;
  static std::uint32_t other(Key key, std::uint32_t own) noexcept {
    return static_cast<std::uint32_t>(key) + own;
  }

  std::size_t size() const noexcept { return counts_.size(); }
  std::size_t count(std::size_t place) const noexcept { return counts_[place]; }
  /// count(place) of them, nearest first.
  const Key* of(std::size_t place) const noexcept { return &keys_[place * keep_]; }

  /// Memory of a thread that makes offers.
  struct Offer {
    std::vector<std::uint32_t> ids;
    std::vector<float> kept;
    std::vector<Key> fresh;
    std::vector<Key> merged;
  };

  /// The nearest `most` <= 32 of n rows, others[j] being scores[j] away. NaN and +inf are never
  /// kept. Any number of threads.
  void offer(std::uint32_t own, const float* scores, const std::uint32_t* others, std::size_t n,
             std::size_t most, Offer& memory);

 private:
  void merge(std::uint32_t own, std::vector<Key>& fresh, Offer& memory);

  static constexpr std::size_t kLocks = 4096;

  std::size_t keep_;
  std::vector<Key> keys_;
  std::vector<std::uint32_t> counts_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

/// Compares all rows of each leaf with one another; each is offered the nearest `most` of its leaf.
/// after(n): a leaf of n rows is done, said on whatever thread did it. Returns how often a row met
/// a crowd of its equals in a leaf, of which it was offered but a few.
std::size_t meet_in_leaves(const quantizers::Codec& codec, const std::byte* codes,
                           const std::vector<std::uint32_t>& rows, const Leaves& leaves,
                           std::size_t most, NearestLists& lists, const RunOptions& run,
                           Ticker* ticker, const std::function<void(std::size_t)>& after);

}  // namespace vicinal::indexes
