#include "vicinal/cluster.h"

#include <limits>
#include <string>
#include <utility>

#include "arguments.h"
#include "classes.h"
#include "run.h"
#include "vicinal/errors.h"

namespace vicinal::python {
namespace {

/// Two dimensions of float32 without gaps; the array must outlive the view.
MatrixView<const float> floats(py::handle value, const char* argument) {
  using Floats = py::array_t<float, py::array::c_style>;
  if (!py::isinstance<Floats>(value)) {
    throw py::type_error(std::string(argument) + " must be a float32 array without gaps, got " +
                         Py_TYPE(value.ptr())->tp_name);
  }
  const auto array = py::reinterpret_borrow<Floats>(value);
  if (array.ndim() != 2) {
    throw ArgumentError(std::string(argument) + " has " + std::to_string(array.ndim()) +
                        " dimensions; wanted 2");
  }
  return {array.data(), static_cast<std::size_t>(array.shape(0)),
          static_cast<std::size_t>(array.shape(1))};
}

py::tuple cluster(const py::array& array, py::handle clusters, py::handle metric_name,
                  py::handle start, py::handle first, py::handle iterations, py::handle restarts,
                  py::handle tolerance, py::handle balance_name, py::handle slack,
                  py::handle branching, py::handle epsilon, py::handle rounds, py::handle seed,
                  py::handle threads, py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  KMeansParams params;
  params.clusters = count32(clusters, "clusters");
  params.metric = metric(metric_name);
  params.start = kmeans_start(start);
  if (params.start == KMeansStart::kGiven) params.first = floats(first, "start");
  params.iterations = count32(iterations, "iterations", 0);
  params.restarts = count32(restarts, "restarts");
  params.tolerance = real64(tolerance, "tolerance");
  params.balance = balance(balance_name);
  params.slack = real64(slack, "slack");
  params.branching = count32(branching, "branching");
  params.epsilon = real64(epsilon, "epsilon");
  params.rounds = count32(rounds, "rounds");
  params.seed = seed64(seed);
  const Run run(threads, progress);
  KMeansResult result;
  {
    const py::gil_scoped_release released;
    result = kmeans(rows, params, run.options());
  }
  return py::make_tuple(adopt(std::move(result.centroids)), adopt(std::move(result.labels)),
                        adopt(std::move(result.sizes)), result.objective, result.entropy,
                        result.max_over_mean, result.iterations, result.converged);
}

py::tuple assign_rows(const py::array& array, py::handle centroids, py::handle metric_name,
                      py::handle nearest, py::handle threads, py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  const MatrixView<const float> table = floats(centroids, "centroids");
  const Metric which = metric(metric_name);
  const auto several = static_cast<std::size_t>(
      whole(nearest, "nearest", 1, std::numeric_limits<std::int32_t>::max()));
  const Run run(threads, progress);
  py::array_t<std::uint32_t, py::array::c_style> labels({rows.rows, several});
  Distances distances({rows.rows, several});
  std::uint32_t* labels_data = labels.mutable_data();
  float* distances_data = distances.mutable_data();
  {
    const py::gil_scoped_release released;
    assign(rows, table, which, {labels_data, rows.rows, several},
           {distances_data, rows.rows, several}, run.options());
  }
  return py::make_tuple(std::move(labels), std::move(distances));
}

}  // namespace

void bind_cluster(py::module_& module) {
  module.def("kmeans", cluster, py::arg("vectors").noconvert(), py::arg("clusters"),
             py::arg("metric"), py::arg("start"), py::arg("first"), py::arg("iterations"),
             py::arg("restarts"), py::arg("tolerance"), py::arg("balance"), py::arg("slack"),
             py::arg("branching"), py::arg("epsilon"), py::arg("rounds"), py::arg("seed"),
             py::arg("threads"), py::arg("progress"));
  module.def("assign", assign_rows, py::arg("vectors").noconvert(), py::arg("centroids"),
             py::arg("metric"), py::arg("nearest"), py::arg("threads"), py::arg("progress"));
}

}  // namespace vicinal::python
