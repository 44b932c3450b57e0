#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace vicinal::kernels {

// Rows of codes of a few bits per dimension, against a query in integers; the codecs that rotate,
// keep signs or add a second level stand on these. A code is split into planes of 1, 2, 4 or 8
// bits, so that shifts and masks alone unpack it:
//
//   value of a code = sum over planes of weight * level(bits of that plane) - centre
//
// A plane keeps 512 / width dimensions in each whole line of 64 bytes, dimension d of them in byte
// d % 64 at bit width * (d / 64). The rest fill a shorter line of `tail` bytes: dimension j of them
// in byte j % tail at bit width * (j / tail).
struct PackedPlane {
  std::uint32_t width;
  std::uint32_t offset;  ///< bytes from the start of the row
  std::uint32_t lines;   ///< whole ones
  std::uint32_t tail;    ///< bytes, 0 to 63; width 8: the dimensions themselves
  std::int32_t weight;
  std::uint32_t mapped;     ///< 1: level(c) = levels[c], widths 2 and 4 only; 0: level(c) = c
  std::uint8_t levels[16];  ///< each <= 127
};
constexpr std::size_t kMaxPlanes = 3;

/// What each row carries behind its codes.
enum class PackedFactors : std::uint32_t {
  kNone,       ///< nothing: mul = 1, add = 0
  kShort,      ///< uint16 mul: bits 15 to 30 of a float32; and uint16 add if `adds`: 16 to 31
  kFloat,      ///< float mul, and add if `adds`
  kScalarRow,  ///< a ScalarRow heads the row, float add at `factors_at` if `adds`
};

/// score = (bias + add_scale * add) + mul * (scale * dot), and under kScalarRow, where mul is its
/// delta,
///         + (lower * row.lower + 7.5 * lower * row.delta): both levels of kSq4x8 about its centre;
/// never below `least`.
/// dot = sum over dimensions of the query's number times the value of the code. That number is
/// digit[0], or digit[2] * base^2 + digit[1] * base + digit[0]: 21 bits, where single precision
/// has 24. Sums of each digit are integers, exact, and the same at every level; the few floating
/// steps after them come in the same order everywhere.
struct PackedQuery {
  /// [digit][plane][line, the shorter one last][8 / width][64], zero where a line has no dimension.
  const std::int8_t* codes;
  std::size_t digit_bytes;
  std::int32_t centre[3];  ///< by digit: centre * sum of the digits; modulo 2^32
  float base;
  float bias;
  float scale;
  float lower;
  float least;
  float add_scale;
  PackedFactors factors;
  std::uint32_t factors_at;
  std::uint32_t adds;
  std::uint32_t plane_count;
  PackedPlane planes[kMaxPlanes];
};

/// float8 rows: e4m3 codes, then float factor, and float norm if `adds`.
/// score = (bias + norm) + factor * (scale * <values, codes>), codes 2^-8 times their value; never
/// below `least`.
struct Float8Query {
  const float* values;  ///< zero padded to a multiple of 64 floats
  float bias;
  float scale;
  float least;
  std::uint32_t adds;
  std::uint32_t dim;
};

/// The end of a scan over blocks: out[i] = (bias + add_scale * add[i]) + mul[i] * dot[i] with
/// dot[i] = ((offset + scale[0] * sums[0][i]) + scale[1] * sums[1][i]) + ..., 32 rows, never below
/// `least`.
struct PackedFinish {
  float bias;
  float least;
  float add_scale;
  float offset;
  std::size_t passes;
  std::size_t sums_stride;  ///< from the sums of one pass to those of the next
  float scale[4];
};

/// Queries that score_many takes at most.
constexpr std::size_t kCodeQueries = 4;
/// 1 to kCodeQueries queries against n rows that follow one another, queries[q] to out[q].
using ScoreMany = void (*)(const void* const* queries, std::size_t count, const std::byte* rows,
                           std::size_t stride, std::size_t n, std::size_t dim,
                           float* const* out) noexcept;

struct PackedKernels {
  // `dim` of these is the bytes of a row that matter. By digits: one, three.
  ScoreBlock block[2];
  ScoreIds ids[2];
  ScoreBlock float8_block;
  ScoreIds float8_ids;
  /// mul, add: 32 numbers as `factors` says (kShort or kFloat); add may be null; both null: kNone.
  void (*finish)(const PackedFinish& how, const std::uint32_t* sums, PackedFactors factors,
                 const std::byte* mul, const std::byte* add, float* out) noexcept;
  /// The bits that RowKernels::block of kSq8Int gives, for several queries. By Rank.
  ScoreMany sq8_int_many[2];
};

}  // namespace vicinal::kernels
