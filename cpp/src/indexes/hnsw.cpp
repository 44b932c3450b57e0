#include "vicinal/hnsw.h"

#include <limits>
#include <utility>

#include "indexes/hnsw_impl.h"
#include "quantizers/transformed.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::Snapshot;
using quantizers::Codec;

const char* name(HnswParams::Builder builder) noexcept {
  switch (builder) {
    case HnswParams::Builder::kAuto: return "auto";
    case HnswParams::Builder::kBatch: return "batch";
    case HnswParams::Builder::kInsert: return "insert";
  }
  return "?";
}

HnswIndex::Impl::Impl(std::size_t dim_, Metric metric_, HnswParams params_)
    : dim(dim_), metric(metric_), params(std::move(params_)) {
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  if (dim == 0 || dim > kMaxDim) {
    throw ArgumentError("dim is " + number(dim) + "; wanted 1 to " + number(kMaxDim));
  }
  if (params.links < 2 || params.links > 512) {
    throw ArgumentError("links is " + number(params.links) + "; wanted 2 to 512");
  }
  if (params.build_ef < 1) throw ArgumentError("build_ef is 0; wanted 1 or more");
  if (params.builder > HnswParams::Builder::kInsert) {
    throw ArgumentError("builder is " + number(static_cast<std::uint64_t>(params.builder)) +
                        ", which is none of those there are");
  }
  const CodecKind kind = params.codec.kind;
  if (kind == CodecKind::kBfloat16 || kind == CodecKind::kInt8 || kind == CodecKind::kUint8) {
    throw ArgumentError(std::string("codec is ") + name(kind) +
                        ", which an HNSW index does not take; wanted float32, float16, sq8, sq4 "
                        "or another compact codec");
  }
  quantizers::check_codec(params.codec, dim, metric, params.transform);
  if (params.refine == RefineKind::kSq8) {
    throw ArgumentError("refine is sq8, which an HNSW index does not take; wanted none, float16 or "
                        "float32");
  }
  const bool finer = params.refine == RefineKind::kNone || params.transform.has_value() ||
                     kind >= CodecKind::kSq8 ||
                     (kind == CodecKind::kFloat16 && params.refine == RefineKind::kFloat32);
  if (!finer) {
    throw ArgumentError(std::string("refine is ") + name(params.refine) +
                        ", which is no finer than the codec " + name(kind));
  }
  if (params.refine != RefineKind::kNone) {
    refine = Codec::restore(params.refine == RefineKind::kFloat16 ? CodecKind::kFloat16
                                                                  : CodecKind::kFloat32,
                            dim, metric, {});
  }
}

HnswIndex::Impl::View HnswIndex::Impl::view() const {
  const std::lock_guard<std::mutex> lock(view_mutex_);
  return view_;
}

void HnswIndex::Impl::publish(const Snapshot& next) {
  auto at = std::make_shared<const Snapshot>(next);
  const std::lock_guard<std::mutex> lock(view_mutex_);
  view_.at.swap(at);
}

void HnswIndex::Impl::set_codecs(std::shared_ptr<const Codec> codec,
                                 std::shared_ptr<const Codec> build_codec) {
  const std::lock_guard<std::mutex> lock(view_mutex_);
  view_.codec = std::move(codec);
  view_.build_codec = std::move(build_codec);
}

const Snapshot HnswIndex::Impl::View::kNothing;

void HnswIndex::Impl::get(std::int64_t id, float* out) const {
  const auto [now, row] = row_ids_.row_of([this] { return view(); }, id);
  const Codec& codec = refine ? *refine : *now.codec;
  const Buffer& store = refine ? now.at->state->refine : now.at->state->codes;
  codec.decode(store.data() + std::size_t{row} * codec.stride(), 1, out, dim);
}

HnswIndex::HnswIndex(std::size_t dim, Metric metric, HnswParams params)
    : impl_(std::make_unique<Impl>(dim, metric, std::move(params))) {}
HnswIndex::HnswIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HnswIndex::~HnswIndex() = default;
HnswIndex::HnswIndex(HnswIndex&&) noexcept = default;
HnswIndex& HnswIndex::operator=(HnswIndex&&) noexcept = default;

std::size_t HnswIndex::dim() const noexcept { return impl_->dim; }
Metric HnswIndex::metric() const noexcept { return impl_->metric; }
const HnswParams& HnswIndex::params() const noexcept { return impl_->params; }

std::size_t HnswIndex::size() const {
  const auto at = impl_->view().at;
  return at ? at->live() : 0;
}

std::size_t HnswIndex::removed() const {
  const auto at = impl_->view().at;
  return at ? at->removed : 0;
}

void HnswIndex::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  impl_->add(rows, ids, run);
}
void HnswIndex::remove(const std::int64_t* ids, std::size_t count) { impl_->remove(ids, count); }
void HnswIndex::compact(const RunOptions& run) { impl_->compact(run); }
void HnswIndex::reorder(const RunOptions& run) { impl_->reorder(run); }

bool HnswIndex::contains(std::int64_t id) const {
  return impl_->contains(id);
}
void HnswIndex::get(std::int64_t id, float* out) const { impl_->get(id, out); }

std::vector<std::int64_t> HnswIndex::ids() const {
  const auto at = impl_->view().at;
  std::vector<std::int64_t> out;
  if (!at) return out;
  out.reserve(at->live());
  for (std::uint32_t row = 0; row < at->rows; ++row) {
    if (!at->dead || !at->dead->test(row)) out.push_back(at->state->id(row));
  }
  return out;
}

void HnswIndex::search(const VectorsView& queries, const HnswSearch& how,
                       MatrixView<std::int64_t> ids, MatrixView<float> distances,
                       const RunOptions& run, HnswStats* stats) const {
  impl_->search(queries, how, ids, distances, run, stats);
}

MemoryReport HnswIndex::memory() const {
  MemoryReport report;
  const Impl::View now = impl_->view();
  if (now.at) {
    const indexes::State& s = *now.at->state;
    const std::uint64_t rows = now.at->rows;
    const std::uint64_t spare = s.capacity - rows;
    std::uint64_t reserve = 0;
    const auto part = [&](const char* what, const Buffer& buffer, std::uint64_t row_bytes) {
      if (buffer.size() == 0) return;
      const std::uint64_t unused = buffer.borrowed() ? 0 : spare * row_bytes;
      report.push_back({what, buffer.size() - unused, buffer.borrowed()});
      reserve += unused;
    };
    part("codes", s.codes, now.codec->stride());
    if (impl_->refine) part("refine", s.refine, impl_->refine->stride());
    part("links", s.base_links, std::uint64_t{s.width} * sizeof(indexes::Link));
    part("ids", s.ids, sizeof(std::int64_t));
    part("towers", s.towers, 0);
    part("tower links", s.tower_links, 0);
    if (reserve > 0) report.push_back({"reserve", reserve, false});
    if (now.at->dead) report.push_back({"removed rows", now.at->dead->words().size() * 8, false});
    for (const auto& array : now.codec->learned()) {
      report.push_back({array.name, array.values.size() * sizeof(float), false});
    }
  }
  if (impl_->id_map_bytes() != 0) report.push_back({"id map", impl_->id_map_bytes(), false});
  report.push_back({"search scratch", impl_->walks.bytes(), false});
  return report;
}

void HnswIndex::save(const std::string& path, const std::string& metadata,
                     const RunOptions& run) const {
  impl_->save(path, metadata, run);
}

HnswIndex HnswIndex::open(const std::string& path, OpenMode mode) {
  return HnswIndex(Impl::open(path, mode));
}

}  // namespace vicinal
