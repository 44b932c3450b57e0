#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/topk.h"
#include "quantizers/codec.h"

namespace vicinal::indexes {

/// How the score of a row becomes the distance that is kept, and what the row is called.
///   distance = max(least, factor * score + offset + (add ? add[row] : 0)), rounded in this order
struct PackedTerms {
  float factor = 1.0f;
  float offset = 0.0f;
  const float* add = nullptr;  ///< rows() of them
  float least = -std::numeric_limits<float>::infinity();
  std::uint32_t base = 0;                  ///< row r goes to the top-k as base + r ...
  const std::uint32_t* numbers = nullptr;  ///< ... or, if given, as numbers[r]; rows() of them
  const Bitmap* allowed = nullptr;         ///< only rows whose bit is set; at least rows() bits
};

/// Rows of a codec that has blocks, packed kBlockRows by kBlockRows: row r lies in place
/// r % kBlockRows of block r / kBlockRows.
///
/// A copy shares memory and keeps, for good, the rows there were: a snapshot. append() writes
/// only where no copy looks, set() and remove() make a copy of their own first if there is another.
/// Objects that share memory have one writer at a time among them; readers need no lock.
class PackedRows {
 public:
  /// Throws ArgumentError if the codec has no blocks.
  explicit PackedRows(std::shared_ptr<const quantizers::Codec> codec);
  /// blocks_of(rows) blocks as a file holds them, 64-byte aligned; `owner` keeps them alive.
  /// mapped: they are not memory that anybody took.
  static PackedRows borrow(std::shared_ptr<const quantizers::Codec> codec, const std::byte* blocks,
                           std::size_t rows, std::shared_ptr<const void> owner, bool mapped = true);

  const quantizers::Codec& codec() const noexcept { return *codec_; }
  std::size_t rows() const noexcept { return rows_; }
  std::size_t blocks() const noexcept { return blocks_of(rows_); }
  static constexpr std::size_t blocks_of(std::size_t rows) noexcept {
    return (rows + quantizers::kBlockRows - 1) / quantizers::kBlockRows;
  }
  /// Whole blocks, rows() / kBlockRows of them, follow one another from block(0) on. The block
  /// begun, if there is one, lies apart: readers must not see it being filled.
  const std::byte* block(std::size_t b) const noexcept;
  /// Bytes that all blocks take in a file.
  std::size_t bytes() const noexcept { return blocks() * block_bytes_; }
  /// Bytes taken from the system, those shared with copies included.
  std::size_t memory() const noexcept;
  /// Whether the blocks are those of a mapped file.
  bool mapped() const noexcept { return mapped_; }

  /// Calls use(first block, blocks) for at most `most` blocks at a time that lie one after the
  /// other and together hold rows [first, last), but for blocks without a row that is allowed.
  template <class Use>
  void walk(std::size_t first, std::size_t last, std::size_t most, const Bitmap* allowed,
            const Use& use) const {
    if (first >= last) return;
    const std::size_t end = blocks_of(last), whole = full();
    const auto any = [allowed](std::size_t b) { return !allowed || bits_of(*allowed, b) != 0; };
    for (std::size_t b = first / quantizers::kBlockRows; b < end;) {
      if (!any(b)) {
        ++b;
        continue;
      }
      const std::size_t limit = b < whole ? std::min({end, whole, b + most}) : b + 1;
      std::size_t stop = b + 1;
      while (stop < limit && any(stop)) ++stop;
      use(b, stop - b);
      b = stop;
    }
  }
  /// Bits of the rows of one block.
  static std::uint32_t bits_of(const Bitmap& allowed, std::size_t block) noexcept {
    static_assert(quantizers::kBlockRows == 32);
    const std::size_t word = block / 2;
    if (word >= allowed.words().size()) return 0;
    return static_cast<std::uint32_t>(allowed.words()[word] >> (block % 2 * 32));
  }
  /// +inf for rows of these blocks that are not allowed.
  static void hide(const Bitmap& allowed, std::size_t first_block, std::size_t blocks,
                   float* distances) noexcept;

  /// Room for this many rows in all.
  void reserve(std::size_t rows);
  /// n stored rows, codec().stride() bytes apart.
  void append(const std::byte* rows, std::size_t n);
  void set(std::size_t row, const std::byte* stored);
  /// The last row takes the place of this one.
  void remove(std::size_t row);
  void get(std::size_t row, std::byte* stored) const;  ///< codec().stride() bytes

  /// Offers rows [first, last) to top, which then holds what it would after all their distances.
  void scan(const quantizers::BlockQuery& query, std::size_t first, std::size_t last,
            const PackedTerms& terms, BlockTopK& top) const;
  /// The same for several queries, which share each reading of the rows: terms[q] and tops[q] go
  /// with queries[q].
  void scan(const quantizers::BlockQuery* const* queries, std::size_t count, std::size_t first,
            std::size_t last, const PackedTerms* terms, BlockTopK* const* tops) const;
  /// Distances of rows [first, last), in order; base, numbers and allowed do not matter.
  void score(const quantizers::BlockQuery& query, std::size_t first, std::size_t last,
             const PackedTerms& terms, float* out) const;

 private:
  /// Memory for whole blocks.
  struct Store {
    Buffer blocks;
    std::size_t capacity;  ///< blocks
    std::size_t used;      ///< blocks that some object looks at
  };

  /// Set by whoever made memory of its own, lost by both when it is copied.
  class Alone {
   public:
    Alone() = default;
    Alone(const Alone& other) noexcept { other.yes_.store(false, std::memory_order_relaxed); }
    Alone(Alone&& other) noexcept : yes_(other.get()) {}
    Alone& operator=(const Alone& other) noexcept {
      other.yes_.store(false, std::memory_order_relaxed);
      yes_.store(false, std::memory_order_relaxed);
      return *this;
    }
    Alone& operator=(Alone&& other) noexcept {
      yes_.store(other.get(), std::memory_order_relaxed);
      return *this;
    }
    bool get() const noexcept { return yes_.load(std::memory_order_relaxed); }
    void set() noexcept { yes_.store(true, std::memory_order_relaxed); }

   private:
    mutable std::atomic<bool> yes_{false};
  };

  std::size_t full() const noexcept { return rows_ / quantizers::kBlockRows; }
  void copy_store(std::size_t capacity);
  void room_for(std::size_t blocks);
  std::byte* new_tail();
  std::byte* writable(std::size_t b);

  std::shared_ptr<const quantizers::Codec> codec_;
  std::size_t block_bytes_;
  std::size_t rows_ = 0;
  bool mapped_ = false;
  std::shared_ptr<Store> store_;
  std::shared_ptr<Buffer> tail_;
  Alone store_alone_;
  Alone tail_alone_;
};

}  // namespace vicinal::indexes
