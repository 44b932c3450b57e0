#include "indexes/binary_top.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vicinal::indexes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t kAnyId = std::numeric_limits<std::int64_t>::max();
// Without a histogram the bar falls each time that so many more have come; with one, only ties can
// pile up.
constexpr std::size_t kSlack = 8;
constexpr std::size_t kCountedSlack = 1024;

}  // namespace

void NearestBits::nearest(std::size_t k, std::size_t most) {
  k_ = k;
  counting_ = most != 0;
  limit_ = 2 * k + (counting_ ? kCountedSlack : kSlack);
  cut_ = {kInfinity, kAnyId};
  hits_.clear();
  top_ = most;
  total_ = 0;
  if (counting_) histogram_.assign(most + 1, 0);
}

void NearestBits::within(float radius) {
  k_ = std::numeric_limits<std::size_t>::max();
  counting_ = false;
  limit_ = k_;
  // Distances up to the radius lie below the next number; its own hits, with id < 0, do not exist.
  cut_ = {std::nextafter(radius, kInfinity), 0};
  hits_.clear();
}

void NearestBits::count(std::size_t distance) {
  ++histogram_[distance];
  ++total_;
  while (total_ - histogram_[top_] >= k_) total_ -= histogram_[top_--];
  // There are k hits up to top_ now: one more at top_ would have to have a smaller id than some.
  const auto bar = static_cast<float>(top_);
  if (total_ >= k_ && bar < cut_.distance) cut_ = {bar, kAnyId};
}

void NearestBits::shrink() {
  const auto kth = hits_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(hits_.begin(), kth, hits_.end(), closer);
  cut_ = *kth;
  hits_.resize(k_);
  if (!counting_) return;
  total_ = k_;
  histogram_[top_] = static_cast<std::uint32_t>(std::count_if(
      hits_.begin(), hits_.end(), [&](const BitHit& h) { return h.distance == cut_.distance; }));
}

std::vector<BitHit> NearestBits::finish() {
  if (hits_.size() > k_) {
    std::nth_element(hits_.begin(), hits_.begin() + static_cast<std::ptrdiff_t>(k_), hits_.end(),
                     closer);
    hits_.resize(k_);
  }
  std::sort(hits_.begin(), hits_.end(), closer);
  return std::vector<BitHit>(hits_.begin(), hits_.end());
}

}  // namespace vicinal::indexes
