// The graph of rows that are all there at once, layer by layer from the top. After PiPNN (arXiv
// 2602.21247): the rows of a layer are split into small overlapping leaves, all rows of a leaf are
// compared with one another - sequential memory, where a walk through a growing graph jumps - and
// each row keeps the nearest it met. What remains is as in insertion: neighbours are selected, and
// asked to link back. Neighbours in the layer above are candidates too, so that links of every
// length are among them, as there are for rows that came early to a growing graph.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/parallel.h"
#include "indexes/hnsw_build.h"
#include "indexes/hnsw_meet.h"
#include "indexes/hnsw_partition.h"
#include "indexes/hnsw_select.h"
#include "quantizers/transformed.h"

namespace vicinal::indexes {
namespace {

using quantizers::Codec;

// Chosen on MNIST, SIFT and sentence embeddings, for as few comparisons per query as insertion
// gives, in the least time.
constexpr std::size_t kMinLeaf = 1024, kMaxLeaf = 2048;  // most rows of a leaf
constexpr std::size_t kLeavesOfSmall = 56;               // between them, rows by this
constexpr std::size_t kNearest = 16;  // kept of each leaf
constexpr std::size_t kLeaders = 256;
constexpr std::size_t kJoinEf = 32;   // candidates looked at to join an island
constexpr int kJoinRounds = 4;

/// What the effort asked for means here. Twice the effort, twice the leaves that a row is in.
struct Effort {
  explicit Effort(std::size_t build_ef)
      : fanout(std::clamp<std::size_t>(build_ef / 20, 2, 40)),
        keep(std::clamp<std::size_t>(build_ef / 2, kNearest, 400)) {}

  std::size_t fanout;  ///< leaders that a row follows at the first split; one below
  std::size_t keep;    ///< candidates kept for each row
};

/// Progress of all layers together, in steps of rows.
class Steps {
 public:
  static constexpr std::uint64_t kOfARow = 3;  ///< split, compared, linked

  Steps(const RunOptions& run, std::uint64_t rows) : ticker_(run, "building", kOfARow * rows) {
    ticker_.follow(done_);
  }
  Ticker* ticker() noexcept { return &ticker_; }
  void add(std::uint64_t steps) noexcept { done_.fetch_add(steps, std::memory_order_relaxed); }
  /// All that comes before is done, whatever was told meanwhile.
  void finish(std::uint64_t steps) {
    finished_ += steps;
    done_.store(finished_, std::memory_order_relaxed);
    ticker_.at(finished_);
  }

 private:
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t finished_ = 0;
  Ticker ticker_;
};

class LayerBuilder {
 public:
  /// split_codec says how far apart rows are: inner products have no neighbourhoods to split by.
  LayerBuilder(HnswIndex::Impl& index, State& state, const Codec& codec, const Codec& split_codec,
               std::uint32_t level, std::vector<std::uint32_t> nodes,
               std::vector<std::uint32_t> rows, std::vector<Selector>& selectors,
               const RunOptions& run, Steps& steps)
      : index_(index),
        state_(state),
        codec_(codec),
        split_codec_(split_codec),
        level_(level),
        nodes_(std::move(nodes)),
        rows_(std::move(rows)),
        selectors_(selectors),
        run_(run),
        steps_(steps) {}

  /// Of crowds of equal rows insertion makes better graphs. With `yield`, false if there are any
  /// that count; then nothing was linked.
  bool build(bool yield) {
    if (rows_.size() > 1) {
      std::vector<BackLink> out;
      std::vector<std::uint32_t> used;
      {
        NearestLists met(rows_.size(), Effort(index_.params.build_ef).keep);
        if (!meet(met) && yield) return false;
        choose(met, out, used);
      }
      link_back(out, used);
      steps_.finish(rows_.size());
    } else {
      steps_.finish(Steps::kOfARow * rows_.size());
    }
    return true;
  }

 private:
  /// Every row meets those of its leaves. False if more than one in a hundred met a crowd.
  bool meet(NearestLists& met) {
    PartitionParams params;
    params.leaf = std::clamp<std::size_t>(rows_.size() / kLeavesOfSmall, kMinLeaf, kMaxLeaf);
    params.fanout = Effort(index_.params.build_ef).fanout;
    params.fanout_below = 1;
    params.leaders = kLeaders;
    params.seed = index_.params.seed + level_;
    const Leaves leaves =
        partition(split_codec_, state_.codes.data(), rows_, params, run_, steps_.ticker());
    steps_.finish(rows_.size());
    const auto after = [&](std::size_t members) {
      steps_.add(members * rows_.size() / leaves.members.size());
    };
    const std::size_t crowded = meet_in_leaves(codec_, state_.codes.data(), rows_, leaves, kNearest,
                                               met, run_, steps_.ticker(), after);
    steps_.finish(rows_.size());
    return crowded * 100 <= leaves.members.size();
  }

  Link* list(std::uint32_t node) {
    return level_ == 0 ? state_.mutable_base(node) : state_.mutable_upper(node, level_);
  }
  std::uint32_t width() const { return level_ == 0 ? state_.width : state_.links; }

  /// The neighbours of this row in the layer above, where there is one.
  void add_above(std::uint32_t node, std::uint32_t row, Selector& s) const {
    const std::uint32_t tower = level_ == 0 ? tower_of(row) : node;
    if (tower == kNoRow || state_.tower(tower).level <= level_) return;
    auto& c = s.candidates;
    const std::size_t own = c.size();
    s.rows.clear();
    const Link* links = state_.upper(tower, level_ + 1);
    for (std::uint32_t i = 0; i < state_.links; ++i) {
      const std::uint32_t link = links[i].load(std::memory_order_relaxed);
      if (link == kNoRow) break;
      const std::uint32_t to = state_.tower(link).row;
      const std::uint32_t name = level_ == 0 ? to : link;
      const bool known = std::any_of(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(own),
                                     [&](const Candidate& one) { return one.node == name; });
      if (known) continue;
      c.push_back({0, name, to});
      s.rows.push_back(to);
    }
    const std::size_t n = s.rows.size();
    if (n == 0) return;
    s.scores.resize(std::max(s.scores.size(), n));
    codec_.prepare_row(state_.codes.data() + std::size_t{row} * codec_.stride(), s.query);
    s.query.score_ids(state_.codes.data(), s.rows.data(), n, s.scores.data());
    for (std::size_t j = 0; j < n; ++j) c[own + j].distance = comparable(s.scores[j]);
    // select() trusts that there is a score for every row it has room for.
    s.rows.resize(std::max(s.rows.size(), s.scores.size()));
    s.scores.resize(s.rows.size());
  }

  /// Towers rise by row while a graph is built.
  std::uint32_t tower_of(std::uint32_t row) const {
    const auto* first = reinterpret_cast<const Tower*>(state_.towers.data());
    const auto* last = first + state_.tower_capacity;
    const auto* at = std::lower_bound(
        first, last, row, [](const Tower& t, std::uint32_t r) { return t.row < r; });
    return at != last && at->row == row ? static_cast<std::uint32_t>(at - first) : kNoRow;
  }

  void choose(const NearestLists& met, std::vector<BackLink>& out,
              std::vector<std::uint32_t>& used) {
    const std::size_t most = state_.links;
    out.resize(rows_.size() * most);
    used.resize(rows_.size());
    const auto piece = [&](std::size_t begin, std::size_t end, unsigned w) {
      Selector& s = selectors_[w];
      for (std::size_t i = begin; i < end; ++i) {
        s.candidates.clear();
        for (std::size_t h = 0; h < met.count(i); ++h) {
          const NearestLists::Key key = met.of(i)[h];
          const std::uint32_t place = NearestLists::other(key, static_cast<std::uint32_t>(i));
          s.candidates.push_back({NearestLists::distance(key), nodes_[place], rows_[place]});
        }
        if (s.candidates.empty()) {  // nothing compares with it; it must not stay alone
          const std::size_t next = (i + 1) % rows_.size();
          s.candidates.push_back({comparable(NAN), nodes_[next], rows_[next]});
        }
        add_above(nodes_[i], rows_[i], s);
        std::sort(s.candidates.begin(), s.candidates.end(),
                  [](const Candidate& a, const Candidate& b) { return nearer(a, b); });
        select(state_, codec_, rows_[i], most, s);
        store_links(list(nodes_[i]), width(), s.kept);
        used[i] = static_cast<std::uint32_t>(s.kept.size());
        for (std::size_t j = 0; j < s.kept.size(); ++j) {
          out[i * most + j] = {s.kept[j].node, nodes_[i], s.kept[j].distance};
        }
      }
    };
    parallel_for(rows_.size(), 64, run_, piece, steps_.ticker());
  }

  /// Links back are brought together by what they point to: counted, then placed.
  void link_back(std::vector<BackLink>& out, const std::vector<std::uint32_t>& used) {
    const std::size_t most = state_.links;
    std::vector<std::size_t> starts(std::size_t{nodes_.back()} + 2);
    const auto each = [&](const auto& visit) {
      for (std::size_t i = 0; i < used.size(); ++i) {
        for (std::size_t j = 0; j < used[i]; ++j) visit(out[i * most + j]);
      }
    };
    each([&](const BackLink& link) { ++starts[link.to + 1]; });
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    std::vector<BackLink> back(starts.back());
    std::vector<std::size_t> next(starts.begin(), starts.end() - 1);
    each([&](const BackLink& link) { back[next[link.to]++] = link; });
    std::vector<BackLink>().swap(out);
    std::vector<std::size_t> groups;
    for (std::size_t t = 0; t + 1 < starts.size(); ++t) {
      if (starts[t] != starts[t + 1]) groups.push_back(starts[t]);
    }
    groups.push_back(back.size());
    const auto sort = [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t g = begin; g < end; ++g) {
        std::sort(back.begin() + static_cast<std::ptrdiff_t>(groups[g]),
                  back.begin() + static_cast<std::ptrdiff_t>(groups[g + 1]), by_target);
      }
    };
    parallel_for(groups.size() - 1, 256, run_, sort, steps_.ticker());
    return_links(state_, codec_, level_, back, groups, selectors_, run_, steps_.ticker());
  }

  HnswIndex::Impl& index_;
  State& state_;
  const Codec& codec_;
  const Codec& split_codec_;
  const std::uint32_t level_;
  const std::vector<std::uint32_t> nodes_;  ///< what links name, by place, ascending
  const std::vector<std::uint32_t> rows_;   ///< what is compared, by place
  std::vector<Selector>& selectors_;
  const RunOptions& run_;
  Steps& steps_;
};

/// Rows that no path leads to: far, crowded groups that kept to themselves. Each such island is
/// linked from the nearest row that a search for it finds. By one thread, so always alike; of data
/// that hangs together this reads each list of links once.
class IslandJoiner {
 public:
  IslandJoiner(HnswIndex::Impl& index, const Snapshot& at, const Codec& codec, Ticker* ticker)
      : index_(index), at_(at), state_(*at.state), codec_(codec), ticker_(ticker) {}

  void join_all() {
    // A full list gives up a link, which may have been the only one to somewhere.
    for (int round = 0; round < kJoinRounds && !join(); ++round) {
    }
  }

 private:
  /// Whether nothing was to be joined.
  bool join() {
    reached_.assign(at_.rows, 0);
    todo_.clear();
    visit(0);
    for (std::uint32_t t = 0; t < at_.towers; ++t) visit(state_.tower(t).row);
    spread();
    bool whole = true;
    for (std::uint32_t row = 0; row < at_.rows; ++row) {
      if (row % 4096 == 0) ticker_->poll();
      if (reached_[row] != 0) continue;
      whole = false;
      link_to(row);
      visit(row);
      spread();
    }
    return whole;
  }

  void visit(std::uint32_t row) {
    if (reached_[row] != 0) return;
    reached_[row] = 1;
    todo_.push_back(row);
  }

  void spread() {
    while (!todo_.empty()) {
      const Link* links = state_.base(todo_.back());
      todo_.pop_back();
      for (std::uint32_t i = 0; i < state_.width; ++i) {
        const std::uint32_t link = links[i].load(std::memory_order_relaxed);
        if (link == kNoRow) break;
        visit(link);
      }
    }
  }

  void link_to(std::uint32_t row) {
    const auto walk = index_.walks.take();
    codec_.prepare_row(state_.codes.data() + std::size_t{row} * codec_.stride(), walk->query);
    walk_base(at_, descend(at_, 0, *walk), kJoinEf, *walk);
    std::uint32_t best = kNoRow;
    for (std::size_t i = 0; i < walk->pool.size(); ++i) {
      const std::uint32_t near = walk->pool.row(i);
      if (near == row) return;  // found after all
      if (reached_[near] == 0) continue;
      if (best == kNoRow) best = near;
      if (used(near) == state_.width) continue;
      best = near;
      break;
    }
    if (best == kNoRow) best = row == 0 ? 1 : 0;
    const std::uint32_t slot = std::min(used(best), state_.width - 1);
    state_.mutable_base(best)[slot].store(row, std::memory_order_relaxed);
    const std::uint32_t free = used(row);
    if (free < state_.width) {
      state_.mutable_base(row)[free].store(best, std::memory_order_relaxed);
    }
  }

  std::uint32_t used(std::uint32_t row) const {
    const Link* links = state_.base(row);
    std::uint32_t n = 0;
    while (n < state_.width && links[n].load(std::memory_order_relaxed) != kNoRow) ++n;
    return n;
  }

  HnswIndex::Impl& index_;
  const Snapshot& at_;
  State& state_;
  const Codec& codec_;
  Ticker* ticker_;
  std::vector<std::uint8_t> reached_;
  std::vector<std::uint32_t> todo_;
};

}  // namespace

bool build_at_once(HnswIndex::Impl& index, Snapshot& at, const Codec& codec, std::uint32_t total,
                   std::uint32_t towers, bool yield, const RunOptions& run) {
  State& state = *at.state;
  std::vector<Selector> selectors(workers(run));
  const Codec& images = quantizers::inner_of(codec);
  const bool plain = images.kind() <= CodecKind::kSq4;
  const auto by_distance =
      images.metric() == Metric::kL2 || !plain ? nullptr : images.for_metric(Metric::kL2);
  const Codec& split_codec = by_distance ? *by_distance : codec;

  std::uint32_t top = 0, entry = kNoRow;
  std::uint64_t nodes_in_all = total;
  for (std::uint32_t t = 0; t < towers; ++t) {
    nodes_in_all += state.tower(t).level;
    if (entry == kNoRow || state.tower(t).level > top) {
      entry = t;
      top = state.tower(t).level;
    }
  }
  Steps steps(run, nodes_in_all);
  for (std::uint32_t level = top + 1; level-- > 0;) {
    std::vector<std::uint32_t> nodes, rows;
    if (level == 0) {
      nodes.resize(total);
      std::iota(nodes.begin(), nodes.end(), 0u);
      rows = nodes;
    }
    for (std::uint32_t t = 0; level > 0 && t < towers; ++t) {
      if (state.tower(t).level < level) continue;
      nodes.push_back(t);
      rows.push_back(state.tower(t).row);
    }
    LayerBuilder layer(index, state, codec, split_codec, level, std::move(nodes), std::move(rows),
                       selectors, run, steps);
    if (layer.build(yield)) continue;
    for (std::uint32_t t = 0; t < towers; ++t) {
      for (std::uint32_t above = 1; above <= state.tower(t).level; ++above) {
        store_links(state.mutable_upper(t, above), state.links, {});
      }
    }
    return false;
  }
  Snapshot whole = at;
  whole.rows = total;
  whole.towers = towers;
  whole.entry = entry;
  whole.top = top;
  IslandJoiner(index, whole, codec, steps.ticker()).join_all();
  at = whole;
  return true;
}

}  // namespace vicinal::indexes
