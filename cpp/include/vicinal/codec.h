#pragma once

#include <cstddef>
#include <cstdint>

#include "vicinal/types.h"

namespace vicinal {

/// Which codec, with what shapes it. Fields that a kind does not name are 0.
struct CodecSpec {
  CodecKind kind = CodecKind::kFloat32;
  std::uint32_t parts = 0;  ///< kPq: sub-vectors; kRq: levels
  std::uint32_t bits = 0;   ///< kPq: 4 or 8 per part; kRotation: 1 to 8 per dimension
  /// kPq: 1 is score-aware. kRq: the beam. kRotation: 0 the better, 1 even, 2 normal levels. kBits:
  /// the threshold 0, the mean, the median, or 0 after a rotation about the mean.
  std::uint32_t variant = 0;
  std::uint64_t seed = 0;

  CodecSpec() = default;
  CodecSpec(CodecKind plain) : kind(plain) {}  // NOLINT: a kind alone is a spec
  friend bool operator==(const CodecSpec& a, const CodecSpec& b) noexcept {
    return a.kind == b.kind && a.parts == b.parts && a.bits == b.bits && a.variant == b.variant &&
           a.seed == b.seed;
  }
  friend bool operator!=(const CodecSpec& a, const CodecSpec& b) noexcept { return !(a == b); }
};

}  // namespace vicinal
