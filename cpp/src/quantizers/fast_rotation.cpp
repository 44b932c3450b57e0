#include "quantizers/fast_rotation.h"

#include <cmath>
#include <cstring>

#include "base/random.h"

namespace vicinal::quantizers {
namespace {

constexpr std::uint64_t kStream = 0x726F74617465;  // apart from other uses of the same seed

// Loops over restricted pointers: every compiler then vectorises them for the plainest CPU.
#if defined(_MSC_VER)
#define VICINAL_RESTRICT __restrict
#else
#define VICINAL_RESTRICT __restrict__
#endif

void pairs(float* VICINAL_RESTRICT a, float* VICINAL_RESTRICT b, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float x = a[i], y = b[i];
    a[i] = x + y;
    b[i] = x - y;
  }
}

// Two stages at once: half the loads and stores.
void fours(float* VICINAL_RESTRICT a, float* VICINAL_RESTRICT b, float* VICINAL_RESTRICT c,
           float* VICINAL_RESTRICT d, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float s0 = a[i] + b[i], d0 = a[i] - b[i], s1 = c[i] + d[i], d1 = c[i] - d[i];
    a[i] = s0 + s1;
    b[i] = d0 + d1;
    c[i] = s0 - s1;
    d[i] = d0 - d1;
  }
}

void neighbours(float* x, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; i += 4) {
    const float s0 = x[i] + x[i + 1], d0 = x[i] - x[i + 1];
    const float s1 = x[i + 2] + x[i + 3], d1 = x[i + 2] - x[i + 3];
    x[i] = s0 + s1;
    x[i + 1] = d0 + d1;
    x[i + 2] = s0 - s1;
    x[i + 3] = d0 - d1;
  }
}

// Not normalised; n a power of two. Its own transpose.
void hadamard(float* x, std::size_t n) noexcept {
  if (n < 4) {
    if (n == 2) pairs(x, x + 1, 1);
    return;
  }
  neighbours(x, n);
  std::size_t h = 4;
  for (; 4 * h <= n; h *= 4) {
    for (std::size_t i = 0; i < n; i += 4 * h) {
      fours(x + i, x + i + h, x + i + 2 * h, x + i + 3 * h, h);
    }
  }
  if (h < n) pairs(x, x + h, h);
}

void scale(const float* in, const float* factors, std::size_t n, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) out[i] = in[i] * factors[i];
}

// A reflection: its own transpose.
void mix(float* VICINAL_RESTRICT a, float* VICINAL_RESTRICT b, std::size_t n) noexcept {
  constexpr float kHalfRoot = 0.70710678118654752440f;
  for (std::size_t i = 0; i < n; ++i) {
    const float x = a[i], y = b[i];
    a[i] = (x + y) * kHalfRoot;
    b[i] = (x - y) * kHalfRoot;
  }
}

}  // namespace

FastRotation::FastRotation(std::size_t dim, std::uint64_t seed) : dim_(dim), window_(1) {
  while (window_ * 2 <= dim) window_ *= 2;
  // Where the transform covers all dimensions, three rounds of it are as good as uniform
  // (Andoni et al., NeurIPS 2015); otherwise each end gets two.
  rounds_ = window_ == dim ? 3 : 4;
  factors_.resize(rounds_ * dim);
  const auto norm = static_cast<float>(1.0 / std::sqrt(static_cast<double>(window_)));
  for (std::size_t round = 0; round < rounds_; ++round) {
    float* const f = factors_.data() + round * dim;
    for (std::size_t d = 0; d < dim; ++d) {
      const std::uint64_t bits = random_u64(seed, kStream + round, d / 64);
      f[d] = (bits >> (d % 64) & 1) != 0 ? -1.0f : 1.0f;
    }
    float* const inside = window(f, round);
    for (std::size_t d = 0; d < window_; ++d) inside[d] *= norm;
  }
}

void FastRotation::apply(const float* in, float* out) const noexcept {
  const std::size_t half = dim_ / 2;
  for (std::size_t round = 0; round < rounds_; ++round) {
    scale(round == 0 ? in : out, factors_.data() + round * dim_, dim_, out);
    hadamard(window(out, round), window_);
    if (window_ != dim_) mix(out, out + (dim_ - half), half);
  }
}

void FastRotation::apply_transposed(const float* in, float* out) const noexcept {
  if (in != out) std::memcpy(out, in, dim_ * sizeof(float));
  const std::size_t half = dim_ / 2;
  for (std::size_t round = rounds_; round-- > 0;) {
    if (window_ != dim_) mix(out, out + (dim_ - half), half);
    hadamard(window(out, round), window_);
    scale(out, factors_.data() + round * dim_, dim_, out);
  }
}

}  // namespace vicinal::quantizers
