#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <pybind11/stl.h>

#include "arguments.h"
#include "run.h"
#include "vicinal/errors.h"
#include "vicinal/file.h"

namespace vicinal::python {

/// What every index can do, bound once. Element: what get() gives, float32 numbers or packed bits.
template <class Element = float, class Index>
void bind_common(py::class_<Index>& bound) {
  bound.def_property_readonly("dim", &Index::dim);
  bound.def_property_readonly("metric", [](const Index& self) { return text(self.metric()); });
  if constexpr (std::is_same_v<Element, float>) {
    bound.def_property_readonly("transform",
                                [](const Index& self) { return self.params().transform; });
  }
  bound.def("size", &Index::size, py::call_guard<py::gil_scoped_release>());

  bound.def(
      "add",
      [](Index& self, const py::array& array, py::handle ids, py::handle threads,
         py::handle progress) {
        const VectorsView rows = vectors(array, "vectors");
        const std::int64_t* chosen = nullptr;
        if (!ids.is_none()) {
          const Ids given = ids_array(ids, "ids");
          if (static_cast<std::size_t>(given.size()) != rows.rows) {
            throw ArgumentError("ids has " + std::to_string(given.size()) +
                                " entries; wanted one for each of " + std::to_string(rows.rows) +
                                " vectors");
          }
          chosen = given.data();  // the caller's reference keeps the array
        }
        const Run run(threads, progress);
        const py::gil_scoped_release released;
        self.add(rows, chosen, run.options());
      },
      py::arg("vectors").noconvert(), py::arg("ids"), py::arg("threads"), py::arg("progress"));

  bound.def(
      "remove",
      [](Index& self, py::handle ids) {
        const Ids given = ids_array(ids, "ids");
        const std::int64_t* data = given.data();
        const auto count = static_cast<std::size_t>(given.size());
        const py::gil_scoped_release released;
        self.remove(data, count);
      },
      py::arg("ids"));

  bound.def(
      "contains",
      [](const Index& self, std::int64_t id) { return self.contains(id); },
      py::arg("id"), py::call_guard<py::gil_scoped_release>());

  bound.def(
      "get",
      [](const Index& self, std::int64_t id) {
        const std::size_t width =
            std::is_same_v<Element, float> ? self.dim() : (self.dim() + 7) / 8;
        py::array_t<Element, py::array::c_style> out(static_cast<py::ssize_t>(width));
        Element* data = out.mutable_data();
        const py::gil_scoped_release released;
        self.get(id, data);
        return out;
      },
      py::arg("id"));

  bound.def("ids", [](const Index& self) {
    std::vector<std::int64_t> all;
    {
      const py::gil_scoped_release released;
      all = self.ids();
    }
    return adopt(std::move(all));
  });

  bound.def("memory", [](const Index& self) {
    MemoryReport report;
    {
      const py::gil_scoped_release released;
      report = self.memory();
    }
    return parts(report);
  });

  bound.def(
      "save",
      [](const Index& self, py::handle path_bytes, const std::string& metadata,
         py::handle progress) {
        const std::string where = path(path_bytes);
        const Run run(py::none(), progress);
        const py::gil_scoped_release released;
        self.save(where, metadata, run.options());
      },
      py::arg("path"), py::arg("metadata"), py::arg("progress"));

  bound.def_static(
      "open",
      [](py::handle path_bytes, bool load) {
        const std::string where = path(path_bytes);
        const py::gil_scoped_release released;
        return Index::open(where, load ? OpenMode::kLoad : OpenMode::kMap);
      },
      py::arg("path"), py::arg("load"));
}

/// Shorter work than this ends before anybody could press Ctrl-C.
constexpr std::size_t kShortQueries = 64;

inline std::size_t neighbours(py::handle k) {
  return static_cast<std::size_t>(whole(k, "k", 1, 0x7FFFFFFF));
}

}  // namespace vicinal::python
