#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <type_traits>
#include <utility>

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace vicinal::test {

/// Zeroed memory that ends against an unreadable page: one byte read too many is a crash, which the
/// address sanitizer alone does not notice behind a masked load. The end is aligned to the page, so
/// data() is aligned as far as its size is.
template <class T>
class Guarded {
  static_assert(std::is_trivially_copyable<T>::value);

 public:
  explicit Guarded(std::size_t count) : count_(count) {
    const std::size_t page = page_bytes();
    const std::size_t whole = (count * sizeof(T) + page - 1) / page * page;
    mapped_bytes_ = whole + page;
#if defined(_WIN32)
    base_ = VirtualAlloc(nullptr, mapped_bytes_, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (base_ == nullptr) throw std::bad_alloc();
    DWORD before;
    VirtualProtect(static_cast<char*>(base_) + whole, page, PAGE_NOACCESS, &before);
#else
    base_ =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    if (mprotect(static_cast<char*>(base_) + whole, page, PROT_NONE) != 0) throw std::bad_alloc();
#endif
    data_ = reinterpret_cast<T*>(static_cast<char*>(base_) + whole - count * sizeof(T));
  }
  Guarded(Guarded&& other) noexcept
      : base_(other.base_), mapped_bytes_(other.mapped_bytes_), data_(other.data_),
        count_(other.count_) {
    other.base_ = nullptr;
  }
  Guarded& operator=(Guarded&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Guarded() {
    if (base_ == nullptr) return;
#if defined(_WIN32)
    VirtualFree(base_, 0, MEM_RELEASE);
#else
    munmap(base_, mapped_bytes_);
#endif
  }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return count_; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + count_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }

 private:
  static std::size_t page_bytes() {
#if defined(_WIN32)
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
#else
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
#endif
  }

  void* base_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

/// Guarded floats, uniform in [low, high).
inline Guarded<float> guarded_uniform(std::size_t count, std::uint64_t seed, float low = -1.0f,
                                      float high = 1.0f) {
  Guarded<float> values(count);
  std::mt19937_64 random(seed);
  for (float& x : values) {
    x = low + (high - low) * static_cast<float>(random() >> 40) * 0x1p-24f;
  }
  return values;
}

/// Guarded bytes, all values equally likely.
inline Guarded<std::byte> guarded_bytes(std::size_t count, std::uint64_t seed) {
  Guarded<std::byte> values(count);
  std::mt19937_64 random(seed);
  for (std::byte& b : values) b = static_cast<std::byte>(random() >> 56);
  return values;
}

}  // namespace vicinal::test
