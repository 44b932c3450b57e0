#include "base/random.h"

namespace vicinal {

std::uint64_t random_below(std::uint64_t n, std::uint64_t seed, std::uint64_t stream,
                           std::uint64_t counter) noexcept {
  // The high half of r * n, from 32-bit halves: no compiler's 128-bit type is needed.
  const std::uint64_t r = random_u64(seed, stream, counter);
  const std::uint64_t r_low = r & 0xFFFFFFFFu;
  const std::uint64_t r_high = r >> 32;
  const std::uint64_t n_low = n & 0xFFFFFFFFu;
  const std::uint64_t n_high = n >> 32;
  const std::uint64_t middle = r_high * n_low + ((r_low * n_low) >> 32);
  const std::uint64_t carry = (middle & 0xFFFFFFFFu) + r_low * n_high;
  return r_high * n_high + (middle >> 32) + (carry >> 32);
}

}  // namespace vicinal
