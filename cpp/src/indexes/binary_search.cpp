// One group of queries after the other goes over chunks of blocks; up to eight queries share each
// reading of a line. The kernels keep what lies below a bar, and every chunk begins with the bars
// that those before it have left. Distances are floats of whole numbers, or one correctly rounded
// division: the answer depends neither on the order of chunks nor on threads.
//
// Jaccard. With a and b bits set and c in common, the distance is (a + b - 2c) / (a + b - c). It is
// smallest for c = min(a, b), so rows with many more or fewer bits than the query cannot be near:
// chunks are ordered by the number of bits, the walk begins at the query's and goes outward both
// ways until no chunk on that side can hold anything near enough (Swamidass & Baldi, J. Chem. Inf.
// Model. 47(2), 2007). Within a chunk, a distance of at most d needs c >= (1 - d)(a + b)/(2 - d),
// least for the least b. Two rows have no more in common than, word by word, the smaller number of
// bits: the sums of a segment tell so from an eighth of the bytes, and most rows need no more.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "indexes/binary_impl.h"
#include "indexes/binary_plan.h"
#include "indexes/binary_top.h"
#include "indexes/lent.h"
#include "indexes/prefetch.h"
#include "kernels/bits.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace indexes {
namespace {

using kernels::BitTile;
using kernels::kBitBlock;
using kernels::kBitTile;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::uint32_t kMostBits = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kGroup = 64;  // queries that share one reading of memory, under Hamming
constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;  // less is not worth waking a thread
constexpr std::uint32_t kWorthSums = 4;  // blocks for each row that the sums let pass, at least
constexpr std::uint32_t kLongestPause = 64;  // chunks
constexpr double kNeedSlack = 1.0 / 16;  // floats round a bar of at most 2^19 bits by less

/// a and b bits set in two rows, c in common.
float jaccard(std::uint64_t a, std::uint64_t b, std::uint64_t c) noexcept {
  const std::uint64_t either = a + b - c;
  if (either == 0) return 0.0f;
  return static_cast<float>(either - c) / static_cast<float>(either);
}

/// The least distance that rows of such numbers of bits can have.
float nearest_possible(std::uint64_t a, const BitSpan& bits) noexcept {
  const std::uint64_t b =
      a < bits.least ? bits.least : std::min<std::uint64_t>(a, bits.most);
  return jaccard(a, b, std::min(a, b));
}

/// Queries as words, in the order in which they are grouped.
struct BitQueries {
  BitQueries(const VectorsView& rows, std::size_t words_, BitMetric metric, const RunOptions& run)
      : words(words_),
        summed(sum_words(words_, metric)),
        values(rows.rows * words_),
        sums(rows.rows * summed),
        order(rows.rows) {
    for (std::size_t q = 0; q < rows.rows; ++q) read_bits(rows, q, words, &values[q * words]);
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (metric != BitMetric::kJaccard) return;
    counts = count_bits(rows, words, run);
    for (std::size_t q = 0; q < rows.rows && summed != 0; ++q) {
      sum_bits(query(q), words, &sums[q * summed]);
    }
    // Queries of about as many bits need the same chunks.
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return counts[a] < counts[b]; });
  }
  const std::uint64_t* query(std::size_t q) const noexcept { return &values[q * words]; }

  std::size_t words;
  std::size_t summed;  // words of the sums of a query
  std::vector<std::uint64_t> values;
  std::vector<std::uint64_t> sums;
  std::vector<std::size_t> order;
  std::vector<std::uint32_t> counts;  // Jaccard: bits of each
};

/// Whether the sums have told a query anything: while they do not, it looks at them less and less.
struct SumLuck {
  std::uint32_t skip = 0;   // chunks still to come without them
  std::uint32_t pause = 1;  // chunks to skip next time
};

/// A query that looks at a chunk.
struct Asking {
  const std::uint64_t* query;
  const std::uint64_t* sums;
  std::uint32_t bits;  // Jaccard: its own
  std::uint32_t bar;
  NearestBits* top;
  SumLuck* luck;
};

/// What one thread needs. Twice the room: what the sums let pass is kept while it is looked at.
struct Scratch {
  std::vector<NearestBits> tops = std::vector<NearestBits>(kGroup);
  std::vector<SumLuck> luck;
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> counts;
};

class BitScan {
 public:
  BitScan(const BitPlan& plan, BitMetric metric, std::size_t dim, const BitQueries& queries)
      : plan_(plan),
        metric_(metric),
        dim_(dim),
        queries_(queries),
        chunks_(plan.at().chunks(metric)),
        ascending_(metric == BitMetric::kHamming && plan.at().ascending()) {
    for (const BitChunk& chunk : chunks_) {
      most_rows_ = std::max<std::size_t>(most_rows_, chunk.blocks * kBitBlock);
    }
  }

  /// The hits of every query; begin(top) says which are wanted, at most `most` of each.
  template <class Begin>
  std::vector<std::vector<BitHit>> run(const Begin& begin, std::size_t most,
                                       const RunOptions& options) {
    const std::size_t count = queries_.order.size();
    const std::uint64_t bytes = plan_.at().rows() * queries_.words * sizeof(std::uint64_t);
    const bool small = bytes * std::min<std::uint64_t>(count, 1u << 20) < kPieceBytes;
    const std::size_t threads = small ? 1 : workers(options);
    const std::size_t widest = metric_ == BitMetric::kHamming ? kGroup : kBitTile;
    const std::size_t group = std::clamp<std::size_t>((count + threads - 1) / threads, 1, widest);
    const std::size_t groups = (count + group - 1) / group;
    const std::size_t wanted = groups >= threads ? 1 : (threads + groups - 1) / groups;
    const std::size_t pieces =
        std::min<std::size_t>(wanted, static_cast<std::size_t>(bytes / kPieceBytes) + 1);
    std::vector<std::vector<BitHit>> hits(count * pieces);
    std::atomic<std::uint64_t> done{0};
    Ticker ticker(options, "searching", std::uint64_t{count} * plan_.at().rows());
    ticker.follow(done);
    const auto task = [&](std::size_t number) {
      const Lent<Scratch> lent;
      Scratch& scratch = *lent;
      const std::size_t room = 2 * kBitTile * most_rows_;
      if (scratch.rows.size() < room) {
        scratch.rows.resize(room);
        scratch.counts.resize(room);
      }
      const std::size_t first = number / pieces * group;
      const std::size_t n = std::min(group, count - first);
      for (std::size_t i = 0; i < n; ++i) begin(scratch.tops[i]);
      scratch.luck.assign(kGroup, SumLuck());
      const auto count_rows = [&](const BitChunk& chunk) {
        done.fetch_add(std::uint64_t{n} * chunk.blocks * kBitBlock, std::memory_order_relaxed);
        if (!small) ticker.poll();
      };
      const std::size_t piece = number % pieces;
      if (metric_ == BitMetric::kHamming) {
        forward(first, n, chunks_.size() * piece / pieces, chunks_.size() * (piece + 1) / pieces,
                scratch, count_rows);
      } else {
        outward(first, n, piece, pieces, scratch, count_rows);
      }
      for (std::size_t i = 0; i < n; ++i) {
        hits[queries_.order[first + i] * pieces + piece] = scratch.tops[i].finish();
      }
    };
    const std::size_t tasks = groups * pieces;
    parallel_for(
        tasks, small ? tasks : 1, options,
        [&](std::size_t from, std::size_t to, unsigned) {
          for (std::size_t number = from; number < to; ++number) task(number);
        },
        small ? nullptr : &ticker);
    return pieces == 1 ? std::move(hits) : merged(hits, pieces, most);
  }

 private:
  static std::vector<std::vector<BitHit>> merged(const std::vector<std::vector<BitHit>>& parts,
                                                 std::size_t pieces, std::size_t most) {
    std::vector<std::vector<BitHit>> out(parts.size() / pieces);
    for (std::size_t q = 0; q < out.size(); ++q) {
      for (std::size_t p = 0; p < pieces; ++p) {
        const auto& part = parts[q * pieces + p];
        out[q].insert(out[q].end(), part.begin(), part.end());
      }
      std::sort(out[q].begin(), out[q].end(), closer);
      out[q].resize(std::min(most, out[q].size()));
    }
    return out;
  }

  template <class Count>
  void forward(std::size_t first, std::size_t n, std::size_t begin, std::size_t end,
               Scratch& scratch, const Count& count_rows) const {
    for (std::size_t c = begin; c < end; ++c) {
      for (std::size_t i = 0; i < n; i += kBitTile) {
        look(chunks_[c], first + i, std::min(kBitTile, n - i), &scratch.tops[i], scratch);
      }
      count_rows(chunks_[c]);
    }
  }

  /// Every pieces-th chunk from the middle outward.
  template <class Count>
  void outward(std::size_t first, std::size_t n, std::size_t piece, std::size_t pieces,
               Scratch& scratch, const Count& count_rows) const {
    const auto bits_of = [&](std::size_t i) {
      return std::uint64_t{queries_.counts[queries_.order[first + i]]};
    };
    const std::uint64_t centre = bits_of(0) + bits_of(n - 1);  // twice the number, as middle()
    const auto start = std::lower_bound(
        chunks_.begin(), chunks_.end(), centre,
        [](const BitChunk& chunk, std::uint64_t at) { return chunk.middle() < at; });
    auto right = static_cast<std::size_t>(start - chunks_.begin());
    std::size_t left = right;  // chunks below it are still to come
    bool more_right = right < chunks_.size();
    bool more_left = left > 0;
    // Whether rows of these numbers of bits can still be wanted by anybody.
    const auto hopeful = [&](const BitSpan& bits) {
      for (std::size_t i = 0; i < n; ++i) {
        if (nearest_possible(bits_of(i), bits) <= scratch.tops[i].cut().distance) return true;
      }
      return false;
    };
    const auto visit = [&](std::size_t c) {
      if (c % pieces != piece) return;
      look(chunks_[c], first, n, scratch.tops.data(), scratch);
      count_rows(chunks_[c]);
    };
    while (more_left || more_right) {
      const bool go_right =
          more_right && (!more_left || chunks_[right].middle() - centre <=
                                           centre - std::min(centre, chunks_[left - 1].middle()));
      if (go_right) {
        more_right = hopeful({chunks_[right].least_from, kMostBits});
        if (more_right) visit(right++);
        more_right = more_right && right < chunks_.size();
      } else {
        more_left = hopeful({0, chunks_[left - 1].most_so_far});
        if (more_left) visit(--left);
        more_left = more_left && left > 0;
      }
    }
  }

  /// Lets n <= kBitTile queries look at a chunk. A first one is cut into growing parts: the bars
  /// that its first rows give spare most of the others.
  void look(const BitChunk& chunk, std::size_t first, std::size_t n, NearestBits* tops,
            Scratch& scratch) const {
    const bool bare = std::any_of(tops, tops + n, [](const NearestBits& top) {
      return top.cut().distance == kInfinity;
    });
    if (!bare) {
      look_at(chunk, first, n, tops, scratch);
      return;
    }
    BitChunk part = chunk;
    part.blocks = 2;
    for (std::uint32_t at = 0; at < chunk.blocks; at += part.blocks, part.blocks = at) {
      part.first = chunk.first + at;
      part.blocks = std::min(part.blocks, chunk.blocks - at);
      look_at(part, first, n, tops, scratch);
    }
  }

  void look_at(const BitChunk& chunk, std::size_t first, std::size_t n, NearestBits* tops,
               Scratch& scratch) const {
    const BitSegment& segment = *plan_.at().parts[chunk.part].segment;
    Asking asking[kBitTile];
    std::size_t used = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t q = queries_.order[first + i];
      const std::uint32_t own = queries_.counts.empty() ? 0 : queries_.counts[q];
      std::uint32_t bar = 0;
      if (metric_ == BitMetric::kHamming ? below(tops[i], bar)
                                         : needed(tops[i], own, chunk.bits, bar)) {
        const auto place = static_cast<std::size_t>(&tops[i] - scratch.tops.data());
        asking[used++] = {queries_.query(q),
                          queries_.sums.data() + q * queries_.summed,
                          own,
                          bar,
                          &tops[i],
                          &scratch.luck[place]};
      }
    }
    if (used == 0) return;
    plan_.each_run(chunk, [&](std::uint32_t block, std::uint32_t blocks) {
      if (segment.sums.size() == 0) {
        compare(chunk.part, block, blocks, asking, used, scratch);
      } else {
        sift(chunk.part, block, blocks, asking, used, scratch);
      }
    });
  }

  /// By their sums, finds the blocks that a query has to look at.
  void sift(std::size_t part, std::uint32_t block, std::uint32_t blocks, const Asking* asking,
            std::size_t n, Scratch& scratch) const {
    const BitSegment& segment = *plan_.at().parts[part].segment;
    const std::size_t summed = queries_.summed;
    Asking all[kBitTile];  // those that look at every block, side by side
    Asking some[kBitTile];
    std::size_t many = 0;
    std::size_t few = 0;
    BitTile tile;
    for (std::size_t i = 0; i < n; ++i) {
      if (asking[i].luck->skip != 0) {
        --asking[i].luck->skip;
        all[many++] = asking[i];
        continue;
      }
      tile.query[few] = asking[i].sums;
      tile.bar[few] = asking[i].bar;
      tile.rows[few] = scratch.rows.data() + (kBitTile + few) * most_rows_;
      tile.counts[few] = scratch.counts.data() + (kBitTile + few) * most_rows_;
      some[few++] = asking[i];
    }
    if (few != 0) {
      kernels::active().bits->least_from(
          segment.sums.data() + block * kernels::bit_block_bytes(summed), blocks, summed, few,
          &tile);
    }
    for (std::size_t i = 0; i < few; ++i) {
      if (kWorthSums * tile.found[i] < blocks) {
        some[i].luck->pause = 1;
        continue;
      }
      // Blocks one by one cost more than they spare.
      some[i].luck->skip = some[i].luck->pause;
      some[i].luck->pause = std::min(2 * some[i].luck->pause, kLongestPause);
      all[many++] = some[i];
      tile.found[i] = 0;
    }
    if (many != 0) compare(part, block, blocks, all, many, scratch);
    const std::size_t block_bytes = kernels::bit_block_bytes(segment.words);
    for (std::size_t i = 0; i < few; ++i) {
      std::uint32_t last = kNoRow;
      for (std::uint32_t f = 0; f < tile.found[i]; ++f) {
        const auto next = static_cast<std::uint32_t>(tile.rows[i][f] / kBitBlock);
        if (next == last) continue;
        last = next;
        // No pattern that the processor could foresee.
        prefetch_bytes(segment.codes.data() + (block + next) * block_bytes, block_bytes);
      }
    }
    for (std::size_t i = 0; i < few; ++i) {
      for (std::uint32_t f = 0; f < tile.found[i];) {
        const std::uint32_t from = tile.rows[i][f] / kBitBlock;
        std::uint32_t to = from + 1;
        for (++f; f < tile.found[i] && tile.rows[i][f] / kBitBlock <= to; ++f) {
          to = tile.rows[i][f] / kBitBlock + 1;
        }
        compare(part, block + from, to - from, some + i, 1, scratch);
      }
    }
  }

  void compare(std::size_t part, std::uint32_t block, std::uint32_t blocks, const Asking* asking,
               std::size_t n, Scratch& scratch) const {
    const BitSegment& segment = *plan_.at().parts[part].segment;
    const bool hamming = metric_ == BitMetric::kHamming;
    BitTile tile;
    for (std::size_t i = 0; i < n; ++i) {
      tile.query[i] = asking[i].query;
      tile.bar[i] = asking[i].bar;
      tile.rows[i] = scratch.rows.data() + i * most_rows_;
      tile.counts[i] = scratch.counts.data() + i * most_rows_;
    }
    const kernels::BitKernels& family = *kernels::active().bits;
    const auto scan = hamming ? family.hamming_below : family.common_from;
    scan(segment.codes.data() + block * kernels::bit_block_bytes(segment.words), blocks,
         segment.words, n, &tile);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::uint32_t f = 0; f < tile.found[i]; ++f) {
        const std::uint64_t row = std::uint64_t{block} * kBitBlock + tile.rows[i][f];
        if (row >= segment.rows) break;  // the places an incomplete block has left
        const auto at = static_cast<std::uint32_t>(row);
        if (!plan_.shown(part, at)) continue;
        const std::uint32_t count = tile.counts[i][f];
        const float distance = hamming ? static_cast<float>(count)
                                       : jaccard(asking[i].bits, segment.count(at), count);
        asking[i].top->push(distance, segment.id(at));
      }
    }
  }

  /// The bar of hamming_below; false if nothing can pass.
  bool below(const NearestBits& top, std::uint32_t& bar) const noexcept {
    const float cut = top.cut().distance;
    if (cut > static_cast<float>(dim_)) {
      bar = static_cast<std::uint32_t>(dim_) + 1;
      return true;
    }
    if (!(cut >= 0.0f)) return false;
    const float whole = std::floor(cut);
    // Rows to come have larger ids than those that tie with them.
    const bool ties = whole != cut || !ascending_;
    bar = static_cast<std::uint32_t>(whole) + (ties ? 1 : 0);
    return bar != 0;
  }

  /// The bar of common_from; false if nothing can pass.
  static bool needed(const NearestBits& top, std::uint32_t own, const BitSpan& bits,
                     std::uint32_t& bar) noexcept {
    const float cut = top.cut().distance;
    if (!(nearest_possible(own, bits) <= cut)) return false;
    bar = 0;
    if (cut >= 1.0f) return true;
    const double common =
        (1.0 - cut) * (static_cast<double>(own) + bits.least) / (2.0 - cut) - kNeedSlack;
    if (common > 0.0) bar = static_cast<std::uint32_t>(std::ceil(common));
    return true;
  }

  const BitPlan& plan_;
  BitMetric metric_;
  std::size_t dim_;
  const BitQueries& queries_;
  const std::vector<BitChunk>& chunks_;
  bool ascending_;
  std::size_t most_rows_ = 0;
};

}  // namespace

BitPlan::BitPlan(BinaryIndex::Impl::View view, const Allowed& allowed) : view_(std::move(view)) {
  if (allowed.everything()) {
    count_ = view_->live();
    return;
  }
  const std::vector<BitPart>& parts = view_->parts;
  for (const BitPart& part : parts) shown_.emplace_back(part.segment->rows);
  if (allowed.mask != nullptr) {
    for (std::size_t p = 0; p < parts.size(); ++p) {
      for (std::uint32_t row = 0; row < parts[p].segment->rows; ++row) {
        // A negative id, from a damaged file, is beyond every mask once unsigned.
        const auto id = static_cast<std::uint64_t>(parts[p].segment->id(row));
        if (id < allowed.count && allowed.mask[id] != 0 && !parts[p].gone(row)) shown_[p].set(row);
      }
    }
  } else {
    for (std::size_t i = 0; i < allowed.count; ++i) {
      const BitPlace place = allowed.ids[i] < 0 ? BitPlace{} : view_->find(allowed.ids[i]);
      if (place.row != kNoRow) shown_[place.part].set(place.row);
    }
  }
  for (const Bitmap& rows : shown_) count_ += rows.count();
}

}  // namespace indexes

void BinaryIndex::Impl::search(const VectorsView& queries, MatrixView<std::int64_t> ids_,
                               MatrixView<float> distances, const Allowed& allowed,
                               const RunOptions& run) const {
  const std::size_t k = ids_.cols();
  indexes::check_bits(queries, "queries", dim, run);
  if (k == 0) throw ArgumentError("k is 0; wanted 1 or more");
  if (ids_.rows() != queries.rows || distances.rows() != queries.rows || distances.cols() != k) {
    throw ArgumentError("ids and distances must both have a row per query and k columns");
  }
  if (queries.rows == 0) return;
  std::fill_n(ids_.data(), queries.rows * k, kNoId);
  std::fill_n(distances.data(), queries.rows * k, indexes::kInfinity);

  const indexes::BitPlan plan(view(), allowed);
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(k, plan.count()));
  if (want == 0) return;
  const indexes::BitQueries asked(queries, words, metric, run);
  const std::size_t most = metric == BitMetric::kHamming ? dim : 0;
  const auto begin = [&](indexes::NearestBits& top) { top.nearest(want, most); };
  const auto hits = indexes::BitScan(plan, metric, dim, asked).run(begin, want, run);
  for (std::size_t q = 0; q < hits.size(); ++q) {
    for (std::size_t i = 0; i < hits[q].size(); ++i) {
      ids_.row(q)[i] = hits[q][i].id;
      distances.row(q)[i] = hits[q][i].distance;
    }
  }
}

RangeResult BinaryIndex::Impl::range_search(const VectorsView& queries, float radius,
                                            const Allowed& allowed, const RunOptions& run) const {
  indexes::check_bits(queries, "queries", dim, run);
  if (std::isnan(radius)) throw ArgumentError("radius is nan; wanted a number");
  RangeResult result;
  result.offsets.assign(queries.rows + 1, 0);
  const indexes::BitPlan plan(view(), allowed);
  if (plan.count() == 0 || queries.rows == 0) return result;
  const indexes::BitQueries asked(queries, words, metric, run);
  const auto begin = [&](indexes::NearestBits& top) { top.within(radius); };
  const auto hits = indexes::BitScan(plan, metric, dim, asked)
                        .run(begin, std::numeric_limits<std::size_t>::max(), run);
  std::size_t total = 0;
  for (const auto& found : hits) total += found.size();
  result.ids.reserve(total);
  result.distances.reserve(total);
  for (std::size_t q = 0; q < hits.size(); ++q) {
    for (const indexes::BitHit& hit : hits[q]) {
      result.ids.push_back(hit.id);
      result.distances.push_back(hit.distance);
    }
    result.offsets[q + 1] = result.ids.size();
  }
  return result;
}

}  // namespace vicinal
