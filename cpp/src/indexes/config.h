#pragma once

#include <cstdint>

#include "storage/container.h"
#include "vicinal/types.h"

namespace vicinal::indexes {

/// Reads what an index wrote of itself into a file's header. Every mistake is a FormatError.
class ConfigReader {
 public:
  explicit ConfigReader(const storage::File& file) : file_(file) {}

  std::uint64_t number(const char* key, std::uint64_t least, std::uint64_t most) const;
  Metric metric() const;
  BitMetric bit_metric() const;
  CodecKind codec() const;
  RefineKind refine() const;

 private:
  const std::string& text(const char* key) const;
  [[noreturn]] void unknown(const char* key, const std::string& got) const;

  const storage::File& file_;
};

}  // namespace vicinal::indexes
