#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicinal::kernels {

// Conventions for every kernel:
//  * A stored row starts at rows + i * stride; stride is a multiple of 16 and the bytes between the
//    end of a row and the next multiple of 16 are zero. A kernel reads nothing beyond that
//    multiple.
//  * A query is zero beyond its end up to the next multiple of 64 bytes, readable that far.
//  * out: smaller is nearer. L2 is the squared distance, IP the negative inner product.
//  * Pointers and counts were checked above. No allocation, no I/O, no throw.

/// How a row is stored and what the query beside it is.
enum class RowType : std::uint8_t {
  kF32,      // float rows; query: const float*
  kF16,      // IEEE half rows; query: const float*
  kBf16,     // bfloat16 rows; query: const float*
  kI8,       // query: const std::int8_t*; integer arithmetic, exact
  kU8,       // query: const std::uint8_t*; integer arithmetic, exact
  kSq8,      // ScalarRow + one byte per dimension; query: const ScalarQuery*, reads `values`
  kSq4,      // ScalarRow + nibbles; query: const ScalarQuery*, reads `values`
  kSq8Int,   // rows as kSq8; query: const ScalarQuery*, reads `codes` (integer arithmetic)
  kSq4Int,   // rows as kSq4; query: const ScalarQuery*, reads `codes`
};
constexpr std::size_t kRowTypes = 9;

enum class Rank : std::uint8_t { kL2, kIp };

/// Heads every row of per-vector scalar codes (LVQ). The row stands for mean + y with
/// y[i] = lower + delta * code[i]; the mean is handled when a query is prepared.
struct ScalarRow {
  float delta;
  float lower;
  float sum;   ///< sum of y[i] over the dimensions
  float norm;  ///< sum of y[i]^2
};
static_assert(sizeof(ScalarRow) == 16);

// kSq8: code bytes follow the head in order, padded with zero codes to a multiple of 16.
// kSq4: 128 dimensions fill 64 bytes, dimension d in the low and d + 64 in the high nibble of byte
// d (d < 64). The last r = dim % 128 dimensions fill h = round_up((r + 1) / 2, 16) bytes, low
// nibbles first: dimension d in the low nibble of byte d (d < h), dimension h + d in the high one.
constexpr std::size_t sq4_tail_bytes(std::size_t dim) noexcept {
  return ((dim % 128 + 1) / 2 + 15) / 16 * 16;
}
constexpr std::size_t sq4_code_bytes(std::size_t dim) noexcept {
  return dim / 128 * 64 + sq4_tail_bytes(dim);
}

/// A query against ScalarRow rows. Write q' for the query (minus the mean under L2).
///   <q', y> = lower * sum + delta * sum_i values[i] * code[i]                          (float)
///           ~ offset * row.sum + lower * code_sum + scale * delta * <codes, code>      (integer)
///   L2: out = max(0, bias + row.norm - 2 <q', y>), bias = ||q'||^2
///   IP: out = -(bias + <q', y>),                   bias = <q, mean>
struct ScalarQuery {
  const float* values;        ///< q', zero padded to a multiple of 64 floats, and 256 beyond dim
  const std::int8_t* codes;   ///< q'[i] ~ offset + scale * codes[i]; zero padded likewise
  float bias;
  float sum;       ///< sum of q'
  float scale;
  float offset;
  float code_sum;  ///< sum of (q' - offset): lower multiplies it in the integer form
};

/// One query against n rows that follow one another.
using ScoreBlock = void (*)(const void* query, const std::byte* rows, std::size_t stride,
                            std::size_t n, std::size_t dim, float* out) noexcept;
/// One query against the rows ids[0..n). All cache lines of the row `ahead` places further on are
/// prefetched while a row is scored; the caller may have prefetched the first ones.
using ScoreIds = void (*)(const void* query, const std::byte* rows, std::size_t stride,
                          const std::uint32_t* ids, std::size_t n, std::size_t dim,
                          unsigned ahead, float* out) noexcept;
/// Rows to float32, dim per row; ScalarRow rows without their mean.
using Decode = void (*)(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                        float* out, std::size_t out_stride) noexcept;  // out_stride in floats

struct RowKernels {
  ScoreBlock block[2];  ///< by Rank
  ScoreIds ids[2];
  Decode decode;
};

// ---- Query tile against row tile with fused top-k
// ------------------------------------------------

constexpr std::size_t kMaxTileQueries = 64;

/// Candidates of the queries of one tile. The kernel appends (score, id) where score < threshold;
/// the caller tightens thresholds and empties buffers between calls, and leaves room for all rows
/// of a call in each buffer.
struct TileTop {
  float threshold[kMaxTileQueries];  ///< -inf for the places of an incomplete tile
  std::uint32_t count[kMaxTileQueries];
  float* scores[kMaxTileQueries];
  std::uint32_t* ids[kMaxTileQueries];
};

/// score[q][r] = bias[r] - <query q, row r>, float32. bias = ||row||^2 / 2 ranks by L2, 0 by inner
/// product, +inf hides a row.
struct TileKernel {
  std::size_t queries;  ///< width: queries of one packed panel, <= kMaxTileQueries
  std::size_t rows;     ///< rows scored together; the kernel takes any number, multiples run best
  /// n <= queries rows of dim floats (stride in floats) to panel[dim][queries], absent ones zero.
  void (*pack)(const float* from, std::size_t stride, std::size_t n, std::size_t dim,
               float* panel) noexcept;
  /// rows: float32, dim each, stride in floats. Row r has id first_id + r.
  void (*score)(const float* panel, const float* rows, std::size_t stride, std::size_t n,
                std::size_t dim, const float* bias, std::uint32_t first_id, TileTop* top) noexcept;
};

/// out[q * out_stride + r] = <query q, row r>: n_queries rows of signed by n_rows rows of unsigned
/// bytes. `bytes` of each are read, a multiple of 64; strides in bytes, out_stride in integers.
/// Exact, and the same at every level: sums stay within 31 bits below 2^16 bytes.
using ByteProducts = void (*)(const std::int8_t* queries, std::size_t query_stride,
                              std::size_t n_queries, const std::uint8_t* rows,
                              std::size_t row_stride, std::size_t n_rows, std::size_t bytes,
                              std::int32_t* out, std::size_t out_stride) noexcept;

struct AdcKernels;
struct BitKernels;
struct LookupKernels;
struct MatrixKernels;
struct PackedKernels;

// ---- Everything of one level
// ---------------------------------------------------------------------

struct Table {
  const char* name;
  std::uint64_t needs;  ///< CpuBit mask
  const RowKernels* rows[kRowTypes];
  const TileKernel* tile;
  /// Appends to ids/kept the i (as first_id + i) and scores[i] below threshold; NaN never passes.
  /// Returns how many. ids and kept need room for n + 16.
  std::size_t (*below)(const float* scores, std::size_t n, float threshold, std::uint32_t first_id,
                       std::uint32_t* ids, float* kept) noexcept;
  void (*to_f16)(const float* in, std::size_t n, std::uint16_t* out) noexcept;   // nearest even
  void (*to_bf16)(const float* in, std::size_t n, std::uint16_t* out) noexcept;  // nearest even
  /// Castagnoli CRC, as iSCSI: crc32c(0, "123456789") = 0xE3069283. Chains: pass the previous
  /// value.
  std::uint32_t (*crc32c)(std::uint32_t crc, const void* data, std::size_t bytes) noexcept;
  const BitKernels* bits;       ///< kernels/bits.h
  const LookupKernels* lookup;  ///< kernels/lookup.h
  const MatrixKernels* matrix;  ///< kernels/matrix.h
  const AdcKernels* adc;        ///< kernels/adc.h
  const PackedKernels* packed;  ///< kernels/packed_bits.h
  ByteProducts byte_products;

  const RowKernels& row(RowType t) const noexcept { return *rows[static_cast<std::size_t>(t)]; }
};

/// The level in use. Chosen once; VICINAL_ISA forces one. Throws ConfigError as cpu_info() says.
const Table& active();
/// Levels that run on this CPU, best first.
const std::vector<const Table*>& available();

}  // namespace vicinal::kernels
