#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/table.h"

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define VICINAL_INLINE __forceinline
#define VICINAL_LAMBDA
#else
#define VICINAL_INLINE inline __attribute__((always_inline))
#define VICINAL_LAMBDA __attribute__((always_inline))
#endif

// The loops over rows, the same for every level. Everything here has internal linkage: each folder
// compiles its own copy with its own flags, and the linker must never share one between them.
namespace vicinal::kernels {
namespace {

// Into the second cache: the first can wait for some 20 lines only, and then holds up the loads
// behind them. Zen 4, rows of 3136 / 832 / 400 / 128 bytes at random places in memory, GB/s:
// 12.0 / 8.9 / 6.9 / 4.4 against 8.0 / 6.6 / 5.9 / 3.8 into the first.
VICINAL_INLINE void prefetch_line(const std::byte* at) noexcept {
#if defined(__GNUC__) && defined(__x86_64__)
  // GCC 12 drops repeated __builtin_prefetch from such loops; it cannot drop this.
  asm volatile("prefetcht1 %0" : : "m"(*at));
#elif defined(__GNUC__)
  __builtin_prefetch(at, 0, 2);
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
#else
  (void)at;
#endif
}

// An Op names its Sum, the partial sums of one row, and two steps:
//   add(query, group, dim, sums)   sums of the rows of a group; calls group.prefetch(offset) once
//   for
//                                  every 64 bytes of a row
//   finish(query, rows, sums, out) scores of kGroup rows
// Every row is summed in the same order however it is grouped, so its score does not depend on the
// rows beside it, nor on whether a scan or a gather met it.

// Rows of a gather. Prefetches of later rows are spread over the arithmetic: in one burst they
// would wait for line buffers and hold up the loads behind them.
template <std::size_t size>
struct Gathered {
  static constexpr std::size_t kSize = size;
  const std::byte* rows[size];
  const std::byte* next[size];  ///< what is wanted soon; rows themselves if nothing is

  VICINAL_INLINE void prefetch(std::size_t offset) const noexcept {
#if defined(__clang__)
#pragma clang loop unroll(full)
#elif defined(__GNUC__)
#pragma GCC unroll 4
#endif
    for (std::size_t j = 0; j < size; ++j) prefetch_line(next[j] + offset);
  }
  VICINAL_INLINE void prefetch_all(std::size_t bytes) const noexcept {
    for (std::size_t offset = 0; offset < bytes; offset += 64) prefetch(offset);
  }
};

// A row of a scan. One row after the other is what the hardware prefetcher follows best: four rows
// side by side reached 10 to 15 GB/s where this reaches 24. It stops at each page, so lines ahead
// are asked for as well. Zen 4, one query through FlatIndex, 784 / 384 / 128 dimensions, GB/s:
// 24.5 / 24.5 / 25.4 against 21.6 / 18.4 / 25.2 without. Addresses beyond the last row do no harm.
constexpr std::size_t kScanAhead = 1536;

struct Scanned {
  static constexpr std::size_t kSize = 1;
  const std::byte* rows[1];

  VICINAL_INLINE void prefetch(std::size_t offset) const noexcept {
    prefetch_line(rows[0] + offset + kScanAhead);
  }
  VICINAL_INLINE void prefetch_all(std::size_t) const noexcept {}
};

// Fewer rows than a group; their sums fill all places.
template <class Op>
void score_rest(const void* query, const std::byte** rows, std::size_t n, std::size_t dim,
                float* out) noexcept {
  typename Op::Sum sums[Op::kGroup];
  float scores[Op::kGroup];
  for (std::size_t j = 0; j < Op::kGroup; ++j) {
    if (j >= n) rows[j] = rows[0];
    Op::add(query, Scanned{{rows[j]}}, dim, sums + j);
  }
  Op::finish(query, rows, sums, scores);
  for (std::size_t j = 0; j < n; ++j) out[j] = scores[j];
}

template <class Op>
void score_block(const void* query, const std::byte* rows, std::size_t stride, std::size_t n,
                 std::size_t dim, float* out) noexcept {
  constexpr std::size_t kGroup = Op::kGroup;
  const std::byte* group[kGroup];
  std::size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    typename Op::Sum sums[kGroup];
    for (std::size_t j = 0; j < kGroup; ++j) {
      group[j] = rows + (i + j) * stride;
      Op::add(query, Scanned{{group[j]}}, dim, sums + j);
    }
    Op::finish(query, group, sums, out + i);
  }
  if (i == n) return;
  for (std::size_t j = 0; j < n - i; ++j) group[j] = rows + (i + j) * stride;
  score_rest<Op>(query, group, n - i, dim, out + i);
}

template <class Op>
void score_ids(const void* query, const std::byte* rows, std::size_t stride,
               const std::uint32_t* ids, std::size_t n, std::size_t dim, unsigned ahead,
               float* out) noexcept {
  constexpr std::size_t kGroup = Op::kGroup;
  const std::size_t bytes = Op::row_bytes(dim);
  const std::size_t last = bytes > 0 ? bytes - 1 : 0;
  Gathered<kGroup> group;
  std::size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    for (std::size_t j = 0; j < kGroup; ++j) {
      group.rows[j] = rows + std::size_t{ids[i + j]} * stride;
      const std::size_t later = i + j + ahead;
      group.next[j] = later < n ? rows + std::size_t{ids[later]} * stride : group.rows[j];
    }
    // A row that does not start on a line ends on one line more than the steps of add() reach.
    group.prefetch(last);
    typename Op::Sum sums[kGroup];
    Op::add(query, group, dim, sums);
    Op::finish(query, group.rows, sums, out + i);
  }
  if (i == n) return;
  for (std::size_t j = 0; j < n - i; ++j) group.rows[j] = rows + std::size_t{ids[i + j]} * stride;
  score_rest<Op>(query, group.rows, n - i, dim, out + i);
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
