// Many queries at once. The tile kernel ranks rows by s = |x|^2 / 2 - <q, x> (L2) or -<q, x>, in
// float32 and in another order of additions than the kernels that give distances. So it only picks
// candidates, every one of which is compared again by those; and it picks generously enough that no
// row of the answer can be missing:
//
//   Let |s' - s| <= E bound the rounding of a tile score, |d' - d| <= K that of a distance, and let
//   k rows have tile scores <= b. A row whose tile score is above b + margin is farther, by its
//   computed distance, than each of those k rows, if margin >= 2 (E + K) with d = s (inner
//   product), or margin >= 2 E + K with d = 2 s + |q|^2.
//
// The answer is then that of stream(), bit for bit. With u = 2^-24 the unit roundoff, g = (dim +
// 16) u and w a bound of the rows' length, sums of dim products give
//   inner product: E, K <= g |q| w,                        margin = 4 g |q| w
//   L2:            E <= g (w^2 + |q| w), K <= g (|q| + w)^2,  margin = 3 g (|q| + w)^2
// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). Scalar codes multiply a
// query with lower + delta * code in two parts, each as long as w = (|lower| + levels delta)
// sqrt(dim). Where more rows lie within the margin than a buffer holds, or numbers leave the range
// of floats, the query is streamed.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/buffer.h"
#include "base/parallel.h"
#include "base/rows_reader.h"
#include "indexes/flat_search.h"
#include "quantizers/plain.h"

namespace vicinal::indexes {
namespace {

using kernels::RowType;
using kernels::TileKernel;
using kernels::TileTop;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Float rows that stay in the second cache with a panel. Many, for every panel is read once per
// block: 128 KiB took 5% more time on 784 dimensions, where a panel has 100 KiB.
constexpr std::size_t kBlockBytes = std::size_t{384} << 10;
constexpr std::size_t kMostBlockRows = 512;
constexpr std::size_t kSlack = 512;  // candidates kept beyond 2 k before giving up
constexpr std::size_t kTaskBytes = std::size_t{16} << 20;    // of panels and buffers

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

/// Sizes of one call.
struct Layout {
  Layout(const FlatSearch& search, const TileKernel& kernel_)
      : kernel(kernel_), dim(search.queries.cols), width(kernel_.queries) {
    stride = round_up(dim, 4);
    const std::size_t fits = kBlockBytes / (stride * sizeof(float));
    block = std::clamp(fits / kernel.rows * kernel.rows, 4 * kernel.rows, kMostBlockRows);
    block = std::min(block, round_up(search.plan.places(), kernel.rows));
    first = std::min(block, round_up(2 * search.want + 32, kernel.rows));
    limit = 2 * search.want + kSlack;
    // An odd number of lines: buffers of neighbouring queries do not compete for the same sets.
    room = round_up(limit + block + 16, 32) + 16;
  }
  std::size_t panel_bytes() const {
    return width * (dim * sizeof(float) + room * (sizeof(float) + sizeof(std::uint32_t)));
  }

  const TileKernel& kernel;
  std::size_t dim;
  std::size_t width;   // queries of a panel
  std::size_t stride;  // floats of a row made float
  std::size_t block;   // rows scored together
  std::size_t first;   // rows of the first block: few, for want of a threshold
  std::size_t limit;   // candidates of a query that may stay
  std::size_t room;    // candidates its buffer holds
};

/// A block of rows as the tile kernel wants them.
class Block {
 public:
  Block(const FlatSearch& search, const Layout& layout)
      : plan_(search.plan),
        layout_(layout),
        l2_(search.metric == Metric::kL2),
        plain_(dynamic_cast<const quantizers::PlainCodec*>(&search.plan.codec())),
        scalar_(plain_ != nullptr && !plain_->mean().empty()),
        levels_(search.plan.codec().kind() == CodecKind::kSq4 ? 15.0f : 255.0f),
        in_place_(plain_ != nullptr && plain_->kind() == CodecKind::kFloat32 &&
                  !search.plan.listed()),
        floats_(Buffer::allocate(in_place_ ? 0 : layout.block * layout.stride * sizeof(float))),
        codes_(Buffer::allocate(search.plan.listed() ? layout.block * search.plan.codec().stride()
                                                     : 0)),
        zeros_(Buffer::allocate((layout.dim + 16) * sizeof(float))),
        norms_(layout.block),
        bias_(layout.block) {}

  /// False if no place of [place, place + n) may be returned.
  bool load(std::size_t place, std::size_t n) {
    const std::byte* codes = gather(place, n);
    const std::size_t code_bytes = plan_.codec().stride();
    stride_ = layout_.stride;
    if (in_place_) {
      rows_ = reinterpret_cast<const float*>(codes);
    } else {
      auto* out = reinterpret_cast<float*>(floats_.mutable_data());
      if (plain_ != nullptr) {  // without their mean: that has been taken off the queries
        const auto type = plain_->row_type(quantizers::Precision::kExact);
        kernels::active().row(type).decode(codes, code_bytes, n, layout_.dim, out, stride_);
      } else {
        plan_.codec().decode(codes, n, out, stride_);
      }
      rows_ = out;
    }
    if (scalar_) {
      read_heads(codes, code_bytes, n);
    } else {
      // Distances from nowhere: the kernel of squared L2 gives the squared lengths.
      const auto lengths =
          kernels::active().row(RowType::kF32).block[static_cast<std::size_t>(kernels::Rank::kL2)];
      lengths(zeros_.data(), reinterpret_cast<const std::byte*>(rows_), stride_ * sizeof(float), n,
              layout_.dim, norms_.data());
      for (std::size_t r = 0; r < n; ++r) lengthen(norms_[r]);
    }
    for (std::size_t r = 0; r < n; ++r) bias_[r] = l2_ ? 0.5f * norms_[r] : 0.0f;
    return !plan_.masked() || plan_.hide(place, n, bias_.data());
  }

  const float* rows() const noexcept { return rows_; }
  std::size_t stride() const noexcept { return stride_; }
  const float* bias() const noexcept { return bias_.data(); }
  /// At least the length of every row loaded so far; infinity if any is beyond floats.
  double reach() const noexcept {
    // 1.01: the squares were added in float; 1e-37 for each of them may have underflowed.
    return finite_ ? std::sqrt(1.01 * static_cast<double>(most_) +
                               1e-37 * static_cast<double>(layout_.dim))
                   : kInfinity;
  }

 private:
  const std::byte* gather(std::size_t place, std::size_t n) {
    if (!plan_.listed()) return plan_.codes(place);
    const std::size_t bytes = plan_.codec().stride();
    for (std::size_t i = 0; i < n; ++i) {
      std::memcpy(codes_.mutable_data() + i * bytes, plan_.codes(plan_.row(place + i)), bytes);
    }
    return codes_.data();
  }

  void read_heads(const std::byte* codes, std::size_t code_bytes, std::size_t n) {
    for (std::size_t r = 0; r < n; ++r) {
      kernels::ScalarRow head;
      std::memcpy(&head, codes + r * code_bytes, sizeof head);
      norms_[r] = head.norm;
      const float side = std::abs(head.lower) + levels_ * std::abs(head.delta);
      lengthen(side * side * static_cast<float>(layout_.dim));
      finite_ = finite_ && std::abs(head.norm) < kInfinity;
    }
  }

  void lengthen(float squared) {
    finite_ = finite_ && squared < kInfinity;
    most_ = std::max(most_, squared);
  }

  const FlatPlan& plan_;
  const Layout& layout_;
  const bool l2_;
  const quantizers::PlainCodec* const plain_;
  const bool scalar_;
  const float levels_;  // of scalar codes
  const bool in_place_;
  Buffer floats_;
  Buffer codes_;
  Buffer zeros_;
  std::vector<float> norms_;
  std::vector<float> bias_;
  const float* rows_ = nullptr;
  std::size_t stride_ = 0;
  float most_ = 0.0f;
  bool finite_ = true;
};

/// The candidates of a group of queries among a range of places.
class Group {
 public:
  Group(const FlatSearch& search, const Layout& layout, std::size_t first_query,
        std::size_t queries)
      : search_(search),
        layout_(layout),
        first_query_(first_query),
        queries_(queries),
        panels_((queries + layout.width - 1) / layout.width),
        tops_(panels_),
        state_(queries),
        packed_(Buffer::allocate(panels_ * panel_floats() * sizeof(float))),
        scores_(Buffer::allocate(panels_ * layout.width * layout.room * sizeof(float))),
        rows_(Buffer::allocate(panels_ * layout.width * layout.room * sizeof(std::uint32_t))) {
    pack();
  }

  void scan(std::size_t first, std::size_t last, Comparisons& counted) {
    Block block(search_, layout_);
    double reach = 0.0;
    for (std::size_t place = first; place < last;) {
      const std::size_t n = std::min(place == first ? layout_.first : layout_.block, last - place);
      const bool any = block.load(place, n);
      if (block.reach() > reach) {
        reach = block.reach();
        widen(reach);
      }
      for (std::size_t p = 0; any && p < panels_; ++p) {
        layout_.kernel.score(panel(p), block.rows(), block.stride(), n, layout_.dim, block.bias(),
                             static_cast<std::uint32_t>(place), &tops_[p]);
        const std::size_t from = p * layout_.width;
        for (std::size_t q = from; q < std::min(queries_, from + layout_.width); ++q) {
          if (tops_[p].count[q - from] > state_[q].full) shrink(q);
        }
      }
      place += n;
      counted.add(n * queries_);
    }
  }

  /// Compares the candidates of query q (of this group) as stream() would; false if it must be
  /// streamed after all.
  bool finish(std::size_t q, FlatQuery& query, BlockTopK& top, const std::vector<Hit>*& hits) {
    shrink(q);
    if (state_[q].lost) return false;
    const std::uint32_t count = count_of(q);
    std::uint32_t* rows = rows_of(q);
    float* distances = scores_of(q);
    const FlatPlan& plan = search_.plan;
    for (std::uint32_t i = 0; plan.listed() && i < count; ++i) rows[i] = plan.row(rows[i]);
    query.prepare(plan.codec(), search_.metric,
                  query_rows(search_.queries, first_query_ + q, first_query_ + q + 1,
                             search_.unit(), floats_));
    query.ids(plan.at(), rows, count, distances);
    top.reset(search_.want);
    top.push_ids(distances, count, rows);
    hits = &top.finish();
    // Distances that were cut off at zero tie with more rows than their scores tell.
    const bool cut = search_.unit() || plan.codec().has_fast();
    return !(cut && hits->size() == search_.want && hits->back().distance == 0.0f &&
             state_[q].dropped);
  }

 private:
  struct State {
    double length = 0.0;     // of the query, centred as it is packed
    float kth = kInfinity;   // the want-th smallest score so far
    float margin = 0.0f;
    std::uint32_t full = 0;  // candidates at which the buffer is emptied
    bool lost = false;
    bool dropped = false;    // some row was left out for its score
  };

  std::size_t panel_floats() const { return layout_.dim * layout_.width; }
  float* panel(std::size_t p) {
    return reinterpret_cast<float*>(packed_.mutable_data()) + p * panel_floats();
  }
  float* scores_of(std::size_t q) {
    return reinterpret_cast<float*>(scores_.mutable_data()) + q * layout_.room;
  }
  std::uint32_t* rows_of(std::size_t q) {
    return reinterpret_cast<std::uint32_t*>(rows_.mutable_data()) + q * layout_.room;
  }
  std::uint32_t& count_of(std::size_t q) {
    return tops_[q / layout_.width].count[q % layout_.width];
  }
  float& threshold_of(std::size_t q) {
    return tops_[q / layout_.width].threshold[q % layout_.width];
  }

  void pack() {
    const auto* plain = dynamic_cast<const quantizers::PlainCodec*>(&search_.plan.codec());
    const std::vector<float> none;
    const std::vector<float>& mean = plain != nullptr ? plain->mean() : none;
    const bool centred = !mean.empty() && search_.metric == Metric::kL2;
    double mean2 = 0.0;  // <q, mean> is added to each inner product, and rounds it
    for (std::size_t i = 0; !centred && i < mean.size(); ++i)
      mean2 += static_cast<double>(mean[i]) * mean[i];
    mean_ = std::sqrt(mean2);
    std::vector<float> own(centred ? layout_.width * layout_.dim : 0);
    for (std::size_t p = 0; p < panels_; ++p) {
      const std::size_t from = p * layout_.width;
      const std::size_t n = std::min(layout_.width, queries_ - from);
      const float* floats = query_rows(search_.queries, first_query_ + from,
                                       first_query_ + from + n, search_.unit(), floats_);
      for (std::size_t i = 0; centred && i < n * layout_.dim; ++i)
        own[i] = floats[i] - mean[i % layout_.dim];
      const float* packed = centred ? own.data() : floats;
      layout_.kernel.pack(packed, layout_.dim, n, layout_.dim, panel(p));
      for (std::size_t q = 0; q < layout_.width; ++q) {
        tops_[p].threshold[q] = -kInfinity;
        tops_[p].count[q] = 0;
        tops_[p].scores[q] = scores_of(from + q);
        tops_[p].ids[q] = rows_of(from + q);
        if (q >= n) continue;
        double squared = 0.0;
        for (std::size_t i = 0; i < layout_.dim; ++i) {
          squared += static_cast<double>(packed[q * layout_.dim + i]) * packed[q * layout_.dim + i];
        }
        state_[from + q].length = std::sqrt(squared);
        state_[from + q].full = static_cast<std::uint32_t>(search_.want);
        tops_[p].threshold[q] = kInfinity;
      }
    }
  }

  /// Longer rows have come: scores are less sure than was thought.
  void widen(double reach) {
    const double n = static_cast<double>(layout_.dim);
    const double unit = (n + 16.0) * 0x1.0p-24 * 1.01;  // 1.01: terms of second order
    const double tiny = n * 2e-37;                      // products that underflow
    for (std::size_t q = 0; q < queries_; ++q) {
      State& s = state_[q];
      const double sum = s.length + reach + mean_;
      double margin = search_.metric == Metric::kL2 ? 3.0 * unit * sum * sum
                                                    : 4.0 * unit * s.length * (reach + mean_);
      if (search_.unit()) margin += 8.0 * 0x1.0p-24;  // 1 - cosine rounds once more
      s.margin = static_cast<float>(margin + tiny);
      if (!(sum * sum < 1e37)) lose(q);  // partial sums may overflow
      if (!s.lost && s.kth < kInfinity) threshold_of(q) = bar(s);
    }
  }

  static float bar(const State& s) {
    const auto sum = static_cast<float>(static_cast<double>(s.kth) + s.margin);
    return std::nextafter(std::nextafter(sum, kInfinity), kInfinity);
  }

  void lose(std::size_t q) {
    state_[q].lost = true;
    threshold_of(q) = -kInfinity;
    count_of(q) = 0;
  }

  /// Leaves the candidates that may still be among the `want` nearest.
  void shrink(std::size_t q) {
    State& s = state_[q];
    std::uint32_t& count = count_of(q);
    if (s.lost || count < search_.want) return;
    float* scores = scores_of(q);
    std::uint32_t* rows = rows_of(q);
    order_.assign(scores, scores + count);
    const auto kth = order_.begin() + static_cast<std::ptrdiff_t>(search_.want - 1);
    std::nth_element(order_.begin(), kth, order_.end());
    s.kth = *kth;
    s.dropped = true;  // or is about to be
    const float top = bar(s);
    threshold_of(q) = top;
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const float score = scores[i];
      rows[kept] = rows[i];
      scores[kept] = score;
      kept += score < top ? 1 : 0;
    }
    count = kept;
    if (kept > layout_.limit) lose(q);
    s.full = static_cast<std::uint32_t>(std::min(layout_.limit, 2 * std::size_t{kept} + 32));
  }

  const FlatSearch& search_;
  const Layout& layout_;
  const std::size_t first_query_;
  const std::size_t queries_;
  const std::size_t panels_;
  std::vector<TileTop> tops_;
  std::vector<State> state_;
  Buffer packed_;
  Buffer scores_;
  Buffer rows_;
  double mean_ = 0.0;
  std::vector<float> order_;
  std::vector<float> floats_;
};

}  // namespace

void tile(const FlatSearch& search, const RunOptions& run) {
  const Layout layout(search, *kernels::active().tile);
  const std::size_t count = search.queries.rows;
  const std::size_t panels = (count + layout.width - 1) / layout.width;
  const unsigned threads = workers(run);
  // As few groups as memory allows, a multiple of the threads; then ranges for what is left.
  const std::size_t most = std::max<std::size_t>(1, kTaskBytes / layout.panel_bytes());
  std::size_t groups = (panels + most - 1) / most;
  if (panels >= threads) groups = std::min(panels, round_up(groups, threads));
  else groups = panels;
  const std::size_t each = (panels + groups - 1) / groups;
  groups = (panels + each - 1) / each;
  const std::size_t blocks = search.plan.places() / (4 * layout.block) + 1;
  const std::size_t for_threads =
      groups >= threads ? 1 : std::min<std::size_t>(blocks, (threads + groups - 1) / groups);
  FlatParts parts(search, for_threads);

  const std::size_t tasks = groups * parts.ranges();
  Comparisons counted(run, std::uint64_t{count} * search.plan.places());
  parallel_for(
      tasks, 1, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        FlatQuery query;
        BlockTopK top(search.want, kernels::active().below);
        for (std::size_t task = begin; task < end; ++task) {
          const std::size_t range = task % parts.ranges();
          const std::size_t first_query = task / parts.ranges() * each * layout.width;
          const std::size_t queries = std::min(each * layout.width, count - first_query);
          const std::size_t first = parts.begin(range);
          const std::size_t last = parts.begin(range + 1);
          Group group(search, layout, first_query, queries);
          group.scan(first, last, counted);
          for (std::size_t q = 0; q < queries; ++q) {
            const std::vector<Hit>* hits = nullptr;
            if (!group.finish(q, query, top, hits)) {
              stream_places(search, first_query + q, first, last, query, top);
              hits = &top.finish();
            }
            parts.put(first_query + q, range, *hits, query);
          }
        }
      },
      counted.ticker());
  parts.merge(run);
}

}  // namespace vicinal::indexes
