#pragma once

#include <cstdint>
#include <limits>
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

struct IvfParams {
  CodecSpec codec = CodecKind::kSq8;      ///< what a search looks at; not kBfloat16, kInt8, kUint8
  RefineKind refine = RefineKind::kNone;  ///< what re-ranks the candidates
  /// Before the codec. Lists and the refine store are of rows as they came; of residuals, which are
  /// differences, no offset is taken.
  std::optional<Transform> transform;
  /// 0: chosen from the first n rows, about 4 sqrt(n), and fewer below 16,384 rows.
  std::uint32_t lists = 0;
  bool residual = true;  ///< codes hold what the centroid of the list leaves over of a row
  /// Each row lies in a second list too, the one whose residual r' makes
  /// ||r'||^2 + spill <r', r>^2 / ||r||^2 least, r being the residual of the first
  /// (SOAR, Sun et al., NeurIPS 2023).
  bool soar = false;
  float spill = 1.0f;  ///< >= 0; kept to a thousandth
  /// 0: each row in the list of the nearest centroid. From 1 on: no list takes more than so many
  /// times the mean length while one of the nearest few is below that. Kept to a thousandth.
  float balance = 0.0f;
  std::uint64_t seed = 0;  ///< the only source of randomness
};

struct IvfSearch {
  std::uint32_t nprobe = 16;  ///< lists looked into; more where they hold fewer than k answers
  /// Candidates compared with the refine store, at least k. 0 chooses from k and the codec, and
  /// ends sooner where no other is likely to be among the k nearest.
  std::uint32_t candidates = 0;
  /// Lists are skipped whose centroid is farther than 1 + cut times the nearest one. Infinite:
  /// none. Not for inner product, which has no such scale.
  float cut = std::numeric_limits<float>::infinity();
  Allowed allowed;
};

/// What the searches of one call did, summed over its queries.
struct IvfStats {
  std::uint64_t lists = 0;      ///< looked into
  std::uint64_t distances = 0;  ///< codes compared
  std::uint64_t reranked = 0;   ///< refine rows compared
};

/// Inverted lists: rows lie with the nearest of some centroids, and a search compares those of the
/// centroids nearest to the query. Many queries at once are turned round, so that each list is read
/// once for all queries that want it (the idea of HQI, Mohoney et al., SIGMOD 2023); their answers
/// are those of one query at a time, bit by bit.
/// Any number of searches may run beside one another and beside add(), remove() and save().
class IvfIndex {
 public:
  /// Throws ArgumentError: dim 0 or above kMaxDim, a codec not held, a refine store no finer than
  /// the codec, spill or balance out of range, a transform of other dimensions or one that does not
  /// fit: see Transform::fits(); for codes of residuals any does.
  IvfIndex(std::size_t dim, Metric metric, IvfParams params = {});
  ~IvfIndex();
  IvfIndex(IvfIndex&&) noexcept;
  IvfIndex& operator=(IvfIndex&&) noexcept;

  std::size_t dim() const noexcept;
  Metric metric() const noexcept;
  const IvfParams& params() const noexcept;
  std::size_t size() const;  ///< rows that a search can return
  /// Lists there are; 0 until centroids have been learned.
  std::uint32_t lists() const;
  /// Entries of each list, removed rows included until they are swept out.
  std::vector<std::uint32_t> list_sizes() const;

  /// Learns centroids and codec from rows like those to come; else the first add() does, from its
  /// own. Throws ArgumentError if that has been done, or there are fewer rows than lists.
  void train(const VectorsView& sample, const RunOptions& run = {});
  /// As FlatIndex::add. Centroids and codec stay what they are.
  void add(const VectorsView& rows, const std::int64_t* ids = nullptr, const RunOptions& run = {});
  /// As FlatIndex::remove. Removed rows are skipped, and swept out once they are a quarter of all.
  void remove(const std::int64_t* ids, std::size_t count);
  bool contains(std::int64_t id) const;
  void get(std::int64_t id, float* out) const;  ///< from the finest store kept
  std::vector<std::int64_t> ids() const;

  /// ids and distances: queries.rows x k, nearest first, ties by smaller id, padded with -1, +inf.
  void search(const VectorsView& queries, const IvfSearch& how, MatrixView<std::int64_t> ids,
              MatrixView<float> distances, const RunOptions& run = {},
              IvfStats* stats = nullptr) const;

  MemoryReport memory() const;
  void save(const std::string& path, const std::string& metadata = {},
            const RunOptions& run = {}) const;
  static IvfIndex open(const std::string& path, OpenMode mode = OpenMode::kMap);

  struct Impl;

 private:
  explicit IvfIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicinal
