#include "base/topk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace vicinal {
namespace {

constexpr std::size_t kChunk = 1024;  // rows compressed at a time, at most
constexpr std::size_t kSpare = 16;    // what a compressing kernel may write beyond its last hit
constexpr std::size_t kFirst = 64;    // rows taken before there is a threshold, beyond k
constexpr std::size_t kSample = 32;   // scores among which a threshold is sought
constexpr int kTries = 6;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Orders as (distance, row) does, in one integer comparison.
std::uint64_t key_of(float distance, std::uint32_t row) noexcept {
  const float d = distance + 0.0f;  // -0 becomes +0: they tie
  std::uint32_t bits;
  std::memcpy(&bits, &d, sizeof bits);
  bits ^= (bits >> 31) != 0 ? 0xFFFFFFFFu : 0x80000000u;
  return std::uint64_t{bits} << 32 | row;
}

Hit hit_of(std::uint64_t key) noexcept {
  auto bits = static_cast<std::uint32_t>(key >> 32);
  bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xFFFFFFFFu;
  Hit hit{0.0f, static_cast<std::uint32_t>(key)};
  std::memcpy(&hit.distance, &bits, sizeof bits);
  return hit;
}

}  // namespace

std::size_t compress_below(const float* scores, std::size_t n, float threshold,
                           std::uint32_t first_id, std::uint32_t* ids, float* kept) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ids[count] = first_id + static_cast<std::uint32_t>(i);
    kept[count] = scores[i];
    count += scores[i] < threshold ? 1 : 0;
  }
  return count;
}

BlockTopK::BlockTopK(std::size_t k, CompressBelow below) : below_(below) { reset(k); }

void BlockTopK::reset(std::size_t k) {
  k_ = k;
  threshold_ = k == 0 ? -kInfinity : kInfinity;
  last_row_ = 0;
  used_ = 0;
  const std::size_t room = 2 * k + kFirst + kChunk + kSpare;
  if (scores_.size() < room) {
    scores_.resize(room);
    rows_.resize(room);
  }
}

/// Scores below it are let in. Equal to the k-th, a row gets in only if it is smaller.
float BlockTopK::bar(std::uint32_t first_row) const noexcept {
  return first_row > last_row_ ? threshold_ : std::nextafter(threshold_, kInfinity);
}

void BlockTopK::push_block(const float* scores, std::size_t n, std::uint32_t first_row) {
  if (k_ == 0) return;
  while (n != 0) {
    // A short first chunk: the threshold it gives spares most of the next one.
    const std::size_t chunk =
        std::min(n, threshold_ == kInfinity ? std::min(k_ + kFirst, kChunk) : kChunk);
    make_room(chunk);
    used_ += below_(scores, chunk, bar(first_row), first_row, rows_.data() + used_,
                    scores_.data() + used_);
    if (used_ >= (threshold_ == kInfinity ? k_ : 2 * k_ + kFirst)) shrink();
    scores += chunk;
    first_row += static_cast<std::uint32_t>(chunk);
    n -= chunk;
  }
}

void BlockTopK::push_ids(const float* scores, std::size_t n, const std::uint32_t* rows) {
  if (k_ == 0) return;
  while (n != 0) {
    const std::size_t chunk =
        std::min(n, threshold_ == kInfinity ? std::min(k_ + kFirst, kChunk) : kChunk);
    make_room(chunk);
    // The kernel numbers the places; they become rows here.
    std::uint32_t* places = rows_.data() + used_;
    const std::size_t kept = below_(scores, chunk, bar(0), 0, places, scores_.data() + used_);
    for (std::size_t i = 0; i < kept; ++i) places[i] = rows[places[i]];
    used_ += kept;
    if (used_ >= (threshold_ == kInfinity ? k_ : 2 * k_ + kFirst)) shrink();
    scores += chunk;
    rows += chunk;
    n -= chunk;
  }
}

void BlockTopK::make_room(std::size_t n) {
  if (used_ > k_ && used_ + n + kSpare > scores_.size()) shrink();
}

/// Leaves the scores below some bound, k of them or a few more, and makes that the threshold. What
/// is not below it cannot come to be among the k nearest, and finding it takes a tenth of the time
/// that the k-th score itself would. False, and nothing has changed, if no such bound was found.
bool BlockTopK::shrink_roughly() {
  const std::size_t most = k_ + k_ / 4 + 8;
  const std::size_t n = used_;
  if (k_ < 16 || n <= most || n + kSpare > 4096) return false;
  // Ranks of an evenly spread sample tell about where in it the bound lies.
  float unsorted[kSample], sample[kSample];
  for (std::size_t i = 0; i < kSample; ++i) unsorted[i] = scores_[i * n / kSample];
  // Each to the place that counting gives it: sorting would guess wrong at every other step.
  for (std::size_t i = 0; i < kSample; ++i) {
    const float x = unsorted[i];
    std::uint32_t rank = 0;
    for (std::uint32_t j = 0; j < i; ++j) rank += unsorted[j] <= x ? 1 : 0;
    for (std::uint32_t j = i + 1; j < kSample; ++j) rank += unsorted[j] < x ? 1 : 0;
    sample[rank] = x;
  }
  std::uint32_t places[4096];
  float kept[4096];
  std::size_t at = std::min(kSample - 1, (k_ + most) / 2 * kSample / n);
  std::size_t low = 0, high = kSample;  // places in the sample that may be right
  float bound = sample[at];
  for (int tries = 0; tries < kTries; ++tries) {
    const std::size_t count = below_(scores_.data(), n, bound, 0, places, kept);
    if (count >= k_ && count <= most) {
      for (std::size_t i = 0; i < count; ++i) rows_[i] = rows_[places[i]];
      std::memcpy(scores_.data(), kept, count * sizeof(float));
      used_ = count;
      threshold_ = bound;
      last_row_ = 0;
      return true;
    }
    if (count < k_) {
      low = at + 1;
    } else {
      high = at;
    }
    if (low >= high) return false;
    const std::size_t next = count < k_ ? at + 1 + (k_ - count) * kSample / n
                                        : at - std::min(at, 1 + (count - most) * kSample / n);
    at = std::clamp(next, low, high - 1);
    bound = sample[at];
  }
  return false;
}

void BlockTopK::shrink() {
  if (shrink_roughly()) return;
  keys_.resize(used_);
  for (std::size_t i = 0; i < used_; ++i) keys_[i] = key_of(scores_[i], rows_[i]);
  const auto kth = keys_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(keys_.begin(), kth, keys_.end());
  used_ = k_;
  for (std::size_t i = 0; i < k_; ++i) {
    const Hit hit = hit_of(keys_[i]);
    scores_[i] = hit.distance;
    rows_[i] = hit.row;
  }
  threshold_ = scores_[k_ - 1];
  last_row_ = rows_[k_ - 1];
}

/// The keys of the k nearest, in no particular order.
void BlockTopK::select() {
  if (used_ > k_ + k_ / 4 + 8) shrink_roughly();
  keys_.resize(used_);
  for (std::size_t i = 0; i < used_; ++i) keys_[i] = key_of(scores_[i], rows_[i]);
  if (used_ > k_) {
    std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(k_), keys_.end());
    keys_.resize(k_);
  }
}

const std::vector<Hit>& BlockTopK::finish() {
  select();
  std::sort(keys_.begin(), keys_.end());
  hits_.resize(keys_.size());
  std::transform(keys_.begin(), keys_.end(), hits_.begin(), hit_of);
  return hits_;
}

const std::vector<Hit>& BlockTopK::finish_unordered() {
  select();
  hits_.resize(keys_.size());
  std::transform(keys_.begin(), keys_.end(), hits_.begin(), hit_of);
  return hits_;
}

}  // namespace vicinal
