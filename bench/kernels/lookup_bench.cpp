// 4-bit lookups; items are lookups, bytes are codes. scan: tables made and rounded, sums, scores
// and the ten best, as an index does them for one query or for 64.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/topk.h"
#include "data.h"
#include "kernels/lookup.h"
#include "kernels/table.h"
#include "quantizers/nibbles.h"

namespace vicinal {
namespace {

using kernels::kLookupRows;

constexpr std::size_t kInCache = std::size_t{256} << 10;  // bytes of codes: the second cache

std::size_t blocks_of(std::size_t nibbles, bool in_cache) {
  const std::size_t bytes = in_cache ? kInCache : bench::large_memory().bytes();
  return bytes / quantizers::nibble_block_bytes(nibbles);
}

void count(benchmark::State& state, std::size_t rows, std::size_t nibbles, std::size_t queries) {
  const auto pairs = static_cast<double>(state.iterations()) * static_cast<double>(rows * queries);
  state.SetItemsProcessed(static_cast<std::int64_t>(pairs * static_cast<double>(nibbles)));
  const auto row_bytes =
      static_cast<double>(quantizers::nibble_block_bytes(nibbles)) / double{kLookupRows};
  state.SetBytesProcessed(static_cast<std::int64_t>(pairs * row_bytes));
}

/// Random tables of several queries.
struct Tables {
  Tables(std::size_t nibbles, std::size_t queries)
      : bytes(quantizers::nibble_table_bytes(nibbles)), buffer(Buffer::allocate(queries * bytes)) {
    const std::byte* from = bench::large_memory().data();
    std::copy(from, from + queries * bytes, buffer.mutable_data());
    for (std::size_t q = 0; q < queries; ++q) {
      all.push_back(reinterpret_cast<const std::uint8_t*>(buffer.data() + q * bytes));
    }
  }
  std::size_t bytes;
  Buffer buffer;
  std::vector<const std::uint8_t*> all;
};

// In pieces whose sums stay in the first cache, as an index asks for them.
constexpr std::size_t kPiece = 16;

void sums(benchmark::State& state, const kernels::LookupKernels* kernel, std::size_t nibbles,
          std::size_t queries, bool in_cache) {
  const Tables tables(nibbles, queries);
  const std::byte* codes = bench::large_memory().data();
  const std::size_t stride = quantizers::nibble_block_bytes(nibbles);
  const std::size_t blocks = blocks_of(nibbles, in_cache);
  Buffer out = Buffer::allocate(queries * kPiece * kLookupRows * 4);
  std::vector<std::uint32_t*> to;
  for (std::size_t q = 0; q < queries; ++q) {
    to.push_back(reinterpret_cast<std::uint32_t*>(out.mutable_data()) + q * kPiece * kLookupRows);
  }
  for (auto _ : state) {
    for (std::size_t b = 0; b < blocks; b += kPiece) {
      const std::size_t n = std::min(kPiece, blocks - b);
      if (queries == 1) {
        kernel->sums(tables.all[0], codes + b * stride, stride, n, nibbles, to[0]);
      } else {
        kernel->sums_many(tables.all.data(), queries, codes + b * stride, stride, n, nibbles,
                          to.data());
      }
      benchmark::ClobberMemory();
    }
  }
  count(state, blocks * kLookupRows, nibbles, queries);
}

void affine(benchmark::State& state, const kernels::LookupKernels* kernel) {
  constexpr std::size_t kRows = 1024;
  const auto* in = reinterpret_cast<const std::uint32_t*>(bench::large_memory().data());
  std::vector<float> out(kRows);
  for (auto _ : state) {
    kernel->affine(in, nullptr, nullptr, 0.5f, 1.0f, kRows, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRows));
}

// What an index does, at the level in use.
void scan(benchmark::State& state, std::size_t nibbles, std::size_t queries, std::size_t rows) {
  constexpr std::size_t kChunk = 32, kTogether = kernels::kLookupQueries;
  const auto* floats = reinterpret_cast<const float*>(bench::large_memory().data());
  const std::byte* codes = bench::large_memory().data();
  const std::size_t stride = quantizers::nibble_block_bytes(nibbles);
  const std::size_t blocks = rows / kLookupRows;
  Buffer tables = Buffer::allocate(queries * quantizers::nibble_table_bytes(nibbles));
  Buffer scores = Buffer::allocate(kTogether * kChunk * kLookupRows * 4);
  std::vector<quantizers::NibbleScan> scans(queries);
  std::vector<BlockTopK> tops(queries, BlockTopK(10, kernels::active().below));
  for (auto _ : state) {
    for (std::size_t q = 0; q < queries; ++q) {
      auto* to = reinterpret_cast<std::uint8_t*>(tables.mutable_data()) +
                 q * quantizers::nibble_table_bytes(nibbles);
      scans[q].tables = to;
      scans[q].nibbles = nibbles;
      scans[q].block_bytes = stride;
      scans[q].scale = quantizers::round_tables(floats + q * 16 * nibbles, nibbles, to);
      tops[q].reset(10);
    }
    for (std::size_t b = 0; b < blocks; b += kChunk) {
      const std::size_t n = std::min(kChunk, blocks - b);
      for (std::size_t first = 0; first < queries; first += kTogether) {
        const std::size_t together = std::min(kTogether, queries - first);
        const quantizers::NibbleScan* from[kTogether];
        float* to[kTogether];
        for (std::size_t q = 0; q < together; ++q) {
          from[q] = &scans[first + q];
          to[q] = reinterpret_cast<float*>(scores.mutable_data()) + q * kChunk * kLookupRows;
        }
        if (together == 1) {
          quantizers::score_nibbles(*from[0], codes + b * stride, n, to[0]);
        } else {
          quantizers::score_nibbles(from, together, codes + b * stride, n, to);
        }
        for (std::size_t q = 0; q < together; ++q) {
          tops[first + q].push_block(to[q], n * kLookupRows,
                                     static_cast<std::uint32_t>(b * kLookupRows));
        }
      }
    }
    for (BlockTopK& top : tops) benchmark::DoNotOptimize(top.finish().data());
  }
  count(state, blocks * kLookupRows, nibbles, queries);
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    const std::string level = std::string("/") + table->name;
    benchmark::RegisterBenchmark(("affine" + level).c_str(), affine, table->lookup);
    for (const std::size_t nibbles : {32, 64, 96, 192, 384, 768}) {
      for (const std::size_t queries : {1, 2, 4}) {
        for (const bool in_cache : {true, false}) {
          const std::string name = "lookup/" + std::to_string(nibbles) +
                                   "/queries:" + std::to_string(queries) +
                                   (in_cache ? "/cache" : "/memory") + level;
          benchmark::RegisterBenchmark(name.c_str(), sums, table->lookup, nibbles, queries,
                                       in_cache);
        }
      }
    }
  }
  for (const std::size_t nibbles : {32, 64, 96, 192}) {
    for (const std::size_t queries : {1, 64}) {
      for (const std::size_t rows : {100'000, 1'000'000}) {
        const std::string name = "scan/" + std::to_string(nibbles) +
                                 "/queries:" + std::to_string(queries) +
                                 "/rows:" + std::to_string(rows);
        benchmark::RegisterBenchmark(name.c_str(), scan, nibbles, queries, rows)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
