// Everything that changes the memory of an IVF index.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <string>

#include "base/parallel.h"
#include "base/rows_reader.h"
#include "base/summed.h"
#include "base/topk.h"
#include "indexes/ivf_impl.h"
#include "kernels/table.h"
#include "vicinal/cluster.h"
#include "vicinal/errors.h"

namespace vicinal {

using indexes::IvfArena;
using indexes::IvfList;
using indexes::IvfLists;
using indexes::IvfModel;
using indexes::IvfStore;
using quantizers::Codec;
using quantizers::kBlockRows;

/// Where new rows go.
struct IvfIndex::Impl::Labels {
  std::size_t copies = 1;
  std::vector<std::uint32_t> lists;  ///< rows x copies, the list of the row's own first
  std::vector<std::uint32_t> more;   ///< entries that each list gains
};

namespace {

constexpr std::size_t kBatchRows = 8192;  // held as floats, and as codes before they are placed
constexpr std::size_t kEncodeRows = 256;
constexpr std::size_t kFewRows = 32;
// Nearest centroids among which a row finds a list with room, or its second list: a farther one
// than these was never the best choice on the sets looked at.
constexpr std::size_t kBalanceNear = 8;
constexpr std::size_t kSpillNear = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Rows [begin, end) as dense floats, of unit length if `unit`: as they lie if they can be used so.
const float* dense_rows(const VectorsView& rows, std::size_t begin, std::size_t end, bool unit,
                        std::vector<float>& floats, const RunOptions& run) {
  if (const float* plain = unit ? nullptr : plain_floats(rows)) return plain + begin * rows.cols;
  floats.resize(std::max(floats.size(), (end - begin) * rows.cols));
  parallel_for(end - begin, kEncodeRows, run, [&](std::size_t from, std::size_t to, unsigned) {
    float* out = floats.data() + from * rows.cols;
    read_rows(rows, begin + from, begin + to, out, rows.cols);
    if (unit) normalize_rows(out, to - from, rows.cols, rows.cols);
  });
  return floats.data();
}

/// assign() for a few rows, without the preparations that pay for many.
void assign_few(const float* x, std::size_t n, std::size_t dim, const IvfModel& model,
                std::size_t near, std::uint32_t* nearest, float* costs) {
  constexpr std::size_t kChunk = 256;
  const auto score = kernels::active()
                         .row(kernels::RowType::kF32)
                         .block[static_cast<std::size_t>(kernels::Rank::kL2)];
  std::vector<float> row((dim + 15) / 16 * 16);
  float scores[kChunk];
  BlockTopK top(near, kernels::active().below);
  const std::size_t stride = model.exact->stride();
  for (std::size_t r = 0; r < n; ++r) {
    std::copy_n(x + r * dim, dim, row.data());
    top.reset(near);
    for (std::size_t first = 0; first < model.lists; first += kChunk) {
      const std::size_t m = std::min<std::size_t>(kChunk, model.lists - first);
      score(row.data(), model.centroids.data() + first * stride, stride, m, dim, scores);
      top.push_block(scores, m, static_cast<std::uint32_t>(first));
    }
    const std::vector<Hit>& hits = top.finish();
    for (std::size_t j = 0; j < near; ++j) {
      nearest[r * near + j] = j < hits.size() ? hits[j].row : kNoRow;
      costs[r * near + j] = j < hits.size() ? hits[j].distance : kInfinity;
    }
  }
}

std::shared_ptr<IvfArena> arena_for(const IvfModel& model, std::size_t code_bytes,
                                    std::size_t entries) {
  auto arena = std::make_shared<IvfArena>();
  arena->codes = Buffer::allocate(code_bytes);
  arena->rows = Buffer::allocate(entries * sizeof(std::uint32_t));
  if (model.terms) arena->terms = Buffer::allocate(entries * sizeof(float));
  return arena;
}

void copy_entries(const IvfModel& model, const IvfList& from, IvfList& to) {
  if (from.count == 0) return;
  std::memcpy(to.mutable_codes(), from.codes(), model.code_bytes(from.count));
  std::memcpy(to.mutable_rows(), from.rows(), from.count * sizeof(std::uint32_t));
  if (model.terms) std::memcpy(to.mutable_terms(), from.terms(), from.count * sizeof(float));
}

/// Lists one after another in memory of their own. capacity: entries each has room for.
IvfLists side_by_side(const IvfModel& model, const std::vector<std::uint32_t>& capacity) {
  IvfLists lists(capacity.size());
  std::size_t code_at = 0, at = 0;
  for (std::size_t l = 0; l < lists.size(); ++l) {
    lists[l].code_at = code_at;
    lists[l].at = at;
    lists[l].capacity = capacity[l];
    code_at += model.code_bytes(capacity[l]);
    at += capacity[l];
  }
  const auto arena = arena_for(model, code_at, at);
  for (IvfList& list : lists) list.arena = arena;
  return lists;
}

/// The same entries, with room for `more` in each list.
IvfLists with_room(const IvfLists& now, const IvfModel& model,
                   const std::vector<std::uint32_t>& more, const RunOptions& run) {
  const auto moves = [&](std::size_t l) {
    const IvfList& list = now[l];
    if (more[l] == 0) return false;
    return more[l] > list.capacity - list.count || (model.packed && list.count % kBlockRows != 0);
  };
  const auto wanted = [&](std::size_t l) {
    const IvfList& list = now[l];
    const std::uint64_t need = std::uint64_t{list.count} + more[l];
    if (!moves(l) || need <= list.capacity) return std::max(list.capacity, list.count);
    // The first entries get just what they need; a list that grows gets half as much again.
    const std::uint64_t half_more = std::uint64_t{list.count} + list.count / 2;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::max(need, half_more), kNoRow));
  };
  std::uint64_t held = 0, moved = 0;
  for (std::size_t l = 0; l < now.size(); ++l) {
    held += now[l].count;
    if (moves(l)) moved += now[l].count;
  }
  IvfLists next;
  const bool all = 2 * moved >= held;  // then all of it side by side again
  if (all) {
    std::vector<std::uint32_t> capacity(now.size());
    for (std::size_t l = 0; l < now.size(); ++l) {
      capacity[l] = moves(l) ? wanted(l) : now[l].count + more[l];
    }
    next = side_by_side(model, capacity);
  } else {
    next = now;
  }
  parallel_for(now.size(), 64, run, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t l = begin; l < end; ++l) {
      if (!all) {
        if (!moves(l)) continue;
        next[l].capacity = wanted(l);
        next[l].code_at = 0;
        next[l].at = 0;
        next[l].arena = arena_for(model, model.code_bytes(next[l].capacity), next[l].capacity);
      }
      next[l].count = now[l].count;
      copy_entries(model, now[l], next[l]);
    }
  });
  return next;
}

}  // namespace

IvfIndex::Impl::Labels IvfIndex::Impl::label(const Model& model, const Lists& lists,
                                             const VectorsView& rows, const RunOptions& run) const {
  Labels out;
  out.copies = params.soar && model.lists > 1 ? 2 : 1;
  out.lists.resize(rows.rows * out.copies);
  out.more.resize(model.lists);
  const bool balanced = params.balance != 0.0f;
  const std::size_t near = std::min<std::size_t>(model.lists, out.copies == 2 ? kSpillNear
                                                              : balanced      ? kBalanceNear
                                                                              : 1);
  double total = static_cast<double>(rows.rows * out.copies);
  for (const IvfList& list : lists) total += list.count;
  const double most = std::ceil(static_cast<double>(params.balance) * total / model.lists);
  const auto full = [&](std::uint32_t l) {
    return balanced && static_cast<double>(lists[l].count) + out.more[l] >= most;
  };

  const bool few = rows.rows <= kFewRows;
  std::vector<float> dense;  // where rows of centroids are padded
  if (!few && model.exact->stride() != dim * sizeof(float)) {
    dense.resize(model.lists * dim);
    for (std::uint32_t l = 0; l < model.lists; ++l) {
      std::copy_n(model.centroid(l), dim, dense.data() + l * dim);
    }
  }
  const MatrixView<const float> centroids(dense.empty() ? model.centroid(0) : dense.data(),
                                          model.lists, dim);
  RunOptions quiet;  // what runs for a few milliseconds does not report
  quiet.threads = run.threads;
  Ticker ticker(run, "assigning", rows.rows);
  const std::size_t most_rows = std::min(rows.rows, kBatchRows);
  std::vector<float> floats;
  std::vector<std::uint32_t> nearest(most_rows * near);
  std::vector<float> costs(most_rows * near);
  for (std::size_t begin = 0; begin < rows.rows; begin += kBatchRows) {
    const std::size_t n = std::min(kBatchRows, rows.rows - begin);
    const float* x = dense_rows(rows, begin, begin + n, unit(), floats, quiet);
    if (few) {
      assign_few(x, n, dim, model, near, nearest.data(), costs.data());
    } else {
      const MatrixView<float> wanted(costs.data(), n, near);
      assign(MatrixView<const float>(x, n, dim), centroids, Metric::kL2, {nearest.data(), n, near},
             near == 1 ? MatrixView<float>() : wanted, quiet);
    }
    /// The cheapest with room, else the cheapest; what costs infinitely much is not meant.
    const auto choose = [&](std::size_t r) {
      std::uint32_t best = kNoRow, free = kNoRow;
      float best_cost = kInfinity, free_cost = kInfinity;
      for (std::size_t j = 0; j < near; ++j) {
        const std::uint32_t l = nearest[r * near + j];
        const float cost = costs[r * near + j];
        if (cost < best_cost) {
          best = l;
          best_cost = cost;
        }
        if (cost < free_cost && !full(l)) {
          free = l;
          free_cost = cost;
        }
      }
      return free != kNoRow ? free : best;
    };
    // One after another: what is full depends on who came before.
    for (std::size_t r = 0; r < n; ++r) {
      std::uint32_t own = near == 1 ? nearest[r] : choose(r);
      if (own == kNoRow) own = 0;  // distances beyond what floats hold
      ++out.more[own];
      out.lists[(begin + r) * out.copies] = own;
    }
    if (out.copies == 2) {
      parallel_for(n, 64, quiet, [&](std::size_t from, std::size_t to, unsigned) {
        std::vector<float> residual(dim);
        for (std::size_t r = from; r < to; ++r) {
          const std::uint32_t own = out.lists[(begin + r) * 2];
          const float* row = x + r * dim;
          const float* centre = model.centroid(own);
          for (std::size_t d = 0; d < dim; ++d) residual[d] = row[d] - centre[d];
          const double square = summed(
              dim, [&](std::size_t d) { return static_cast<double>(residual[d]) * residual[d]; });
          for (std::size_t j = 0; j < near; ++j) {
            float& cost = costs[r * near + j];
            const std::uint32_t l = nearest[r * near + j];
            if (l == own || l == kNoRow) {
              cost = kInfinity;
              continue;
            }
            const float* other = model.centroid(l);
            const double along = summed(dim, [&](std::size_t d) {
              return (static_cast<double>(row[d]) - other[d]) * residual[d];
            });
            if (square > 0.0) {
              cost +=
                  static_cast<float>(static_cast<double>(params.spill) * along * along / square);
            }
          }
        }
      });
      for (std::size_t r = 0; r < n; ++r) {
        std::uint32_t second = choose(r);
        if (second == kNoRow) second = out.lists[(begin + r) * 2] == 0 ? 1 : 0;
        ++out.more[second];
        out.lists[(begin + r) * 2 + 1] = second;
      }
    }
    ticker.at(begin + n);
  }
  return out;
}

std::shared_ptr<IvfStore> IvfIndex::Impl::stored(const Snapshot& now, const Model& model,
                                                 std::size_t rows, bool table) const {
  if (now.store && rows <= now.store->capacity && !(model.refine && now.store->refine.borrowed()) &&
      !(table && (now.store->ids.size() == 0 || now.store->ids.borrowed()))) {
    return now.store;
  }
  auto next = std::make_shared<IvfStore>();
  // The first rows get just what they need; an index that grows gets half as much again.
  const std::size_t half_more = now.rows == 0 ? 0 : std::size_t{now.rows} + now.rows / 2;
  next->capacity = std::max(rows, half_more);
  if (model.refine) {
    const std::size_t stride = model.refine->stride();
    next->refine = Buffer::allocate(next->capacity * stride);
    if (now.rows != 0) {
      std::memcpy(next->refine.mutable_data(), now.store->refine.data(), now.rows * stride);
    }
  }
  if (table) {
    next->ids = Buffer::allocate(next->capacity * sizeof(std::int64_t));
    auto* to = reinterpret_cast<std::int64_t*>(next->ids.mutable_data());
    for (std::uint32_t row = 0; row < now.rows; ++row) to[row] = now.id(row);
  }
  return next;
}

void IvfIndex::Impl::fill(const Model& model, const Labels& labels, const VectorsView& rows,
                          std::uint32_t first, IvfStore& store, Lists& lists,
                          const RunOptions& run) const {
  const Codec& codec = *model.codec;
  const std::size_t stride = codec.stride();
  const std::size_t copies = labels.copies;
  const std::size_t most = std::min(rows.rows, kBatchRows);
  std::vector<std::byte> codes(most * copies * stride);
  std::vector<float> terms(model.terms ? most * copies : 0);
  std::vector<float> floats;
  std::vector<std::uint64_t> order(most * copies);
  std::vector<std::size_t> starts;
  // Of several rows the codec refuses the first is named, whichever thread comes upon one first.
  std::mutex refused_mutex;
  std::size_t refused = rows.rows;
  std::string why;
  RunOptions quiet;
  quiet.threads = run.threads;
  Ticker ticker(run, "adding", rows.rows);
  for (std::size_t begin = 0; begin < rows.rows; begin += kBatchRows) {
    const std::size_t n = std::min(kBatchRows, rows.rows - begin);
    const float* x = dense_rows(rows, begin, begin + n, unit(), floats, quiet);
    const auto encode = [&](std::size_t from, std::size_t to, unsigned) {
      std::vector<float> residuals(model.residual ? (to - from) * dim : 0);
      std::vector<float> decoded(model.terms ? (to - from) * dim : 0);
      if (model.refine) {
        model.refine->encode(
            x + from * dim, dim, to - from,
            store.refine.mutable_data() + (first + begin + from) * model.refine->stride(),
            begin + from);
      }
      for (std::size_t copy = 0; copy < copies; ++copy) {
        const float* in = x + from * dim;
        for (std::size_t r = from; model.residual && r < to; ++r) {
          const float* centre = model.centroid(labels.lists[(begin + r) * copies + copy]);
          float* out = residuals.data() + (r - from) * dim;
          for (std::size_t d = 0; d < dim; ++d) out[d] = x[r * dim + d] - centre[d];
          in = residuals.data();
        }
        std::byte* out = codes.data() + (copy * n + from) * stride;
        codec.encode(in, dim, to - from, out, begin + from);
        if (!model.terms) continue;
        codec.decode(out, to - from, decoded.data(), dim);
        for (std::size_t r = from; r < to; ++r) {
          const float* centre = model.centroid(labels.lists[(begin + r) * copies + copy]);
          const float* y = decoded.data() + (r - from) * dim;
          const float* own = codec.reconstructs() ? y : residuals.data() + (r - from) * dim;
          terms[copy * n + r] = static_cast<float>(summed(dim, [&](std::size_t d) {
            return static_cast<double>(own[d]) * own[d] + 2.0 * centre[d] * y[d];
          }));
        }
      }
    };
    parallel_for(n, kEncodeRows, quiet, [&](std::size_t from, std::size_t to, unsigned worker) {
      try {
        encode(from, to, worker);
      } catch (const ArgumentError& error) {
        const std::lock_guard<std::mutex> lock(refused_mutex);
        if (begin + from < refused) {
          refused = begin + from;
          why = error.what();
        }
      }
    });
    if (refused != rows.rows) throw ArgumentError(why);

    // Codes to their lists, by row: lists are written side by side, one by one thread each.
    order.resize(n * copies);
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[i] = std::uint64_t{labels.lists[begin * copies + i]} << 32 | i;
    }
    std::sort(order.begin(), order.end());
    starts.clear();
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || (order[i] >> 32) != (order[i - 1] >> 32)) starts.push_back(i);
    }
    starts.push_back(order.size());
    parallel_for(starts.size() - 1, 8, quiet, [&](std::size_t from, std::size_t to, unsigned) {
      for (std::size_t s = from; s < to; ++s) {
        IvfList& list = lists[static_cast<std::size_t>(order[starts[s]] >> 32)];
        for (std::size_t i = starts[s]; i < starts[s + 1]; ++i) {
          const auto entry = static_cast<std::uint32_t>(order[i]);
          const std::size_t row = entry / copies;
          const std::size_t held = entry % copies * n + row;
          const std::size_t place = list.count++;
          const std::byte* code = codes.data() + held * stride;
          std::byte* at = list.mutable_codes() + model.code_offset(place);
          if (!model.packed) {
            std::memcpy(at, code, stride);
          } else {
            if (place % kBlockRows == 0) std::memset(at, 0, codec.block_bytes());
            codec.pack(code, place % kBlockRows, at);
          }
          list.mutable_rows()[place] = first + static_cast<std::uint32_t>(begin + row);
          if (model.terms) list.mutable_terms()[place] = terms[held];
        }
      }
    });
    ticker.at(begin + n);
  }
}

void IvfIndex::Impl::add(const VectorsView& rows, const std::int64_t* ids, const RunOptions& run) {
  if (rows.cols != dim) throw DimensionError("vectors", rows.cols, dim);
  check_rows(rows, "vectors", unit(), run);
  const std::lock_guard<std::mutex> writing(writer_);
  const View before = view();
  const Snapshot& now = *before;
  if (rows.rows == 0) return;
  // Every row has one entry in a list at most, so that entries of a list are counted in 32 bits.
  if (rows.rows >= kNoRow - now.rows) {
    throw ArgumentError("vectors has " + std::to_string(rows.rows) + " rows; this index holds " +
                        std::to_string(now.rows) + " and at most " + std::to_string(kNoRow - 1));
  }
  constexpr auto kLastId = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (ids != nullptr) {
    if (!indexes::ids_rise(ids, rows.rows, now.next_id)) {
      with_ids([&](const View&, const auto& find) {
        indexes::check_new_ids(ids, rows.rows, find);
      });
    }
  } else if (now.next_id > kLastId || kLastId - now.next_id < rows.rows - 1) {
    throw ArgumentError("ids must be given: the highest so far leaves too few numbers above it");
  }
  const auto new_id = [&](std::size_t i) {
    return ids != nullptr ? ids[i] : static_cast<std::int64_t>(now.next_id + i);
  };
  // Rows keep a table of ids only once ids and row numbers part ways.
  bool table = !now.numbered();
  for (std::size_t i = 0; !table && i < rows.rows; ++i) {
    table = new_id(i) != static_cast<std::int64_t>(now.rows + i);
  }

  Snapshot next = now;
  if (!next.model) {
    next.model = learn(rows, run);
    next.lists = std::make_shared<const Lists>(next.model->lists);
  }
  const Model& model = *next.model;
  const Labels labels = label(model, *next.lists, rows, run);
  next.rows = now.rows + static_cast<std::uint32_t>(rows.rows);
  next.store = stored(now, model, next.rows, table);
  auto lists = std::make_shared<Lists>(with_room(*next.lists, model, labels.more, run));
  fill(model, labels, rows, now.rows, *next.store, *lists, run);
  next.lists = std::move(lists);
  if (table) {
    auto* to = reinterpret_cast<std::int64_t*>(next.store->ids.mutable_data()) + now.rows;
    for (std::size_t i = 0; i < rows.rows; ++i) to[i] = new_id(i);
  }
  for (std::size_t i = 0; i < rows.rows; ++i) {
    next.next_id = std::max(next.next_id, static_cast<std::uint64_t>(new_id(i)) + 1);
  }
  if (next.dead) {
    auto dead = std::make_shared<Bitmap>(*next.dead);
    dead->resize(next.rows);
    next.dead = std::move(dead);
  }
  publish(std::move(next));
}

IvfIndex::Impl::Snapshot IvfIndex::Impl::swept(const Snapshot& now) const {
  const Model& model = *now.model;
  Snapshot next = now;
  ++next.numbering;
  next.rows = 0;
  next.removed = 0;
  next.dead = nullptr;
  next.store = nullptr;
  std::vector<std::uint32_t> number(now.rows, kNoRow);  // new, by old
  for (std::uint32_t row = 0; row < now.rows; ++row) {
    if (!now.gone(row)) number[row] = next.rows++;
  }
  if (next.rows == 0) {
    next.lists = std::make_shared<const Lists>(model.lists);
    return next;
  }
  // A damaged file may name rows that are not there: they go as well.
  const auto stays = [&](std::uint32_t row) { return row < now.rows && number[row] != kNoRow; };
  std::vector<std::uint32_t> kept(model.lists);
  parallel_for(model.lists, 64, {}, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t l = begin; l < end; ++l) {
      const IvfList& list = (*now.lists)[l];
      if (list.count == 0) continue;
      kept[l] =
          static_cast<std::uint32_t>(std::count_if(list.rows(), list.rows() + list.count, stays));
    }
  });
  auto lists = std::make_shared<Lists>(side_by_side(model, kept));
  const std::size_t stride = model.codec->stride();
  parallel_for(model.lists, 64, {}, [&](std::size_t begin, std::size_t end, unsigned) {
    std::vector<std::byte> code(stride);
    for (std::size_t l = begin; l < end; ++l) {
      const IvfList& from = (*now.lists)[l];
      IvfList& to = (*lists)[l];
      for (std::uint32_t i = 0; i < from.count; ++i) {
        if (!stays(from.rows()[i])) continue;
        const std::size_t place = to.count++;
        const std::byte* out_of = from.codes() + model.code_offset(i);
        std::byte* into = to.mutable_codes() + model.code_offset(place);
        if (model.packed) {
          model.codec->unpack(out_of, i % kBlockRows, code.data());
          model.codec->pack(code.data(), place % kBlockRows, into);
        } else {
          std::memcpy(into, out_of, stride);
        }
        to.mutable_rows()[place] = number[from.rows()[i]];
        if (model.terms) to.mutable_terms()[place] = from.terms()[i];
      }
    }
  });
  next.lists = std::move(lists);

  next.store = std::make_shared<IvfStore>();
  next.store->capacity = next.rows;
  next.store->ids = Buffer::allocate(next.rows * sizeof(std::int64_t));
  auto* ids = reinterpret_cast<std::int64_t*>(next.store->ids.mutable_data());
  const std::size_t fine = model.refine ? model.refine->stride() : 0;
  if (model.refine) next.store->refine = Buffer::allocate(next.rows * fine);
  for (std::uint32_t row = 0; row < now.rows; ++row) {
    if (number[row] == kNoRow) continue;
    ids[number[row]] = now.id(row);
    if (!model.refine) continue;
    std::memcpy(next.store->refine.mutable_data() + number[row] * fine,
                now.store->refine.data() + row * fine, fine);
  }
  return next;
}

}  // namespace vicinal
