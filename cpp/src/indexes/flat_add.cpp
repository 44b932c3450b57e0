// Everything that changes the memory of a flat index.

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <string>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "indexes/flat_impl.h"
#include "indexes/learn.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::FlatStore;
using indexes::PackedRows;
using quantizers::Codec;

namespace {

constexpr std::size_t kEncodeRows = 256;

}  // namespace

std::shared_ptr<FlatStore> FlatIndex::Impl::grown(const Snapshot& now, const Codec& codec,
                                                  std::size_t capacity, bool table) const {
  auto next = std::make_shared<FlatStore>();
  next->capacity = capacity;
  const bool blocks = Snapshot::blocks(codec);  // grow by themselves
  if (!blocks) next->codes = Buffer::allocate(capacity * codec.stride());
  if (now.rows != 0 && !blocks) {
    std::memcpy(next->codes.mutable_data(), now.store->codes.data(), now.rows * codec.stride());
  }
  if (table) {
    next->ids = Buffer::allocate(capacity * sizeof(std::int64_t));
    auto* to = reinterpret_cast<std::int64_t*>(next->ids.mutable_data());
    for (std::uint32_t row = 0; row < now.rows; ++row) to[row] = now.id(row);
  }
  return next;
}

void FlatIndex::Impl::encode(const VectorsView& rows, const Codec& codec, std::byte* to,
                             const RunOptions& run) const {
  // Of several rows the codec refuses the first is named, whichever thread comes upon one first.
  std::mutex refused_mutex;
  std::size_t refused = rows.rows;
  std::string why;
  Ticker ticker(run, "adding", rows.rows);
  const auto piece = [&](std::size_t begin, std::size_t end, unsigned) {
    thread_local std::vector<float> floats;
    const float* from = unit() ? nullptr : plain_floats(rows);
    if (from != nullptr) {
      from += begin * dim;
    } else {
      floats.resize(std::max(floats.size(), (end - begin) * dim));
      read_rows(rows, begin, end, floats.data(), dim);
      if (unit()) normalize_rows(floats.data(), end - begin, dim, dim);
      from = floats.data();
    }
    try {
      codec.encode(from, dim, end - begin, to + begin * codec.stride(), begin);
    } catch (const ArgumentError& error) {
      const std::lock_guard<std::mutex> lock(refused_mutex);
      if (begin < refused) {
        refused = begin;
        why = error.what();
      }
    }
  };
  parallel_for(rows.rows, kEncodeRows, run, piece, rows.rows > kEncodeRows ? &ticker : nullptr);
  if (refused != rows.rows) throw ArgumentError(why);
}

void FlatIndex::Impl::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  if (rows.cols != dim) throw DimensionError("vectors", rows.cols, dim);
  check_rows(rows, "vectors", unit(), run);
  const std::lock_guard<std::mutex> writing(writer_);
  const View before = view();
  const Snapshot& now = *before;
  if (rows.rows == 0) return;
  if (rows.rows >= kNoRow - now.rows) {
    throw ArgumentError("vectors has " + std::to_string(rows.rows) + " rows; this index holds " +
                        std::to_string(now.rows) + " and at most " + std::to_string(kNoRow - 1));
  }
  constexpr auto kLastId = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (ids != nullptr) {
    if (!indexes::ids_rise(ids, rows.rows, now.next_id)) {
      with_ids([&](const View&, const auto& find) {
        indexes::check_new_ids(ids, rows.rows, find);
      });
    }
  } else if (now.next_id > kLastId || kLastId - now.next_id < rows.rows - 1) {
    throw ArgumentError("ids must be given: the highest so far leaves too few numbers above it");
  }
  const auto new_id = [&](std::size_t i) {
    return ids != nullptr ? ids[i] : static_cast<std::int64_t>(now.next_id + i);
  };

  // Rows keep a table of ids only once ids and row numbers part ways.
  bool table = !now.numbered();
  for (std::size_t i = 0; !table && i < rows.rows; ++i) {
    table = new_id(i) != static_cast<std::int64_t>(now.rows + i);
  }
  Snapshot next = now;
  next.rows = now.rows + static_cast<std::uint32_t>(rows.rows);
  // What a codec learned from the first rows stays: later rows are coded by it. Of an empty index
  // nothing holds on to it: rows that are gone have no say.
  if (now.rows == 0) {
    next.codec = indexes::learn_codec(params.codec, rows, metric, unit(), params.transform, run);
  }
  const std::size_t stride = next.codec->stride();
  if (!next.store || next.rows > next.store->capacity || next.store->codes.borrowed() ||
      (table && (next.store->ids.size() == 0 || next.store->ids.borrowed()))) {
    // The first rows get just what they need; an index that grows gets half as much again.
    const std::size_t half_more = now.rows == 0 ? 0 : std::size_t{now.rows} + now.rows / 2;
    next.store = grown(now, *next.codec, std::max<std::size_t>(next.rows, half_more), table);
  }
  if (Snapshot::blocks(*next.codec)) {
    // All of them first, for a row may be refused: as much memory again, until they are packed.
    Buffer coded = Buffer::allocate(rows.rows * stride);
    encode(rows, *next.codec, coded.mutable_data(), run);
    auto packed = now.packed ? std::make_shared<PackedRows>(*now.packed)
                             : std::make_shared<PackedRows>(next.codec);
    packed->append(coded.data(), rows.rows);
    next.packed = std::move(packed);
  } else {
    encode(rows, *next.codec, next.store->codes.mutable_data() + now.rows * stride, run);
  }
  if (table) {
    auto* to = reinterpret_cast<std::int64_t*>(next.store->ids.mutable_data()) + now.rows;
    for (std::size_t i = 0; i < rows.rows; ++i) to[i] = new_id(i);
  }
  next.ascending = now.ascending &&
                   (ids == nullptr ||
                    indexes::ids_rise(ids, rows.rows, now.rows == 0 ? 0 : now.next_id));
  for (std::size_t i = 0; i < rows.rows; ++i) {
    next.next_id = std::max(next.next_id, static_cast<std::uint64_t>(new_id(i)) + 1);
  }
  if (next.dead) {
    auto dead = std::make_shared<Bitmap>(*next.dead);
    dead->resize(next.rows);
    next.dead = std::move(dead);
  }
  publish(std::move(next));
}

FlatIndex::Impl::Snapshot FlatIndex::Impl::compacted(const Snapshot& now) const {
  Snapshot next = now;
  ++next.numbering;
  next.rows = now.live();
  next.removed = 0;
  next.dead = nullptr;
  next.store = nullptr;
  next.packed = nullptr;
  if (next.rows == 0) {
    next.ascending = true;
    return next;
  }
  const std::size_t stride = now.codec->stride();
  next.store = std::make_shared<FlatStore>();
  next.store->capacity = next.rows;
  next.store->ids = Buffer::allocate(next.rows * sizeof(std::int64_t));
  std::shared_ptr<PackedRows> packed;
  std::vector<std::byte> room;
  std::byte* to = nullptr;
  if (now.packed) {
    packed = std::make_shared<PackedRows>(now.codec);
    packed->reserve(next.rows);
    room.resize(stride);
  } else {
    next.store->codes = Buffer::allocate(next.rows * stride);
    to = next.store->codes.mutable_data();
  }
  auto* ids = reinterpret_cast<std::int64_t*>(next.store->ids.mutable_data());
  for (std::uint32_t row = 0; row < now.rows; ++row) {
    if (now.gone(row)) continue;
    *ids++ = now.id(row);
    if (packed) {
      packed->append(now.codes(row, room.data()), 1);
    } else {
      std::memcpy(to, now.store->codes.data() + row * stride, stride);
      to += stride;
    }
  }
  next.packed = std::move(packed);
  return next;
}

}  // namespace vicinal
