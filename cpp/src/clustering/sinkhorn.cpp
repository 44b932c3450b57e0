#include "clustering/sinkhorn.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/parallel.h"

namespace vicinal::clustering {
namespace {

constexpr std::size_t kPiece = 64;  // rows, whose sums are merged in order
constexpr double kLargestExponent = 600.0;

struct Problem {
  const float* cost;
  std::size_t rows;
  std::size_t cols;
  double epsilon;
  std::uint32_t rounds;
  double tolerance;
  const RunOptions& run;

  std::size_t pieces() const noexcept { return (rows + kPiece - 1) / kPiece; }
  const float* row(std::size_t i) const noexcept { return cost + i * cols; }
  double wanted() const noexcept {
    return static_cast<double>(rows) / static_cast<double>(cols);
  }

  template <class Body>
  void each_row(const Body& body) const {
    parallel_for(rows, kPiece, run, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t i = begin; i < end; ++i) body(i);
    });
  }
};

void spread(const Problem& p, const double* shares, std::size_t i, double* plan) {
  double sum = 0.0;
  for (std::size_t j = 0; j < p.cols; ++j) sum += shares[j];
  for (std::size_t j = 0; j < p.cols; ++j) plan[i * p.cols + j] = shares[j] / sum;
}

/// With exp(-cost / epsilon) kept, each row relative to its largest. False if that cannot work.
bool scale_plainly(const Problem& p, std::vector<double>& potential, Scaling& did,
                   std::uint32_t* labels, double* plan) {
  const auto [least, most] = std::minmax_element(potential.begin(), potential.end());
  if (*most - *least > kLargestExponent) return false;
  const double offset = *most;
  std::vector<double> kernel(p.rows * p.cols);
  p.each_row([&](std::size_t i) {
    const float* cost = p.row(i);
    const double lowest = *std::min_element(cost, cost + p.cols);
    double* out = kernel.data() + i * p.cols;
    for (std::size_t j = 0; j < p.cols; ++j) out[j] = std::exp((lowest - cost[j]) / p.epsilon);
  });
  std::vector<double> factor(p.cols);
  for (std::size_t j = 0; j < p.cols; ++j) factor[j] = std::exp(potential[j] - offset);
  std::vector<double> parts(p.pieces() * p.cols);
  std::vector<double> mass(p.cols);
  for (did.rounds = 0;; ++did.rounds) {
    std::atomic<bool> lost{false};
    parallel_for(p.rows, kPiece, p.run, [&](std::size_t begin, std::size_t end, unsigned) {
      double* part = parts.data() + begin / kPiece * p.cols;
      std::fill_n(part, p.cols, 0.0);
      for (std::size_t i = begin; i < end; ++i) {
        const double* x = kernel.data() + i * p.cols;
        double sums[4] = {};
        std::size_t j = 0;
        for (; j + 4 <= p.cols; j += 4) {
          for (std::size_t s = 0; s < 4; ++s) sums[s] += x[j + s] * factor[j + s];
        }
        for (; j < p.cols; ++j) sums[0] += x[j] * factor[j];
        const double sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
        if (!(sum > std::numeric_limits<double>::min() &&
              sum < std::numeric_limits<double>::max())) {
          lost.store(true, std::memory_order_relaxed);
          return;
        }
        const double scale = 1.0 / sum;
        for (j = 0; j < p.cols; ++j) part[j] += x[j] * scale;
      }
    });
    if (lost.load()) return false;
    std::fill(mass.begin(), mass.end(), 0.0);
    for (std::size_t piece = 0; piece < p.pieces(); ++piece) {
      for (std::size_t j = 0; j < p.cols; ++j) mass[j] += parts[piece * p.cols + j];
    }
    did.error = 0.0;
    for (std::size_t j = 0; j < p.cols; ++j) {
      did.error = std::max(did.error, std::abs(mass[j] * factor[j] / p.wanted() - 1.0));
    }
    if (did.error <= p.tolerance || did.rounds == p.rounds) break;
    for (std::size_t j = 0; j < p.cols; ++j) {
      if (!(mass[j] > std::numeric_limits<double>::min())) return false;
      factor[j] = p.wanted() / mass[j];
      if (!(factor[j] > std::numeric_limits<double>::min() &&
            factor[j] < std::numeric_limits<double>::max())) {
        return false;
      }
    }
  }
  p.each_row([&](std::size_t i) {
    double* x = kernel.data() + i * p.cols;
    for (std::size_t j = 0; j < p.cols; ++j) x[j] *= factor[j];
    labels[i] = static_cast<std::uint32_t>(std::max_element(x, x + p.cols) - x);
    if (plan != nullptr) spread(p, x, i, plan);
  });
  for (std::size_t j = 0; j < p.cols; ++j) potential[j] = std::log(factor[j]) + offset;
  return true;
}

/// The same with sums of exponentials taken relative to their largest, in every round anew.
void scale_by_logarithms(const Problem& p, std::vector<double>& potential, Scaling& did,
                         std::uint32_t* labels, double* plan) {
  did.logarithmic = true;
  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  std::vector<double> row_sums(p.rows);  // logarithms
  std::vector<double> tops(p.pieces() * p.cols);
  std::vector<double> parts(p.pieces() * p.cols);
  const double wanted = std::log(p.wanted());
  for (did.rounds = 0;; ++did.rounds) {
    parallel_for(p.rows, kPiece, p.run, [&](std::size_t begin, std::size_t end, unsigned) {
      double* top = tops.data() + begin / kPiece * p.cols;
      double* part = parts.data() + begin / kPiece * p.cols;
      std::fill_n(top, p.cols, kNothing);
      std::fill_n(part, p.cols, 0.0);
      for (std::size_t i = begin; i < end; ++i) {
        const float* cost = p.row(i);
        double largest = kNothing;
        for (std::size_t j = 0; j < p.cols; ++j) {
          largest = std::max(largest, potential[j] - cost[j] / p.epsilon);
        }
        double sum = 0.0;
        for (std::size_t j = 0; j < p.cols; ++j) {
          sum += std::exp(potential[j] - cost[j] / p.epsilon - largest);
        }
        row_sums[i] = largest + std::log(sum);
        for (std::size_t j = 0; j < p.cols; ++j) {
          top[j] = std::max(top[j], potential[j] - cost[j] / p.epsilon - row_sums[i]);
        }
      }
      for (std::size_t i = begin; i < end; ++i) {
        const float* cost = p.row(i);
        for (std::size_t j = 0; j < p.cols; ++j) {
          part[j] += std::exp(potential[j] - cost[j] / p.epsilon - row_sums[i] - top[j]);
        }
      }
    });
    did.error = 0.0;
    std::vector<double> next(potential);
    for (std::size_t j = 0; j < p.cols; ++j) {
      double largest = kNothing;
      for (std::size_t piece = 0; piece < p.pieces(); ++piece) {
        largest = std::max(largest, tops[piece * p.cols + j]);
      }
      double sum = 0.0;
      for (std::size_t piece = 0; piece < p.pieces(); ++piece) {
        const std::size_t at = piece * p.cols + j;
        sum += parts[at] * std::exp(tops[at] - largest);
      }
      const double mass = largest + std::log(sum);
      did.error = std::max(did.error, std::abs(std::exp(mass - wanted) - 1.0));
      next[j] += wanted - mass;
    }
    if (did.error <= p.tolerance || did.rounds == p.rounds) break;
    potential = next;
  }
  p.each_row([&](std::size_t i) {
    const float* cost = p.row(i);
    double largest = kNothing;
    for (std::size_t j = 0; j < p.cols; ++j) {
      const double x = potential[j] - cost[j] / p.epsilon;
      if (x > largest) {
        largest = x;
        labels[i] = static_cast<std::uint32_t>(j);
      }
    }
    if (plan == nullptr) return;
    for (std::size_t j = 0; j < p.cols; ++j) {
      plan[i * p.cols + j] = std::exp(potential[j] - cost[j] / p.epsilon - row_sums[i]);
    }
  });
}

}  // namespace

Scaling sinkhorn(const float* cost, std::size_t rows, std::size_t cols, double epsilon,
                 std::uint32_t rounds, double tolerance, std::vector<double>& potential,
                 std::uint32_t* labels, double* plan, const RunOptions& run) {
  RunOptions quiet;
  quiet.threads = run.threads;
  const Problem problem{cost, rows, cols, epsilon, rounds, tolerance, quiet};
  potential.resize(cols, 0.0);
  Scaling did;
  if (rows == 0) return did;
  // The widest row decides: its smallest exponential is that far from its largest.
  std::atomic<bool> wide{false};
  problem.each_row([&](std::size_t i) {
    const auto [least, most] = std::minmax_element(problem.row(i), problem.row(i) + cols);
    const double exponent = (static_cast<double>(*most) - *least) / epsilon;
    if (!(exponent <= kLargestExponent)) wide.store(true, std::memory_order_relaxed);
  });
  const std::vector<double> before = potential;
  if (!wide.load() && scale_plainly(problem, potential, did, labels, plan)) return did;
  potential = before;
  did = Scaling{};
  scale_by_logarithms(problem, potential, did, labels, plan);
  return did;
}

}  // namespace vicinal::clustering
