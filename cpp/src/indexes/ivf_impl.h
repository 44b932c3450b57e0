#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "indexes/ivf_state.h"
#include "indexes/row_ids.h"
#include "vicinal/ivf.h"

namespace vicinal {

struct IvfIndex::Impl {
  using Snapshot = indexes::IvfSnapshot;
  using Lists = indexes::IvfLists;
  using Model = indexes::IvfModel;
  using View = std::shared_ptr<const Snapshot>;

  Impl(std::size_t dim, Metric metric, IvfParams params);

  bool unit() const noexcept { return metric == Metric::kCosine; }
  /// Whether codes know less of rows than a codec of this kind usually does.
  bool loses_dimensions() const noexcept {
    return params.transform && params.transform->out() < dim;
  }
  View view() const;

  void train(const VectorsView& sample, const RunOptions& run);
  void add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run);
  void remove(const std::int64_t* ids, std::size_t count);
  bool contains(std::int64_t id) const;
  void get(std::int64_t id, float* out) const;

  void search(const VectorsView& queries, const IvfSearch& how, MatrixView<std::int64_t> ids,
              MatrixView<float> distances, const RunOptions& run, IvfStats* stats) const;
  /// The live rows of these ids, in the snapshot they belong to. Unknown ids are ignored.
  View rows_of(const std::int64_t* ids, std::size_t count, std::vector<std::uint32_t>& rows) const;

  MemoryReport memory() const;
  void save(const std::string& path, const std::string& metadata, const RunOptions& run) const;
  static std::unique_ptr<Impl> open(const std::string& path, OpenMode mode);

  const std::size_t dim;
  const Metric metric;
  const IvfParams params;

 private:
  void publish(Snapshot next);
  /// As RowIds::with().
  template <class Use>
  void with_ids(const Use& use) const {
    row_ids_.with([this] { return view(); }, use);
  }

  // ivf_train.cpp
  std::shared_ptr<const Model> learn(const VectorsView& rows, const RunOptions& run) const;
  /// What follows from centroids and codec: the rest of a model.
  void complete(Model& model) const;
  std::unique_ptr<Model> blank(std::uint32_t lists) const;
  /// What codes compare by, and what stands before them: residuals are differences.
  Metric code_metric() const noexcept {
    return params.residual ? Metric::kInnerProduct : metric;
  }
  std::optional<Transform> code_transform() const;

  // ivf_change.cpp
  struct Labels;
  Labels label(const Model& model, const Lists& lists, const VectorsView& rows,
               const RunOptions& run) const;
  std::shared_ptr<indexes::IvfStore> stored(const Snapshot& now, const Model& model,
                                            std::size_t rows, bool table) const;
  /// Encodes the rows, numbered from `first`, behind the entries that lists hold, and counts them.
  void fill(const Model& model, const Labels& labels, const VectorsView& rows, std::uint32_t first,
            indexes::IvfStore& store, Lists& lists, const RunOptions& run) const;
  Snapshot swept(const Snapshot& now) const;

  std::mutex writer_;  // train(), add() and remove(), one at a time
  indexes::RowIds row_ids_;
  mutable std::mutex view_mutex_;  // held only to copy or swap the pointer
  View view_;
};

}  // namespace vicinal
