#include "vicinal/transform.h"

#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "classes.h"
#include "run.h"
#include "vicinal/errors.h"

namespace vicinal::python {
namespace {

Distances floats(py::handle value, const char* argument, py::ssize_t dimensions) {
  if (!py::isinstance<Distances>(value)) {
    throw py::type_error(std::string(argument) + " must be a float32 array without gaps, got " +
                         Py_TYPE(value.ptr())->tp_name);
  }
  auto array = py::reinterpret_borrow<Distances>(value);
  if (array.ndim() != dimensions) {
    throw ArgumentError(std::string(argument) + " has " + std::to_string(array.ndim()) +
                        " dimensions; wanted " + std::to_string(dimensions));
  }
  return array;
}

MatrixView<const float> matrix(const Distances& array) {
  return {array.data(), static_cast<std::size_t>(array.shape(0)),
          static_cast<std::size_t>(array.shape(1))};
}

Transform make(py::handle data, py::handle query, py::handle offset) {
  const Distances stored = floats(data, "data", 2);
  const MatrixView<const float> a = matrix(stored);
  Distances asked;
  MatrixView<const float> b;
  if (!query.is_none()) {
    asked = floats(query, "query", 2);
    b = matrix(asked);
  }
  std::vector<float> o;
  if (!offset.is_none()) {
    const Distances given = floats(offset, "offset", 1);
    o.assign(given.data(), given.data() + given.size());
  }
  const py::gil_scoped_release released;
  return Transform(a, b, o);
}

py::array shaped(std::vector<float>&& values, std::size_t rows, std::size_t cols) {
  return adopt(std::move(values))
      .reshape({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(cols)});
}

struct Table {
  Table(std::size_t rows_, std::size_t cols_)
      : array({rows_, cols_}), view(array.mutable_data(), rows_, cols_) {}

  Distances array;
  MatrixView<float> view;
};

Distances data(const Transform& self, const py::array& array, py::handle threads,
               py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  const Run run(threads, progress);
  Table out(rows.rows, self.out());
  {
    const py::gil_scoped_release released;
    self.data(rows, out.view, run.options());
  }
  return std::move(out.array);
}

py::tuple queries(const Transform& self, const py::array& array, py::handle metric_name,
                  py::handle threads, py::handle progress) {
  const VectorsView rows = vectors(array, "queries");
  const Metric by = metric(metric_name);
  const Run run(threads, progress);
  Table out(rows.rows, self.out());
  Distances shifts(static_cast<py::ssize_t>(rows.rows));
  float* const shift = shifts.mutable_data();
  {
    const py::gil_scoped_release released;
    self.queries(rows, by, out.view, shift, run.options());
  }
  return py::make_tuple(std::move(out.array), std::move(shifts));
}

Distances inverse(const Transform& self, const py::array& array, py::handle threads,
                  py::handle progress) {
  const VectorsView rows = vectors(array, "transformed");
  const Run run(threads, progress);
  Table out(rows.rows, self.in());
  {
    const py::gil_scoped_release released;
    self.inverse(rows, out.view, run.options());
  }
  return std::move(out.array);
}

}  // namespace

void bind_transform(py::module_& module) {
  py::class_<Transform> bound(module, "Transform");
  bound.def(py::init(&make), py::arg("data"), py::arg("query"), py::arg("offset"));
  bound.def_static(
      "rotation",
      [](py::handle dim, py::handle seed) {
        return Transform::rotation(static_cast<std::size_t>(whole(dim, "dim", 1, kMaxDim)),
                                   seed64(seed));
      },
      py::arg("dim"), py::arg("seed"));
  bound.def_property_readonly("dim", &Transform::in);
  bound.def_property_readonly("out_dim", &Transform::out);
  bound.def_property_readonly("fast", &Transform::fast);
  bound.def_property_readonly("seed", &Transform::seed);
  bound.def("data_matrix", [](const Transform& self) {
    return shaped(self.data_matrix(), self.out(), self.in());
  });
  bound.def("query_matrix", [](const Transform& self) {
    return shaped(self.query_matrix(), self.out(), self.in());
  });
  bound.def("offset", [](const Transform& self) { return adopt(self.offset()); });
  bound.def(
      "fits", [](const Transform& self, py::handle name) { return self.fits(metric(name)); },
      py::arg("metric"));
  bound.def(
      "exact", [](const Transform& self, py::handle name) { return self.exact(metric(name)); },
      py::arg("metric"));
  bound.def("data", data, py::arg("vectors").noconvert(), py::arg("threads"), py::arg("progress"));
  bound.def("queries", queries, py::arg("queries").noconvert(), py::arg("metric"),
            py::arg("threads"), py::arg("progress"));
  bound.def("inverse", inverse, py::arg("transformed").noconvert(), py::arg("threads"),
            py::arg("progress"));
}

}  // namespace vicinal::python
