#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include "indexes/flat_plan.h"
#include "indexes/ivf_search.h"

namespace vicinal::indexes {

namespace {
constexpr float kInfinity = std::numeric_limits<float>::infinity();
}  // namespace

void IvfBatch::choose(const IvfCall& call, const float* queries, std::size_t n, Ticker& ticker) {
  const bool cut = call.cut() < kInfinity;
  const std::size_t dim = call.queries().cols;
  if (probes_.size() < n) probes_.resize(n);
  for (std::size_t q = 0; q < n; q += IvfProber::kMostQueries) {
    prober_.choose(call, queries + q * dim, std::min(IvfProber::kMostQueries, n - q),
                   call.probes(), cut, probes_.data() + q);
    ticker.poll();
  }
}

void IvfBatch::turn(const IvfModel& model, std::size_t n, bool nearest) {
  const auto each = [&](std::size_t q, const auto& use) {
    const std::vector<IvfProbe>& probes = probes_[q];
    const std::size_t begin = nearest ? 0 : 1;
    const std::size_t end = nearest ? std::min<std::size_t>(1, probes.size()) : probes.size();
    for (std::size_t p = begin; p < end; ++p) use(probes[p]);
  };
  starts_.assign(model.lists + 1, 0);
  for (std::size_t q = 0; q < n; ++q) {
    each(q, [&](const IvfProbe& probe) { ++starts_[probe.list + 1]; });
  }
  for (std::uint32_t l = 0; l < model.lists; ++l) starts_[l + 1] += starts_[l];
  visits_.resize(starts_.back());
  next_.assign(starts_.begin(), starts_.end() - 1);
  for (std::size_t q = 0; q < n; ++q) {
    each(q, [&](const IvfProbe& probe) {
      visits_[next_[probe.list]++] = {static_cast<std::uint32_t>(q), probe.base};
    });
  }
}

void IvfBatch::visit(const IvfCall& call, Ticker& ticker, IvfStats& stats) {
  constexpr std::size_t kMany = IvfQuery::kMany;
  for (std::uint32_t l = 0; l < call.model().lists; ++l) {
    const std::size_t begin = starts_[l], end = starts_[l + 1];
    if (begin == end) continue;
    const IvfList& list = call.list(l);
    for (std::size_t at = 0; at < list.count; at += kIvfChunk) {
      const std::size_t m = std::min<std::size_t>(kIvfChunk, list.count - at);
      for (std::size_t v = begin; v < end; v += kMany) {
        const std::size_t together = std::min(kMany, end - v);
        const IvfQuery* queries[kMany];
        BlockTopK* tops[kMany];
        float bases[kMany];
        for (std::size_t i = 0; i < together; ++i) {
          const Visit& one = visits_[v + i];
          queries[i] = &queries_[one.query];
          tops[i] = &tops_[one.query];
          bases[i] = one.base;
        }
        sieve_.scan_many(call, queries, together, list, at, m, bases, tops);
      }
    }
    stats.lists += end - begin;
    stats.distances += (end - begin) * list.count;
    ticker.poll();
  }
}

void IvfBatch::answer(const IvfCall& call, std::size_t first, std::size_t n,
                      std::atomic<std::uint64_t>& done, Ticker& ticker, IvfStats& stats) {
  const std::size_t dim = call.queries().cols;
  const float* floats = query_rows(call.queries(), first, first + n, call.unit(), floats_);
  choose(call, floats, n, ticker);
  if (queries_.size() < n) queries_.resize(n);
  while (tops_.size() < n) tops_.emplace_back(0, kernels::active().below);
  for (std::size_t q = 0; q < n; ++q) {
    queries_[q].prepare(call, floats + q * dim);
    tops_[q].reset(call.keep());
  }
  // The nearest list of every query first: what it leaves lets few of the other entries through.
  for (const bool nearest : {true, false}) {
    turn(call.model(), n, nearest);
    visit(call, ticker, stats);
  }
  const bool last = !(call.cut() < kInfinity) && call.probes() >= call.open();
  for (std::size_t q = 0; q < n; ++q) {
    const float* query = floats + q * dim;
    if (!finish_.answer(call, first + q, query, tops_[q].finish_unordered(), last)) {
      if (!singly_) singly_ = std::make_unique<IvfSingly>();
      singly_->stats = {};
      singly_->answer(call, first + q, query, more_probes(call, call.probes()), false);
      stats.lists += singly_->stats.lists;
      stats.distances += singly_->stats.distances;
      stats.reranked += singly_->stats.reranked;
    }
    done.fetch_add(1, std::memory_order_relaxed);
    if (q % 64 == 0) ticker.poll();
  }
  stats.reranked += finish_.reranked;
  finish_.reranked = 0;
}

}  // namespace vicinal::indexes
