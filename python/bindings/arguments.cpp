#include "arguments.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "vicinal/errors.h"

namespace vicinal::python {
namespace {

std::string type_name(py::handle value) { return Py_TYPE(value.ptr())->tp_name; }

std::string shown(py::handle value) {
  std::string full = py::repr(value).cast<std::string>();
  constexpr std::size_t kLongest = 80;
  if (full.size() > kLongest) {
    full.resize(kLongest);
    full += "...";
  }
  return full;
}

template <class Kind>
struct Named {
  const char* name;
  Kind kind;
};

constexpr Named<Metric> kMetrics[] = {
    {"l2", Metric::kL2}, {"ip", Metric::kInnerProduct}, {"cosine", Metric::kCosine}};
constexpr Named<BitMetric> kBitMetrics[] = {{"hamming", BitMetric::kHamming},
                                            {"jaccard", BitMetric::kJaccard}};
constexpr Named<BitThreshold> kBitThresholds[] = {{"mean", BitThreshold::kMean},
                                                  {"median", BitThreshold::kMedian}};
constexpr Named<CodecKind> kCodecs[] = {
    {"float32", CodecKind::kFloat32}, {"float16", CodecKind::kFloat16},
    {"bfloat16", CodecKind::kBfloat16}, {"int8", CodecKind::kInt8},
    {"uint8", CodecKind::kUint8},       {"sq8", CodecKind::kSq8},
    {"sq4", CodecKind::kSq4},           {"sq4x8", CodecKind::kSq4x8},
    {"float8", CodecKind::kFloat8},     {"pq", CodecKind::kPq},
    {"rq", CodecKind::kRq},             {"rabitq", CodecKind::kRotation},
    {"signs", CodecKind::kBits}};
constexpr Named<RefineKind> kRefines[] = {{"none", RefineKind::kNone},
                                          {"float16", RefineKind::kFloat16},
                                          {"float32", RefineKind::kFloat32},
                                          {"sq8", RefineKind::kSq8}};
constexpr Named<KMeansStart> kStarts[] = {{"k-means++", KMeansStart::kPlusPlus},
                                           {"random", KMeansStart::kRandom},
                                           {"given", KMeansStart::kGiven}};
constexpr Named<Balance> kBalances[] = {{"none", Balance::kNone},
                                        {"penalty", Balance::kPenalty},
                                        {"capacity", Balance::kCapacity},
                                        {"transport", Balance::kTransport}};
constexpr Named<HnswParams::Builder> kBuilders[] = {{"auto", HnswParams::Builder::kAuto},
                                                    {"batch", HnswParams::Builder::kBatch},
                                                    {"insert", HnswParams::Builder::kInsert}};

template <class Kind, std::size_t N>
Kind from_name(py::handle value, const char* argument, const Named<Kind> (&table)[N]) {
  if (!py::isinstance<py::str>(value)) {
    throw py::type_error(std::string(argument) + " must be a string, got " + type_name(value));
  }
  const auto name = value.cast<std::string>();
  std::string wanted;
  for (const auto& entry : table) {
    if (name == entry.name) return entry.kind;
    wanted += (wanted.empty() ? "'" : ", '") + std::string(entry.name) + "'";
  }
  throw ArgumentError(std::string(argument) + " must be one of " + wanted + ", got " +
                      shown(value));
}

template <class Kind, std::size_t N>
const char* to_name(Kind kind, const Named<Kind> (&table)[N]) noexcept {
  for (const auto& entry : table) {
    if (entry.kind == kind) return entry.name;
  }
  return "unknown";
}

ElementType element_type(const py::array& array, const char* argument) {
  const py::dtype type = array.dtype();
  const char order = type.byteorder();
  if (order == '=' || order == '|') {
    switch (type.char_()) {
      case 'd': return ElementType::kFloat64;
      case 'f': return ElementType::kFloat32;
      case 'e': return ElementType::kFloat16;
      case 'b': return ElementType::kInt8;
      case 'B': return ElementType::kUint8;
      default: break;
    }
  }
  throw py::type_error(std::string(argument) + " holds " + py::str(type).cast<std::string>() +
                       "; wanted float64, float32, float16, int8 or uint8");
}

}  // namespace

VectorsView vectors(const py::array& array, const char* argument) {
  const ElementType type = element_type(array, argument);
  switch (array.ndim()) {
    case 1:
      return {array.data(), type, 1, static_cast<std::size_t>(array.shape(0)), 0,
              array.strides(0)};
    case 2:
      return {array.data(),
              type,
              static_cast<std::size_t>(array.shape(0)),
              static_cast<std::size_t>(array.shape(1)),
              array.strides(0),
              array.strides(1)};
    default:
      throw ArgumentError(std::string(argument) + " has " + std::to_string(array.ndim()) +
                          " dimensions; wanted 2 (one vector per row), or 1 for a single vector");
  }
}

std::int64_t whole(py::handle value, const char* argument, std::int64_t least, std::int64_t most) {
  const bool is_bool = PyBool_Check(value.ptr()) != 0;
  py::object index;
  if (!is_bool && PyLong_Check(value.ptr()) == 0) {
    index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!index) PyErr_Clear();
  }
  PyObject* const number = index ? index.ptr() : value.ptr();
  if (is_bool || PyLong_Check(number) == 0) {
    throw py::type_error(std::string(argument) + " must be a whole number, got " +
                         type_name(value) + " " + shown(value));
  }
  int overflow = 0;
  const long long got = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (got == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  if (overflow != 0 || got < least || got > most) {
    throw ArgumentError(std::string(argument) + " must be from " + std::to_string(least) + " to " +
                        std::to_string(most) + ", got " + shown(value));
  }
  return got;
}

std::uint32_t count32(py::handle value, const char* argument, std::uint32_t least) {
  return static_cast<std::uint32_t>(
      whole(value, argument, least, std::numeric_limits<std::uint32_t>::max()));
}

std::uint64_t seed64(py::handle value) {
  return static_cast<std::uint64_t>(
      whole(value, "seed", 0, std::numeric_limits<std::int64_t>::max()));
}

double real64(py::handle value, const char* argument) {
  const double got = PyFloat_AsDouble(value.ptr());
  if (got == -1.0 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw py::type_error(std::string(argument) + " must be a number, got " + type_name(value) +
                         " " + shown(value));
  }
  if (std::isnan(got)) throw ArgumentError(std::string(argument) + " must be a number, got nan");
  return got;
}

float real(py::handle value, const char* argument) {
  return static_cast<float>(real64(value, argument));
}

Ids ids_array(py::handle value, const char* argument) {
  if (!py::isinstance<Ids>(value)) {
    throw py::type_error(std::string(argument) +
                         " must be an int64 array without gaps, got " + type_name(value));
  }
  auto ids = py::reinterpret_borrow<Ids>(value);
  if (ids.ndim() != 1) {
    throw ArgumentError(std::string(argument) + " has " + std::to_string(ids.ndim()) +
                        " dimensions; wanted 1");
  }
  return ids;
}

Allowed allowed(py::handle value) {
  Allowed out;
  if (value.is_none()) return out;
  if (!py::isinstance<py::array>(value)) {
    throw py::type_error("allow must be an array of bool or of integers, got " + type_name(value));
  }
  const auto array = py::reinterpret_borrow<py::array>(value);
  const bool plain = (array.flags() & py::array::c_style) != 0;
  const char kind = array.dtype().char_();
  if (array.ndim() != 1 || !plain) {
    throw ArgumentError("allow must have 1 dimension and no gaps, got " +
                        std::to_string(array.ndim()));
  }
  out.count = static_cast<std::size_t>(array.shape(0));
  if (kind == '?') {
    out.mask = static_cast<const std::uint8_t*>(array.data());
  } else if (py::isinstance<Ids>(value)) {
    out.ids = static_cast<const std::int64_t*>(array.data());
  } else {
    throw py::type_error("allow holds " + py::str(array.dtype()).cast<std::string>() +
                         "; wanted bool (one per id) or int64 ids");
  }
  return out;
}

std::string path(py::handle bytes) {
  auto text = py::cast<std::string>(bytes);
  if (text.find('\0') != std::string::npos) {
    throw ArgumentError("path must not hold a null byte, got " + shown(bytes));
  }
  return text;
}

Metric metric(py::handle name) { return from_name(name, "metric", kMetrics); }
BitMetric bit_metric(py::handle name) { return from_name(name, "metric", kBitMetrics); }
BitThreshold bit_threshold(py::handle name) {
  return from_name(name, "threshold", kBitThresholds);
}
RefineKind refine(py::handle name) { return from_name(name, "refine", kRefines); }
KMeansStart kmeans_start(py::handle name) { return from_name(name, "start", kStarts); }
Balance balance(py::handle name) { return from_name(name, "balance", kBalances); }
std::optional<Transform> transform(py::handle value) {
  if (value.is_none()) return {};
  if (!py::isinstance<Transform>(value)) {
    throw py::type_error(std::string("transform must be None or a Transform, got ") +
                         Py_TYPE(value.ptr())->tp_name);
  }
  return value.cast<const Transform&>();
}

HnswParams::Builder builder(py::handle name) { return from_name(name, "builder", kBuilders); }
const char* text(Metric metric) noexcept { return to_name(metric, kMetrics); }
const char* text(BitMetric metric) noexcept { return to_name(metric, kBitMetrics); }
const char* text(RefineKind refine) noexcept { return to_name(refine, kRefines); }

CodecSpec codec_spec(py::handle value) {
  if (!py::isinstance<py::tuple>(value) || py::len(value) != 5) {
    throw py::type_error("codec must be a tuple of name, parts, bits, variant and seed, got " +
                         shown(value));
  }
  const auto fields = py::reinterpret_borrow<py::tuple>(value);
  CodecSpec spec = from_name(fields[0], "codec", kCodecs);
  spec.parts = count32(fields[1], "codec parts", 0);
  spec.bits = count32(fields[2], "codec bits", 0);
  spec.variant = count32(fields[3], "codec variant", 0);
  spec.seed = seed64(fields[4]);
  return spec;
}

py::tuple tuple(const CodecSpec& codec) {
  return py::make_tuple(to_name(codec.kind, kCodecs), codec.parts, codec.bits, codec.variant,
                        codec.seed);
}

Answers::Answers(std::size_t queries_, std::size_t k_)
    : queries(queries_),
      k(k_),
      ids({queries_, k_}),
      distances({queries_, k_}),
      ids_data(ids.mutable_data()),
      distances_data(distances.mutable_data()) {}

py::list parts(const MemoryReport& report) {
  py::list out;
  for (const MemoryPart& part : report) {
    out.append(py::make_tuple(part.name, part.bytes, part.mapped));
  }
  return out;
}

}  // namespace vicinal::python
