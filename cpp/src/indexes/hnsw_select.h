#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/parallel.h"
#include "indexes/hnsw_state.h"
#include "quantizers/codec.h"
#include "vicinal/control.h"

// Which of many candidates become neighbours: shared by all builders.

namespace vicinal::indexes {

/// A link that a new node asks an old one to return.
struct BackLink {
  std::uint32_t to;
  std::uint32_t from;
  float distance;
};

/// One row or tower that might become a neighbour. `node` is what links name, `row` what is scored.
struct Candidate {
  float distance;
  std::uint32_t node;
  std::uint32_t row;
};

inline bool by_target(const BackLink& a, const BackLink& b) {
  if (a.to != b.to) return a.to < b.to;
  return a.distance < b.distance || (a.distance == b.distance && a.from < b.from);
}

inline bool nearer(const Candidate& a, const Candidate& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.node < b.node);
}

/// A damaged file can hold rows that compare with nothing; NaN must not reach a sort.
inline float comparable(float distance) {
  return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

/// Memory of a thread that selects neighbours.
struct Selector {
  quantizers::Query query;
  std::vector<Candidate> candidates;
  std::vector<std::uint32_t> rows;
  std::vector<float> scores;
  std::vector<Candidate> kept;
};

/// Keeps up to `most` of s.candidates (sorted, nearest first) in s.kept: each stays unless it is
/// nearer to one already kept than to the base point. Algorithm 4 of Malkov & Yashunin.
void select(const State& state, const quantizers::Codec& codec, std::uint32_t row, std::size_t most,
            Selector& s);

void store_links(Link* to, std::uint32_t width, const std::vector<Candidate>& from);

/// Adds links to the lists of layer `level` that they point to, and chooses anew where a list
/// overflows. Group g is back[groups[g], groups[g + 1]): all to one node, by distance and `from`.
/// One selector per worker of `run`.
void return_links(State& state, const quantizers::Codec& codec, std::uint32_t level,
                  const std::vector<BackLink>& back, const std::vector<std::size_t>& groups,
                  std::vector<Selector>& selectors, const RunOptions& run,
                  Ticker* ticker = nullptr);

}  // namespace vicinal::indexes
