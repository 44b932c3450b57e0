#include "indexes/hnsw_walk.h"

#include <algorithm>
#include <limits>

#include "indexes/prefetch.h"

namespace vicinal::indexes {
namespace {

inline void prefetch_links(const Snapshot& at, std::uint32_t row) noexcept {
  const Link* links = at.state->base(row);
  for (std::uint32_t i = 0; i < at.state->width; i += 16) prefetch(links + i);
}

/// Candidates beyond this score are not worth expanding.
inline float horizon(const Walk& walk) noexcept {
  if (walk.growth == 0.0f || walk.pool.size() < walk.nearest) {
    return std::numeric_limits<float>::infinity();
  }
  // Codes may say that something is nearer than nothing can be.
  const float distance = std::max(0.0f, walk.pool.distance(walk.nearest - 1) + walk.lift);
  return walk.growth * distance - walk.lift;
}

}  // namespace

WalkStore::Lease WalkStore::take() {
  std::unique_ptr<Walk> walk;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      walk = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!walk) walk = std::make_unique<Walk>();
  walk->hops = walk->distances = 0;
  return {*this, std::move(walk)};
}

void WalkStore::give(std::unique_ptr<Walk> walk) {
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(walk));
}

std::size_t WalkStore::bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::size_t sum = 0;
  for (const auto& walk : idle_) sum += sizeof(Walk) + walk->visited.bytes();
  return sum;
}

void open_top(const Snapshot& at, Walk& walk) {
  const State& state = *at.state;
  walk.best = {0, at.entry, at.entry == kNoRow ? 0 : state.tower(at.entry).row};
  walk.query.score_ids(state.codes.data(), &walk.best.row, 1, &walk.best.distance);
  ++walk.distances;
  walk.layer = 0;
  if (walk.best.tower == kNoRow) return;
  walk.layer = at.top;
  if (walk.todo.size() < state.width) walk.todo.resize(state.width);
  if (walk.towers.size() < state.width) walk.towers.resize(state.width);
  if (walk.scores.size() < state.width) walk.scores.resize(state.width);
  // Nothing met before is nearer than the best so far: it need not be compared again.
  walk.visited.reset(state.capacity);
  walk.visited.first(walk.best.row);
}

void reach_upper(const Snapshot& at, Walk& walk) {
  const State& state = *at.state;
  const std::byte* const codes = state.codes.data();
  const std::size_t stride = walk.query.stride();
  const unsigned ahead = walk.query.ahead();
  const Link* links = state.upper(walk.best.tower, walk.layer);
  std::size_t n = 0;
  for (std::uint32_t i = 0; i < state.links; ++i) {
    const std::uint32_t t = links[i].load(std::memory_order_relaxed);
    if (t == kNoRow) break;
    // The level matters for a damaged mapped file only: its links could lead anywhere.
    if (t >= at.towers || state.tower(t).level < walk.layer) continue;
    const std::uint32_t row = state.tower(t).row;
    if (!walk.visited.first(row)) continue;
    walk.towers[n] = t;
    walk.todo[n] = row;
    if (n < ahead) prefetch_bytes(codes + std::size_t{row} * stride, stride);
    ++n;
  }
  walk.reached = n;
}

void compare_upper(const Snapshot& at, Walk& walk) {
  const State& state = *at.state;
  const std::size_t n = walk.reached;
  walk.query.score_ids(state.codes.data(), walk.todo.data(), n, walk.scores.data());
  ++walk.hops;
  walk.distances += n;
  bool moved = false;
  for (std::size_t i = 0; i < n; ++i) {
    if (walk.scores[i] < walk.best.distance) {
      walk.best = {walk.scores[i], walk.towers[i], walk.todo[i]};
      moved = true;
    }
  }
  if (!moved) --walk.layer;
  if (walk.layer > 0) prefetch(state.upper(walk.best.tower, walk.layer));
}

EntryPoint descend(const Snapshot& at, std::uint32_t level, Walk& walk) {
  open_top(at, walk);
  while (walk.layer > level) {
    reach_upper(at, walk);
    compare_upper(at, walk);
  }
  return walk.best;
}

void open_base(const Snapshot& at, const EntryPoint& start, std::size_t ef, Walk& walk) {
  const State& state = *at.state;
  if (walk.todo.size() < state.width) walk.todo.resize(state.width);
  if (walk.scores.size() < state.width) walk.scores.resize(state.width);
  walk.growth = 0.0f;
  walk.pool.reset(std::min<std::size_t>(ef, at.rows));
  walk.visited.reset(state.capacity);
  walk.visited.first(start.row);
  // A start that is not comparable (a damaged file) still opens the walk.
  walk.pool.insert(start.distance == start.distance ? start.distance : 0, start.row);
  prefetch_links(at, start.row);
}

void end_beyond(std::size_t k, float growth, float lift, Walk& walk) {
  walk.nearest = k;
  walk.growth = growth;
  walk.lift = lift;
}

void reach(const Snapshot& at, Walk& walk) {
  const State& state = *at.state;
  const std::byte* const codes = state.codes.data();
  const std::size_t stride = walk.query.stride();
  const unsigned ahead = walk.query.ahead();
  std::uint32_t* const todo = walk.todo.data();
  Pool& pool = walk.pool;
  const Link* links = state.base(pool.expand());
  // First the ids alone, then the rows: every miss of this hop is under way before the first
  // distance is computed. About half of the rows were met before, and no branch could be predicted.
  const Visited::Marks marks = walk.visited.marks();
  const std::uint32_t width = state.width, rows = at.rows;
  std::size_t n = 0;
  for (std::uint32_t i = 0; i < width; ++i) {
    const std::uint32_t row = links[i].load(std::memory_order_relaxed);
    if (row >= rows) {  // the end, or a row that was added after this search began
      if (row == kNoRow) break;
      continue;
    }
    todo[n] = row;
    n += marks.first(row) ? 1 : 0;
  }
  walk.reached = n;
  for (std::size_t i = 0; i < std::min<std::size_t>(n, ahead); ++i) {
    prefetch_bytes(codes + std::size_t{todo[i]} * stride, stride);
  }
  // Unless this hop finds something nearer, the next one reads these links.
  if (pool.more()) prefetch_links(at, pool.peek());
}

bool compare(const Snapshot& at, Walk& walk) {
  const std::size_t n = walk.reached;
  std::uint32_t* const todo = walk.todo.data();
  float* const scores = walk.scores.data();
  Pool& pool = walk.pool;
  walk.query.score_ids(at.state->codes.data(), todo, n, scores);
  ++walk.hops;
  walk.distances += n;
  // Both only come nearer while these are inserted, so none that will count is left out.
  const float beyond = horizon(walk), bound = pool.bound();
  std::size_t near = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float score = scores[i];
    const std::uint32_t row = todo[i];
    scores[near] = score;
    todo[near] = row;
    near += static_cast<std::size_t>((score <= beyond) & (score < bound));
  }
  for (std::size_t i = 0; i < near; ++i) {
    if (scores[i] < pool.bound() && pool.insert(scores[i], todo[i])) prefetch_links(at, todo[i]);
  }
  return pool.more() && pool.next() <= horizon(walk);
}

void walk_base(const Snapshot& at, const EntryPoint& start, std::size_t ef, Walk& walk) {
  open_base(at, start, ef, walk);
  do {
    reach(at, walk);
  } while (compare(at, walk));
}

void walk_upper(const Snapshot& at, const EntryPoint& start, std::uint32_t level, std::size_t ef,
                Walk& walk) {
  const State& state = *at.state;
  Pool& pool = walk.pool;
  pool.reset(std::min<std::size_t>(ef, at.towers));
  walk.visited.reset(state.capacity);
  walk.visited.first(start.tower);
  pool.insert(start.distance, start.tower);
  while (pool.more()) {
    const Link* links = state.upper(pool.expand(), level);
    std::size_t n = 0;
    for (std::uint32_t i = 0; i < state.links; ++i) {
      const std::uint32_t t = links[i].load(std::memory_order_relaxed);
      if (t == kNoRow) break;
      if (t >= at.towers || !walk.visited.first(t)) continue;
      walk.towers[n] = t;
      walk.todo[n] = state.tower(t).row;
      ++n;
    }
    walk.query.score_ids(state.codes.data(), walk.todo.data(), n, walk.scores.data());
    ++walk.hops;
    walk.distances += n;
    for (std::size_t i = 0; i < n; ++i) {
      if (walk.scores[i] < pool.bound()) pool.insert(walk.scores[i], walk.towers[i]);
    }
  }
}

}  // namespace vicinal::indexes
