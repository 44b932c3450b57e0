#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels/table.h"

namespace vicinal::bench {

/// Bytes in 2 MiB pages where the system has them, filled with small floats.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_((bytes + kHuge - 1) / kHuge * kHuge) {
    data_ = static_cast<std::byte*>(::operator new(bytes_, std::align_val_t{kHuge}));
#if defined(__linux__)
    madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
    std::uint32_t state = 1;
    for (std::size_t i = 0; i + 4 <= bytes_; i += 4) {
      state = state * 1664525u + 1013904223u;
      const float x = static_cast<float>(state >> 8) * 0x1p-24f;
      std::memcpy(data_ + i, &x, 4);
    }
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::operator delete(data_, std::align_val_t{kHuge}); }

  const std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;
  std::size_t bytes_;
  std::byte* data_;
};

/// Out of every cache: shared by all benchmarks, made when the first one needs it.
inline const Memory& large_memory() {
  static const Memory memory(std::size_t{512} << 20);
  return memory;
}

struct RowKind {
  kernels::RowType type;
  const char* name;
};

constexpr RowKind kRowKinds[] = {
    {kernels::RowType::kF32, "f32"},        {kernels::RowType::kF16, "f16"},
    {kernels::RowType::kBf16, "bf16"},      {kernels::RowType::kI8, "i8"},
    {kernels::RowType::kU8, "u8"},          {kernels::RowType::kSq8, "sq8"},
    {kernels::RowType::kSq4, "sq4"},        {kernels::RowType::kSq8Int, "sq8_int"},
    {kernels::RowType::kSq4Int, "sq4_int"},
};

inline std::size_t row_stride(kernels::RowType type, std::size_t dim) {
  using kernels::RowType;
  std::size_t bytes = 0;
  switch (type) {
    case RowType::kF32: bytes = 4 * dim; break;
    case RowType::kF16:
    case RowType::kBf16: bytes = 2 * dim; break;
    case RowType::kI8:
    case RowType::kU8: bytes = dim; break;
    case RowType::kSq8:
    case RowType::kSq8Int: bytes = 16 + dim; break;
    case RowType::kSq4:
    case RowType::kSq4Int: bytes = 16 + kernels::sq4_code_bytes(dim); break;
  }
  return (bytes + 15) / 16 * 16;
}

/// A query of any kind.
class Query {
 public:
  Query(kernels::RowType type, std::size_t dim)
      : type_(type), floats_(dim + 320, 0.0f), codes_(dim + 320, 0) {
    for (std::size_t i = 0; i < dim; ++i) {
      floats_[i] = static_cast<float>(i % 7);
      codes_[i] = static_cast<std::int8_t>(i % 7);
    }
    scalar_ = {floats_.data(), codes_.data(), 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  const void* get() const {
    using kernels::RowType;
    if (type_ >= RowType::kSq8) return &scalar_;
    if (type_ == RowType::kI8 || type_ == RowType::kU8) return codes_.data();
    return floats_.data();
  }

 private:
  kernels::RowType type_;
  std::vector<float> floats_;
  std::vector<std::int8_t> codes_;
  kernels::ScalarQuery scalar_{};
};

}  // namespace vicinal::bench
