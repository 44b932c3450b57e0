#include "indexes/learn.h"

#include <algorithm>
#include <vector>

#include "base/rows_reader.h"
#include "quantizers/transformed.h"

namespace vicinal::indexes {

std::shared_ptr<const quantizers::Codec> learn_codec(const CodecSpec& spec, const VectorsView& rows,
                                                     Metric metric, bool unit,
                                                     const std::optional<Transform>& transform,
                                                     const RunOptions& run) {
  const std::size_t dim = rows.cols;
  const std::size_t sample = std::min(rows.rows, quantizers::Codec::sample_rows(spec));
  std::vector<float> floats(sample * dim);
  for (std::size_t i = 0; i < sample; ++i) {
    const std::size_t from = i * rows.rows / sample;
    read_rows(rows, from, from + 1, floats.data() + i * dim, dim);
  }
  if (unit) normalize_rows(floats.data(), sample, dim, dim);
  return quantizers::train_codec(spec, metric, {floats.data(), sample, dim}, transform, run);
}

}  // namespace vicinal::indexes
