#include "vicinal/cpu.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "arguments.h"
#include "classes.h"
#include "vicinal/control.h"

namespace vicinal::python {

void bind_cpu(py::module_& module) {
  module.def("cpu_info", [] {
    const CpuInfo info = cpu_info();
    return py::make_tuple(info.brand, info.features, info.available, info.active, info.forced);
  });
  module.def("default_threads", &default_threads);
  module.def("set_default_threads", [](py::handle threads) {
    set_default_threads(static_cast<unsigned>(whole(threads, "threads", 0, 1024)));
  });
}

}  // namespace vicinal::python
