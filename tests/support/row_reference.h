#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/table.h"
#include "support/guarded.h"
#include "support/half_reference.h"

namespace vicinal::test {

/// Stored rows of one kind, a query beside them, and what every pair should score, in double. Built
/// from the layout that table.h describes; calls nothing of ours.
class RowCase {
 public:
  RowCase(kernels::RowType type, std::size_t dim, std::size_t n, std::uint64_t seed)
      : type_(type), dim_(dim), n_(n), stride_(round_up(used_bytes(), 16)), random_(seed),
        rows_(n * stride_), floats_(round_up(dim, 64) + 256), codes_(round_up(dim, 64) + 256),
        values_(n * dim), query_(dim) {
    make_query();
    for (std::size_t r = 0; r < n; ++r) make_row(r);
  }

  const void* query() const {
    using kernels::RowType;
    if (type_ == RowType::kI8 || type_ == RowType::kU8) return bytes_end_.data();
    if (type_ == RowType::kF32 || type_ == RowType::kF16 || type_ == RowType::kBf16) {
      return floats_end_.data();
    }
    return &scalar_;
  }
  const std::byte* rows() const { return rows_.data(); }
  std::size_t stride() const { return stride_; }
  const std::vector<double>& values() const { return values_; }

  struct Want {
    double score;
    double tolerance;
  };

  Want want(kernels::Rank rank, std::size_t row) const {
    double l2 = 0, ip = 0, size = 0;
    for (std::size_t i = 0; i < dim_; ++i) {
      const double a = query_[i], b = values_[row * dim_ + i];
      l2 += (a - b) * (a - b);
      ip += a * b;
      size += std::fabs(a * b);
    }
    // Each of dim products and sums rounds once: dim + 4 half-ulps of the sum of magnitudes.
    const double rounding = (static_cast<double>(dim_) + 8) * 0x1p-23;
    if (!is_scalar()) {
      return rank == kernels::Rank::kL2 ? Want{l2, l2 * rounding} : Want{-ip, size * rounding};
    }
    const Terms t = terms(row);
    const double tolerance = t.size * rounding;
    if (rank == kernels::Rank::kIp) return {-(scalar_.bias + t.dot), tolerance};
    const double norm = t.norm, bias = scalar_.bias;
    return {std::fmax(0.0, bias + norm - 2 * t.dot),
            2 * tolerance + (bias + norm) * 4 * 0x1p-23};
  }

  bool is_integer() const {
    return type_ == kernels::RowType::kI8 || type_ == kernels::RowType::kU8;
  }

 private:
  struct Terms {
    double dot, size, norm;
  };

  static std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }

  bool is_scalar() const { return type_ >= kernels::RowType::kSq8; }
  bool is_nibbles() const {
    return type_ == kernels::RowType::kSq4 || type_ == kernels::RowType::kSq4Int;
  }
  bool reads_codes() const {
    return type_ == kernels::RowType::kSq8Int || type_ == kernels::RowType::kSq4Int;
  }

  std::size_t tail_half() const { return round_up((dim_ % 128 + 1) / 2, 16); }

  std::size_t used_bytes() const {
    using kernels::RowType;
    switch (type_) {
      case RowType::kF32: return 4 * dim_;
      case RowType::kF16:
      case RowType::kBf16: return 2 * dim_;
      case RowType::kI8:
      case RowType::kU8: return dim_;
      case RowType::kSq8:
      case RowType::kSq8Int: return 16 + dim_;
      default: return 16 + dim_ / 128 * 64 + tail_half();
    }
  }

  float uniform() { return static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f; }

  void make_query() {
    using kernels::RowType;
    floats_end_ = Guarded<float>(round_up(dim_, 16));
    bytes_end_ = Guarded<std::byte>(round_up(dim_, 64));
    double sum = 0, code_sum = 0, norm = 0;
    scalar_.scale = 0.0117f;
    scalar_.offset = 0.37f;
    for (std::size_t i = 0; i < dim_; ++i) {
      if (is_integer()) {
        // Extremes now and then: that is where narrow sums would overflow.
        int x = static_cast<int>(random_() % 256);
        if (random_() % 4 == 0) x = random_() % 2 == 0 ? 255 : 0;
        if (type_ == RowType::kI8) x -= 128;
        bytes_end_[i] = static_cast<std::byte>(x);
        query_[i] = x;
        continue;
      }
      floats_[i] = uniform();
      floats_end_[i] = floats_[i];
      const int code = static_cast<int>(random_() % 256) - 128;
      codes_[i] = static_cast<std::int8_t>(code);
      query_[i] =
          reads_codes() ? scalar_.offset + double{scalar_.scale} * code : double{floats_[i]};
      sum += query_[i];
      norm += query_[i] * query_[i];
      code_sum += double{scalar_.scale} * code;
    }
    scalar_.values = floats_.data();
    scalar_.codes = codes_.data();
    scalar_.bias = static_cast<float>(norm);
    scalar_.sum = static_cast<float>(sum);
    scalar_.code_sum = static_cast<float>(code_sum);
  }

  void make_row(std::size_t r) {
    using kernels::RowType;
    std::byte* row = rows_.data() + r * stride_;
    kernels::ScalarRow head{};
    head.delta = 0.003f + 0.001f * uniform();
    head.lower = uniform();
    double sum = 0, norm = 0;
    for (std::size_t i = 0; i < dim_; ++i) {
      double& value = values_[r * dim_ + i];
      switch (type_) {
        case RowType::kF32: {
          const float x = uniform();
          std::memcpy(row + 4 * i, &x, 4);
          value = x;
          break;
        }
        case RowType::kF16: {
          const auto half = static_cast<std::uint16_t>(random_() % 0x7C00 | (random_() & 0x8000));
          const auto tame = static_cast<std::uint16_t>(half & 0xBFFF);  // below 2, or subnormal
          std::memcpy(row + 2 * i, &tame, 2);
          value = half_value(tame);
          break;
        }
        case RowType::kBf16: {
          const float x = uniform();
          std::uint32_t bits;
          std::memcpy(&bits, &x, 4);
          const auto high = static_cast<std::uint16_t>(bits >> 16);
          std::memcpy(row + 2 * i, &high, 2);
          bits &= 0xFFFF0000u;
          float rounded;
          std::memcpy(&rounded, &bits, 4);
          value = rounded;
          break;
        }
        case RowType::kI8:
        case RowType::kU8: {
          int x = static_cast<int>(random_() % 256);
          if (random_() % 4 == 0) x = random_() % 2 == 0 ? 255 : 0;
          if (type_ == RowType::kI8) x -= 128;
          row[i] = static_cast<std::byte>(x);
          value = x;
          break;
        }
        default: {
          const int code = static_cast<int>(random_() % (is_nibbles() ? 16 : 256));
          put_code(row, i, code);
          value = head.lower + double{head.delta} * code;
        }
      }
      sum += value;
      norm += value * value;
    }
    if (!is_scalar()) return;
    head.sum = static_cast<float>(sum);
    head.norm = static_cast<float>(norm);
    std::memcpy(row, &head, sizeof(head));
  }

  void put_code(std::byte* row, std::size_t i, int code) const {
    if (!is_nibbles()) {
      row[16 + i] = static_cast<std::byte>(code);
      return;
    }
    const std::size_t block = i / 128, in = i % 128;
    const std::size_t half = block < dim_ / 128 ? 64 : tail_half();
    std::byte& at = row[16 + block * 64 + in % half];
    at |= static_cast<std::byte>(in < half ? code : code << 4);
  }

  Terms terms(std::size_t row) const {
    double dot = 0, size = 0, norm = 0;
    kernels::ScalarRow head;
    std::memcpy(&head, rows_.data() + row * stride_, sizeof(head));
    for (std::size_t i = 0; i < dim_; ++i) {
      const double y = values_[row * dim_ + i];
      dot += query_[i] * y;
      norm += y * y;
      // The kernel adds lower * sum(q) and delta * sum(q code) separately.
      size += std::fabs(query_[i]) * (2 * std::fabs(head.lower) + std::fabs(y - head.lower));
      size += std::fabs(scalar_.offset) * std::fabs(y);
    }
    return {dot, size + std::fabs(scalar_.bias), norm};
  }

  kernels::RowType type_;
  std::size_t dim_, n_, stride_;
  std::mt19937_64 random_;
  Guarded<std::byte> rows_;
  Guarded<float> floats_;       // what ScalarQuery::values promises: 256 zeros beyond
  Guarded<std::int8_t> codes_;
  Guarded<float> floats_end_{0};  // a plain query: ends at its 64-byte padding
  Guarded<std::byte> bytes_end_{0};
  kernels::ScalarQuery scalar_{};
  std::vector<double> values_;
  std::vector<double> query_;
};

}  // namespace vicinal::test
