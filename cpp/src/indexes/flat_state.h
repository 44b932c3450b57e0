#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "indexes/packed_rows.h"
#include "quantizers/codec.h"
#include "vicinal/types.h"

namespace vicinal::indexes {

// Threads. One writer at a time. A search takes a snapshot and never waits: the writer fills rows
// at or beyond FlatSnapshot::rows, which no snapshot looks at, and replaces everything else.

/// The memory of an index at one capacity.
struct FlatStore {
  std::size_t capacity = 0;  ///< rows
  Buffer codes;              ///< capacity x codec stride; empty if rows are packed
  Buffer ids;                ///< int64 x capacity; empty while ids are row numbers

  const std::int64_t* id_table() const noexcept {
    return reinterpret_cast<const std::int64_t*>(ids.data());
  }
};

/// What a search sees.
struct FlatSnapshot {
  std::shared_ptr<const quantizers::Codec> codec;  ///< null until the first rows came
  std::shared_ptr<FlatStore> store;                ///< null while there are no rows
  std::shared_ptr<const PackedRows> packed;        ///< the codes, if blocks() of the codec
  std::uint32_t rows = 0;
  std::uint32_t removed = 0;
  std::uint64_t next_id = 0;           ///< the highest id so far + 1
  std::uint64_t numbering = 0;         ///< how often rows got new numbers
  bool ascending = true;  ///< ids rise with the rows, so that ties by row are ties by id
  std::shared_ptr<const Bitmap> dead;  ///< removed rows; null while there are none

  std::uint32_t live() const noexcept { return rows - removed; }
  bool numbered() const noexcept { return store == nullptr || store->ids.size() == 0; }
  std::int64_t id(std::uint32_t row) const noexcept {
    return store->ids.size() == 0 ? static_cast<std::int64_t>(row) : store->id_table()[row];
  }
  /// Whether rows lie in blocks, and not one after the other: where a scan of blocks can tell which
  /// rows are worth an exact score.
  static bool blocks(const quantizers::Codec& codec) noexcept { return codec.has_bounds(); }
  /// A stored row: where it lies, or unpacked into `room`, codec->stride() bytes.
  const std::byte* codes(std::size_t row, std::byte* room) const {
    if (packed == nullptr) return store->codes.data() + row * codec->stride();
    packed->get(row, room);
    return room;
  }
  bool gone(std::uint32_t row) const noexcept { return dead && dead->test(row); }
};

}  // namespace vicinal::indexes
