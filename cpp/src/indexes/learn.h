#pragma once

#include <memory>
#include <optional>

#include "quantizers/codec.h"
#include "vicinal/control.h"
#include "vicinal/transform.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::indexes {

/// A codec made from rows spread evenly over those given, behind the transform if there is one;
/// `unit`: rows are made unit length first.
std::shared_ptr<const quantizers::Codec> learn_codec(const CodecSpec& spec, const VectorsView& rows,
                                                     Metric metric, bool unit,
                                                     const std::optional<Transform>& transform,
                                                     const RunOptions& run);

}  // namespace vicinal::indexes
