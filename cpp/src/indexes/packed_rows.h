#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/topk.h"
#include "quantizers/codec.h"

namespace vicinal::indexes {

/// How the score of a row becomes the distance that is kept, and what the row is called.
///   distance = offset + factor * score + (add ? add[row] : 0)
struct PackedTerms {
  float offset = 0.0f;
  float factor = 1.0f;
  const float* add = nullptr;              ///< a term for each row of the PackedRows
  std::uint32_t base = 0;                  ///< row r goes to the top-k as base + r ...
  const std::uint32_t* numbers = nullptr;  ///< ... or, if given, as numbers[r]
  const Bitmap* allowed = nullptr;         ///< only rows whose bit is set; a bit for each row
};

/// Rows of a codec that has blocks, packed kBlockRows by kBlockRows: row r lies in place
/// r % kBlockRows of block r / kBlockRows.
///
/// A copy shares memory and sees, for good, the rows there were: that is a snapshot. append() on
/// the newest copy writes only where no older one looks; on an older one, or after set() or
/// remove(), it copies first. One writer at a time over all copies; readers need no lock.
class PackedRows {
 public:
  /// Throws ArgumentError if the codec has no blocks.
  explicit PackedRows(std::shared_ptr<const quantizers::Codec> codec);
  /// blocks() of them as a file holds them, 64-byte aligned; `owner` keeps them alive.
  static PackedRows borrow(std::shared_ptr<const quantizers::Codec> codec, const std::byte* blocks,
                           std::size_t rows, std::shared_ptr<const void> owner);

  const quantizers::Codec& codec() const noexcept { return *codec_; }
  std::size_t rows() const noexcept { return rows_; }
  std::size_t blocks() const noexcept { return blocks_of(rows_); }
  static constexpr std::size_t blocks_of(std::size_t rows) noexcept {
    return (rows + quantizers::kBlockRows - 1) / quantizers::kBlockRows;
  }
  /// Bytes that blocks() take in a file.
  std::size_t bytes() const noexcept { return blocks() * block_bytes_; }
  /// Block b; those below rows() / kBlockRows follow one another, the last, begun one lies apart.
  const std::byte* block(std::size_t b) const noexcept;
  /// Real memory, that shared with other copies included.
  std::size_t memory() const noexcept;

  void reserve(std::size_t rows);
  /// n stored rows, codec().stride() bytes apart.
  void append(const std::byte* rows, std::size_t n);
  void set(std::size_t row, const std::byte* stored);
  /// The last row takes the place of this one.
  void remove(std::size_t row);
  void get(std::size_t row, std::byte* stored) const;  ///< codec().stride() bytes

  /// Offers rows [first, last) to top: what it keeps is what it would keep of all their distances.
  void scan(const quantizers::BlockQuery& query, std::size_t first, std::size_t last,
            const PackedTerms& terms, BlockTopK& top) const;
  /// The same for several queries, which share each reading of the rows: terms[q] and tops[q]
  /// belong to queries[q].
  void scan(const quantizers::BlockQuery* const* queries, std::size_t count, std::size_t first,
            std::size_t last, const PackedTerms* terms, BlockTopK* const* tops) const;
  /// Distances of rows [first, last) into out[0 ..]; allowed, base and numbers do not matter here.
  void score(const quantizers::BlockQuery& query, std::size_t first, std::size_t last,
             const PackedTerms& terms, float* out) const;

 private:
  struct Store;  // whole blocks

  std::size_t full() const noexcept { return rows_ / quantizers::kBlockRows; }
  std::byte* own_block(std::size_t b);
  std::byte* own_tail();
  void own(std::size_t blocks);

  std::shared_ptr<const quantizers::Codec> codec_;
  std::size_t block_bytes_;
  std::size_t rows_ = 0;
  std::shared_ptr<Store> store_;
  std::shared_ptr<Buffer> tail_;  // the block begun: readers must not see it being filled
};

}  // namespace vicinal::indexes
