// One query against rows that follow one another, and against rows named by ids.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "data.h"
#include "kernels/table.h"

namespace vicinal {
namespace {

constexpr std::size_t kInCache = 16 * 1024;   // half of a usual first-level cache
constexpr std::size_t kIdsPerCall = 16;  // about what a step of a graph search has left to score

struct Case {
  const kernels::RowKernels* kernel;
  kernels::RowType type;
  int rank;
  std::size_t dim;
  bool in_cache;
};

void count(benchmark::State& state, std::size_t rows, std::size_t stride) {
  const auto total = static_cast<std::int64_t>(state.iterations() * rows);
  state.SetItemsProcessed(total);  // distances
  state.SetBytesProcessed(total * static_cast<std::int64_t>(stride));
}

void block(benchmark::State& state, const Case& c) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t stride = bench::row_stride(c.type, c.dim);
  const std::size_t n = (c.in_cache ? kInCache : memory.bytes()) / stride;
  const bench::Query query(c.type, c.dim);
  std::vector<float> out(n);
  for (auto _ : state) {
    c.kernel->block[c.rank](query.get(), memory.data(), stride, n, c.dim, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, n, stride);
}

void ids(benchmark::State& state, const Case& c, unsigned ahead) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t stride = bench::row_stride(c.type, c.dim);
  const std::size_t n = (c.in_cache ? kInCache : memory.bytes()) / stride;
  const bench::Query query(c.type, c.dim);
  std::mt19937 random(1);
  std::vector<std::uint32_t> wanted(c.in_cache ? 4096 : std::size_t{1} << 20);
  for (std::uint32_t& id : wanted) id = static_cast<std::uint32_t>(random() % n);
  float out[kIdsPerCall];
  std::size_t at = 0;
  for (auto _ : state) {
    c.kernel->ids[c.rank](query.get(), memory.data(), stride, wanted.data() + at, kIdsPerCall,
                          c.dim, ahead, out);
    benchmark::DoNotOptimize(out);
    at = (at + kIdsPerCall) % wanted.size();
  }
  count(state, kIdsPerCall, stride);
}

void decode(benchmark::State& state, const Case& c) {
  const bench::Memory& memory = bench::large_memory();
  const std::size_t stride = bench::row_stride(c.type, c.dim);
  const std::size_t n = kInCache / stride;
  std::vector<float> out(n * c.dim);
  for (auto _ : state) {
    c.kernel->decode(memory.data(), stride, n, c.dim, out.data(), c.dim);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, n, stride);
}

const bool registered = [] {
  for (const kernels::Table* table : kernels::available()) {
    for (const bench::RowKind& kind : bench::kRowKinds) {
      for (const std::size_t dim : {128, 384, 784}) {
        const std::string tail = std::string("/") + kind.name + "/" + std::to_string(dim) + "/";
        const kernels::RowKernels& kernel = table->row(kind.type);
        for (const bool in_cache : {true, false}) {
          for (const int rank : {0, 1}) {
            const Case c{&kernel, kind.type, rank, dim, in_cache};
            const std::string name = tail + (rank == 0 ? "l2/" : "ip/") +
                                     (in_cache ? "cache/" : "memory/") + table->name;
            benchmark::RegisterBenchmark(("block" + name).c_str(), block, c);
            for (const unsigned ahead : {0u, 4u, 8u}) {
              if (in_cache && ahead > 0) continue;
              benchmark::RegisterBenchmark(
                  ("ids" + name + "/ahead:" + std::to_string(ahead)).c_str(), ids, c, ahead);
            }
          }
        }
        benchmark::RegisterBenchmark(("decode" + tail + table->name).c_str(), decode,
                                     Case{&kernel, kind.type, 0, dim, true});
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
