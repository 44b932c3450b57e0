// Ranks candidates again: numbers against stored bits, and numbers against numbers.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/parallel.h"
#include "base/rows_reader.h"
#include "indexes/binary_impl.h"
#include "indexes/binary_top.h"
#include "kernels/bits.h"
#include "kernels/table.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

using indexes::BitHit;

constexpr std::size_t kGrain = 8;     // queries
constexpr std::size_t kTogether = 64;  // rows gathered and scored together

void check_shapes(const VectorsView& queries, MatrixView<const std::int64_t> candidates,
                  MatrixView<std::int64_t> ids, MatrixView<float> distances) {
  if (candidates.rows() != queries.rows) {
    throw ArgumentError("ids has " + std::to_string(candidates.rows()) + " rows; wanted one for " +
                        "each of " + std::to_string(queries.rows) + " queries");
  }
  if (ids.cols() == 0) throw ArgumentError("k is 0; wanted 1 or more");
  if (ids.rows() != queries.rows || distances.rows() != queries.rows ||
      distances.cols() != ids.cols()) {
    throw ArgumentError("ids and distances must both have a row per query and k columns");
  }
}

/// The candidates of a query, ascending, each once.
void distinct(MatrixView<const std::int64_t> candidates, std::size_t q,
              std::vector<std::int64_t>& out) {
  out.assign(candidates.row(q), candidates.row(q) + candidates.cols());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

void answer(std::vector<BitHit>& hits, std::size_t q, MatrixView<std::int64_t> ids,
            MatrixView<float> distances) {
  const std::size_t k = ids.cols();
  const std::size_t n = std::min(k, hits.size());
  std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(n), hits.end(),
                    indexes::closer);
  std::fill_n(ids.row(q), k, kNoId);
  std::fill_n(distances.row(q), k, std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < n; ++i) {
    ids.row(q)[i] = hits[i].id;
    distances.row(q)[i] = hits[i].distance;
  }
}

bool zero(const float* values, std::size_t n) {
  return std::all_of(values, values + n, [](float v) { return v == 0.0f; });
}

/// Where in a row, as words, dimension d has its bit: numpy packs the highest bit of a byte first.
constexpr std::size_t place_of(std::size_t d) noexcept { return d / 8 * 8 + 7 - d % 8; }

}  // namespace

void BinaryIndex::Impl::rescore(const VectorsView& queries,
                                MatrixView<const std::int64_t> candidates,
                                MatrixView<std::int64_t> ids_, MatrixView<float> distances,
                                const RunOptions& run) const {
  if (queries.cols != dim) throw DimensionError("queries", queries.cols, dim);
  check_shapes(queries, candidates, ids_, distances);
  check_rows(queries, "queries", false, run);
  if (queries.rows == 0) return;
  const View now = view();
  const auto sum_set = kernels::active().bits->sum_set;
  Ticker ticker(run, "rescoring", queries.rows);
  parallel_for(
      queries.rows, kGrain, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        std::vector<float> numbers(dim);
        std::vector<float> by_place(words * 64);
        std::vector<std::uint64_t> rows(kTogether * words);
        std::vector<std::int64_t> wanted;
        std::vector<std::int64_t> found;
        std::vector<BitHit> hits;
        float sums[kTogether];
        for (std::size_t q = begin; q < end; ++q) {
          read_rows(queries, q, q + 1, numbers.data(), dim);
          double all = 0.0;
          for (std::size_t d = 0; d < dim; ++d) {
            by_place[place_of(d)] = numbers[d];
            all += numbers[d];
          }
          const auto total = static_cast<float>(all);
          distinct(candidates, q, wanted);
          hits.clear();
          found.clear();
          const auto score = [&] {
            sum_set(by_place.data(), reinterpret_cast<const std::byte*>(rows.data()), words * 8,
                    found.size(), words, sums);
            // The sum over set bits less that over the others.
            for (std::size_t i = 0; i < found.size(); ++i) {
              hits.push_back({total - 2.0f * sums[i], found[i]});
            }
            found.clear();
          };
          for (const std::int64_t id : wanted) {
            const indexes::BitPlace place = id < 0 ? indexes::BitPlace{} : now->find(id);
            if (place.row == kNoRow) continue;
            now->parts[place.part].segment->read(place.row, &rows[found.size() * words]);
            found.push_back(id);
            if (found.size() == kTogether) score();
          }
          score();
          answer(hits, q, ids_, distances);
        }
      },
      &ticker);
}

void rerank(const VectorsView& queries, const VectorsView& rows, Metric metric,
            MatrixView<const std::int64_t> candidates, MatrixView<std::int64_t> ids,
            MatrixView<float> distances, const RunOptions& run) {
  if (queries.cols != rows.cols) {
    throw DimensionError("queries has " + std::to_string(queries.cols) +
                         " columns; the vectors have " + std::to_string(rows.cols));
  }
  check_shapes(queries, candidates, ids, distances);
  const bool unit = metric == Metric::kCosine;
  check_rows(queries, "queries", unit, run);
  for (std::size_t q = 0; q < queries.rows; ++q) {
    for (std::size_t i = 0; i < candidates.cols(); ++i) {
      const std::int64_t id = candidates.row(q)[i];
      if (id >= 0 && static_cast<std::uint64_t>(id) >= rows.rows) {
        throw ArgumentError("ids names row " + std::to_string(id) + "; vectors has " +
                            std::to_string(rows.rows) + " rows");
      }
    }
  }
  const std::size_t dim = queries.cols;
  const std::size_t stride = (dim + 3) / 4 * 4;
  const auto rank =
      static_cast<std::size_t>(metric == Metric::kL2 ? kernels::Rank::kL2 : kernels::Rank::kIp);
  const auto block = kernels::active().row(kernels::RowType::kF32).block[rank];
  Ticker ticker(run, "re-ranking", queries.rows);
  parallel_for(
      queries.rows, kGrain, run,
      [&](std::size_t begin, std::size_t end, unsigned) {
        // Zeros up to where the kernels may read.
        Buffer query_memory = Buffer::allocate((dim + 16) * sizeof(float));
        Buffer row_memory = Buffer::allocate(kTogether * stride * sizeof(float));
        auto* query = reinterpret_cast<float*>(query_memory.mutable_data());
        auto* values = reinterpret_cast<float*>(row_memory.mutable_data());
        std::vector<std::int64_t> wanted;
        std::vector<BitHit> hits;
        float scores[kTogether];
        for (std::size_t q = begin; q < end; ++q) {
          read_rows(queries, q, q + 1, query, dim);
          if (unit) normalize_rows(query, 1, dim, dim);
          distinct(candidates, q, wanted);
          const auto first = std::lower_bound(wanted.begin(), wanted.end(), std::int64_t{0});
          wanted.erase(wanted.begin(), first);
          hits.clear();
          for (std::size_t i = 0; i < wanted.size(); i += kTogether) {
            const std::size_t n = std::min(kTogether, wanted.size() - i);
            for (std::size_t j = 0; j < n; ++j) {
              const auto r = static_cast<std::size_t>(wanted[i + j]);
              read_rows(rows, r, r + 1, values + j * stride, dim);
              if (unit && zero(values + j * stride, dim)) {
                throw ArgumentError("vectors: row " + std::to_string(r) +
                                    " is zero in every column; under cosine a vector needs a "
                                    "direction");
              }
            }
            if (unit) normalize_rows(values, n, dim, stride);
            block(query, reinterpret_cast<const std::byte*>(values), stride * sizeof(float), n, dim,
                  scores);
            for (std::size_t j = 0; j < n; ++j) {
              float distance = scores[j];
              if (unit) distance = std::max(0.0f, 1.0f + distance);
              if (!std::isfinite(scores[j])) {
                throw ArgumentError("vectors: row " + std::to_string(wanted[i + j]) +
                                    " gives no finite distance");
              }
              hits.push_back({distance, wanted[i + j]});
            }
          }
          answer(hits, q, ids, distances);
        }
      },
      &ticker);
}

}  // namespace vicinal
