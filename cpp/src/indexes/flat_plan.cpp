#include "indexes/flat_plan.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/rows_reader.h"
#include "indexes/flat_packed.h"

namespace vicinal::indexes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kDecodeRows = 32;   // byte rows made floats at a time
constexpr std::size_t kCollectRows = 512;
constexpr std::size_t kUnpackRows = 16;

constexpr std::uint64_t ones(std::size_t n) {
  return n >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

}  // namespace

FlatPlan::FlatPlan(const FlatIndex::Impl& index, const Allowed& allowed) {
  if (allowed.everything() || allowed.mask != nullptr) {
    view_ = index.view();
    count_ = view_->live();
    if (count_ == 0 || (allowed.everything() && view_->removed == 0)) return;
    Bitmap rows(view_->rows);
    for (std::uint32_t row = 0; row < view_->rows; ++row) {
      if (view_->gone(row)) continue;
      if (allowed.mask != nullptr) {
        // A negative id, from a damaged file, is beyond every mask once unsigned.
        const auto id = static_cast<std::uint64_t>(view_->id(row));
        if (id >= allowed.count || allowed.mask[id] == 0) continue;
      }
      rows.set(row);
    }
    count_ = rows.count();
    if (count_ == view_->rows) return;
    if (enough()) {
      masked_ = true;
      visible_ = std::move(rows);
      return;
    }
    list_.reserve(count_);
    for (std::uint32_t row = 0; row < view_->rows; ++row) {
      if (rows.test(row)) list_.push_back(row);
    }
    listed_ = true;
    return;
  }
  view_ = index.rows_of(allowed.ids, allowed.count, list_);
  count_ = list_.size();
  if (enough()) {
    masked_ = count_ != view_->rows;
    visible_ = Bitmap(view_->rows);
    for (const std::uint32_t row : list_) visible_.set(row);
    list_ = {};
  } else {
    listed_ = true;
  }
}

bool FlatPlan::enough() const noexcept {
  // Blocks without an allowed row are skipped; to unpack a row takes as long as to scan hundreds.
  return count_ > (packed() != nullptr ? view_->rows / 512 : view_->rows / 3);
}

bool FlatPlan::hide(std::size_t first, std::size_t n, float* values) const noexcept {
  bool any = false;
  for (std::size_t i = 0; i < n;) {
    const std::size_t bit = (first + i) % 64;
    const std::size_t span = std::min<std::size_t>(64 - bit, n - i);
    const std::uint64_t word = visible_.words()[(first + i) / 64] >> bit & ones(span);
    any |= word != 0;
    if (word != ones(span)) {
      for (std::size_t j = 0; j < span; ++j) {
        if ((word >> j & 1u) == 0) values[i + j] = kInfinity;
      }
    }
    i += span;
  }
  return any;
}

void FlatQuery::prepare(const quantizers::Codec& codec, Metric metric, const float* query) {
  codec_ = &codec;
  metric_ = metric;
  const std::size_t dim = codec.dim();
  const CodecKind kind = codec.kind();
  decodes_ = false;
  if (kind == CodecKind::kInt8 || kind == CodecKind::kUint8) {
    const float low = kind == CodecKind::kInt8 ? -128.0f : 0.0f;
    decodes_ = !std::all_of(query, query + dim, [low](float v) {
      return v >= low && v <= low + 255.0f && v == std::floor(v);
    });
  }
  if (!decodes_) {
    codec.prepare(query, quantizers::Precision::kExact, query_);
    bounded_ = codec.has_bounds() && codec.prepare_bounds(query, bounds_);
    assert(!bounded_ || bounds_.shift() == query_.shift());
    return;
  }
  float* values = values_.get(dim + 16);  // kernels may read zeros up to a multiple of 64 bytes
  std::memcpy(values, query, dim * sizeof(float));
  std::fill(values + dim, values + dim + 16, 0.0f);
}

void FlatQuery::decoded(const std::byte* codes, std::size_t n, float* out) {
  const std::size_t dim = codec_->dim();
  const std::size_t stride = (dim + 3) / 4 * 4;
  float* rows = rows_.get(kDecodeRows * stride);
  const auto rank =
      static_cast<std::size_t>(metric_ == Metric::kL2 ? kernels::Rank::kL2 : kernels::Rank::kIp);
  const auto score = kernels::active().row(kernels::RowType::kF32).block[rank];
  while (n != 0) {
    const std::size_t chunk = std::min(n, kDecodeRows);
    codec_->decode(codes, chunk, rows, stride);
    for (std::size_t r = 0; r < chunk; ++r)
      std::fill(rows + r * stride + dim, rows + (r + 1) * stride, 0.0f);
    score(values_.get(dim + 16), reinterpret_cast<const std::byte*>(rows), stride * sizeof(float),
          chunk, dim, out);
    codes += chunk * codec_->stride();
    out += chunk;
    n -= chunk;
  }
}

void FlatQuery::block(const std::byte* codes, std::size_t n, float* out) {
  if (decodes_) {
    decoded(codes, n, out);
  } else {
    query_.score_block(codes, n, out);
  }
  finish(out, n);
}

void FlatQuery::ids(const FlatSnapshot& at, const std::uint32_t* rows, std::size_t n, float* out) {
  if (at.packed != nullptr) {
    const std::size_t stride = codec_->stride();
    std::byte* const room = unpacked_.get(kUnpackRows * stride);
    for (std::size_t i = 0; i < n; i += kUnpackRows) {
      const std::size_t chunk = std::min(kUnpackRows, n - i);
      for (std::size_t j = 0; j < chunk; ++j) at.packed->get(rows[i + j], room + j * stride);
      query_.score_block(room, chunk, out + i);
    }
    finish(out, n);
    return;
  }
  const std::byte* const codes = at.store->codes.data();
  if (decodes_) {
    for (std::size_t i = 0; i < n; ++i) decoded(codes + rows[i] * codec_->stride(), 1, out + i);
  } else {
    query_.score_ids(codes, rows, n, out);
  }
  finish(out, n);
}

void FlatQuery::finish(float* scores, std::size_t n) const noexcept {
  const float shift = decodes_ ? 0.0f : query_.shift();
  if (shift != 0.0f) {
    for (std::size_t i = 0; i < n; ++i) scores[i] += shift;
  }
  if (metric_ != Metric::kCosine) return;
  // Rounding can put a vector a hair beyond its own direction. NaN stays NaN.
  for (std::size_t i = 0; i < n; ++i) {
    const float distance = 1.0f + scores[i];
    scores[i] = distance < 0.0f ? 0.0f : distance;
  }
}

void collect(const FlatPlan& plan, FlatQuery& query, std::size_t first, std::size_t last,
             float radius, Reached& out, Comparisons* counted) {
  if (plan.packed() != nullptr && !plan.listed()) {
    collect_packed(plan, query, first, last, radius, out, counted);
    return;
  }
  const float bar = std::nextafter(radius, kInfinity);
  const auto below = kernels::active().below;
  float scores[kCollectRows];
  std::uint32_t places[kCollectRows + 16];
  float kept[kCollectRows + 16];
  for (std::size_t place = first; place < last; place += kCollectRows) {
    const std::size_t n = std::min(kCollectRows, last - place);
    if (counted != nullptr) counted->add(n);
    if (plan.listed()) {
      query.ids(plan.at(), plan.list() + place, n, scores);
    } else {
      query.block(plan.codes(place), n, scores);
      if (plan.masked() && !plan.hide(place, n, scores)) continue;
    }
    const std::size_t hits = below(scores, n, bar, static_cast<std::uint32_t>(place), places, kept);
    for (std::size_t i = 0; i < hits; ++i) {
      out.rows.push_back(plan.row(places[i]));
      out.distances.push_back(kept[i]);
    }
  }
}

const float* query_rows(const VectorsView& queries, std::size_t begin, std::size_t end, bool unit,
                        std::vector<float>& scratch) {
  if (const float* plain = unit ? nullptr : plain_floats(queries))
    return plain + begin * queries.cols;
  scratch.resize(std::max(scratch.size(), (end - begin) * queries.cols));
  read_rows(queries, begin, end, scratch.data(), queries.cols);
  if (unit) normalize_rows(scratch.data(), end - begin, queries.cols, queries.cols);
  return scratch.data();
}

}  // namespace vicinal::indexes
