#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vicinal {

/// One bit per row.
class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(std::size_t bits) : words_((bits + 63) / 64), bits_(bits) {}

  bool test(std::size_t i) const noexcept { return (words_[i / 64] >> (i % 64)) & 1u; }
  void set(std::size_t i) noexcept { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
  void clear(std::size_t i) noexcept { words_[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }
  std::size_t size() const noexcept { return bits_; }
  std::size_t count() const noexcept;  ///< bits set
  const std::vector<std::uint64_t>& words() const noexcept { return words_; }
  void resize(std::size_t bits);       ///< new bits are clear

 private:
  std::vector<std::uint64_t> words_;
  std::size_t bits_ = 0;
};

}  // namespace vicinal
