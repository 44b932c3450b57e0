#pragma once

#include "kernels/packed_bits.h"
#include "kernels/walk.h"

// What every level does alike with packed rows. Internal linkage throughout; see walk.h.
namespace vicinal::kernels {
namespace {

VICINAL_INLINE float float_at(const std::byte* at) noexcept {
  float x;
  std::memcpy(&x, at, sizeof x);
  return x;
}

// shift 15: a number that cannot be negative keeps a bit more.
VICINAL_INLINE float short_at(const std::byte* at, int shift) noexcept {
  std::uint16_t high;
  std::memcpy(&high, at, sizeof high);
  const std::uint32_t bits = static_cast<std::uint32_t>(high) << shift;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// NaN stays NaN.
VICINAL_INLINE float at_least(float least, float x) noexcept { return least > x ? least : x; }

VICINAL_INLINE float packed_score(const PackedQuery& q, const std::byte* row, float dot) noexcept {
  const std::byte* at = row + q.factors_at;
  const float scaled = q.scale * dot;
  switch (q.factors) {
    case PackedFactors::kNone: break;
    case PackedFactors::kShort: {
      const float bias = q.adds != 0 ? q.bias + q.add_scale * short_at(at + 2, 16) : q.bias;
      return at_least(q.least, bias + short_at(at, 15) * scaled);
    }
    case PackedFactors::kFloat: {
      const float bias = q.adds != 0 ? q.bias + q.add_scale * float_at(at + 4) : q.bias;
      return at_least(q.least, bias + float_at(at) * scaled);
    }
    case PackedFactors::kScalarRow: {
      const ScalarRow head = head_of(row);
      const float bias = q.adds != 0 ? q.bias + q.add_scale * float_at(at) : q.bias;
      const float centre = q.lower * head.lower + (7.5f * q.lower) * head.delta;
      return at_least(q.least, (bias + head.delta * scaled) + centre);
    }
  }
  return at_least(q.least, q.bias + scaled);
}

// totals[d][j]: digit d of row j, the centre taken off.
template <int kDigits, int kRows>
VICINAL_INLINE void packed_scores(const PackedQuery& q, const std::byte* const* rows,
                                  const std::int32_t (*totals)[kRows], float* out) noexcept {
  for (int j = 0; j < kRows; ++j) {
    float dot = static_cast<float>(totals[kDigits - 1][j]);
    for (int d = kDigits - 2; d >= 0; --d) dot = dot * q.base + static_cast<float>(totals[d][j]);
    out[j] = packed_score(q, rows[j], dot);
  }
}

VICINAL_INLINE float float8_score(const Float8Query& q, const std::byte* row, float dot) noexcept {
  const float bias = q.adds != 0 ? q.bias + float_at(row + q.dim + 4) : q.bias;
  return at_least(q.least, bias + float_at(row + q.dim) * (q.scale * dot));
}

// One query after the other over rows that the first one left in the first cache.
template <const RowKernels& level, Rank rank>
void score_each(const void* const* queries, std::size_t count, const std::byte* rows,
                std::size_t stride, std::size_t n, std::size_t dim, float* const* out) noexcept {
  constexpr std::size_t kRows = 16;
  for (std::size_t first = 0; first < n; first += kRows) {
    const std::size_t m = n - first < kRows ? n - first : kRows;
    for (std::size_t q = 0; q < count; ++q) {
      level.block[static_cast<std::size_t>(rank)](queries[q], rows + first * stride, stride, m,
                                                    dim, out[q] + first);
    }
  }
}

template <class One, class Three, class Float8>
constexpr PackedKernels packed_kernels(void (*finish)(const PackedFinish&, const std::uint32_t*,
                                                      PackedFactors, const std::byte*,
                                                      const std::byte*, float*) noexcept,
                                       ScoreMany sq8_l2, ScoreMany sq8_ip) noexcept {
  return {{score_block<One>, score_block<Three>},
          {score_ids<One>, score_ids<Three>},
          score_block<Float8>,
          score_ids<Float8>,
          finish,
          {sq8_l2, sq8_ip}};
}

}  // namespace
}  // namespace vicinal::kernels
