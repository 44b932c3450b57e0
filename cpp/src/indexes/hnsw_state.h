#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "quantizers/codec.h"
#include "vicinal/hnsw.h"

namespace vicinal::indexes {

// Threads. One writer at a time (Impl::writer). Searches take a Snapshot and never wait: the writer
// changes memory that snapshots share in two ways only. It fills rows at or beyond Snapshot::rows,
// which searches never look at, and it rewrites links, each a relaxed atomic: a search that reads
// a list while it changes meets old and new rows mixed, every one of which is a row, and skips
// those it does not know yet. Everything else is replaced, never changed.

/// A link as it lies in memory. Mapped links are only read.
using Link = std::atomic<std::uint32_t>;
static_assert(sizeof(Link) == 4 && Link::is_always_lock_free);

/// Rows that also live above the base layer have a tower. Upper links name towers, not rows.
struct Tower {
  std::uint32_t row;
  std::uint32_t level;  ///< layers above the base, >= 1
  std::uint64_t first;  ///< its first slot in tower_links; layer l at first + (l - 1) * links
};
static_assert(sizeof(Tower) == 16);

constexpr std::uint32_t kMaxLevel = 31;
constexpr std::uint32_t kMaxRows = 0x7FFFFFFFu;  // Pool keeps a flag in the top bit of a row

/// The memory of an index at one capacity. Links end at the first kNoRow or when the list is full.
struct State {
  std::size_t capacity = 0;  ///< rows
  std::uint32_t width = 0;   ///< base links per row: 2 * links
  std::uint32_t links = 0;   ///< upper links per layer
  Buffer codes;              ///< capacity x codec stride
  Buffer refine;             ///< capacity x refine stride, or empty
  Buffer base_links;         ///< capacity x width
  Buffer ids;                ///< int64 x capacity; empty while ids are row numbers
  std::size_t tower_capacity = 0;
  std::size_t tower_slots = 0;  ///< allocated slots of tower_links
  Buffer towers;                ///< Tower x tower_capacity
  Buffer tower_links;           ///< Link x tower_slots

  const Link* base(std::uint32_t row) const noexcept {
    return reinterpret_cast<const Link*>(base_links.data()) + std::size_t{row} * width;
  }
  Link* mutable_base(std::uint32_t row) noexcept {
    return reinterpret_cast<Link*>(base_links.mutable_data()) + std::size_t{row} * width;
  }
  const Tower& tower(std::uint32_t t) const noexcept {
    return reinterpret_cast<const Tower*>(towers.data())[t];
  }
  const Link* upper(std::uint32_t t, std::uint32_t level) const noexcept {
    return reinterpret_cast<const Link*>(tower_links.data()) + tower(t).first +
           std::size_t{level - 1} * links;
  }
  Link* mutable_upper(std::uint32_t t, std::uint32_t level) noexcept {
    return reinterpret_cast<Link*>(tower_links.mutable_data()) + tower(t).first +
           std::size_t{level - 1} * links;
  }
  const std::int64_t* id_table() const noexcept {
    return reinterpret_cast<const std::int64_t*>(ids.data());
  }
  std::int64_t id(std::uint32_t row) const noexcept {
    return ids.size() == 0 ? static_cast<std::int64_t>(row) : id_table()[row];
  }
};

/// What a search sees.
struct Snapshot {
  std::shared_ptr<State> state;
  std::uint32_t rows = 0;
  std::uint32_t towers = 0;
  std::uint32_t entry = kNoRow;  ///< tower to start from; kNoRow: no tower, start from row 0
  std::uint32_t top = 0;         ///< level of that tower
  std::shared_ptr<const Bitmap> dead;  ///< removed rows; null while there are none
  std::uint32_t removed = 0;
  std::uint64_t numbering = 0;  ///< how often rows got new numbers

  std::uint32_t live() const noexcept { return rows - removed; }
  bool numbered() const noexcept { return state == nullptr || state->ids.size() == 0; }
  std::int64_t id(std::uint32_t row) const noexcept { return state->id(row); }
  bool gone(std::uint32_t row) const noexcept { return dead && dead->test(row); }
};

}  // namespace vicinal::indexes
