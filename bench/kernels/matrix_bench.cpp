// Rows against panels of queries: nearest row, and all products. Items are products.
#include "kernels/matrix.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "data.h"

namespace vicinal {
namespace {

void matrix(benchmark::State& state, const kernels::Table* table, std::size_t dim, bool nearest) {
  const kernels::TileKernel& tile = *table->tile;
  const auto* rows = reinterpret_cast<const float*>(bench::large_memory().data());
  constexpr std::size_t kRows = 240;
  std::vector<float> panel(dim * tile.queries);
  tile.pack(rows, dim, tile.queries, dim, panel.data());
  const std::vector<float> bias(kRows, 0.0f);
  std::vector<float> out(kRows * tile.queries);
  std::vector<float> best(tile.queries, std::numeric_limits<float>::infinity());
  std::vector<std::uint32_t> which(tile.queries, 0);
  for (auto _ : state) {
    if (nearest) {
      table->matrix->nearest(panel.data(), rows, dim, kRows, dim, bias.data(), 0, best.data(),
                             which.data());
    } else {
      table->matrix->products(panel.data(), rows, dim, kRows, dim, out.data());
    }
    benchmark::ClobberMemory();
  }
  const double pairs =
      static_cast<double>(state.iterations()) * static_cast<double>(kRows * tile.queries);
  state.SetItemsProcessed(static_cast<std::int64_t>(pairs));
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * kRows * dim * sizeof(float)));
  state.counters["flops"] =
      benchmark::Counter(2.0 * pairs * static_cast<double>(dim), benchmark::Counter::kIsRate);
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    for (const std::size_t dim : {8, 64, 128, 384, 784, 1024}) {
      for (const bool nearest : {true, false}) {
        const std::string name = std::string(nearest ? "nearest/" : "products/") +
                                 std::to_string(dim) + "/cache/" + table->name;
        benchmark::RegisterBenchmark(name.c_str(), matrix, table, dim, nearest);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
