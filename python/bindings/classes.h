#pragma once

#include <pybind11/pybind11.h>

namespace vicinal::python {

// One file each.
void bind_codec(pybind11::module_& module);
void bind_cluster(pybind11::module_& module);
void bind_binary(pybind11::module_& module);
void bind_cpu(pybind11::module_& module);
void bind_file(pybind11::module_& module);
void bind_flat(pybind11::module_& module);
void bind_hnsw(pybind11::module_& module);

}  // namespace vicinal::python
