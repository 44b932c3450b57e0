#pragma once

#include <cstddef>
#include <memory>
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

/// Trains the codec on what the transform makes of the sample, which is as Codec::train() wants it.
std::shared_ptr<const Codec> train_transformed(const CodecSpec& spec, const Transform& transform,
                                               Metric metric, MatrixView<const float> sample,
                                               const RunOptions& run = {});

/// From a file: dim is that of the vectors that callers hold. Throws ArgumentError unless
/// `learned` holds a transform, the arrays of the inner codec, and nothing else.
std::shared_ptr<const Codec> restore_transformed(const CodecSpec& spec, std::size_t dim,
                                                 Metric metric, std::vector<Learned> learned);
/// Names and lengths of what a transformed codec learned, after those of the codec:
/// "transform/data", "transform/query" (out x in numbers each), "transform/offset" (in numbers);
/// of Transform::fast() ones "transform/rotation" alone (4 numbers, the seed).
std::vector<std::pair<std::string, std::size_t>> learns_transformed(const CodecSpec& spec,
                                                                    std::size_t in, std::size_t out,
                                                                    bool fast);

/// What stands before the codec, and the codec behind it; null and the codec itself if nothing
/// does.
const Transform* transform_of(const Codec& codec) noexcept;
const Codec& inner_of(const Codec& codec) noexcept;

}  // namespace vicinal::quantizers
