#include "quantizers/transform.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstring>
#include <string>

#include "base/parallel.h"
#include "base/random.h"
#include "base/rows_reader.h"
#include "base/summed.h"
#include "kernels/matrix.h"
#include "kernels/table.h"
#include "quantizers/codec.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace quantizers {
namespace {

constexpr std::size_t kTogether = 24;  // inputs that share one reading of a panel

}  // namespace

PanelMatrix::PanelMatrix(MatrixView<const float> values)
    : table_(&kernels::active()), rows_(values.rows()), cols_(values.cols()) {
  const std::size_t width = panel_rows();
  const std::size_t panels = (rows_ + width - 1) / width;
  panels_ = Buffer::allocate(panels * width * cols_ * sizeof(float));
  auto* to = reinterpret_cast<float*>(panels_.mutable_data());
  for (std::size_t r = 0; r < rows_; r += width, to += width * cols_) {
    table_->tile->pack(values.row(r), cols_, std::min(width, rows_ - r), cols_, to);
  }
}

std::size_t PanelMatrix::panel_rows() const noexcept { return table_->tile->queries; }

PanelMatrix PanelMatrix::transposed() const {
  const std::vector<float> own = values();
  std::vector<float> turned(own.size());
  for (std::size_t r = 0; r < rows_; ++r) {
    for (std::size_t c = 0; c < cols_; ++c) turned[c * rows_ + r] = own[r * cols_ + c];
  }
  return PanelMatrix({turned.data(), cols_, rows_});
}

std::vector<float> PanelMatrix::values() const {
  std::vector<float> out(rows_ * cols_);
  const std::size_t width = panel_rows();
  const auto* panels = reinterpret_cast<const float*>(panels_.data());
  for (std::size_t r = 0; r < rows_; ++r) {
    const float* from = panels + r / width * width * cols_ + r % width;
    for (std::size_t c = 0; c < cols_; ++c) out[r * cols_ + c] = from[c * width];
  }
  return out;
}

void PanelMatrix::multiply(const float* in, std::size_t in_stride, std::size_t n,
                           const float* offset, float* out, std::size_t out_stride) const {
  thread_local Scratch<float> scratch;
  const std::size_t width = panel_rows();
  alignas(64) float products[kTogether * kernels::kMaxTileQueries];
  for (std::size_t first = 0; first < n; first += kTogether) {
    const std::size_t count = std::min(kTogether, n - first);
    const float* inputs = in + first * in_stride;
    std::size_t stride = in_stride;
    if (offset != nullptr) {
      float* moved = scratch.get(kTogether * cols_);
      for (std::size_t j = 0; j < count; ++j) {
        for (std::size_t c = 0; c < cols_; ++c) {
          moved[j * cols_ + c] = inputs[j * in_stride + c] - offset[c];
        }
      }
      inputs = moved;
      stride = cols_;
    }
    const auto* panel = reinterpret_cast<const float*>(panels_.data());
    for (std::size_t r = 0; r < rows_; r += width, panel += width * cols_) {
      table_->matrix->products(panel, inputs, stride, count, cols_, products);
      const std::size_t height = std::min(width, rows_ - r);
      for (std::size_t j = 0; j < count; ++j) {
        std::copy_n(products + j * width, height, out + (first + j) * out_stride + r);
      }
    }
  }
}

bool all_finite(const float* values, std::size_t n) noexcept {
  float sum = 0;  // x - x is 0, or NaN for what is not finite
  for (std::size_t i = 0; i < n; ++i) sum += values[i] - values[i];
  return sum == 0;
}

}  // namespace quantizers

namespace {

using quantizers::all_finite;
using quantizers::PanelMatrix;

constexpr std::size_t kPieceRows = 64;  // rows of a piece of parallel work

double squares(const float* x, const float* minus, std::size_t n) {
  return summed(n, [x, minus](std::size_t i) {
    const double d = minus == nullptr ? x[i] : static_cast<double>(x[i]) - minus[i];
    return d * d;
  });
}

std::vector<double> times(const std::vector<float>& matrix, const std::vector<double>& x) {
  std::vector<double> out(matrix.size() / x.size());
  for (std::size_t r = 0; r < out.size(); ++r) {
    for (std::size_t c = 0; c < x.size(); ++c) out[r] += matrix[r * x.size() + c] * x[c];
  }
  return out;
}

// Whether second * first is the identity, tried on random vectors: quick also where the product of
// the two would not be (Freivalds, 1977).
bool undoes(const PanelMatrix& second, const PanelMatrix& first) {
  constexpr std::uint64_t kProbes = 4;
  constexpr double kTolerance = 1e-4;  // of the length
  const std::vector<float> before = first.values(), after = second.values();
  for (std::uint64_t probe = 0; probe < kProbes; ++probe) {
    std::vector<double> x(first.cols());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = random_unit(0, probe, i) - 0.5;
    const std::vector<double> y = times(after, times(before, x));
    double length = 0, error = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      length += x[i] * x[i];
      error += (y[i] - x[i]) * (y[i] - x[i]);
    }
    if (!(error <= kTolerance * kTolerance * length)) return false;
  }
  return true;
}

std::string shape(std::size_t rows, std::size_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

void check_finite(const char* what, const float* values, std::size_t n, std::size_t cols) {
  for (std::size_t i = 0; i < n; ++i) {
    if (std::isfinite(values[i])) continue;
    throw ArgumentError(std::string(what) + " holds " + std::to_string(values[i]) + " in row " +
                        std::to_string(i / cols) + ", column " + std::to_string(i % cols) +
                        "; wanted finite numbers");
  }
}

void check_width(const char* array, std::size_t got, std::size_t want) {
  if (got == want) return;
  throw DimensionError(std::string(array) + " has " + std::to_string(got) +
                       " columns; this transform takes " + std::to_string(want));
}

// Calls map(rows, stride, n, first) for pieces of converted rows; it returns the first that it
// could not map, counted from 0, or n.
template <class Map>
void for_pieces(const VectorsView& view, const char* array, const RunOptions& run, const Map& map) {
  check_rows(view, array, false, run);
  const float* plain = plain_floats(view);
  std::atomic<std::size_t> bad{view.rows};
  Ticker ticker(run, "transforming", view.rows);
  parallel_for(
      view.rows, kPieceRows, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        const std::size_t n = end - begin;
        std::vector<float> own;
        const float* rows = plain == nullptr ? nullptr : plain + begin * view.cols;
        if (rows == nullptr) {
          own.resize(n * view.cols);
          read_rows(view, begin, end, own.data(), view.cols);
          rows = own.data();
        }
        const std::size_t failed = map(rows, view.cols, n, begin);
        if (failed == n) return;
        std::size_t known = bad.load(std::memory_order_relaxed);
        while (begin + failed < known &&
               !bad.compare_exchange_weak(known, begin + failed, std::memory_order_relaxed)) {
        }
      },
      view.rows > kPieceRows ? &ticker : nullptr);
  if (bad.load() == view.rows) return;
  throw ArgumentError(std::string(array) + " row " + std::to_string(bad.load()) +
                      " is too large: after the transform float32 cannot hold it");
}

}  // namespace

std::size_t Transform::Impl::map_data(const float* rows, std::size_t in_stride, std::size_t n,
                                      float* to, std::size_t to_stride) const {
  if (fast) {
    for (std::size_t r = 0; r < n; ++r) fast->apply(rows + r * in_stride, to + r * to_stride);
  } else {
    data->multiply(rows, in_stride, n, shift_by(), to, to_stride);
  }
  for (std::size_t r = 0; r < n; ++r) {
    if (!all_finite(to + r * to_stride, out)) return r;
  }
  return n;
}

std::size_t Transform::Impl::map_queries(const float* from, std::size_t n, Metric metric, float* to,
                                         float* shifts) const {
  const bool l2 = metric == Metric::kL2;
  if (fast) {
    for (std::size_t r = 0; r < n; ++r) fast->apply(from + r * in, to + r * out);
  } else {
    query->multiply(from, in, n, l2 ? shift_by() : nullptr, to, out);
  }
  for (std::size_t r = 0; r < n; ++r, from += in, to += out) {
    double sum = 0;
    if (!l2) {
      const float* o = offset.data();
      sum = -summed(offset.size(), [from, o](std::size_t i) {
        return static_cast<double>(from[i]) * static_cast<double>(o[i]);
      });
    } else if (!identity) {
      // What lies outside the rows of B is as far from every stored row.
      sum = std::max(0.0, squares(from, shift_by(), in) - squares(to, nullptr, out));
    }
    shifts[r] = static_cast<float>(sum);
    if (!all_finite(to, out) || !std::isfinite(shifts[r])) return r;
  }
  return n;
}

bool Transform::Impl::map_query(const float* from, Metric metric, float* to, float* shift) const {
  return map_queries(from, 1, metric, to, shift) == 1;
}

void Transform::Impl::map_back(const float* rows, std::size_t in_stride, std::size_t n, float* to,
                               std::size_t to_stride) const {
  if (fast) {
    for (std::size_t r = 0; r < n; ++r) {
      fast->apply_transposed(rows + r * in_stride, to + r * to_stride);
    }
    return;
  }
  back.multiply(rows, in_stride, n, nullptr, to, to_stride);
  if (offset.empty()) return;
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t c = 0; c < in; ++c) to[r * to_stride + c] += offset[c];
  }
}

Transform::Transform(MatrixView<const float> data, MatrixView<const float> query,
                     const std::vector<float>& offset) {
  const std::size_t out = data.rows(), in = data.cols();
  if (out == 0 || out > kMaxDim || in == 0 || in > kMaxDim) {
    throw ArgumentError("data is " + shape(out, in) + "; wanted 1 to " + std::to_string(kMaxDim) +
                        " rows and columns");
  }
  const bool given = query.rows() != 0 || query.cols() != 0;
  if (given && (query.rows() != out || query.cols() != in)) {
    throw ArgumentError("query is " + shape(query.rows(), query.cols()) + "; wanted " +
                        shape(out, in) + " as data is");
  }
  if (!offset.empty() && offset.size() != in) {
    throw ArgumentError("offset has " + std::to_string(offset.size()) + " numbers; wanted " +
                        std::to_string(in) + ", one for each column of data");
  }
  check_finite("data", data.data(), out * in, in);
  if (given) check_finite("query", query.data(), out * in, in);
  check_finite("offset", offset.data(), offset.size(), in);

  auto impl = std::make_shared<Impl>();
  impl->in = in;
  impl->out = out;
  impl->data = std::make_shared<const PanelMatrix>(data);
  const bool same = !given || std::equal(query.data(), query.data() + out * in, data.data());
  impl->query = same ? impl->data : std::make_shared<const PanelMatrix>(query);
  impl->back = impl->query->transposed();
  if (std::any_of(offset.begin(), offset.end(), [](float x) { return x != 0; })) {
    impl->offset = offset;
  }
  impl->identity = out >= in && undoes(impl->back, *impl->data);
  impl->consistent = out <= in && undoes(*impl->data, impl->back);
  impl_ = std::move(impl);
}

Transform Transform::rotation(std::size_t dim, std::uint64_t seed) {
  if (dim == 0 || dim > kMaxDim) {
    throw ArgumentError("dim is " + std::to_string(dim) + "; wanted 1 to " +
                        std::to_string(kMaxDim));
  }
  auto impl = std::make_shared<Impl>();
  impl->in = impl->out = dim;
  impl->fast = std::make_unique<const quantizers::FastRotation>(dim, seed);
  impl->seed = seed;
  impl->identity = impl->consistent = true;
  return Transform(std::move(impl));
}

std::size_t Transform::in() const noexcept { return impl_->in; }
std::size_t Transform::out() const noexcept { return impl_->out; }
bool Transform::fast() const noexcept { return impl_->fast != nullptr; }
std::uint64_t Transform::seed() const noexcept { return impl_->seed; }

std::vector<float> Transform::data_matrix() const {
  if (!fast()) return impl_->data->values();
  const std::size_t dim = in();
  std::vector<float> out(dim * dim), unit(dim);
  for (std::size_t r = 0; r < dim; ++r) {  // row r is what the transpose makes of unit vector r
    unit[r] = 1;
    impl_->fast->apply_transposed(unit.data(), out.data() + r * dim);
    unit[r] = 0;
  }
  return out;
}

std::vector<float> Transform::query_matrix() const {
  return fast() ? data_matrix() : impl_->query->values();
}

std::vector<float> Transform::offset() const {
  return impl_->offset.empty() ? std::vector<float>(impl_->in) : impl_->offset;
}

bool Transform::fits(Metric metric) const noexcept {
  return metric != Metric::kL2 || (impl_->same() && (impl_->identity || impl_->consistent));
}

bool Transform::exact(Metric metric) const noexcept { return fits(metric) && impl_->identity; }

void Transform::data(const VectorsView& vectors, MatrixView<float> out,
                     const RunOptions& run) const {
  check_width("vectors", vectors.cols, in());
  assert(out.rows() == vectors.rows && out.cols() == this->out());
  for_pieces(vectors, "vectors", run,
             [&](const float* rows, std::size_t stride, std::size_t n, std::size_t first) {
               return impl_->map_data(rows, stride, n, out.row(first), out.cols());
             });
}

void Transform::queries(const VectorsView& queries, Metric metric, MatrixView<float> out,
                        float* shifts, const RunOptions& run) const {
  check_width("queries", queries.cols, in());
  if (!fits(metric)) {
    throw ArgumentError(
        "this transform does not keep l2 distances: its data and query matrices must be the same, "
        "with orthonormal rows or columns");
  }
  assert(out.rows() == queries.rows && out.cols() == this->out());
  for_pieces(queries, "queries", run,
             [&](const float* rows, std::size_t stride, std::size_t n, std::size_t first) {
               for (std::size_t r = 0; r < n; ++r) {
                 float shift = 0;
                 if (!impl_->map_query(rows + r * stride, metric, out.row(first + r), &shift)) {
                   return r;
                 }
                 if (shifts != nullptr) shifts[first + r] = shift;
               }
               return n;
             });
}

void Transform::inverse(const VectorsView& transformed, MatrixView<float> out,
                        const RunOptions& run) const {
  check_width("transformed", transformed.cols, this->out());
  assert(out.rows() == transformed.rows && out.cols() == in());
  for_pieces(transformed, "transformed", run,
             [&](const float* rows, std::size_t stride, std::size_t n, std::size_t first) {
               impl_->map_back(rows, stride, n, out.row(first), out.cols());
               return n;
             });
}

}  // namespace vicinal
