#include "quantizers/transformed.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "quantizers/pq.h"
#include "quantizers/transform.h"
#include "vicinal/errors.h"

namespace vicinal::quantizers {
namespace {

constexpr char kData[] = "transform/data";
constexpr char kQuery[] = "transform/query";
constexpr char kOffset[] = "transform/offset";
constexpr char kRotation[] = "transform/rotation";
constexpr std::size_t kPieceRows = 256;  // encoded or decoded at a time: some hundred kilobytes

// A file keeps float32 arrays: 16 bits of the seed in each number.
constexpr std::size_t kSeedValues = 4;

std::vector<float> seed_values(std::uint64_t seed) {
  std::vector<float> out(kSeedValues);
  for (std::size_t i = 0; i < kSeedValues; ++i) {
    out[i] = static_cast<float>(seed >> (16 * i) & 0xFFFF);
  }
  return out;
}

std::uint64_t seed_of(const std::vector<float>& values) {
  if (values.size() != kSeedValues) {
    throw ArgumentError("the seed of the transform has " + std::to_string(values.size()) +
                        " parts; wanted " + std::to_string(kSeedValues));
  }
  std::uint64_t seed = 0;
  for (std::size_t i = 0; i < kSeedValues; ++i) {
    const float part = values[i];
    if (!(part >= 0 && part <= 65535) || part != std::floor(part)) {
      throw ArgumentError("part " + std::to_string(i) + " of the seed of the transform is " +
                          std::to_string(part) + "; wanted a whole number from 0 to 65535");
    }
    seed |= static_cast<std::uint64_t>(part) << (16 * i);
  }
  return seed;
}

[[noreturn]] void refuse_query() {
  throw ArgumentError("queries: a query is too large: after the transform float32 cannot hold it");
}

class TransformedCodec final : public Codec {
 public:
  TransformedCodec(const Transform& transform, std::shared_ptr<const Codec> inner, Metric metric)
      : Codec(inner->spec(), transform.in(), metric, inner->bytes()),
        transform_(transform),
        inner_(std::move(inner)) {
    assert(stride() == inner_->stride());
  }

  const Transform& transform() const noexcept { return transform_; }
  const std::shared_ptr<const Codec>& inner() const noexcept { return inner_; }

  bool reconstructs() const noexcept override { return inner_->reconstructs(); }
  bool has_fast() const noexcept override { return inner_->has_fast(); }

  std::vector<Learned> learned() const override {
    std::vector<Learned> out = inner_->learned();
    for (Learned& array : arrays_of(transform_)) out.push_back(std::move(array));
    return out;
  }

  std::shared_ptr<const Codec> for_metric(Metric metric) const override {
    return transformed(transform_, inner_->for_metric(transformed_metric(metric)), metric);
  }

  void encode(const float* rows, std::size_t in_stride, std::size_t n, std::byte* out,
              std::size_t first_row) const override {
    const Transform::Impl& map = transform_.impl();
    std::vector<float> images(std::min(n, kPieceRows) * map.out);
    for (std::size_t begin = 0; begin < n; begin += kPieceRows) {
      const std::size_t count = std::min(kPieceRows, n - begin);
      const std::size_t mapped =
          map.map_data(rows + begin * in_stride, in_stride, count, images.data(), map.out);
      if (mapped < count) {
        throw ArgumentError("vectors row " + std::to_string(first_row + begin + mapped) +
                            " is too large: after the transform float32 cannot hold it");
      }
      inner_->encode(images.data(), map.out, count, out + begin * stride(), first_row + begin);
    }
  }

  void decode(const std::byte* rows, std::size_t n, float* out,
              std::size_t out_stride) const override {
    const Transform::Impl& map = transform_.impl();
    std::vector<float> images(std::min(n, kPieceRows) * map.out);
    for (std::size_t begin = 0; begin < n; begin += kPieceRows) {
      const std::size_t count = std::min(kPieceRows, n - begin);
      inner_->decode(rows + begin * stride(), count, images.data(), map.out);
      map.map_back(images.data(), map.out, count, out + begin * out_stride, out_stride);
    }
  }

  // Codecs copy the query they prepare, so that its image may go once they have.
  void prepare(const float* query, Precision precision, Query& out) const override {
    QueryImages images(*this);
    images.map(query, 1);
    images.prepare(0, precision, out);
  }

  void prepare_row(const std::byte* row, Query& out) const override {
    const Transform::Impl& map = transform_.impl();
    // Under L2 images are as far apart as what they stand for. Their products are the same only if
    // a row comes back from there as it was, and no offset is left over.
    if (metric() == Metric::kL2 || (map.same() && map.consistent && map.offset.empty())) {
      inner_->prepare_row(row, out);
      return;
    }
    std::vector<float> vector(dim()), image(map.out);
    decode(row, 1, vector.data(), dim());
    float shift = 0;
    // Not judged: a damaged file may hold anything, and this is no place to say so.
    static_cast<void>(map.map_query(vector.data(), metric(), image.data(), &shift));
    inner_->prepare(image.data(), Precision::kFast, out);
    out.add_shift(shift);
  }

  float twin_limit(const std::byte* row) const noexcept override {
    return inner_->twin_limit(row);  // -inf but for L2, where prepare_row() asks the same codec
  }

  std::size_t block_bytes() const noexcept override { return inner_->block_bytes(); }
  void pack(const std::byte* row, std::size_t place, std::byte* block) const override {
    inner_->pack(row, place, block);
  }
  void unpack(const std::byte* block, std::size_t place, std::byte* row) const override {
    inner_->unpack(block, place, row);
  }
  void prepare_blocks(const float* query, BlockQuery& out) const override {
    float shift = 0;
    const std::vector<float> image = image_of(query, &shift);
    inner_->prepare_blocks(image.data(), out);
    out.add_shift(shift);
  }
  bool has_bounds() const noexcept override { return inner_->has_bounds(); }
  bool prepare_bounds(const float* query, BlockQuery& out) const override {
    float shift = 0;
    const std::vector<float> image = image_of(query, &shift);
    if (!inner_->prepare_bounds(image.data(), out)) return false;
    out.add_shift(shift);
    return true;
  }

 private:
  std::vector<float> image_of(const float* query, float* shift) const {
    const Transform::Impl& map = transform_.impl();
    std::vector<float> image(map.out);
    if (!map.map_query(query, metric(), image.data(), shift)) refuse_query();
    return image;
  }

  Transform transform_;
  std::shared_ptr<const Codec> inner_;
};

const Learned* find_array(const std::vector<Learned>& arrays, const char* name) {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const Learned& array) { return array.name == name; });
  return found == arrays.end() ? nullptr : &*found;
}

const Learned& array_of(const std::vector<Learned>& arrays, const char* name) {
  const Learned* found = find_array(arrays, name);
  if (found != nullptr) return *found;
  throw ArgumentError("the transform has no array \"" + std::string(name) + "\"");
}

void check_fits(const Transform& transform, Metric metric) {
  if (transform.fits(metric)) return;
  throw ArgumentError(
      "the transform does not keep l2 distances: its data and query matrices must be the same, "
      "with orthonormal rows or columns");
}

void check_holds(CodecKind kind) {
  if (kind != CodecKind::kInt8 && kind != CodecKind::kUint8) return;
  throw ArgumentError("codec " + std::string(name(kind)) +
                      " holds whole numbers only; a transform makes others of them");
}

}  // namespace

Metric transformed_metric(Metric metric) noexcept {
  return metric == Metric::kCosine ? Metric::kInnerProduct : metric;
}

std::shared_ptr<const Codec> transformed(const Transform& transform,
                                         std::shared_ptr<const Codec> inner, Metric metric) {
  if (inner->dim() != transform.out()) {
    throw ArgumentError("the transform gives " + std::to_string(transform.out()) +
                        " dimensions; the codec behind it takes " + std::to_string(inner->dim()));
  }
  if (inner->metric() != transformed_metric(metric)) {
    throw ArgumentError("the codec behind the transform compares by " +
                        std::string(name(inner->metric())) + "; wanted " +
                        name(transformed_metric(metric)));
  }
  check_holds(inner->kind());
  check_fits(transform, metric);
  return std::make_shared<const TransformedCodec>(transform, std::move(inner), metric);
}

void check_codec(const CodecSpec& spec, std::size_t dim, Metric metric,
                 const std::optional<Transform>& transform) {
  check_pq_metric(spec, metric);
  if (!transform) {
    Codec::learns(spec, dim);
    return;
  }
  if (transform->in() != dim) {
    throw DimensionError("the transform takes " + std::to_string(transform->in()) +
                         " dimensions; dim is " + std::to_string(dim));
  }
  check_holds(spec.kind);
  check_fits(*transform, metric);
  Codec::learns(spec, transform->out());
}

std::shared_ptr<const Codec> train_codec(const CodecSpec& spec, Metric metric,
                                         MatrixView<const float> sample,
                                         const std::optional<Transform>& transform,
                                         const RunOptions& run) {
  if (!transform) return Codec::train(spec, sample.cols(), metric, sample, run);
  check_fits(*transform, metric);
  std::vector<float> images(sample.rows() * transform->out());
  const MatrixView<float> view(images.data(), sample.rows(), transform->out());
  if (sample.rows() > 0) transform->data(sample, view, run);
  return transformed(*transform,
                     Codec::train(spec, transform->out(), transformed_metric(metric),
                                  {images.data(), sample.rows(), transform->out()}, run),
                     metric);
}

QueryImages::QueryImages(const Codec& codec)
    : transform_(*transform_of(codec)), inner_(inner_of(codec)), metric_(codec.metric()) {}

void QueryImages::map(const float* queries, std::size_t n) {
  const Transform::Impl& map = transform_.impl();
  images_.resize(std::max(images_.size(), n * map.out));
  shifts_.resize(std::max(shifts_.size(), n));
  if (map.map_queries(queries, n, metric_, images_.data(), shifts_.data()) != n) refuse_query();
}

void QueryImages::prepare(std::size_t i, Precision precision, Query& out) const {
  inner_.prepare(images_.data() + i * transform_.out(), precision, out);
  out.add_shift(shifts_[i]);
}

std::vector<Learned> arrays_of(const Transform& transform) {
  if (transform.fast()) return {{kRotation, seed_values(transform.seed())}};
  return {{kData, transform.data_matrix()},
          {kQuery, transform.query_matrix()},
          {kOffset, transform.offset()}};
}

std::vector<std::pair<std::string, std::size_t>> transform_arrays(std::size_t in, std::size_t out,
                                                                  bool fast) {
  if (fast) return {{kRotation, kSeedValues}};
  return {{kData, out * in}, {kQuery, out * in}, {kOffset, in}};
}

Transform restore_transform(const std::vector<Learned>& arrays, std::size_t dim) {
  if (dim == 0 || dim > kMaxDim) {
    throw ArgumentError("dim is " + std::to_string(dim) + "; wanted 1 to " +
                        std::to_string(kMaxDim));
  }
  const Learned* rotation = find_array(arrays, kRotation);
  if (rotation != nullptr) return Transform::rotation(dim, seed_of(rotation->values));
  const Learned& data = array_of(arrays, kData);
  const Learned& query = array_of(arrays, kQuery);
  const Learned& offset = array_of(arrays, kOffset);
  const std::size_t size = data.values.size();
  if (size == 0 || size % dim != 0 || query.values.size() != size || offset.values.size() != dim) {
    throw ArgumentError("the arrays of the transform hold " + std::to_string(size) + ", " +
                        std::to_string(query.values.size()) + " and " +
                        std::to_string(offset.values.size()) + " numbers; wanted rows of " +
                        std::to_string(dim) + ", as many again, and " + std::to_string(dim));
  }
  const std::size_t out = size / dim;
  return Transform({data.values.data(), out, dim}, {query.values.data(), out, dim}, offset.values);
}

Transform without_offset(const Transform& transform) {
  const Transform::Impl& map = transform.impl();
  if (map.offset.empty()) return transform;
  const std::vector<float> data = map.data->values();
  if (map.same()) return Transform({data.data(), map.out, map.in});
  const std::vector<float> query = map.query->values();
  return Transform({data.data(), map.out, map.in}, {query.data(), map.out, map.in});
}

const Transform* transform_of(const Codec& codec) noexcept {
  const auto* found = dynamic_cast<const TransformedCodec*>(&codec);
  return found == nullptr ? nullptr : &found->transform();
}

const Codec& inner_of(const Codec& codec) noexcept {
  const auto* found = dynamic_cast<const TransformedCodec*>(&codec);
  return found == nullptr ? codec : *found->inner();
}

std::shared_ptr<const Codec> inner_of(const std::shared_ptr<const Codec>& codec) noexcept {
  const auto* found = dynamic_cast<const TransformedCodec*>(codec.get());
  return found == nullptr ? codec : found->inner();
}

}  // namespace vicinal::quantizers
