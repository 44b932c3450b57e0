#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string>

namespace vicinal::test {

/// A file in memory that has a path (Linux): thousands a second are no trouble.
class ScratchFile {
 public:
  ScratchFile(const void* data, std::size_t bytes) : file_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (file_ < 0 || write(file_, data, bytes) != static_cast<ssize_t>(bytes)) {
      std::abort();
    }
  }
  ~ScratchFile() { close(file_); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

}  // namespace vicinal::test
