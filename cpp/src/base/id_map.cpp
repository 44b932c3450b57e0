#include "base/id_map.h"

#include <algorithm>
#include <cassert>
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

}  // namespace

std::size_t IdMap::home(std::int64_t id) const noexcept {
  // Ids often step by powers of two: both multiplications and shifts are needed to spread them.
  auto z = static_cast<std::uint64_t>(id);
  z = (z ^ (z >> 32)) * 0x9E3779B97F4A7C15ull;
  return static_cast<std::size_t>(z ^ (z >> 29)) & (slots_.size() - 1);
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
  if (insert(id, row)) return;
  std::size_t at = home(id);
  while (slots_[at].id != id) at = (at + 1) & (slots_.size() - 1);
  slots_[at].row = row;
}

bool IdMap::erase(std::int64_t id) {
  if (slots_.empty() || id == kNoId) return false;
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = home(id);
  while (slots_[hole].id != id) {
    if (slots_[hole].id == kNoId) return false;
    hole = (hole + 1) & mask;
  }
  // Pulls later members of the run back over the hole, so that no tombstones gather.
  for (std::size_t at = (hole + 1) & mask; slots_[at].id != kNoId; at = (at + 1) & mask) {
    if (((at - home(slots_[at].id)) & mask) >= ((at - hole) & mask)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole].id = kNoId;
  --size_;
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
  for (const Slot& s : old) {
    if (s.id == kNoId) continue;
    std::size_t at = home(s.id);
    while (slots_[at].id != kNoId) at = (at + 1) & (slots - 1);
    slots_[at] = s;
  }
}

}  // namespace vicinal
