// What this machine can do, and how near the library's kernels come to it.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "machine.h"

namespace {

constexpr char kUsage[] =
    "vicinal_machine [--json] [--repeats N] [--no-kernels] [DIM ...]\n"
    "Measures clock, arithmetic and memory, then each kernel beside its bound, for dimensions 128\n"
    "and 768 unless given. Needs 4 GiB and an idle machine. VICINAL_ISA forces a level.\n";

}  // namespace

int main(int argc, char** argv) {
  bool json = false, kernels = true;
  unsigned repeats = 7;
  std::vector<std::size_t> dims;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--no-kernels") == 0) {
      kernels = false;
    } else if (std::strcmp(argv[i], "--repeats") == 0 && i + 1 < argc) {
      repeats = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else {
      const unsigned long dim = std::strtoul(argv[i], nullptr, 10);
      if (dim == 0 || dim > 32768) {
        std::fputs(kUsage, stderr);
        return 2;
      }
      dims.push_back(dim);
    }
  }
  if (repeats == 0 || repeats > 100) {
    std::fputs("--repeats: 1 to 100\n", stderr);
    return 2;
  }
  if (dims.empty()) dims = {128, 768};
  try {
    using namespace vicinal::bench;
    const Pages pages(std::size_t{1} << 30, Pages::Kind::kHuge);
    const Machine machine = measure_machine(pages, repeats);
    std::vector<KernelRun> runs;
    if (kernels) runs = measure_kernels(machine, pages, dims, repeats);
    std::fputs((json ? as_json(machine, runs) : as_table(machine, runs)).c_str(), stdout);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vicinal_machine: %s\n", error.what());
    return 1;
  }
  return 0;
}
