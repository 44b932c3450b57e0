#include "indexes/ivf_search.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <string>

#include "base/rows_reader.h"
#include "indexes/flat_plan.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace indexes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kProbeChunk = 256;  // centroids: their codes stay in the second cache
// Rough ranks are compared again: so many more than asked for.
constexpr std::size_t kProbeSpare = 16;

inline void prefetch(const void* p) noexcept {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(p);
#else
  static_cast<void>(p);
#endif
}

/// The lines that a scan begins with: what follows them the processor asks for by itself.
void prefetch_head(const IvfModel& model, const IvfList& list) noexcept {
  if (list.count == 0) return;
  const std::size_t bytes = std::min<std::size_t>(model.code_bytes(list.count), 512);
  for (std::size_t at = 0; at < bytes; at += 64) prefetch(list.codes() + at);
  prefetch(list.rows());
  prefetch(list.rows() + 16);
  if (model.terms) {
    prefetch(list.terms());
    prefetch(list.terms() + 16);
  }
}

/// Candidates worth comparing again: the more, the less a code tells.
std::size_t usual_depth(const CodecSpec& codec, std::size_t k) {
  switch (codec.kind) {
    case CodecKind::kFloat32:
    case CodecKind::kFloat16:
    case CodecKind::kSq8:
    case CodecKind::kSq4x8:
    case CodecKind::kFloat8: return 2 * k + 4;
    case CodecKind::kSq4: return 4 * k + 16;
    case CodecKind::kRotation: return codec.bits >= 4 ? 4 * k + 16 : 10 * k;
    default: return 10 * k;
  }
}

}  // namespace

// ---- What a call looks at
// ---------------------------------------------------------------------

IvfCall::IvfCall(const IvfIndex::Impl& index, const IvfSearch& how, const VectorsView& queries,
                 MatrixView<std::int64_t> ids, MatrixView<float> distances)
    : metric_(index.metric), queries_(queries), ids_(ids), distances_(distances), cut_(how.cut) {
  confine(index, how.allowed);
  if (count_ == 0 || open_ == 0) return;
  probes_ = std::min<std::size_t>(how.nprobe, open_);
  want_ = std::min(k(), count_);
  // Without a last comparison, more than k are kept where equal scores may go to either id.
  std::size_t depth = view_->numbered() ? want_ : 2 * want_ + 4;
  if (model().refine) {
    all_candidates_ = how.candidates != 0;
    depth = how.candidates != 0 ? how.candidates
            : index.loses_dimensions()
                ? 10 * want_
                : usual_depth(index.params.codec, want_);
  }
  depth_ = std::clamp(depth, want_, count_);
  twice_ = index.params.soar && model().lists > 1;
  keep_ = twice_ ? 2 * depth_ : depth_;
}

void IvfCall::confine(const IvfIndex::Impl& index, const Allowed& allowed) {
  if (allowed.everything()) {
    view_ = index.view();
    count_ = view_->live();
    open_ = view_->filled;
    filtered_ = view_->removed != 0;
    return;
  }
  std::vector<std::uint32_t> rows;
  view_ = allowed.mask != nullptr ? index.view() : index.rows_of(allowed.ids, allowed.count, rows);
  filtered_ = true;
  if (view_->live() == 0) return;
  chosen_ = Bitmap(view_->rows);
  for (const std::uint32_t row : rows) chosen_.set(row);
  for (std::uint32_t row = 0; allowed.mask != nullptr && row < view_->rows; ++row) {
    // A negative id, from a damaged file, is beyond every mask once unsigned.
    const auto id = static_cast<std::uint64_t>(view_->id(row));
    if (id < allowed.count && allowed.mask[id] != 0 && !view_->gone(row)) chosen_.set(row);
  }
  count_ = chosen_.count();
  if (count_ == 0) return;
  open_lists_ = Bitmap(model().lists);
  for (std::uint32_t l = 0; l < model().lists; ++l) {
    const IvfList& one = list(l);
    for (std::uint32_t i = 0; i < one.count; ++i) {
      const std::uint32_t row = one.rows()[i];
      if (row >= view_->rows || !chosen_.test(row)) continue;
      open_lists_.set(l);
      ++open_;
      break;
    }
  }
}

void IvfCall::nothing() const {
  std::fill_n(ids_.data(), ids_.rows() * ids_.cols(), kNoId);
  std::fill_n(distances_.data(), distances_.rows() * distances_.cols(), kInfinity);
}

// ---- Lists
// ------------------------------------------------------------------------------------

void IvfProber::choose(const IvfCall& call, const float* queries, std::size_t n, std::size_t probes,
                       bool cut, std::vector<IvfProbe>* out) {
  const IvfModel& model = call.model();
  const std::size_t dim = call.queries().cols;
  const bool rough = model.rough != nullptr && 3 * probes < call.open();
  const std::size_t keep =
      std::min<std::size_t>(call.open(), rough ? probes + probes / 2 + kProbeSpare : probes);
  if (prepared_.size() < n) prepared_.resize(n);
  while (tops_.size() < n) tops_.emplace_back(0, kernels::active().below);
  const quantizers::Codec& codec = rough ? *model.rough : *model.exact;
  const Buffer& rows = rough ? model.rough_codes : model.centroids;
  for (std::size_t q = 0; q < n; ++q) {
    codec.prepare(queries + q * dim,
                  rough ? quantizers::Precision::kFast : quantizers::Precision::kExact,
                  prepared_[q]);
    tops_[q].reset(keep);
  }
  constexpr std::size_t kMany = kernels::kCodeQueries;
  scores_.resize(kMany * kProbeChunk);
  float* scores[kMany];
  for (std::size_t i = 0; i < kMany; ++i) scores[i] = scores_.data() + i * kProbeChunk;
  const std::size_t stride = codec.stride();
  for (std::uint32_t first = 0; first < model.lists; first += kProbeChunk) {
    const std::size_t m = std::min<std::size_t>(kProbeChunk, model.lists - first);
    for (std::size_t q = 0; q < n; q += kMany) {
      const std::size_t together = std::min(kMany, n - q);
      const quantizers::Query* some[kMany];
      for (std::size_t i = 0; i < together; ++i) some[i] = &prepared_[q + i];
      quantizers::Query::score_block_many(some, together, rows.data() + first * stride, m, scores);
      for (std::size_t i = 0; i < together; ++i) {
        for (std::size_t c = 0; !call.all_open() && c < m; ++c) {
          if (!call.is_open(first + static_cast<std::uint32_t>(c))) scores[i][c] = kInfinity;
        }
        tops_[q + i].push_block(scores[i], m, first);
      }
    }
  }
  for (std::size_t q = 0; q < n; ++q) {
    rank(call, queries + q * dim, tops_[q].finish_unordered(), probes, cut, out[q]);
  }
}

void IvfProber::rank(const IvfCall& call, const float* query, const std::vector<Hit>& hits,
                     std::size_t probes, bool cut, std::vector<IvfProbe>& out) {
  const IvfModel& model = call.model();
  lists_.clear();
  for (const Hit& hit : hits) lists_.push_back(hit.row);
  scores_.resize(std::max(scores_.size(), lists_.size()));
  model.exact->prepare(query, quantizers::Precision::kExact, exact_);
  exact_.score_ids(model.centroids.data(), lists_.data(), lists_.size(), scores_.data());
  out.clear();
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    if (scores_[i] < kInfinity) out.push_back({scores_[i], lists_[i]});
  }
  std::sort(out.begin(), out.end(), [](const IvfProbe& a, const IvfProbe& b) {
    return a.base < b.base || (a.base == b.base && a.list < b.list);
  });
  out.resize(std::min(out.size(), probes));
  if (!cut || out.empty()) return;
  const auto distance = [&](const IvfProbe& p) {
    return std::max(0.0f, call.unit() ? 1.0f + p.base : p.base);
  };
  const float limit = (1.0f + call.cut()) * distance(out.front());
  std::size_t kept = 1;
  while (kept < out.size() && distance(out[kept]) <= limit) ++kept;
  out.resize(kept);
}

// ---- Scores
// -----------------------------------------------------------------------------------

void IvfQuery::prepare(const IvfCall& call, const float* query) {
  const IvfModel& model = call.model();
  if (model.packed) {
    model.codec->prepare_blocks(query, blocks_);
  } else {
    model.codec->prepare(query, call.precision(), rows_);
  }
}

void IvfQuery::score(const IvfCall& call, const IvfList& list, std::size_t at, std::size_t n,
                     float base, float* out) const {
  const IvfModel& model = call.model();
  const std::byte* codes = list.codes() + model.code_offset(at);
  if (model.packed) {
    blocks_.score(codes, (n + quantizers::kBlockRows - 1) / quantizers::kBlockRows, out);
  } else {
    rows_.score_block(codes, n, out);
  }
  place(model, list, at, n, base, out);
}

void IvfQuery::score_many(const IvfCall& call, const IvfQuery* const* queries, std::size_t count,
                          const IvfList& list, std::size_t at, std::size_t n, const float* bases,
                          float* const* out) {
  const IvfModel& model = call.model();
  if (!model.packed) {
    for (std::size_t q = 0; q < count; ++q) {
      queries[q]->score(call, list, at, n, bases[q], out[q]);
    }
    return;
  }
  const quantizers::BlockQuery* blocks[kMany] = {};
  for (std::size_t q = 0; q < count; ++q) blocks[q] = &queries[q]->blocks_;
  quantizers::BlockQuery::score_many(
      blocks, count, list.codes() + model.code_offset(at),
      (n + quantizers::kBlockRows - 1) / quantizers::kBlockRows, out);
  for (std::size_t q = 0; q < count; ++q) queries[q]->place(model, list, at, n, bases[q], out[q]);
}

/// Scores of codes become comparable between lists.
void IvfQuery::place(const IvfModel& model, const IvfList& list, std::size_t at, std::size_t n,
                     float base, float* out) const {
  const float shift = model.packed ? blocks_.shift() : rows_.shift();
  if (model.terms) {
    const float* terms = list.terms() + at;
    const float from = base + 2.0f * shift;
    for (std::size_t i = 0; i < n; ++i) out[i] = from + (terms[i] + 2.0f * out[i]);
  } else {
    const float from = model.residual ? base + shift : shift;
    if (from == 0.0f) return;
    for (std::size_t i = 0; i < n; ++i) out[i] += from;
  }
}

void IvfSieve::scan(const IvfCall& call, const IvfQuery& query, const IvfList& list, std::size_t at,
                    std::size_t n, float base, BlockTopK& top) {
  query.score(call, list, at, n, base, scores_[0]);
  push(call, list, at, n, scores_[0], top);
}

void IvfSieve::scan_many(const IvfCall& call, const IvfQuery* const* queries, std::size_t count,
                         const IvfList& list, std::size_t at, std::size_t n, const float* bases,
                         BlockTopK* const* tops) {
  float* out[IvfQuery::kMany] = {};
  for (std::size_t q = 0; q < count; ++q) out[q] = scores_[q];
  IvfQuery::score_many(call, queries, count, list, at, n, bases, out);
  for (std::size_t q = 0; q < count; ++q) push(call, list, at, n, scores_[q], *tops[q]);
}

void IvfSieve::push(const IvfCall& call, const IvfList& list, std::size_t at, std::size_t n,
                    const float* scores, BlockTopK& top) {
  const std::uint32_t* rows = list.rows() + at;
  if (!call.filtered()) {
    top.push_ids(scores, n, rows);
    return;
  }
  // Few scores are good enough: only their rows are looked up.
  const float bar = std::nextafter(top.threshold(), kInfinity);
  const std::size_t good = kernels::active().below(scores, n, bar, 0, places_, kept_);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < good; ++i) {
    const std::uint32_t row = rows[places_[i]];
    if (!call.passes(row)) continue;
    places_[kept] = row;
    kept_[kept] = kept_[i];
    ++kept;
  }
  top.push_ids(kept_, kept, places_);
}

// ---- Answers
// ----------------------------------------------------------------------------------

bool IvfFinish::answer(const IvfCall& call, std::size_t q, const float* query,
                       const std::vector<Hit>& hits, bool whatever_there_is) {
  const IvfSnapshot& at = call.at();
  hits_.clear();
  for (const Hit& hit : hits) {
    if (hit.row < at.rows) hits_.push_back(hit);  // a damaged file may name others
  }
  if (call.twice()) {
    const auto by_row = [](const Hit& a, const Hit& b) {
      return a.row < b.row || (a.row == b.row && a.distance < b.distance);
    };
    std::sort(hits_.begin(), hits_.end(), by_row);
    const auto same = [](const Hit& a, const Hit& b) { return a.row == b.row; };
    hits_.erase(std::unique(hits_.begin(), hits_.end(), same), hits_.end());
    std::sort(hits_.begin(), hits_.end(), vicinal::nearer);
  }
  const IvfModel& model = call.model();
  const bool again = model.refine && !hits_.empty() &&
                     (whatever_there_is || std::min(hits_.size(), call.depth()) >= call.want());
  if (again && !call.all_candidates() && !call.twice()) {
    std::sort(hits_.begin(), hits_.end(), vicinal::nearer);
  }
  hits_.resize(std::min(hits_.size(), call.depth()));
  rows_.clear();
  scores_.clear();
  for (const Hit& hit : hits_) {
    rows_.push_back(hit.row);
    scores_.push_back(hit.distance);
  }
  if (again) {
    model.refine->prepare(query, quantizers::Precision::kExact, refine_);
    rows_.resize(reranker_.compare(refine_, at.store->refine.data(), rows_, call.want(),
                                    call.all_candidates(), scores_));
    reranked += rows_.size();
    const float shift = refine_.shift();
    for (float& score : scores_) score += shift;
  }
  found_.clear();
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    float distance = scores_[i];
    if (!(distance < kInfinity)) continue;
    // Rounding can put a vector a hair beyond its own place.
    if (call.unit()) distance = std::max(0.0f, 1.0f + distance);
    if (call.l2()) distance = std::max(0.0f, distance);
    found_.push_back({distance, at.id(rows_[i])});
  }
  if (found_.size() < call.want() && !whatever_there_is) return false;
  const std::size_t k = call.k();
  const std::size_t n = std::min(k, found_.size());
  std::partial_sort(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(n), found_.end(),
                    nearer);
  std::int64_t* const ids = call.ids(q);
  float* const distances = call.distances(q);
  for (std::size_t i = 0; i < n; ++i) {
    ids[i] = found_[i].id;
    distances[i] = found_[i].distance;
  }
  std::fill(ids + n, ids + k, kNoId);
  std::fill(distances + n, distances + k, kInfinity);
  return true;
}

void IvfSingly::answer(const IvfCall& call, std::size_t q, const float* query, std::size_t probes,
                       bool cut) {
  query_.prepare(call, query);
  for (;; probes = more_probes(call, probes), cut = false) {
    prober_.choose(call, query, 1, probes, cut, &probes_);
    top_.reset(call.keep());
    for (std::size_t p = 0; p < probes_.size(); ++p) {
      const IvfList& list = call.list(probes_[p].list);
      if (p + 1 < probes_.size()) prefetch_head(call.model(), call.list(probes_[p + 1].list));
      for (std::size_t at = 0; at < list.count; at += kIvfChunk) {
        const std::size_t n = std::min<std::size_t>(kIvfChunk, list.count - at);
        sieve_.scan(call, query_, list, at, n, probes_[p].base, top_);
      }
      stats.distances += list.count;
    }
    stats.lists += probes_.size();
    const bool last = !cut && probes >= call.open();
    if (finish_.answer(call, q, query, top_.finish_unordered(), last)) break;
  }
  stats.reranked += finish_.reranked;
  finish_.reranked = 0;
}

}  // namespace indexes

namespace {

constexpr std::size_t kByList = 16;  // fewer queries share too few lists
constexpr std::size_t kSinglesGrain = 8;
// What a group of queries that is answered together needs: stays in the third cache.
constexpr std::size_t kGroupBytes = std::size_t{16} << 20;
// Where so many queries of a group look into each list, more would only crowd that cache.
constexpr std::size_t kVisits = 64;
constexpr std::size_t kLeastGroup = 256;

void add_to(IvfStats& sum, const IvfStats& part) {
  sum.lists += part.lists;
  sum.distances += part.distances;
  sum.reranked += part.reranked;
}

}  // namespace

void IvfIndex::Impl::search(const VectorsView& queries, const IvfSearch& how,
                            MatrixView<std::int64_t> ids, MatrixView<float> distances,
                            const RunOptions& run, IvfStats* stats) const {
  const std::size_t k = ids.cols();
  if (queries.cols != dim) throw DimensionError("queries", queries.cols, dim);
  if (k == 0) throw ArgumentError("k is 0; wanted 1 or more");
  if (ids.rows() != queries.rows || distances.rows() != queries.rows || distances.cols() != k) {
    throw ArgumentError("ids and distances must both have a row per query and k columns");
  }
  if (how.nprobe == 0) throw ArgumentError("nprobe is 0; wanted 1 or more");
  if (!(how.cut >= 0.0f)) {
    throw ArgumentError("cut is " + std::to_string(how.cut) + "; wanted 0 or more");
  }
  const bool cut = how.cut < std::numeric_limits<float>::infinity();
  if (cut && metric == Metric::kInnerProduct) {
    throw ArgumentError("cut is " + std::to_string(how.cut) +
                        "; inner products have no distances to cut by");
  }
  check_rows(queries, "queries", unit(), run);
  if (queries.rows == 0) return;

  const indexes::IvfCall call(*this, how, queries, ids, distances);
  if (call.count() == 0 || call.open() == 0) {
    call.nothing();
    return;
  }
  std::mutex stats_mutex;
  const auto count = [&](const IvfStats& part) {
    if (stats == nullptr) return;
    const std::lock_guard<std::mutex> lock(stats_mutex);
    add_to(*stats, part);
  };
  std::atomic<std::uint64_t> done{0};
  const std::size_t total = queries.rows;
  const auto singles = [&](std::size_t begin, std::size_t end, unsigned) {
    thread_local indexes::IvfSingly singly;
    thread_local std::vector<float> floats;
    singly.stats = {};
    for (std::size_t q = begin; q < end; ++q) {
      const float* query = indexes::query_rows(queries, q, q + 1, unit(), floats);
      singly.answer(call, q, query, call.probes(), cut);
      done.fetch_add(1, std::memory_order_relaxed);
    }
    count(singly.stats);
  };
  if (total == 1) {
    singles(0, 1, 0);
    return;
  }
  Ticker ticker(run, "searching", total);
  ticker.follow(done);
  if (total < kByList || total * call.probes() < 2 * call.open()) {
    parallel_for(total, kSinglesGrain, run, singles, &ticker);
    return;
  }
  const std::size_t each_bytes =
      12 * dim + 16 * call.keep() + 12 * call.probes() + (std::size_t{6} << 10);
  const std::size_t enough = std::max(kLeastGroup, kVisits * call.open() / call.probes());
  const std::size_t most =
      std::min(enough, std::clamp<std::size_t>(kGroupBytes / each_bytes, 32, 2048));
  std::size_t groups = (total + most - 1) / most;
  groups = std::max<std::size_t>(groups, std::min<std::size_t>(workers(run), total / kByList));
  const std::size_t each = (total + groups - 1) / groups;
  std::vector<std::unique_ptr<indexes::IvfBatch>> batches(workers(run));
  parallel_for(
      groups, 1, run,
      [&](std::size_t begin, std::size_t end, unsigned worker) {
        std::unique_ptr<indexes::IvfBatch>& batch = batches[worker];
        if (!batch) batch = std::make_unique<indexes::IvfBatch>();
        for (std::size_t g = begin; g < end; ++g) {
          if (g * each >= total) break;
          IvfStats part;
          batch->answer(call, g * each, std::min(each, total - g * each), done, ticker, part);
          count(part);
        }
      },
      &ticker);
}

}  // namespace vicinal
