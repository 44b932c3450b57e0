#include "base/buffer.h"

#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#define VICINAL_MMAP 1
#include <sys/mman.h>
#endif
#if defined(_MSC_VER)
#include <malloc.h>
#endif

namespace vicinal {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kMost =
    static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) - 2 * kHuge;

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

#if VICINAL_MMAP
/// bytes: whole pages. The result is aligned to kHuge and reads as zero.
std::byte* map_pages(std::size_t bytes) {
  void* raw = mmap(nullptr, bytes + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto* start = static_cast<std::byte*>(raw);
  const std::size_t before = (kHuge - reinterpret_cast<std::uintptr_t>(raw) % kHuge) % kHuge;
  if (before != 0) munmap(start, before);
  munmap(start + before + bytes, kHuge - before);
#if defined(MADV_HUGEPAGE)
  madvise(start + before, bytes, MADV_HUGEPAGE);  // advice: refused on kernels without huge pages
#endif
  return start + before;
}
#endif

std::byte* take(std::size_t bytes, std::size_t alignment) {
#if defined(_MSC_VER)
  void* p = _aligned_malloc(bytes, alignment);
#else
  void* p = std::aligned_alloc(alignment, bytes);
#endif
  if (p == nullptr) throw std::bad_alloc();
  std::memset(p, 0, bytes);
  return static_cast<std::byte*>(p);
}

}  // namespace

Buffer Buffer::allocate(std::size_t bytes) {
  if (bytes > kMost) throw std::bad_alloc();
  Buffer out;
  out.size_ = bytes;
  const std::size_t wanted = bytes + kLine;
#if VICINAL_MMAP
  if (wanted >= kHuge) {
    constexpr std::size_t kLargestPage = std::size_t{64} << 10;  // of the machines there are
    out.allocated_ = round_up(wanted, kLargestPage);
    out.data_ = map_pages(out.allocated_);
    return out;
  }
#endif
  const std::size_t alignment = wanted >= kHuge ? kHuge : kLine;
  out.allocated_ = round_up(wanted, alignment);
  out.data_ = take(out.allocated_, alignment);
  return out;
}

Buffer Buffer::borrow(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner) {
  assert(owner != nullptr);
  Buffer out;
  out.data_ = data;
  out.size_ = bytes;
  out.owner_ = std::move(owner);
  return out;
}

std::byte* Buffer::mutable_data() noexcept {
  assert(!borrowed());
  return const_cast<std::byte*>(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      allocated_(std::exchange(other.allocated_, 0)),
      owner_(std::move(other.owner_)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    allocated_ = std::exchange(other.allocated_, 0);
    owner_ = std::move(other.owner_);
  }
  return *this;
}

Buffer::~Buffer() { release(); }

void Buffer::release() noexcept {
  if (allocated_ == 0) return;
  auto* p = const_cast<std::byte*>(data_);
#if VICINAL_MMAP
  if (size_ + kLine >= kHuge) {
    munmap(p, allocated_);
    return;
  }
#endif
#if defined(_MSC_VER)
  _aligned_free(p);
#else
  std::free(p);
#endif
}

}  // namespace vicinal
