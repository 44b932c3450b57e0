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

struct HnswParams {
  CodecSpec codec;  ///< what the walk looks at: any but kBfloat16, kInt8, kUint8
  RefineKind refine = RefineKind::kNone;    ///< what re-ranks the candidates of the walk
  std::optional<Transform> transform;       ///< before the codec, not before the refine store
  std::uint32_t links = 16;  ///< edges per node above the base layer; twice that on it
  std::uint32_t build_ef = 200;  ///< effort: candidates weighed for the links of a row
  std::uint64_t seed = 0;        ///< the only source of randomness
  /// How the first rows of an empty index, and all rows of compact(), are linked.
  enum class Builder : std::uint8_t {
    kAuto,    ///< at once if there are 4096 or more of codec kSq8 or kSq4 and the metric is not
              ///< inner product, unless more than one in a hundred equals many others; else
              ///< one by one
    kBatch,   ///< at once
    kInsert,  ///< one by one, as all later rows are
  };
  Builder builder = Builder::kAuto;
};

struct HnswSearch {
  static constexpr float kNoSlack = -1.0f;
  std::uint32_t ef = 64;      ///< candidates kept per query; at least k is always kept
  /// From 0 to 1000: a walk ends sooner, once no candidate lies within (1 + slack) times the
  /// distance of the k-th nearest found. Without effect where rows are removed or not allowed. Of
  /// kL2 and kCosine.
  float slack = kNoSlack;
  /// Candidates compared with the refine store. 0: up to ef; it ends sooner where, by the errors of
  /// the codes seen so far, no other is likely to be among the k nearest.
  std::uint32_t rerank = 0;
  Allowed allowed;
  /// Ids, one for each query, that count as absent, or null: then a row is searched for as if it
  /// had not been added. Of use for calibration. What is not an id here is skipped.
  const std::int64_t* without = nullptr;
};

/// What the searches of one call did, summed over its queries.
struct HnswStats {
  std::uint64_t hops = 0;       ///< nodes whose links were read
  std::uint64_t distances = 0;  ///< codes compared
  std::uint64_t reranked = 0;   ///< refine rows compared
  std::uint64_t scanned = 0;    ///< queries answered by exact scan of the allowed rows
};

const char* name(HnswParams::Builder builder) noexcept;

/// Navigable small-world graph (Malkov & Yashunin, IEEE TPAMI 42(4), 2020), the same for any number
/// of threads.
/// Any number of searches may run beside one another and beside add(), remove() and save().
class HnswIndex {
 public:
  /// Throws ArgumentError: dim 0 or above kMaxDim, links outside 2..512, build_ef < 1, codec not
  /// held, kFloat32 codes with a refine store that adds nothing, a transform of other dimensions or
  /// one that does not fit the metric.
  HnswIndex(std::size_t dim, Metric metric, HnswParams params = {});
  ~HnswIndex();
  HnswIndex(HnswIndex&&) noexcept;
  HnswIndex& operator=(HnswIndex&&) noexcept;

  std::size_t dim() const noexcept;
  Metric metric() const noexcept;
  const HnswParams& params() const noexcept;
  std::size_t size() const;     ///< rows that a search can return
  std::size_t removed() const;  ///< rows removed but still walked through, until compact()

  /// As FlatIndex::add. A cancelled add() keeps the rows of the batches it finished; of rows linked
  /// at once it keeps none. Linking rows at once takes up to 4 * build_ef + 12 * links + 200 bytes
  /// for each while it lasts, beside the index itself, and about 20 MB for each thread.
  void add(const VectorsView& rows, const std::int64_t* ids = nullptr, const RunOptions& run = {});
  void remove(const std::int64_t* ids, std::size_t count);
  bool contains(std::int64_t id) const;
  void get(std::int64_t id, float* out) const;  ///< from the finest store kept
  std::vector<std::int64_t> ids() const;

  /// Builds the graph again without the removed rows and gives their memory back.
  void compact(const RunOptions& run = {});
  /// Renumbers rows inside so that neighbours lie near one another in memory; ids stay.
  void reorder(const RunOptions& run = {});

  void search(const VectorsView& queries, const HnswSearch& how, MatrixView<std::int64_t> ids,
              MatrixView<float> distances, const RunOptions& run = {},
              HnswStats* stats = nullptr) const;

  MemoryReport memory() const;
  void save(const std::string& path, const std::string& metadata = {},
            const RunOptions& run = {}) const;
  static HnswIndex open(const std::string& path, OpenMode mode = OpenMode::kMap);

  struct Impl;

 private:
  explicit HnswIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicinal
