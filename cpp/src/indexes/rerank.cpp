#include "indexes/rerank.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vicinal::indexes {
namespace {

/// Standard deviations of the errors that a candidate must lie behind the k-th to be left out.
constexpr double kSure = 3.0;

}  // namespace

std::size_t Reranker::compare(const quantizers::Query& exact, const std::byte* store,
                              const std::vector<std::uint32_t>& rows, std::size_t k,
                              bool all, std::vector<float>& scores) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::size_t most = rows.size();
  const std::size_t step = first(k) - k;
  if (exact_.size() < most) exact_.resize(most);
  std::size_t done = 0;
  double errors = 0, squares = 0;
  for (std::size_t next = all ? most : std::min(most, k + step);;) {
    exact.score_ids(store, rows.data() + done, next - done, exact_.data() + done);
    if (next == most) {
      done = most;
      break;
    }
    for (; done < next; ++done) {
      const double error = static_cast<double>(exact_[done]) - static_cast<double>(scores[done]);
      errors += error;
      squares += error * error;
    }
    const auto n = static_cast<double>(done);
    const double mean = errors / n;
    const double deviation = std::sqrt(std::max(0.0, squares / n - mean * mean));
    ranked_.clear();
    for (std::size_t i = 0; i < done; ++i) {  // NaN must not reach a sort
      ranked_.push_back(exact_[i] == exact_[i] ? exact_[i] : kInfinity);
    }
    const auto last = ranked_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(ranked_.begin(), last, ranked_.end());
    // Not finite, and so not true, if an error was not.
    if (static_cast<double>(scores[done]) + mean - kSure * deviation >
        static_cast<double>(*last)) {
      break;
    }
    next = std::min(most, done + step);
  }
  std::copy_n(exact_.begin(), done, scores.begin());
  return done;
}

}  // namespace vicinal::indexes
