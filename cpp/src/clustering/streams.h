#pragma once

#include <cstdint>

namespace vicinal::clustering {

// Streams of random numbers: no two uses draw the same ones.
constexpr std::uint64_t kSampleStream = 1;
constexpr std::uint64_t kSeedStream = 2;
constexpr std::uint64_t kRepairStream = 3;
constexpr std::uint64_t kBasisStream = 4;
constexpr std::uint64_t kBatchStream = 5;
constexpr std::uint64_t kRestartStream = 6;
constexpr std::uint64_t kSplitStream = 7;

}  // namespace vicinal::clustering
