#include "machine.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/cpu.h"

namespace vicinal::bench {
namespace {

constexpr double kStreamSeconds = 0.03;
constexpr std::size_t kLargestRow = 8192;

}  // namespace

double Machine::random_rate(double row_bytes) const {
  if (random.empty()) return 0;
  if (row_bytes <= static_cast<double>(random.front().first)) return random.front().second;
  for (std::size_t i = 1; i < random.size(); ++i) {
    const auto [left, left_rate] = random[i - 1];
    const auto [right, right_rate] = random[i];
    if (row_bytes <= static_cast<double>(right)) {
      const double share = std::log(row_bytes / static_cast<double>(left)) /
                           std::log(static_cast<double>(right) / static_cast<double>(left));
      return left_rate * std::pow(right_rate / left_rate, share);
    }
  }
  return random.back().second;
}

double Machine::outstanding() const {
  return random.empty() ? 0 : latency_huge * random.front().second / 64;
}

Machine measure_machine(const Pages& pages, unsigned repeats) {
  Machine m;
  const Loops& loops = widest_loops();
  m.brand = kernels::cpu_brand();
  m.loops = loops.name;
  m.caches = cache_sizes();
  const Pages ring_huge(pages.size(), Pages::Kind::kHuge);
  m.huge_share = huge_page_share();
  const Pages ring_small(pages.size(), Pages::Kind::kSmall);
  // Half a cache, for others use it too; but well beyond the one before.
  const std::size_t in_l2 = m.caches.l2 / 2;
  std::size_t in_l3 = std::size_t{1} << 20;
  while (in_l3 * 4 < m.caches.l3 || in_l3 < 4 * m.caches.l2) in_l3 *= 2;
  const Pages ring_l3(in_l3, Pages::Kind::kHuge);
  link_ring(ring_huge, ring_huge.size());
  link_ring(ring_small, ring_small.size());
  link_ring(ring_l3, ring_l3.size());

  std::map<std::string, std::vector<double>> seen;
  std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> random;  // by row and how
  for (unsigned r = 0; r < repeats; ++r) {
    seen["clock"].push_back(clock_hz());
    seen["fma"].push_back(fma_rate(loops, 1));
    seen["fma two"].push_back(fma_rate(loops, 2));
    seen["byte mac"].push_back(byte_mac_rate(loops));
    const auto stream = [&](const char* name, std::size_t bytes, std::size_t ahead) {
      const double rate = stream_rate(loops, pages.data(), bytes, ahead, kStreamSeconds);
      seen[name].push_back(rate);
    };
    stream("l1", m.caches.l1 / 2, 0);
    stream("l2", in_l2, 0);
    stream("l3", in_l3, 0);
    stream("l3 prefetched", in_l3, 1024);
    stream("dram", pages.size(), 0);
    stream("dram prefetched", pages.size(), 1024);
    seen["latency l3"].push_back(chase_seconds(ring_l3));
    seen["latency huge"].push_back(chase_seconds(ring_huge));
    seen["latency small"].push_back(chase_seconds(ring_small));
    for (std::size_t row = 64; row <= kLargestRow; row *= 2) {
      for (const std::size_t lines : {32, 64, 256}) {
        for (const bool far : {false, true}) {
          random[{row, 2 * lines + far}].push_back(random_rows_rate(pages, row, lines, far));
        }
      }
    }
  }
  m.clock_hz = median(seen["clock"]);
  m.fma = median(seen["fma"]);
  m.fma_two = median(seen["fma two"]);
  m.byte_mac = median(seen["byte mac"]);
  m.l1 = median(seen["l1"]);
  m.l2 = median(seen["l2"]);
  m.l3 = std::max(median(seen["l3"]), median(seen["l3 prefetched"]));
  m.dram = std::max(median(seen["dram"]), median(seen["dram prefetched"]));
  m.latency_l3 = median(seen["latency l3"]);
  m.latency_huge = median(seen["latency huge"]);
  m.latency_small = median(seen["latency small"]);
  for (const auto& [key, rates] : random) {
    const double rate = median(rates);
    if (m.random.empty() || m.random.back().first != key.first) {
      m.random.emplace_back(key.first, rate);
    } else {
      m.random.back().second = std::max(m.random.back().second, rate);
    }
  }
  return m;
}

}  // namespace vicinal::bench
