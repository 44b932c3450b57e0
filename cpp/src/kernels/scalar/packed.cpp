#include "kernels/packed_rows.h"
#include "kernels/scalar/scalar.h"

namespace vicinal::kernels::scalar {
namespace {

template <int kDigits>
struct PackedOp {
  struct Sum {
    std::uint32_t of[kDigits];  // modulo 2^32; less the centre it fits 31 bits and a sign
  };
  static constexpr std::size_t kGroup = 1;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  // One byte of a row: its codes against the numbers 64 apart.
  static VICINAL_INLINE void add_byte(const PackedQuery& q, const PackedPlane& plane,
                                      std::uint32_t byte, const std::int8_t* codes,
                                      std::int32_t* sums) noexcept {
    const std::uint32_t mask = (1u << plane.width) - 1;
    for (std::uint32_t shift = 0; shift < 8; shift += plane.width, codes += 64) {
      const std::uint32_t code = byte >> shift & mask;
      const std::int32_t level = plane.mapped != 0 ? plane.levels[code] : static_cast<int>(code);
      for (int d = 0; d < kDigits; ++d) sums[d] += level * codes[d * q.digit_bytes];
    }
  }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* total) noexcept {
    group.prefetch_all(row_bytes(dim));
    const PackedQuery& q = *static_cast<const PackedQuery*>(query);
    for (std::uint32_t& sum : total->of) sum = 0;
    const std::int8_t* codes = q.codes;
    for (std::uint32_t p = 0; p < q.plane_count; ++p) {
      const PackedPlane& plane = q.planes[p];
      const std::size_t line_codes = 64 * (8 / plane.width);
      const auto* row = reinterpret_cast<const std::uint8_t*>(group.rows[0]) + plane.offset;
      std::int32_t sums[kDigits] = {};  // at most 32768 * 255 * 127
      for (std::uint32_t line = 0; line < plane.lines; ++line, row += 64, codes += line_codes) {
        for (std::size_t b = 0; b < 64; ++b) add_byte(q, plane, row[b], codes + b, sums);
      }
      for (std::size_t b = 0; b < plane.tail; ++b) add_byte(q, plane, row[b], codes + b, sums);
      if (plane.tail > 0) codes += line_codes;
      for (int d = 0; d < kDigits; ++d) {
        total->of[d] +=
            static_cast<std::uint32_t>(plane.weight) * static_cast<std::uint32_t>(sums[d]);
      }
    }
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* total, float* out) noexcept {
    const PackedQuery& q = *static_cast<const PackedQuery*>(query);
    std::int32_t totals[kDigits][1];
    for (int d = 0; d < kDigits; ++d) {
      totals[d][0] =
          static_cast<std::int32_t>(total->of[d] - static_cast<std::uint32_t>(q.centre[d]));
    }
    packed_scores<kDigits, 1>(q, rows, totals, out);
  }
};

// e4m3 times 2^-8.
float float8_value(std::uint8_t code) noexcept {
  const std::uint32_t magnitude = code & 127u;
  float x;
  if (magnitude < 8) {
    x = static_cast<float>(magnitude) * 0x1p-17f;
  } else {
    const std::uint32_t bits = (magnitude << 20) + (112u << 23);
    std::memcpy(&x, &bits, sizeof x);
  }
  return (code & 128) != 0 ? -x : x;
}

struct Float8Op {
  using Sum = float;
  static constexpr std::size_t kGroup = 1;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* total) noexcept {
    group.prefetch_all(row_bytes(dim));
    const Float8Query& q = *static_cast<const Float8Query*>(query);
    const auto* codes = reinterpret_cast<const std::uint8_t*>(group.rows[0]);
    float sums[16] = {};
    for (std::size_t i = 0; i < q.dim; ++i) sums[i % 16] += q.values[i] * float8_value(codes[i]);
    for (std::size_t width = 8; width > 0; width /= 2) {
      for (std::size_t j = 0; j < width; ++j) sums[j] += sums[j + width];
    }
    *total = sums[0];
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* total, float* out) noexcept {
    *out = float8_score(*static_cast<const Float8Query*>(query), rows[0], *total);
  }
};

void finish(const PackedFinish& how, const std::uint32_t* sums, PackedFactors factors,
            const std::byte* mul, const std::byte* add, float* out) noexcept {
  for (std::size_t i = 0; i < 32; ++i) {
    float dot = how.offset;
    for (std::size_t p = 0; p < how.passes; ++p) {
      dot += how.scale[p] *
             static_cast<float>(static_cast<std::int32_t>(sums[p * how.sums_stride + i]));
    }
    float bias = how.bias;
    if (factors == PackedFactors::kShort) {
      if (add != nullptr) bias += how.add_scale * short_at(add + 2 * i, 16);
      dot *= short_at(mul + 2 * i, 15);
    } else if (factors == PackedFactors::kFloat) {
      if (add != nullptr) bias += how.add_scale * float_at(add + 4 * i);
      dot *= float_at(mul + 4 * i);
    }
    out[i] = at_least(how.least, bias + dot);
  }
}

}  // namespace

const PackedKernels packed_codes = packed_kernels<PackedOp<1>, PackedOp<3>, Float8Op>(
    finish, score_each<sq8_int, Rank::kL2>, score_each<sq8_int, Rank::kIp>);

}  // namespace vicinal::kernels::scalar
