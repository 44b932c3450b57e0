#pragma once

#include "kernels/adc.h"
#include "kernels/walk.h"

// Rows of table entries, the same for every level. Internal linkage throughout; see walk.h.
namespace vicinal::kernels {
namespace {

// One load and one addition per byte: a gather of eight takes Zen 4 longer than eight loads, and a
// core begins the next rows while the sums of this one are joined.
struct TableOp {
  using Sum = float;
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t row_bytes(std::size_t bytes) noexcept { return bytes; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t bytes,
                                 Sum* sums) noexcept {
    group.prefetch_all(bytes);
    const float* tables = static_cast<const AdcQuery*>(query)->tables;
    for (std::size_t j = 0; j < Rows::kSize; ++j) {
      sums[j] = total(tables, reinterpret_cast<const std::uint8_t*>(group.rows[j]), bytes);
    }
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* sums, float* out) noexcept {
    const AdcQuery& q = *static_cast<const AdcQuery*>(query);
    for (std::size_t j = 0; j < kGroup; ++j) {
      float score = q.bias + sums[j];
      if (q.gains != nullptr) {
        score *= q.gains[static_cast<std::uint8_t>(rows[j][q.gain_at])];
      }
      out[j] = score < q.floor ? q.floor : score;
    }
  }

  static VICINAL_INLINE float total(const float* tables, const std::uint8_t* codes,
                                    std::size_t bytes) noexcept {
    constexpr std::size_t kNext = kAdcEntries;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    std::size_t j = 0;
    for (; j + 4 <= bytes; j += 4, tables += 4 * kNext) {
      s0 += tables[codes[j]];
      s1 += tables[kNext + codes[j + 1]];
      s2 += tables[2 * kNext + codes[j + 2]];
      s3 += tables[3 * kNext + codes[j + 3]];
    }
    if (j < bytes) s0 += tables[codes[j]];
    if (j + 1 < bytes) s1 += tables[kNext + codes[j + 1]];
    if (j + 2 < bytes) s2 += tables[2 * kNext + codes[j + 2]];
    return (s0 + s1) + (s2 + s3);
  }
};

}  // namespace
}  // namespace vicinal::kernels
