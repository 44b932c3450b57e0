#pragma once

#include <cstddef>
#include <cstdint>

namespace vicinal::clustering {

// Rows of packed bits: stride a multiple of 8, zero from the end of a row to the next multiple of
// 8; queries likewise to the next multiple of 64.

/// Set bits of each row. zeros: a query without any.
void count_bits(const std::byte* zeros, const std::byte* rows, std::size_t stride, std::size_t n,
                std::size_t bytes, std::uint32_t* out) noexcept;

void hamming_distances(const std::byte* query, const std::byte* rows, std::size_t stride,
                       std::size_t n, std::size_t bytes, float* out) noexcept;

/// rows_set: set bits of each row. Two empty sets are at distance 0.
void jaccard_distances(const std::byte* query, std::uint32_t query_set, const std::byte* rows,
                       const std::uint32_t* rows_set, std::size_t stride, std::size_t n,
                       std::size_t bytes, float* out) noexcept;

}  // namespace vicinal::clustering
