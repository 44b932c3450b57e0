#include "indexes/binary_segment.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/parallel.h"
#include "kernels/bits.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal::indexes {
namespace {

using kernels::kBitBlock;

constexpr std::size_t kSegmentBytes = std::size_t{64} << 20;
constexpr std::uint32_t kMostRows = std::uint32_t{1} << 20;
constexpr std::size_t kBlockGrain = 64;  // blocks written together
constexpr std::size_t kRowGrain = 512;   // rows checked or counted together

const std::byte* row_start(const VectorsView& view, std::size_t r) {
  return static_cast<const std::byte*>(view.data) +
         static_cast<std::ptrdiff_t>(r) * view.row_stride;
}

}  // namespace

std::uint32_t most_segment_rows(std::size_t words) noexcept {
  const std::size_t fit = kSegmentBytes / (words * 8) / kSpanRows * kSpanRows;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(fit, kSpanRows, kMostRows));
}

void BitSegment::bound_ids() noexcept {
  least_id = id(by_id(0));
  most_id = id(by_id(rows - 1));
}

std::uint32_t BitSegment::find(std::int64_t wanted) const noexcept {
  if (wanted < least_id || wanted > most_id) return kNoRow;
  std::uint32_t low = 0;
  std::uint32_t high = rows;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (id(by_id(middle)) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == rows) return kNoRow;
  const std::uint32_t row = by_id(low);
  return id(row) == wanted ? row : kNoRow;
}

void BitSegment::read(std::uint32_t row, std::uint64_t* out) const noexcept {
  const std::byte* at = codes.data() + row / kBitBlock * kernels::bit_block_bytes(words) +
                        row % kBitBlock * sizeof(std::uint64_t);
  for (std::size_t w = 0; w < words; ++w) {
    std::memcpy(out + w, at + w * kBitBlock * sizeof(std::uint64_t), sizeof(std::uint64_t));
  }
}

void sum_bits(const std::uint64_t* row, std::size_t words, std::uint64_t* out) noexcept {
  for (std::size_t w = 0; w < words; ++w) {
    std::uint64_t x = row[w];
    x -= (x >> 1) & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + ((x >> 2) & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Full;
    const std::uint64_t ones = (x * 0x0101010101010101ull) >> 56;
    if (w % 8 == 0) out[w / 8] = 0;
    out[w / 8] |= ones << (w % 8 * 8);
  }
}

void read_bits(const VectorsView& rows, std::size_t r, std::size_t words, std::uint64_t* out) {
  out[words - 1] = 0;
  const std::byte* from = row_start(rows, r);
  if (rows.col_stride == 1) {
    std::memcpy(out, from, rows.cols);
    return;
  }
  auto* to = reinterpret_cast<std::byte*>(out);
  for (std::size_t c = 0; c < rows.cols; ++c, from += rows.col_stride) to[c] = *from;
}

void check_bits(const VectorsView& rows, const char* array, std::size_t dim,
                const RunOptions& run) {
  const std::size_t bytes = bit_bytes(dim);
  if (rows.type != ElementType::kUint8) {
    throw ArgumentError(std::string(array) + " holds " + name(rows.type) +
                        "; wanted packed bits as uint8");
  }
  if (rows.cols != bytes) {
    throw DimensionError(std::string(array) + " has " + std::to_string(rows.cols) +
                         " columns; this index holds rows of " + std::to_string(dim) +
                         " bits in " + std::to_string(bytes) + " bytes");
  }
  if (dim % 8 == 0) return;
  const auto spare = static_cast<unsigned>(0xFFu >> (dim % 8));
  std::atomic<std::size_t> bad{rows.rows};
  parallel_for(rows.rows, kRowGrain, run, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t r = begin; r < end; ++r) {
      const std::byte* last =
          row_start(rows, r) + static_cast<std::ptrdiff_t>(bytes - 1) * rows.col_stride;
      if ((static_cast<unsigned>(*last) & spare) == 0) continue;
      std::size_t known = bad.load(std::memory_order_relaxed);
      while (r < known && !bad.compare_exchange_weak(known, r, std::memory_order_relaxed)) {
      }
      return;
    }
  });
  if (bad.load() == rows.rows) return;
  throw ArgumentError(std::string(array) + ": row " + std::to_string(bad.load()) +
                      " has bits set beyond the " + std::to_string(dim) +
                      " that this index holds");
}

std::vector<std::uint32_t> count_bits(const VectorsView& rows, std::size_t words,
                                      const RunOptions& run) {
  std::vector<std::uint32_t> counts(rows.rows);
  const std::vector<std::uint64_t> nothing(words, 0);
  const auto* query = reinterpret_cast<const std::byte*>(nothing.data());
  const auto count = kernels::active().bits->hamming_rows;
  parallel_for(rows.rows, kRowGrain, run, [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<std::uint64_t> row(words);
    const auto* packed = reinterpret_cast<const std::byte*>(row.data());
    for (std::size_t r = begin; r < end; ++r) {
      read_bits(rows, r, words, row.data());
      count(query, packed, words * 8, 1, words * 8, &counts[r]);
    }
  });
  return counts;
}

std::shared_ptr<const BitSegment> make_segment(std::vector<BitOrigin>& origins,
                                               const VectorsView& added, std::size_t words,
                                               BitMetric metric, const RunOptions& run,
                                               std::atomic<std::uint64_t>* done, Ticker* ticker) {
  const auto before = [](const BitOrigin& a, const BitOrigin& b) {
    return a.count < b.count || (a.count == b.count && a.id < b.id);
  };
  if (!std::is_sorted(origins.begin(), origins.end(), before)) {
    std::sort(origins.begin(), origins.end(), before);
  }
  auto made = std::make_shared<BitSegment>();
  const std::size_t rows = origins.size();
  made->rows = static_cast<std::uint32_t>(rows);
  made->words = words;
  made->first_id = origins.front().id;
  const bool numbered = [&] {
    for (std::size_t i = 0; i < rows; ++i) {
      // Unsigned: a difference of two ids may not fit.
      if (static_cast<std::uint64_t>(origins[i].id) !=
          static_cast<std::uint64_t>(origins.front().id) + i) {
        return false;
      }
    }
    return true;
  }();
  if (!numbered) {
    made->ids = Buffer::allocate(rows * sizeof(std::int64_t));
    auto* ids = reinterpret_cast<std::int64_t*>(made->ids.mutable_data());
    for (std::size_t i = 0; i < rows; ++i) ids[i] = origins[i].id;
  }
  if (metric == BitMetric::kJaccard) {
    made->counts = Buffer::allocate(rows * sizeof(std::uint32_t));
    made->order = Buffer::allocate(rows * sizeof(std::uint32_t));
    made->spans = Buffer::allocate(spans_of(rows) * sizeof(BitSpan));
    auto* counts = reinterpret_cast<std::uint32_t*>(made->counts.mutable_data());
    auto* order = reinterpret_cast<std::uint32_t*>(made->order.mutable_data());
    auto* spans = reinterpret_cast<BitSpan*>(made->spans.mutable_data());
    for (std::size_t i = 0; i < rows; ++i) {
      counts[i] = origins[i].count;
      order[i] = static_cast<std::uint32_t>(i);
    }
    std::sort(order, order + rows, [&](std::uint32_t a, std::uint32_t b) {
      return origins[a].id < origins[b].id;
    });
    for (std::size_t s = 0; s * kSpanRows < rows; ++s) {
      spans[s].least = counts[s * kSpanRows];
      spans[s].most = counts[std::min<std::size_t>(rows, (s + 1) * kSpanRows) - 1];
    }
  }
  made->codes = Buffer::allocate(made->block_count() * kernels::bit_block_bytes(words));
  std::byte* const codes = made->codes.mutable_data();
  const std::size_t summed = sum_words(words, metric);
  std::byte* sums = nullptr;
  if (summed != 0) {
    made->sums = Buffer::allocate(made->block_count() * kernels::bit_block_bytes(summed));
    sums = made->sums.mutable_data();
  }
  const auto put = [](const std::vector<std::uint64_t>& from, std::size_t count, std::size_t i,
                      std::byte* blocks) {
    std::byte* to = blocks + i / kBitBlock * kernels::bit_block_bytes(count) +
                    i % kBitBlock * sizeof(std::uint64_t);
    for (std::size_t w = 0; w < count; ++w) {
      std::memcpy(to + w * kBitBlock * sizeof(std::uint64_t), &from[w], sizeof(std::uint64_t));
    }
  };
  parallel_for(
      made->block_count(), kBlockGrain, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<std::uint64_t> row(words);
        std::vector<std::uint64_t> row_sums(summed);
        const std::size_t last = std::min(rows, end * kBitBlock);
        for (std::size_t i = begin * kBitBlock; i < last; ++i) {
          const BitOrigin& from = origins[i];
          if (from.segment != nullptr) {
            from.segment->read(from.row, row.data());
          } else {
            read_bits(added, from.row, words, row.data());
          }
          put(row, words, i, codes);
          if (summed != 0) {
            sum_bits(row.data(), words, row_sums.data());
            put(row_sums, summed, i, sums);
          }
        }
        if (done != nullptr) {
          done->fetch_add(last - begin * kBitBlock, std::memory_order_relaxed);
        }
      },
      ticker);
  made->bound_ids();
  return made;
}

}  // namespace vicinal::indexes
