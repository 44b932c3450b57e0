#include <cstdio>

#include "machine.h"

namespace vicinal::bench {
namespace {

template <class... Args>
void put(std::string& out, const char* format, Args... args) {
  char line[256];
  std::snprintf(line, sizeof line, format, args...);
  out += line;
}

void rate(std::string& out, const char* name, double value, double unit, const char* unit_name,
          const char* note = "") {
  if (value > 0) {
    put(out, "  %-34s %9.2f %s%s\n", name, value / unit, unit_name, note);
  } else {
    put(out, "  %-34s not measured\n", name);
  }
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

double percent(const KernelRun& run) { return run.bound > 0 ? 100 * run.vectors / run.bound : 0; }

}  // namespace

std::string as_table(const Machine& m, const std::vector<KernelRun>& kernels) {
  std::string out;
  put(out, "%s; caches %zu KiB, %zu KiB, %zu MiB; loops %s\n\n", m.brand.c_str(), m.caches.l1 >> 10,
      m.caches.l2 >> 10, m.caches.l3 >> 20, m.loops.c_str());
  rate(out, "clock (dependent additions)", m.clock_hz, 1e9, "GHz");
  rate(out, "float32 multiply-add peak", m.fma, 1e9, "GFLOP/s");
  if (m.clock_hz > 0 && m.fma > 0) {
    put(out, "  %-34s %9.2f\n", "  operations per cycle", m.fma / m.clock_hz);
  }
  if (m.fma > 0) put(out, "  %-34s %9.2f x\n", "  two threads against one", m.fma_two / m.fma);
  rate(out, "byte multiply-add peak", m.byte_mac, 1e9, "GMAC/s");
  rate(out, "stream read, L1", m.l1, 1e9, "GB/s");
  rate(out, "stream read, L2", m.l2, 1e9, "GB/s");
  rate(out, "stream read, L3", m.l3, 1e9, "GB/s");
  rate(out, "stream read, DRAM", m.dram, 1e9, "GB/s");
  rate(out, "dependent read, L3", m.latency_l3, 1e-9, "ns");
  char note[64] = "";
  if (m.huge_share >= 0) std::snprintf(note, sizeof note, " (%.0f%% granted)", 100 * m.huge_share);
  rate(out, "dependent read, DRAM, 2 MiB pages", m.latency_huge, 1e-9, "ns", note);
  rate(out, "dependent read, DRAM, 4 KiB pages", m.latency_small, 1e-9, "ns");
  rate(out, "lines in flight (latency x rate)", m.outstanding(), 1, "lines");
  for (const auto& [row, value] : m.random) {
    char name[64];
    std::snprintf(name, sizeof name, "random rows of %zu bytes", row);
    rate(out, name, value, 1e9, "GB/s");
  }
  if (kernels.empty()) return out;
  put(out,
      "\nKernels, level %s, one thread, squared L2. Bound: the slower of bytes over bandwidth and "
      "work over peak.\n\n",
      kernel_level().c_str());
  put(out, "  %-12s %-13s %5s  %-13s %10s %8s %10s  %-10s %6s\n", "kernel", "rows", "dim",
      "rows in", "Mvec/s", "GB/s", "bound", "set by", "%");
  for (const KernelRun& run : kernels) {
    put(out, "  %-12s %-13s %5zu  %-13s %10.2f %8.2f %10.2f  %-10s %6.0f", run.kernel.c_str(),
        run.rows.c_str(), run.dim, run.place.c_str(), run.vectors / 1e6, run.bytes / 1e9,
        run.bound / 1e6, run.by_memory ? "memory" : "arithmetic", percent(run));
    if (run.ahead != 0) put(out, "  ahead %u", run.ahead);
    out += '\n';
  }
  return out;
}

std::string as_json(const Machine& m, const std::vector<KernelRun>& kernels) {
  std::string out = "{\"cpu\": " + quoted(m.brand) + ", \"loops\": " + quoted(m.loops);
  const auto field = [&](const char* name, double value) {
    if (value > 0) {
      put(out, ", \"%s\": %.6g", name, value);
    } else {
      put(out, ", \"%s\": null", name);
    }
  };
  put(out, ", \"cache_bytes\": [%zu, %zu, %zu]", m.caches.l1, m.caches.l2, m.caches.l3);
  field("clock_hz", m.clock_hz);
  field("fma_flop_per_s", m.fma);
  field("fma_two_threads_flop_per_s", m.fma_two);
  field("byte_mac_per_s", m.byte_mac);
  field("l1_bytes_per_s", m.l1);
  field("l2_bytes_per_s", m.l2);
  field("l3_bytes_per_s", m.l3);
  field("dram_bytes_per_s", m.dram);
  field("latency_l3_s", m.latency_l3);
  field("latency_dram_huge_s", m.latency_huge);
  field("latency_dram_small_s", m.latency_small);
  field("huge_page_share", m.huge_share);
  field("outstanding_lines", m.outstanding());
  out += ", \"random_bytes_per_s\": {";
  for (std::size_t i = 0; i < m.random.size(); ++i) {
    put(out, "%s\"%zu\": %.6g", i == 0 ? "" : ", ", m.random[i].first, m.random[i].second);
  }
  out += "}, \"kernel_level\": " + (kernels.empty() ? "null" : quoted(kernel_level()));
  out += ", \"kernels\": [";
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const KernelRun& run = kernels[i];
    out += i == 0 ? "{\"kernel\": " : ", {\"kernel\": ";
    out += quoted(run.kernel) + ", \"rows\": " + quoted(run.rows);
    out += ", \"place\": " + quoted(run.place);
    put(out, ", \"dim\": %zu, \"vectors_per_s\": %.6g, \"bytes_per_s\": %.6g", run.dim, run.vectors,
        run.bytes);
    put(out, ", \"bound_vectors_per_s\": %.6g, \"percent\": %.4g, \"ahead\": %u}", run.bound,
        percent(run), run.ahead);
  }
  return out + "]}\n";
}

}  // namespace vicinal::bench
