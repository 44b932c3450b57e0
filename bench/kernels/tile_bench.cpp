// Many queries against many rows; items are distances, flops counts two per multiplication.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "data.h"
#include "kernels/table.h"

namespace vicinal {
namespace {

void tile(benchmark::State& state, const kernels::Table* table, std::size_t dim, bool in_cache) {
  const kernels::TileKernel& kernel = *table->tile;
  const bench::Memory& memory = bench::large_memory();
  const std::size_t stride = dim;
  const std::size_t n = in_cache ? 240 : memory.bytes() / (4 * dim);
  const auto* rows = reinterpret_cast<const float*>(memory.data());
  std::vector<float> panel(dim * kernel.queries);
  kernel.pack(rows, stride, kernel.queries, dim, panel.data());
  const std::vector<float> bias(n, 0.0f);
  kernels::TileTop top{};  // room for nothing: the threshold lets nothing pass
  for (float& threshold : top.threshold) threshold = -std::numeric_limits<float>::infinity();
  for (auto _ : state) {
    kernel.score(panel.data(), rows, stride, n, dim, bias.data(), 0, &top);
    benchmark::ClobberMemory();
  }
  const double pairs =
      static_cast<double>(state.iterations()) * static_cast<double>(n * kernel.queries);
  state.SetItemsProcessed(static_cast<std::int64_t>(pairs));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * n * dim * sizeof(float)));
  state.counters["flops"] =
      benchmark::Counter(2.0 * pairs * static_cast<double>(dim), benchmark::Counter::kIsRate);
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    for (const std::size_t dim : {128, 384, 784, 1024, 1536}) {
      for (const bool in_cache : {true, false}) {
        const std::string name = "tile/" + std::to_string(dim) +
                                 (in_cache ? "/cache/" : "/memory/") + table->name;
        benchmark::RegisterBenchmark(name.c_str(), tile, table, dim, in_cache);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
