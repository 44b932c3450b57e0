#include "clustering/medoids_points.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "clustering/medoids_bits.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal::clustering {
namespace {

// Counts of bits are exact as float32 up to here.
constexpr std::size_t kMostBitBytes = std::size_t{1} << 21;
// Half of a second cache of 256 KiB: the columns that are written need room too.
constexpr std::size_t kBlockBytes = std::size_t{96} << 10;

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

bool of_bits(MedoidMetric metric) {
  return metric == MedoidMetric::kHamming || metric == MedoidMetric::kJaccard;
}

[[noreturn]] void refuse_width(std::size_t got, std::size_t most, const char* unit) {
  throw ArgumentError("vectors has rows of " + std::to_string(got) + " " + unit + "; wanted 1 to " +
                      std::to_string(most));
}

double squared_length(const float* row, std::size_t dim) {
  double sum = 0.0;
  for (std::size_t i = 0; i < dim; ++i) sum += static_cast<double>(row[i]) * row[i];
  return sum;
}

}  // namespace

MedoidPoints::MedoidPoints(MedoidMetric metric, std::size_t width, std::size_t row_bytes,
                           std::size_t stride, std::size_t size)
    : metric_(metric),
      width_(width),
      row_bytes_(row_bytes),
      stride_(stride),
      size_(size),
      own_(Buffer::allocate(stride * size)),
      data_(own_.data()) {
  if (metric == MedoidMetric::kJaccard) bits_set_.resize(size);
}

MedoidPoints::MedoidPoints(const VectorsView& rows, MedoidMetric metric, const RunOptions& run)
    : metric_(metric), width_(rows.cols), size_(rows.rows) {
  if (of_bits(metric)) {
    take_bits(rows, run);
  } else {
    take_floats(rows, run);
  }
}

void MedoidPoints::take_floats(const VectorsView& rows, const RunOptions& run) {
  if (width_ == 0 || width_ > kMaxDim) refuse_width(width_, kMaxDim, "columns");
  const bool unit = metric_ == MedoidMetric::kCosine;
  check_rows(rows, "vectors", unit, run);
  row_bytes_ = width_ * sizeof(float);
  stride_ = round_up(row_bytes_, 16);
  const float* plain = plain_floats(rows);
  if (plain != nullptr && stride_ == row_bytes_ && !unit) {
    data_ = reinterpret_cast<const std::byte*>(plain);
  } else {
    own_ = Buffer::allocate(stride_ * size_);
    data_ = own_.data();
    Ticker ticker(run, "reading", size_);
    const auto read = [&](std::size_t begin, std::size_t end, unsigned) {
      auto* to = reinterpret_cast<float*>(own_.mutable_data() + begin * stride_);
      read_rows(rows, begin, end, to, stride_ / sizeof(float));
      if (unit) normalize_rows(to, end - begin, width_, stride_ / sizeof(float));
    };
    parallel_for(size_, block(), run, read, &ticker);
  }
  const bool small = rows.type == ElementType::kInt8 || rows.type == ElementType::kUint8;
  if (!unit && !small) check_lengths(run);
}

/// No distance, nor any part of its sum, may pass float32: swaps weigh differences of distances,
/// and infinity less infinity is none.
void MedoidPoints::check_lengths(const RunOptions& run) const {
  // ||a - b||^2 <= 4 max ||x||^2; rounding takes far less than the last bits of the limit.
  const bool product = metric_ == MedoidMetric::kInnerProduct;
  const double most = (product ? 0.99 : 0.99 / 4) * static_cast<double>(FLT_MAX);
  std::atomic<std::size_t> bad{size_};
  Ticker ticker(run, "checking", size_);
  const auto look = [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t r = begin; r < end; ++r) {
      if (squared_length(reinterpret_cast<const float*>(row(r)), width_) <= most) continue;
      std::size_t known = bad.load(std::memory_order_relaxed);
      while (r < known && !bad.compare_exchange_weak(known, r, std::memory_order_relaxed)) {
      }
      return;
    }
  };
  parallel_for(size_, block(), run, look, &ticker);
  const std::size_t r = bad.load();
  if (r == size_) return;
  char text[96];
  std::snprintf(text, sizeof text, " has length %g; wanted at most %g, ",
                std::sqrt(squared_length(reinterpret_cast<const float*>(row(r)), width_)),
                std::sqrt(most));
  throw ArgumentError("vectors: row " + std::to_string(r) + text +
                      "so that float32 holds every distance");
}

void MedoidPoints::take_bits(const VectorsView& rows, const RunOptions& run) {
  if (rows.type != ElementType::kUint8) {
    throw ArgumentError(std::string("vectors holds ") + name(rows.type) + "; under " +
                        name(metric_) + " wanted uint8, bits packed by eights");
  }
  if (width_ == 0 || width_ > kMostBitBytes) refuse_width(width_, kMostBitBytes, "bytes");
  row_bytes_ = width_;
  stride_ = round_up(width_, 8);
  own_ = Buffer::allocate(stride_ * size_);
  data_ = own_.data();
  if (metric_ == MedoidMetric::kJaccard) bits_set_.resize(size_);
  const MedoidPoints zero = room(1);
  Ticker ticker(run, "reading", size_);
  const auto read = [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t r = begin; r < end; ++r) {
      const auto* from = static_cast<const std::byte*>(rows.data) +
                         static_cast<std::ptrdiff_t>(r) * rows.row_stride;
      std::byte* to = own_.mutable_data() + r * stride_;
      if (rows.col_stride == 1) {
        std::memcpy(to, from, width_);
        continue;
      }
      for (std::size_t c = 0; c < width_; ++c, from += rows.col_stride) to[c] = *from;
    }
    if (bits_set_.empty()) return;
    count_bits(zero.data_, row(begin), stride_, end - begin, width_, bits_set_.data() + begin);
  };
  parallel_for(size_, block(), run, read, &ticker);
}

MedoidPoints MedoidPoints::room(std::size_t n) const {
  return {metric_, width_, row_bytes_, round_up(row_bytes_, 64), n};
}

void MedoidPoints::put(std::size_t place, const MedoidPoints& from, std::size_t r) noexcept {
  std::memcpy(own_.mutable_data() + place * stride_, from.row(r), row_bytes_);
  if (!bits_set_.empty()) bits_set_[place] = from.bits_set_[r];
}

MedoidPoints MedoidPoints::pick(const std::vector<std::uint32_t>& rows) const {
  MedoidPoints out = room(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) out.put(i, *this, rows[i]);
  return out;
}

std::size_t MedoidPoints::block() const noexcept {
  return std::clamp<std::size_t>(kBlockBytes / stride_, 16, kMostBlock);
}

void MedoidPoints::measure(const MedoidPoints& queries, std::size_t query, std::size_t first,
                           std::size_t n, float* out) const noexcept {
  const std::byte* q = queries.row(query);
  const std::byte* from = row(first);
  if (metric_ == MedoidMetric::kHamming) {
    return hamming_distances(q, from, stride_, n, width_, out);
  }
  if (metric_ == MedoidMetric::kJaccard) {
    return jaccard_distances(q, queries.bits_set_[query], from, bits_set_.data() + first, stride_,
                             n, width_, out);
  }
  const bool squares = metric_ == MedoidMetric::kL2 || metric_ == MedoidMetric::kEuclidean;
  const auto rank = static_cast<std::size_t>(squares ? kernels::Rank::kL2 : kernels::Rank::kIp);
  kernels::active().row(kernels::RowType::kF32).block[rank](q, from, stride_, n, width_, out);
  if (metric_ == MedoidMetric::kEuclidean) {
    for (std::size_t i = 0; i < n; ++i) out[i] = std::sqrt(out[i]);
  } else if (metric_ == MedoidMetric::kCosine) {
    // Rounding may take the product of a row with itself past 1.
    for (std::size_t i = 0; i < n; ++i) out[i] = std::max(0.0f, 1.0f + out[i]);
  }
}

}  // namespace vicinal::clustering
