#include "indexes/learn.h"

#include <algorithm>
#include <vector>

#include "base/rows_reader.h"

namespace vicinal::indexes {
namespace {

// Only a mean is learned, and ten thousand rows give it to a hundredth of the spread of the rows.
// More would cost memory: the sample is held as floats.
constexpr std::size_t kTrainRows = 10'000;

}  // namespace

std::shared_ptr<const quantizers::Codec> learn_codec(CodecKind kind, const VectorsView& rows,
                                                     Metric metric, bool unit) {
  std::vector<float> floats;
  std::size_t sample = 0;
  const std::size_t dim = rows.cols;
  if (kind == CodecKind::kSq8 || kind == CodecKind::kSq4) {
    sample = std::min(rows.rows, kTrainRows);
    floats.resize(sample * dim);
    for (std::size_t i = 0; i < sample; ++i) {
      const std::size_t from = i * rows.rows / sample;
      read_rows(rows, from, from + 1, floats.data() + i * dim, dim);
    }
    if (unit) normalize_rows(floats.data(), sample, dim, dim);
  }
  return quantizers::Codec::train(kind, dim, metric, {floats.data(), sample, dim});
}

}  // namespace vicinal::indexes
