#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "vicinal/errors.h"

#if defined(__unix__) || defined(__APPLE__)
#define VICINAL_POSIX_THREADS 1
#include <pthread.h>
#include <signal.h>
#endif

namespace vicinal {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kReportEveryNs = 100'000'000;
constexpr auto kPollEvery = std::chrono::milliseconds(50);

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
          .count());
}

thread_local bool in_body = false;

/// One parallel_for. Lives on the caller's stack: workers touch it only between taking a seat and
/// giving it back, both under the pool's mutex.
struct Job {
  Job(std::size_t n_, std::size_t grain_, const PieceBody& body_, unsigned seats_)
      : n(n_),
        grain(grain_),
        pieces(n_ / grain_ + (n_ % grain_ != 0)),
        body(body_),
        seats(seats_) {}

  const std::size_t n;
  const std::size_t grain;
  const std::size_t pieces;
  const PieceBody& body;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};  // rows
  std::atomic<bool> stop{false};

  // Guarded by the pool's mutex.
  unsigned seats;        // places for workers not yet taken
  unsigned working = 0;  // workers inside
  unsigned seated = 0;   // workers that ever came in
  std::exception_ptr error;
  std::condition_variable left;

  /// False when there is nothing more to take.
  bool run_piece(unsigned worker) {
    if (stop.load(std::memory_order_relaxed)) return false;
    const std::size_t piece = next.fetch_add(1, std::memory_order_relaxed);
    if (piece >= pieces) return false;
    const std::size_t begin = piece * grain;
    const std::size_t end = std::min(n, begin + std::min(grain, n - begin));
    body(begin, end, worker);
    done.fetch_add(end - begin, std::memory_order_relaxed);
    return true;
  }
};

class Pool {
 public:
  /// Offers the job's seats to workers, starting more threads if too few are idle.
  void offer(Job& job, unsigned most_threads) {
    std::unique_lock<std::mutex> lock(mutex_);
    jobs_.push_back(&job);
    unsigned open = 0;
    for (const Job* j : jobs_) open += j->seats;
    while (idle_ < open && threads_ < most_threads) {
      if (!start_thread())
        break;  // the machine has no more: those that run, and the caller, do it all
      ++threads_;
      ++idle_;
    }
    const unsigned seats = job.seats;
    lock.unlock();
    for (unsigned i = 0; i < seats; ++i) wake_.notify_one();
  }

  /// No worker enters from here on. Waits until those inside have left, polling meanwhile.
  template <class Poll>
  void wait(Job& job, bool polls, Poll poll) {
    std::unique_lock<std::mutex> lock(mutex_);
    withdraw(job);
    while (job.working != 0) {
      if (!polls) {
        job.left.wait(lock);
      } else if (job.left.wait_for(lock, kPollEvery) == std::cv_status::timeout) {
        lock.unlock();
        poll();  // does not throw
        lock.lock();
      }
    }
  }

  void fail(Job& job, std::exception_ptr error) {
    job.stop.store(true, std::memory_order_relaxed);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!job.error) job.error = std::move(error);
  }

 private:
  bool start_thread() {
#if VICINAL_POSIX_THREADS
    // Signals belong to the program's own threads: a worker starts with all of them blocked.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    bool started = true;
    try {
      std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
      started = false;
    }
#if VICINAL_POSIX_THREADS
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
    return started;
  }

  [[noreturn]] void work() {
    in_body = true;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {  // idle_ counts this thread here
      wake_.wait(lock, [this] { return !jobs_.empty(); });
      Job& job = *jobs_.front();
      const unsigned worker = ++job.seated;
      ++job.working;
      --idle_;
      if (--job.seats == 0) jobs_.pop_front();
      lock.unlock();
      std::exception_ptr error;
      try {
        while (job.run_piece(worker)) {
        }
      } catch (...) {
        job.stop.store(true, std::memory_order_relaxed);
        error = std::current_exception();
      }
      lock.lock();
      if (error && !job.error) job.error = std::move(error);
      error = nullptr;  // the caller alone keeps it alive from here
      withdraw(job);    // nothing is left to take: spare the others the visit
      ++idle_;
      if (--job.working == 0) job.left.notify_one();
    }
  }

  void withdraw(Job& job) {
    job.seats = 0;
    const auto at = std::find(jobs_.begin(), jobs_.end(), &job);
    if (at != jobs_.end()) jobs_.erase(at);
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job*> jobs_;  // with seats left
  unsigned threads_ = 0;
  unsigned idle_ = 0;  // started and not inside a job
};

// Never destroyed: workers sleep in it until the process ends, and a forked child leaves the
// parent's pool behind with whatever state its locks had.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  Pool* p = current_pool.load(std::memory_order_acquire);
  if (p != nullptr) return *p;
#if VICINAL_POSIX_THREADS
  // Registering twice in a race does no harm: the handler is idempotent.
  static std::atomic<bool> registered{false};
  if (!registered.exchange(true)) {
    pthread_atfork(nullptr, nullptr,
                   [] { current_pool.store(nullptr, std::memory_order_release); });
  }
#endif
  auto* fresh = new Pool;
  if (current_pool.compare_exchange_strong(p, fresh, std::memory_order_acq_rel)) return *fresh;
  delete fresh;  // somebody was quicker; no thread was started in this one
  return *p;
}

/// The caller's place while it runs pieces beside workers.
class BodyScope {
 public:
  BodyScope() { in_body = true; }
  ~BodyScope() { in_body = false; }
};

void run_here(std::size_t n, std::size_t grain, const PieceBody& body, Ticker* ticker,
              std::uint64_t base) {
  for (std::size_t begin = 0; begin < n;) {
    const std::size_t end = begin + std::min(grain, n - begin);
    body(begin, end, 0);
    begin = end;
    if (ticker != nullptr && begin < n) ticker->at(base + begin);
  }
}

}  // namespace

void parallel_for(std::size_t n, std::size_t grain, const RunOptions& run, const PieceBody& body,
                  Ticker* ticker, std::uint64_t ticker_base) {
  if (n == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  const unsigned threads = workers(run);
  // The callback belongs to the calling thread, and a nested call may be on a worker.
  const bool nested = in_body;
  if (nested) ticker = nullptr;
  Ticker* const last_word = ticker;
  Ticker plain(run, "working", n);
  if (ticker == nullptr && run.progress && !nested && n > grain) {
    plain.hold();
    ticker = &plain;
    ticker_base = 0;
  }
  if (threads == 1 || nested || n <= grain) {
    run_here(n, grain, body, ticker, ticker_base);
    if (last_word != nullptr) last_word->at(ticker_base + n);
    return;
  }

  const std::size_t pieces = n / grain + (n % grain != 0);
  const auto seats = static_cast<unsigned>(std::min<std::size_t>(threads, pieces)) - 1;
  Job job(n, grain, body, seats);
  Pool& threads_of = pool();
  threads_of.offer(job, std::max(seats, default_threads() - 1));

  const auto poll = [&] {
    try {
      // All rows done is reported once, below, where it may throw with nobody left inside.
      const std::size_t done = job.done.load(std::memory_order_relaxed);
      if (ticker != nullptr && done < n) ticker->at(ticker_base + done);
    } catch (...) {
      threads_of.fail(job, std::current_exception());
    }
  };
  try {
    const BodyScope scope;
    while (job.run_piece(0)) {
      in_body = false;  // a callback may search by itself
      poll();
      in_body = true;
    }
  } catch (...) {
    threads_of.fail(job, std::current_exception());
  }
  threads_of.wait(job, ticker != nullptr && static_cast<bool>(run.progress), poll);
  if (job.error) std::rethrow_exception(std::move(job.error));
  if (last_word != nullptr) last_word->at(ticker_base + n);
}

Ticker::Ticker(const RunOptions& run, const char* stage, std::uint64_t total)
    : run_(run.progress && !in_body ? &run : nullptr), stage_(stage), total_(total) {
  if (run_ != nullptr) owner_ = std::this_thread::get_id();
}

void Ticker::hold() { next_ns_ = now_ns() + kReportEveryNs; }

void Ticker::report(std::uint64_t done) {
  if (std::this_thread::get_id() != owner_) return;
  if (counter_ != nullptr) done = counter_->load(std::memory_order_relaxed);
  last_ = done;
  const std::uint64_t now = now_ns();
  if (now < next_ns_ && done != total_) return;
  next_ns_ = now + kReportEveryNs;
  if (!run_->progress(Progress{stage_, done, total_})) {
    throw CancelledError(std::string("stopped while ") + stage_ + ", at " + std::to_string(done) +
                         " of " + std::to_string(total_));
  }
}

}  // namespace vicinal
