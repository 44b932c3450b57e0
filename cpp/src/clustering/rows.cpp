#include "clustering/rows.h"

#include "base/rows_reader.h"

namespace vicinal::clustering {

Rows::Rows(const VectorsView& view, bool unit)
    : view_(view), unit_(unit), plain_(unit ? nullptr : plain_floats(view)), count_(view.rows) {}

Rows::Rows(const Rows& all, const std::uint32_t* ids, std::size_t count)
    : view_(all.view_), unit_(all.unit_), plain_(nullptr), ids_(ids), count_(count) {}

const float* Rows::read(std::size_t begin, std::size_t end, float* out) const {
  if (plain_ != nullptr) return plain_ + begin * dim();
  if (ids_ == nullptr) {
    read_rows(view_, begin, end, out, dim());
  } else {
    for (std::size_t i = begin; i < end; ++i) {
      read_rows(view_, ids_[i], std::size_t{ids_[i]} + 1, out + (i - begin) * dim(), dim());
    }
  }
  if (unit_) normalize_rows(out, end - begin, dim(), dim());
  return out;
}

double dot(const float* a, const float* b, std::size_t dim) {
  double sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= dim; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) sums[j] += static_cast<double>(a[i + j]) * b[i + j];
  }
  for (; i < dim; ++i) sums[0] += static_cast<double>(a[i]) * b[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

double squared_length(const float* x, std::size_t dim) { return dot(x, x, dim); }

}  // namespace vicinal::clustering
