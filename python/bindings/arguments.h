#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vicinal/codec.h"
#include "vicinal/cluster.h"
#include "vicinal/hnsw.h"
#include "vicinal/binary.h"
#include "vicinal/idset.h"
#include "vicinal/memory.h"
#include "vicinal/transform.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::python {

namespace py = pybind11;

using Ids = py::array_t<std::int64_t, py::array::c_style>;
using Distances = py::array_t<float, py::array::c_style>;

// Every function below throws before anything has been done, and names the argument: TypeError for
// a value of the wrong kind, ArgumentError for a value out of range.

/// The array as it lies in memory; one dimension counts as a single row. It must outlive the view.
VectorsView vectors(const py::array& array, const char* argument);

/// Whole numbers only: anything with __index__ except bool.
std::int64_t whole(py::handle value, const char* argument, std::int64_t least, std::int64_t most);
std::uint32_t count32(py::handle value, const char* argument, std::uint32_t least = 1);
std::uint64_t seed64(py::handle value);
float real(py::handle value, const char* argument);
double real64(py::handle value, const char* argument);

/// A one-dimensional int64 array without gaps.
Ids ids_array(py::handle value, const char* argument);
/// None, a bool mask or int64 ids.
Allowed allowed(py::handle value);

std::string path(py::handle bytes);

Metric metric(py::handle name);
/// (name, parts, bits, variant, seed), as vicinal.params writes it.
CodecSpec codec_spec(py::handle value);
BitMetric bit_metric(py::handle name);
BitThreshold bit_threshold(py::handle name);
RefineKind refine(py::handle name);
KMeansStart kmeans_start(py::handle name);
Balance balance(py::handle name);
HnswParams::Builder builder(py::handle name);
/// None, or a bound Transform.
std::optional<Transform> transform(py::handle value);
const char* text(Metric metric) noexcept;
py::tuple tuple(const CodecSpec& codec);
const char* text(BitMetric metric) noexcept;
const char* text(RefineKind refine) noexcept;

/// Room for the answers to `queries` queries.
struct Answers {
  Answers(std::size_t queries, std::size_t k);
  MatrixView<std::int64_t> ids_view() { return {ids_data, queries, k}; }
  MatrixView<float> distances_view() { return {distances_data, queries, k}; }
  py::tuple take() { return py::make_tuple(std::move(ids), std::move(distances)); }

  std::size_t queries;
  std::size_t k;
  Ids ids;
  Distances distances;
  std::int64_t* ids_data;
  float* distances_data;
};

/// A numpy array that owns what the vector held; nothing is copied.
template <class T>
py::array_t<T> adopt(std::vector<T>&& values) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  const auto size = static_cast<py::ssize_t>(owned->size());
  const T* data = owned->data();
  const py::capsule owner(owned.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  owned.release();
  return py::array_t<T>({size}, {static_cast<py::ssize_t>(sizeof(T))}, data, owner);
}

/// [(name, bytes, mapped), ...]
py::list parts(const MemoryReport& report);

}  // namespace vicinal::python
