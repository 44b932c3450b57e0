#include "run.h"

#include <string>

#include "arguments.h"

namespace vicinal::python {

constexpr std::int64_t kMostThreads = 1024;

Run::Run(py::handle threads, py::handle progress, Length length) : progress_(progress) {
  if (!threads.is_none()) {
    options_.threads = static_cast<unsigned>(whole(threads, "threads", 1, kMostThreads));
  } else {
    options_.threads = default_threads();  // of now: another call may change it while this one runs
  }
  const bool silent = progress.is_none();
  if (!silent && PyCallable_Check(progress.ptr()) == 0) {
    throw py::type_error(std::string("progress must be None or callable, got ") +
                         Py_TYPE(progress.ptr())->tp_name);
  }
  if (length == Length::kLong || !silent) {
    options_.progress = [this](const Progress& now) { return report(now); };
  }
}

bool Run::report(const Progress& progress) const {
  const py::gil_scoped_acquire held;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  if (progress_.is_none()) return true;
  const py::object answer = progress_(progress.stage, progress.done, progress.total);
  return answer.ptr() != Py_False;
}

}  // namespace vicinal::python
