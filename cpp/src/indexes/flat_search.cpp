#include "indexes/flat_packed.h"
#include "indexes/flat_search.h"
#include "indexes/lent.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <string>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace indexes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kGroup = 8;  // queries that share one reading of a chunk
constexpr std::size_t kChunkRows = 1024;                     // at most
constexpr std::size_t kChunkBytes = std::size_t{128} << 10;  // of codes: stays in the second cache
constexpr std::size_t kTileQueries = 10;                      // fewer are streamed

struct StreamScratch {
  std::array<FlatQuery, kGroup> queries;
  std::vector<BlockTopK> tops;
  std::vector<float> scores;
  std::vector<float> floats;
};

void score_chunk(const FlatPlan& plan, std::size_t place, std::size_t n, FlatQuery& query,
                 float* scores, BlockTopK& top) {
  if (plan.listed()) {
    query.ids(plan.at(), plan.list() + place, n, scores);
    top.push_ids(scores, n, plan.list() + place);
    return;
  }
  query.block(plan.codes(place), n, scores);
  if (plan.masked() && !plan.hide(place, n, scores)) return;
  top.push_block(scores, n, static_cast<std::uint32_t>(place));
}

std::size_t chunk_rows(const FlatPlan& plan, std::size_t queries) {
  if (queries == 1) return kChunkRows;
  return std::clamp<std::size_t>(kChunkBytes / plan.codec().stride(), 16, kChunkRows);
}

}  // namespace

void FlatSearch::answer(std::size_t q, const std::vector<Hit>& hits, FlatQuery& query) const {
  const std::size_t k = ids.cols();
  std::int64_t* const to_ids = ids.data() + q * k;
  float* const to_distances = distances.data() + q * k;
  const FlatSnapshot& at = plan.at();
  std::size_t n = std::min(k, hits.size());
  if (at.ascending) {
    for (std::size_t i = 0; i < n; ++i) {
      to_ids[i] = at.id(hits[i].row);
      to_distances[i] = hits[i].distance;
    }
  } else {
    std::vector<std::pair<float, std::int64_t>> found;
    if (hits.size() > k && hits[k - 1].distance == hits[k].distance) {
      // Rows beyond the ones kept may lie as near and have smaller ids.
      Reached reached;
      collect(plan, query, 0, plan.places(), hits[k - 1].distance, reached);
      for (std::size_t i = 0; i < reached.rows.size(); ++i) {
        found.emplace_back(reached.distances[i], at.id(reached.rows[i]));
      }
    } else {
      for (std::size_t i = 0; i < n; ++i) found.emplace_back(hits[i].distance, at.id(hits[i].row));
    }
    n = std::min(n, found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(n), found.end());
    for (std::size_t i = 0; i < n; ++i) {
      to_ids[i] = found[i].second;
      to_distances[i] = found[i].first;
    }
  }
  std::fill(to_ids + n, to_ids + k, kNoId);
  std::fill(to_distances + n, to_distances + k, kInfinity);
}

void FlatSearch::nothing() const {
  std::fill_n(ids.data(), ids.rows() * ids.cols(), kNoId);
  std::fill_n(distances.data(), distances.rows() * distances.cols(), kInfinity);
}

void FlatParts::merge(const RunOptions& run) {
  if (ranges_ == 1) return;
  parallel_for(search_.queries.rows, 64, run, [&](std::size_t begin, std::size_t end, unsigned) {
    FlatQuery query;
    std::vector<Hit> all;
    std::vector<float> floats;
    for (std::size_t q = begin; q < end; ++q) {
      all.clear();
      for (std::size_t r = 0; r < ranges_; ++r) {
        const auto& part = hits_[q * ranges_ + r];
        all.insert(all.end(), part.begin(), part.end());
      }
      std::sort(all.begin(), all.end(), nearer);
      all.resize(std::min(all.size(), search_.want));
      if (!search_.plan.at().ascending) {
        query.prepare(search_.plan.codec(), search_.metric,
                      query_rows(search_.queries, q, q + 1, search_.unit(), floats));
      }
      search_.answer(q, all, query);
    }
  });
}

void stream_places(const FlatSearch& search, std::size_t q, std::size_t first, std::size_t last,
                   FlatQuery& query, BlockTopK& top) {
  std::vector<float> floats;
  query.prepare(search.plan.codec(), search.metric,
                query_rows(search.queries, q, q + 1, search.unit(), floats));
  top.reset(search.want);
  float scores[kChunkRows];
  for (std::size_t place = first; place < last; place += kChunkRows) {
    score_chunk(search.plan, place, std::min(kChunkRows, last - place), query, scores, top);
  }
}

void stream(const FlatSearch& search, const RunOptions& run) {
  const FlatPlan& plan = search.plan;
  const std::size_t count = search.queries.rows;
  const std::size_t bytes = plan.places() * plan.row_bytes();
  // Little work stays on this thread; a lot is cut so that there is something for every thread.
  const bool small = bytes * std::min(count, std::size_t{1} << 20) < kRangeBytes;
  const unsigned threads = small ? 1 : workers(run);
  const std::size_t group = std::clamp<std::size_t>((count + threads - 1) / threads, 1, kGroup);
  const std::size_t groups = (count + group - 1) / group;
  assert(groups > 0);  // no queries: search() has returned
  const std::size_t for_threads = groups >= threads ? 1 : (threads + groups - 1) / groups;
  FlatParts parts(search, std::min(for_threads, bytes / kRangeBytes + 1));

  const std::size_t tasks = groups * parts.ranges();
  Comparisons counted(run, std::uint64_t{count} * plan.places());
  const auto task_of = [&](std::size_t task) {
    const Lent<StreamScratch> lent;
    StreamScratch& scratch = *lent;
    const std::size_t range = task % parts.ranges();
    const std::size_t first_query = task / parts.ranges() * group;
    const std::size_t n = std::min(group, count - first_query);
    while (scratch.tops.size() < n) scratch.tops.emplace_back(0, kernels::active().below);
    const std::size_t rows = chunk_rows(plan, n);
    if (scratch.scores.size() < rows) scratch.scores.resize(rows);
    const float* floats =
        query_rows(search.queries, first_query, first_query + n, search.unit(), scratch.floats);
    for (std::size_t q = 0; q < n; ++q) {
      scratch.queries[q].prepare(plan.codec(), search.metric, floats + q * search.queries.cols);
      scratch.tops[q].reset(search.want);
    }
    const std::size_t last = parts.begin(range + 1);
    for (std::size_t place = parts.begin(range); place < last; place += rows) {
      const std::size_t chunk = std::min(rows, last - place);
      for (std::size_t q = 0; q < n; ++q) {
        score_chunk(plan, place, chunk, scratch.queries[q], scratch.scores.data(), scratch.tops[q]);
      }
      counted.add(n * chunk);
    }
    for (std::size_t q = 0; q < n; ++q) {
      parts.put(first_query + q, range, scratch.tops[q].finish(), scratch.queries[q]);
    }
  };
  for_tasks(tasks, small, counted, run, task_of);
  parts.merge(run);
}

}  // namespace indexes

void FlatIndex::Impl::search(const VectorsView& queries, MatrixView<std::int64_t> ids,
                             MatrixView<float> distances, const Allowed& allowed,
                             const RunOptions& run) const {
  const std::size_t k = ids.cols();
  if (queries.cols != dim) throw DimensionError("queries", queries.cols, dim);
  if (k == 0) throw ArgumentError("k is 0; wanted 1 or more");
  if (ids.rows() != queries.rows || distances.rows() != queries.rows || distances.cols() != k) {
    throw ArgumentError("ids and distances must both have a row per query and k columns");
  }
  check_rows(queries, "queries", unit(), run);
  if (queries.rows == 0) return;

  const indexes::FlatPlan plan(*this, allowed);
  const std::size_t most = plan.count();
  const std::size_t want =
      std::min(most, most != 0 && !plan.at().ascending && k < most ? k + 1 : k);
  const indexes::FlatSearch search{plan, metric, queries, ids, distances, want};
  if (most == 0) {
    search.nothing();
  } else if (plan.packed() != nullptr && !plan.listed()) {
    indexes::scan_packed(search, run);
  } else if (plan.packed() != nullptr || queries.rows < indexes::kTileQueries ||
             !plan.codec().reconstructs()) {
    indexes::stream(search, run);
  } else {
    indexes::tile(search, run);
  }
}

RangeResult FlatIndex::Impl::range_search(const VectorsView& queries, float radius,
                                          const Allowed& allowed, const RunOptions& run) const {
  if (queries.cols != dim) throw DimensionError("queries", queries.cols, dim);
  if (std::isnan(radius)) throw ArgumentError("radius is nan; wanted a number");
  check_rows(queries, "queries", unit(), run);
  const indexes::FlatPlan plan(*this, allowed);
  RangeResult result;
  result.offsets.assign(queries.rows + 1, 0);
  if (plan.count() == 0 || queries.rows == 0) return result;

  using Found = std::vector<std::pair<float, std::int64_t>>;
  const std::size_t ranges = plan.places() * plan.row_bytes() / indexes::kRangeBytes + 1;
  const std::size_t split =
      queries.rows >= workers(run) ? 1 : std::min<std::size_t>(ranges, workers(run));
  std::vector<Found> parts(queries.rows * split);
  indexes::Comparisons counted(run, std::uint64_t{queries.rows} * plan.places());
  parallel_for(
      parts.size(), 1, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        indexes::FlatQuery query;
        std::vector<float> floats;
        for (std::size_t part = begin; part < end; ++part) {
          const std::size_t q = part / split;
          const std::size_t range = part % split;
          query.prepare(plan.codec(), metric,
                        indexes::query_rows(queries, q, q + 1, unit(), floats));
          indexes::Reached reached;
          indexes::collect(plan, query, plan.places() * range / split,
                           plan.places() * (range + 1) / split, radius, reached, &counted);
          for (std::size_t i = 0; i < reached.rows.size(); ++i) {
            parts[part].emplace_back(reached.distances[i], plan.at().id(reached.rows[i]));
          }
          if (split == 1) std::sort(parts[part].begin(), parts[part].end());
        }
      },
      counted.ticker());
  std::size_t total = 0;
  for (const Found& part : parts) total += part.size();
  result.ids.reserve(total);
  result.distances.reserve(total);
  for (std::size_t q = 0; q < queries.rows; ++q) {
    Found& all = parts[q * split];
    for (std::size_t range = 1; range < split; ++range) {
      const Found& part = parts[q * split + range];
      all.insert(all.end(), part.begin(), part.end());
    }
    if (split != 1) std::sort(all.begin(), all.end());
    for (const auto& [distance, id] : all) {
      result.distances.push_back(distance);
      result.ids.push_back(id);
    }
    result.offsets[q + 1] = result.ids.size();
    Found().swap(all);
  }
  return result;
}

}  // namespace vicinal
