#include "vicinal/binary.h"

#include "classes.h"
#include "index.h"

namespace vicinal::python {
namespace {

using Bits = py::array_t<std::uint8_t, py::array::c_style>;

Run::Length length(const BinaryIndex& self, const VectorsView& queries) {
  constexpr std::size_t kShortWork = std::size_t{1} << 28;  // bits compared: some milliseconds
  const bool brief = queries.rows < kShortQueries &&
                     self.size() < kShortWork / self.dim() / (queries.rows + 1);
  return brief ? Run::Length::kShort : Run::Length::kLong;
}

py::tuple search(const BinaryIndex& self, const py::array& array, py::handle k, py::handle allow,
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

py::tuple range_search(const BinaryIndex& self, const py::array& array, py::handle radius,
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

/// A table of ids without gaps, a row per query. It must outlive the view.
MatrixView<const std::int64_t> id_table(py::handle value, const char* argument) {
  if (!py::isinstance<Ids>(value)) {
    throw py::type_error(std::string(argument) + " must be an int64 array without gaps, got " +
                         Py_TYPE(value.ptr())->tp_name);
  }
  const auto ids = py::reinterpret_borrow<Ids>(value);
  if (ids.ndim() != 2) {
    throw ArgumentError(std::string(argument) + " has " + std::to_string(ids.ndim()) +
                        " dimensions; wanted 2: a row per query");
  }
  return {ids.data(), static_cast<std::size_t>(ids.shape(0)),
          static_cast<std::size_t>(ids.shape(1))};
}

py::tuple rescore(const BinaryIndex& self, const py::array& array, py::handle ids, py::handle k,
                  py::handle threads, py::handle progress) {
  const VectorsView queries = vectors(array, "queries");
  const MatrixView<const std::int64_t> candidates = id_table(ids, "ids");
  const Run run(threads, progress);
  Answers answers(queries.rows, neighbours(k));
  {
    const py::gil_scoped_release released;
    self.rescore(queries, candidates, answers.ids_view(), answers.distances_view(), run.options());
  }
  return answers.take();
}

py::tuple rerank_rows(const py::array& asked, const py::array& stored, py::handle ids,
                      py::handle k, py::handle metric_name, py::handle threads,
                      py::handle progress) {
  const VectorsView queries = vectors(asked, "queries");
  const VectorsView rows = vectors(stored, "vectors");
  const MatrixView<const std::int64_t> candidates = id_table(ids, "ids");
  const Metric measure = metric(metric_name);
  const Run run(threads, progress);
  Answers answers(queries.rows, neighbours(k));
  {
    const py::gil_scoped_release released;
    rerank(queries, rows, measure, candidates, answers.ids_view(), answers.distances_view(),
           run.options());
  }
  return answers.take();
}

py::array_t<float> thresholds_of(const py::array& array, py::handle kind, py::handle threads,
                                 py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  const BitThreshold chosen = bit_threshold(kind);
  const Run run(threads, progress);
  std::vector<float> found;
  {
    const py::gil_scoped_release released;
    found = bit_thresholds(rows, chosen, run.options());
  }
  return adopt(std::move(found));
}

Bits packed(const py::array& array, py::handle thresholds, py::handle threads,
            py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  const float* limits = nullptr;
  if (!thresholds.is_none()) {
    if (!py::isinstance<Distances>(thresholds)) {
      throw py::type_error(std::string("threshold must be a float32 array without gaps, got ") +
                           Py_TYPE(thresholds.ptr())->tp_name);
    }
    const auto given = py::reinterpret_borrow<Distances>(thresholds);
    if (given.ndim() != 1 || static_cast<std::size_t>(given.size()) != rows.cols) {
      throw ArgumentError("threshold has " + std::to_string(given.size()) +
                          " entries; wanted one for each of " + std::to_string(rows.cols) +
                          " columns");
    }
    limits = given.data();  // the caller's reference keeps the array
  }
  const Run run(threads, progress);
  Bits out({rows.rows, (rows.cols + 7) / 8});
  std::uint8_t* const data = out.mutable_data();
  {
    const py::gil_scoped_release released;
    pack_bits(rows, limits, data, run.options());
  }
  return out;
}

}  // namespace

void bind_binary(py::module_& module) {
  py::class_<BinaryIndex> bound(module, "BinaryIndex");
  bound.def(py::init([](py::handle dim, py::handle metric_name) {
              return BinaryIndex(static_cast<std::size_t>(whole(dim, "dim", 1, kMaxBits)),
                                 bit_metric(metric_name));
            }),
            py::arg("dim"), py::arg("metric"));
  bind_common<std::uint8_t>(bound);
  bound.def("search", search, py::arg("queries").noconvert(), py::arg("k"), py::arg("allow"),
            py::arg("threads"), py::arg("progress"));
  bound.def("range_search", range_search, py::arg("queries").noconvert(), py::arg("radius"),
            py::arg("allow"), py::arg("threads"), py::arg("progress"));
  bound.def("rescore", rescore, py::arg("queries").noconvert(), py::arg("ids"), py::arg("k"),
            py::arg("threads"), py::arg("progress"));
  module.def("rerank", rerank_rows, py::arg("queries").noconvert(),
             py::arg("vectors").noconvert(), py::arg("ids"), py::arg("k"), py::arg("metric"),
             py::arg("threads"), py::arg("progress"));
  module.def("bit_thresholds", thresholds_of, py::arg("vectors").noconvert(), py::arg("kind"),
             py::arg("threads"), py::arg("progress"));
  module.def("pack_bits", packed, py::arg("vectors").noconvert(), py::arg("thresholds"),
             py::arg("threads"), py::arg("progress"));
}

}  // namespace vicinal::python
