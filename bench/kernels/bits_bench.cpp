// Rows of bits: row-major counts, and tiles of queries against blocks of eight rows.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/bits.h"
#include "data.h"
#include "kernels/table.h"

namespace vicinal {
namespace {

constexpr std::size_t kInCache = 16 * 1024;
constexpr std::size_t kCallBytes = 32 * 1024;  // what an index scans in one call

void count(benchmark::State& state, std::size_t rows, std::size_t words) {
  const auto total = static_cast<std::int64_t>(state.iterations() * rows);
  state.SetItemsProcessed(total);  // distances
  state.SetBytesProcessed(total * static_cast<std::int64_t>(words * 8));
}

void rows(benchmark::State& state, kernels::CountRows kernel, std::size_t words, bool in_cache) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t n = (in_cache ? kInCache : memory.bytes()) / (words * 8);
  std::vector<std::uint32_t> out(n);
  for (auto _ : state) {
    kernel(memory.data(), memory.data(), words * 8, n, words * 8, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, n, words);
}

void blocks(benchmark::State& state, kernels::ScanBlocks kernel, std::size_t words,
            std::size_t queries, bool in_cache) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t bytes = kernels::bit_block_bytes(words);
  const std::size_t call = std::max<std::size_t>(1, kCallBytes / bytes);
  const std::size_t all = in_cache ? kInCache / bytes : memory.bytes() / bytes;
  std::vector<std::uint64_t> query(words, 0x0123456789ABCDEFull);
  std::vector<std::uint32_t> found(2 * call * kernels::kBitBlock);
  kernels::BitTile tile;
  for (std::size_t q = 0; q < queries; ++q) {
    tile.query[q] = query.data();
    tile.bar[q] = 1;  // nothing passes
    tile.rows[q] = found.data();
    tile.counts[q] = found.data() + call * kernels::kBitBlock;
  }
  for (auto _ : state) {
    for (std::size_t at = 0; at < all; at += call) {
      kernel(memory.data() + at * bytes, std::min(call, all - at), words, queries, &tile);
    }
    benchmark::DoNotOptimize(tile.found);
    benchmark::ClobberMemory();
  }
  count(state, all * kernels::kBitBlock * queries, words);
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    for (const std::size_t words : {2, 4, 8, 16, 32, 64}) {
      for (const bool in_cache : {true, false}) {
        const std::string tail = "/" + std::to_string(words * 64) + "/" +
                                 (in_cache ? "cache/" : "memory/") + table->name;
        benchmark::RegisterBenchmark(("hamming_rows" + tail).c_str(), rows,
                                     table->bits->hamming_rows, words, in_cache);
        for (const std::size_t queries : {1, 4, 8}) {
          benchmark::RegisterBenchmark(
              ("hamming_below/q" + std::to_string(queries) + tail).c_str(), blocks,
              table->bits->hamming_below, words, queries, in_cache);
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
