#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/topk.h"
#include "indexes/flat_plan.h"
#include "vicinal/view.h"

namespace vicinal::indexes {

/// One call of search(): what it looks at, and where its answers go.
struct FlatSearch {
  const FlatPlan& plan;
  Metric metric;
  const VectorsView& queries;
  MatrixView<std::int64_t> ids;
  MatrixView<float> distances;
  /// Hits to look for: k, or one more where ids do not rise with the rows, to see whether the k-th
  /// distance goes on; never more than there are rows.
  std::size_t want;

  bool unit() const noexcept { return metric == Metric::kCosine; }
  /// Writes the answer of query q. hits: its `want` nearest by (distance, row), nearest first.
  void answer(std::size_t q, const std::vector<Hit>& hits, FlatQuery& query) const;
  void nothing() const;
};

/// The hits of each query in each range of places, until all ranges are done.
class FlatParts {
 public:
  FlatParts(const FlatSearch& search, std::size_t ranges)
      : search_(search), ranges_(ranges), hits_(ranges > 1 ? ranges * search.queries.rows : 0) {}

  std::size_t ranges() const noexcept { return ranges_; }
  std::size_t begin(std::size_t range) const noexcept {
    return search_.plan.places() * range / ranges_;
  }
  /// With one range this is the answer.
  void put(std::size_t q, std::size_t range, const std::vector<Hit>& hits, FlatQuery& query) {
    if (ranges_ == 1) {
      search_.answer(q, hits, query);
    } else {
      hits_[q * ranges_ + range] = hits;
    }
  }
  /// Once everything has been put.
  void merge(const RunOptions& run);

 private:
  const FlatSearch& search_;
  std::size_t ranges_;
  std::vector<std::vector<Hit>> hits_;
};

// Of codes; less is not worth waking a thread for.
constexpr std::size_t kRangeBytes = std::size_t{1} << 20;

/// task(0) to task(tasks - 1) on any thread each; on this one if they are `small` together.
template <class Task>
void for_tasks(std::size_t tasks, bool small, Comparisons& counted, const RunOptions& run,
               const Task& task) {
  const auto piece = [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t t = begin; t < end; ++t) task(t);
  };
  parallel_for(tasks, small ? tasks : 1, run, piece, small ? nullptr : counted.ticker());
}

/// Each row is read once for a few queries: memory bounds it.
void stream(const FlatSearch& search, const RunOptions& run);
/// The `want` nearest of a few queries among places [first, last), one after another chunk.
void stream_places(const FlatSearch& search, std::size_t q, std::size_t first, std::size_t last,
                   FlatQuery& query, BlockTopK& top);
/// Many queries against blocks of rows in cache: arithmetic bounds it. Same answers as stream().
void tile(const FlatSearch& search, const RunOptions& run);

}  // namespace vicinal::indexes
