#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal {

/// Smaller is nearer for each: squared L2, negative inner product, 1 - cosine.
enum class Metric : std::uint8_t { kL2, kInnerProduct, kCosine };

/// Of rows of bits: bits that differ; 1 - common / (set in either), 0 for two rows without bits.
enum class BitMetric : std::uint8_t { kHamming, kJaccard };

/// What callers hand in. Indexes convert block by block; nobody copies the whole input.
enum class ElementType : std::uint8_t { kFloat64, kFloat32, kFloat16, kInt8, kUint8 };

/// What a row is stored as.
enum class CodecKind : std::uint8_t {
  kFloat32,
  kFloat16,
  kBfloat16,
  kInt8,
  kUint8,
  kSq8,  ///< 8 bits per dimension, an offset and a scale per vector (LVQ)
  kSq4,
  kSq4x8,    ///< kSq4, and 8 bits for what it leaves over
  kFloat8,   ///< e4m3, a scale per vector
  kPq,       ///< product quantization
  kRq,       ///< residual (additive) quantization
  kRotation, ///< rotated, 1 to 8 bits per dimension, unbiased (RaBitQ, EDEN)
  kBits,     ///< signs
};

/// Finer rows kept beside the codes, read only for the last candidates.
enum class RefineKind : std::uint8_t { kNone, kFloat16, kFloat32 };

constexpr std::size_t kMaxDim = 32768;          ///< so that integer dot products fit 32 bits
constexpr std::size_t kMaxBits = 8 * kMaxDim;   ///< of one row of bits
constexpr std::uint32_t kNoRow = 0xFFFFFFFFu;   ///< rows are numbered below this
constexpr std::int64_t kNoId = -1;              ///< pads results; external ids are >= 0

const char* name(Metric metric) noexcept;
const char* name(BitMetric metric) noexcept;
const char* name(ElementType type) noexcept;
const char* name(CodecKind codec) noexcept;
const char* name(RefineKind refine) noexcept;
std::size_t bytes(ElementType type) noexcept;

}  // namespace vicinal
