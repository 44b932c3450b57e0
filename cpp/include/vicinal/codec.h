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
  std::uint32_t variant = 0;  ///< kRotation: RotationLevels; kBits: BitThreshold; kPq, kRq: see there
  std::uint64_t seed = 0;

  CodecSpec() = default;
  CodecSpec(CodecKind plain) : kind(plain) {}  // NOLINT: a kind alone is a spec, meant to be implicit
  friend bool operator==(const CodecSpec& a, const CodecSpec& b) noexcept {
    return a.kind == b.kind && a.parts == b.parts && a.bits == b.bits && a.variant == b.variant &&
           a.seed == b.seed;
  }
  friend bool operator!=(const CodecSpec& a, const CodecSpec& b) noexcept { return !(a == b); }
};

}  // namespace vicinal
