#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "base/parallel.h"
#include "base/topk.h"
#include "indexes/ivf_impl.h"
#include "indexes/rerank.h"
#include "kernels/table.h"
#include "vicinal/view.h"

namespace vicinal::indexes {

/// One call of search(): what it looks at, and where its answers go.
///
/// The answer of a query is a function of the snapshot and the query alone: a set of lists, the
/// `keep` best entries in them by (score, row), whatever the order they come in, and the last
/// comparison. So queries may be answered one at a time or turned round list by list.
class IvfCall {
 public:
  IvfCall(const IvfIndex::Impl& index, const IvfSearch& how, const VectorsView& queries,
          MatrixView<std::int64_t> ids, MatrixView<float> distances);

  const IvfSnapshot& at() const noexcept { return *view_; }
  const IvfModel& model() const noexcept { return *view_->model; }
  const IvfList& list(std::uint32_t l) const noexcept { return (*view_->lists)[l]; }
  Metric metric() const noexcept { return metric_; }
  bool l2() const noexcept { return metric_ == Metric::kL2; }
  bool unit() const noexcept { return metric_ == Metric::kCosine; }

  /// Rows that may be returned.
  std::size_t count() const noexcept { return count_; }
  bool filtered() const noexcept { return filtered_; }
  /// Whether a row may be returned; rows that are not there may not.
  bool passes(std::uint32_t row) const noexcept {
    if (row >= view_->rows) return false;
    return chosen_.size() != 0 ? chosen_.test(row) : !view_->gone(row);
  }
  /// Lists in which something may be found.
  std::size_t open() const noexcept { return open_; }
  bool all_open() const noexcept { return open_ == model().lists; }
  bool is_open(std::uint32_t l) const noexcept {
    return open_lists_.size() != 0 ? open_lists_.test(l) : list(l).count != 0;
  }

  std::size_t probes() const noexcept { return probes_; }
  float cut() const noexcept { return cut_; }
  std::size_t want() const noexcept { return want_; }    ///< answers: k, or all there are
  std::size_t depth() const noexcept { return depth_; }  ///< candidates compared at last, at most
  bool all_candidates() const noexcept { return all_candidates_; }  ///< and none is left out
  /// Entries kept: a row may be met in both of its lists.
  std::size_t keep() const noexcept { return keep_; }
  bool twice() const noexcept { return twice_; }
  quantizers::Precision precision() const noexcept {
    return model().refine ? quantizers::Precision::kFast : quantizers::Precision::kExact;
  }

  const VectorsView& queries() const noexcept { return queries_; }
  std::size_t k() const noexcept { return ids_.cols(); }
  std::int64_t* ids(std::size_t q) const noexcept { return ids_.row(q); }
  float* distances(std::size_t q) const noexcept { return distances_.row(q); }
  void nothing() const;

 private:
  void confine(const IvfIndex::Impl& index, const Allowed& allowed);

  IvfIndex::Impl::View view_;
  Metric metric_;
  const VectorsView& queries_;
  MatrixView<std::int64_t> ids_;
  MatrixView<float> distances_;
  std::size_t count_ = 0;
  bool filtered_ = false;
  Bitmap chosen_;  // empty unless the caller restricted the rows
  std::size_t open_ = 0;
  Bitmap open_lists_;
  std::size_t probes_ = 0;
  float cut_;
  std::size_t want_ = 0;
  std::size_t depth_ = 0;
  std::size_t keep_ = 0;
  bool twice_ = false;
  bool all_candidates_ = false;
};

/// A list that a query looks into.
struct IvfProbe {
  float base;  ///< the score of its centroid: lists rank by it, and residual codes add to it
  std::uint32_t list;
};

/// Finds the lists nearest to queries.
///
/// Lists rank by the score of their centroid: ||q - c||^2, or -<q, c> under inner product and
/// cosine. Under cosine too rows go to the centroid at the least distance, and centroids keep their
/// length: a scattered list has a shorter one, and fewer rows near to any query. Against ranking by
/// the distance that found 2 points more of words among definitions and as much of definitions.
class IvfProber {
 public:
  static constexpr std::size_t kMostQueries = 32;  ///< that share one look through the centroids

  /// The `probes` nearest open lists of each of n <= kMostQueries queries, nearest first, ties by
  /// smaller number; those cut off left out if `cut`.
  void choose(const IvfCall& call, const float* queries, std::size_t n, std::size_t probes,
              bool cut, std::vector<IvfProbe>* out);

 private:
  void rank(const IvfCall& call, const float* query, const std::vector<Hit>& hits,
            std::size_t probes, bool cut, std::vector<IvfProbe>& out);

  std::vector<quantizers::Query> prepared_;
  std::vector<BlockTopK> tops_;
  quantizers::Query exact_;
  std::vector<float> scores_;
  std::vector<std::uint32_t> lists_;
};

/// A query made ready for the codes of any list.
class IvfQuery {
 public:
  void prepare(const IvfCall& call, const float* query);
  /// Scores of the entries [at, at + n) of a list, comparable between lists: `at` is a multiple of
  /// kBlockRows; room for n rounded up to such a multiple.
  void score(const IvfCall& call, const IvfList& list, std::size_t at, std::size_t n, float base,
             float* out) const;
  /// The same bits for `count` <= kMany queries, queries[q] with bases[q] to out[q].
  static constexpr std::size_t kMany = quantizers::BlockQuery::kMany;
  static void score_many(const IvfCall& call, const IvfQuery* const* queries, std::size_t count,
                         const IvfList& list, std::size_t at, std::size_t n, const float* bases,
                         float* const* out);

 private:
  void place(const IvfModel& model, const IvfList& list, std::size_t at, std::size_t n, float base,
             float* out) const;

  quantizers::Query rows_;
  quantizers::BlockQuery blocks_;
};

constexpr std::size_t kIvfChunk = 512;  ///< entries scored together, at most

/// Scores become candidates. Not to be used by two threads.
class IvfSieve {
 public:
  /// Entries [at, at + n) of a list, n <= kIvfChunk.
  void scan(const IvfCall& call, const IvfQuery& query, const IvfList& list, std::size_t at,
            std::size_t n, float base, BlockTopK& top);
  /// The same for `count` <= IvfQuery::kMany queries, which share the reading of the entries.
  void scan_many(const IvfCall& call, const IvfQuery* const* queries, std::size_t count,
                 const IvfList& list, std::size_t at, std::size_t n, const float* bases,
                 BlockTopK* const* tops);

 private:
  void push(const IvfCall& call, const IvfList& list, std::size_t at, std::size_t n,
            const float* scores, BlockTopK& top);

  alignas(64) float scores_[IvfQuery::kMany][kIvfChunk];
  float kept_[kIvfChunk + 16];
  std::uint32_t places_[kIvfChunk + 16];
};

/// The last comparison, and the answer.
class IvfFinish {
 public:
  /// Writes the answer of query q. hits: the `keep` best entries, in any order. False, and nothing
  /// is written, if there are fewer answers than wanted.
  bool answer(const IvfCall& call, std::size_t q, const float* query, const std::vector<Hit>& hits,
              bool whatever_there_is);
  std::uint64_t reranked = 0;

 private:
  struct Found {
    float distance;
    std::int64_t id;
  };
  static bool nearer(const Found& a, const Found& b) noexcept {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }

  std::vector<Hit> hits_;
  std::vector<std::uint32_t> rows_;
  std::vector<float> scores_;
  std::vector<Found> found_;
  quantizers::Query refine_;
  Reranker reranker_;
};

/// One query after another, each list by list, nearest first.
class IvfSingly {
 public:
  /// probes: lists to begin with, less those cut off if `cut`. Where they hold fewer answers than
  /// wanted it begins again, with more lists and none cut off.
  void answer(const IvfCall& call, std::size_t q, const float* query, std::size_t probes, bool cut);
  IvfStats stats;

 private:
  IvfProber prober_;
  std::vector<IvfProbe> probes_;
  IvfQuery query_;
  IvfSieve sieve_;
  BlockTopK top_{0, kernels::active().below};
  IvfFinish finish_;
};

/// How many lists to look into after so many held too little.
inline std::size_t more_probes(const IvfCall& call, std::size_t probes) noexcept {
  return probes > call.open() / 4 ? call.open() : 4 * probes;
}

/// Many queries at once, list by list. What it needs is kept from group to group.
class IvfBatch {
 public:
  /// Queries [first, first + n). done: counts queries.
  void answer(const IvfCall& call, std::size_t first, std::size_t n,
              std::atomic<std::uint64_t>& done, Ticker& ticker, IvfStats& stats);

 private:
  struct Visit {
    std::uint32_t query;
    float base;
  };

  void choose(const IvfCall& call, const float* queries, std::size_t n, Ticker& ticker);
  /// Turns round what queries look into, by list: only the nearest of each, or only the others.
  void turn(const IvfModel& model, std::size_t n, bool nearest);
  void visit(const IvfCall& call, Ticker& ticker, IvfStats& stats);

  IvfProber prober_;
  std::vector<std::vector<IvfProbe>> probes_;
  std::vector<IvfQuery> queries_;
  std::vector<BlockTopK> tops_;
  std::vector<Visit> visits_;
  std::vector<std::size_t> starts_;  // of the visits of each list, and their end
  std::vector<std::size_t> next_;
  std::vector<float> floats_;
  IvfSieve sieve_;
  IvfFinish finish_;
  std::unique_ptr<IvfSingly> singly_;
};

}  // namespace vicinal::indexes
