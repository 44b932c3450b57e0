#pragma once

#include <pybind11/pybind11.h>

namespace vicinal::python {

/// The exception classes of the package, and how C++ errors become them.
void bind_errors(pybind11::module_& module);

}  // namespace vicinal::python
