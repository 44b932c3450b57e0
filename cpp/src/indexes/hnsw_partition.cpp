#include "indexes/hnsw_partition.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/buffer.h"
#include "base/random.h"

namespace vicinal::indexes {
namespace {

using quantizers::Codec;
using quantizers::Query;

constexpr std::size_t kMaxSplits = 12;  // then what is left is cut by place: copies of one row
constexpr std::size_t kSmall = 8;       // a group of fewer tells its rows too little

/// A group that is still too large, and the leaders it is split by.
struct Group {
  std::vector<std::uint32_t> members;
  std::size_t first_leader = 0;  // in the buffer of leaders of this round
  std::size_t leaders = 0;
};

class Partition {
 public:
  Partition(const Codec& codec, const std::byte* codes, const std::vector<std::uint32_t>& rows,
            const PartitionParams& params, const RunOptions& run, Ticker* ticker)
      : codec_(codec), codes_(codes), rows_(rows), params_(params), run_(run), ticker_(ticker) {
    out_.starts.push_back(0);
  }

  Leaves run() {
    std::vector<Group> now(1);
    now[0].members.resize(rows_.size());
    std::iota(now[0].members.begin(), now[0].members.end(), 0u);
    if (now[0].members.size() <= params_.leaf) {
      emit(now[0].members.data(), now[0].members.size());
      return std::move(out_);
    }
    for (std::size_t round = 0; !now.empty(); ++round) {
      if (round == kMaxSplits) {
        for (const Group& group : now) cut(group.members);
        break;
      }
      now = split(now, round);
    }
    return std::move(out_);
  }

 private:
  void emit(const std::uint32_t* members, std::size_t n) {
    out_.members.insert(out_.members.end(), members, members + n);
    out_.starts.push_back(out_.members.size());
  }

  void cut(const std::vector<std::uint32_t>& members) {
    for (std::size_t i = 0; i < members.size(); i += params_.leaf) {
      emit(members.data() + i, std::min(params_.leaf, members.size() - i));
    }
  }

  /// One split of every group; leaves are emitted, the groups that remain are returned.
  std::vector<Group> split(std::vector<Group>& groups, std::size_t round) {
    const std::size_t fanout = round == 0 ? params_.fanout : params_.fanout_below;
    draw_leaders(groups, fanout, round);
    std::vector<std::size_t> starts{0};  // members of all groups, one after the other
    for (const Group& group : groups) starts.push_back(starts.back() + group.members.size());
    std::vector<std::uint32_t> joined(starts.back() * fanout);
    assign(groups, starts, fanout, joined);

    std::vector<Group> next;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const Group& group = groups[g];
      const std::size_t joins = std::min(fanout, group.leaders);
      std::vector<std::vector<std::uint32_t>> parts(group.leaders);
      for (std::size_t i = 0; i < group.members.size(); ++i) {
        const std::uint32_t* to = &joined[(starts[g] + i) * fanout];
        for (std::size_t f = 0; f < joins; ++f) parts[to[f]].push_back(group.members[i]);
      }
      gather_small(parts);
      for (auto& part : parts) {
        if (part.empty()) continue;
        if (part.size() <= params_.leaf) {
          emit(part.data(), part.size());
        } else if (part.size() * 10 > group.members.size() * 9) {
          cut(part);  // leaders tell nothing apart here
        } else {
          next.push_back({std::move(part), 0, 0});
        }
      }
    }
    return next;
  }

  /// Rows of parts too small to tell them much meet one another instead; nobody stays alone.
  static void gather_small(std::vector<std::vector<std::uint32_t>>& parts) {
    std::vector<std::uint32_t> rest;
    for (auto& part : parts) {
      if (part.size() >= kSmall) continue;
      rest.insert(rest.end(), part.begin(), part.end());
      part.clear();
    }
    std::sort(rest.begin(), rest.end());
    rest.erase(std::unique(rest.begin(), rest.end()), rest.end());
    if (rest.size() >= kSmall) {
      parts.push_back(std::move(rest));
      return;
    }
    auto& most = *std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
      return a.size() < b.size();
    });
    rest.insert(rest.end(), most.begin(), most.end());
    std::sort(rest.begin(), rest.end());
    rest.erase(std::unique(rest.begin(), rest.end()), rest.end());
    most = std::move(rest);
  }

  void draw_leaders(std::vector<Group>& groups, std::size_t fanout, std::size_t round) {
    std::size_t total = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::size_t n = groups[g].members.size();
      // Twice as many as would do if all groups became equal, for they do not.
      const std::size_t wanted = 2 * n * fanout / params_.leaf + 1;
      groups[g].leaders = std::clamp<std::size_t>(wanted, 2, std::min(params_.leaders, n / 2));
      groups[g].first_leader = total;
      total += groups[g].leaders;
    }
    const std::size_t stride = codec_.stride();
    leaders_ = Buffer::allocate(total * stride);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const Group& group = groups[g];
      // Floyd's sampling would need a set; drawing one from each of equal stretches needs nothing.
      for (std::size_t l = 0; l < group.leaders; ++l) {
        const std::size_t begin = group.members.size() * l / group.leaders;
        const std::size_t end = group.members.size() * (l + 1) / group.leaders;
        const std::uint64_t stream = (std::uint64_t{round} << 32) + g;
        const std::size_t at = begin + random_below(end - begin, params_.seed, stream, l);
        std::memcpy(leaders_.mutable_data() + (group.first_leader + l) * stride,
                    codes_ + std::size_t{rows_[group.members[at]]} * stride, stride);
      }
    }
  }

  /// joined[i * fanout ...]: the nearest leaders of member i, as numbers within its group.
  void assign(const std::vector<Group>& groups, const std::vector<std::size_t>& starts,
              std::size_t fanout, std::vector<std::uint32_t>& joined) {
    struct Memory {
      Query query;
      std::vector<float> scores;
      std::vector<std::pair<float, std::uint32_t>> nearest;
    };
    std::vector<Memory> memory(workers(run_));
    const std::size_t stride = codec_.stride();
    const auto piece = [&](std::size_t begin, std::size_t end, unsigned w) {
      Memory& m = memory[w];
      std::size_t g = static_cast<std::size_t>(
          std::upper_bound(starts.begin(), starts.end(), begin) - starts.begin() - 1);
      for (std::size_t i = begin; i < end; ++i) {
        while (i >= starts[g + 1]) ++g;
        const Group& group = groups[g];
        const std::uint32_t row = rows_[group.members[i - starts[g]]];
        m.scores.resize(group.leaders);
        codec_.prepare_row(codes_ + std::size_t{row} * stride, m.query);
        m.query.score_block(leaders_.data() + group.first_leader * stride, group.leaders,
                            m.scores.data());
        const std::size_t joins = std::min(fanout, group.leaders);
        auto& best = m.nearest;
        best.clear();
        for (std::uint32_t l = 0; l < group.leaders; ++l) {
          const float score = m.scores[l] == m.scores[l] ? m.scores[l] : 3e38f;
          if (best.size() == joins && !(score < best.back().first)) continue;
          if (best.size() == joins) best.pop_back();
          auto at = best.end();
          while (at != best.begin() && score < (at - 1)->first) --at;
          best.insert(at, {score, l});
        }
        for (std::size_t f = 0; f < joins; ++f) joined[i * fanout + f] = best[f].second;
      }
    };
    parallel_for(starts.back(), 64, run_, piece, ticker_);
  }

  const Codec& codec_;
  const std::byte* codes_;
  const std::vector<std::uint32_t>& rows_;
  const PartitionParams& params_;
  const RunOptions& run_;
  Ticker* ticker_;
  Buffer leaders_;
  Leaves out_;
};

}  // namespace

Leaves partition(const Codec& codec, const std::byte* codes,
                 const std::vector<std::uint32_t>& rows, const PartitionParams& params,
                 const RunOptions& run, Ticker* ticker) {
  return Partition(codec, codes, rows, params, run, ticker).run();
}

}  // namespace vicinal::indexes
