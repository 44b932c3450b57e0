// Candidates below a threshold, conversions to 16 bits, and the checksum.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data.h"
#include "kernels/table.h"

namespace vicinal {
namespace {

constexpr std::size_t kInCache = 4096;  // floats

const float* floats() { return reinterpret_cast<const float*>(bench::large_memory().data()); }

void count(benchmark::State& state, std::size_t n) {
  const auto total = static_cast<std::int64_t>(state.iterations() * n);
  state.SetItemsProcessed(total);
  state.SetBytesProcessed(total * 4);
}

// Values are uniform in [0, 1): the threshold is the share that passes.
void below(benchmark::State& state, const kernels::Table* table, float threshold) {
  std::vector<std::uint32_t> ids(kInCache + 16);
  std::vector<float> kept(kInCache + 16);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        table->below(floats(), kInCache, threshold, 0, ids.data(), kept.data()));
    benchmark::ClobberMemory();
  }
  count(state, kInCache);
}

using Convert = void (*)(const float*, std::size_t, std::uint16_t*) noexcept;

void convert(benchmark::State& state, Convert to, std::size_t n) {
  std::vector<std::uint16_t> out(n);
  for (auto _ : state) {
    to(floats(), n, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, n);
}

void crc32c(benchmark::State& state, const kernels::Table* table, std::size_t n) {
  std::uint32_t crc = 0;
  for (auto _ : state) {
    crc = table->crc32c(crc, floats(), 4 * n);
    benchmark::DoNotOptimize(crc);
  }
  count(state, n);
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    const std::string level = std::string("/") + table->name;
    for (const float share : {0.0f, 0.01f, 0.5f}) {
      const std::string name = "below/" + std::to_string(static_cast<int>(share * 100)) + "%";
      benchmark::RegisterBenchmark((name + level).c_str(), below, table, share);
    }
    for (const std::size_t n : {kInCache, std::size_t{1} << 25}) {
      const std::string where = n == kInCache ? "/cache" : "/memory";
      benchmark::RegisterBenchmark(("to_f16" + where + level).c_str(), convert, table->to_f16, n);
      benchmark::RegisterBenchmark(("to_bf16" + where + level).c_str(), convert, table->to_bf16, n);
      benchmark::RegisterBenchmark(("crc32c" + where + level).c_str(), crc32c, table, n);
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
