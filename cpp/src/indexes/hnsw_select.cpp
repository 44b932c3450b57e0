#include "indexes/hnsw_select.h"

#include <algorithm>
#include <utility>

#include "base/parallel.h"
#include "base/random.h"

namespace vicinal::indexes {

using quantizers::Codec;

namespace {

/// Equal rows may take half the places at most, and which of them is drawn by lot: otherwise each
/// crowd of copies would link to itself alone, and all of it to the same few.
void thin_twins(const Codec& codec, const std::byte* codes, std::uint32_t row, std::size_t most,
                std::vector<Candidate>& c) {
  if (c.size() < 2) return;
  const float limit = codec.twin_limit(codes + std::size_t{row} * codec.stride());
  std::size_t twins = 0;
  while (twins < c.size() && c[twins].distance <= limit) ++twins;
  const std::size_t places = std::max<std::size_t>(1, most / 2);
  if (twins <= places) return;
  const auto lot = [&](const Candidate& one) { return random_u64(row, 2, one.row); };
  std::sort(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(twins),
            [&](const Candidate& a, const Candidate& b) { return lot(a) < lot(b); });
  c.erase(c.begin() + static_cast<std::ptrdiff_t>(places),
          c.begin() + static_cast<std::ptrdiff_t>(twins));
}

}  // namespace

// Works kept by kept rather than candidate by candidate: one prepared query scores all that are
// still in play.
void select(const State& state, const Codec& codec, std::uint32_t row, std::size_t most,
            Selector& s) {
  s.kept.clear();
  auto& c = s.candidates;
  const std::byte* codes = state.codes.data();
  thin_twins(codec, codes, row, most, c);
  std::size_t live = c.size();
  std::size_t from = 0;
  while (from < live && s.kept.size() < most) {
    const Candidate chosen = c[from++];
    s.kept.push_back(chosen);
    if (from == live || s.kept.size() == most) break;
    codec.prepare_row(codes + std::size_t{chosen.row} * codec.stride(), s.query);
    const std::size_t n = live - from;
    if (s.rows.size() < n) {
      s.rows.resize(n);
      s.scores.resize(n);
    }
    for (std::size_t i = 0; i < n; ++i) s.rows[i] = c[from + i].row;
    s.query.score_ids(codes, s.rows.data(), n, s.scores.data());
    std::size_t out = from;
    for (std::size_t i = 0; i < n; ++i) {
      if (!(s.scores[i] < c[from + i].distance)) c[out++] = c[from + i];
    }
    live = out;
  }
}

void store_links(Link* to, std::uint32_t width, const std::vector<Candidate>& from) {
  std::uint32_t i = 0;
  for (; i < from.size(); ++i) to[i].store(from[i].node, std::memory_order_relaxed);
  for (; i < width; ++i) to[i].store(kNoRow, std::memory_order_relaxed);
}

namespace {

/// Adds the links back in `group` (all to one node) to its list, choosing anew if it overflows.
void settle(const State& state, const Codec& codec, std::uint32_t row, const BackLink* group,
            std::size_t count, bool upper, Link* list, std::uint32_t width, Selector& s) {
  std::uint32_t used = 0;
  while (used < width && list[used].load(std::memory_order_relaxed) != kNoRow) ++used;
  if (used + count <= width) {
    for (std::size_t i = 0; i < count; ++i) {
      list[used + i].store(group[i].from, std::memory_order_relaxed);
    }
    return;
  }
  s.candidates.clear();
  if (s.rows.size() < width) {
    s.rows.resize(width);
    s.scores.resize(width);
  }
  for (std::uint32_t i = 0; i < used; ++i) {
    const std::uint32_t node = list[i].load(std::memory_order_relaxed);
    s.rows[i] = upper ? state.tower(node).row : node;
    s.candidates.push_back({0, node, s.rows[i]});
  }
  codec.prepare_row(state.codes.data() + std::size_t{row} * codec.stride(), s.query);
  s.query.score_ids(state.codes.data(), s.rows.data(), used, s.scores.data());
  for (std::uint32_t i = 0; i < used; ++i) s.candidates[i].distance = comparable(s.scores[i]);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t node = group[i].from;
    s.candidates.push_back({group[i].distance, node, upper ? state.tower(node).row : node});
  }
  std::sort(s.candidates.begin(), s.candidates.end(), nearer);
  select(state, codec, row, width, s);
  store_links(list, width, s.kept);
}

}  // namespace

void return_links(State& state, const Codec& codec, std::uint32_t level,
                  const std::vector<BackLink>& back, const std::vector<std::size_t>& groups,
                  std::vector<Selector>& selectors, const RunOptions& run, Ticker* ticker) {
  const auto piece = [&](std::size_t begin, std::size_t end, unsigned w) {
    for (std::size_t g = begin; g < end; ++g) {
      const BackLink* group = &back[groups[g]];
      const std::size_t count = groups[g + 1] - groups[g];
      const std::uint32_t node = group->to;
      if (level == 0) {
        settle(state, codec, node, group, count, false, state.mutable_base(node), state.width,
               selectors[w]);
      } else {
        settle(state, codec, state.tower(node).row, group, count, true,
               state.mutable_upper(node, level), state.links, selectors[w]);
      }
    }
  };
  parallel_for(groups.size() - 1, 16, run, piece, ticker);
}

}  // namespace vicinal::indexes
