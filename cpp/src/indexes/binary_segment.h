#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/parallel.h"
#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::indexes {

// Rows live in segments, and a segment never changes once it has been made: a search looks at those
// it found and needs no lock, and the writer makes new ones. An addition takes in the segments
// before it that are no larger, so that there are few, and each row moves a few times at most.

constexpr std::uint32_t kSpanRows = 256;  ///< of one entry of BitSegment::spans

constexpr std::size_t bit_words(std::size_t dim) noexcept { return (dim + 63) / 64; }
constexpr std::size_t bit_bytes(std::size_t dim) noexcept { return (dim + 7) / 8; }
constexpr std::size_t kSumWords = 4;
/// Words that the sums of a row take; 0 where there are none.
constexpr std::size_t sum_words(std::size_t words, BitMetric metric) noexcept {
  return metric == BitMetric::kJaccard && words >= kSumWords ? (words + 7) / 8 : 0;
}
constexpr std::uint64_t spans_of(std::uint64_t rows) noexcept {
  return (rows + kSpanRows - 1) / kSpanRows;
}

/// The least and the most bits of the rows of a span.
struct BitSpan {
  std::uint32_t least;
  std::uint32_t most;
};

/// Rows of bits in blocks (kernels/bits.h). Under Hamming they stand by id; under Jaccard by the
/// number of their bits, then by id: what cannot be near enough then lies together.
struct BitSegment {
  std::uint32_t rows = 0;  ///< never 0
  std::size_t words = 0;
  bool mapped = false;
  std::int64_t first_id = 0;  ///< ids are first_id + row where there is no table of them
  Buffer codes;
  Buffer ids;     ///< int64 x rows, or empty
  Buffer counts;  ///< u32 x rows: bits of each; Jaccard only
  Buffer order;   ///< u32 x rows: rows by ascending id; Jaccard only
  Buffer spans;   ///< BitSpan x spans; Jaccard only
  /// Jaccard, rows of kSumWords and more: bits of each word, a byte each, eight of them as a word,
  /// in blocks as the codes. Reading these eighths of the codes spares reading most of them.
  Buffer sums;
  std::int64_t least_id = 0;
  std::int64_t most_id = 0;

  std::uint64_t block_count() const noexcept { return (std::uint64_t{rows} + 7) / 8; }
  std::int64_t id(std::uint32_t row) const noexcept {
    return ids.size() == 0 ? first_id + static_cast<std::int64_t>(row)
                           : reinterpret_cast<const std::int64_t*>(ids.data())[row];
  }
  std::uint32_t count(std::uint32_t row) const noexcept {
    return reinterpret_cast<const std::uint32_t*>(counts.data())[row];
  }
  const BitSpan& span(std::uint64_t number) const noexcept {
    return reinterpret_cast<const BitSpan*>(spans.data())[number];
  }
  /// The row with the place-th smallest id. A damaged file may say anything: never beyond the rows.
  std::uint32_t by_id(std::uint32_t place) const noexcept {
    if (order.size() == 0) return place;
    const std::uint32_t row = reinterpret_cast<const std::uint32_t*>(order.data())[place];
    return row < rows ? row : 0;
  }
  /// Sets least_id and most_id.
  void bound_ids() noexcept;
  std::uint32_t find(std::int64_t wanted) const noexcept;  ///< kNoRow if absent
  void read(std::uint32_t row, std::uint64_t* out) const noexcept;  ///< `words` of them
};

/// Where a row of a segment to be made comes from: row `row` of `segment`, or of what is added.
struct BitOrigin {
  const BitSegment* segment;
  std::uint32_t row;
  std::uint32_t count;  ///< bits; 0 under Hamming
  std::int64_t id;
};

/// Makes a segment of these rows, in whatever order they are. `done` counts rows, and the ticker
/// follows it; both may be null.
std::shared_ptr<const BitSegment> make_segment(std::vector<BitOrigin>& origins,
                                               const VectorsView& added, std::size_t words,
                                               BitMetric metric, const RunOptions& run,
                                               std::atomic<std::uint64_t>* done, Ticker* ticker);

/// Rows that a segment may hold: so many that sorting pays, and so few that moving them does not
/// hurt.
std::uint32_t most_segment_rows(std::size_t words) noexcept;

/// Throws DimensionError unless the rows are packed uint8 rows of `dim` bits, ArgumentError if any
/// has bits beyond them.
void check_bits(const VectorsView& rows, const char* array, std::size_t dim, const RunOptions& run);
/// Packed row r as words.
void read_bits(const VectorsView& rows, std::size_t r, std::size_t words, std::uint64_t* out);
/// Bits of each word, as BitSegment::sums has them: (words + 7) / 8 words.
void sum_bits(const std::uint64_t* row, std::size_t words, std::uint64_t* out) noexcept;
/// Bits set in each row.
std::vector<std::uint32_t> count_bits(const VectorsView& rows, std::size_t words,
                                      const RunOptions& run);

}  // namespace vicinal::indexes
