#include "vicinal/file.h"

#include "arguments.h"
#include "classes.h"
#include "run.h"

namespace vicinal::python {
namespace {

// The text of a file is whatever somebody wrote: bytes that are not UTF-8 are replaced.
py::object utf8(const std::string& text) {
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

py::tuple info(py::handle path_bytes) {
  const std::string where = path(path_bytes);
  FileInfo found;
  {
    const py::gil_scoped_release released;
    found = file_info(where);
  }
  py::list sections;
  for (const SectionInfo& section : found.sections) {
    sections.append(
        py::make_tuple(utf8(section.name), section.offset, section.bytes, section.crc32c));
  }
  return py::make_tuple(found.version, utf8(found.kind), utf8(found.header), utf8(found.metadata),
                        found.file_bytes, sections);
}

void verify(py::handle path_bytes, py::handle threads, py::handle progress) {
  const std::string where = path(path_bytes);
  const Run run(threads, progress);
  const py::gil_scoped_release released;
  verify_file(where, run.options());
}

}  // namespace

void bind_file(py::module_& module) {
  module.def("file_info", info, py::arg("path"));
  module.def("verify_file", verify, py::arg("path"), py::arg("threads"), py::arg("progress"));
}

}  // namespace vicinal::python
