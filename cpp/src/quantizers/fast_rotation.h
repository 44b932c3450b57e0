#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicinal::quantizers {

/// A random rotation of any dimension in O(dim log dim): rounds of random signs, a Walsh-Hadamard
/// transform of the largest power of two that fits (at both ends in turn), and rotations by 45
/// degrees of pairs that lie half the dimension apart (Ailon & Chazelle, STOC 2006; Kac's walk).
/// Orthogonal to rounding, decided by the seed alone, and the same bits at every instruction level:
/// it only adds, subtracts and multiplies, in a fixed order.
class FastRotation {
 public:
  FastRotation(std::size_t dim, std::uint64_t seed);

  std::size_t dim() const noexcept { return dim_; }
  /// dim floats each; in and out may be the same, but not overlap otherwise.
  void apply(const float* in, float* out) const noexcept;
  void apply_transposed(const float* in, float* out) const noexcept;

 private:
  float* window(float* x, std::size_t round) const noexcept {
    return x + (round % 2 == 0 ? 0 : dim_ - window_);
  }

  std::size_t dim_;
  std::size_t window_;  // power of two
  std::size_t rounds_;
  std::vector<float> factors_;  // rounds x dim: signs, and 1 / sqrt(window) inside the window
};

}  // namespace vicinal::quantizers
