#include "probes.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>
#include <thread>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels/cpu.h"

#if defined(__GNUC__)
#define VICINAL_PREFETCH(address) __builtin_prefetch(address)
#define VICINAL_PREFETCH_FAR(address) __builtin_prefetch(address, 0, 2)  // no nearer than L2
#else
#define VICINAL_PREFETCH(address) static_cast<void>(address)
#define VICINAL_PREFETCH_FAR(address) static_cast<void>(address)
#endif

namespace vicinal::bench {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Results nobody needs end here, so that no loop is dropped.
volatile std::uint64_t g_sink;

// A one-to-one map of [0, 2^bits) that no prefetcher can follow: random order without storing it.
class Shuffle {
 public:
  explicit Shuffle(std::size_t count) {
    while ((std::size_t{1} << bits_) < count) ++bits_;
    mask_ = (std::uint64_t{1} << bits_) - 1;
  }
  std::uint64_t operator()(std::uint64_t i) const noexcept {
    i = (i * 0x9E3779B97F4A7C15u + 0x1234567u) & mask_;
    i ^= i >> (bits_ / 2 + 1);
    i = (i * 0xD6E8FEB86659FD93u) & mask_;
    return i ^ (i >> (bits_ / 2 + 1));
  }

 private:
  unsigned bits_ = 0;
  std::uint64_t mask_ = 0;
};

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

CacheSizes cache_sizes() {
  CacheSizes sizes;
#if defined(__linux__)
  // sysconf() adds the last-level caches of all sockets up; this directory does not.
  for (int i = 0; i < 8; ++i) {
    const std::string at = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
    std::string type;
    std::size_t level = 0, kib = 0;
    std::ifstream(at + "type") >> type;
    std::ifstream(at + "level") >> level;
    std::ifstream(at + "size") >> kib;  // "32K", and so for the largest
    if (type == "Instruction" || kib == 0) continue;
    if (level == 1) sizes.l1 = kib << 10;
    if (level == 2) sizes.l2 = kib << 10;
    if (level == 3) sizes.l3 = kib << 10;
  }
#endif
  return sizes;
}

Pages::Pages(std::size_t bytes, Kind kind) : whole_bytes_(bytes + kHugePage), size_(bytes) {
#if defined(__linux__)
  whole_ = mmap(nullptr, whole_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (whole_ == MAP_FAILED) throw std::bad_alloc();
  madvise(whole_, whole_bytes_, kind == Kind::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
  static_cast<void>(kind);
  whole_ = ::operator new(whole_bytes_);
#endif
  const auto start = reinterpret_cast<std::uintptr_t>(whole_);
  data_ = static_cast<std::byte*>(whole_) + (kHugePage - start % kHugePage) % kHugePage;
  std::memset(data_, 1, size_);
}

Pages::~Pages() {
#if defined(__linux__)
  munmap(whole_, whole_bytes_);
#else
  ::operator delete(whole_);
#endif
}

double huge_page_share() {
  double share = -1;
#if defined(__linux__)
  if (std::FILE* file = std::fopen("/proc/self/smaps_rollup", "r")) {
    char line[256];
    double anonymous = 0, huge = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
      std::sscanf(line, "Anonymous: %lf", &anonymous);
      std::sscanf(line, "AnonHugePages: %lf", &huge);
    }
    std::fclose(file);
    if (anonymous > 0) share = huge / anonymous;
  }
#endif
  return share;
}

const Loops& widest_loops() {
#if defined(VICINAL_BENCH_X86)
  const std::uint64_t bits = kernels::cpu_bits();
  for (const Loops* loops : {&kAvx512Loops, &kAvx2Loops}) {
    if ((bits & loops->needs) == loops->needs) return *loops;
  }
#endif
  return kPortableLoops;
}

double clock_hz() {
  std::uint64_t sink = 3;
  const double start = now();
  const double adds = add_chain(400'000, &sink);
  const double seconds = now() - start;
  g_sink = sink;
  return adds / seconds;
}

double fma_rate(const Loops& loops, unsigned threads) {
  if (loops.fma == nullptr) return 0;
  std::atomic<unsigned> ready{0};
  std::vector<double> starts(threads), ends(threads), done(threads);
  const auto run = [&](unsigned t) {
    float sink[3] = {0.999f, 0.001f, 0};
    loops.fma(100'000, sink);  // wakes the wide units
    ready.fetch_add(1);
    while (ready.load() < threads) {
    }
    starts[t] = now();
    done[t] = loops.fma(4'000'000, sink);
    ends[t] = now();
    g_sink = static_cast<std::uint64_t>(sink[2]);
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(run, t);
  run(0);
  for (std::thread& other : others) other.join();
  double total = 0;
  for (const double one : done) total += one;
  return total / (*std::max_element(ends.begin(), ends.end()) -
                  *std::min_element(starts.begin(), starts.end()));
}

double byte_mac_rate(const Loops& loops) {
  if (loops.byte_mac == nullptr) return 0;
  std::int32_t sink[3] = {3, 5, 0};
  loops.byte_mac(100'000, sink);
  const double start = now();
  const double done = loops.byte_mac(4'000'000, sink);
  const double seconds = now() - start;
  g_sink = static_cast<std::uint64_t>(sink[1] + sink[2]);
  return done / seconds;
}

double stream_rate(const Loops& loops, const std::byte* data, std::size_t bytes, std::size_t ahead,
                   double budget_seconds) {
  g_sink = loops.stream(data, bytes, ahead);
  double seconds = 0, read = 0;
  const double start = now();
  // Reading the clock costs tens of nanoseconds: do it seldom for small working sets.
  const std::size_t batch = std::max<std::size_t>(1, (std::size_t{8} << 20) / bytes);
  do {
    for (std::size_t i = 0; i < batch; ++i) g_sink = loops.stream(data, bytes, ahead);
    read += static_cast<double>(bytes) * static_cast<double>(batch);
    seconds = now() - start;
  } while (seconds < budget_seconds);
  return read / seconds;
}

void link_ring(const Pages& pages, std::size_t bytes) {
  const std::size_t lines = bytes / kLine;
  const Shuffle shuffle(lines);
  for (std::size_t i = 0; i < lines; ++i) {
    const std::uint64_t next = shuffle((i + 1) % lines) * kLine;
    std::memcpy(pages.data() + shuffle(i) * kLine, &next, sizeof next);
  }
}

double chase_seconds(const Pages& ring) {
  constexpr std::size_t kSteps = 200'000;
  // Small rings are walked once before, so that they lie where they fit.
  const std::size_t warm = std::min(kSteps, ring.size() / kLine);
  std::uint64_t offset = 0;
  double start = 0;
  for (std::size_t i = 0; i < warm + kSteps; ++i) {
    if (i == warm) start = now();
    std::memcpy(&offset, ring.data() + offset, sizeof offset);
  }
  const double seconds = now() - start;
  g_sink = offset;
  return seconds / kSteps;
}

namespace {

template <bool kFar>
std::uint64_t read_rows(const Pages& pages, std::size_t row_bytes, std::size_t first,
                        std::size_t reads, std::size_t ahead) {
  const std::size_t rows = pages.size() / row_bytes;
  const Shuffle shuffle(rows);
  std::uint64_t sum = 0;
  for (std::size_t i = first; i < first + reads; ++i) {
    const std::byte* row = pages.data() + shuffle(i % rows) * row_bytes;
    const std::byte* later = pages.data() + shuffle((i + ahead) % rows) * row_bytes;
    for (std::size_t line = 0; line < row_bytes; line += kLine) {
      // Line by line: a burst of prefetches would wait for the few buffers of the first cache.
      if (kFar) {
        VICINAL_PREFETCH_FAR(later + line);
      } else {
        VICINAL_PREFETCH(later + line);
      }
      std::uint64_t word;
      std::memcpy(&word, row + line, sizeof word);
      sum += word;
    }
  }
  return sum;
}

}  // namespace

double random_rows_rate(const Pages& pages, std::size_t row_bytes, std::size_t lines_ahead,
                        bool far) {
  const std::size_t reads = std::max<std::size_t>(8'000, (std::size_t{32} << 20) / row_bytes);
  const std::size_t ahead = std::max<std::size_t>(1, lines_ahead * kLine / row_bytes);
  static std::size_t first = 1;  // every repeat reads other rows
  const double start = now();
  g_sink = far ? read_rows<true>(pages, row_bytes, first, reads, ahead)
               : read_rows<false>(pages, row_bytes, first, reads, ahead);
  const double seconds = now() - start;
  first += reads + 7919;
  return static_cast<double>(reads * row_bytes) / seconds;
}

}  // namespace vicinal::bench
