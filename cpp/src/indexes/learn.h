#pragma once

#include <memory>

#include "quantizers/codec.h"
#include "vicinal/control.h"
#include "vicinal/types.h"
#include "vicinal/view.h"

namespace vicinal::indexes {

/// A codec made from rows spread evenly over those given; `unit`: rows are made unit length first.
std::shared_ptr<const quantizers::Codec> learn_codec(const CodecSpec& spec, const VectorsView& rows,
                                                     Metric metric, bool unit,
                                                     const RunOptions& run);

}  // namespace vicinal::indexes
