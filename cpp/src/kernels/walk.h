#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/table.h"

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define VICINAL_INLINE __forceinline
#else
#define VICINAL_INLINE inline __attribute__((always_inline))
#endif

// The loops over rows, the same for every level. Everything here has internal linkage: each folder
// compiles its own copy with its own flags, and the linker must never share one between them.
namespace vicinal::kernels {
namespace {

// More lines than this ahead only queue behind the line buffers of the core; the hardware
// prefetcher follows the rest of a long row.
constexpr std::size_t kPrefetchLines = 32;

VICINAL_INLINE void prefetch_line(const std::byte* at) noexcept {
#if defined(__GNUC__) && defined(__x86_64__)
  // GCC 12 drops repeated __builtin_prefetch from such loops; it cannot drop this.
  asm volatile("prefetcht0 %0" : : "m"(*at));
#elif defined(__GNUC__)
  __builtin_prefetch(at);
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0);
#else
  (void)at;
#endif
}

VICINAL_INLINE void prefetch_row(const std::byte* row, std::size_t bytes) noexcept {
  std::size_t lines = (reinterpret_cast<std::uintptr_t>(row) % 64 + bytes + 63) / 64;
  lines = lines < kPrefetchLines ? lines : kPrefetchLines;
  const std::byte* at = row;
  do {
    prefetch_line(at);
    at += 64;
  } while (--lines > 1);
  // The last line by its own address: row + 64 * k may fall short of it, never beyond it.
  prefetch_line(row + (bytes > 0 ? bytes - 1 : 0));
}

// An Op scores Op::kGroup rows at once: score(query, const std::byte* const rows[kGroup], dim, out).
// Every row of a group is summed in the same order, so a score does not depend on its neighbours.
template <class Op>
void score_rest(const void* query, const std::byte* const* rows, std::size_t n, std::size_t dim,
                float* out) noexcept {
  const std::byte* group[Op::kGroup];
  float scores[Op::kGroup];
  for (std::size_t j = 0; j < Op::kGroup; ++j) group[j] = rows[j < n ? j : 0];
  Op::score(query, group, dim, scores);
  for (std::size_t j = 0; j < n; ++j) out[j] = scores[j];
}

template <class Op>
void score_block(const void* query, const std::byte* rows, std::size_t stride, std::size_t n,
                 std::size_t dim, float* out) noexcept {
  const std::byte* group[Op::kGroup];
  std::size_t i = 0;
  for (; i + Op::kGroup <= n; i += Op::kGroup) {
    for (std::size_t j = 0; j < Op::kGroup; ++j) group[j] = rows + (i + j) * stride;
    Op::score(query, group, dim, out + i);
  }
  if (i < n) {
    for (std::size_t j = 0; j < n - i; ++j) group[j] = rows + (i + j) * stride;
    score_rest<Op>(query, group, n - i, dim, out + i);
  }
}

template <class Op>
void score_ids(const void* query, const std::byte* rows, std::size_t stride,
               const std::uint32_t* ids, std::size_t n, std::size_t dim, unsigned ahead,
               float* out) noexcept {
  const std::size_t bytes = Op::row_bytes(dim);
  const std::byte* group[Op::kGroup];
  std::size_t i = 0;
  for (; i + Op::kGroup <= n; i += Op::kGroup) {
    if (ahead > 0) {
      const std::size_t end = i + ahead + Op::kGroup < n ? i + ahead + Op::kGroup : n;
      for (std::size_t j = i + ahead; j < end; ++j) {
        prefetch_row(rows + std::size_t{ids[j]} * stride, bytes);
      }
    }
    for (std::size_t j = 0; j < Op::kGroup; ++j) group[j] = rows + std::size_t{ids[i + j]} * stride;
    Op::score(query, group, dim, out + i);
  }
  if (i < n) {
    for (std::size_t j = 0; j < n - i; ++j) group[j] = rows + std::size_t{ids[i + j]} * stride;
    score_rest<Op>(query, group, n - i, dim, out + i);
  }
}

template <class L2, class Ip>
constexpr RowKernels row_kernels(Decode decode) noexcept {
  return {{score_block<L2>, score_block<Ip>}, {score_ids<L2>, score_ids<Ip>}, decode};
}

VICINAL_INLINE ScalarRow head_of(const std::byte* row) noexcept {
  ScalarRow head;
  std::memcpy(&head, row, sizeof(head));
  return head;
}

// Where kSq4 keeps its dimensions; table.h explains. Copies of its constexpr functions, because
// those have external linkage.
VICINAL_INLINE std::size_t nibble_tail(std::size_t dim) noexcept {
  return ((dim % 128 + 1) / 2 + 15) / 16 * 16;
}

constexpr std::size_t sq8_bytes(std::size_t dim) noexcept { return 16 + dim; }
constexpr std::size_t sq4_bytes(std::size_t dim) noexcept {
  return 16 + dim / 128 * 64 + ((dim % 128 + 1) / 2 + 15) / 16 * 16;
}

}  // namespace
}  // namespace vicinal::kernels
