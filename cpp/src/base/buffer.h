#pragma once

#include <cstddef>
#include <cstring>
#include <memory>

namespace vicinal {

/// Bytes that are either allocated here (64-byte aligned; 2 MiB aligned and advised to huge pages
/// from 2 MiB on; zeroed; 64 readable bytes follow the end) or borrowed from a mapped file kept
/// alive by an owner. Large buffers take real memory only as they are first written. Movable, not
/// copyable. Allocation failure throws std::bad_alloc.
class Buffer {
 public:
  Buffer() = default;
  static Buffer allocate(std::size_t bytes);
  static Buffer borrow(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner);

  const std::byte* data() const noexcept { return data_; }
  /// Only for allocated buffers.
  std::byte* mutable_data() noexcept;
  std::size_t size() const noexcept { return size_; }
  bool borrowed() const noexcept { return owner_ != nullptr; }

  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

 private:
  void release() noexcept;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t allocated_ = 0;  // bytes taken from the system, 0 if borrowed
  std::shared_ptr<const void> owner_;
};

}  // namespace vicinal
