#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/id_map.h"
#include "base/parallel.h"
#include "base/rows_reader.h"
#include "base/topk.h"
#include "indexes/hnsw_impl.h"
#include "indexes/prefetch.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::Pool;
using indexes::Snapshot;
using indexes::State;
using indexes::Walk;
using quantizers::Codec;
using quantizers::Precision;

namespace {

/// The rows a call may return, if that is not all of them.
struct Filter {
  Bitmap own;                       ///< the rows allowed, when the caller chose
  const Bitmap* removed = nullptr;  ///< else all but these: nothing to build before each search
  std::size_t count = 0;

  bool test(std::uint32_t row) const noexcept {
    return removed != nullptr ? !removed->test(row) : own.test(row);
  }
  std::uint64_t word(std::size_t w) const noexcept {
    return removed != nullptr ? ~removed->words()[w] : own.words()[w];
  }
};

/// The row of each id, or kNoRow. A map of all ids would take more memory than some graphs.
std::vector<std::uint32_t> look_through(const Snapshot& at, const std::int64_t* ids,
                                        std::size_t count) {
  std::vector<std::uint32_t> rows(count, kNoRow);
  IdMap found;
  for (std::size_t i = 0; i < count; ++i) {
    if (ids[i] >= 0) found.insert(ids[i], kNoRow);
  }
  for (std::uint32_t row = 0; row < at.rows; ++row) {
    if (!at.gone(row)) found.replace(at.id(row), row);
  }
  for (std::size_t i = 0; i < count; ++i) rows[i] = found.find(ids[i]);
  return rows;
}

/// What was allowed in `at`, by mask, or by ids of which find(id) gives the rows.
template <class Find>
Filter filter_of(const Snapshot& at, const Allowed& allowed, const Find& find) {
  Filter filter;
  if (allowed.everything()) {
    filter.removed = at.dead.get();
    filter.count = at.live();
    return filter;
  }
  filter.own = Bitmap(at.rows);
  for (std::uint32_t row = 0; allowed.mask != nullptr && row < at.rows; ++row) {
    // An id from a damaged file may be negative; as unsigned it is beyond every mask.
    const auto id = static_cast<std::uint64_t>(at.id(row));
    if (id < allowed.count && allowed.mask[id] != 0 && !at.gone(row)) filter.own.set(row);
  }
  for (std::size_t i = 0; allowed.mask == nullptr && i < allowed.count; ++i) {
    const std::uint32_t row = find(allowed.ids[i]);
    if (row != kNoRow) filter.own.set(row);
  }
  filter.count = filter.own.count();
  return filter;
}

struct Found {
  float distance;
  std::int64_t id;
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool nearer(const Found& a, const Found& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
}

/// A query, and its image if the codec stands behind a transform.
struct Asked {
  const float* query = nullptr;
  const quantizers::QueryImages* images = nullptr;
  std::size_t place = 0;
};

// With so many candidates a walk takes long enough to ask whether it is wanted any more, and, once
// it would compare as many rows as there are, longer than looking at all of them.
constexpr std::size_t kManyCandidates = 4096;
constexpr std::size_t kStepsBetweenPolls = 1024;

/// One call's plan and one thread's memory for it.
class Searcher {
 public:
  /// ticker: null where calls are short.
  Searcher(const HnswIndex::Impl& index, const HnswIndex::Impl::View& view, const Filter* filter,
           const HnswSearch& how, std::size_t k, Walk& walk, Ticker* ticker)
      : ticker_(ticker),
        index_(index),
        at_(*view.at),
        codec_(*view.codec),
        filter_(filter),
        walk_(walk),
        k_(std::min<std::size_t>(k, filter ? filter->count : at_.rows)),
        ef_(std::min<std::size_t>(std::max<std::size_t>(how.ef, k), at_.rows)),
        // Scores are squares, and so is twice 1 - cosine.
        growth_(how.slack >= 0 ? (1 + how.slack) * (1 + how.slack) : 0.0f),
        rerank_all_(how.rerank != 0) {
    // ef beyond the rows there are would only reserve memory.
    rerank_ = std::clamp(how.rerank != 0 ? how.rerank : ef_, k_, ef_);
  }

  /// Where other queries are answered at the same time: after begin(), reach() and compare() in
  /// turns until compare() returns false; then end(). Without a filter only.
  void begin(const Asked& asked, std::uint32_t without) {
    ask(asked, without);
    indexes::open_top(at_, walk_);
    phase_ = Phase::kDescends;
    if (walk_.layer == 0) step_down();
  }
  void reach() {
    if (phase_ == Phase::kWalks) {
      indexes::reach(at_, walk_);
    } else if (phase_ == Phase::kDescends) {
      indexes::reach_upper(at_, walk_);
    }
  }
  bool compare() {
    switch (phase_) {
      case Phase::kDescends:
        indexes::compare_upper(at_, walk_);
        if (walk_.layer == 0) step_down();
        return true;
      case Phase::kWalks:
        if (indexes::compare(at_, walk_)) return true;
        take([](std::uint32_t) { return true; });
        prefetch_finest();
        phase_ = Phase::kEnds;
        return true;
      case Phase::kEnds: break;
    }
    return false;
  }
  void end(std::int64_t* ids, float* distances, std::size_t k) { finish(ids, distances, k); }
  /// Now and then, in long walks: CancelledError if the caller has had enough.
  void poll() {
    if (ticker_ != nullptr && ++steps_ % kStepsBetweenPolls == 0) ticker_->poll();
  }

  void answer_filtered(const Asked& asked, std::uint32_t without, std::int64_t* ids,
                       float* distances, std::size_t k) {
    rows_.clear();
    ask(asked, without);
    if (k_ > 0) filtered();
    finish(ids, distances, k);
  }

  std::uint64_t reranked = 0;
  std::uint64_t scanned = 0;

 private:
  void ask(const Asked& asked, std::uint32_t without) {
    asked_ = asked;
    without_ = without;
    prepare(Precision::kFast, walk_.query);
  }

  /// The query for the codes.
  void prepare(Precision precision, quantizers::Query& out) const {
    if (asked_.images != nullptr) {
      asked_.images->prepare(asked_.place, precision, out);
    } else {
      codec_.prepare(asked_.query, precision, out);
    }
  }

  /// From the upper layers onto the base.
  void step_down() {
    open(walk_.best, ef_);
    if (growth_ > 0) {
      const float lift = walk_.query.shift() + (index_.unit() ? 1.0f : 0.0f);
      indexes::end_beyond(k_, growth_, lift, walk_);
    }
    phase_ = Phase::kWalks;
  }

  void open(indexes::EntryPoint start, std::size_t ef) {
    if (start.row == without_ && at_.entry != kNoRow) {  // from farther off, then
      start.row = at_.state->tower(at_.entry).row;
      walk_.query.score_ids(at_.state->codes.data(), &start.row, 1, &start.distance);
    }
    indexes::open_base(at_, start, ef, walk_);
    // As if met before: not compared, and its links not read.
    if (without_ < at_.rows) walk_.visited.first(without_);
  }

  void walk(std::size_t ef) {
    open(indexes::descend(at_, 0, walk_), ef);
    do {
      indexes::reach(at_, walk_);
      poll();
    } while (indexes::compare(at_, walk_));
  }

  template <class Keep>
  void take(Keep keep) {
    rows_.clear();
    scores_.clear();
    const Pool& pool = walk_.pool;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const std::uint32_t row = pool.row(i);
      if (row == without_ || !keep(row)) continue;
      rows_.push_back(row);
      scores_.push_back(pool.distance(i));
    }
  }

  /// A walk cannot know which rows count, so it keeps more candidates the fewer count. It costs
  /// about links x ef distances; once scanning the allowed rows costs less, they are scanned.
  void filtered() {
    const double share = static_cast<double>(filter_->count) / at_.rows;
    const std::size_t enough = std::min(filter_->count, std::max(k_, ef_ / 2));
    for (double ef = 1.2 * static_cast<double>(ef_) / share;; ef *= 3) {
      if (ef * index_.params.links >= static_cast<double>(filter_->count)) break;
      walk(static_cast<std::size_t>(ef));
      take([&](std::uint32_t row) { return filter_->test(row); });
      if (rows_.size() >= enough) return;
    }
    scan();
  }

  void scan() {
    ++scanned;
    BlockTopK top(ef_, kernels::active().below);
    constexpr std::size_t kBlock = 256;
    std::uint32_t rows[kBlock];
    float scores[kBlock];
    std::size_t n = 0;
    const auto flush = [&] {
      walk_.query.score_ids(at_.state->codes.data(), rows, n, scores);
      walk_.distances += n;
      top.push_ids(scores, n, rows);
      n = 0;
      poll();
    };
    for (std::uint32_t first = 0; first < at_.rows; first += 64) {
      const std::uint64_t word = filter_->word(first / 64);
      if (word == 0) continue;
      const std::uint32_t most = std::min(64u, at_.rows - first);
      for (std::uint32_t bit = 0; bit < most; ++bit) {
        if ((word >> bit & 1) == 0) continue;
        rows[n++] = first + bit;
        if (n == kBlock) flush();
      }
    }
    flush();
    rows_.clear();
    scores_.clear();
    for (const Hit& hit : top.finish()) {
      if (hit.row == without_) continue;
      rows_.push_back(hit.row);
      scores_.push_back(hit.distance);
    }
  }

  void finish(std::int64_t* ids, float* distances, std::size_t k) {
    compare_finely();
    const std::size_t n = std::min(k, found_.size());
    for (std::size_t i = 0; i < n; ++i) {
      ids[i] = found_[i].id;
      distances[i] = found_[i].distance;
    }
    std::fill(ids + n, ids + k, kNoId);
    std::fill(distances + n, distances + k, kInfinity);
  }

  /// Asks memory for the refine rows that compare_finely() reads first.
  void prefetch_finest() const {
    if (!index_.refine) return;
    const std::byte* const store = at_.state->refine.data();
    const std::size_t stride = index_.refine->stride();
    constexpr std::size_t kMost = 32;  // more would push one another out of the second cache
    const std::size_t n = std::min({rows_.size(), rerank_, indexes::Reranker::first(k_), kMost});
    for (std::size_t i = 0; i < n; ++i) {
      indexes::prefetch_bytes(store + std::size_t{rows_[i]} * stride, stride);
    }
  }

  /// Candidates to answers: the last comparison is made with the finest rows kept.
  void compare_finely() {
    float shift = walk_.query.shift();
    if (!rows_.empty() && (index_.refine || codec_.has_fast())) {
      rows_.resize(std::min(rows_.size(), rerank_));
      scores_.resize(rows_.size());
      const Buffer& store = index_.refine ? at_.state->refine : at_.state->codes;
      if (index_.refine) {
        index_.refine->prepare(asked_.query, Precision::kExact, walk_.refined);
      } else {
        prepare(Precision::kExact, walk_.refined);
      }
      rows_.resize(walk_.reranker.compare(walk_.refined, store.data(), rows_, k_,
                                            rerank_all_, scores_));
      shift = walk_.refined.shift();
      reranked += rows_.size();
    }
    found_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      float distance = scores_[i] + shift;
      if (!(distance < kInfinity)) continue;
      if (index_.unit()) distance = std::max(0.0f, 1.0f + distance);
      found_.push_back({distance, at_.state->id(rows_[i])});
    }
    const std::size_t n = std::min(k_, found_.size());
    std::partial_sort(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(n),
                      found_.end(), nearer);
    found_.resize(n);
  }

  Ticker* const ticker_;
  std::size_t steps_ = 0;
  const HnswIndex::Impl& index_;
  const Snapshot& at_;
  const Codec& codec_;
  const Filter* filter_;
  Walk& walk_;
  const std::size_t k_;
  const std::size_t ef_;
  const float growth_;
  const bool rerank_all_;
  std::size_t rerank_;
  Asked asked_;
  std::uint32_t without_ = kNoRow;
  enum class Phase : std::uint8_t { kDescends, kWalks, kEnds };
  Phase phase_ = Phase::kDescends;
  std::vector<std::uint32_t>& rows_ = walk_.rows;
  std::vector<float>& scores_ = walk_.row_scores;
  std::vector<Found> found_;
};

/// Queries that a thread answers at a time: while memory brings the rows that one of them compares
/// next, the other computes. Zen 4, SQ8 and float16, one thread, against one after the other: 1.19
/// to 1.25 times as many queries on sift-photo-200k, 1.10 to 1.14 on wordnet-minilm-384, 1.00 to
/// 1.04 on mnist-784, whose long rows are bound by bandwidth. 3, 4 and 8 were no better than 2.
constexpr std::size_t kLanes = 2;

/// Queries that are transformed together: enough to pay for reading the matrix.
constexpr std::size_t kMostImages = 128;
constexpr std::size_t kImageFloats = std::size_t{1} << 16;

struct Lane {
  Lane(const HnswIndex::Impl& index, const HnswIndex::Impl::View& view, const Filter* filter,
       const HnswSearch& how, std::size_t k, Ticker* ticker)
      : walk(index.walks.take()), searcher(index, view, filter, how, k, *walk, ticker) {}

  indexes::WalkStore::Lease walk;
  Searcher searcher;
  std::size_t query = 0;
};
using Lanes = std::array<std::optional<Lane>, kLanes>;

/// Answers do not depend on what shares the lanes.
template <class AskedOf, class Without>
void answer_together(Lanes& lanes, std::size_t count, std::size_t begin, std::size_t end,
                     const AskedOf& asked, const Without& without, MatrixView<std::int64_t> ids,
                     MatrixView<float> distances) {
  std::array<Lane*, kLanes> walking{};
  std::size_t next = begin;
  count = std::min(count, end - begin);
  const auto start = [&](Lane& lane) {
    lane.query = next++;
    lane.searcher.begin(asked(lane.query, *lane.walk), without(lane.query));
  };
  for (std::size_t i = 0; i < count; ++i) {
    walking[i] = &*lanes[i];
    start(*walking[i]);
  }
  while (count > 0) {
    walking[0]->searcher.poll();
    for (std::size_t i = 0; i < count; ++i) walking[i]->searcher.reach();
    for (std::size_t i = 0; i < count;) {
      Lane& lane = *walking[i];
      if (lane.searcher.compare()) {
        ++i;
        continue;
      }
      lane.searcher.end(ids.row(lane.query), distances.row(lane.query), ids.cols());
      if (next < end) {
        start(lane);
        ++i;
      } else {
        walking[i] = walking[--count];  // has not compared yet in this turn
      }
    }
  }
}

}  // namespace

void HnswIndex::Impl::search(const VectorsView& queries, const HnswSearch& how,
                             MatrixView<std::int64_t> ids, MatrixView<float> distances,
                             const RunOptions& run, HnswStats* stats) const {
  const std::size_t k = ids.cols();
  if (queries.cols != dim) throw DimensionError("queries", queries.cols, dim);
  if (k == 0) throw ArgumentError("k is 0; wanted 1 or more");
  if (ids.rows() != queries.rows || distances.rows() != queries.rows || distances.cols() != k) {
    throw ArgumentError("ids and distances must both have a row per query and k columns");
  }
  if (how.ef == 0) throw ArgumentError("ef is 0; wanted 1 or more");
  if (!((how.slack >= 0 && how.slack <= 1000) || how.slack == HnswSearch::kNoSlack)) {
    throw ArgumentError("slack is " + std::to_string(how.slack) + "; wanted 0 to 1000");
  }
  if (how.slack >= 0 && metric == Metric::kInnerProduct) {
    throw ArgumentError("slack is given; inner products have no distances that it could compare");
  }
  check_rows(queries, "queries", unit(), run);

  View now;
  Filter filter;
  const auto choose = [&](const View& at, const auto& find) {
    now = at;
    if (now.at) filter = filter_of(*now.at, how.allowed, find);
  };
  if (how.allowed.ids != nullptr) {
    with_ids(choose);
  } else {
    choose(view(), [](std::int64_t) { return kNoRow; });
  }
  if (now->live() == 0) {
    std::fill_n(ids.data(), ids.rows() * k, kNoId);
    std::fill_n(distances.data(), ids.rows() * k, kInfinity);
    return;
  }
  const std::size_t candidates = std::max<std::size_t>(how.ef, k);
  const bool many = candidates > kManyCandidates;
  const bool all = many && candidates * params.links >= now->rows && how.allowed.everything();
  if (all && now->removed == 0) {
    filter.own = Bitmap(now->rows);
    for (std::uint32_t row = 0; row < now->rows; ++row) filter.own.set(row);
    filter.count = now->rows;
  }
  const bool filtered = all || !how.allowed.everything() || now->removed > 0;
  std::vector<std::uint32_t> absent;
  if (how.without != nullptr) absent = look_through(*now.at, how.without, queries.rows);
  const auto without = [&](std::size_t q) { return absent.empty() ? kNoRow : absent[q]; };

  Ticker ticker(run, "searching", queries.rows);
  std::mutex stats_mutex;
  const float* plain = unit() ? nullptr : plain_floats(queries);
  const auto piece = [&](std::size_t begin, std::size_t end, unsigned) {
    Lanes lanes;
    const std::size_t count = filtered ? 1 : std::min(end - begin, kLanes);
    for (std::size_t i = 0; i < count; ++i) {
      lanes[i].emplace(*this, now, filtered ? &filter : nullptr, how, k,
                       many ? &ticker : nullptr);
    }
    const auto answer = [&](std::size_t first, std::size_t last, const auto& asked) {
      if (!filtered) {
        answer_together(lanes, count, first, last, asked, without, ids, distances);
        return;
      }
      for (std::size_t q = first; q < last; ++q) {
        Lane& lane = *lanes[0];
        lane.searcher.answer_filtered(asked(q, *lane.walk), without(q), ids.row(q),
                                      distances.row(q), k);
      }
    };
    if (quantizers::transform_of(*now.codec) == nullptr) {
      answer(begin, end, [&](std::size_t q, Walk& walk) -> Asked {
        if (plain != nullptr) return {plain + q * dim};
        if (walk.floats.size() < dim) walk.floats.resize(dim);
        read_rows(queries, q, q + 1, walk.floats.data(), dim);
        if (unit()) normalize_rows(walk.floats.data(), 1, dim, dim);
        return {walk.floats.data()};
      });
    } else {
      quantizers::QueryImages images(*now.codec);
      std::vector<float> floats;
      const std::size_t together = std::clamp<std::size_t>(kImageFloats / dim, 8, kMostImages);
      for (std::size_t first = begin; first < end; first += together) {
        const std::size_t last = std::min(end, first + together);
        const float* rows = plain != nullptr ? plain + first * dim : nullptr;
        if (rows == nullptr) {
          floats.resize((last - first) * dim);
          read_rows(queries, first, last, floats.data(), dim);
          if (unit()) normalize_rows(floats.data(), last - first, dim, dim);
          rows = floats.data();
        }
        images.map(rows, last - first);
        answer(first, last, [&](std::size_t q, Walk&) -> Asked {
          return {rows + (q - first) * dim, &images, q - first};
        });
      }
    }
    if (stats == nullptr) return;
    const std::lock_guard<std::mutex> lock(stats_mutex);
    for (std::size_t i = 0; i < count; ++i) {
      stats->hops += lanes[i]->walk->hops;
      stats->distances += lanes[i]->walk->distances;
      stats->reranked += lanes[i]->searcher.reranked;
      stats->scanned += lanes[i]->searcher.scanned;
    }
  };
  if (queries.rows == 1) {
    piece(0, 1, 0);
  } else {
    // At the end of a piece lanes run empty; where pieces are long, that is rare: 2 to 5% less time
    // than with 16 queries each. But threads should end together, and a cancel should not wait.
    const std::size_t longest = std::clamp<std::size_t>(16384 / how.ef, 16, 128);
    const std::size_t grain =
        std::clamp<std::size_t>(queries.rows / (8 * std::size_t{workers(run)}), 16, longest);
    parallel_for(queries.rows, grain, run, piece, &ticker);
  }
}

}  // namespace vicinal
