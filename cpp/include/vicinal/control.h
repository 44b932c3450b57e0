#pragma once

#include <cstdint>
#include <functional>

namespace vicinal {

/// How far long work has come.
struct Progress {
  const char* stage;    ///< "checking", "training", "inserting", "saving"...
  std::uint64_t done;   ///< rows, unless the stage says otherwise
  std::uint64_t total;
};

/// How a call runs. Results never depend on it.
struct RunOptions {
  unsigned threads = 0;  ///< 0: as many as set_default_threads() says, else one per usable CPU
  /// Called on the calling thread only, some ten times a second at most. Return false to stop: the
  /// call then throws CancelledError. It may throw; the exception passes through.
  std::function<bool(const Progress&)> progress;
};

/// 0 returns to one per usable CPU. The environment is read in Python, never here. Not to be
/// called while a call whose RunOptions leave `threads` at 0 is running: it has made room for as
/// many threads as there were to be.
void set_default_threads(unsigned threads);
unsigned default_threads();

}  // namespace vicinal
