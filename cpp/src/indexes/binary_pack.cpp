// Bits out of numbers.

#include <algorithm>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "indexes/binary_segment.h"
#include "vicinal/binary.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

constexpr std::size_t kGrain = 256;           // rows
constexpr std::size_t kSumRows = 4096;        // rows added up before sums are: the same for any
                                              // number of threads
constexpr std::size_t kColumnFloats = std::size_t{1} << 22;  // of some columns, for their medians

void check_columns(const VectorsView& rows) {
  if (rows.cols != 0 && rows.cols <= kMaxBits) return;
  throw ArgumentError("vectors has " + std::to_string(rows.cols) + " columns; wanted 1 to " +
                      std::to_string(kMaxBits));
}

std::vector<float> means(const VectorsView& rows, const RunOptions& run) {
  const std::size_t dim = rows.cols;
  const std::size_t parts = (rows.rows + kSumRows - 1) / kSumRows;
  std::vector<double> sums(parts * dim, 0.0);
  Ticker ticker(run, "averaging", rows.rows);
  parallel_for(
      rows.rows, kSumRows, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<float> row(dim);
        double* to = &sums[begin / kSumRows * dim];
        for (std::size_t r = begin; r < end; ++r) {
          read_rows(rows, r, r + 1, row.data(), dim);
          for (std::size_t d = 0; d < dim; ++d) to[d] += row[d];
        }
      },
      &ticker);
  std::vector<float> out(dim);
  for (std::size_t d = 0; d < dim; ++d) {
    double sum = 0.0;
    for (std::size_t p = 0; p < parts; ++p) sum += sums[p * dim + d];
    out[d] = static_cast<float>(sum / static_cast<double>(rows.rows));
  }
  return out;
}

std::vector<float> medians(const VectorsView& rows, const RunOptions& run) {
  const std::size_t dim = rows.cols;
  const std::size_t n = rows.rows;
  const std::size_t width = std::clamp<std::size_t>(kColumnFloats / n, 1, dim);
  std::vector<float> out(dim);
  Ticker ticker(run, "finding medians", dim);
  parallel_for(
      dim, width, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        // The same rows, of these columns alone.
        VectorsView some = rows;
        some.data = static_cast<const char*>(rows.data) +
                    static_cast<std::ptrdiff_t>(begin) * rows.col_stride;
        some.cols = end - begin;
        std::vector<float> columns(some.cols * n);
        std::vector<float> row(some.cols);
        for (std::size_t r = 0; r < n; ++r) {
          read_rows(some, r, r + 1, row.data(), some.cols);
          for (std::size_t c = 0; c < some.cols; ++c) columns[c * n + r] = row[c];
        }
        for (std::size_t c = 0; c < some.cols; ++c) {
          float* const first = columns.data() + c * n;
          float* const middle = first + n / 2;
          std::nth_element(first, middle, first + n);
          double value = *middle;
          if (n % 2 == 0) value = (value + *std::max_element(first, middle)) / 2;
          out[begin + c] = static_cast<float>(value);
        }
      },
      &ticker);
  return out;
}

}  // namespace

std::vector<float> bit_thresholds(const VectorsView& rows, BitThreshold kind,
                                  const RunOptions& run) {
  check_columns(rows);
  if (rows.rows == 0) throw ArgumentError("vectors has no rows; a threshold needs some");
  check_rows(rows, "vectors", false, run);
  return kind == BitThreshold::kMean ? means(rows, run) : medians(rows, run);
}

void pack_bits(const VectorsView& rows, const float* thresholds, std::uint8_t* out,
               const RunOptions& run) {
  check_columns(rows);
  check_rows(rows, "vectors", false, run);
  const std::size_t dim = rows.cols;
  const std::size_t bytes = indexes::bit_bytes(dim);
  const std::vector<float> zeros(thresholds == nullptr ? dim : 0, 0.0f);
  const float* const limits = thresholds == nullptr ? zeros.data() : thresholds;
  Ticker ticker(run, "packing", rows.rows);
  parallel_for(
      rows.rows, kGrain, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<float> row(bytes * 8, 0.0f);
        std::vector<float> bars(bytes * 8, 0.0f);
        std::copy(limits, limits + dim, bars.begin());
        for (std::size_t r = begin; r < end; ++r) {
          read_rows(rows, r, r + 1, row.data(), dim);
          std::uint8_t* to = out + r * bytes;
          for (std::size_t b = 0; b < bytes; ++b) {
            unsigned byte = 0;
            for (std::size_t i = 0; i < 8; ++i) {
              byte = byte << 1 | (row[b * 8 + i] > bars[b * 8 + i] ? 1u : 0u);
            }
            to[b] = static_cast<std::uint8_t>(byte);
          }
        }
      },
      &ticker);
}

}  // namespace vicinal
