#pragma once

#include <string>
#include <vector>

namespace vicinal {

struct CpuInfo {
  std::string brand;                   ///< as the processor names itself; may be empty
  std::vector<std::string> features;   ///< the bits the kernels ask for, of those present
  std::vector<std::string> available;  ///< kernel levels that run here, best first
  std::string active;                  ///< the level in use
  bool forced = false;                 ///< VICINAL_ISA chose it
};

/// Throws ConfigError if VICINAL_ISA names a level that is unknown or that this CPU lacks.
CpuInfo cpu_info();

}  // namespace vicinal
