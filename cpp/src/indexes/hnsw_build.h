#pragma once

#include <cstdint>

#include "indexes/hnsw_impl.h"

namespace vicinal::indexes {

/// Inserts the rows [at.rows, total) into the graph of a state that already holds their codes,
/// their towers and empty links. `at` follows. With publish, searches see each batch as it is
/// finished and a cancelled call keeps the finished ones.
void insert_rows(HnswIndex::Impl& index, Snapshot& at, const quantizers::Codec& codec,
                 std::uint32_t total, std::uint32_t towers, bool publish, const RunOptions& run);

/// Links all rows [0, total) of a state that already holds their codes, their towers and empty
/// links, at once. `at` follows; it is not published. A cancelled call leaves links that mean
/// nothing. With `yield` it may return false, `at` and links as they were: rows that crowd
/// together, many of them equal, are better inserted.
bool build_at_once(HnswIndex::Impl& index, Snapshot& at, const quantizers::Codec& codec,
                   std::uint32_t total, std::uint32_t towers, bool yield, const RunOptions& run);

/// Level of a row, from the seed and the row alone: floor(-ln u / ln links).
std::uint32_t level_of(const HnswParams& params, std::uint32_t row);

}  // namespace vicinal::indexes
