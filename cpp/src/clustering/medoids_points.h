#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "vicinal/control.h"
#include "vicinal/medoids.h"
#include "vicinal/view.h"

namespace vicinal::clustering {

/// Rows, and how far apart they are.
class MedoidPoints {
 public:
  /// `rows` must outlive it: what can be is read in place. Throws as kmedoids() does of rows.
  MedoidPoints(const VectorsView& rows, MedoidMetric metric, const RunOptions& run);

  /// Room for n rows of the same kind, which may be queries.
  MedoidPoints room(std::size_t n) const;
  /// Only into what room() made.
  void put(std::size_t place, const MedoidPoints& from, std::size_t row) noexcept;
  MedoidPoints pick(const std::vector<std::uint32_t>& rows) const;

  static constexpr std::size_t kMostBlock = 4096;

  std::size_t size() const noexcept { return size_; }
  /// Rows that stay in the second cache together, at most kMostBlock.
  std::size_t block() const noexcept;

  /// out[i] = distance of row first + i from row `query` of `queries`, which room() or pick() made.
  /// The same whichever of two rows is the query.
  void measure(const MedoidPoints& queries, std::size_t query, std::size_t first, std::size_t n,
               float* out) const noexcept;

 private:
  MedoidPoints(MedoidMetric metric, std::size_t width, std::size_t row_bytes, std::size_t stride,
               std::size_t size);
  const std::byte* row(std::size_t r) const noexcept { return data_ + r * stride_; }
  void take_floats(const VectorsView& rows, const RunOptions& run);
  void check_lengths(const RunOptions& run) const;
  void take_bits(const VectorsView& rows, const RunOptions& run);

  MedoidMetric metric_;
  std::size_t width_ = 0;      // dimensions, or bytes of bits
  std::size_t row_bytes_ = 0;  // of content
  std::size_t stride_ = 0;
  std::size_t size_ = 0;
  Buffer own_;
  const std::byte* data_ = nullptr;      // own_, or the caller's rows
  std::vector<std::uint32_t> bits_set_;  // of each row, for Jaccard
};

}  // namespace vicinal::clustering
