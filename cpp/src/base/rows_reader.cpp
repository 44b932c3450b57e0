#include "base/rows_reader.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

template <class T>
T load(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);  // numpy arrays may be unaligned
  return value;
}

struct Half {
  std::uint16_t bits;
};

float to_float(double x) { return static_cast<float>(x); }
float to_float(float x) { return x; }
float to_float(std::int8_t x) { return x; }
float to_float(std::uint8_t x) { return x; }

/// Exact for all 65536 patterns, in integer steps that vectorise and do not slow on subnormals.
float to_float(Half h) {
  const std::uint32_t magnitude = h.bits & 0x7FFFu;
  const std::uint32_t sign = (h.bits & 0x8000u) << 16;
  // All ones where the exponent is the largest: infinity and NaN need the same step again.
  const std::uint32_t special = 0u - static_cast<std::uint32_t>(magnitude >= 0x7C00u);
  const std::uint32_t step = 112u << 23;
  const std::uint32_t normal = (magnitude << 13) + step + (special & step);
  // 2^-14 + magnitude * 2^-24, less 2^-14: exact, by Sterbenz.
  const std::uint32_t lifted = (magnitude << 13) + (113u << 23);
  float lifted_value;
  std::memcpy(&lifted_value, &lifted, sizeof lifted);
  const float subnormal_value = lifted_value - 0x1.0p-14f;
  std::uint32_t subnormal;
  std::memcpy(&subnormal, &subnormal_value, sizeof subnormal);
  const std::uint32_t small = 0u - static_cast<std::uint32_t>(magnitude < 0x400u);
  const std::uint32_t bits = (subnormal & small) | (normal & ~small) | sign;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

template <class T>
void convert(const char* from, std::ptrdiff_t step, std::size_t n, float* out) {
  if (step == static_cast<std::ptrdiff_t>(sizeof(T))) {
    for (std::size_t c = 0; c < n; ++c) out[c] = to_float(load<T>(from + c * sizeof(T)));
  } else {
    for (std::size_t c = 0; c < n; ++c, from += step) out[c] = to_float(load<T>(from));
  }
}

const char* row_start(const VectorsView& view, std::size_t r) {
  return static_cast<const char*>(view.data) + static_cast<std::ptrdiff_t>(r) * view.row_stride;
}

void convert_row(const VectorsView& view, std::size_t r, float* out) {
  const char* from = row_start(view, r);
  switch (view.type) {
    case ElementType::kFloat64: return convert<double>(from, view.col_stride, view.cols, out);
    case ElementType::kFloat32: return convert<float>(from, view.col_stride, view.cols, out);
    case ElementType::kFloat16: return convert<Half>(from, view.col_stride, view.cols, out);
    case ElementType::kInt8: return convert<std::int8_t>(from, view.col_stride, view.cols, out);
    case ElementType::kUint8: return convert<std::uint8_t>(from, view.col_stride, view.cols, out);
  }
}

/// Whether all n are finite. Compares exponents as integers: that vectorises everywhere.
bool finite(const float* values, std::size_t n) {
  constexpr std::uint32_t kExponent = 0x7F800000u;
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= (bits & kExponent) == kExponent ? 1u : 0u;
  }
  return bad == 0;
}

bool all_zero(const float* values, std::size_t n) {
  return std::all_of(values, values + n, [](float v) { return v == 0.0f; });
}

bool integral(ElementType type) {
  return type == ElementType::kInt8 || type == ElementType::kUint8;
}

/// The first bad row of [begin, end), or end. scratch: view.cols floats.
std::size_t first_bad(const VectorsView& view, const float* plain, bool unit, std::size_t begin,
                      std::size_t end, float* scratch) {
  const bool may_be_infinite = !integral(view.type);
  if (plain != nullptr && !unit) {
    // One long sweep for the usual case; the loop below names the row if it fails.
    if (finite(plain + begin * view.cols, (end - begin) * view.cols)) return end;
  }
  for (std::size_t r = begin; r < end; ++r) {
    const float* row = plain != nullptr ? plain + r * view.cols : scratch;
    if (plain == nullptr) convert_row(view, r, scratch);
    // What float32 cannot hold has become infinite, or zero, in the conversion.
    if (may_be_infinite && !finite(row, view.cols)) return r;
    if (unit && all_zero(row, view.cols)) return r;
  }
  return end;
}

double value_at(const VectorsView& view, std::size_t r, std::size_t c) {
  const char* p = row_start(view, r) + static_cast<std::ptrdiff_t>(c) * view.col_stride;
  switch (view.type) {
    case ElementType::kFloat64: return load<double>(p);
    case ElementType::kFloat32: return load<float>(p);
    case ElementType::kFloat16: return to_float(load<Half>(p));
    case ElementType::kInt8: return load<std::int8_t>(p);
    case ElementType::kUint8: return load<std::uint8_t>(p);
  }
  return 0.0;
}

[[noreturn]] void refuse(const VectorsView& view, const char* array, std::size_t r) {
  const std::string where = std::string(array) + ": row " + std::to_string(r);
  for (std::size_t c = 0; c < view.cols; ++c) {
    const double value = value_at(view, r, c);
    if (std::isfinite(static_cast<float>(value))) continue;
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    throw ArgumentError(
        where + ", column " + std::to_string(c) + " is " + text +
        (std::isfinite(value) ? ", beyond what float32 holds" : "; every value must be finite"));
  }
  throw ArgumentError(where + " is zero in every column; under cosine a vector needs a direction");
}

}  // namespace

void read_rows(const VectorsView& view, std::size_t begin, std::size_t end, float* out,
               std::size_t out_stride) {
  if (const float* plain = plain_floats(view); plain != nullptr && out_stride == view.cols) {
    if (begin < end && view.cols != 0) {
      std::memcpy(out, plain + begin * view.cols, (end - begin) * view.cols * sizeof(float));
    }
    return;
  }
  for (std::size_t r = begin; r < end; ++r, out += out_stride) convert_row(view, r, out);
}

const float* plain_floats(const VectorsView& view) noexcept {
  const auto row_bytes = static_cast<std::ptrdiff_t>(view.cols * sizeof(float));
  const bool plain =
      view.type == ElementType::kFloat32 && (view.rows <= 1 || view.row_stride == row_bytes) &&
      (view.cols <= 1 || view.col_stride == static_cast<std::ptrdiff_t>(sizeof(float))) &&
      reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) == 0;
  return plain ? static_cast<const float*>(view.data) : nullptr;
}

void check_rows(const VectorsView& view, const char* array, bool unit, const RunOptions& run) {
  if (view.rows == 0 || (integral(view.type) && !unit)) return;
  const float* plain = plain_floats(view);
  // A quarter megabyte a piece: a dozen microseconds, and short enough to stop soon after a bad
  // row.
  const std::size_t grain =
      std::max<std::size_t>(1, (std::size_t{1} << 16) / std::max<std::size_t>(view.cols, 1));
  std::atomic<std::size_t> bad{view.rows};
  Ticker ticker(run, "checking", view.rows);
  parallel_for(
      view.rows, grain, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        if (begin > bad.load(std::memory_order_relaxed)) return;  // an earlier row is wrong already
        thread_local std::vector<float> scratch;
        if (plain == nullptr) scratch.resize(std::max(scratch.size(), view.cols));
        const std::size_t found = first_bad(view, plain, unit, begin, end, scratch.data());
        if (found == end) return;
        std::size_t known = bad.load(std::memory_order_relaxed);
        while (found < known &&
               !bad.compare_exchange_weak(known, found, std::memory_order_relaxed)) {
        }
      },
      view.rows > grain ? &ticker : nullptr);
  if (bad.load() != view.rows) refuse(view, array, bad.load());
}

void normalize_rows(float* rows, std::size_t n, std::size_t dim, std::size_t stride) {
  for (std::size_t r = 0; r < n; ++r, rows += stride) {
    // In double no square of a float over- or underflows; eight sums, so that compilers may use
    // vectors without reordering what is written here.
    double sums[8] = {};
    std::size_t i = 0;
    for (; i + 8 <= dim; i += 8) {
      for (std::size_t j = 0; j < 8; ++j) {
        const double x = rows[i + j];
        sums[j] += x * x;
      }
    }
    for (; i < dim; ++i) sums[0] += static_cast<double>(rows[i]) * rows[i];
    const double norm2 =
        ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
    if (!(norm2 > 0.0)) continue;  // all zero to an arithmetic that flushes subnormals
    const double inverse = 1.0 / std::sqrt(norm2);
    for (i = 0; i < dim; ++i) rows[i] = static_cast<float>(rows[i] * inverse);
  }
}

}  // namespace vicinal
