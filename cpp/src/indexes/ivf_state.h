#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "quantizers/codec.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::indexes {

// Threads. One writer at a time. A search takes a snapshot and never waits. The writer changes
// memory that snapshots share in one way only: it fills rows at or beyond IvfSnapshot::rows and
// entries at or beyond IvfList::count, where no snapshot looks. A list whose last block of packed
// codes is begun but not full is copied before it grows, since a block is scored whole. Everything
// else is replaced, never changed.

/// Everything that was learned; immutable.
///
/// An entry of residual codes stands for c + y, c being the centroid of its list and y what the
/// code stands for. So that a query is prepared once and not once for each list, the codec gives
/// inner products with the query itself:
///   ||q - (c + y)||^2 = ||q - c||^2 + (||y||^2 + 2 <c, y>) - 2 <q, y>
/// The bracket is the term of the entry, the first part the base of the list. Codes that only
/// estimate inner products, of the residual r itself, have the term ||r||^2 + 2 <c, y>.
struct IvfModel {
  std::uint32_t lists = 0;
  bool residual = false;
  bool terms = false;   ///< entries have one
  bool packed = false;  ///< codes lie in blocks
  std::shared_ptr<const quantizers::Codec> codec;
  std::shared_ptr<const quantizers::Codec> refine;  ///< null without a refine store

  // Centroids are looked through in 8 bits, the best of them compared again in floats.
  std::shared_ptr<const quantizers::Codec> exact;  ///< float32; l2 if the metric is, else ip
  Buffer centroids;                                ///< lists x exact->stride()
  std::shared_ptr<const quantizers::Codec> rough;  ///< null where looking at all in floats is quick
  Buffer rough_codes;

  const float* centroid(std::uint32_t list) const noexcept {
    return reinterpret_cast<const float*>(centroids.data() + std::size_t{list} * exact->stride());
  }
  std::size_t code_bytes(std::size_t entries) const noexcept {
    constexpr std::size_t kRows = quantizers::kBlockRows;
    return packed ? (entries + kRows - 1) / kRows * codec->block_bytes()
                  : entries * codec->stride();
  }
  /// Where entry `at` (of packed codes: the first of its block) starts.
  std::size_t code_offset(std::size_t at) const noexcept {
    return packed ? at / quantizers::kBlockRows * codec->block_bytes() : at * codec->stride();
  }
};

/// Memory of one list or of many.
struct IvfArena {
  Buffer codes;
  Buffer rows;   ///< std::uint32_t
  Buffer terms;  ///< float; empty unless IvfModel::terms
};

/// Entries of one list, rows ascending.
struct IvfList {
  std::shared_ptr<IvfArena> arena;
  std::size_t code_at = 0;  ///< bytes
  std::size_t at = 0;       ///< entries
  std::uint32_t capacity = 0;
  std::uint32_t count = 0;

  const std::byte* codes() const noexcept { return arena->codes.data() + code_at; }
  const std::uint32_t* rows() const noexcept {
    return reinterpret_cast<const std::uint32_t*>(arena->rows.data()) + at;
  }
  const float* terms() const noexcept {
    return reinterpret_cast<const float*>(arena->terms.data()) + at;
  }
  std::byte* mutable_codes() noexcept { return arena->codes.mutable_data() + code_at; }
  std::uint32_t* mutable_rows() noexcept {
    return reinterpret_cast<std::uint32_t*>(arena->rows.mutable_data()) + at;
  }
  float* mutable_terms() noexcept {
    return reinterpret_cast<float*>(arena->terms.mutable_data()) + at;
  }
};

using IvfLists = std::vector<IvfList>;

/// The codec of a refine store; kFloat32, which learns nothing, where there is none.
constexpr CodecKind stored_as(RefineKind refine) noexcept {
  return refine == RefineKind::kFloat16 ? CodecKind::kFloat16
         : refine == RefineKind::kSq8   ? CodecKind::kSq8
                                        : CodecKind::kFloat32;
}

/// What is kept by row, at one capacity.
struct IvfStore {
  std::size_t capacity = 0;  ///< rows
  Buffer refine;             ///< capacity x refine stride, or empty
  Buffer ids;                ///< int64 x capacity; empty while ids are row numbers

  const std::int64_t* id_table() const noexcept {
    return reinterpret_cast<const std::int64_t*>(ids.data());
  }
};

/// What a search sees.
struct IvfSnapshot {
  std::shared_ptr<const IvfModel> model;  ///< null until it was trained
  std::shared_ptr<const IvfLists> lists;  ///< null as long
  std::shared_ptr<IvfStore> store;        ///< null while there are no rows
  std::uint32_t rows = 0;
  std::uint32_t removed = 0;
  std::uint64_t next_id = 0;           ///< the highest id so far + 1
  std::uint64_t numbering = 0;         ///< how often rows got new numbers
  std::uint32_t filled = 0;            ///< lists that are not empty
  std::shared_ptr<const Bitmap> dead;  ///< removed rows; null while there are none

  std::uint32_t live() const noexcept { return rows - removed; }
  bool numbered() const noexcept { return store == nullptr || store->ids.size() == 0; }
  std::int64_t id(std::uint32_t row) const noexcept {
    return store->ids.size() == 0 ? static_cast<std::int64_t>(row) : store->id_table()[row];
  }
  bool gone(std::uint32_t row) const noexcept { return dead && dead->test(row); }
  std::uint64_t entries() const noexcept {
    std::uint64_t sum = 0;
    if (lists) {
      for (const IvfList& list : *lists) sum += list.count;
    }
    return sum;
  }
};

}  // namespace vicinal::indexes
