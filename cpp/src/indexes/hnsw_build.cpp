// Insertion in batches. A batch searches the graph as it was before the batch, so its rows may be
// handled in any order by any number of threads; then the links back are gathered, sorted by the
// row they change, and each changed list is settled by one thread. The graph depends on the rows,
// their order and the seed alone. Batches grow with the graph (prefix doubling), so that hardly a
// row misses its neighbours for having come with them. After ParlayANN: Manohar et al., PPoPP 2024.
// Rows of one batch cannot find each other in the graph, so each is compared with all that precede
// it in the batch: what it then chooses from is what it would have met one by one. Without that,
// recall at ef 64 on WordNet definitions (which come in order of meaning) falls from 0.94 to 0.89.

#include "indexes/hnsw_build.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/parallel.h"
#include "base/random.h"

namespace vicinal::indexes {
namespace {

using quantizers::Codec;
using quantizers::Query;

constexpr std::size_t kBatchShare = 200;  // a batch is at most 1/200 of the graph it joins
constexpr std::size_t kMaxBatch = 4096;  // then a batch's own comparisons take 4% of its time

/// A link that a new node asks an old one to return.
struct BackLink {
  std::uint32_t to;
  std::uint32_t from;
  float distance;
};

bool by_target(const BackLink& a, const BackLink& b) {
  if (a.to != b.to) return a.to < b.to;
  return a.distance < b.distance || (a.distance == b.distance && a.from < b.from);
}

/// One row or tower that might become a neighbour. `node` is what links name, `row` what is scored.
struct Candidate {
  float distance;
  std::uint32_t node;
  std::uint32_t row;
};

bool nearer(const Candidate& a, const Candidate& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.node < b.node);
}

/// A damaged file can hold rows that compare with nothing; NaN must not reach a sort.
float comparable(float distance) {
  return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

/// Memory of a thread that selects neighbours.
struct Selector {
  Query query;
  std::vector<Candidate> candidates;
  std::vector<std::uint32_t> rows;
  std::vector<float> scores;
  std::vector<Candidate> kept;
};

/// Equal rows may take half the places at most, and which of them is drawn by lot: otherwise each
/// crowd of copies would link to itself alone, and all of it to the same few.
void thin_twins(const Codec& codec, const std::byte* codes, std::uint32_t row, std::size_t most,
                std::vector<Candidate>& c) {
  if (c.size() < 2) return;
  const float limit = codec.twin_limit(codes + std::size_t{row} * codec.stride());
  std::size_t twins = 0;
  while (twins < c.size() && c[twins].distance <= limit) ++twins;
  const std::size_t places = std::max<std::size_t>(1, most / 2);
  if (twins <= places) return;
  const auto lot = [&](const Candidate& one) { return random_u64(row, 2, one.row); };
  std::sort(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(twins),
            [&](const Candidate& a, const Candidate& b) { return lot(a) < lot(b); });
  c.erase(c.begin() + static_cast<std::ptrdiff_t>(places),
          c.begin() + static_cast<std::ptrdiff_t>(twins));
}

/// Keeps up to `most` of the candidates (sorted, nearest first): each is kept unless it lies nearer
/// to one already kept than to the base point. Algorithm 4 of Malkov & Yashunin. Works kept by
/// kept rather than candidate by candidate: one prepared query scores all that are still in play.
void select(const State& state, const Codec& codec, std::uint32_t row, std::size_t most,
            Selector& s) {
  s.kept.clear();
  auto& c = s.candidates;
  const std::byte* codes = state.codes.data();
  thin_twins(codec, codes, row, most, c);
  std::size_t live = c.size();
  std::size_t from = 0;
  while (from < live && s.kept.size() < most) {
    const Candidate chosen = c[from++];
    s.kept.push_back(chosen);
    if (from == live || s.kept.size() == most) break;
    codec.prepare_row(codes + std::size_t{chosen.row} * codec.stride(), s.query);
    const std::size_t n = live - from;
    if (s.rows.size() < n) {
      s.rows.resize(n);
      s.scores.resize(n);
    }
    for (std::size_t i = 0; i < n; ++i) s.rows[i] = c[from + i].row;
    s.query.score_ids(codes, s.rows.data(), n, s.scores.data());
    std::size_t out = from;
    for (std::size_t i = 0; i < n; ++i) {
      if (!(s.scores[i] < c[from + i].distance)) c[out++] = c[from + i];
    }
    live = out;
  }
}

void store_links(Link* to, std::uint32_t width, const std::vector<Candidate>& from) {
  std::uint32_t i = 0;
  for (; i < from.size(); ++i) to[i].store(from[i].node, std::memory_order_relaxed);
  for (; i < width; ++i) to[i].store(kNoRow, std::memory_order_relaxed);
}

/// Adds the links back in `group` (all to one node) to its list, choosing anew if it overflows.
void settle(const State& state, const Codec& codec, std::uint32_t row, const BackLink* group,
            std::size_t count, bool upper, Link* list, std::uint32_t width, Selector& s) {
  std::uint32_t used = 0;
  while (used < width && list[used].load(std::memory_order_relaxed) != kNoRow) ++used;
  if (used + count <= width) {
    for (std::size_t i = 0; i < count; ++i) {
      list[used + i].store(group[i].from, std::memory_order_relaxed);
    }
    return;
  }
  s.candidates.clear();
  if (s.rows.size() < width) {
    s.rows.resize(width);
    s.scores.resize(width);
  }
  for (std::uint32_t i = 0; i < used; ++i) {
    const std::uint32_t node = list[i].load(std::memory_order_relaxed);
    s.rows[i] = upper ? state.tower(node).row : node;
    s.candidates.push_back({0, node, s.rows[i]});
  }
  codec.prepare_row(state.codes.data() + std::size_t{row} * codec.stride(), s.query);
  s.query.score_ids(state.codes.data(), s.rows.data(), used, s.scores.data());
  for (std::uint32_t i = 0; i < used; ++i) s.candidates[i].distance = comparable(s.scores[i]);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t node = group[i].from;
    s.candidates.push_back({group[i].distance, node, upper ? state.tower(node).row : node});
  }
  std::sort(s.candidates.begin(), s.candidates.end(), nearer);
  select(state, codec, row, width, s);
  store_links(list, width, s.kept);
}

class Builder {
 public:
  Builder(HnswIndex::Impl& index, Snapshot& at, const Codec& codec, std::uint32_t total,
          std::uint32_t towers, bool publish, const RunOptions& run)
      : index_(index),
        at_(at),
        state_(*at.state),
        codec_(codec),
        total_(total),
        tower_total_(towers),
        publish_(publish),
        run_(run),
        quiet_{run.threads, {}},
        before_(at.rows),
        ticker_(run, "inserting", total - at.rows),
        selectors_(workers(run)) {}

  void insert_all() {
    while (at_.rows < total_) {
      const std::size_t size = std::clamp<std::size_t>(at_.rows / kBatchShare, 1, kMaxBatch);
      insert_batch(static_cast<std::uint32_t>(std::min<std::size_t>(at_.rows + size, total_)));
      ticker_.at(at_.rows - before_);
    }
  }

 private:
  void insert_batch(std::uint32_t last) {
    const std::uint32_t first = at_.rows;
    const std::size_t size = last - first;
    tower_of_.assign(size, kNoRow);
    std::uint32_t towers = at_.towers, top = 0;
    for (; towers < tower_total_ && state_.tower(towers).row < last; ++towers) {
      tower_of_[state_.tower(towers).row - first] = towers;
      top = std::max(top, state_.tower(towers).level);
    }
    if (first > 0) {
      if (found_.size() < size) found_.resize(size);
      // A stop in here leaves the graph as the last batch left it.
      const auto find = [&](std::size_t begin, std::size_t end, unsigned w) {
        const auto walk = index_.walks.take();
        for (std::size_t i = begin; i < end; ++i) {
          find_neighbours(static_cast<std::uint32_t>(first + i), tower_of_[i], *walk,
                          selectors_[w], found_[i]);
        }
      };
      parallel_for(size, 4, run_, find, &ticker_, first - before_);
      // From here on lists of older rows change, so nothing may interrupt.
      for (std::uint32_t level = 0; level <= std::min(top, at_.top); ++level) {
        link_back(level, size);
      }
    }
    at_.rows = last;
    for (std::uint32_t t = at_.towers; t < towers; ++t) {
      if (at_.entry == kNoRow || state_.tower(t).level > at_.top) {
        at_.entry = t;
        at_.top = state_.tower(t).level;
      }
    }
    at_.towers = towers;
    if (publish_) index_.publish(at_);
  }

  /// What one row of the batch met.
  struct Found {
    std::vector<std::vector<BackLink>> layers;  ///< links that it asks back; base first
  };

  void find_neighbours(std::uint32_t row, std::uint32_t tower, Walk& walk, Selector& s,
                       Found& found) {
    codec_.prepare_row(state_.codes.data() + std::size_t{row} * codec_.stride(), walk.query);
    const std::uint32_t level =
        tower == kNoRow ? 0 : std::min(state_.tower(tower).level, at_.top);
    EntryPoint start = descend(at_, level, walk);
    const std::size_t ef = std::min<std::size_t>(index_.params.build_ef, at_.rows);
    found.layers.resize(level + 1);
    for (std::uint32_t layer = level; layer > 0; --layer) {
      walk_upper(at_, start, layer, ef, walk);
      collect(walk.pool, true, s.candidates);
      select(state_, codec_, row, state_.links, s);
      store_links(state_.mutable_upper(tower, layer), state_.links, s.kept);
      note(s.kept, tower, found.layers[layer]);
      const Pool::Entry best = walk.pool[0];
      start = {best.distance, best.row(), state_.tower(best.row()).row};
    }
    walk_base(at_, start, ef, walk);
    collect(walk.pool, false, s.candidates);
    meet_batch(row, ef, walk.query, s);
    select(state_, codec_, row, state_.links, s);
    store_links(state_.mutable_base(row), state_.width, s.kept);
    note(s.kept, row, found.layers[0]);
  }

  void collect(const Pool& pool, bool upper, std::vector<Candidate>& to) const {
    to.clear();
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const std::uint32_t node = pool[i].row();
      to.push_back({comparable(pool[i].distance), node, upper ? state_.tower(node).row : node});
    }
  }

  static void note(const std::vector<Candidate>& kept, std::uint32_t from,
                   std::vector<BackLink>& to) {
    to.clear();
    for (const Candidate& c : kept) to.push_back({c.node, from, c.distance});
  }

  /// Adds the earlier rows of the batch to the candidates of `row`, as far as they are among the
  /// nearest `ef`.
  void meet_batch(std::uint32_t row, std::size_t ef, const Query& query, Selector& s) const {
    const std::uint32_t first = at_.rows;
    const std::size_t n = row - first;
    auto& c = s.candidates;
    if (n == 0) return;
    if (s.scores.size() < n) s.scores.resize(n);
    query.score_block(state_.codes.data() + std::size_t{first} * codec_.stride(), n,
                      s.scores.data());
    const float bar =
        c.size() < ef ? std::numeric_limits<float>::infinity() : c.back().distance;
    const auto older = static_cast<std::ptrdiff_t>(c.size());
    for (std::size_t i = 0; i < n; ++i) {
      const float distance = comparable(s.scores[i]);
      const auto node = first + static_cast<std::uint32_t>(i);
      if (distance < bar || c.size() < ef) c.push_back({distance, node, node});
    }
    std::sort(c.begin() + older, c.end(), nearer);
    std::inplace_merge(c.begin(), c.begin() + older, c.end(), nearer);
    if (c.size() > ef) c.resize(ef);
  }

  void link_back(std::uint32_t level, std::size_t size) {
    back_.clear();
    for (std::size_t i = 0; i < size; ++i) {
      if (level >= found_[i].layers.size()) continue;
      const auto& links = found_[i].layers[level];
      back_.insert(back_.end(), links.begin(), links.end());
    }
    std::sort(back_.begin(), back_.end(), by_target);
    groups_.clear();
    for (std::size_t i = 0; i < back_.size(); ++i) {
      if (i == 0 || back_[i].to != back_[i - 1].to) groups_.push_back(i);
    }
    groups_.push_back(back_.size());
    parallel_for(groups_.size() - 1, 16, quiet_,
                 [&](std::size_t begin, std::size_t end, unsigned w) {
                   for (std::size_t g = begin; g < end; ++g) {
                     const BackLink* group = &back_[groups_[g]];
                     const std::size_t count = groups_[g + 1] - groups_[g];
                     const std::uint32_t node = group->to;
                     if (level == 0) {
                       settle(state_, codec_, node, group, count, false, state_.mutable_base(node),
                              state_.width, selectors_[w]);
                     } else {
                       settle(state_, codec_, state_.tower(node).row, group, count, true,
                              state_.mutable_upper(node, level), state_.links, selectors_[w]);
                     }
                   }
                 });
  }

  HnswIndex::Impl& index_;
  Snapshot& at_;
  State& state_;
  const Codec& codec_;
  const std::uint32_t total_;
  const std::uint32_t tower_total_;
  const bool publish_;
  const RunOptions& run_;
  const RunOptions quiet_;
  const std::uint32_t before_;
  Ticker ticker_;
  std::vector<Selector> selectors_;
  std::vector<std::uint32_t> tower_of_;  ///< by row of the batch
  std::vector<Found> found_;             ///< by row of the batch
  std::vector<BackLink> back_;
  std::vector<std::size_t> groups_;
};

}  // namespace

void insert_rows(HnswIndex::Impl& index, Snapshot& at, const Codec& codec, std::uint32_t total,
                 std::uint32_t towers, bool publish, const RunOptions& run) {
  Builder(index, at, codec, total, towers, publish, run).insert_all();
}

std::uint32_t level_of(const HnswParams& params, std::uint32_t row) {
  const double level = -std::log(random_unit(params.seed, 1, row)) / std::log(double(params.links));
  return static_cast<std::uint32_t>(std::min<double>(level, kMaxLevel));
}

}  // namespace vicinal::indexes
