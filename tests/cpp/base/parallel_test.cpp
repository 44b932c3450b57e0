#include "base/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "vicinal/errors.h"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace vicinal {
namespace {

RunOptions with_threads(unsigned threads) {
  RunOptions run;
  run.threads = threads;
  return run;
}

/// How often each of n places was visited.
std::vector<int> visits(std::size_t n, std::size_t grain, unsigned threads) {
  std::vector<std::atomic<int>> seen(n);
  std::atomic<bool> sound{true};
  parallel_for(n, grain, with_threads(threads),
               [&](std::size_t begin, std::size_t end, unsigned worker) {
                 if (begin >= end || end > n || end - begin > grain || worker >= threads)
                   sound = false;
                 for (std::size_t i = begin; i < end; ++i) ++seen[i];
               });
  EXPECT_TRUE(sound);
  return {seen.begin(), seen.end()};
}

TEST(Parallel, CoversEveryPlaceOnce) {
  for (unsigned threads : {1u, 2u, 3u, 8u}) {
    for (std::size_t n : {0, 1, 2, 63, 64, 65, 1000}) {
      for (std::size_t grain : {1, 7, 64, 5000}) {
        EXPECT_EQ(visits(n, grain, threads), std::vector<int>(n, 1))
            << threads << " " << n << " " << grain;
      }
    }
  }
}

TEST(Parallel, WorkersOfOneCallAreTellable) {
  std::vector<int> inside(4, 0);  // plain ints: two bodies under one number would be a race
  std::atomic<int> clashes{0};
  parallel_for(2000, 1, with_threads(4), [&](std::size_t, std::size_t, unsigned worker) {
    if (inside[worker]++ != 0) ++clashes;
    std::this_thread::yield();
    --inside[worker];
  });
  EXPECT_EQ(clashes, 0);
}

TEST(Parallel, ReallyUsesSeveralThreads) {
  std::atomic<unsigned> arrived{0};
  parallel_for(3, 1, with_threads(3), [&](std::size_t, std::size_t, unsigned) {
    ++arrived;  // each of three pieces waits for the other two
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 3 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    EXPECT_EQ(arrived, 3u);
  });
}

TEST(Parallel, OneThreadStaysOnTheCaller) {
  const auto caller = std::this_thread::get_id();
  parallel_for(100, 1, with_threads(1), [&](std::size_t, std::size_t, unsigned worker) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(worker, 0u);
  });
}

TEST(Parallel, NestedCallsRunOnTheThreadThatMakesThem) {
  std::vector<std::atomic<int>> seen(64 * 64);
  parallel_for(64, 1, with_threads(4), [&](std::size_t outer, std::size_t, unsigned) {
    const auto here = std::this_thread::get_id();
    parallel_for(64, 1, with_threads(4), [&](std::size_t inner, std::size_t, unsigned) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      ++seen[outer * 64 + inner];
    });
  });
  for (const auto& count : seen) EXPECT_EQ(count, 1);
}

TEST(Parallel, ConcurrentCallsAreEachServed) {
  std::vector<std::thread> callers;
  for (unsigned c = 0; c < 6; ++c) {
    callers.emplace_back([c] {
      for (int round = 0; round < 50; ++round) {
        EXPECT_EQ(visits(257, 3, 1 + c % 4), std::vector<int>(257, 1));
      }
    });
  }
  for (auto& caller : callers) caller.join();
}

TEST(Parallel, FirstExceptionStopsTheRestAndComesBack) {
  for (unsigned threads : {1u, 4u}) {
    std::atomic<std::size_t> ran{0};
    try {
      parallel_for(1'000'000, 1, with_threads(threads),
                   [&](std::size_t begin, std::size_t, unsigned) {
                     ++ran;
                     if (begin == 10) throw std::runtime_error("ten");
                   });
      ADD_FAILURE() << "nothing thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "ten");
    }
    EXPECT_LT(ran, 900'000u);
    EXPECT_EQ(visits(100, 1, threads), std::vector<int>(100, 1));  // the pool is in order
  }
}

TEST(Parallel, CallbackStopsLongWork) {
  for (unsigned threads : {1u, 3u}) {
    RunOptions run = with_threads(threads);
    const auto caller = std::this_thread::get_id();
    run.progress = [&](const Progress& p) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      EXPECT_LE(p.done, p.total);
      return false;
    };
    std::atomic<std::size_t> ran{0};
    EXPECT_THROW(parallel_for(20'000, 1, run,
                              [&](std::size_t, std::size_t, unsigned) {
                                ++ran;
                                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                              }),
                 CancelledError);
    EXPECT_LT(ran, 10'000u);
  }
}

TEST(Parallel, CallbackIsAskedWhileTheCallerWaits) {
  RunOptions run = with_threads(2);
  std::atomic<bool> asked{false};
  run.progress = [&](const Progress&) {
    asked = true;
    return true;
  };
  Ticker ticker(run, "testing", 2);
  parallel_for(
      2, 1, run,
      [&](std::size_t, std::size_t, unsigned worker) {
        if (worker == 0) return;
        // The caller has nothing left to do: only its waiting can set the flag.
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!asked && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
      },
      &ticker);
  EXPECT_TRUE(asked);
}

TEST(Parallel, TickerSeesEveryRowOfSeveralCalls) {
  for (unsigned threads : {1u, 2u}) {
    RunOptions run = with_threads(threads);
    std::vector<std::uint64_t> told;
    run.progress = [&](const Progress& p) {
      EXPECT_STREQ(p.stage, "testing");
      EXPECT_EQ(p.total, 30u);
      told.push_back(p.done);
      return true;
    };
    Ticker ticker(run, "testing", 30);
    const auto nothing = [](std::size_t, std::size_t, unsigned) {};
    parallel_for(10, 1, run, nothing, &ticker, 0);
    parallel_for(20, 1, run, nothing, &ticker, 10);
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(told.back(), 30u);
    EXPECT_LE(told.size(), 4u);  // rate limited
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  }
}

TEST(Parallel, LongPiecesCountAndPollInside) {
  RunOptions run = with_threads(3);
  const auto caller = std::this_thread::get_id();
  std::uint64_t told = 0;
  run.progress = [&](const Progress& p) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    told = p.done;
    return true;
  };
  std::atomic<std::uint64_t> counter{0};
  Ticker ticker(run, "testing", 300);
  ticker.follow(counter);
  const auto piece = [&](std::size_t, std::size_t, unsigned) {
    for (int i = 0; i < 100; ++i) {
      ++counter;
      ticker.poll();  // from every thread: all but the caller's are silent
    }
  };
  parallel_for(3, 1, run, piece, &ticker);
  EXPECT_EQ(told, 300u);
}

TEST(Parallel, NestedCallsLeaveTheCallbackAlone) {
  RunOptions run = with_threads(3);
  run.progress = [](const Progress&) {
    ADD_FAILURE() << "called";
    return false;
  };
  parallel_for(3, 1, with_threads(3), [&](std::size_t, std::size_t, unsigned) {
    Ticker inner(run, "testing", 10);
    parallel_for(10, 1, run, [](std::size_t, std::size_t, unsigned) {}, &inner);
    inner.at(10);
  });
}

TEST(Parallel, ShortCallsDoNotDisturbTheCallback) {
  RunOptions run = with_threads(2);
  run.progress = [](const Progress&) {
    ADD_FAILURE() << "called";
    return true;
  };
  parallel_for(4, 1, run, [](std::size_t, std::size_t, unsigned) {});
}

TEST(Parallel, RefusesTooManyThreads) {
  EXPECT_THROW(workers(with_threads(kMaxThreads + 1)), ConfigError);
  EXPECT_THROW(set_default_threads(kMaxThreads + 1), ConfigError);
  EXPECT_EQ(workers(with_threads(5)), 5u);
}

TEST(Parallel, DefaultThreadsCanBeSetAndGivenBack) {
  const unsigned before = default_threads();
  EXPECT_GE(before, 1u);
  set_default_threads(3);
  EXPECT_EQ(default_threads(), 3u);
  EXPECT_EQ(workers(RunOptions{}), 3u);
  set_default_threads(0);
  EXPECT_EQ(default_threads(), before);
}

#if defined(__unix__)
#if defined(__SANITIZE_THREAD__)
#define VICINAL_NO_FORK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VICINAL_NO_FORK 1
#endif
#endif
#if !defined(VICINAL_NO_FORK)
TEST(Parallel, ForkedChildStartsAfresh) {
  std::atomic<bool> over{false};
  // Calls come and go in another thread, so that forks meet the pool's locks in every state.
  std::thread busy([&] {
    while (!over) visits(64, 1, 4);
  });
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(20);  // a deadlock ends as a signal
      std::atomic<int> ran{0};
      parallel_for(100, 1, with_threads(3), [&](std::size_t, std::size_t, unsigned) { ++ran; });
      _exit(ran == 100 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  over = true;
  busy.join();
}
#endif
#endif

}  // namespace
}  // namespace vicinal
