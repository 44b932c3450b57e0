#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "probes.h"

namespace vicinal::bench {

/// What the processor and its memory can do. Rates per second; 0 stands for "not measured".
struct Machine {
  std::string brand;
  std::string loops;        ///< the widest register loops that ran
  CacheSizes caches;
  double clock_hz = 0;
  double fma = 0;           ///< float32 operations, one thread
  double fma_two = 0;       ///< the same of two threads together
  double byte_mac = 0;      ///< multiply-adds of bytes
  double l1 = 0, l2 = 0, l3 = 0, dram = 0;  ///< bytes read in order, one thread
  double latency_l3 = 0;    ///< seconds per dependent read
  double latency_huge = 0;  ///< of DRAM, in 2 MiB pages
  double latency_small = 0; ///< of DRAM, in 4 KiB pages
  double huge_share = 0;    ///< of the memory that asked for 2 MiB pages; -1 unknown
  /// Bytes per second of independent reads of whole rows at random places, by bytes of a row.
  std::vector<std::pair<std::size_t, double>> random;

  double random_rate(double row_bytes) const;  ///< between the measured sizes
  double outstanding() const;                  ///< lines in flight: latency times rate
};

/// Asks for 3 GiB; gives back what only it needs. `pages` (at least 1 GiB) stays the caller's.
Machine measure_machine(const Pages& pages, unsigned repeats);

/// One library kernel beside what bounds it.
struct KernelRun {
  std::string kernel;   ///< "score_block", "score_ids", "tile"
  std::string rows;     ///< row type
  std::string place;    ///< "L2", "DRAM", "DRAM, random"
  std::size_t dim = 0;
  double vectors = 0;   ///< scored per second
  double bytes = 0;     ///< bytes of rows per second
  double bound = 0;     ///< vectors per second that memory and arithmetic allow
  bool by_memory = false;
  unsigned ahead = 0;   ///< of score_ids: the prefetch distance that was best
};

std::vector<KernelRun> measure_kernels(const Machine& machine, const Pages& pages,
                                       const std::vector<std::size_t>& dims, unsigned repeats);
std::string kernel_level();

std::string as_table(const Machine& machine, const std::vector<KernelRun>& kernels);
std::string as_json(const Machine& machine, const std::vector<KernelRun>& kernels);

}  // namespace vicinal::bench
