// Everything that changes an index but the graph itself: memory, ids, codes, order.

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "indexes/hnsw_build.h"
#include "indexes/hnsw_impl.h"
#include "indexes/learn.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::kMaxRows;
using indexes::Link;
using indexes::Snapshot;
using indexes::State;
using indexes::Tower;
using quantizers::Codec;

namespace {

// Of fewer rows, inserting makes a graph as quickly.
constexpr std::size_t kBatchRows = 4096;

template <class T>
Buffer copied(const Buffer* from, std::size_t used, std::size_t capacity) {
  Buffer to = Buffer::allocate(capacity * sizeof(T));
  if (from != nullptr && used > 0) std::memcpy(to.mutable_data(), from->data(), used * sizeof(T));
  return to;
}

std::uint64_t slots_used(const Snapshot& at, std::uint32_t links) {
  if (at.towers == 0) return 0;
  const Tower& last = at.state->tower(at.towers - 1);
  return last.first + std::uint64_t{last.level} * links;
}

std::vector<Tower> towers_of(const HnswParams& params, std::uint32_t first, std::uint32_t last,
                             std::uint64_t& slot) {
  std::vector<Tower> towers;
  for (std::uint32_t row = first; row < last; ++row) {
    const std::uint32_t level = indexes::level_of(params, row);
    if (level == 0) continue;
    towers.push_back({row, level, slot});
    slot += std::uint64_t{level} * params.links;
  }
  return towers;
}

void raise_towers(State& state, std::uint32_t first, const std::vector<Tower>& towers,
                  std::uint64_t first_slot, std::uint64_t last_slot) {
  if (towers.empty()) return;
  std::memcpy(state.towers.mutable_data() + first * sizeof(Tower), towers.data(),
              towers.size() * sizeof(Tower));
  auto* links = reinterpret_cast<Link*>(state.tower_links.mutable_data());
  for (std::uint64_t i = first_slot; i < last_slot; ++i) {
    links[i].store(kNoRow, std::memory_order_relaxed);
  }
}

void clear_links(State& state, std::size_t first, std::size_t last) {
  for (std::size_t row = first; row < last; ++row) {
    Link* links = state.mutable_base(static_cast<std::uint32_t>(row));
    for (std::uint32_t i = 0; i < state.width; ++i) {
      links[i].store(kNoRow, std::memory_order_relaxed);
    }
  }
}

}  // namespace

std::shared_ptr<State> HnswIndex::Impl::grown(const Snapshot& at, const Codec& codec,
                                              std::size_t rows, std::size_t towers,
                                              std::size_t slots, bool ids) const {
  auto next = std::make_shared<State>();
  next->links = params.links;
  next->width = 2 * params.links;
  next->capacity = rows;
  next->tower_capacity = towers;
  next->tower_slots = slots;
  const State* old = at.state.get();
  const auto part = [&](Buffer State::*member) {
    return old == nullptr ? nullptr : &(old->*member);
  };
  next->codes = copied<std::byte>(part(&State::codes), at.rows * codec.stride(),
                                  rows * codec.stride());
  if (refine) {
    next->refine = copied<std::byte>(part(&State::refine), at.rows * refine->stride(),
                                     rows * refine->stride());
  }
  next->base_links = copied<Link>(part(&State::base_links), std::size_t{at.rows} * next->width,
                                  rows * next->width);
  next->towers = copied<Tower>(part(&State::towers), at.towers, towers);
  next->tower_links = copied<Link>(part(&State::tower_links), slots_used(at, params.links), slots);
  if (ids) {
    const bool had = old != nullptr && old->ids.size() != 0;
    next->ids = copied<std::int64_t>(had ? &old->ids : nullptr, at.rows, rows);
    auto* table = reinterpret_cast<std::int64_t*>(next->ids.mutable_data());
    for (std::uint32_t r = 0; !had && r < at.rows; ++r) table[r] = r;
  }
  return next;
}

void HnswIndex::Impl::fill(State& state, const Codec& codec, std::uint32_t first,
                           const VectorsView& rows, const RunOptions& run) const {
  std::byte* codes = state.codes.mutable_data();
  std::byte* fine = refine ? state.refine.mutable_data() : nullptr;
  Ticker ticker(run, "encoding", rows.rows);
  const auto piece = [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<float> floats((end - begin) * dim);
    read_rows(rows, begin, end, floats.data(), dim);
    if (unit()) normalize_rows(floats.data(), end - begin, dim, dim);
    const std::size_t row = first + begin;
    codec.encode(floats.data(), dim, end - begin, codes + row * codec.stride(), begin);
    if (refine) {
      refine->encode(floats.data(), dim, end - begin, fine + row * refine->stride(), begin);
    }
    clear_links(state, row, first + end);
  };
  parallel_for(rows.rows, 256, run, piece, &ticker);
}

void HnswIndex::Impl::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  if (rows.cols != dim) throw DimensionError("vectors", rows.cols, dim);
  check_rows(rows, "vectors", unit(), run);
  const std::unique_lock<std::shared_mutex> lock(writer);
  View now = view();
  Snapshot at = now.at ? *now.at : Snapshot{};
  const Snapshot before = at;
  if (rows.rows > kMaxRows - before.rows) {
    throw ArgumentError("vectors has " + std::to_string(rows.rows) + " rows; this index holds " +
                        std::to_string(before.rows) + " and at most " + std::to_string(kMaxRows));
  }
  if (rows.rows == 0) return;
  const auto total = static_cast<std::uint32_t>(before.rows + rows.rows);

  if (ids != nullptr) {
    if (!indexes::ids_rise(ids, rows.rows, static_cast<std::uint64_t>(next_id))) {
      with_ids([&](const View&, const auto& find) {
        indexes::check_new_ids(ids, rows.rows, find);
      });
    }
  } else if (rows.rows >
             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() - next_id)) {
    throw ArgumentError("vectors has " + std::to_string(rows.rows) + " rows; only " +
                        std::to_string(std::numeric_limits<std::int64_t>::max() - next_id) +
                        " ids are left above the highest: give ids");
  }
  trust_links(before);
  // Rows keep a table of ids only once ids and row numbers part ways.
  bool table = before.state && before.state->ids.size() != 0;
  for (std::size_t i = 0; !table && i < rows.rows; ++i) {
    const auto row = static_cast<std::int64_t>(before.rows + i);
    table = (ids != nullptr ? ids[i] : next_id + static_cast<std::int64_t>(i)) != row;
  }

  // Of an empty index nothing holds on to a codec: neither rows that are gone nor an add() that was
  // stopped may say how these are coded.
  if (before.rows == 0) {
    now.codec = indexes::learn_codec(params.codec, rows, metric, unit(), params.transform, run);
    now.build_codec = build_codec(now.codec);
  }
  const std::uint64_t first_slot = slots_used(before, params.links);
  std::uint64_t slot = first_slot;
  const std::vector<Tower> towers = towers_of(params, before.rows, total, slot);
  const std::size_t tower_total = before.towers + towers.size();
  if (!at.state || total > at.state->capacity || tower_total > at.state->tower_capacity ||
      slot > at.state->tower_slots || at.state->codes.borrowed() ||
      (table && at.state->ids.size() == 0)) {
    // The first rows get just what they need; an index that grows gets half as much again.
    const auto room = [&](std::size_t need, std::size_t have) {
      return before.rows == 0 ? need : std::max(need, have + have / 2);
    };
    at.state = grown(before, *now.codec, room(total, before.rows), room(tower_total, before.towers),
                     room(slot, first_slot), table);
  }
  fill(*at.state, *now.codec, before.rows, rows, run);
  raise_towers(*at.state, before.towers, towers, first_slot, slot);
  if (table) {
    auto* to = reinterpret_cast<std::int64_t*>(at.state->ids.mutable_data()) + before.rows;
    for (std::size_t i = 0; i < rows.rows; ++i) {
      to[i] = ids != nullptr ? ids[i] : next_id + static_cast<std::int64_t>(i);
    }
  }
  set_codecs(now.codec, now.build_codec);

  // Whether it ends or is stopped, ids of the rows that got in are not given again.
  struct Count {
    std::int64_t& next_id;
    const Snapshot& at;
    std::uint32_t first;
    ~Count() {
      for (std::uint32_t row = first; row < at.rows; ++row) {
        const std::int64_t id = at.id(row);
        // One above the largest number is no number: add() then asks for ids.
        const bool last = id == std::numeric_limits<std::int64_t>::max();
        next_id = std::max(next_id, last ? id : id + 1);
      }
    }
  } count{next_id, at, before.rows};
  if (at.dead) {
    auto dead = std::make_shared<Bitmap>(*at.dead);
    dead->resize(total);
    at.dead = std::move(dead);
  }
  if (before.rows == 0 && at_once(total) &&
      indexes::build_at_once(*this, at, *now.build_codec, total,
                             static_cast<std::uint32_t>(tower_total), may_yield(), run)) {
    publish(at);
    return;
  }
  indexes::insert_rows(*this, at, *now.build_codec, total, static_cast<std::uint32_t>(tower_total),
                       /*publish=*/true, run);
}

bool HnswIndex::Impl::at_once(std::size_t rows) const noexcept {
  if (rows == 0) return false;
  if (params.builder != HnswParams::Builder::kAuto) {
    return params.builder == HnswParams::Builder::kBatch;
  }
  // Only scalar codes are compared in tiles; rows of others are inserted as quickly, or sooner.
  const CodecKind kind = params.codec.kind;
  return (kind == CodecKind::kSq8 || kind == CodecKind::kSq4) &&
         metric != Metric::kInnerProduct && rows >= kBatchRows;
}

void HnswIndex::Impl::move_rows(const Snapshot& old, const std::vector<std::uint32_t>& from,
                                const Codec& codec, State& to) const {
  auto* ids = reinterpret_cast<std::int64_t*>(to.ids.mutable_data());
  for (std::size_t row = 0; row < from.size(); ++row) {
    std::memcpy(to.codes.mutable_data() + row * codec.stride(),
                old.state->codes.data() + from[row] * codec.stride(), codec.stride());
    if (refine) {
      std::memcpy(to.refine.mutable_data() + row * refine->stride(),
                  old.state->refine.data() + from[row] * refine->stride(), refine->stride());
    }
    ids[row] = old.state->id(from[row]);
  }
}

void HnswIndex::Impl::remove(const std::int64_t* ids, std::size_t count) {
  const std::unique_lock<std::shared_mutex> lock(writer);
  View now;
  std::vector<std::uint32_t> rows;
  with_ids([&](const View& at, const auto& find) {
    now = at;
    rows = indexes::rows_to_remove(ids, count, find);
  });
  if (rows.empty()) return;
  Snapshot next = *now.at;
  auto dead =
      next.dead ? std::make_shared<Bitmap>(*next.dead) : std::make_shared<Bitmap>(next.rows);
  for (const std::uint32_t row : rows) dead->set(row);
  next.dead = std::move(dead);
  next.removed += static_cast<std::uint32_t>(rows.size());
  publish(next);
}

void HnswIndex::Impl::compact(const RunOptions& run) {
  const std::unique_lock<std::shared_mutex> lock(writer);
  const View now = view();
  if (!now.at || now.at->removed == 0) return;
  const Snapshot& old = *now.at;
  const std::uint32_t total = old.live();
  std::vector<std::uint32_t> from;
  from.reserve(total);
  for (std::uint32_t row = 0; row < old.rows; ++row) {
    if (!old.dead->test(row)) from.push_back(row);
  }
  std::uint64_t slots = 0;
  const std::vector<Tower> towers = towers_of(params, 0, total, slots);
  Snapshot at;
  at.numbering = old.numbering + 1;
  at.state = grown({}, *now.codec, total, towers.size(), slots, true);
  move_rows(old, from, *now.codec, *at.state);
  clear_links(*at.state, 0, total);
  raise_towers(*at.state, 0, towers, 0, slots);
  // Searches go on in the old graph until the new one is whole.
  const auto tower_total = static_cast<std::uint32_t>(towers.size());
  if (!at_once(total) || !indexes::build_at_once(*this, at, *now.build_codec, total, tower_total,
                                                 may_yield(), run)) {
    indexes::insert_rows(*this, at, *now.build_codec, total, tower_total, /*publish=*/false, run);
  }
  unchecked.reset();  // nothing lies in the file any more
  publish(at);
}

void HnswIndex::Impl::reorder(const RunOptions& run) {
  const std::unique_lock<std::shared_mutex> lock(writer);
  const View now = view();
  if (!now.at) return;
  const Snapshot& old = *now.at;
  trust_links(old);
  const State& state = *old.state;

  // Breadth first from the entry: what a walk reads together lies together.
  Ticker ticker(run, "reordering", old.rows);
  std::vector<std::uint32_t> from;  // new row -> old row
  std::vector<std::uint32_t> to(old.rows, kNoRow);
  from.reserve(old.rows);
  const auto meet = [&](std::uint32_t row) {
    if (row >= old.rows || to[row] != kNoRow) return;
    to[row] = static_cast<std::uint32_t>(from.size());
    from.push_back(row);
  };
  meet(old.entry == kNoRow ? 0 : state.tower(old.entry).row);
  std::uint32_t unmet = 0;
  for (std::size_t next = 0; from.size() < old.rows; ++next) {
    if (next == from.size()) {
      while (to[unmet] != kNoRow) ++unmet;
      meet(unmet);
    }
    const Link* links = state.base(from[next]);
    for (std::uint32_t i = 0; i < state.width; ++i) meet(links[i].load(std::memory_order_relaxed));
    if (next % 65536 == 0) ticker.at(next);
  }

  Snapshot at = old;
  ++at.numbering;
  at.state = grown({}, *now.codec, old.rows, old.towers, slots_used(old, params.links), true);
  move_rows(old, from, *now.codec, *at.state);
  for (std::uint32_t row = 0; row < old.rows; ++row) {
    const Link* links = state.base(from[row]);
    Link* moved = at.state->mutable_base(row);
    for (std::uint32_t i = 0; i < state.width; ++i) {
      const std::uint32_t link = links[i].load(std::memory_order_relaxed);
      moved[i].store(link < old.rows ? to[link] : kNoRow, std::memory_order_relaxed);
    }
  }
  std::vector<Tower> towers(old.towers);
  for (std::uint32_t t = 0; t < old.towers; ++t) {
    towers[t] = state.tower(t);
    towers[t].row = to[towers[t].row];
  }
  if (!towers.empty()) {
    std::memcpy(at.state->towers.mutable_data(), towers.data(), towers.size() * sizeof(Tower));
    std::memcpy(at.state->tower_links.mutable_data(), state.tower_links.data(),
                slots_used(old, params.links) * sizeof(Link));
  }
  if (old.dead) {
    auto dead = std::make_shared<Bitmap>(old.rows);
    for (std::uint32_t row = 0; row < old.rows; ++row) {
      if (old.dead->test(row)) dead->set(to[row]);
    }
    at.dead = std::move(dead);
  }
  publish(at);
}

}  // namespace vicinal
