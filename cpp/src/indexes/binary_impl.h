#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/bitmap.h"
#include "indexes/binary_segment.h"
#include "vicinal/binary.h"

namespace vicinal {

namespace indexes {

/// A segment, and which of its rows have been removed since.
struct BitPart {
  std::shared_ptr<const BitSegment> segment;
  std::shared_ptr<const Bitmap> dead;  ///< null while there are none
  std::uint32_t removed = 0;

  std::uint32_t live() const noexcept { return segment->rows - removed; }
  bool gone(std::uint32_t row) const noexcept { return dead && dead->test(row); }
};

/// Blocks of a part that are looked at together.
struct BitChunk {
  std::uint32_t part;
  std::uint32_t first;  ///< block
  std::uint32_t blocks;
  BitSpan bits;               ///< Jaccard: of their rows
  std::uint32_t most_so_far;  ///< Jaccard: bits of any row of this chunk or one before it
  std::uint32_t least_from;   ///< Jaccard: bits of any row of this chunk or one behind it

  std::uint64_t middle() const noexcept { return std::uint64_t{bits.least} + bits.most; }
};

struct BitPlace {
  std::size_t part = 0;
  std::uint32_t row = kNoRow;  ///< kNoRow: nowhere
};

/// What a search sees. Never changes once it is published.
struct BitSnapshot {
  std::vector<BitPart> parts;
  std::uint64_t next_id = 0;  ///< the highest id so far + 1

  std::uint64_t rows() const noexcept;
  std::uint64_t live() const noexcept;
  BitPlace find(std::int64_t id) const noexcept;
  /// Whether ids rise from part to part.
  bool ascending() const noexcept;
  /// Everything: under Hamming in order, under Jaccard by the middle of the number of their bits.
  /// Made when first asked for.
  const std::vector<BitChunk>& chunks(BitMetric metric) const;

 private:
  mutable std::once_flag listed_;
  mutable std::vector<BitChunk> chunks_;
};

}  // namespace indexes

struct BinaryIndex::Impl {
  using Snapshot = indexes::BitSnapshot;
  using View = std::shared_ptr<const Snapshot>;

  Impl(std::size_t dim, BitMetric metric);

  View view() const;
  void add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run);
  void remove(const std::int64_t* ids, std::size_t count);
  void get(std::int64_t id, std::uint8_t* out) const;
  std::vector<std::int64_t> ids() const;

  void search(const VectorsView& queries, MatrixView<std::int64_t> ids, MatrixView<float> distances,
              const Allowed& allowed, const RunOptions& run) const;
  RangeResult range_search(const VectorsView& queries, float radius, const Allowed& allowed,
                           const RunOptions& run) const;
  void rescore(const VectorsView& queries, MatrixView<const std::int64_t> candidates,
               MatrixView<std::int64_t> ids, MatrixView<float> distances,
               const RunOptions& run) const;

  MemoryReport memory() const;
  void save(const std::string& path, const std::string& metadata, const RunOptions& run) const;
  static std::unique_ptr<Impl> open(const std::string& path, OpenMode mode);

  const std::size_t dim;
  const BitMetric metric;
  const std::size_t words;

 private:
  void publish(View next);
  /// The order of the new ids, ascending; empty if they are in order. Throws ArgumentError.
  static std::vector<std::uint32_t> ascending_order(const Snapshot& now, const std::int64_t* ids,
                                                    std::size_t count);
  indexes::BitOrigin origin_of(const indexes::BitSegment& segment, std::uint32_t row) const;

  std::mutex writer_;              // add() and remove(), one at a time
  mutable std::mutex view_mutex_;  // held only to copy or swap the pointer
  View view_;
};

}  // namespace vicinal
