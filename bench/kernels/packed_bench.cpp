// Codes of 1 to 8 bits, two levels and float8 against one query: rows that follow one another, and
// rows named by ids; a rotation of one vector; the end of a scan over blocks.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "data.h"
#include "kernels/packed_bits.h"
#include "kernels/table.h"
#include "quantizers/fast_rotation.h"
#include "quantizers/rotation.h"

namespace vicinal {
namespace {

constexpr std::size_t kInCache = 16 * 1024;
constexpr std::size_t kIdsPerCall = 16;

struct Case {
  const kernels::PackedKernels* kernel;
  unsigned bits, digits;  // bits 0: float8
  std::size_t dim;
  bool in_cache;
};

// A query as a rotation codec makes it, for the level measured.
class PackedQuery {
 public:
  explicit PackedQuery(const Case& c) {
    CodecSpec spec = CodecKind::kRotation;
    spec.bits = c.bits == 0 ? 8 : c.bits;
    const quantizers::RotationCodec codec(spec, c.dim, Metric::kInnerProduct,
                                          std::vector<float>(c.dim));
    std::vector<float> values(c.dim + 64);
    for (std::size_t d = 0; d < c.dim; ++d) values[d] = static_cast<float>(d % 7) - 3.0f;
    codec.prepare(values.data(),
                  c.digits == 1 ? quantizers::Precision::kFast : quantizers::Precision::kExact,
                  query_);
    stride_ = codec.stride();
    bytes_ = codec.bytes();
    values_ = values;
    float8_.values = values_.data();
    float8_.scale = 1.0f;
    float8_.dim = static_cast<std::uint32_t>(c.dim);
    which_ = c.digits == 1 ? 0 : 1;
    is_float8_ = c.bits == 0;
  }
  std::size_t stride() const { return stride_; }
  void block(const Case& c, const std::byte* rows, std::size_t n, float* out) {
    if (is_float8_) {
      c.kernel->float8_block(&float8_, rows, stride_, n, bytes_, out);
    } else {
      c.kernel->block[which_](state(), rows, stride_, n, bytes_, out);
    }
  }
  void ids(const Case& c, const std::byte* rows, const std::uint32_t* ids, std::size_t n,
           unsigned ahead, float* out) {
    if (is_float8_) {
      c.kernel->float8_ids(&float8_, rows, stride_, ids, n, bytes_, ahead, out);
    } else {
      c.kernel->ids[which_](state(), rows, stride_, ids, n, bytes_, ahead, out);
    }
  }

 private:
  const void* state() { return query_.state().get(sizeof(kernels::PackedQuery)); }

  quantizers::Query query_;
  std::vector<float> values_;
  kernels::Float8Query float8_{};
  std::size_t stride_, bytes_, which_;
  bool is_float8_;
};

void count(benchmark::State& state, std::size_t rows, std::size_t stride) {
  const auto total = static_cast<std::int64_t>(state.iterations() * rows);
  state.SetItemsProcessed(total);
  state.SetBytesProcessed(total * static_cast<std::int64_t>(stride));
}

void block(benchmark::State& state, const Case& c) {
  const bench::Memory& memory = bench::large_memory();
  PackedQuery query(c);
  const std::size_t n = (c.in_cache ? kInCache : memory.bytes()) / query.stride();
  std::vector<float> out(n);
  for (auto _ : state) {
    query.block(c, memory.data(), n, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, n, query.stride());
}

void ids(benchmark::State& state, const Case& c, unsigned ahead) {
  const bench::Memory& memory = bench::large_memory();
  PackedQuery query(c);
  const std::size_t n = (c.in_cache ? kInCache : memory.bytes()) / query.stride();
  std::mt19937 random(1);
  std::vector<std::uint32_t> wanted(c.in_cache ? 4096 : std::size_t{1} << 20);
  for (std::uint32_t& id : wanted) id = static_cast<std::uint32_t>(random() % n);
  float out[kIdsPerCall];
  std::size_t at = 0;
  for (auto _ : state) {
    query.ids(c, memory.data(), wanted.data() + at, kIdsPerCall, ahead, out);
    benchmark::DoNotOptimize(out);
    at = (at + kIdsPerCall) % wanted.size();
  }
  count(state, kIdsPerCall, query.stride());
}

void finish(benchmark::State& state, const kernels::PackedKernels* kernel) {
  std::vector<std::uint32_t> sums(32, 7);
  const std::vector<std::byte> factors(128);
  std::vector<float> out(32);
  kernels::PackedFinish how{};
  how.passes = 1;
  for (auto _ : state) {
    kernel->finish(how, sums.data(), kernels::PackedFactors::kShort, factors.data(),
                   factors.data() + 64, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, 32, 4);
}

void rotate(benchmark::State& state, std::size_t dim) {
  const quantizers::FastRotation rotation(dim, 1);
  std::vector<float> in(dim, 1.0f), out(dim);
  for (auto _ : state) {
    rotation.apply(in.data(), out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, 1, dim * sizeof(float));
}

void encode(benchmark::State& state, unsigned bits, std::size_t dim) {
  CodecSpec spec = CodecKind::kRotation;
  spec.bits = bits;
  const quantizers::RotationCodec codec(spec, dim, Metric::kInnerProduct, std::vector<float>(dim));
  std::vector<float> rows(16 * dim);
  std::mt19937 random(1);
  for (float& x : rows) x = static_cast<float>(random() % 1000) - 499.5f;
  std::vector<std::byte> out(16 * codec.stride());
  for (auto _ : state) {
    codec.encode(rows.data(), dim, 16, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  count(state, 16, dim * sizeof(float));
}

const bool registered = [] {
  for (const std::size_t dim : {128, 384, 784}) {
    const std::string at = "/" + std::to_string(dim);
    benchmark::RegisterBenchmark(("rotate" + at).c_str(), rotate, dim);
    for (const unsigned bits : {1u, 2u, 4u, 7u, 8u}) {
      benchmark::RegisterBenchmark(("rotation_encode/" + std::to_string(bits) + at).c_str(), encode,
                                   bits, dim);
    }
  }
  for (const kernels::Table* table : kernels::available()) {
    benchmark::RegisterBenchmark((std::string("packed_finish/") + table->name).c_str(), finish,
                                 table->packed);
    for (unsigned bits = 0; bits <= 8; ++bits) {
      for (const unsigned digits : {1u, 3u}) {
        if (bits == 0 && digits == 3) continue;
        for (const std::size_t dim : {128, 384, 784}) {
          const std::string tail =
              "/" +
              (bits == 0 ? std::string("float8")
                         : std::to_string(bits) + "x" + std::to_string(digits)) +
              "/" + std::to_string(dim) + "/";
          for (const bool in_cache : {true, false}) {
            const Case c{table->packed, bits, digits, dim, in_cache};
            const std::string name = tail + (in_cache ? "cache/" : "memory/") + table->name;
            benchmark::RegisterBenchmark(("packed_block" + name).c_str(), block, c);
            benchmark::RegisterBenchmark(("packed_ids" + name).c_str(), ids, c, in_cache ? 0u : 8u);
          }
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace vicinal
