#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/packed_bits.h"
#include "support/guarded.h"

namespace vicinal::test {

struct PlaneShape {
  unsigned width;
  bool mapped;
  int weight;
  bool wide = false;  ///< the shorter line rounded up to 16 bytes, as kSq4 has it
};

/// Rows of packed codes, a query beside them, and what every pair should score, in double. Built
/// from the layout that kernels/packed_bits.h describes; calls nothing of ours.
class PackedCase {
 public:
  PackedCase(std::size_t dim, const std::vector<PlaneShape>& shapes, unsigned digits,
             kernels::PackedFactors factors, bool adds, std::size_t n, std::uint64_t seed,
             bool extreme = false)
      : dim_(dim),
        n_(n),
        digits_(digits),
        extreme_(extreme),
        random_(seed),
        values_(n * dim),
        dots_(n * digits),
        add_(n),
        mul_(n, 1.0),
        row_lower_(n),
        rows_(0),
        codes_(0) {
    using kernels::PackedFactors;
    std::size_t end = factors == PackedFactors::kScalarRow ? 16 : 0;
    std::size_t digit_bytes = 0;
    for (const PlaneShape& shape : shapes) {
      kernels::PackedPlane& plane = query_.planes[query_.plane_count++];
      const std::size_t in_line = 512 / shape.width, rest = dim % in_line;
      plane.width = shape.width;
      plane.offset = static_cast<std::uint32_t>(end);
      plane.lines = static_cast<std::uint32_t>(dim / in_line);
      plane.tail = static_cast<std::uint32_t>((rest * shape.width + 7) / 8);
      if (shape.wide && plane.tail <= 48) plane.tail = (plane.tail + 15) / 16 * 16;
      plane.weight = shape.weight;
      plane.mapped = shape.mapped ? 1 : 0;
      for (std::uint8_t& level : plane.levels) {
        level = static_cast<std::uint8_t>(extreme ? 127 : random_() % 128);
      }
      end += 64 * plane.lines + plane.tail;
      digit_bytes += 64 * (plane.lines + (plane.tail > 0 ? 1 : 0)) * (8 / shape.width);
    }
    std::size_t bytes = end;
    if (factors == PackedFactors::kShort) bytes += adds ? 4 : 2;
    if (factors == PackedFactors::kFloat) bytes += adds ? 8 : 4;
    if (factors == PackedFactors::kScalarRow && adds) bytes += 4;
    bytes_ = bytes;
    stride_ = (bytes + 15) / 16 * 16;
    rows_ = Guarded<std::byte>(n * stride_);
    codes_ = Guarded<std::int8_t>(digits * digit_bytes);

    query_.codes = codes_.data();
    query_.digit_bytes = digit_bytes;
    query_.base = 128.0f;
    query_.bias = uniform();
    query_.scale = 0.001f * uniform();
    query_.lower = uniform();
    query_.least = -1e30f;
    query_.add_scale = uniform();
    query_.factors = factors;
    query_.factors_at = static_cast<std::uint32_t>(end);
    query_.adds = adds ? 1 : 0;
    centre_ = extreme ? 0 : static_cast<int>(random_() % 300);
    make_query();
    for (std::size_t r = 0; r < n; ++r) make_row(r);
  }

  const kernels::PackedQuery& query() const { return query_; }
  kernels::PackedQuery& query() { return query_; }
  const std::byte* rows() const { return rows_.data(); }
  std::size_t stride() const { return stride_; }
  std::size_t bytes() const { return bytes_; }

  struct Want {
    double score, tolerance;
  };
  Want want(std::size_t r) const {
    double dot = 0, size = 0, base = 1;
    for (unsigned d = 0; d < digits_; ++d, base *= 128) {
      dot += base * static_cast<double>(dots_[r * digits_ + d]);
      size += base * std::fabs(static_cast<double>(dots_[r * digits_ + d]));
    }
    const double product = mul_[r] * double{query_.scale};
    const double centre =
        query_.factors == kernels::PackedFactors::kScalarRow
            ? double{query_.lower} * row_lower_[r] + 7.5 * double{query_.lower} * mul_[r]
            : 0.0;
    const double score =
        double{query_.bias} + double{query_.add_scale} * add_[r] + product * dot + centre;
    // Conversions, products and sums, each rounded: at most ten on the way of any term.
    const double terms = std::fabs(query_.bias) + add_[r] + std::fabs(product) * size +
                         std::fabs(query_.lower) * (std::fabs(row_lower_[r]) + 7.5 * mul_[r]);
    return {score, 10 * 0x1p-24 * terms};
  }
  /// The dot product of one digit, exactly.
  std::int64_t dot(std::size_t r, unsigned digit) const { return dots_[r * digits_ + digit]; }

 private:
  float uniform() { return static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f; }

  void make_query() {
    numbers_.assign(digits_ * dim_, 0);
    for (unsigned d = 0; d < digits_; ++d) {
      const bool top = d + 1 == digits_;
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < dim_; ++i) {
        int c =
            top ? static_cast<int>(random_() % 255) - 127 : static_cast<int>(random_() % 128) - 64;
        if (extreme_) c = top ? 127 : -64;
        numbers_[d * dim_ + i] = c;
        sum += c;
      }
      query_.centre[d] = static_cast<std::int32_t>(static_cast<std::uint32_t>(centre_ * sum));
      std::int8_t* to = codes_.data() + d * query_.digit_bytes;
      for (std::uint32_t p = 0; p < query_.plane_count; ++p) {
        const kernels::PackedPlane& plane = query_.planes[p];
        const std::size_t shifts = 8 / plane.width, in_line = 512 / plane.width;
        for (std::size_t i = 0; i < dim_; ++i) {
          std::size_t line = i / in_line, in = i % in_line, length = 64;
          if (line == plane.lines) length = plane.tail;
          to[(line * shifts + in / length) * 64 + in % length] =
              static_cast<std::int8_t>(numbers_[d * dim_ + i]);
        }
        to += 64 * shifts * (plane.lines + (plane.tail > 0 ? 1 : 0));
      }
    }
  }

  void make_row(std::size_t r) {
    using kernels::PackedFactors;
    std::byte* row = rows_.data() + r * stride_;
    for (std::uint32_t p = 0; p < query_.plane_count; ++p) {
      const kernels::PackedPlane& plane = query_.planes[p];
      const std::size_t in_line = 512 / plane.width;
      for (std::size_t i = 0; i < dim_; ++i) {
        unsigned code = static_cast<unsigned>(random_() % (1u << plane.width));
        if (extreme_) code = (1u << plane.width) - 1;
        const std::size_t line = i / in_line, in = i % in_line;
        const std::size_t length = line == plane.lines ? plane.tail : 64;
        row[plane.offset + 64 * line + in % length] |=
            static_cast<std::byte>(code << in / length * plane.width);
        const int level = plane.mapped != 0 ? plane.levels[code] : static_cast<int>(code);
        values_[r * dim_ + i] += plane.weight * level;
      }
    }
    for (unsigned d = 0; d < digits_; ++d) {
      std::int64_t dot = 0;
      for (std::size_t i = 0; i < dim_; ++i) {
        dot += std::int64_t{numbers_[d * dim_ + i]} * (values_[r * dim_ + i] - centre_);
      }
      dots_[r * digits_ + d] = dot;
    }
    std::byte* at = row + query_.factors_at;
    if (query_.factors == PackedFactors::kScalarRow) {
      const float head[4] = {0.5f + 0.4f * uniform(), uniform(), 0.0f, 0.0f};
      std::memcpy(row, head, sizeof head);
      mul_[r] = head[0];
      row_lower_[r] = head[1];
      if (query_.adds != 0) put_float(at, &add_[r]);
    } else if (query_.factors == PackedFactors::kFloat) {
      put_float(at, &mul_[r]);
      if (query_.adds != 0) put_float(at + 4, &add_[r]);
    } else if (query_.factors == PackedFactors::kShort) {
      put_short(at, 8, &mul_[r]);
      if (query_.adds != 0) put_short(at + 2, 7, &add_[r]);
    }
  }

  void put_float(std::byte* at, double* value) {
    const float x = 1.5f + uniform();
    std::memcpy(at, &x, sizeof x);
    *value = x;
  }
  // A leading one, `behind` bits behind it, and an exponent from -2 to 1.
  void put_short(std::byte* at, int behind, double* value) {
    const int mantissa = static_cast<int>(random_() % (1u << behind));
    const int exponent = static_cast<int>(random_() % 4) - 2;
    const auto bits = static_cast<std::uint16_t>((127 + exponent) << behind | mantissa);
    std::memcpy(at, &bits, sizeof bits);
    *value = std::ldexp((1 << behind) + mantissa, exponent - behind);
  }

  std::size_t dim_, n_;
  unsigned digits_;
  bool extreme_;
  std::mt19937_64 random_;
  std::vector<std::int64_t> values_;
  std::vector<std::int64_t> dots_;
  std::vector<double> add_, mul_, row_lower_;
  Guarded<std::byte> rows_;
  Guarded<std::int8_t> codes_;
  std::vector<int> numbers_;
  kernels::PackedQuery query_{};
  std::size_t bytes_ = 0, stride_ = 0;
  int centre_ = 0;
};

/// The value of an e4m3 float, from the definition.
inline double float8_reference(std::uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double size =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return (code & 128) != 0 ? -size : size;
}

}  // namespace vicinal::test
