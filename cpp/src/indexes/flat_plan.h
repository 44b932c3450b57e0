#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bitmap.h"
#include "base/parallel.h"
#include "indexes/flat_impl.h"
#include "kernels/table.h"
#include "vicinal/idset.h"

namespace vicinal::indexes {

/// Which rows of which snapshot one call looks at. A place is what loops count: a row, or, once so
/// few rows are allowed that they are gathered, an entry of the list of them.
class FlatPlan {
 public:
  FlatPlan(const FlatIndex::Impl& index, const Allowed& allowed);

  const FlatSnapshot& at() const noexcept { return *view_; }
  const quantizers::Codec& codec() const noexcept { return *view_->codec; }
  std::size_t places() const noexcept { return listed_ ? list_.size() : view_->rows; }
  std::size_t count() const noexcept { return count_; }  ///< rows that may be returned
  bool listed() const noexcept { return listed_; }
  bool masked() const noexcept { return masked_; }  ///< some places are hidden; never when listed
  const std::uint32_t* list() const noexcept { return list_.data(); }
  std::uint32_t row(std::size_t place) const noexcept {
    return listed_ ? list_[place] : static_cast<std::uint32_t>(place);
  }
  const std::byte* codes(std::size_t row) const noexcept {
    return view_->store->codes.data() + row * view_->codec->stride();
  }
  /// Puts +inf where places first .. first + n - 1 are hidden. False if all of them are.
  bool hide(std::size_t first, std::size_t n, float* values) const noexcept;

  /// The rows in blocks; null if they lie one after the other.
  const PackedRows* packed() const noexcept { return view_->packed.get(); }
  const Bitmap* mask() const noexcept { return masked_ ? &visible_ : nullptr; }
  /// What scanning one row reads.
  std::size_t row_bytes() const noexcept {
    return packed() != nullptr ? codec().block_bytes() / quantizers::kBlockRows : codec().stride();
  }

 private:
  /// Whether so many of the rows are allowed that all are looked at.
  bool enough() const noexcept;

  FlatIndex::Impl::View view_;
  std::size_t count_ = 0;
  bool listed_ = false;
  bool masked_ = false;
  Bitmap visible_;
  std::vector<std::uint32_t> list_;
};

/// One query, ready to be compared with any stored rows. What comes out are final distances: the
/// same bits for the same row whichever function is asked.
class FlatQuery {
 public:
  /// query: dim floats, of unit length under cosine.
  void prepare(const quantizers::Codec& codec, Metric metric, const float* query);
  void block(const std::byte* codes, std::size_t n, float* out);
  void ids(const FlatSnapshot& at, const std::uint32_t* rows, std::size_t n, float* out);

  /// Of codecs whose rows lie in blocks: whether the three below can be used.
  bool bounded() const noexcept { return bounded_; }
  /// What scores blocks; finished, no score is more than the distance.
  const quantizers::BlockQuery& bounds() const noexcept { return bounds_; }
  void finish_bounds(float* scores, std::size_t blocks) const noexcept {
    finish(scores, blocks * quantizers::kBlockRows);
  }
  /// About how far the distance of a row may lie above that.
  float slack(const std::byte* block, std::size_t place) const {
    return bounds_.slack(block, place);
  }

 private:
  void decoded(const std::byte* codes, std::size_t n, float* out);
  void finish(float* scores, std::size_t n) const noexcept;

  const quantizers::Codec* codec_ = nullptr;
  Metric metric_ = Metric::kL2;
  bool decodes_ = false;  // byte rows, and a query that is not whole numbers: compared as floats
  bool bounded_ = false;
  quantizers::Query query_;
  quantizers::BlockQuery bounds_;
  quantizers::Scratch<std::byte> unpacked_;
  quantizers::Scratch<float> values_;
  quantizers::Scratch<float> rows_;
};

/// Counts comparisons of queries with rows, from any thread, and lets the calling thread report
/// them.
class Comparisons {
 public:
  Comparisons(const RunOptions& run, std::uint64_t total) : ticker_(run, "searching", total) {
    ticker_.follow(done_);
  }
  Ticker* ticker() noexcept { return &ticker_; }
  void add(std::uint64_t n) {
    done_.fetch_add(n, std::memory_order_relaxed);
    ticker_.poll();
  }

 private:
  std::atomic<std::uint64_t> done_{0};
  Ticker ticker_;
};

/// Rows of the index within a distance of one query, ties included, unordered. Appends.
struct Reached {
  std::vector<std::uint32_t> rows;
  std::vector<float> distances;
};
void collect(const FlatPlan& plan, FlatQuery& query, std::size_t first, std::size_t last,
             float radius, Reached& out, Comparisons* counted = nullptr);

/// The float rows of queries begin .. end - 1, of unit length if `unit`: as they lie if they can be
/// used so, else converted into `scratch`.
const float* query_rows(const VectorsView& queries, std::size_t begin, std::size_t end, bool unit,
                        std::vector<float>& scratch);

}  // namespace vicinal::indexes
