#include "vicinal/medoids.h"

#include <string>

#include "arguments.h"
#include "classes.h"
#include "run.h"
#include "vicinal/errors.h"

namespace vicinal::python {
namespace {

template <class Kind>
struct Named {
  const char* name;
  Kind kind;
};

constexpr Named<MedoidMetric> kMetrics[] = {
    {"l2", MedoidMetric::kL2},           {"euclidean", MedoidMetric::kEuclidean},
    {"ip", MedoidMetric::kInnerProduct}, {"cosine", MedoidMetric::kCosine},
    {"hamming", MedoidMetric::kHamming}, {"jaccard", MedoidMetric::kJaccard}};
constexpr Named<MedoidMethod> kMethods[] = {{"auto", MedoidMethod::kAuto},
                                            {"fasterpam", MedoidMethod::kFasterPam},
                                            {"sampling", MedoidMethod::kSampling}};
constexpr Named<MedoidStart> kStarts[] = {{"random", MedoidStart::kRandom},
                                          {"lab", MedoidStart::kLab}};

template <class Kind, std::size_t N>
Kind from_name(py::handle value, const char* argument, const Named<Kind> (&table)[N]) {
  if (!py::isinstance<py::str>(value)) {
    throw py::type_error(std::string(argument) + " must be a string, got " +
                         Py_TYPE(value.ptr())->tp_name);
  }
  const auto got = value.cast<std::string>();
  std::string wanted;
  for (const auto& entry : table) {
    if (got == entry.name) return entry.kind;
    wanted += (wanted.empty() ? "'" : ", '") + std::string(entry.name) + "'";
  }
  throw ArgumentError(std::string(argument) + " must be one of " + wanted + ", got " +
                      py::repr(value).cast<std::string>());
}

const char* text(MedoidMethod method) noexcept {
  return method == MedoidMethod::kFasterPam ? "fasterpam" : "sampling";
}

// Labels go out as int32.
constexpr std::int64_t kMostClusters = 0x7FFFFFFF;

std::size_t rows_of(py::handle value, const char* argument, std::int64_t least) {
  return static_cast<std::size_t>(whole(value, argument, least, kNoRow - 1));
}

py::tuple medoids_of(const py::array& array, py::handle clusters, py::handle metric_name,
                     py::handle method, py::handle start, py::handle iterations, py::handle samples,
                     py::handle sample_size, py::handle refine_rows, py::handle seed,
                     py::handle threads, py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  KMedoidsParams params;
  params.clusters = static_cast<std::size_t>(whole(clusters, "clusters", 1, kMostClusters));
  params.metric = from_name(metric_name, "metric", kMetrics);
  params.method = from_name(method, "method", kMethods);
  if (py::isinstance<py::array>(start)) {
    const Ids given = ids_array(start, "start");
    params.start = MedoidStart::kGiven;
    params.first.assign(given.data(), given.data() + given.size());
  } else {
    params.start = from_name(start, "start", kStarts);
  }
  params.iterations = count32(iterations, "iterations", 0);
  params.samples = count32(samples, "samples");
  if (!sample_size.is_none()) params.sample_size = rows_of(sample_size, "sample_size", 1);
  if (!refine_rows.is_none()) params.refine = rows_of(refine_rows, "refine", 0);
  params.seed = seed64(seed);
  const Run run(threads, progress);
  KMedoidsResult found;
  {
    const py::gil_scoped_release released;
    found = kmedoids(rows, params, run.options());
  }
  return py::make_tuple(adopt(std::move(found.medoids)), adopt(std::move(found.labels)), found.loss,
                        found.iterations, found.swaps, found.converged, text(found.method));
}

}  // namespace

void bind_medoids(py::module_& module) {
  module.def("kmedoids", medoids_of, py::arg("vectors").noconvert(), py::arg("clusters"),
             py::arg("metric"), py::arg("method"), py::arg("start"), py::arg("iterations"),
             py::arg("samples"), py::arg("sample_size"), py::arg("refine"), py::arg("seed"),
             py::arg("threads"), py::arg("progress"));
}

}  // namespace vicinal::python
