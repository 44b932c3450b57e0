#include "kernels/scalar/scalar.h"
#include "kernels/walk.h"

namespace vicinal::kernels::scalar {
namespace {

struct F32 {
  using Stored = float;
  static float value(float x) noexcept { return x; }
};

struct F16 {
  using Stored = std::uint16_t;
  static float value(std::uint16_t h) noexcept {
    const std::uint32_t magnitude = h & 0x7FFFu;
    // Rebias the exponent by 112, twice for infinity and NaN; subnormals are multiples of 2^-24.
    const std::uint32_t rebias = (magnitude >= 0x7C00u ? 224u : 112u) << 23;
    std::uint32_t bits = (magnitude << 13) + rebias;
    const float small = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
    std::uint32_t small_bits;
    std::memcpy(&small_bits, &small, 4);
    bits = magnitude < 0x0400u ? small_bits : bits;
    bits |= (h & 0x8000u) << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
};

struct Bf16 {
  using Stored = std::uint16_t;
  static float value(std::uint16_t h) noexcept {
    const std::uint32_t bits = std::uint32_t{h} << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
};

template <class Row, Rank rank>
struct FloatOp {
  using Sum = float;
  static constexpr std::size_t kGroup = 1;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept {
    return dim * sizeof(typename Row::Stored);
  }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* sum) noexcept {
    group.prefetch_all(row_bytes(dim));
    const float* q = static_cast<const float*>(query);
    const auto* row = reinterpret_cast<const typename Row::Stored*>(group.rows[0]);
    // Sixteen sums: the compiler may then use whatever vectors the baseline has.
    float sums[16] = {};
    std::size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
      for (std::size_t j = 0; j < 16; ++j) sums[j] += term(q[i + j], Row::value(row[i + j]));
    }
    for (std::size_t j = 0; i < dim; ++i, ++j) sums[j] += term(q[i], Row::value(row[i]));
    for (std::size_t width = 8; width > 0; width /= 2) {
      for (std::size_t j = 0; j < width; ++j) sums[j] += sums[j + width];
    }
    *sum = sums[0];
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* sum,
                                    float* out) noexcept {
    *out = rank == Rank::kL2 ? *sum : -*sum;
  }

  static float term(float a, float b) noexcept {
    return rank == Rank::kL2 ? (a - b) * (a - b) : a * b;
  }
};

template <class Row>
void decode(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim, float* out,
            std::size_t out_stride) noexcept {
  for (std::size_t r = 0; r < n; ++r) {
    const auto* row = reinterpret_cast<const typename Row::Stored*>(rows + r * stride);
    for (std::size_t i = 0; i < dim; ++i) out[r * out_stride + i] = Row::value(row[i]);
  }
}

template <class Row>
constexpr RowKernels kernels_for() noexcept {
  return row_kernels<FloatOp<Row, Rank::kL2>, FloatOp<Row, Rank::kIp>>(decode<Row>);
}

}  // namespace

const RowKernels f32 = kernels_for<F32>();
const RowKernels f16 = kernels_for<F16>();
const RowKernels bf16 = kernels_for<Bf16>();

}  // namespace vicinal::kernels::scalar
