#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>

#include "vicinal/control.h"

namespace vicinal {

class Ticker;

/// A call of body(begin, end, worker), by reference: naming a lambda here allocates nothing.
class PieceBody {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, PieceBody>>>
  PieceBody(const F& body)  // NOLINT: lambdas are passed as they are
      : body_(std::addressof(body)),
        call_([](const void* b, std::size_t begin, std::size_t end, unsigned worker) {
          (*static_cast<const F*>(b))(begin, end, worker);
        }) {}
  void operator()(std::size_t begin, std::size_t end, unsigned worker) const {
    call_(body_, begin, end, worker);
  }

 private:
  const void* body_;
  void (*call_)(const void*, std::size_t, std::size_t, unsigned);
};

constexpr unsigned kMaxThreads = 1024;  ///< asking for more throws ConfigError

/// Calls body(begin, end, worker) for pieces of at most `grain` that cover [0, n) once each, on up
/// to run.threads threads, the caller among them. worker < workers(run) tells pieces that run
/// beside each other apart; the caller is worker 0. Which worker gets which piece is not defined:
/// results must not depend on it. Pieces are handed out in ascending order. The first exception
/// stops the rest and is rethrown here. Calls nested in a call that runs on several threads run on
/// the thread that makes them.
/// The calling thread polls for cancellation between its pieces and while it waits for others:
/// through `ticker`, which sees ticker_base + rows done, or, without one, through run.progress as
/// stage "working" once the call has lasted a tenth of a second.
/// After fork() the child starts with fresh threads; forking from inside a body is not supported
/// unless the child calls exec.
void parallel_for(std::size_t n, std::size_t grain, const RunOptions& run, const PieceBody& body,
                  Ticker* ticker = nullptr, std::uint64_t ticker_base = 0);

/// Upper bound of worker numbers under these options, >= 1. Throws ConfigError above kMaxThreads.
unsigned workers(const RunOptions& run);

/// Reports progress on the thread that made it, at most ten times a second except for
/// done == total. Throws CancelledError if the callback says stop. `run` must outlive it. Silent on
/// other threads, and when made inside a body: the callback belongs to the outermost caller.
class Ticker {
 public:
  Ticker(const RunOptions& run, const char* stage, std::uint64_t total);
  void at(std::uint64_t done) {
    if (run_ != nullptr) report(done);
  }
  /// From now on `done` is what the counter says, whatever at() is told: for pieces so long that
  /// they count, and poll, inside.
  void follow(const std::atomic<std::uint64_t>& counter) { counter_ = &counter; }
  /// Asks again, with what `done` was.
  void poll() {
    // On other threads not even what `done` was may be read.
    if (run_ != nullptr && std::this_thread::get_id() == owner_) report(last_);
  }
  /// The next report comes no sooner than a tenth of a second from now.
  void hold();

 private:
  void report(std::uint64_t done);

  const RunOptions* run_;  // null: nobody asked
  const char* stage_;
  std::uint64_t total_;
  std::uint64_t next_ns_ = 0;
  std::uint64_t last_ = 0;
  const std::atomic<std::uint64_t>* counter_ = nullptr;
  std::thread::id owner_;
};

}  // namespace vicinal
