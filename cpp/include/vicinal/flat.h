#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vicinal/codec.h"
#include "vicinal/control.h"
#include "vicinal/file.h"
#include "vicinal/idset.h"
#include "vicinal/memory.h"
#include "vicinal/transform.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal {

struct FlatParams {
  CodecSpec codec;                     ///< any but kBfloat16
  std::optional<Transform> transform;  ///< before the codec
};

/// Neighbours of several queries, each query with as many as it has.
struct RangeResult {
  std::vector<std::uint64_t> offsets;  ///< queries + 1; query q owns [offsets[q], offsets[q + 1])
  std::vector<std::int64_t> ids;
  std::vector<float> distances;
};

/// Exact search: every row is compared. Exact over what is stored: with kFloat16 or kSq8 the
/// distances are those of the stored, rounded rows.
/// Any number of searches may run beside one another and beside add(), remove() and save().
class FlatIndex {
 public:
  /// Throws ArgumentError for dim 0 or above kMaxDim, for a codec it does not hold, and for a
  /// transform of other dimensions or one that does not fit the metric.
  FlatIndex(std::size_t dim, Metric metric, FlatParams params = {});
  ~FlatIndex();
  FlatIndex(FlatIndex&&) noexcept;
  FlatIndex& operator=(FlatIndex&&) noexcept;

  std::size_t dim() const noexcept;
  Metric metric() const noexcept;
  const FlatParams& params() const noexcept;
  std::size_t size() const;  ///< rows that a search can return

  /// ids: rows.rows of them, each >= 0 and new; nullptr numbers them from the highest id so far
  /// + 1. Throws ArgumentError (repeated or present id, NaN, infinity, zero vector under cosine, a
  /// value the codec cannot hold), DimensionError; then nothing has changed.
  void add(const VectorsView& rows, const std::int64_t* ids = nullptr, const RunOptions& run = {});
  /// Throws ArgumentError if an id is absent or repeated; then nothing has changed.
  void remove(const std::int64_t* ids, std::size_t count);
  bool contains(std::int64_t id) const;
  /// The stored vector, decoded, dim() floats; under cosine of unit length.
  void get(std::int64_t id, float* out) const;
  /// Every id, in order of insertion; size() of them.
  std::vector<std::int64_t> ids() const;

  /// ids and distances: queries.rows x k, nearest first, ties by smaller id, padded with -1, +inf.
  void search(const VectorsView& queries, MatrixView<std::int64_t> ids, MatrixView<float> distances,
              const Allowed& allowed = {}, const RunOptions& run = {}) const;
  /// Everything with distance <= radius, nearest first.
  RangeResult range_search(const VectorsView& queries, float radius, const Allowed& allowed = {},
                           const RunOptions& run = {}) const;

  MemoryReport memory() const;
  /// metadata: free text kept in the file (Python keeps its settings there).
  void save(const std::string& path, const std::string& metadata = {},
            const RunOptions& run = {}) const;
  static FlatIndex open(const std::string& path, OpenMode mode = OpenMode::kMap);

  struct Impl;

 private:
  explicit FlatIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicinal
