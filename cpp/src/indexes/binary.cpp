#include "vicinal/binary.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "base/parallel.h"
#include "indexes/binary_impl.h"
#include "indexes/row_ids.h"
#include "kernels/bits.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::BitOrigin;
using indexes::BitPart;
using indexes::BitPlace;
using indexes::BitSegment;

namespace indexes {
namespace {

// Blocks of a chunk stay in the first or second cache while the tiles of a batch go over them.
constexpr std::size_t kChunkBytes = std::size_t{32} << 10;
constexpr std::size_t kChunkBlocks = 128;  // at most

}  // namespace

std::uint64_t BitSnapshot::rows() const noexcept {
  std::uint64_t sum = 0;
  for (const BitPart& part : parts) sum += part.segment->rows;
  return sum;
}

std::uint64_t BitSnapshot::live() const noexcept {
  std::uint64_t sum = 0;
  for (const BitPart& part : parts) sum += part.live();
  return sum;
}

BitPlace BitSnapshot::find(std::int64_t id) const noexcept {
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const std::uint32_t row = parts[p].segment->find(id);
    if (row != kNoRow && !parts[p].gone(row)) return {p, row};
  }
  return {};
}

bool BitSnapshot::ascending() const noexcept {
  for (std::size_t p = 1; p < parts.size(); ++p) {
    if (parts[p].segment->least_id <= parts[p - 1].segment->most_id) return false;
  }
  return true;
}

const std::vector<BitChunk>& BitSnapshot::chunks(BitMetric metric) const {
  std::call_once(listed_, [&] {
    const bool spans = metric == BitMetric::kJaccard;
    std::vector<BitChunk> all;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const BitSegment& segment = *parts[p].segment;
      const std::size_t blocks = segment.block_count();
      const std::size_t step =
          spans ? kSpanRows / kernels::kBitBlock
                : std::clamp<std::size_t>(kChunkBytes / kernels::bit_block_bytes(segment.words), 1,
                                          kChunkBlocks);
      for (std::size_t first = 0; first < blocks;) {
        BitSpan bits{0, 0};
        std::size_t end = first + step;
        if (spans) {
          // Spans of nearly the same numbers of bits go together: less to weigh.
          bits = segment.span(first / step);
          for (; end < blocks && end + step <= first + kChunkBlocks; end += step) {
            const BitSpan& next = segment.span(end / step);
            if (next.most > bits.least + bits.least / 16) break;
            bits = {std::min(bits.least, next.least), std::max(bits.most, next.most)};
          }
        }
        end = std::min(end, blocks);
        all.push_back({static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(first),
                       static_cast<std::uint32_t>(end - first), bits, bits.most, bits.least});
        first = end;
      }
    }
    if (spans) {
      std::stable_sort(all.begin(), all.end(), [](const BitChunk& a, const BitChunk& b) {
        return a.middle() < b.middle();
      });
      for (std::size_t i = 1; i < all.size(); ++i) {
        all[i].most_so_far = std::max(all[i].most_so_far, all[i - 1].most_so_far);
      }
      for (std::size_t i = all.size(); i-- > 1;) {
        all[i - 1].least_from = std::min(all[i - 1].least_from, all[i].least_from);
      }
    }
    chunks_ = std::move(all);
  });
  return chunks_;
}

}  // namespace indexes

BinaryIndex::Impl::Impl(std::size_t dim_, BitMetric metric_)
    : dim(dim_),
      metric(metric_),
      words(indexes::bit_words(dim_)),
      view_(std::make_shared<const Snapshot>()) {
  if (dim == 0 || dim > kMaxBits) {
    throw ArgumentError("dim is " + std::to_string(dim) + " bits; wanted 1 to " +
                        std::to_string(kMaxBits));
  }
}

BinaryIndex::Impl::View BinaryIndex::Impl::view() const {
  const std::lock_guard<std::mutex> lock(view_mutex_);
  return view_;
}

void BinaryIndex::Impl::publish(View next) {
  const std::lock_guard<std::mutex> lock(view_mutex_);
  view_.swap(next);  // what was seen before is given up after the lock
}

BitOrigin BinaryIndex::Impl::origin_of(const BitSegment& segment, std::uint32_t row) const {
  const std::uint32_t count = metric == BitMetric::kJaccard ? segment.count(row) : 0;
  return {&segment, row, count, segment.id(row)};
}

std::vector<std::uint32_t> BinaryIndex::Impl::ascending_order(const Snapshot& now,
                                                              const std::int64_t* ids,
                                                              std::size_t count) {
  if (indexes::ids_rise(ids, count, now.next_id)) return {};
  indexes::check_new_ids(ids, count, [&](std::int64_t id) { return now.find(id).row; });
  if (indexes::ids_rise(ids, count, 0)) return {};
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [ids](std::uint32_t a, std::uint32_t b) { return ids[a] < ids[b]; });
  return order;
}

void BinaryIndex::Impl::add(const VectorsView& rows, const std::int64_t* ids,
                            const RunOptions& run) {
  indexes::check_bits(rows, "vectors", dim, run);
  const std::lock_guard<std::mutex> writing(writer_);
  const View now = view();
  if (rows.rows == 0) return;
  if (rows.rows >= kNoRow - now->rows()) {
    throw ArgumentError("vectors has " + std::to_string(rows.rows) + " rows; this index holds " +
                        std::to_string(now->rows()) + " and at most " +
                        std::to_string(kNoRow - 1));
  }
  constexpr auto kLastId = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::vector<std::uint32_t> order;
  if (ids != nullptr) {
    order = ascending_order(*now, ids, rows.rows);
  } else if (now->next_id > kLastId || kLastId - now->next_id < rows.rows - 1) {
    throw ArgumentError("ids must be given: the highest so far leaves too few numbers above it");
  }
  const auto new_id = [&](std::size_t i) {
    return ids != nullptr ? ids[i] : static_cast<std::int64_t>(now->next_id + i);
  };
  std::vector<std::uint32_t> counts;
  if (metric == BitMetric::kJaccard) counts = indexes::count_bits(rows, words, run);

  auto next = std::make_shared<Snapshot>();
  next->parts = now->parts;
  next->next_id = now->next_id;
  // Like a binary counter: an addition takes in the parts before it that are no larger.
  const std::size_t most = indexes::most_segment_rows(words);
  std::size_t pending = rows.rows;
  std::size_t kept = next->parts.size();
  while (kept != 0) {
    const std::size_t before = next->parts[kept - 1].live();
    if (before > pending || before + pending > most) break;
    pending += before;
    --kept;
  }
  std::vector<BitOrigin> origins;
  origins.reserve(std::min(pending, most));
  for (std::size_t p = kept; p < now->parts.size(); ++p) {
    const BitPart& part = now->parts[p];
    for (std::uint32_t row = 0; row < part.segment->rows; ++row) {
      if (!part.gone(row)) origins.push_back(origin_of(*part.segment, row));
    }
  }
  next->parts.resize(kept);
  std::atomic<std::uint64_t> done{0};
  Ticker ticker(run, "adding", pending);
  ticker.follow(done);
  for (std::size_t i = 0; i < rows.rows;) {
    const std::size_t take = std::min(most - origins.size(), rows.rows - i);
    for (std::size_t end = i + take; i < end; ++i) {
      const std::uint32_t row = order.empty() ? static_cast<std::uint32_t>(i) : order[i];
      origins.push_back({nullptr, row, counts.empty() ? 0 : counts[row], new_id(row)});
    }
    BitPart part;
    part.segment = indexes::make_segment(origins, rows, words, metric, run, &done, &ticker);
    next->parts.push_back(std::move(part));
    origins.clear();
  }
  // The highest new id stands last in ascending order.
  const auto highest = static_cast<std::uint64_t>(
      new_id(order.empty() ? rows.rows - 1 : std::size_t{order.back()}));
  next->next_id = std::max(next->next_id, highest + 1);
  publish(std::move(next));
}

void BinaryIndex::Impl::remove(const std::int64_t* ids, std::size_t count) {
  const std::lock_guard<std::mutex> writing(writer_);
  const View now = view();
  std::vector<std::vector<std::uint32_t>> gone(now->parts.size());
  indexes::rows_to_remove(ids, count, [&](std::int64_t id) {
    const BitPlace place = id < 0 ? BitPlace{} : now->find(id);
    if (place.row != kNoRow) gone[place.part].push_back(place.row);
    return place.row;
  });
  if (count == 0) return;

  auto next = std::make_shared<Snapshot>();
  next->next_id = now->next_id;
  for (std::size_t p = 0; p < now->parts.size(); ++p) {
    BitPart part = now->parts[p];
    if (!gone[p].empty()) {
      const BitSegment& segment = *part.segment;
      auto dead =
          part.dead ? std::make_shared<Bitmap>(*part.dead) : std::make_shared<Bitmap>(segment.rows);
      for (const std::uint32_t row : gone[p]) dead->set(row);
      part.dead = std::move(dead);
      part.removed += static_cast<std::uint32_t>(gone[p].size());
      if (part.live() == 0) continue;
      // Every search reads dead rows: beyond a quarter they cost more than they save.
      if (part.removed > segment.rows / 4) {
        std::vector<BitOrigin> origins;
        origins.reserve(part.live());
        for (std::uint32_t row = 0; row < segment.rows; ++row) {
          if (!part.gone(row)) origins.push_back(origin_of(segment, row));
        }
        BitPart smaller;
        smaller.segment =
            indexes::make_segment(origins, VectorsView(), words, metric, {}, nullptr, nullptr);
        part = std::move(smaller);
      }
    }
    next->parts.push_back(std::move(part));
  }
  publish(std::move(next));
}

void BinaryIndex::Impl::get(std::int64_t id, std::uint8_t* out) const {
  const View now = view();
  const BitPlace place = id < 0 ? BitPlace{} : now->find(id);
  if (place.row == kNoRow) {
    throw ArgumentError("id " + std::to_string(id) + " is not in this index");
  }
  std::vector<std::uint64_t> row(words);
  now->parts[place.part].segment->read(place.row, row.data());
  std::memcpy(out, row.data(), indexes::bit_bytes(dim));
}

std::vector<std::int64_t> BinaryIndex::Impl::ids() const {
  const View now = view();
  std::vector<std::int64_t> all;
  all.reserve(now->live());
  for (const BitPart& part : now->parts) {
    for (std::uint32_t i = 0; i < part.segment->rows; ++i) {
      const std::uint32_t row = part.segment->by_id(i);
      if (!part.gone(row)) all.push_back(part.segment->id(row));
    }
  }
  if (!std::is_sorted(all.begin(), all.end())) std::sort(all.begin(), all.end());
  return all;
}

MemoryReport BinaryIndex::Impl::memory() const {
  constexpr std::size_t kKinds = 6;
  constexpr const char* kNames[kKinds] = {"codes", "ids", "counts", "order", "spans", "sums"};
  std::uint64_t sizes[2][kKinds] = {};
  std::uint64_t dead = 0;
  const View now = view();
  for (const BitPart& part : now->parts) {
    const BitSegment& s = *part.segment;
    const Buffer* const buffers[kKinds] = {&s.codes, &s.ids,   &s.counts,
                                           &s.order, &s.spans, &s.sums};
    for (std::size_t i = 0; i < kKinds; ++i) sizes[s.mapped ? 1 : 0][i] += buffers[i]->size();
    if (part.dead) dead += part.dead->words().size() * sizeof(std::uint64_t);
  }
  MemoryReport report;
  for (std::size_t i = 0; i < kKinds; ++i) {
    for (const bool mapped : {false, true}) {
      const std::uint64_t size = sizes[mapped ? 1 : 0][i];
      if (size != 0) report.push_back({kNames[i], size, mapped});
    }
  }
  if (dead != 0) report.push_back({"removed rows", dead, false});
  return report;
}

BinaryIndex::BinaryIndex(std::size_t dim, BitMetric metric)
    : impl_(std::make_unique<Impl>(dim, metric)) {}
BinaryIndex::BinaryIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BinaryIndex::~BinaryIndex() = default;
BinaryIndex::BinaryIndex(BinaryIndex&&) noexcept = default;
BinaryIndex& BinaryIndex::operator=(BinaryIndex&&) noexcept = default;

std::size_t BinaryIndex::dim() const noexcept { return impl_->dim; }
BitMetric BinaryIndex::metric() const noexcept { return impl_->metric; }
std::size_t BinaryIndex::size() const { return impl_->view()->live(); }

void BinaryIndex::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  impl_->add(rows, ids, run);
}
void BinaryIndex::remove(const std::int64_t* ids, std::size_t count) { impl_->remove(ids, count); }
bool BinaryIndex::contains(std::int64_t id) const {
  return id >= 0 && impl_->view()->find(id).row != kNoRow;
}
void BinaryIndex::get(std::int64_t id, std::uint8_t* out) const { impl_->get(id, out); }
std::vector<std::int64_t> BinaryIndex::ids() const { return impl_->ids(); }

void BinaryIndex::search(const VectorsView& queries, MatrixView<std::int64_t> ids,
                         MatrixView<float> distances, const Allowed& allowed,
                         const RunOptions& run) const {
  impl_->search(queries, ids, distances, allowed, run);
}
RangeResult BinaryIndex::range_search(const VectorsView& queries, float radius,
                                      const Allowed& allowed, const RunOptions& run) const {
  return impl_->range_search(queries, radius, allowed, run);
}
void BinaryIndex::rescore(const VectorsView& queries, MatrixView<const std::int64_t> candidates,
                          MatrixView<std::int64_t> ids, MatrixView<float> distances,
                          const RunOptions& run) const {
  impl_->rescore(queries, candidates, ids, distances, run);
}

MemoryReport BinaryIndex::memory() const { return impl_->memory(); }
void BinaryIndex::save(const std::string& path, const std::string& metadata,
                       const RunOptions& run) const {
  impl_->save(path, metadata, run);
}
BinaryIndex BinaryIndex::open(const std::string& path, OpenMode mode) {
  return BinaryIndex(Impl::open(path, mode));
}

}  // namespace vicinal
