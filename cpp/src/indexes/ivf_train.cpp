// What an IVF index learns: centroids and codec.

#include <algorithm>
#include <cmath>
#include <string>

#include "base/rows_reader.h"
#include "indexes/ivf_impl.h"
#include "quantizers/transformed.h"
#include "vicinal/cluster.h"
#include "vicinal/errors.h"

namespace vicinal {

using quantizers::Codec;

namespace {

// Rows per list that centroids are learned from: fewer leave them rough, more only take time.
constexpr std::size_t kRowsPerList = 50;
constexpr std::uint32_t kIterations = 12;  // later ones move few rows to another list
// Fewer bytes of centroids are looked through in floats: quantizing would save a few microseconds.
constexpr std::size_t kRoughBytes = std::size_t{256} << 10;

std::uint32_t chosen_lists(std::size_t rows) {
  const auto n = static_cast<double>(rows);
  // Visiting a list costs about as much as comparing a dozen of codes with what is in them.
  auto lists = static_cast<std::uint32_t>(std::lround(std::min(4.0 * std::sqrt(n), n / 32.0)));
  if (lists >= 64) lists = (lists + 4) / 8 * 8;
  return std::max(lists, 1u);
}

/// Every so many-th row, as floats.
std::vector<float> spread_rows(const VectorsView& rows, std::size_t count, bool unit) {
  std::vector<float> floats(count * rows.cols);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * rows.rows / count;
    read_rows(rows, from, from + 1, floats.data() + i * rows.cols, rows.cols);
  }
  if (unit) normalize_rows(floats.data(), count, rows.cols, rows.cols);
  return floats;
}

}  // namespace

std::unique_ptr<IvfIndex::Impl::Model> IvfIndex::Impl::blank(std::uint32_t lists) const {
  auto model = std::make_unique<Model>();
  model->lists = lists;
  model->residual = params.residual;
  model->terms = params.residual && metric == Metric::kL2;
  const Metric rank = metric == Metric::kL2 ? Metric::kL2 : Metric::kInnerProduct;
  model->exact = Codec::restore(CodecKind::kFloat32, dim, rank, {});
  return model;
}

std::optional<Transform> IvfIndex::Impl::code_transform() const {
  if (!params.transform || !params.residual) return params.transform;
  return quantizers::without_offset(*params.transform);
}

void IvfIndex::Impl::complete(Model& model) const {
  model.packed = model.codec->block_bytes() != 0;
  if (model.lists * dim * sizeof(float) < kRoughBytes) return;
  const std::size_t width = model.exact->stride() / sizeof(float);
  std::vector<float> dense(model.lists * dim);
  for (std::uint32_t l = 0; l < model.lists; ++l) {
    std::copy_n(model.centroid(l), dim, dense.data() + l * dim);
  }
  model.rough =
      Codec::train(CodecKind::kSq8, dim, model.exact->metric(), {dense.data(), model.lists, dim});
  model.rough_codes = Buffer::allocate(model.lists * model.rough->stride());
  model.rough->encode(model.centroid(0), width, model.lists, model.rough_codes.mutable_data());
}

std::shared_ptr<const IvfIndex::Impl::Model> IvfIndex::Impl::learn(const VectorsView& rows,
                                                                   const RunOptions& run) const {
  const std::uint32_t lists = params.lists != 0 ? params.lists : chosen_lists(rows.rows);
  if (rows.rows < lists) {
    throw ArgumentError("vectors has " + std::to_string(rows.rows) + " rows to learn " +
                        std::to_string(lists) + " lists from; wanted at least as many");
  }
  const std::size_t for_codec = Codec::sample_rows(params.codec);
  const std::size_t for_refine = Codec::sample_rows(indexes::stored_as(params.refine));
  const std::size_t count =
      std::min(rows.rows, std::max({std::size_t{lists} * kRowsPerList, for_codec, for_refine}));
  std::vector<float> sample = spread_rows(rows, count, unit());
  const MatrixView<const float> sample_view(sample.data(), count, dim);

  KMeansParams wanted;
  wanted.clusters = lists;
  wanted.iterations = kIterations;
  wanted.seed = params.seed;
  if (params.balance != 0.0f) {
    wanted.balance = Balance::kCapacity;
    wanted.slack = static_cast<double>(params.balance);
  }
  RunOptions clustering = run;
  if (run.progress) {
    // The rows were checked once: a second time is no news.
    clustering.progress = [&run](const Progress& p) {
      return std::string(p.stage) == "checking" || run.progress(p);
    };
  }
  const KMeansResult found = kmeans(sample_view, wanted, clustering);

  auto model = blank(lists);
  model->centroids = Buffer::allocate(lists * model->exact->stride());
  model->exact->encode(found.centroids.data(), dim, lists, model->centroids.mutable_data());

  if (params.refine != RefineKind::kNone) {
    model->refine = Codec::train(indexes::stored_as(params.refine), dim, metric, sample_view, run);
  }
  const std::size_t taught = std::min(count, for_codec);
  for (std::size_t i = 0; i < taught; ++i) {
    const std::size_t from = i * count / taught;  // >= i: not yet written over
    const float* row = sample.data() + from * dim;
    const float* centroid = found.centroids.data() + found.labels[from] * dim;
    float* to = sample.data() + i * dim;
    for (std::size_t d = 0; d < dim; ++d) to[d] = params.residual ? row[d] - centroid[d] : row[d];
  }
  model->codec = quantizers::train_codec(params.codec, code_metric(), {sample.data(), taught, dim},
                                         code_transform(), run);
  complete(*model);
  return model;
}

void IvfIndex::Impl::train(const VectorsView& sample, const RunOptions& run) {
  if (sample.cols != dim) throw DimensionError("vectors", sample.cols, dim);
  check_rows(sample, "vectors", unit(), run);
  const std::lock_guard<std::mutex> writing(writer_);
  Snapshot next = *view();
  if (next.model) {
    throw ArgumentError("this index has learned its " + std::to_string(next.model->lists) +
                        " lists already; make another to learn anew");
  }
  next.model = learn(sample, run);
  next.lists = std::make_shared<const Lists>(next.model->lists);
  publish(std::move(next));
}

}  // namespace vicinal
