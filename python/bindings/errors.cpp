#include "errors.h"

#include <exception>
#include <string>
#include <system_error>

#include "vicinal/errors.h"

namespace vicinal::python {
namespace {

namespace py = pybind11;

// Made once when the module loads and never released: translators may run until the very end.
struct Classes {
  PyObject* error;
  PyObject* argument;
  PyObject* dimension;
  PyObject* config;
  PyObject* format;
  PyObject* cancelled;
};
Classes classes{};

PyObject* make(py::module_& module, const char* name, const char* doc, py::tuple bases) {
  // They live in `vicinal`, where people look for them and where pickle finds them.
  const std::string full = std::string("vicinal.") + name;
  PyObject* made = PyErr_NewExceptionWithDoc(full.c_str(), doc, bases.ptr(), nullptr);
  if (made == nullptr) throw py::error_already_set();
  module.attr(name) = py::handle(made);
  return made;
}

py::object decoded(const std::string& path) {
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

// A message may quote a path, which need not be UTF-8.
py::object message(const std::exception& error) { return decoded(error.what()); }

void raise(PyObject* type, const std::exception& error) {
  const py::object text = message(error);
  if (text) PyErr_SetObject(type, text.ptr());
}

void raise_format(const FormatError& error) {
  const py::object text = message(error);
  if (!text) return;
  const py::object raised = py::handle(classes.format)(text);
  raised.attr("path") = decoded(error.path());
  raised.attr("offset") = error.offset();
  PyErr_SetObject(classes.format, raised.ptr());
}

void raise_os(const IoError& error) {
  // OSError itself picks FileNotFoundError, PermissionError and so on by the number.
  const py::object raised = py::handle(PyExc_OSError)(
      error.code(), std::generic_category().message(error.code()), decoded(error.path()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.ptr())), raised.ptr());
}

void translate(std::exception_ptr thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const DimensionError& error) {
    raise(classes.dimension, error);
  } catch (const ArgumentError& error) {
    raise(classes.argument, error);
  } catch (const FormatError& error) {
    raise_format(error);
  } catch (const IoError& error) {
    raise_os(error);
  } catch (const ConfigError& error) {
    raise(classes.config, error);
  } catch (const CancelledError& error) {
    raise(classes.cancelled, error);
  } catch (const Error& error) {
    raise(classes.error, error);
  }
}

}  // namespace

void bind_errors(py::module_& module) {
  const auto base = [](PyObject* type) { return py::reinterpret_borrow<py::object>(type); };
  classes.error = make(module, "Error",
                       "Root of what vicinal raises on purpose. A refusal of the operating system "
                       "is a plain OSError.",
                       py::make_tuple(base(PyExc_Exception)));
  const py::object root = base(classes.error);
  classes.argument = make(module, "ArgumentError",
                          "An argument has a value that cannot work; nothing has changed.",
                          py::make_tuple(root, base(PyExc_ValueError)));
  classes.dimension = make(module, "DimensionError",
                           "An array is not as wide as the index; nothing has changed.",
                           py::make_tuple(base(classes.argument)));
  classes.config = make(module, "ConfigError",
                        "The environment asks for something this machine or build cannot give.",
                        py::make_tuple(root, base(PyExc_RuntimeError)));
  classes.format = make(module, "FormatError",
                        "A file is damaged or not ours. `path` (str) and `offset` (bytes from its "
                        "start, int) say where.",
                        py::make_tuple(root, base(PyExc_ValueError)));
  const py::handle format(classes.format);
  format.attr("path") = "";  // for those that Python code raises
  format.attr("offset") = 0;
  classes.cancelled = make(module, "CancelledError",
                           "A progress function returned False. What was finished before stays.",
                           py::make_tuple(root));
  py::register_exception_translator(&translate);
}

}  // namespace vicinal::python
