#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "indexes/hnsw_state.h"
#include "indexes/hnsw_walk.h"
#include "indexes/row_ids.h"
#include "quantizers/transformed.h"
#include "storage/container.h"
#include "vicinal/hnsw.h"

namespace vicinal {

struct HnswIndex::Impl {
  Impl(std::size_t dim, Metric metric, HnswParams params);

  // Set once.
  const std::size_t dim;
  const Metric metric;
  const HnswParams params;
  std::shared_ptr<const quantizers::Codec> refine;  ///< null without a refine store

  /// Held by whatever changes the index; shared by what must see it at rest.
  mutable std::shared_mutex writer;
  std::int64_t next_id = 0;  ///< one above the highest id ever given; guarded by `writer`
  mutable indexes::WalkStore walks;
  /// The file this index is mapped from, until its links were checked; guarded by `writer`. A walk
  /// steps over links that lead nowhere, so searching needs no check, and opening stays quick; the
  /// builder follows links as it finds them.
  std::unique_ptr<storage::File> unchecked;

  /// What searches see, and how they read it.
  struct View {
    std::shared_ptr<const indexes::Snapshot> at;             ///< null while nothing was added
    std::shared_ptr<const quantizers::Codec> codec;          ///< likewise
    std::shared_ptr<const quantizers::Codec> build_codec;    ///< compares stored rows

    static const indexes::Snapshot kNothing;
    const indexes::Snapshot& operator*() const noexcept { return at ? *at : kNothing; }
    const indexes::Snapshot* operator->() const noexcept { return &**this; }
  };
  View view() const;
  void publish(const indexes::Snapshot& next);
  void set_codecs(std::shared_ptr<const quantizers::Codec> codec,
                  std::shared_ptr<const quantizers::Codec> build_codec);
  bool unit() const noexcept { return metric == Metric::kCosine; }
  /// What compares stored rows with one another. Unit vectors are compared by L2, where that reads
  /// the same rows: scalar codes then need not be decoded. So are what a transform made of vectors.
  std::shared_ptr<const quantizers::Codec> build_codec(
      const std::shared_ptr<const quantizers::Codec>& codec) const {
    if (codec->kind() > CodecKind::kSq4 || metric == Metric::kInnerProduct) return codec;
    const auto inner = quantizers::inner_of(codec);
    return unit() ? inner->for_metric(Metric::kL2) : inner;
  }

  /// As RowIds::with(), of views.
  template <class Use>
  void with_ids(const Use& use) const {
    row_ids_.with([this] { return view(); }, use);
  }
  std::size_t id_map_bytes() const { return row_ids_.bytes(); }
  bool contains(std::int64_t id) const {
    return row_ids_.contains([this] { return view(); }, id);
  }
  void get(std::int64_t id, float* out) const;

  // hnsw_change.cpp
  void add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run);
  /// Whether the first so many rows of a graph are linked at once.
  bool at_once(std::size_t rows) const noexcept;
  bool may_yield() const noexcept { return params.builder == HnswParams::Builder::kAuto; }
  void fill(indexes::State& state, const quantizers::Codec& codec, std::uint32_t first,
            const VectorsView& rows, const RunOptions& run) const;
  /// Memory of our own with room for so much, holding what `at` holds.
  std::shared_ptr<indexes::State> grown(const indexes::Snapshot& at,
                                        const quantizers::Codec& codec, std::size_t rows,
                                        std::size_t towers, std::size_t slots, bool ids) const;
  void move_rows(const indexes::Snapshot& old, const std::vector<std::uint32_t>& from,
                 const quantizers::Codec& codec, indexes::State& to) const;
  void remove(const std::int64_t* ids, std::size_t count);
  void compact(const RunOptions& run);
  void reorder(const RunOptions& run);

  // hnsw_search.cpp
  void search(const VectorsView& queries, const HnswSearch& how, MatrixView<std::int64_t> ids,
              MatrixView<float> distances, const RunOptions& run, HnswStats* stats) const;

  // hnsw_file.cpp
  void save(const std::string& path, const std::string& metadata, const RunOptions& run) const;
  static std::unique_ptr<Impl> open(const std::string& path, OpenMode mode);
  /// Before the graph is changed. Throws FormatError if a link of the mapped file leads nowhere.
  void trust_links(const indexes::Snapshot& at);

 private:
  mutable std::mutex view_mutex_;
  View view_;
  indexes::RowIds row_ids_;
};

}  // namespace vicinal
