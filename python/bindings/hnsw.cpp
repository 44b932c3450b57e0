#include "vicinal/hnsw.h"

#include <algorithm>

#include "classes.h"
#include "index.h"

namespace vicinal::python {
namespace {

HnswIndex make(py::handle dim, py::handle metric_name, py::handle codec,
               py::handle refine_name, py::handle links, py::handle build_ef, py::handle seed,
               py::handle builder_name, py::handle before) {
  HnswParams params;
  params.codec = codec_spec(codec);
  params.refine = refine(refine_name);
  params.links = count32(links, "links");
  params.build_ef = count32(build_ef, "build_ef");
  params.seed = seed64(seed);
  params.builder = builder(builder_name);
  params.transform = transform(before);
  return HnswIndex(static_cast<std::size_t>(whole(dim, "dim", 1, kMaxDim)), metric(metric_name),
                   params);
}

HnswSearch how(py::handle ef, py::handle slack, py::handle rerank, py::handle allow) {
  HnswSearch out;
  out.ef = count32(ef, "ef");
  if (!slack.is_none()) {
    out.slack = real(slack, "slack");
    // One negative value means none, and is no way to say so from outside.
    if (out.slack < 0) throw ArgumentError("slack is below 0; wanted 0 or more");
  }
  if (!rerank.is_none()) out.rerank = count32(rerank, "rerank");
  out.allowed = allowed(allow);
  return out;
}

Run::Length length(const VectorsView& queries, std::size_t candidates) {
  constexpr std::size_t kShortWork = std::size_t{1} << 17;  // candidates of all queries
  const bool brief = queries.rows < kShortQueries && queries.rows * candidates < kShortWork;
  return brief ? Run::Length::kShort : Run::Length::kLong;
}

py::tuple search(const HnswIndex& self, const py::array& array, py::handle k, py::handle ef,
                 py::handle slack, py::handle rerank, py::handle allow, py::handle without,
                 py::handle threads, py::handle progress) {
  const VectorsView queries = vectors(array, "queries");
  HnswSearch params = how(ef, slack, rerank, allow);
  const Ids absent = without.is_none() ? Ids(0) : ids_array(without, "without");
  if (!without.is_none()) {
    if (static_cast<std::size_t>(absent.size()) != queries.rows) {
      throw ArgumentError("without has " + std::to_string(absent.size()) + " ids; wanted one for " +
                          "each of " + std::to_string(queries.rows) + " queries");
    }
    params.without = absent.data();
  }
  const std::size_t wanted = neighbours(k);
  const Run run(threads, progress, length(queries, std::max<std::size_t>(params.ef, wanted)));
  Answers answers(queries.rows, wanted);
  {
    const py::gil_scoped_release released;
    self.search(queries, params, answers.ids_view(), answers.distances_view(), run.options());
  }
  return answers.take();
}

py::tuple search_stats(const HnswIndex& self, const py::array& array, py::handle k, py::handle ef,
                       py::handle slack, py::handle rerank, py::handle allow,
                       py::handle threads) {
  const VectorsView queries = vectors(array, "queries");
  const HnswSearch params = how(ef, slack, rerank, allow);
  const Run run(threads, py::none());
  Answers answers(queries.rows, neighbours(k));
  HnswStats stats;
  {
    const py::gil_scoped_release released;
    self.search(queries, params, answers.ids_view(), answers.distances_view(), run.options(),
                &stats);
  }
  return py::make_tuple(stats.hops, stats.distances, stats.reranked, stats.scanned);
}

void compact(HnswIndex& self, py::handle threads, py::handle progress) {
  const Run run(threads, progress);
  const py::gil_scoped_release released;
  self.compact(run.options());
}

void reorder(HnswIndex& self, py::handle threads, py::handle progress) {
  const Run run(threads, progress);
  const py::gil_scoped_release released;
  self.reorder(run.options());
}

}  // namespace

void bind_hnsw(py::module_& module) {
  py::class_<HnswIndex> bound(module, "HnswIndex");
  bound.def(py::init(&make), py::arg("dim"), py::arg("metric"), py::arg("codec"),
            py::arg("refine"), py::arg("links"), py::arg("build_ef"), py::arg("seed"),
            py::arg("builder"), py::arg("transform"));
  bind_common(bound);
  using Self = const HnswIndex&;
  bound.def_property_readonly("codec", [](Self self) { return tuple(self.params().codec); });
  bound.def_property_readonly("refine", [](Self self) { return text(self.params().refine); });
  bound.def_property_readonly("links", [](Self self) { return self.params().links; });
  bound.def_property_readonly("build_ef", [](Self self) { return self.params().build_ef; });
  bound.def_property_readonly("seed", [](Self self) { return self.params().seed; });
  bound.def_property_readonly("builder", [](Self self) { return name(self.params().builder); });
  bound.def("removed", &HnswIndex::removed, py::call_guard<py::gil_scoped_release>());
  bound.def("compact", compact, py::arg("threads"), py::arg("progress"));
  bound.def("reorder", reorder, py::arg("threads"), py::arg("progress"));
  bound.def("search", search, py::arg("queries").noconvert(), py::arg("k"), py::arg("ef"),
            py::arg("slack"), py::arg("rerank"), py::arg("allow"), py::arg("without"),
            py::arg("threads"), py::arg("progress"));
  bound.def("search_stats", search_stats, py::arg("queries").noconvert(), py::arg("k"),
            py::arg("ef"), py::arg("slack"), py::arg("rerank"), py::arg("allow"),
            py::arg("threads"));
}

}  // namespace vicinal::python
