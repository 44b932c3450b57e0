#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::bench {

// Loops that press one unit of the processor. One copy per set of compile flags; nothing inline is
// shared between them.

/// One level's loops; a null pointer means that the level has no such instruction.
struct Loops {
  const char* name;
  std::uint64_t needs;  ///< kernels::CpuBit mask
  std::size_t vector_bytes;
  /// Independent chains of fused multiply-adds in registers; returns the operations done (two per
  /// lane and instruction).
  double (*fma)(std::uint64_t rounds, float* sink);
  /// The same for sums of products of bytes; returns multiply-adds done.
  double (*byte_mac)(std::uint64_t rounds, std::int32_t* sink);
  /// Reads everything once. bytes: a multiple of 512. ahead: bytes to prefetch ahead, 0 for none.
  std::uint64_t (*stream)(const std::byte* data, std::size_t bytes, std::size_t ahead);
};

extern const Loops kPortableLoops;
extern const Loops kAvx2Loops;
extern const Loops kAvx512Loops;

/// Dependent one-cycle additions; 0 where the compiler cannot be told to keep them.
double add_chain(std::uint64_t rounds, std::uint64_t* sink);

}  // namespace vicinal::bench
