#include <pybind11/pybind11.h>

#include "classes.h"
#include "errors.h"
#include "vicinal/version.h"

// Nothing here is guarded by the GIL: the indexes synchronise themselves and the module keeps no
// state that changes after this function has returned.
PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The compiled part of vicinal. Use the vicinal package; this may change.";
  module.attr("version") = VICINAL_VERSION;
  vicinal::python::bind_errors(module);
  vicinal::python::bind_codec(module);
  vicinal::python::bind_cluster(module);
  vicinal::python::bind_cpu(module);
  vicinal::python::bind_file(module);
  vicinal::python::bind_flat(module);
  vicinal::python::bind_hnsw(module);
  vicinal::python::bind_binary(module);
}
