#pragma once

#include <cstdint>

namespace vicinal {

/// Counter-based: the value depends on (seed, stream, counter) alone, so any thread may draw any
/// number in any order. SplitMix64's finaliser over a combined key (Steele, Lea & Flood, OOPSLA
/// 2014); good enough for sampling and levels, not for secrets.
constexpr std::uint64_t random_u64(std::uint64_t seed, std::uint64_t stream,
                                   std::uint64_t counter) noexcept {
  auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  };
  constexpr std::uint64_t gamma = 0x9E3779B97F4A7C15ull;
  return mix(mix(mix(seed + gamma) ^ (stream * gamma + 1)) + (counter + 1) * gamma);
}

/// Uniform in (0, 1]: safe under a logarithm.
constexpr double random_unit(std::uint64_t seed, std::uint64_t stream,
                             std::uint64_t counter) noexcept {
  return static_cast<double>((random_u64(seed, stream, counter) >> 11) + 1) * 0x1.0p-53;
}

/// Uniform in [0, n), n > 0; the bias is below n / 2^64.
std::uint64_t random_below(std::uint64_t n, std::uint64_t seed, std::uint64_t stream,
                           std::uint64_t counter) noexcept;

}  // namespace vicinal
