#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "base/id_map.h"
#include "vicinal/types.h"

namespace vicinal::indexes {

/// An ArgumentError about ids[place], which is `id`.
[[noreturn]] void refuse_id(std::size_t place, std::int64_t id, const char* why);

/// An ArgumentError about an id that is not there.
[[noreturn]] void refuse_id(std::int64_t id);

/// Whether new ids rise, beginning at `first` or above.
bool ids_rise(const std::int64_t* ids, std::size_t count, std::uint64_t first);

/// Throws ArgumentError unless ids can be given to new rows: 0 or more, none twice, none found yet.
/// find(id): its row, or kNoRow.
template <class Find>
void check_new_ids(const std::int64_t* ids, std::size_t count, const Find& find) {
  IdMap fresh;
  fresh.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (ids[i] < 0) refuse_id(i, ids[i], "; ids are 0 or more");
    if (find(ids[i]) != kNoRow) refuse_id(i, ids[i], ", which this index already holds");
    if (!fresh.insert(ids[i], 0)) refuse_id(i, ids[i], " for the second time");
  }
}

/// What find(id) gives for each, in order. Throws ArgumentError unless all are found, none twice.
template <class Find>
std::vector<std::uint32_t> rows_to_remove(const std::int64_t* ids, std::size_t count,
                                          const Find& find) {
  IdMap seen;
  std::vector<std::uint32_t> rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    rows[i] = find(ids[i]);
    if (rows[i] == kNoRow) refuse_id(i, ids[i], ", which this index does not hold");
    if (!seen.insert(ids[i], 0)) refuse_id(i, ids[i], " for the second time");
  }
  return rows;
}

/// Which row holds an id, in an index that publishes snapshots of itself. The map is made when it
/// is first asked for, taken further over rows that came since when it is asked again, and made
/// anew where rows have other numbers: those who change the index need not care, but for counting
/// `numbering` up in a snapshot whose rows are numbered anew.
///
/// A snapshot has rows, live(), id(row), gone(row), numbering, and numbered(): ids are row numbers,
/// and no map is needed.
class RowIds {
 public:
  /// Calls use(at, find) with the snapshot of this moment, as now() gives it; find(id) is the live
  /// row of that id in it, or kNoRow. Never waits for those who change the index, but for others
  /// who look for ids while the map is made.
  template <class Now, class Use>
  void with(const Now& now, const Use& use) const {
    {
      const std::shared_lock<std::shared_mutex> lock(mutex_);
      const auto at = now();
      if (at->numbered() || (numbering_ == at->numbering && known_ == at->rows)) {
        use(at, Finder<decltype(at)>{at, map_});
        return;
      }
    }
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    const auto at = now();
    if (!at->numbered()) take_in(*at);
    use(at, Finder<decltype(at)>{at, map_});
  }

  template <class Now>
  bool contains(const Now& now, std::int64_t id) const {
    bool found = false;
    with(now, [&](const auto&, const auto& find) { found = find(id) != kNoRow; });
    return found;
  }

  /// The snapshot of this moment and its row of that id. Throws ArgumentError if there is none.
  template <class Now>
  auto row_of(const Now& now, std::int64_t id) const {
    std::pair<decltype(now()), std::uint32_t> found;
    with(now, [&](const auto& at, const auto& find) { found = {at, find(id)}; });
    if (found.second == kNoRow) refuse_id(id);
    return found;
  }

  std::size_t bytes() const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    return map_.bytes();
  }

 private:
  template <class View>
  struct Finder {
    const View& at;
    const IdMap& map;

    std::uint32_t operator()(std::int64_t id) const noexcept {
      if (id < 0) return kNoRow;
      std::uint32_t row = kNoRow;
      if (!at->numbered()) {
        row = map.find(id);
      } else if (static_cast<std::uint64_t>(id) < at->rows) {
        row = static_cast<std::uint32_t>(id);
      }
      return row != kNoRow && !at->gone(row) ? row : kNoRow;
    }
  };

  template <class Snapshot>
  void take_in(const Snapshot& at) const {
    if (numbering_ != at.numbering) {
      map_.clear();
      known_ = 0;
      numbering_ = at.numbering;
    }
    map_.reserve(at.live());
    for (std::uint32_t row = known_; row < at.rows; ++row) {
      // A damaged file may hold anything; negative ids cannot be asked for.
      if (!at.gone(row) && at.id(row) >= 0) map_.assign(at.id(row), row);
    }
    known_ = at.rows;
  }

  // Taken before whatever now() takes: no newer snapshot than its own has gone into the map then.
  mutable std::shared_mutex mutex_;
  mutable IdMap map_;  // of the first `known_` rows, so numbered; removed ones may be among them
  mutable std::uint32_t known_ = 0;
  mutable std::uint64_t numbering_ = 0;
};

}  // namespace vicinal::indexes
