#include "quantizers/pairs.h"

#include <algorithm>
#include <cstring>

#include "kernels/dispatch.h"

namespace vicinal::quantizers {

using kernels::ScalarRow;

bool Pairs::can_score(const Codec& codec) noexcept {
  return (codec.kind() == CodecKind::kSq8 || codec.kind() == CodecKind::kSq4) &&
         codec.metric() == Metric::kL2;
}

void Pairs::reset(const Codec& codec, std::size_t n) {
  kind_ = codec.kind();
  dim_ = codec.dim();
  n_ = n;
  bytes_ = (dim_ + 63) / 64 * 64;
  std::memset(rows_.get(n * bytes_), 0, n * bytes_);
  queries_.get(n * bytes_);
  for (auto* part : {&delta_, &lower_, &sum_, &norm_}) part->resize(n);
}

void Pairs::set(std::size_t place, const std::byte* row) {
  ScalarRow head;
  std::memcpy(&head, row, sizeof head);
  delta_[place] = head.delta;
  lower_[place] = head.lower;
  sum_[place] = head.sum;
  norm_[place] = head.norm;
  std::uint8_t* to = rows_.get(n_ * bytes_) + place * bytes_;
  const auto* codes = reinterpret_cast<const std::uint8_t*>(row + sizeof head);
  if (kind_ == CodecKind::kSq8) {
    std::memcpy(to, codes, dim_);
  } else {
    for (std::size_t block = 0; block <= dim_ / 128; ++block) {
      // The last nibbles may stand for no dimension; they are zero, and may not be written to.
      const std::size_t left = dim_ - block * 128;
      const std::size_t half =
          block < dim_ / 128 ? 64 : std::min(kernels::sq4_tail_bytes(dim_), left);
      const std::size_t high_at = block < dim_ / 128 ? 64 : kernels::sq4_tail_bytes(dim_);
      const std::size_t high = std::min(high_at, left - half);
      for (std::size_t j = 0; j < half; ++j) to[block * 128 + j] = codes[block * 64 + j] & 15;
      for (std::size_t j = 0; j < high; ++j) {
        to[block * 128 + high_at + j] = static_cast<std::uint8_t>(codes[block * 64 + j] >> 4);
      }
    }
  }
  std::int8_t* query = queries_.get(n_ * bytes_) + place * bytes_;
  const std::uint8_t flip = kind_ == CodecKind::kSq8 ? 0x80 : 0;  // bytes below 16 have a sign to
  for (std::size_t i = 0; i < bytes_; ++i) query[i] = static_cast<std::int8_t>(to[i] ^ flip);
}

void Pairs::score(std::size_t first, std::size_t last, float* out, std::size_t out_stride) {
  const std::size_t n = n_ - first;
  const std::uint8_t* rows = rows_.get(n_ * bytes_) + first * bytes_;
  const std::int8_t* queries = queries_.get(n_ * bytes_) + first * bytes_;
  products_.resize((last - first) * n);
  kernels::active().byte_products(queries, bytes_, last - first, rows, bytes_, n, bytes_,
                                  products_.data(), n);
  const float* delta = &delta_[first];
  const float* lower = &lower_[first];
  const float* sum = &sum_[first];
  const float* norm = &norm_[first];
  for (std::size_t i = 0; i < last - first; ++i) {
    // As ScalarQuery of table.h has it.
    const float zero = lower[i] + (kind_ == CodecKind::kSq8 ? 128.0f * delta[i] : 0.0f);
    const float code_sum = sum[i] - static_cast<float>(dim_) * zero;
    const float scale = delta[i], bias = norm[i];
    const std::int32_t* products = &products_[i * n];
    float* to = out + i * out_stride + first;
    for (std::size_t j = 0; j < n; ++j) {
      const float dot = zero * sum[j] + lower[j] * code_sum +
                        scale * delta[j] * static_cast<float>(products[j]);
      const float score = bias + norm[j] - 2 * dot;
      to[j] = score < 0.0f ? 0.0f : score;  // NaN stays
    }
  }
}

}  // namespace vicinal::quantizers
