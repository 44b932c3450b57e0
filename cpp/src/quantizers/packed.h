#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/packed_bits.h"
#include "quantizers/codec.h"

namespace vicinal::quantizers {

/// Which bits of a code a plane holds, and what they add to its value.
struct CodePart {
  unsigned width;  ///< 1, 2, 4 or 8
  unsigned shift;  ///< of its lowest bit within the code
  std::int32_t weight;
  const std::uint8_t* levels;  ///< 16 of them, each <= 127; null: the bits as a number
};

/// Codes of one byte per dimension in the planes of kernels/packed_bits.h.
class PackedCodes {
 public:
  PackedCodes() = default;
  /// |value| of no code is above `largest`. The planes follow one another from `offset` on.
  PackedCodes(std::size_t dim, const std::vector<CodePart>& parts, std::int32_t centre,
              std::int32_t largest, std::size_t offset = 0);

  std::size_t end() const noexcept { return end_; }  ///< of the last plane, in bytes of the row
  /// row: zero where the planes lie.
  void put(const std::uint8_t* codes, std::byte* row) const noexcept;
  void get(const std::byte* row, std::uint8_t* codes) const noexcept;

  /// The last plane's shorter line takes `bytes` (so that others may read it too); end() moves.
  void widen_tail(std::size_t bytes);
  /// One more plane behind the others.
  void add(const CodePart& part);

  /// Bytes that the two below need.
  std::size_t query_room(unsigned digits) const noexcept;
  /// Rounds dim floats to digits, 1 or 3. Sets everything of q that is about codes and planes, and
  /// `scale` so that scale * dot estimates sum of values[i] * value of code i.
  void round_query(const float* values, unsigned digits, std::int8_t* room,
                   kernels::PackedQuery& q) const noexcept;
  /// The same for whole numbers, -127 to 127; scale becomes 1. codes: dim numbers.
  void place_query(const std::int8_t* codes, std::int8_t* room,
                   kernels::PackedQuery& q) const noexcept;

 private:
  void place(unsigned digits, const std::int8_t* linear, std::int8_t* arranged,
             kernels::PackedQuery& q) const noexcept;
  std::size_t linear_bytes() const noexcept { return (dim_ + 63) / 64 * 64; }

  std::size_t dim_ = 0;
  std::size_t end_ = 0;
  std::size_t digit_bytes_ = 0;
  std::int32_t centre_ = 0;
  std::int32_t largest_ = 1;
  std::vector<kernels::PackedPlane> planes_;
  std::vector<unsigned> shifts_;
};

/// Blocks of kBlockRows rows: the factors of all rows (mul, then add), then codes as nibbles.
/// A nibble holds four dimensions of a 1-bit part, two of a 2-bit one, one of a 4-bit one, the
/// first of them in its lowest bits.
class PackedBlocks {
 public:
  struct Part {
    CodePart code;  ///< width 1, 2 or 4; its levels have to outlive this
    bool twice;     ///< a second pass for what rounding its tables to 8 bits left over
  };

  PackedBlocks() = default;
  PackedBlocks(std::size_t dim, const std::vector<Part>& parts, std::int32_t centre,
               kernels::PackedFactors factors, bool adds);

  std::size_t bytes() const noexcept { return bytes_; }
  /// factors: mul and add as a row keeps them, one behind the other.
  void put(const std::uint8_t* codes, const std::byte* factors, std::size_t place,
           std::byte* block) const;
  void get(const std::byte* block, std::size_t place, std::uint8_t* codes,
           std::byte* factors) const;
  /// How a query's scores come out of those of its codes.
  struct Score {
    float bias;
    float scale;
    float add_scale;
    float least;
  };
  /// Scores become (bias + add_scale * add) + mul * scale * sum of values[i] * value of code i,
  /// never below `least`.
  void prepare(const float* values, const Score& score, BlockQuery& out) const;
  /// Scores that are never above those of the same values by PackedCodes::round_query() with three
  /// digits; false if they might leave the range of floats.
  bool prepare_bounds(const float* values, const Score& score, BlockQuery& out) const;

 private:
  struct Tables;
  Tables prepare_tables(const float* values, const Score& score, BlockQuery& out) const;

  struct Plane {
    CodePart code;
    bool twice;
    std::size_t nibbles;
    std::size_t at;  // bytes from the start of the block
  };

  std::size_t factor_bytes() const noexcept {
    return factors_ == kernels::PackedFactors::kShort   ? 2
           : factors_ == kernels::PackedFactors::kFloat ? 4
                                                        : 0;
  }

  std::size_t dim_ = 0;
  std::size_t bytes_ = 0;
  std::int32_t centre_ = 0;
  kernels::PackedFactors factors_ = kernels::PackedFactors::kNone;
  bool adds_ = false;
  std::vector<Plane> planes_;
};

/// PackedFactors::kShort. mul: the nearest number >= 0 with 8 bits behind the leading one. add:
/// with 7, and a sign (bfloat16). Any exponent; the largest stands for everything above it.
std::uint16_t to_short_mul(double x) noexcept;
std::uint16_t to_short_add(double x) noexcept;
float from_short_mul(std::uint16_t x) noexcept;
float from_short_add(std::uint16_t x) noexcept;

/// The nearest whole number of |x| < 2^22, ties to even, in a form that every compiler vectorises
/// for the plainest CPU.
inline float nearest_whole(float x) noexcept {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23
  return (x + kMagic) - kMagic;
}

/// Sums in an order that is part of the answer: eight partial sums, for speed as well.
double squared_norm(const float* x, std::size_t dim) noexcept;
float dot_product(const float* a, const float* b, std::size_t dim) noexcept;
/// Column means; zeros for no rows.
std::vector<float> mean_of(MatrixView<const float> rows);
/// The values of array `i`. Throws ArgumentError unless it is there, so called, of this length and
/// finite.
std::vector<float>& take_array(std::vector<Learned>& learned, std::size_t i, const char* name,
                               std::size_t count);

}  // namespace vicinal::quantizers
