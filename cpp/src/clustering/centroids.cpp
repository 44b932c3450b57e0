#include "clustering/centroids.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "clustering/rows.h"
#include "kernels/matrix.h"
#include "kernels/table.h"

namespace vicinal::clustering {
namespace {

using kernels::kMaxTileQueries;

constexpr std::size_t kBlockBytes = std::size_t{256} << 10;
// Panels that meet a block of centroids before the next block is fetched.
constexpr std::size_t kPanelsAtOnce = 4;

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

/// Packs up to `most` panels of rows, as centroids compare them; returns how many.
std::size_t pack(const float* rows, std::size_t n, const Centroids& centroids, std::size_t most,
                 Scratch& scratch) {
  const kernels::TileKernel& tile = *kernels::active().tile;
  const std::size_t width = tile.queries;
  const std::size_t dim = centroids.dim();
  scratch.panels.resize(std::max(scratch.panels.size(), most * width * dim));
  if (const float* origin = centroids.origin()) {
    scratch.row.resize(std::max(scratch.row.size(), n * dim));
    for (std::size_t i = 0; i < n; ++i) {
      float* to = scratch.row.data() + i * dim;
      for (std::size_t d = 0; d < dim; ++d) to[d] = rows[i * dim + d] - origin[d];
    }
    rows = scratch.row.data();
  }
  const std::size_t count = (n + width - 1) / width;
  for (std::size_t p = 0; p < count; ++p) {
    tile.pack(rows + p * width * dim, dim, std::min(width, n - p * width), dim,
              scratch.panels.data() + p * width * dim);
  }
  return count;
}

struct Candidate {
  float score;
  std::uint32_t id;
};

bool before(const Candidate& a, const Candidate& b) {
  return a.score < b.score || (a.score == b.score && a.id < b.id);
}

}  // namespace

Centroids::Centroids(std::size_t count, std::size_t dim, Metric metric)
    : count_(count), dim_(dim), stride_(round_up(dim, 16)), metric_(metric), bias_(count, 0.0f) {
  // Rows a multiple of 4 KiB apart would share one set of the first cache.
  if (stride_ % 1024 == 0) stride_ += 16;
  const std::size_t step = kernels::active().tile->rows;
  block_ = std::max(kBlockBytes / (stride_ * sizeof(float)) / step, std::size_t{4}) * step;
  rows_ = Buffer::allocate(count * stride_ * sizeof(float));
  if (!l2()) return;
  moved_ = Buffer::allocate(count * stride_ * sizeof(float));
  origin_.resize(dim);
}

void Centroids::read(const float* from) {
  for (std::size_t c = 0; c < count_; ++c) {
    std::memcpy(mutable_row(c), from + c * dim_, dim_ * sizeof(float));
  }
}

void Centroids::write(float* to) const {
  for (std::size_t c = 0; c < count_; ++c) {
    std::memcpy(to + c * dim_, row(c), dim_ * sizeof(float));
  }
}

void Centroids::settle(const double* penalty) {
  if (l2()) {
    std::vector<double> mean(dim_, 0.0);
    for (std::size_t c = 0; c < count_; ++c) {
      for (std::size_t d = 0; d < dim_; ++d) mean[d] += row(c)[d];
    }
    for (std::size_t d = 0; d < dim_; ++d) {
      origin_[d] = static_cast<float>(mean[d] / static_cast<double>(count_));
    }
    auto* moved = reinterpret_cast<float*>(moved_.mutable_data());
    for (std::size_t c = 0; c < count_; ++c) {
      for (std::size_t d = 0; d < dim_; ++d) moved[c * stride_ + d] = row(c)[d] - origin_[d];
    }
  }
  for (std::size_t c = 0; c < count_; ++c) {
    double bias = penalty != nullptr ? penalty[c] : 0.0;
    const double squared = squared_length(compared(c), dim_);
    if (l2()) {
      bias += squared / 2.0;
    } else if (squared > 0.0) {
      const double inverse = 1.0 / std::sqrt(squared);
      float* x = mutable_row(c);
      for (std::size_t d = 0; d < dim_; ++d) x[d] = static_cast<float>(x[d] * inverse);
    }
    bias_[c] = static_cast<float>(bias);
  }
}

void nearest(const float* rows, std::size_t n, const Centroids& centroids, Scratch& scratch,
             std::uint32_t* labels, float* scores) {
  const std::size_t width = kernels::active().tile->queries;
  const std::size_t dim = centroids.dim();
  const auto compare = kernels::active().matrix->nearest;
  float best[kPanelsAtOnce * kMaxTileQueries];
  std::uint32_t which[kPanelsAtOnce * kMaxTileQueries];
  for (std::size_t done = 0; done < n;) {
    const std::size_t batch = std::min(n - done, kPanelsAtOnce * width);
    const std::size_t panels = pack(rows + done * dim, batch, centroids, kPanelsAtOnce, scratch);
    std::fill_n(best, panels * width, std::numeric_limits<float>::infinity());
    std::fill_n(which, panels * width, 0u);
    for (std::size_t first = 0; first < centroids.count(); first += centroids.block()) {
      const std::size_t count = std::min(centroids.block(), centroids.count() - first);
      for (std::size_t p = 0; p < panels; ++p) {
        compare(scratch.panels.data() + p * width * dim, centroids.compared(first),
                centroids.stride(), count, dim, centroids.bias() + first,
                static_cast<std::uint32_t>(first), best + p * width, which + p * width);
      }
    }
    std::copy_n(which, batch, labels + done);
    if (scores != nullptr) std::copy_n(best, batch, scores + done);
    done += batch;
  }
}

void nearest_several(const float* rows, std::size_t n, const Centroids& centroids,
                     std::size_t several, Scratch& scratch, std::uint32_t* labels, float* scores) {
  const kernels::TileKernel& tile = *kernels::active().tile;
  const std::size_t width = tile.queries;
  const std::size_t dim = centroids.dim();
  const std::size_t keep = std::min(several, centroids.count());
  const std::size_t most = 2 * keep + 64;  // candidates before they are thinned out
  const std::size_t room = most + centroids.block();
  scratch.scores.resize(std::max(scratch.scores.size(), width * room));
  scratch.ids.resize(std::max(scratch.ids.size(), width * room));
  std::vector<Candidate> found;
  kernels::TileTop top{};
  // The best `keep` of query q, in order; later centroids have larger numbers and lose ties.
  const auto thin = [&](std::size_t q) {
    found.clear();
    for (std::uint32_t i = 0; i < top.count[q]; ++i) {
      found.push_back({top.scores[q][i], top.ids[q][i]});
    }
    if (found.size() > keep) {
      std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(keep - 1),
                       found.end(), before);
      found.resize(keep);
      top.threshold[q] = found.back().score;
    }
  };
  for (std::size_t first = 0; first < n; first += width) {
    const std::size_t live = std::min(width, n - first);
    pack(rows + first * dim, live, centroids, 1, scratch);
    for (std::size_t q = 0; q < width; ++q) {
      top.count[q] = 0;
      top.scores[q] = scratch.scores.data() + q * room;
      top.ids[q] = scratch.ids.data() + q * room;
      top.threshold[q] = q < live ? std::numeric_limits<float>::infinity()
                                  : -std::numeric_limits<float>::infinity();
    }
    for (std::size_t c = 0; c < centroids.count(); c += centroids.block()) {
      tile.score(scratch.panels.data(), centroids.compared(c), centroids.stride(),
                 std::min(centroids.block(), centroids.count() - c), dim, centroids.bias() + c,
                 static_cast<std::uint32_t>(c), &top);
      for (std::size_t q = 0; q < live; ++q) {
        if (top.count[q] <= most) continue;
        thin(q);
        top.count[q] = static_cast<std::uint32_t>(found.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
          top.scores[q][i] = found[i].score;
          top.ids[q][i] = found[i].id;
        }
      }
    }
    for (std::size_t q = 0; q < live; ++q) {
      thin(q);
      std::sort(found.begin(), found.end(), before);
      for (std::size_t i = 0; i < several; ++i) {
        const bool there = i < found.size();
        labels[(first + q) * several + i] = there ? found[i].id : kNoRow;
        scores[(first + q) * several + i] =
            there ? found[i].score : std::numeric_limits<float>::infinity();
      }
    }
  }
}

void all_scores(const float* rows, std::size_t n, const Centroids& centroids, Scratch& scratch,
                float* out) {
  const std::size_t width = kernels::active().tile->queries;
  const std::size_t dim = centroids.dim();
  const auto multiply = kernels::active().matrix->products;
  scratch.scores.resize(std::max(scratch.scores.size(), centroids.block() * width));
  for (std::size_t done = 0; done < n;) {
    const std::size_t batch = std::min(n - done, kPanelsAtOnce * width);
    const std::size_t panels = pack(rows + done * dim, batch, centroids, kPanelsAtOnce, scratch);
    for (std::size_t first = 0; first < centroids.count(); first += centroids.block()) {
      const std::size_t count = std::min(centroids.block(), centroids.count() - first);
      for (std::size_t p = 0; p < panels; ++p) {
        multiply(scratch.panels.data() + p * width * dim, centroids.compared(first),
                 centroids.stride(), count, dim, scratch.scores.data());
        const std::size_t live = std::min(width, batch - p * width);
        for (std::size_t q = 0; q < live; ++q) {
          float* to = out + (done + p * width + q) * centroids.count() + first;
          for (std::size_t c = 0; c < count; ++c) {
            to[c] = centroids.bias()[first + c] - scratch.scores[c * width + q];
          }
        }
      }
    }
    done += batch;
  }
}

void inner_products(const float* a, std::size_t a_rows, const float* b, std::size_t b_rows,
                    std::size_t dim, float* out, std::size_t out_stride) {
  constexpr std::size_t kRowsAtOnce = 96;
  const kernels::TileKernel& tile = *kernels::active().tile;
  const std::size_t width = tile.queries;
  std::vector<float> panel(dim * width);
  std::vector<float> products(kRowsAtOnce * width);
  for (std::size_t j = 0; j < b_rows; j += width) {
    const std::size_t live = std::min(width, b_rows - j);
    tile.pack(b + j * dim, dim, live, dim, panel.data());
    for (std::size_t i = 0; i < a_rows; i += kRowsAtOnce) {
      const std::size_t count = std::min(kRowsAtOnce, a_rows - i);
      kernels::active().matrix->products(panel.data(), a + i * dim, dim, count, dim,
                                         products.data());
      for (std::size_t r = 0; r < count; ++r) {
        std::copy_n(products.data() + r * width, live, out + (i + r) * out_stride + j);
      }
    }
  }
}

}  // namespace vicinal::clustering
