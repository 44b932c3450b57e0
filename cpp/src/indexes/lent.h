#pragma once

#include <memory>
#include <utility>

namespace vicinal::indexes {

/// An object that its thread keeps from use to use, so that a search allocates nothing. While it is
/// lent, whoever comes in between on the same thread, as a search inside a progress function does,
/// gets another.
template <class T>
class Lent {
 public:
  Lent() : own_(std::move(kept())) {
    if (!own_) own_ = std::make_unique<T>();
  }
  ~Lent() { kept() = std::move(own_); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  T& operator*() const noexcept { return *own_; }

 private:
  static std::unique_ptr<T>& kept() noexcept {
    thread_local std::unique_ptr<T> kept;
    return kept;
  }

  std::unique_ptr<T> own_;
};

}  // namespace vicinal::indexes
