#pragma once

#include <cstddef>

namespace vicinal::indexes {

// A compiler may not drop or merge these: see the test that counts prefetches. Why into the second
// cache: kernels/walk.h.
inline void prefetch(const void* p) noexcept {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p)));
#elif defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(p, 0, 2);
#else
  (void)p;
#endif
}

inline void prefetch_bytes(const std::byte* p, std::size_t bytes) noexcept {
  for (std::size_t at = 0; at < bytes; at += 64) prefetch(p + at);
  prefetch(p + bytes - 1);  // the line that the last byte spills into
}

}  // namespace vicinal::indexes
