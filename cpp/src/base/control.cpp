#include "vicinal/control.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "base/parallel.h"
#include "vicinal/errors.h"

#if defined(__linux__)
#include <sched.h>

#include <fstream>
#endif

namespace vicinal {
namespace {

#if defined(__linux__)
unsigned affinity_cpus() {
  // The mask must be as large as the kernel's; machines beyond 1024 CPUs need more than cpu_set_t.
  for (int cpus = 1024; cpus <= (1 << 16); cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) return 0;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    const int count = ok ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (ok) return static_cast<unsigned>(count);
  }
  return 0;
}

unsigned quota_cpus() {
  double quota = 0.0;
  double period = 0.0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); !(v2 >> quota >> period)) {  // "max 100000" fails
    std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(v1_quota >> quota) || !(v1_period >> period)) return 0;
  }
  if (!(quota > 0.0) || !(period > 0.0) || quota / period >= kMaxThreads) return 0;
  const double cpus = quota / period;
  const auto whole = static_cast<unsigned>(cpus);
  return std::max(1u, whole < cpus ? whole + 1 : whole);
}
#endif

unsigned usable_cpus() {
  unsigned cpus = 0;
#if defined(__linux__)
  cpus = affinity_cpus();
  const unsigned quota = quota_cpus();
  if (cpus != 0 && quota != 0) cpus = std::min(cpus, quota);
#endif
  if (cpus == 0) cpus = std::thread::hardware_concurrency();
  return std::clamp(cpus, 1u, kMaxThreads);
}

std::atomic<unsigned> chosen{0};  // 0: not yet counted

void check(unsigned threads) {
  if (threads > kMaxThreads) {
    throw ConfigError("threads is " + std::to_string(threads) + "; at most " +
                      std::to_string(kMaxThreads) + " are possible");
  }
}

}  // namespace

void set_default_threads(unsigned threads) {
  check(threads);
  chosen.store(threads, std::memory_order_relaxed);
}

unsigned default_threads() {
  unsigned threads = chosen.load(std::memory_order_relaxed);
  if (threads == 0) {
    threads = usable_cpus();
    unsigned expected = 0;
    if (!chosen.compare_exchange_strong(expected, threads)) threads = expected;
  }
  return threads;
}

unsigned workers(const RunOptions& run) {
  if (run.threads == 0) return default_threads();
  check(run.threads);
  return run.threads;
}

}  // namespace vicinal
