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
#include "indexes/hnsw_select.h"

namespace vicinal::indexes {
namespace {

using quantizers::Codec;
using quantizers::Query;

constexpr std::size_t kBatchShare = 200;  // a batch is at most 1/200 of the graph it joins
constexpr std::size_t kMaxBatch = 4096;  // then a batch's own comparisons take 4% of its time

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
      const std::uint32_t nearest = walk.pool.row(0);
      start = {walk.pool.distance(0), nearest, state_.tower(nearest).row};
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
      const std::uint32_t node = pool.row(i);
      to.push_back({comparable(pool.distance(i)), node, upper ? state_.tower(node).row : node});
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
    return_links(state_, codec_, level, back_, groups_, selectors_, quiet_);
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
