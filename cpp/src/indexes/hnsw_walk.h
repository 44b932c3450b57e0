#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "indexes/hnsw_state.h"
#include "indexes/pool.h"
#include "indexes/rerank.h"
#include "indexes/visited.h"
#include "quantizers/codec.h"

namespace vicinal::indexes {

struct EntryPoint {
  float distance;
  std::uint32_t tower;  ///< kNoRow if there is none
  std::uint32_t row;
};

/// The memory one walking thread needs, and counts of what it did.
struct Walk {
  quantizers::Query query;    ///< what distances are measured from
  quantizers::Query refined;  ///< the same against the refine store
  Pool pool;
  Visited visited;
  std::vector<std::uint32_t> todo;
  std::vector<std::uint32_t> towers;
  std::vector<float> scores;
  std::size_t reached = 0;          ///< how many of `todo` the hop under way compares
  std::uint32_t layer = 0;          ///< where a descent is; 0: it has come down
  EntryPoint best{};                ///< the nearest that it met
  std::size_t nearest = 0;          ///< a walk in base steps ends by the distance of this one,
  float growth = 0.0f;              ///< times this; 0: it ends when the pool is expanded
  float lift = 0.0f;                ///< what makes a score a distance, from 0 upwards
  std::vector<std::uint32_t> rows;  ///< what the walk found, for the last comparison
  std::vector<float> row_scores;
  Reranker reranker;
  std::vector<float> floats;        ///< one query, converted
  std::uint64_t hops = 0;
  std::uint64_t distances = 0;
};

/// Walks that wait to be used again, so that a search allocates nothing.
class WalkStore {
 public:
  class Lease {
   public:
    Lease(WalkStore& store, std::unique_ptr<Walk> walk) : store_(store), walk_(std::move(walk)) {}
    ~Lease() { store_.give(std::move(walk_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Walk& operator*() const noexcept { return *walk_; }
    Walk* operator->() const noexcept { return walk_.get(); }

   private:
    WalkStore& store_;
    std::unique_ptr<Walk> walk_;
  };
  Lease take();
  std::size_t bytes() const;

 private:
  void give(std::unique_ptr<Walk> walk);
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Walk>> idle_;
};

/// Greedy descent from the entry tower through the layers above `level`. walk.query is prepared.
EntryPoint descend(const Snapshot& at, std::uint32_t level, Walk& walk);

/// Best-first walk on the base layer from `start`; leaves the nearest `ef` rows in walk.pool.
/// Algorithm 2 of Malkov & Yashunin.
void walk_base(const Snapshot& at, const EntryPoint& start, std::size_t ef, Walk& walk);

// Both in steps, so that a thread can take steps of other walks while memory answers. After
// open_top(), reach_upper() and compare_upper() in turns until walk.layer is low enough: walk.best
// is the entry point. After open_base(), reach() and compare() until compare() returns false.
void open_top(const Snapshot& at, Walk& walk);
void reach_upper(const Snapshot& at, Walk& walk);
void compare_upper(const Snapshot& at, Walk& walk);
void open_base(const Snapshot& at, const EntryPoint& start, std::size_t ef, Walk& walk);
/// After open_base(): the walk also ends when all candidates left are farther than `growth` times
/// the k-th nearest found. Al-Jazzazi et al., "Distance Adaptive Beam Search for Provably Accurate
/// Graph-Based Nearest Neighbor Search", NeurIPS 2025, with the pool still bounded by ef.
void end_beyond(std::size_t k, float growth, float lift, Walk& walk);
/// Expands the nearest candidate: collects what to compare, and asks memory for it.
void reach(const Snapshot& at, Walk& walk);
/// Compares what was reached. False: no candidate is left to expand.
bool compare(const Snapshot& at, Walk& walk);

/// The same on layer `level` >= 1; walk.pool then holds towers.
void walk_upper(const Snapshot& at, const EntryPoint& start, std::uint32_t level, std::size_t ef,
                Walk& walk);

}  // namespace vicinal::indexes
