#include "indexes/hnsw_meet.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "base/buffer.h"
#include "kernels/dispatch.h"
#include "quantizers/pairs.h"

namespace vicinal::indexes {
namespace {

using quantizers::Codec;
using quantizers::Pairs;
using quantizers::Query;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kLanes = 32;
constexpr std::size_t kStrip = 16;  // rows scored before their scores are mirrored: a cache line
constexpr std::size_t kSpare = 16;  // what a compressing kernel may write beyond its last hit

/// Somewhat above the `most`-th least score: the `most`-th of the least of each lane, which are
/// scores of as many rows. Cheaper than to select, and few pass that should not.
float bar(const float* scores, std::size_t n, std::size_t most) {
  if (n < 2 * kLanes) return kInfinity;
  float least[kLanes];
  std::copy_n(scores, kLanes, least);
  std::size_t i = kLanes;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      least[l] = scores[i + l] < least[l] ? scores[i + l] : least[l];
    }
  }
  for (float& one : least) one = one == one ? one : kInfinity;  // NaN must not reach a sort
  std::nth_element(least, least + most - 1, least + kLanes);
  return least[most - 1];
}

// One row in so many of a leaf is also looked at apart, and its nearest of those are offered too.
// Where rows crowd together in tight groups that fill all their lists, these come from beyond.
constexpr std::size_t kSampled = 32;
constexpr std::size_t kOfSample = 8;
constexpr std::size_t kTwins = 8;  // equal rows that each leaf may offer

class Lock {
 public:
  explicit Lock(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  }
  ~Lock() { flag_.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::atomic_flag& flag_;
};

/// Everything of one leaf after another.
class Leaf {
 public:
  std::size_t crowded() const noexcept { return crowded_; }

  void compare(const Codec& codec, const std::byte* codes, const std::vector<std::uint32_t>& rows,
               const std::uint32_t* members, std::size_t n, std::size_t most,
               NearestLists& lists) {
    const std::size_t stride = codec.stride();
    if (scores_.size() < n * n) scores_.resize(n * n);
    const bool tiles = Pairs::can_score(codec);
    if (tiles) {
      pairs_.reset(codec, n);
    } else if (rows_ < n) {
      codes_ = Buffer::allocate(n * stride);
      rows_ = n;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const std::byte* row = codes + std::size_t{rows[members[i]]} * stride;
      if (tiles) {
        pairs_.set(i, row);
      } else {
        std::memcpy(codes_.mutable_data() + i * stride, row, stride);
      }
    }
    // The earlier row asks, whichever leaf it is: a pair that meets again is as far apart as
    // before.
    for (std::size_t first = 0; first < n; first += kStrip) {
      const std::size_t last = std::min(first + kStrip, n);
      if (tiles) {
        pairs_.score(first, last, &scores_[first * n], n);
        for (std::size_t i = first; i < last; ++i) scores_[i * n + i] = kInfinity;
      } else {
        for (std::size_t i = first; i < last; ++i) score_row(codec, i, n);
      }
      for (std::size_t i = first; i < last; ++i) {
        for (std::size_t j = i + 1; j < last; ++j) scores_[j * n + i] = scores_[i * n + j];
      }
      for (std::size_t j = last; j < n; ++j) {
        float* to = &scores_[j * n];
        for (std::size_t i = first; i < last; ++i) to[i] = scores_[i * n + j];
      }
    }
    sampled_.clear();
    for (std::size_t j = kSampled / 2; j < n; j += kSampled) sampled_.push_back(members[j]);
    sample_scores_.resize(sampled_.size());
    for (std::size_t i = 0; i < n; ++i) {
      float* row = &scores_[i * n];
      thin_twins(codec.twin_limit(codes + std::size_t{rows[members[i]]} * stride), i, n, row);
      lists.offer(members[i], row, members, n, most, offer_);
      for (std::size_t j = 0; j < sampled_.size(); ++j) {
        sample_scores_[j] = row[kSampled / 2 + j * kSampled];
      }
      lists.offer(members[i], sample_scores_.data(), sampled_.data(), sampled_.size(), kOfSample,
                  offer_);
    }
  }

 private:
  /// Of many equal rows those that come next stay, so that others too find room in the list.
  void thin_twins(float limit, std::size_t own, std::size_t n, float* scores) {
    if (offer_.ids.size() < n + kSpare) {
      offer_.ids.resize(n + kSpare);
      offer_.kept.resize(n + kSpare);
    }
    const std::size_t twins =
        kernels::active().below(scores, n, std::nextafter(limit, kInfinity), 0,
                                offer_.ids.data(), offer_.kept.data());
    if (twins <= kTwins) return;
    ++crowded_;
    std::size_t kept = 0;
    for (std::size_t step = 1; step < n; ++step) {
      float& score = scores[own + step < n ? own + step : own + step - n];
      if (score <= limit && ++kept > kTwins) score = kInfinity;
    }
  }

  void score_row(const Codec& codec, std::size_t i, std::size_t n) {
    float* row = &scores_[i * n];
    row[i] = kInfinity;
    codec.prepare_row(codes_.data() + i * codec.stride(), query_);
    query_.score_block(codes_.data() + (i + 1) * codec.stride(), n - i - 1, row + i + 1);
  }

  std::size_t crowded_ = 0;  ///< rows of any leaf that had more than kTwins equals there
  Buffer codes_;
  std::size_t rows_ = 0;
  std::vector<float> scores_;  ///< a row of them for each member
  Pairs pairs_;
  Query query_;
  NearestLists::Offer offer_;
  std::vector<std::uint32_t> sampled_;
  std::vector<float> sample_scores_;
};

}  // namespace

NearestLists::NearestLists(std::size_t n, std::size_t keep)
    : keep_(keep), keys_(n * keep), counts_(n), locks_(new std::atomic_flag[kLocks]) {
  for (std::size_t i = 0; i < kLocks; ++i) locks_[i].clear();
}

NearestLists::Key NearestLists::key(float distance, std::uint32_t own,
                                    std::uint32_t other) noexcept {
  const float d = distance + 0.0f;  // -0 becomes +0: they tie
  std::uint32_t bits;
  std::memcpy(&bits, &d, sizeof bits);
  bits ^= (bits >> 31) != 0 ? 0xFFFFFFFFu : 0x80000000u;
  return Key{bits} << 32 | static_cast<std::uint32_t>(other - own);
}

float NearestLists::distance(Key key) noexcept {
  auto bits = static_cast<std::uint32_t>(key >> 32);
  bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xFFFFFFFFu;
  float d;
  std::memcpy(&d, &bits, sizeof d);
  return d;
}

void NearestLists::offer(std::uint32_t own, const float* scores, const std::uint32_t* others,
                         std::size_t n, std::size_t most, Offer& memory) {
  float limit = bar(scores, n, most);
  const Lock lock(locks_[own % kLocks]);
  if (counts_[own] == keep_) limit = std::min(limit, distance(of(own)[keep_ - 1]));
  if (memory.ids.size() < n + kSpare) {
    memory.ids.resize(n + kSpare);
    memory.kept.resize(n + kSpare);
  }
  const std::size_t passed = kernels::active().below(
      scores, n, std::nextafter(limit, kInfinity), 0, memory.ids.data(), memory.kept.data());
  auto& fresh = memory.fresh;
  fresh.resize(passed);
  for (std::size_t i = 0; i < passed; ++i) {
    fresh[i] = key(memory.kept[i], own, others[memory.ids[i]]);
  }
  std::sort(fresh.begin(), fresh.end());
  if (fresh.size() > most) fresh.resize(most);
  if (!fresh.empty()) merge(own, fresh, memory);
}

void NearestLists::merge(std::uint32_t own, std::vector<Key>& fresh, Offer& memory) {
  Key* mine = &keys_[own * keep_];
  const std::size_t had = counts_[own];
  auto& merged = memory.merged;
  merged.resize(keep_);
  std::size_t a = 0, b = 0, out = 0;
  while (out < keep_ && (a < had || b < fresh.size())) {
    const bool first = b == fresh.size() || (a < had && mine[a] <= fresh[b]);
    const Key next = first ? mine[a] : fresh[b];
    if (a < had && mine[a] == next) ++a;
    if (b < fresh.size() && fresh[b] == next) ++b;
    merged[out++] = next;
  }
  std::copy_n(merged.begin(), out, mine);
  counts_[own] = static_cast<std::uint32_t>(out);
}

std::size_t meet_in_leaves(const Codec& codec, const std::byte* codes,
                           const std::vector<std::uint32_t>& rows, const Leaves& leaves,
                           std::size_t most, NearestLists& lists, const RunOptions& run,
                           Ticker* ticker, const std::function<void(std::size_t)>& after) {
  std::vector<Leaf> memory(workers(run));
  const auto compare = [&](std::size_t begin, std::size_t end, unsigned w) {
    for (std::size_t l = begin; l < end; ++l) {
      const std::size_t at = leaves.starts[l];
      const std::size_t n = leaves.starts[l + 1] - at;
      memory[w].compare(codec, codes, rows, &leaves.members[at], n, most, lists);
      after(n);
    }
  };
  parallel_for(leaves.count(), 1, run, compare, ticker);
  std::size_t crowded = 0;
  for (const Leaf& leaf : memory) crowded += leaf.crowded();
  return crowded;
}

}  // namespace vicinal::indexes
