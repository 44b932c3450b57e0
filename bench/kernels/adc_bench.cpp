// Rows of table entries: scanned, gathered, and what a query and a row to encode need.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/adc.h"
#include "data.h"
#include "kernels/table.h"

namespace vicinal {
namespace {

using kernels::kAdcEntries;

constexpr std::size_t kDim = 384;
constexpr std::size_t kIdsPerCall = 16;

struct Tables {
  std::vector<float> floats;
  kernels::AdcQuery query;

  explicit Tables(std::size_t bytes)
      : floats(bytes * kAdcEntries, 0.5f),
        query{floats.data(), 0.0f, -std::numeric_limits<float>::infinity(), nullptr, 0} {}
};

void count(benchmark::State& state, std::size_t rows, std::size_t bytes) {
  const auto total = static_cast<std::int64_t>(state.iterations() * rows);
  state.SetItemsProcessed(total);
  state.SetBytesProcessed(total * static_cast<std::int64_t>(bytes));
}

void block(benchmark::State& state, const kernels::AdcKernels* kernel, std::size_t bytes,
           bool in_cache) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t stride = (bytes + 15) / 16 * 16;
  const std::size_t n = (in_cache ? std::size_t{16 * 1024} : memory.bytes() / 4) / stride;
  const Tables tables(bytes);
  std::vector<float> out(n);
  for (auto _ : state) {
    kernel->block(&tables.query, memory.data(), stride, n, bytes, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, n, stride);
}

void ids(benchmark::State& state, const kernels::AdcKernels* kernel, std::size_t bytes) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t stride = (bytes + 15) / 16 * 16;
  const std::size_t n = memory.bytes() / stride;
  const Tables tables(bytes);
  std::mt19937 random(1);
  std::vector<std::uint32_t> wanted(std::size_t{1} << 20);
  for (std::uint32_t& id : wanted) id = static_cast<std::uint32_t>(random() % n);
  float out[kIdsPerCall];
  std::size_t at = 0;
  for (auto _ : state) {
    kernel->ids(&tables.query, memory.data(), stride, wanted.data() + at, kIdsPerCall, bytes, 8,
                out);
    benchmark::DoNotOptimize(out);
    at = (at + kIdsPerCall) % wanted.size();
  }
  count(state, kIdsPerCall, stride);
}

// All tables of a query whose dimensions are cut into `parts`.
void tables(benchmark::State& state, const kernels::AdcKernels* kernel, std::size_t parts,
            std::size_t entries, int rank) {
  const std::vector<float> columns(kDim * entries, 0.25f), query(kDim, 0.5f);
  const std::size_t width = kDim / parts;
  std::vector<float> out(parts * entries);
  for (auto _ : state) {
    for (std::size_t part = 0; part < parts; ++part) {
      kernel->table[rank](query.data() + part * width, columns.data() + part * width * entries,
                          width, entries, out.data() + part * entries);
    }
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, 1, columns.size() * sizeof(float));
}

// As a residual quantizer of 16 levels meets them: 1 KiB each at random places of 32 MiB.
void add_rows(benchmark::State& state, const kernels::AdcKernels* kernel) {
  const bench::Memory& memory = bench::large_memory();
  const auto* floats = reinterpret_cast<const float*>(memory.data());
  constexpr std::size_t kRows = 8;
  std::mt19937 random(1);
  std::vector<const float*> rows(std::size_t{1} << 14);
  for (const float*& row : rows) row = floats + random() % (1 << 15) * kAdcEntries;
  float out[kAdcEntries] = {};
  std::size_t at = 0;
  for (auto _ : state) {
    kernel->add_rows(floats, rows.data() + at, kRows, out);
    benchmark::DoNotOptimize(out);
    at = (at + kRows) % rows.size();
  }
  count(state, kRows, kAdcEntries * sizeof(float));
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    const std::string level = std::string("/") + table->name;
    const kernels::AdcKernels* kernel = table->adc;
    for (const std::size_t bytes : {16, 48, 96}) {
      const std::string of = "/" + std::to_string(bytes);
      benchmark::RegisterBenchmark(("adc_block" + of + "/cache" + level).c_str(), block, kernel,
                                   bytes, true);
      benchmark::RegisterBenchmark(("adc_block" + of + "/memory" + level).c_str(), block, kernel,
                                   bytes, false);
      benchmark::RegisterBenchmark(("adc_ids" + of + level).c_str(), ids, kernel, bytes);
    }
    for (const int rank : {0, 1}) {
      const std::string name = std::string("adc_tables/") + (rank == 0 ? "l2" : "ip");
      for (const std::size_t parts : {1, 48}) {
        benchmark::RegisterBenchmark(
            (name + "/" + std::to_string(parts) + "x256" + level).c_str(), tables, kernel, parts,
            std::size_t{256}, rank);
      }
      benchmark::RegisterBenchmark((name + "/96x16" + level).c_str(), tables, kernel,
                                   std::size_t{96}, std::size_t{16}, rank);
    }
    benchmark::RegisterBenchmark(("adc_add_rows" + level).c_str(), add_rows, kernel);
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
