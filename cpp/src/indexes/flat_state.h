#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "quantizers/codec.h"
#include "vicinal/types.h"

namespace vicinal::indexes {

// Threads. One writer at a time. A search takes a snapshot and never waits: the writer fills rows
// at or beyond FlatSnapshot::rows, which no snapshot looks at, and replaces everything else.

/// The memory of an index at one capacity.
struct FlatStore {
  std::size_t capacity = 0;  ///< rows
  Buffer codes;              ///< capacity x codec stride
  Buffer ids;                ///< int64 x capacity; empty while ids are row numbers

  const std::int64_t* id_table() const noexcept {
    return reinterpret_cast<const std::int64_t*>(ids.data());
  }
};

/// What a search sees.
struct FlatSnapshot {
  std::shared_ptr<const quantizers::Codec> codec;  ///< null until the first rows came
  std::shared_ptr<FlatStore> store;                ///< null while there are no rows
  std::uint32_t rows = 0;
  std::uint32_t removed = 0;
  std::uint64_t next_id = 0;           ///< the highest id so far + 1
  bool ascending = true;  ///< ids rise with the rows, so that ties by row are ties by id
  std::shared_ptr<const Bitmap> dead;  ///< removed rows; null while there are none

  std::uint32_t live() const noexcept { return rows - removed; }
  bool numbered() const noexcept { return store == nullptr || store->ids.size() == 0; }
  std::int64_t id(std::uint32_t row) const noexcept {
    return store->ids.size() == 0 ? static_cast<std::int64_t>(row) : store->id_table()[row];
  }
  bool gone(std::uint32_t row) const noexcept { return dead && dead->test(row); }
};

}  // namespace vicinal::indexes
