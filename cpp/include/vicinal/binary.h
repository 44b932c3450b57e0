#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vicinal/control.h"
#include "vicinal/file.h"
#include "vicinal/flat.h"
#include "vicinal/idset.h"
#include "vicinal/memory.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal {

// Packed bits are uint8 rows of (bits + 7) / 8 bytes. Bit i is bit 7 - i % 8 of byte i / 8, as
// numpy.packbits packs; what the last byte has left over is zero.

/// Exact search over rows of bits, by Hamming or by Jaccard (Tanimoto) distance.
/// Any number of searches may run beside one another and beside add(), remove() and save().
class BinaryIndex {
 public:
  /// dim: bits of a row. Throws ArgumentError unless 1 <= dim <= kMaxBits.
  BinaryIndex(std::size_t dim, BitMetric metric);
  ~BinaryIndex();
  BinaryIndex(BinaryIndex&&) noexcept;
  BinaryIndex& operator=(BinaryIndex&&) noexcept;

  std::size_t dim() const noexcept;
  BitMetric metric() const noexcept;
  std::size_t size() const;  ///< rows that a search can return

  /// rows: packed, uint8. ids: as FlatIndex::add(). Throws ArgumentError (repeated or present id,
  /// bits set beyond dim), DimensionError; then nothing has changed.
  void add(const VectorsView& rows, const std::int64_t* ids = nullptr, const RunOptions& run = {});
  /// Throws ArgumentError if an id is absent or repeated; then nothing has changed.
  void remove(const std::int64_t* ids, std::size_t count);
  bool contains(std::int64_t id) const;
  /// The stored row, packed: (dim() + 7) / 8 bytes.
  void get(std::int64_t id, std::uint8_t* out) const;
  /// Every id, ascending; size() of them.
  std::vector<std::int64_t> ids() const;

  /// ids and distances: queries.rows x k, nearest first, ties by smaller id, padded with -1, +inf.
  void search(const VectorsView& queries, MatrixView<std::int64_t> ids, MatrixView<float> distances,
              const Allowed& allowed = {}, const RunOptions& run = {}) const;
  /// Everything with distance <= radius, nearest first.
  RangeResult range_search(const VectorsView& queries, float radius, const Allowed& allowed = {},
                           const RunOptions& run = {}) const;
  /// Candidates of each query ranked by the negative inner product of the query, which is numbers,
  /// with the stored bits read as +1 and -1 (Yamada, Asai & Hajishirzi, "Efficient passage
  /// retrieval with hashing", ACL 2021). queries: dim() columns. Candidates that are repeated or
  /// not in the index are left out.
  void rescore(const VectorsView& queries, MatrixView<const std::int64_t> candidates,
               MatrixView<std::int64_t> ids, MatrixView<float> distances,
               const RunOptions& run = {}) const;

  MemoryReport memory() const;
  void save(const std::string& path, const std::string& metadata = {},
            const RunOptions& run = {}) const;
  static BinaryIndex open(const std::string& path, OpenMode mode = OpenMode::kMap);

  struct Impl;

 private:
  explicit BinaryIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Per column, what splits the values of a bit: their mean, or their median (of an even number the
/// mean of the two in the middle).
enum class BitThreshold : std::uint8_t { kMean, kMedian };

/// rows.cols of them. Throws ArgumentError for NaN, infinity or no rows.
std::vector<float> bit_thresholds(const VectorsView& rows, BitThreshold kind,
                                  const RunOptions& run = {});
/// A bit is set where a value lies above its threshold; nullptr: above zero. out: packed rows.
/// Throws ArgumentError for NaN or infinity, and then nothing has been written.
void pack_bits(const VectorsView& rows, const float* thresholds, std::uint8_t* out,
               const RunOptions& run = {});

/// Candidates of each query, row numbers or -1, ranked by the distance of the rows themselves; of a
/// repeated one, one stays. Throws ArgumentError if a row is not there or holds NaN or infinity.
void rerank(const VectorsView& queries, const VectorsView& rows, Metric metric,
            MatrixView<const std::int64_t> candidates, MatrixView<std::int64_t> ids,
            MatrixView<float> distances, const RunOptions& run = {});

}  // namespace vicinal
