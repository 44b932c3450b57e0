#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "kernels/table.h"
#include "machine.h"

namespace vicinal::bench {
namespace {

using kernels::RowType;

constexpr double kSliceSeconds = 0.008;
constexpr std::size_t kIdsAtOnce = 256;
constexpr unsigned kAheads[] = {2, 4, 8, 16};

// Every byte 0x3C: an ordinary number in each row type, so that one filling serves them all.
constexpr int kFill = 0x3C;

struct Kind {
  RowType type;
  const char* name;
  bool integer;  ///< multiply-adds of bytes bound it, not of floats
};
constexpr Kind kKinds[] = {
    {RowType::kF32, "float32", false},   {RowType::kF16, "float16", false},
    {RowType::kBf16, "bfloat16", false}, {RowType::kI8, "int8", true},
    {RowType::kU8, "uint8", true},       {RowType::kSq8, "sq8", false},
    {RowType::kSq4, "sq4", false},       {RowType::kSq8Int, "sq8 integer", true},
    {RowType::kSq4Int, "sq4 integer", true},
};

std::size_t round16(std::size_t n) { return (n + 15) / 16 * 16; }

std::size_t stride_of(RowType type, std::size_t dim) {
  switch (type) {
    case RowType::kF32: return round16(4 * dim);
    case RowType::kF16:
    case RowType::kBf16: return round16(2 * dim);
    case RowType::kI8:
    case RowType::kU8: return round16(dim);
    case RowType::kSq8:
    case RowType::kSq8Int: return sizeof(kernels::ScalarRow) + round16(dim);
    case RowType::kSq4:
    case RowType::kSq4Int: return sizeof(kernels::ScalarRow) + kernels::sq4_code_bytes(dim);
  }
  return 0;
}

bool scalar_codes(RowType type) {
  return type == RowType::kSq8 || type == RowType::kSq4 || type == RowType::kSq8Int ||
         type == RowType::kSq4Int;
}

/// Query, output and ids of all runs.
struct Desk {
  explicit Desk(std::size_t dim)
      : plain(4 * dim + 4096, Pages::Kind::kSmall), codes(dim + 4096, Pages::Kind::kSmall) {
    std::memset(plain.data(), kFill, plain.size());
    std::memset(codes.data(), kFill, codes.size());
    scalar = {reinterpret_cast<const float*>(plain.data()),
              reinterpret_cast<const std::int8_t*>(codes.data()), 1, 1, 1, 1, 1};
  }
  const void* query(RowType type) const {
    return scalar_codes(type) ? static_cast<const void*>(&scalar) : plain.data();
  }

  Pages plain;
  Pages codes;
  kernels::ScalarQuery scalar{};
};

/// Calls per second of a slice of time, times the vectors of a call.
double rate_of(std::size_t vectors, const std::function<void()>& call) {
  call();
  std::size_t calls = 0;
  const double start = now();
  double seconds = 0;
  do {
    call();
    ++calls;
    seconds = now() - start;
  } while (seconds < kSliceSeconds);
  return static_cast<double>(calls * vectors) / seconds;
}

/// A run to repeat, and the rates it gave.
struct Job {
  KernelRun run;
  std::function<double()> once;
  std::vector<double> rates;
};

// Lines that a row at a random multiple of 16 bytes touches.
double lines_of(std::size_t stride) {
  return stride % 64 == 0 ? static_cast<double>(stride / 64)
                          : (static_cast<double>(stride) - 16) / 64 + 1;
}

void set_bound(double bytes, double bandwidth, double work, double peak, KernelRun& run) {
  const double memory = bandwidth > 0 ? bytes / bandwidth : 0;
  const double arithmetic = peak > 0 ? work / peak : 0;
  const double seconds = std::max(memory, arithmetic);
  run.by_memory = memory >= arithmetic;
  run.bound = seconds > 0 ? 1 / seconds : 0;
}

class Bench {
 public:
  Bench(const Machine& machine, const Pages& pages) : machine_(machine), pages_(pages) {}

  void add(const Kind& kind, std::size_t dim, const Desk& desk, float* out) {
    const kernels::RowKernels& row = kernels::active().row(kind.type);
    const auto rank = static_cast<std::size_t>(kernels::Rank::kL2);
    const std::size_t stride = stride_of(kind.type, dim);
    const void* query = desk.query(kind.type);
    const double work = kind.integer ? static_cast<double>(dim) : 2.0 * static_cast<double>(dim);
    const double peak = kind.integer ? machine_.byte_mac : machine_.fma;
    const auto bytes = static_cast<double>(stride);

    const std::byte* rows = pages_.data();

    KernelRun run{"score_block", kind.name, "L2", dim, 0, bytes, 0, false, 0};
    set_bound(bytes, machine_.l2, work, peak, run);
    const std::size_t few = std::max<std::size_t>(1, machine_.caches.l2 / 2 / stride);
    add_job(run, [=] {
      return rate_of(few, [&] { row.block[rank](query, rows, stride, few, dim, out); });
    });

    run.place = "DRAM";
    set_bound(bytes, machine_.dram, work, peak, run);
    const std::size_t step = std::max<std::size_t>(1, (std::size_t{1} << 20) / stride);
    const std::size_t all = pages_.size() / stride - 1;
    // Where the last slice ended: the next one reads what has left the caches.
    const auto at = std::make_shared<std::size_t>(0);
    add_job(run, [=] {
      return rate_of(step, [&] {
        row.block[rank](query, rows + *at * stride, stride, step, dim, out);
        *at = *at + 2 * step <= all ? *at + step : 0;
      });
    });

    run.kernel = "score_ids";
    run.place = "DRAM, random";
    const double touched = lines_of(stride) * 64;
    set_bound(touched, machine_.random_rate(touched), work, peak, run);
    const auto state = std::make_shared<std::uint64_t>(1);
    for (const unsigned ahead : kAheads) {
      run.ahead = ahead;
      add_job(run, [=] {
        std::uint32_t ids[kIdsAtOnce];
        return rate_of(kIdsAtOnce, [&] {
          for (std::uint32_t& id : ids) {
            *state = *state * 6364136223846793005u + 1442695040888963407u;
            id = static_cast<std::uint32_t>((*state >> 32) * all >> 32);
          }
          row.ids[rank](query, rows, stride, ids, kIdsAtOnce, dim, ahead, out);
        });
      });
    }
  }

  void add_tile(std::size_t dim, kernels::TileTop* top, const Pages& panel, const float* bias) {
    const kernels::TileKernel& tile = *kernels::active().tile;
    const std::size_t fit = machine_.caches.l2 / 2 / (4 * dim);
    const std::size_t n =
        std::min<std::size_t>(1024, std::max(fit / tile.rows, std::size_t{1}) * tile.rows);
    const std::string name = "float32 x " + std::to_string(tile.queries);
    KernelRun run{"tile", name, "L2", dim, 0, 0, 0, false, 0};
    set_bound(0, 0, 2.0 * static_cast<double>(dim), machine_.fma, run);
    const auto* queries = reinterpret_cast<const float*>(panel.data());
    const auto* rows = reinterpret_cast<const float*>(pages_.data());
    add_job(run, [=, &tile] {
      return rate_of(n * tile.queries,
                     [&] { tile.score(queries, rows, dim, n, dim, bias, 0, top); });
    });
  }

  std::vector<KernelRun> measure(unsigned repeats) {
    for (unsigned r = 0; r < repeats; ++r) {
      for (Job& job : jobs_) job.rates.push_back(job.once());
    }
    std::vector<KernelRun> runs;
    for (Job& job : jobs_) {
      job.run.vectors = median(job.rates);
      job.run.bytes *= job.run.vectors;
      // Of the prefetch distances only the best is told.
      if (!runs.empty() && job.run.ahead != 0 && runs.back().ahead != 0) {
        if (job.run.vectors > runs.back().vectors) runs.back() = job.run;
      } else {
        runs.push_back(job.run);
      }
    }
    return runs;
  }

 private:
  void add_job(const KernelRun& run, std::function<double()> once) {
    jobs_.push_back({run, std::move(once), {}});
  }

  const Machine& machine_;
  const Pages& pages_;
  std::vector<Job> jobs_;
};

}  // namespace

std::string kernel_level() { return kernels::active().name; }

std::vector<KernelRun> measure_kernels(const Machine& machine, const Pages& pages,
                                       const std::vector<std::size_t>& dims, unsigned repeats) {
  std::memset(pages.data(), kFill, pages.size());
  const std::size_t widest = *std::max_element(dims.begin(), dims.end());
  const Desk desk(widest);
  std::vector<float> out(std::max<std::size_t>(std::size_t{1} << 20, machine.caches.l2));
  const Pages panel(widest * kernels::kMaxTileQueries * sizeof(float) + 4096, Pages::Kind::kHuge);
  std::memset(panel.data(), kFill, panel.size());
  const std::vector<float> bias(4096, 0.0f);
  kernels::TileTop top{};
  std::vector<float> no_scores(4096);
  std::vector<std::uint32_t> no_ids(4096);
  for (std::size_t q = 0; q < kernels::kMaxTileQueries; ++q) {
    top.threshold[q] = -std::numeric_limits<float>::infinity();  // nothing passes
    top.scores[q] = no_scores.data();
    top.ids[q] = no_ids.data();
  }
  Bench bench(machine, pages);
  for (const std::size_t dim : dims) {
    for (const Kind& kind : kKinds) bench.add(kind, dim, desk, out.data());
    bench.add_tile(dim, &top, panel, bias.data());
  }
  return bench.measure(repeats);
}

}  // namespace vicinal::bench
