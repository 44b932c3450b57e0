#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/id_map.h"
#include "indexes/flat_state.h"
#include "vicinal/flat.h"

namespace vicinal {

namespace indexes {
class FlatPlan;
}

struct FlatIndex::Impl {
  using Snapshot = indexes::FlatSnapshot;
  using View = std::shared_ptr<const Snapshot>;

  Impl(std::size_t dim, Metric metric, FlatParams params);

  bool unit() const noexcept { return metric == Metric::kCosine; }
  View view() const;

  void add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run);
  void remove(const std::int64_t* ids, std::size_t count);
  bool contains(std::int64_t id) const;
  void get(std::int64_t id, float* out) const;

  void search(const VectorsView& queries, MatrixView<std::int64_t> ids, MatrixView<float> distances,
              const Allowed& allowed, const RunOptions& run) const;
  RangeResult range_search(const VectorsView& queries, float radius, const Allowed& allowed,
                           const RunOptions& run) const;
  /// The live rows of these ids, ascending, in the snapshot they belong to. Unknown ids are
  /// ignored.
  View rows_of(const std::int64_t* ids, std::size_t count, std::vector<std::uint32_t>& rows) const;

  MemoryReport memory() const;
  void save(const std::string& path, const std::string& metadata, const RunOptions& run) const;
  static std::unique_ptr<Impl> open(const std::string& path, OpenMode mode);

  const std::size_t dim;
  const Metric metric;
  const FlatParams params;

 private:
  /// Calls use(snapshot, find), find(id) being the live row of an id in that snapshot, or kNoRow.
  template <class Use>
  void with_ids(Use use) const;
  void ensure_map() const;
  void publish(Snapshot next);

  std::shared_ptr<indexes::FlatStore> grown(const Snapshot& now, const quantizers::Codec& codec,
                                            std::size_t capacity, bool table) const;
  void encode(const VectorsView& rows, const quantizers::Codec& codec, std::byte* to,
              const RunOptions& run) const;
  /// Whether new ids rise, beginning at first_allowed or above.
  static bool ids_rise(const std::int64_t* ids, std::size_t count, std::uint64_t first_allowed);
  void check_new_ids(const Snapshot& now, const std::int64_t* ids, std::size_t count) const;
  Snapshot compacted(const Snapshot& now) const;

  std::mutex writer_;  // add() and remove(), one at a time
  // Taken before view_mutex_. While it is held, shared or not, map and snapshot belong together.
  mutable std::shared_mutex map_mutex_;
  mutable IdMap map_;  // live rows; unused while ids are row numbers; built when first asked
  mutable bool map_ready_ = false;
  mutable std::mutex view_mutex_;  // held only to copy or swap the pointer
  View view_;
};

}  // namespace vicinal
