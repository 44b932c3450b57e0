#include "vicinal/flat.h"

#include <algorithm>
#include <string>
#include <utility>

#include "indexes/flat_impl.h"
#include "quantizers/transformed.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::FlatSnapshot;

FlatIndex::Impl::Impl(std::size_t dim_, Metric metric_, FlatParams params_)
    : dim(dim_),
      metric(metric_),
      params(std::move(params_)),
      view_(std::make_shared<const Snapshot>()) {
  if (dim == 0 || dim > kMaxDim) {
    throw ArgumentError("dim is " + std::to_string(dim) + "; wanted 1 to " +
                        std::to_string(kMaxDim));
  }
  const CodecKind codec = params.codec.kind;
  if (codec == CodecKind::kBfloat16) {
    throw ArgumentError("a flat index does not hold bfloat16; wanted float16 or another codec");
  }
  quantizers::check_codec(params.codec, dim, metric, params.transform);
  if (unit() && (codec == CodecKind::kInt8 || codec == CodecKind::kUint8)) {
    throw ArgumentError(std::string("a cosine index stores vectors scaled to length 1, which ") +
                        name(codec) + " cannot hold; wanted float32, float16 or sq8");
  }
}

FlatIndex::Impl::View FlatIndex::Impl::view() const {
  const std::lock_guard<std::mutex> lock(view_mutex_);
  return view_;
}

void FlatIndex::Impl::publish(Snapshot next) {
  View fresh = std::make_shared<const Snapshot>(std::move(next));
  const std::lock_guard<std::mutex> lock(view_mutex_);
  view_.swap(fresh);
}

bool FlatIndex::Impl::contains(std::int64_t id) const {
  return row_ids_.contains([this] { return view(); }, id);
}

void FlatIndex::Impl::get(std::int64_t id, float* out) const {
  const auto [at, row] = row_ids_.row_of([this] { return view(); }, id);
  std::vector<std::byte> room(at->packed ? at->codec->stride() : 0);
  at->codec->decode(at->codes(row, room.data()), 1, out, dim);
}

FlatIndex::Impl::View FlatIndex::Impl::rows_of(const std::int64_t* ids, std::size_t count,
                                               std::vector<std::uint32_t>& rows) const {
  View at;
  with_ids([&](const View& now, const auto& find) {
    at = now;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t row = find(ids[i]);
      if (row != kNoRow) rows.push_back(row);
    }
  });
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return at;
}

void FlatIndex::Impl::remove(const std::int64_t* ids, std::size_t count) {
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
  // Every search reads dead rows: beyond a quarter they cost more than they save.
  if (next.removed > next.rows / 4) next = compacted(next);
  publish(std::move(next));
}

MemoryReport FlatIndex::Impl::memory() const {
  MemoryReport report;
  const View now = view();
  if (now->store) {
    std::uint64_t reserve = 0;
    const auto part = [&](const char* what, const Buffer& buffer, std::uint64_t row_bytes) {
      if (buffer.size() == 0) return;
      const std::uint64_t used = std::min<std::uint64_t>(buffer.size(), now->rows * row_bytes);
      report.push_back({what, used, buffer.borrowed()});
      reserve += buffer.size() - used;
    };
    if (now->packed) {
      const std::uint64_t bytes = now->packed->bytes();
      report.push_back({"codes", bytes, now->packed->mapped()});
      reserve += now->packed->memory() - bytes;
    } else {
      part("codes", now->store->codes, now->codec->stride());
    }
    part("ids", now->store->ids, sizeof(std::int64_t));
    if (reserve != 0) report.push_back({"reserve", reserve, false});
  }
  if (now->dead)
    report.push_back({"removed rows", now->dead->words().size() * sizeof(std::uint64_t), false});
  if (now->codec) {
    for (const auto& array : now->codec->learned()) {
      report.push_back({array.name, array.values.size() * sizeof(float), false});
    }
  }
  if (row_ids_.bytes() != 0) report.push_back({"id map", row_ids_.bytes(), false});
  return report;
}

FlatIndex::FlatIndex(std::size_t dim, Metric metric, FlatParams params)
    : impl_(std::make_unique<Impl>(dim, metric, std::move(params))) {}
FlatIndex::FlatIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlatIndex::~FlatIndex() = default;
FlatIndex::FlatIndex(FlatIndex&&) noexcept = default;
FlatIndex& FlatIndex::operator=(FlatIndex&&) noexcept = default;

std::size_t FlatIndex::dim() const noexcept { return impl_->dim; }
Metric FlatIndex::metric() const noexcept { return impl_->metric; }
const FlatParams& FlatIndex::params() const noexcept { return impl_->params; }
std::size_t FlatIndex::size() const { return impl_->view()->live(); }

void FlatIndex::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  impl_->add(rows, ids, run);
}
void FlatIndex::remove(const std::int64_t* ids, std::size_t count) { impl_->remove(ids, count); }
bool FlatIndex::contains(std::int64_t id) const { return impl_->contains(id); }
void FlatIndex::get(std::int64_t id, float* out) const { impl_->get(id, out); }

std::vector<std::int64_t> FlatIndex::ids() const {
  const auto at = impl_->view();
  std::vector<std::int64_t> out;
  out.reserve(at->live());
  for (std::uint32_t row = 0; row < at->rows; ++row) {
    if (!at->gone(row)) out.push_back(at->id(row));
  }
  return out;
}

void FlatIndex::search(const VectorsView& queries, MatrixView<std::int64_t> ids,
                       MatrixView<float> distances, const Allowed& allowed,
                       const RunOptions& run) const {
  impl_->search(queries, ids, distances, allowed, run);
}
RangeResult FlatIndex::range_search(const VectorsView& queries, float radius,
                                    const Allowed& allowed, const RunOptions& run) const {
  return impl_->range_search(queries, radius, allowed, run);
}

MemoryReport FlatIndex::memory() const { return impl_->memory(); }
void FlatIndex::save(const std::string& path, const std::string& metadata,
                     const RunOptions& run) const {
  impl_->save(path, metadata, run);
}
FlatIndex FlatIndex::open(const std::string& path, OpenMode mode) {
  return FlatIndex(Impl::open(path, mode));
}

}  // namespace vicinal
