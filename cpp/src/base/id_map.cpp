#include "base/id_map.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <random>
#include <utility>

namespace vicinal {
namespace {

constexpr std::size_t kFewestSlots = 16;

// At most three quarters full: a search for an absent id then looks at about eight slots.
constexpr std::size_t slots_for(std::size_t ids) {
  std::size_t slots = kFewestSlots;
  while (slots / 4 * 3 < ids) slots *= 2;
  return slots;
}

// Odd numbers that nobody outside this process knows. Ids may come from a file, made so that by a
// function known to all they would meet in one place, and each would look through all others
// (Dietzfelbinger et al., J. Algorithms 25(1), 1997). No answer depends on where an id is kept.
struct Keys {
  std::uint64_t first, second;
};

std::uint64_t drawn() noexcept {
  try {
    std::random_device device;
    return (std::uint64_t{device()} << 32 | device()) | 1u;
  } catch (...) {  // a system without a source of randomness
    return 0x9E3779B97F4A7C15u;
  }
}

const Keys keys = {drawn(), drawn()};

}  // namespace

std::size_t IdMap::home(std::int64_t id) const noexcept {
  // Ids often step by powers of two: multiplications and a shift between them spread these.
  auto z = static_cast<std::uint64_t>(id) * keys.first;
  z = (z ^ (z >> 32)) * keys.second;
  return static_cast<std::size_t>(z >> shift_);
}

std::uint32_t IdMap::find(std::int64_t id) const noexcept {
  if (slots_.empty() || id == kNoId) return kNoRow;
  for (std::size_t at = home(id);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].id == id) return slots_[at].row;
    if (slots_[at].id == kNoId) return kNoRow;
  }
}

bool IdMap::insert(std::int64_t id, std::uint32_t row) {
  assert(id != kNoId);
  if (slots_.size() / 4 * 3 < size_ + 1) grow(slots_for(size_ + 1));
  std::size_t at = home(id);
  for (; slots_[at].id != kNoId; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].id == id) return false;
  }
  slots_[at] = {id, row};
  ++size_;
  return true;
}

void IdMap::assign(std::int64_t id, std::uint32_t row) {
  if (!insert(id, row)) replace(id, row);
}

bool IdMap::replace(std::int64_t id, std::uint32_t row) {
  if (slots_.empty() || id == kNoId) return false;
  std::size_t at = home(id);
  for (; slots_[at].id != id; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].id == kNoId) return false;
  }
  slots_[at].row = row;
  return true;
}

void IdMap::reserve(std::size_t ids) {
  const std::size_t slots = slots_for(ids);
  if (slots > slots_.size()) grow(slots);
}

void IdMap::clear() {
  slots_.clear();
  slots_.shrink_to_fit();
  size_ = 0;
}

std::size_t IdMap::bytes() const noexcept { return slots_.capacity() * sizeof(Slot); }

void IdMap::grow(std::size_t slots) {
  const std::vector<Slot> old =
      std::exchange(slots_, std::vector<Slot>(slots, Slot{kNoId, kNoRow}));
  for (shift_ = 64; slots > 1; slots /= 2) --shift_;
  for (const Slot& s : old) {
    if (s.id == kNoId) continue;
    std::size_t at = home(s.id);
    while (slots_[at].id != kNoId) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = s;
  }
}

}  // namespace vicinal
