// Calls every kernel a fixed number of times, for callgrind to count the instructions. Names go to
// standard output, one line each; callgrind writes one dump each (see ../instructions.py).
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "data.h"
#include "kernels/table.h"

// callgrind is told this name: it counts from entry to return, and then writes down what it has.
extern "C" __attribute__((noinline)) void vicinal_counted(void (*call)(void*), void* what) {
  call(what);
  asm volatile("" ::: "memory");  // no tail call: the return must be this function's own
}

namespace vicinal {
namespace {

constexpr int kCalls = 4;
constexpr std::size_t kRowBytes = 16 * 1024;
constexpr std::size_t kIds = 16;
constexpr std::size_t kFloats = 4096;
constexpr std::size_t kTileRows = 48;

template <class Kernel>
void counted(const std::string& name, Kernel kernel) {
  std::printf("%s\n", name.c_str());
  std::fflush(stdout);
  kernel();  // symbols that are bound on first use are bound now
  vicinal_counted(
      [](void* what) {
        for (int i = 0; i < kCalls; ++i) (*static_cast<Kernel*>(what))();
      },
      &kernel);
}

const bench::Memory& memory() {
  static const bench::Memory rows(std::size_t{2} << 20);
  return rows;
}

const float* floats() { return reinterpret_cast<const float*>(memory().data()); }

void count_rows(const kernels::Table& table, const bench::RowKind& kind, std::size_t dim) {
  const kernels::RowKernels& kernel = table.row(kind.type);
  const std::string middle = std::string("/") + kind.name + "/" + std::to_string(dim) + "/";
  const std::size_t stride = bench::row_stride(kind.type, dim);
  const std::size_t n = kRowBytes / stride;
  const bench::Query query(kind.type, dim);
  std::vector<float> out(n > kIds ? n : kIds);
  std::mt19937 random(1);
  std::vector<std::uint32_t> ids(kIds);
  for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random() % n);
  for (const int rank : {0, 1}) {
    const std::string tail = middle + (rank == 0 ? "l2/" : "ip/") + table.name;
    counted("block" + tail, [&] {
      kernel.block[rank](query.get(), memory().data(), stride, n, dim, out.data());
    });
    for (const unsigned ahead : {0u, 8u}) {
      counted("ids" + tail + "/ahead:" + std::to_string(ahead), [&] {
        kernel.ids[rank](query.get(), memory().data(), stride, ids.data(), kIds, dim, ahead,
                         out.data());
      });
    }
  }
  std::vector<float> decoded(n * dim);
  counted("decode" + middle + table.name, [&] {
    kernel.decode(memory().data(), stride, n, dim, decoded.data(), dim);
  });
}

void count_tile(const kernels::Table& table, std::size_t dim) {
  const kernels::TileKernel& kernel = *table.tile;
  const std::string tail = "/" + std::to_string(dim) + "/" + table.name;
  std::vector<float> panel(dim * kernel.queries);
  counted("pack" + tail, [&] {
    kernel.pack(floats(), dim, kernel.queries, dim, panel.data());
  });
  const std::vector<float> bias(kTileRows, 0.0f);
  kernels::TileTop top{};  // room for nothing: the threshold lets nothing pass
  for (float& threshold : top.threshold) threshold = -std::numeric_limits<float>::infinity();
  counted("tile" + tail, [&] {
    kernel.score(panel.data(), floats(), dim, kTileRows, dim, bias.data(), 0, &top);
  });
}

void count_streams(const kernels::Table& table) {
  const std::string tail = std::string("/") + table.name;
  std::vector<std::uint32_t> ids(kFloats + 16);
  std::vector<float> kept(kFloats + 16);
  for (const float share : {0.0f, 0.01f, 0.5f}) {
    const std::string name = "below/" + std::to_string(static_cast<int>(share * 100)) + "%";
    counted(name + tail,
            [&] { table.below(floats(), kFloats, share, 0, ids.data(), kept.data()); });
  }
  std::vector<std::uint16_t> halves(kFloats);
  counted("to_f16" + tail, [&] { table.to_f16(floats(), kFloats, halves.data()); });
  counted("to_bf16" + tail, [&] { table.to_bf16(floats(), kFloats, halves.data()); });
  volatile std::uint32_t crc = 0;
  counted("crc32c" + tail, [&] { crc = table.crc32c(0, floats(), 4 * kFloats); });
}

}  // namespace
}  // namespace vicinal

int main() {
  using namespace vicinal;
  for (const kernels::Table* table : kernels::available()) {
    for (const bench::RowKind& kind : bench::kRowKinds) {
      for (const std::size_t dim : {128, 384, 784}) count_rows(*table, kind, dim);
    }
    for (const std::size_t dim : {128, 384, 784}) count_tile(*table, dim);
    count_streams(*table);
  }
  return 0;
}
