#include "kernels/scalar/scalar.h"
#include "kernels/walk.h"

namespace vicinal::kernels::scalar {
namespace {

template <class T, Rank rank>
struct ByteOp {
  using Sum = std::int32_t;
  static constexpr std::size_t kGroup = 1;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return dim; }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* total) noexcept {
    const std::byte* row = group.rows[0];
    group.prefetch_all(row_bytes(dim));
    const T* q = static_cast<const T*>(query);
    const T* stored = reinterpret_cast<const T*>(row);
    std::int32_t sum = 0;  // dim <= 32768: 32768 * 255^2 still fits
    for (std::size_t i = 0; i < dim; ++i) {
      const std::int32_t a = q[i], b = stored[i];
      sum += rank == Rank::kL2 ? (a - b) * (a - b) : a * b;
    }
    *total = sum;
  }

  static VICINAL_INLINE void finish(const void*, const std::byte* const*, const Sum* total,
                                    float* out) noexcept {
    *out = static_cast<float>(rank == Rank::kL2 ? *total : -*total);
  }
};

template <class T>
void decode_bytes(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                  float* out, std::size_t out_stride) noexcept {
  for (std::size_t r = 0; r < n; ++r) {
    const T* row = reinterpret_cast<const T*>(rows + r * stride);
    for (std::size_t i = 0; i < dim; ++i) out[r * out_stride + i] = static_cast<float>(row[i]);
  }
}

// Calls use(dimension, code) for every dimension of a row of 8- or 4-bit codes.
struct Sq8 {
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq8_bytes(dim); }

  template <class Use>
  static void each(const std::byte* row, std::size_t dim, Use use) noexcept {
    const auto* code = reinterpret_cast<const std::uint8_t*>(row + sizeof(ScalarRow));
    for (std::size_t i = 0; i < dim; ++i) use(i, code[i]);
  }
};

struct Sq4 {
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return sq4_bytes(dim); }

  template <class Use>
  static void each(const std::byte* row, std::size_t dim, Use use) noexcept {
    const auto* code = reinterpret_cast<const std::uint8_t*>(row + sizeof(ScalarRow));
    std::size_t base = 0;
    for (; base + 128 <= dim; base += 128, code += 64) {
      for (std::size_t i = 0; i < 64; ++i) {
        use(base + i, code[i] & 15);
        use(base + 64 + i, code[i] >> 4);
      }
    }
    const std::size_t half = nibble_tail(dim);
    for (std::size_t i = 0; base + i < dim && i < half; ++i) use(base + i, code[i] & 15);
    for (std::size_t i = half; base + i < dim; ++i) use(base + i, code[i - half] >> 4);
  }
};

template <Rank rank>
float finished(const ScalarQuery& q, const ScalarRow& head, float dot) noexcept {
  if (rank == Rank::kIp) return -(q.bias + dot);
  const float distance = (q.bias + head.norm) - 2.0f * dot;
  return distance > 0.0f ? distance : 0.0f;
}

template <class Codes, Rank rank>
struct ValueOp {
  using Sum = float;
  static constexpr std::size_t kGroup = 1;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return Codes::row_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* total) noexcept {
    const std::byte* row = group.rows[0];
    group.prefetch_all(row_bytes(dim));
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    float sums[16] = {};
    Codes::each(row, dim, [&](std::size_t i, int code) {
      sums[i % 16] += q.values[i] * static_cast<float>(code);
    });
    for (std::size_t width = 8; width > 0; width /= 2) {
      for (std::size_t j = 0; j < width; ++j) sums[j] += sums[j + width];
    }
    *total = sums[0];
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* total, float* out) noexcept {
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    const ScalarRow head = head_of(rows[0]);
    *out = finished<rank>(q, head, head.lower * q.sum + head.delta * *total);
  }
};

template <class Codes, Rank rank>
struct CodeOp {
  using Sum = std::int32_t;
  static constexpr std::size_t kGroup = 1;
  static constexpr std::size_t row_bytes(std::size_t dim) noexcept { return Codes::row_bytes(dim); }

  template <class Rows>
  static VICINAL_INLINE void add(const void* query, const Rows& group, std::size_t dim,
                                 Sum* total) noexcept {
    const std::byte* row = group.rows[0];
    group.prefetch_all(row_bytes(dim));
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    std::int32_t sum = 0;
    Codes::each(row, dim, [&](std::size_t i, int code) { sum += q.codes[i] * code; });
    *total = sum;
  }

  static VICINAL_INLINE void finish(const void* query, const std::byte* const* rows,
                                    const Sum* total, float* out) noexcept {
    const ScalarQuery& q = *static_cast<const ScalarQuery*>(query);
    const ScalarRow head = head_of(rows[0]);
    const float dot = (q.offset * head.sum + head.lower * q.code_sum) +
                      (q.scale * head.delta) * static_cast<float>(*total);
    *out = finished<rank>(q, head, dot);
  }
};

template <class Codes>
void decode_codes(const std::byte* rows, std::size_t stride, std::size_t n, std::size_t dim,
                  float* out, std::size_t out_stride) noexcept {
  for (std::size_t r = 0; r < n; ++r, rows += stride, out += out_stride) {
    const ScalarRow head = head_of(rows);
    Codes::each(rows, dim, [&](std::size_t i, int code) {
      out[i] = head.lower + head.delta * static_cast<float>(code);
    });
  }
}

}  // namespace

const RowKernels i8 =
    row_kernels<ByteOp<std::int8_t, Rank::kL2>, ByteOp<std::int8_t, Rank::kIp>>(
        decode_bytes<std::int8_t>);
const RowKernels u8 =
    row_kernels<ByteOp<std::uint8_t, Rank::kL2>, ByteOp<std::uint8_t, Rank::kIp>>(
        decode_bytes<std::uint8_t>);
const RowKernels sq8 =
    row_kernels<ValueOp<Sq8, Rank::kL2>, ValueOp<Sq8, Rank::kIp>>(decode_codes<Sq8>);
const RowKernels sq4 =
    row_kernels<ValueOp<Sq4, Rank::kL2>, ValueOp<Sq4, Rank::kIp>>(decode_codes<Sq4>);
const RowKernels sq8_int =
    row_kernels<CodeOp<Sq8, Rank::kL2>, CodeOp<Sq8, Rank::kIp>>(decode_codes<Sq8>);
const RowKernels sq4_int =
    row_kernels<CodeOp<Sq4, Rank::kL2>, CodeOp<Sq4, Rank::kIp>>(decode_codes<Sq4>);

}  // namespace vicinal::kernels::scalar
