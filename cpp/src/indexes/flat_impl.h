#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "indexes/flat_state.h"
#include "indexes/row_ids.h"
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
  void publish(Snapshot next);
  /// As RowIds::with().
  template <class Use>
  void with_ids(const Use& use) const {
    row_ids_.with([this] { return view(); }, use);
  }

  std::shared_ptr<indexes::FlatStore> grown(const Snapshot& now, const quantizers::Codec& codec,
                                            std::size_t capacity, bool table) const;
  void encode(const VectorsView& rows, const quantizers::Codec& codec, std::byte* to,
              const RunOptions& run) const;
  Snapshot compacted(const Snapshot& now) const;

  std::mutex writer_;  // add() and remove(), one at a time
  indexes::RowIds row_ids_;
  mutable std::mutex view_mutex_;  // held only to copy or swap the pointer
  View view_;
};

}  // namespace vicinal
