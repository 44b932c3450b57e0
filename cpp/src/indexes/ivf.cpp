#include "vicinal/ivf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "indexes/ivf_impl.h"
#include "quantizers/transformed.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::IvfArena;
using indexes::IvfList;
using indexes::IvfModel;
using indexes::IvfSnapshot;
using quantizers::Codec;

namespace {

/// What is asked for, as a file will say it.
float thousandth(float value) { return static_cast<float>(std::round(value * 1000.0) / 1000.0); }

bool finer(RefineKind refine, CodecKind codec) {
  switch (refine) {
    case RefineKind::kNone: return true;
    case RefineKind::kFloat16: return codec >= CodecKind::kSq8;
    case RefineKind::kFloat32: return codec >= CodecKind::kSq8 || codec == CodecKind::kFloat16;
    case RefineKind::kSq8:
      return codec >= CodecKind::kSq4 && codec != CodecKind::kSq4x8 && codec != CodecKind::kFloat8;
  }
  return false;
}

IvfParams checked(std::size_t dim, Metric metric, IvfParams params) {
  if (dim == 0 || dim > kMaxDim) {
    throw ArgumentError("dim is " + std::to_string(dim) + "; wanted 1 to " +
                        std::to_string(kMaxDim));
  }
  const CodecKind kind = params.codec.kind;
  if (kind == CodecKind::kBfloat16 || kind == CodecKind::kInt8 || kind == CodecKind::kUint8) {
    throw ArgumentError(std::string("codec is ") + name(kind) +
                        ", which an IVF index does not take; wanted float32, float16, sq8, sq4 or "
                        "another compact codec");
  }
  const Metric by = params.residual ? Metric::kInnerProduct : metric;
  quantizers::check_codec(params.codec, dim, by, params.transform);
  if (!params.transform && !finer(params.refine, kind)) {
    throw ArgumentError(std::string("refine is ") + name(params.refine) +
                        ", which is no finer than the codec " + name(kind));
  }
  if (params.lists == kNoRow) throw ArgumentError("lists is 2^32 - 1; wanted less");
  constexpr float kMost = 1000.0f;
  if (!(params.spill >= 0.0f && params.spill <= kMost)) {
    throw ArgumentError("spill is " + std::to_string(params.spill) + "; wanted 0 to 1000");
  }
  if (params.balance != 0.0f && !(params.balance >= 1.0f && params.balance <= kMost)) {
    throw ArgumentError("balance is " + std::to_string(params.balance) +
                        "; wanted 0 for none, or 1 to 1000");
  }
  params.spill = thousandth(params.spill);
  params.balance = thousandth(params.balance);
  return params;
}

}  // namespace

IvfIndex::Impl::Impl(std::size_t dim_, Metric metric_, IvfParams params_)
    : dim(dim_),
      metric(metric_),
      params(checked(dim_, metric_, std::move(params_))),
      view_(std::make_shared<const Snapshot>()) {}

IvfIndex::Impl::View IvfIndex::Impl::view() const {
  const std::lock_guard<std::mutex> lock(view_mutex_);
  return view_;
}

void IvfIndex::Impl::publish(Snapshot next) {
  next.filled = 0;
  if (next.lists) {
    for (const IvfList& list : *next.lists) next.filled += list.count != 0 ? 1 : 0;
  }
  View fresh = std::make_shared<const Snapshot>(std::move(next));
  const std::lock_guard<std::mutex> lock(view_mutex_);
  view_.swap(fresh);
}

bool IvfIndex::Impl::contains(std::int64_t id) const {
  return row_ids_.contains([this] { return view(); }, id);
}

IvfIndex::Impl::View IvfIndex::Impl::rows_of(const std::int64_t* ids, std::size_t count,
                                             std::vector<std::uint32_t>& rows) const {
  View at;
  with_ids([&](const View& now, const auto& find) {
    at = now;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t row = find(ids[i]);
      if (row != kNoRow) rows.push_back(row);
    }
  });
  return at;
}

void IvfIndex::Impl::get(std::int64_t id, float* out) const {
  const auto [now, row] = row_ids_.row_of([this] { return view(); }, id);
  const Model& model = *now->model;
  if (model.refine) {
    const std::size_t stride = model.refine->stride();
    model.refine->decode(now->store->refine.data() + row * stride, 1, out, dim);
    return;
  }
  // Which list a row is in is not kept: four bytes a row, for a call that reads one row.
  for (std::uint32_t l = 0; l < model.lists; ++l) {
    const IvfList& list = (*now->lists)[l];
    if (list.count == 0) continue;
    const std::uint32_t* rows = list.rows();
    const std::uint32_t* found = std::lower_bound(rows, rows + list.count, row);
    if (found == rows + list.count || *found != row) continue;
    const auto place = static_cast<std::size_t>(found - rows);
    const Codec& codec = *model.codec;
    const std::byte* code = list.codes() + model.code_offset(place);
    std::vector<std::byte> unpacked;
    if (model.packed) {
      unpacked.resize(codec.stride());
      codec.unpack(code, place % quantizers::kBlockRows, unpacked.data());
      code = unpacked.data();
    }
    codec.decode(code, 1, out, dim);
    if (model.residual) {
      const float* centroid = model.centroid(l);
      for (std::size_t d = 0; d < dim; ++d) out[d] += centroid[d];
    }
    return;
  }
  throw Error("id " + std::to_string(id) +
              " is in no list: the file this index was opened from "
              "is damaged");
}

MemoryReport IvfIndex::Impl::memory() const {
  MemoryReport report;
  const View now = view();
  std::uint64_t reserve = 0;
  const auto part = [&](const char* what, std::uint64_t used, bool mapped) {
    if (used != 0) report.push_back({what, used, mapped});
  };
  if (now->lists) {
    const Model& model = *now->model;
    struct Bytes {
      std::uint64_t codes = 0, rows = 0, terms = 0, all = 0;
    };
    Bytes used[2];  // allocated, mapped
    std::map<const IvfArena*, bool> arenas;
    for (const IvfList& list : *now->lists) {
      if (!list.arena) continue;
      const bool mapped = list.arena->rows.borrowed();
      if (arenas.emplace(list.arena.get(), mapped).second) {
        used[mapped].all +=
            list.arena->codes.size() + list.arena->rows.size() + list.arena->terms.size();
      }
      used[mapped].codes += model.code_bytes(list.count);
      used[mapped].rows += list.count * sizeof(std::uint32_t);
      if (model.terms) used[mapped].terms += list.count * sizeof(float);
    }
    for (const bool mapped : {false, true}) {
      const Bytes& bytes = used[mapped];
      part("codes", bytes.codes, mapped);
      part("rows", bytes.rows, mapped);
      part("terms", bytes.terms, mapped);
      // What lists have left of a mapped file costs nothing.
      if (!mapped) reserve += bytes.all - bytes.codes - bytes.rows - bytes.terms;
    }
  }
  if (now->store) {
    const auto by_row = [&](const char* what, const Buffer& buffer, std::uint64_t row_bytes) {
      if (buffer.size() == 0) return;
      const std::uint64_t bytes = std::min<std::uint64_t>(buffer.size(), now->rows * row_bytes);
      part(what, bytes, buffer.borrowed());
      reserve += buffer.size() - bytes;
    };
    if (now->model->refine) by_row("refine", now->store->refine, now->model->refine->stride());
    by_row("ids", now->store->ids, sizeof(std::int64_t));
  }
  part("reserve", reserve, false);
  if (now->dead) part("removed rows", now->dead->words().size() * sizeof(std::uint64_t), false);
  if (now->model) {
    const Model& model = *now->model;
    part("centroids", model.centroids.size(), model.centroids.borrowed());
    part("coarse codes", model.rough_codes.size(), false);
    for (const auto* codec : {model.codec.get(), model.refine.get()}) {
      if (codec == nullptr) continue;
      for (const auto& array : codec->learned()) {
        part(array.name.c_str(), array.values.size() * sizeof(float), false);
      }
    }
    part("lists", model.lists * sizeof(IvfList), false);
  }
  part("id map", row_ids_.bytes(), false);
  return report;
}

void IvfIndex::Impl::remove(const std::int64_t* ids, std::size_t count) {
  const std::lock_guard<std::mutex> writing(writer_);
  View now;
  std::vector<std::uint32_t> rows;
  with_ids([&](const View& at, const auto& find) {
    now = at;
    rows = indexes::rows_to_remove(ids, count, find);
  });
  if (count == 0) return;

  Snapshot next = *now;
  auto dead =
      next.dead ? std::make_shared<Bitmap>(*next.dead) : std::make_shared<Bitmap>(next.rows);
  for (const std::uint32_t row : rows) dead->set(row);
  next.dead = std::move(dead);
  next.removed += static_cast<std::uint32_t>(count);
  // Their codes are compared in vain, beyond a quarter too often.
  if (next.removed > next.rows / 4) next = swept(next);
  publish(std::move(next));
}

IvfIndex::IvfIndex(std::size_t dim, Metric metric, IvfParams params)
    : impl_(std::make_unique<Impl>(dim, metric, std::move(params))) {}
IvfIndex::IvfIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
IvfIndex::~IvfIndex() = default;
IvfIndex::IvfIndex(IvfIndex&&) noexcept = default;
IvfIndex& IvfIndex::operator=(IvfIndex&&) noexcept = default;

std::size_t IvfIndex::dim() const noexcept { return impl_->dim; }
Metric IvfIndex::metric() const noexcept { return impl_->metric; }
const IvfParams& IvfIndex::params() const noexcept { return impl_->params; }
std::size_t IvfIndex::size() const { return impl_->view()->live(); }

std::uint32_t IvfIndex::lists() const {
  const auto at = impl_->view();
  return at->model ? at->model->lists : 0;
}

std::vector<std::uint32_t> IvfIndex::list_sizes() const {
  const auto at = impl_->view();
  std::vector<std::uint32_t> out;
  if (!at->lists) return out;
  out.reserve(at->lists->size());
  for (const IvfList& list : *at->lists) out.push_back(list.count);
  return out;
}

void IvfIndex::train(const VectorsView& sample, const RunOptions& run) {
  impl_->train(sample, run);
}
void IvfIndex::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  impl_->add(rows, ids, run);
}
void IvfIndex::remove(const std::int64_t* ids, std::size_t count) { impl_->remove(ids, count); }
bool IvfIndex::contains(std::int64_t id) const { return impl_->contains(id); }
void IvfIndex::get(std::int64_t id, float* out) const { impl_->get(id, out); }

std::vector<std::int64_t> IvfIndex::ids() const {
  const auto at = impl_->view();
  std::vector<std::int64_t> out;
  out.reserve(at->live());
  for (std::uint32_t row = 0; row < at->rows; ++row) {
    if (!at->gone(row)) out.push_back(at->id(row));
  }
  return out;
}

void IvfIndex::search(const VectorsView& queries, const IvfSearch& how,
                      MatrixView<std::int64_t> ids, MatrixView<float> distances,
                      const RunOptions& run, IvfStats* stats) const {
  impl_->search(queries, how, ids, distances, run, stats);
}

MemoryReport IvfIndex::memory() const { return impl_->memory(); }
void IvfIndex::save(const std::string& path, const std::string& metadata,
                    const RunOptions& run) const {
  impl_->save(path, metadata, run);
}
IvfIndex IvfIndex::open(const std::string& path, OpenMode mode) {
  return IvfIndex(Impl::open(path, mode));
}

}  // namespace vicinal
