#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quantizers/codec.h"
#include "vicinal/transform.h"

namespace vicinal::quantizers {

/// A codec behind a transform. It takes and gives vectors of transform.in() dimensions; what is
/// stored are the codes that `inner` makes of their images. Rows score what they stand for
/// (see Transform), so scores of different codecs and transforms compare.
/// kind() and spec() are those of the inner codec: whoever reads stored rows by kind, past
/// decode() and prepare(), has to ask transform_of() first.
/// Throws ArgumentError where the widths differ, the transform does not fit the metric, or the
/// codec holds only whole numbers. inner: of transformed_metric(metric).
std::shared_ptr<const Codec> transformed(const Transform& transform,
                                         std::shared_ptr<const Codec> inner, Metric metric);

/// What a codec behind a transform compares by. Images of unit vectors need not have length 1, so
/// that cosine becomes inner product.
Metric transformed_metric(Metric metric) noexcept;

/// Throws ArgumentError for what the next would refuse whatever it learned from: a transform of
/// other widths, or one that does not fit, or a codec that does not hold what comes out.
void check_codec(const CodecSpec& spec, std::size_t dim, Metric metric,
                 const std::optional<Transform>& transform);
/// Codec::train() on what the transform, if there is one, makes of the sample.
std::shared_ptr<const Codec> train_codec(const CodecSpec& spec, Metric metric,
                                         MatrixView<const float> sample,
                                         const std::optional<Transform>& transform,
                                         const RunOptions& run = {});

// A transform in a file: "transform/data", "transform/query" (out x in numbers each) and
// "transform/offset" (in numbers); of Transform::fast() ones "transform/rotation" alone (4 numbers,
// the seed).
std::vector<Learned> arrays_of(const Transform& transform);
std::vector<std::pair<std::string, std::size_t>> transform_arrays(std::size_t in, std::size_t out,
                                                                  bool fast);
/// Throws ArgumentError unless these are the arrays of a transform of so many dimensions.
Transform restore_transform(const std::vector<Learned>& arrays, std::size_t dim);
/// For differences of vectors, from which no offset is to be taken.
Transform without_offset(const Transform& transform);

/// Queries that are transformed together: as Codec::prepare() of a codec behind a transform has
/// it, bit by bit, but in less time.
class QueryImages {
 public:
  explicit QueryImages(const Codec& codec);
  /// n queries of codec.dim() numbers. Throws ArgumentError as prepare() would.
  void map(const float* queries, std::size_t n);
  /// Makes the i-th of them ready.
  void prepare(std::size_t i, Precision precision, Query& out) const;

 private:
  const Transform& transform_;
  const Codec& inner_;
  Metric metric_;
  std::vector<float> images_;
  std::vector<float> shifts_;
};

/// What stands before the codec, and the codec behind it; null and the codec itself if nothing
/// does.
const Transform* transform_of(const Codec& codec) noexcept;
const Codec& inner_of(const Codec& codec) noexcept;
std::shared_ptr<const Codec> inner_of(const std::shared_ptr<const Codec>& codec) noexcept;

}  // namespace vicinal::quantizers
