// Hard capacities: the generalised assignment problem with one unit of room per row. Rows that
// would lose most by their second choice choose first (the regret rule of Martello & Toth, "An
// algorithm for the generalized assignment problem", 1981); then rows move, and pairs of rows
// change places, while that lowers the sum of distances.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/parallel.h"
#include "clustering/balance.h"

namespace vicinal::clustering {
namespace {

constexpr std::size_t kChoices = 16;      // nearest clusters that a row is offered
constexpr std::size_t kLateRows = 64;     // rows without a choice that are compared together
constexpr std::size_t kMostAsked = 256;   // members of a full cluster who might give way
constexpr int kExchangeRounds = 3;

/// The choices of all rows, and who has taken what.
class Market {
 public:
  Market(Lloyd& lloyd, std::uint64_t room)
      : lloyd_(lloyd),
        n_(lloyd.rows().count()),
        clusters_(lloyd.centroids().count()),
        choices_(std::min(kChoices, clusters_)),
        room_(room),
        ids_(n_ * choices_),
        scores_(n_ * choices_) {}

  std::vector<std::uint32_t> labels(const RunOptions& run, Watch watch) {
    look(run, watch);
    choose();
    for (int round = 0; round < kExchangeRounds && exchange(); ++round) {
    }
    return labels_;
  }

 private:
  static constexpr std::uint32_t kNobody = kNoRow;

  void look(const RunOptions& run, Watch watch) {
    constexpr std::size_t kPiece = 256;
    const Rows& rows = lloyd_.rows();
    std::vector<Scratch> scratch(workers(run));
    std::vector<std::vector<float>> rooms(workers(run));
    parallel_for(
        n_, kPiece, run,
        [&](std::size_t begin, std::size_t end, unsigned worker) {
          rooms[worker].resize(rows.plain() != nullptr ? 0 : kPiece * rows.dim());
          nearest_several(rows.read(begin, end, rooms[worker].data()), end - begin,
                          lloyd_.centroids(), choices_, scratch[worker],
                          ids_.data() + begin * choices_, scores_.data() + begin * choices_);
        },
        watch.ticker);
  }

  void give(std::uint32_t row, std::uint32_t cluster, float score) {
    labels_[row] = cluster;
    paid_[row] = score;
    place_[row] = static_cast<std::uint32_t>(members_[cluster].size());
    members_[cluster].push_back(row);
  }

  void take(std::uint32_t row) {
    std::vector<std::uint32_t>& from = members_[labels_[row]];
    from[place_[row]] = from.back();
    place_[from.back()] = place_[row];
    from.pop_back();
  }

  bool open(std::uint32_t cluster) const { return members_[cluster].size() < room_; }

  void choose() {
    labels_.assign(n_, kNobody);
    paid_.assign(n_, 0.0f);
    place_.assign(n_, 0);
    members_.assign(clusters_, {});
    std::vector<float> regret(n_, 0.0f);
    for (std::size_t i = 0; i < n_ && choices_ > 1; ++i) {
      regret[i] = scores_[i * choices_ + 1] - scores_[i * choices_];
    }
    std::vector<std::uint32_t> order(n_);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return regret[a] > regret[b]; });
    std::vector<std::uint32_t> late;
    for (const std::uint32_t row : order) {
      const std::size_t first = std::size_t{row} * choices_;
      std::size_t i = 0;
      while (i < choices_ && !(ids_[first + i] < clusters_ && open(ids_[first + i]))) ++i;
      if (i < choices_) {
        give(row, ids_[first + i], scores_[first + i]);
      } else {
        late.push_back(row);
      }
    }
    place_late(late);
  }

  /// All that they were offered is full: the nearest of all clusters with room.
  void place_late(const std::vector<std::uint32_t>& late) {
    const std::size_t dim = lloyd_.rows().dim();
    std::vector<float> dense(kLateRows * dim);
    std::vector<float> scores(kLateRows * clusters_);
    Scratch scratch;
    for (std::size_t first = 0; first < late.size(); first += kLateRows) {
      const std::size_t count = std::min(kLateRows, late.size() - first);
      const Rows some(lloyd_.rows(), late.data() + first, count);
      all_scores(some.read(0, count, dense.data()), count, lloyd_.centroids(), scratch,
                 scores.data());
      for (std::size_t i = 0; i < count; ++i) {
        const float* score = scores.data() + i * clusters_;
        std::uint32_t chosen = kNobody;
        for (std::uint32_t c = 0; c < clusters_; ++c) {
          if (open(c) && (chosen == kNobody || score[c] < score[chosen])) chosen = c;
        }
        give(late[first + i], chosen, score[chosen]);
      }
    }
  }

  /// Least that `row` would pay more elsewhere: in `vacant`, or where there is room.
  float dearer(std::uint32_t row, std::uint32_t vacant, std::uint32_t& to) const {
    float least = std::numeric_limits<float>::infinity();
    const std::size_t first = std::size_t{row} * choices_;
    for (std::size_t i = 0; i < choices_; ++i) {
      const std::uint32_t c = ids_[first + i];
      if (c >= clusters_ || c == labels_[row] || !(c == vacant || open(c))) continue;
      const float more = scores_[first + i] - paid_[row];
      if (more < least) {
        least = more;
        to = c;
      }
    }
    return least;
  }

  /// Rows that are not where they want to be, the unhappiest first. True if any got nearer.
  bool exchange() {
    std::vector<std::uint32_t> unhappy;
    for (std::uint32_t row = 0; row < n_; ++row) {
      if (labels_[row] != ids_[std::size_t{row} * choices_]) unhappy.push_back(row);
    }
    const auto loss = [this](std::uint32_t row) {
      return paid_[row] - scores_[std::size_t{row} * choices_];
    };
    std::stable_sort(unhappy.begin(), unhappy.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return loss(a) > loss(b); });
    bool better = false;
    for (const std::uint32_t row : unhappy) {
      const std::size_t first = std::size_t{row} * choices_;
      for (std::size_t i = 0; i < choices_; ++i) {
        const std::uint32_t wanted = ids_[first + i];
        if (wanted >= clusters_ || wanted == labels_[row]) break;
        const float gain = paid_[row] - scores_[first + i];
        // More than rounding: else two rows could change places for ever.
        const float least = 1e-6f * (std::abs(paid_[row]) + std::abs(scores_[first + i]));
        if (!(gain > least)) break;
        if (open(wanted)) {
          take(row);
          give(row, wanted, scores_[first + i]);
          better = true;
          break;
        }
        std::uint32_t other = kNobody;
        std::uint32_t target = kNobody;
        float cheapest = gain - least;
        const std::vector<std::uint32_t>& there = members_[wanted];
        const std::size_t asked = std::min(there.size(), kMostAsked);
        for (std::size_t k = 0; k < asked; ++k) {
          const std::uint32_t member = there[(row + k) % there.size()];
          std::uint32_t to = kNobody;
          const float more = dearer(member, labels_[row], to);
          if (more < cheapest || (more == cheapest && other != kNobody && member < other)) {
            cheapest = more;
            other = member;
            target = to;
          }
        }
        if (other == kNobody) continue;
        const float price = paid_[other] + cheapest;
        take(row);
        take(other);
        give(row, wanted, scores_[first + i]);
        give(other, target, price);
        better = true;
        break;
      }
    }
    return better;
  }

  Lloyd& lloyd_;
  std::size_t n_;
  std::size_t clusters_;
  std::size_t choices_;
  std::uint64_t room_;
  std::vector<std::uint32_t> ids_;  // n x choices, nearest first
  std::vector<float> scores_;
  std::vector<std::uint32_t> labels_;
  std::vector<float> paid_;  // the score of the cluster that a row is in
  std::vector<std::uint32_t> place_;
  std::vector<std::vector<std::uint32_t>> members_;
};

}  // namespace

std::uint64_t capacity(std::size_t rows, std::size_t clusters, double slack) {
  const double mean = static_cast<double>(rows) / static_cast<double>(clusters);
  const double most = std::ceil(std::min(mean * slack, static_cast<double>(rows)) - 1e-9);
  // Never less than what lets all rows in, however the product was rounded.
  const std::uint64_t least = (rows + clusters - 1) / clusters;
  return std::max(static_cast<std::uint64_t>(most), least);
}

void fill_evenly(Lloyd& lloyd, const KMeansParams& params, const RunOptions& run, Watch watch) {
  const std::uint64_t room =
      capacity(lloyd.rows().count(), lloyd.centroids().count(), params.slack);
  double before = std::numeric_limits<double>::infinity();
  std::vector<std::uint32_t> labels;
  for (std::size_t pass = 0; pass < kBalancingPasses; ++pass) {
    const std::vector<std::uint32_t> kept = lloyd.labels();
    Market market(lloyd, room);
    labels = market.labels(run, watch);
    const std::size_t changed = lloyd.relabel(labels);
    lloyd.move();
    lloyd.centroids().settle();
    const double now = lloyd.objective();
    if (pass > 0 && now > before) {
      lloyd.relabel(kept);
      lloyd.move();
      lloyd.centroids().settle();
      return;
    }
    if (changed == 0 || before - now <= params.tolerance * std::abs(now)) return;
    before = now;
  }
}

}  // namespace vicinal::clustering
