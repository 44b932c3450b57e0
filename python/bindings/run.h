#pragma once

#include <pybind11/pybind11.h>

#include "vicinal/control.h"

namespace vicinal::python {

namespace py = pybind11;

/// The RunOptions of one call from Python. While long work runs without the GIL, it takes the GIL
/// now and then to let Ctrl-C and the caller's progress function through; whatever they raise stops
/// the work and is raised by the call.
class Run {
 public:
  enum class Length { kShort, kLong };

  /// threads: None or 1..1024. progress: None or callable(stage, done, total); returning False
  /// stops the work. A short call without a progress function does not listen at all.
  Run(py::handle threads, py::handle progress, Length length = Length::kLong);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const RunOptions& options() const noexcept { return options_; }

 private:
  bool report(const Progress& progress) const;

  py::handle progress_;
  RunOptions options_;
};

}  // namespace vicinal::python
