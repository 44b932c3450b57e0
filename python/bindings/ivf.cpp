#include "vicinal/ivf.h"

#include <limits>

#include "classes.h"
#include "index.h"

namespace vicinal::python {
namespace {

IvfIndex make(py::handle dim, py::handle metric_name, py::handle codec, py::handle refine_name,
              py::handle lists, bool residual, bool soar, py::handle spill, py::handle balance,
              py::handle seed, py::handle before) {
  IvfParams params;
  params.codec = codec_spec(codec);
  params.refine = refine(refine_name);
  if (!lists.is_none()) params.lists = count32(lists, "lists");
  params.residual = residual;
  params.soar = soar;
  params.spill = real(spill, "spill");
  params.balance = real(balance, "balance");
  params.seed = seed64(seed);
  params.transform = transform(before);
  return IvfIndex(static_cast<std::size_t>(whole(dim, "dim", 1, kMaxDim)), metric(metric_name),
                  params);
}

IvfSearch how(py::handle nprobe, py::handle candidates, py::handle cut, py::handle allow) {
  IvfSearch out;
  out.nprobe = count32(nprobe, "nprobe");
  if (!candidates.is_none()) out.candidates = count32(candidates, "candidates");
  if (!cut.is_none()) out.cut = real(cut, "cut");
  out.allowed = allowed(allow);
  return out;
}

Run::Length length(const VectorsView& queries) {
  return queries.rows < kShortQueries ? Run::Length::kShort : Run::Length::kLong;
}

py::tuple search(const IvfIndex& self, const py::array& array, py::handle k, py::handle nprobe,
                 py::handle candidates, py::handle cut, py::handle allow, py::handle threads,
                 py::handle progress) {
  const VectorsView queries = vectors(array, "queries");
  const IvfSearch params = how(nprobe, candidates, cut, allow);
  const Run run(threads, progress, length(queries));
  Answers answers(queries.rows, neighbours(k));
  {
    const py::gil_scoped_release released;
    self.search(queries, params, answers.ids_view(), answers.distances_view(), run.options());
  }
  return answers.take();
}

py::tuple search_stats(const IvfIndex& self, const py::array& array, py::handle k,
                       py::handle nprobe, py::handle candidates, py::handle cut, py::handle allow,
                       py::handle threads) {
  const VectorsView queries = vectors(array, "queries");
  const IvfSearch params = how(nprobe, candidates, cut, allow);
  const Run run(threads, py::none());
  Answers answers(queries.rows, neighbours(k));
  IvfStats stats;
  {
    const py::gil_scoped_release released;
    self.search(queries, params, answers.ids_view(), answers.distances_view(), run.options(),
                &stats);
  }
  return py::make_tuple(stats.lists, stats.distances, stats.reranked);
}

void train(IvfIndex& self, const py::array& array, py::handle threads, py::handle progress) {
  const VectorsView rows = vectors(array, "vectors");
  const Run run(threads, progress);
  const py::gil_scoped_release released;
  self.train(rows, run.options());
}

}  // namespace

void bind_ivf(py::module_& module) {
  py::class_<IvfIndex> bound(module, "IvfIndex");
  bound.def(py::init(&make), py::arg("dim"), py::arg("metric"), py::arg("codec"), py::arg("refine"),
            py::arg("lists"), py::arg("residual"), py::arg("soar"), py::arg("spill"),
            py::arg("balance"), py::arg("seed"), py::arg("transform"));
  bind_common(bound);
  using Self = const IvfIndex&;
  bound.def_property_readonly("codec", [](Self self) { return tuple(self.params().codec); });
  bound.def_property_readonly("refine", [](Self self) { return text(self.params().refine); });
  bound.def_property_readonly("lists", [](Self self) { return self.params().lists; });
  bound.def_property_readonly("residual", [](Self self) { return self.params().residual; });
  bound.def_property_readonly("soar", [](Self self) { return self.params().soar; });
  bound.def_property_readonly("spill", [](Self self) { return self.params().spill; });
  bound.def_property_readonly("balance", [](Self self) { return self.params().balance; });
  bound.def_property_readonly("seed", [](Self self) { return self.params().seed; });
  bound.def("list_sizes", [](Self self) {
    std::vector<std::uint32_t> sizes;
    {
      const py::gil_scoped_release released;
      sizes = self.list_sizes();
    }
    return adopt(std::move(sizes));
  });
  bound.def("train", train, py::arg("vectors").noconvert(), py::arg("threads"),
            py::arg("progress"));
  bound.def("search", search, py::arg("queries").noconvert(), py::arg("k"), py::arg("nprobe"),
            py::arg("candidates"), py::arg("cut"), py::arg("allow"), py::arg("threads"),
            py::arg("progress"));
  bound.def("search_stats", search_stats, py::arg("queries").noconvert(), py::arg("k"),
            py::arg("nprobe"), py::arg("candidates"), py::arg("cut"), py::arg("allow"),
            py::arg("threads"));
}

}  // namespace vicinal::python
