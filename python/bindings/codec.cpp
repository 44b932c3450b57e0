#include "arguments.h"
#include "classes.h"
#include "run.h"
#include "vicinal/errors.h"
#include "vicinal/vector_codec.h"

namespace vicinal::python {
namespace {

using Codes = py::array_t<std::uint8_t, py::array::c_style>;

VectorCodec train(py::handle spec, py::handle metric_name, const py::array& array,
                  py::handle threads, py::handle progress) {
  const CodecSpec wanted = codec_spec(spec);
  const Metric rank = metric(metric_name);
  const VectorsView rows = vectors(array, "vectors");
  const Run run(threads, progress);
  const py::gil_scoped_release released;
  return VectorCodec::train(wanted, rank, rows, run.options());
}

MatrixView<const std::uint8_t> codes_of(const Codes& codes) {
  if (codes.ndim() != 2) {
    throw ArgumentError("codes has " + std::to_string(codes.ndim()) + " dimensions; wanted 2");
  }
  return {codes.data(), static_cast<std::size_t>(codes.shape(0)),
          static_cast<std::size_t>(codes.shape(1))};
}

py::array encode(const VectorCodec& self, const py::array& array, py::handle threads,
                 py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  const Run run(threads, progress);
  Codes codes({rows.rows, self.bytes()});
  const MatrixView<std::uint8_t> out(codes.mutable_data(), rows.rows, self.bytes());
  {
    const py::gil_scoped_release released;
    self.encode(rows, out, run.options());
  }
  return std::move(codes);
}

py::array decode(const VectorCodec& self, const Codes& codes, py::handle threads) {
  const auto in = codes_of(codes);
  const Run run(threads, py::none());
  Distances rows({in.rows(), self.dim()});
  const MatrixView<float> out(rows.mutable_data(), in.rows(), self.dim());
  {
    const py::gil_scoped_release released;
    self.decode(in, out, run.options());
  }
  return std::move(rows);
}

py::array distances(const VectorCodec& self, const py::array& array, const Codes& codes,
                    py::handle threads) {
  const VectorsView queries = vectors(array, "queries");
  const auto in = codes_of(codes);
  const Run run(threads, py::none());
  Distances found({queries.rows, in.rows()});
  const MatrixView<float> out(found.mutable_data(), queries.rows, in.rows());
  {
    const py::gil_scoped_release released;
    self.distances(queries, in, out, run.options());
  }
  return std::move(found);
}

}  // namespace

void bind_codec(py::module_& module) {
  py::class_<VectorCodec> bound(module, "VectorCodec");
  bound.def_static("train", train, py::arg("codec"), py::arg("metric"),
                   py::arg("vectors").noconvert(), py::arg("threads"), py::arg("progress"));
  bound.def_property_readonly("codec",
                              [](const VectorCodec& self) { return tuple(self.spec()); });
  bound.def_property_readonly("dim", &VectorCodec::dim);
  bound.def_property_readonly("bytes", &VectorCodec::bytes);
  bound.def_property_readonly("metric",
                              [](const VectorCodec& self) { return text(self.metric()); });
  bound.def("encode", encode, py::arg("vectors").noconvert(), py::arg("threads"),
            py::arg("progress"));
  bound.def("decode", decode, py::arg("codes").noconvert(), py::arg("threads"));
  bound.def("distances", distances, py::arg("queries").noconvert(), py::arg("codes").noconvert(),
            py::arg("threads"));
}

}  // namespace vicinal::python
