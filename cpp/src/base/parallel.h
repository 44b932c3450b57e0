#pragma once

#include <cstddef>
#include <functional>

#include "vicinal/control.h"

namespace vicinal {

/// Calls body(begin, end, worker) for pieces of at most `grain` that cover [0, n) once each, on up
/// to run.threads threads, the caller among them. worker < workers(run) tells pieces that run
/// beside each other apart. Which worker gets which piece is not defined: results must not depend
/// on it. The first exception stops the rest and is rethrown here. Nested calls run on the calling
/// thread. Progress and cancellation are polled on the calling thread between its pieces.
/// After fork() the child starts with fresh threads.
void parallel_for(std::size_t n, std::size_t grain, const RunOptions& run,
                  const std::function<void(std::size_t begin, std::size_t end, unsigned worker)>& body);

/// Upper bound of worker numbers under these options, >= 1.
unsigned workers(const RunOptions& run);

/// Reports progress on the calling thread, at most ten times a second except for done == total.
/// Throws CancelledError if the callback says stop.
class Ticker {
 public:
  Ticker(const RunOptions& run, const char* stage, std::uint64_t total);
  void at(std::uint64_t done);

 private:
  const RunOptions& run_;
  const char* stage_;
  std::uint64_t total_;
  std::uint64_t next_ns_ = 0;
};

}  // namespace vicinal
