#include "indexes/flat_packed.h"
#include "indexes/lent.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/parallel.h"

namespace vicinal::indexes {
namespace {

using quantizers::BlockQuery;
using quantizers::kBlockRows;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kGroup = 16;   // queries that share one reading of a tile
constexpr std::size_t kChunk = 16;   // blocks whose bounds are looked through together
constexpr std::size_t kTileBytes = std::size_t{128} << 10;  // of codes: stays in the second cache
constexpr std::size_t kChunkRows = kChunk * kBlockRows;
constexpr std::size_t kMany = BlockQuery::kMany;

/// Blocks [block, block + blocks) and the rows of them that count.
struct Piece {
  std::size_t block;
  std::size_t blocks;
  std::size_t begin;
  std::size_t end;
};

/// Bounds of a piece of at most kChunk blocks as they were scored, +inf for hidden rows; returns
/// that of row piece.begin.
float* shown(const FlatPlan& plan, const FlatQuery& query, const Piece& piece, float* scores) {
  query.finish_bounds(scores, piece.blocks);
  if (plan.masked()) PackedRows::hide(*plan.mask(), piece.block, piece.blocks, scores);
  return scores + (piece.begin - piece.block * kBlockRows);
}

Piece piece_of(std::size_t block, std::size_t blocks, std::size_t first, std::size_t last) {
  return {block, blocks, std::max(first, block * kBlockRows),
          std::min(last, (block + blocks) * kBlockRows)};
}

/// The candidates of one query among a range of rows. A row is dropped once `want` others have
/// upper bounds below its lower bound. The lower bounds hold; the upper ones need not to the last
/// bit, for finish() looks whether the answer lies below whatever was dropped.
class Sieve {
 public:
  void reset(std::size_t want) {
    want_ = want;
    count_ = known_ = 0;
    full_ = want;
    bar_ = kInfinity;
  }

  /// bounds: that of row piece.begin and of those that follow.
  void scan(const FlatPlan& plan, const FlatQuery& query, const Piece& piece,
            const float* bounds) {
    for (std::size_t row = piece.begin; row < piece.end;) {
      // A short first step: the bar it gives spares most of the next one.
      const std::size_t left = piece.end - row;
      const std::size_t n = bar_ < kInfinity ? left : std::min(left, want_ + 32);
      reserve(count_ + n + 16);
      count_ += below_(bounds, n, bar_, static_cast<std::uint32_t>(row), rows_.data() + count_,
                       lower_.data() + count_);
      if (count_ > full_) shrink(plan, query);
      bounds += n;
      row += n;
    }
  }

  /// The `want` nearest of rows [first, last), all of which have been scanned.
  const std::vector<Hit>& finish(const FlatPlan& plan, FlatQuery& query, std::size_t first,
                                 std::size_t last, BlockTopK& top) {
    shrink(plan, query);
    query.ids(plan.at(), rows_.data(), count_, lower_.data());
    top.reset(want_);
    top.push_ids(lower_.data(), count_, rows_.data());
    const std::vector<Hit>& hits = top.finish();
    if (!(bar_ < kInfinity)) return hits;  // nothing was dropped
    if (hits.size() == want_ && hits.back().distance < bar_) return hits;
    // Upper bounds a hair too low, or distances cut off at zero: whatever is as near as the last.
    Reached reached;
    const float radius = hits.size() == want_ ? hits.back().distance : kInfinity;
    collect_packed(plan, query, first, last, radius, reached, nullptr);
    top.reset(want_);
    top.push_ids(reached.distances.data(), reached.rows.size(), reached.rows.data());
    return top.finish();
  }

 private:
  void reserve(std::size_t n) {
    if (n <= rows_.size()) return;
    const std::size_t size = std::max(n, 2 * rows_.size());
    rows_.resize(size);
    lower_.resize(size);
    upper_.resize(size);
  }

  void shrink(const FlatPlan& plan, const FlatQuery& query) {
    if (count_ < want_) return;
    for (; known_ < count_; ++known_) {
      const std::uint32_t row = rows_[known_];
      const std::byte* block = plan.packed()->block(row / kBlockRows);
      const float upper = lower_[known_] + query.slack(block, row % kBlockRows);
      // A damaged file may hold factors that are not numbers, which cannot be put in order.
      upper_[known_] = upper < kInfinity ? upper : kInfinity;
    }
    order_.assign(upper_.begin(), upper_.begin() + static_cast<std::ptrdiff_t>(count_));
    const auto kth = order_.begin() + static_cast<std::ptrdiff_t>(want_ - 1);
    std::nth_element(order_.begin(), kth, order_.end());
    bar_ = std::min(bar_, std::nextafter(*kth, kInfinity));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      rows_[kept] = rows_[i];
      lower_[kept] = lower_[i];
      upper_[kept] = upper_[i];
      kept += lower_[i] < bar_ ? 1 : 0;
    }
    count_ = known_ = kept;
    full_ = 3 * kept + 64;  // seldom: putting in order costs more than a few more candidates
  }

  const CompressBelow below_ = kernels::active().below;
  std::size_t want_ = 0;
  std::size_t count_ = 0;
  std::size_t known_ = 0;  // of them, those whose upper bound is there
  std::size_t full_ = 0;   // more are looked through
  float bar_ = kInfinity;  // rows whose lower bound is not below it are dropped
  std::vector<std::uint32_t> rows_;
  std::vector<float> lower_;
  std::vector<float> upper_;
  std::vector<float> order_;
};

struct Scratch {
  std::array<FlatQuery, kGroup> queries;
  std::array<Sieve, kGroup> sieves;
  BlockTopK top{0, kernels::active().below};
  std::vector<float> floats;
  std::vector<std::size_t> together;        // the queries that have bounds
  std::vector<const BlockQuery*> bounds;    // of these
  alignas(64) float scores[kMany][kChunkRows];
};

/// Distances of all rows, for queries without bounds: unpacked, one after another.
void collect_unpacked(const FlatPlan& plan, FlatQuery& query, const Piece& piece, float bar,
                      Reached& out) {
  std::uint32_t rows[kChunkRows];
  float distances[kChunkRows];
  std::size_t n = 0;
  for (std::size_t row = piece.begin; row < piece.end; ++row) {
    if (!plan.masked() || plan.mask()->test(row)) rows[n++] = static_cast<std::uint32_t>(row);
  }
  query.ids(plan.at(), rows, n, distances);
  for (std::size_t i = 0; i < n; ++i) {
    if (!(distances[i] < bar)) continue;
    out.rows.push_back(rows[i]);
    out.distances.push_back(distances[i]);
  }
}

}  // namespace

void collect_packed(const FlatPlan& plan, FlatQuery& query, std::size_t first, std::size_t last,
                    float radius, Reached& out, Comparisons* counted) {
  const float bar = std::nextafter(radius, kInfinity);
  const auto below = kernels::active().below;
  alignas(64) float scores[kChunkRows];
  std::uint32_t rows[kChunkRows + 16];
  float distances[kChunkRows + 16];
  std::size_t done = first;
  plan.packed()->walk(first, last, kChunk, plan.mask(), [&](std::size_t b, std::size_t blocks) {
    const Piece piece = piece_of(b, blocks, first, last);
    if (query.bounded()) {
      query.bounds().score(plan.packed()->block(b), blocks, scores);
      const float* bounds = shown(plan, query, piece, scores);
      const std::size_t n = below(bounds, piece.end - piece.begin, bar,
                                  static_cast<std::uint32_t>(piece.begin), rows, distances);
      query.ids(plan.at(), rows, n, distances);
      for (std::size_t i = 0; i < n; ++i) {
        if (!(distances[i] < bar)) continue;
        out.rows.push_back(rows[i]);
        out.distances.push_back(distances[i]);
      }
    } else {
      collect_unpacked(plan, query, piece, bar, out);
    }
    if (counted != nullptr) counted->add(piece.end - done);
    done = piece.end;
  });
  if (counted != nullptr) counted->add(last - done);
}

void scan_packed(const FlatSearch& search, const RunOptions& run) {
  const FlatPlan& plan = search.plan;
  const PackedRows& rows = *plan.packed();
  const std::size_t count = search.queries.rows;
  const std::size_t bytes = rows.bytes();
  const bool small = bytes * std::min(count, std::size_t{1} << 20) < kRangeBytes;
  const unsigned threads = small ? 1 : workers(run);
  const std::size_t group = std::clamp<std::size_t>((count + threads - 1) / threads, 1, kGroup);
  const std::size_t groups = (count + group - 1) / group;
  const std::size_t for_threads = groups >= threads ? 1 : (threads + groups - 1) / groups;
  FlatParts parts(search, std::min(for_threads, bytes / kRangeBytes + 1));
  const std::size_t tile =
      std::max(kChunk, kTileBytes / plan.codec().block_bytes() / kChunk * kChunk);

  const std::size_t tasks = groups * parts.ranges();
  Comparisons counted(run, std::uint64_t{count} * plan.places());
  const auto task_of = [&](std::size_t task) {
    const Lent<Scratch> lent;
    Scratch& scratch = *lent;
    const std::size_t range = task % parts.ranges();
    const std::size_t first = parts.begin(range), last = parts.begin(range + 1);
    const std::size_t first_query = task / parts.ranges() * group;
    const std::size_t n = std::min(group, count - first_query);
    const float* floats =
        query_rows(search.queries, first_query, first_query + n, search.unit(), scratch.floats);
    auto& together = scratch.together;
    auto& bounds = scratch.bounds;
    together.clear();
    bounds.clear();
    for (std::size_t q = 0; q < n; ++q) {
      scratch.queries[q].prepare(plan.codec(), search.metric, floats + q * search.queries.cols);
      scratch.sieves[q].reset(search.want);
      if (!scratch.queries[q].bounded()) continue;
      together.push_back(q);
      bounds.push_back(&scratch.queries[q].bounds());
    }
    float* scores[kMany];
    for (std::size_t i = 0; i < kMany; ++i) scores[i] = scratch.scores[i];
    std::size_t done = first;
    rows.walk(first, last, tile, plan.mask(), [&](std::size_t block, std::size_t blocks) {
      for (std::size_t q = 0; q < together.size(); q += kMany) {
        const std::size_t some = std::min(kMany, together.size() - q);
        for (std::size_t b = block; b < block + blocks; b += kChunk) {
          const Piece piece = piece_of(b, std::min(kChunk, block + blocks - b), first, last);
          BlockQuery::score_many(&bounds[q], some, rows.block(b), piece.blocks, scores);
          for (std::size_t i = 0; i < some; ++i) {
            const std::size_t which = together[q + i];
            scratch.sieves[which].scan(plan, scratch.queries[which], piece,
                                       shown(plan, scratch.queries[which], piece, scores[i]));
          }
        }
      }
      const std::size_t end = piece_of(block, blocks, first, last).end;
      counted.add(n * (end - done));
      done = end;
    });
    counted.add(n * (last - done));
    for (std::size_t q = 0; q < n; ++q) {
      FlatQuery& query = scratch.queries[q];
      if (query.bounded()) {
        const auto& hits = scratch.sieves[q].finish(plan, query, first, last, scratch.top);
        parts.put(first_query + q, range, hits, query);
        continue;
      }
      Reached reached;
      collect_packed(plan, query, first, last, kInfinity, reached, nullptr);
      scratch.top.reset(search.want);
      scratch.top.push_ids(reached.distances.data(), reached.rows.size(), reached.rows.data());
      parts.put(first_query + q, range, scratch.top.finish(), query);
    }
  };
  for_tasks(tasks, small, counted, run, task_of);
  parts.merge(run);
}

}  // namespace vicinal::indexes
