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

void BlockTopK::shrink() {
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

const std::vector<Hit>& BlockTopK::finish() {
  keys_.resize(used_);
  for (std::size_t i = 0; i < used_; ++i) keys_[i] = key_of(scores_[i], rows_[i]);
  if (used_ > k_) {
    std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(k_), keys_.end());
    keys_.resize(k_);
  }
  std::sort(keys_.begin(), keys_.end());
  hits_.resize(keys_.size());
  std::transform(keys_.begin(), keys_.end(), hits_.begin(), hit_of);
  return hits_;
}

}  // namespace vicinal
