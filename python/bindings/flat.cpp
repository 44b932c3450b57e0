#include "vicinal/flat.h"

#include "classes.h"
#include "index.h"

namespace vicinal::python {
namespace {

Run::Length length(const FlatIndex& self, const VectorsView& queries) {
  constexpr std::size_t kShortWork = std::size_t{1} << 24;  // numbers compared: some milliseconds
  const bool brief = queries.rows < kShortQueries &&
                     self.size() < kShortWork / self.dim() / (queries.rows + 1);
  return brief ? Run::Length::kShort : Run::Length::kLong;
}

py::tuple search(const FlatIndex& self, const py::array& array, py::handle k, py::handle allow,
                 py::handle threads, py::handle progress) {
  const VectorsView queries = vectors(array, "queries");
  const Allowed only = allowed(allow);
  const Run run(threads, progress, length(self, queries));
  Answers answers(queries.rows, neighbours(k));
  {
    const py::gil_scoped_release released;
    self.search(queries, answers.ids_view(), answers.distances_view(), only, run.options());
  }
  return answers.take();
}

py::tuple range_search(const FlatIndex& self, const py::array& array, py::handle radius,
                       py::handle allow, py::handle threads, py::handle progress) {
  const VectorsView queries = vectors(array, "queries");
  const float reach = real(radius, "radius");
  const Allowed only = allowed(allow);
  const Run run(threads, progress);
  RangeResult found;
  {
    const py::gil_scoped_release released;
    found = self.range_search(queries, reach, only, run.options());
  }
  return py::make_tuple(adopt(std::move(found.offsets)), adopt(std::move(found.ids)),
                        adopt(std::move(found.distances)));
}

}  // namespace

void bind_flat(py::module_& module) {
  py::class_<FlatIndex> bound(module, "FlatIndex");
  bound.def(py::init([](py::handle dim, py::handle metric_name, py::handle codec,
                        py::handle before) {
              FlatParams params;
              params.codec = codec_spec(codec);
              params.transform = transform(before);
              return FlatIndex(static_cast<std::size_t>(whole(dim, "dim", 1, kMaxDim)),
                               metric(metric_name), params);
            }),
            py::arg("dim"), py::arg("metric"), py::arg("codec"), py::arg("transform"));
  bind_common(bound);
  bound.def_property_readonly("codec",
                              [](const FlatIndex& self) { return tuple(self.params().codec); });
  bound.def("search", search, py::arg("queries").noconvert(), py::arg("k"), py::arg("allow"),
            py::arg("threads"), py::arg("progress"));
  bound.def("range_search", range_search, py::arg("queries").noconvert(), py::arg("radius"),
            py::arg("allow"), py::arg("threads"), py::arg("progress"));
}

}  // namespace vicinal::python
