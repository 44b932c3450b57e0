#include "indexes/pool.h"

#include <gtest/gtest.h>

#include <iterator>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"

namespace vicinal::indexes {
namespace {

using Entry = std::pair<float, std::uint32_t>;

std::vector<Entry> held(const Pool& pool) {
  std::vector<Entry> out;
  for (std::size_t i = 0; i < pool.size(); ++i) out.emplace_back(pool.distance(i), pool.row(i));
  return out;
}

/// The same, slowly: everything that came, in order, as much of it as there is room for.
class Slow {
 public:
  explicit Slow(std::size_t capacity) : capacity_(capacity) {}

  void insert(float distance, std::uint32_t row) {
    entries_.insert({distance, row});
    if (entries_.size() > capacity_) entries_.erase(std::prev(entries_.end()));
  }
  std::vector<Entry> held() const { return {entries_.begin(), entries_.end()}; }
  float bound() const {
    return entries_.size() < capacity_ ? std::numeric_limits<float>::infinity()
                                       : entries_.rbegin()->first;
  }
  /// The nearest that was not yet expanded, now expanded.
  const Entry* expand() {
    for (const Entry& entry : entries_) {
      if (expanded_.insert(entry.second).second) return &entry;
    }
    return nullptr;
  }

 private:
  std::size_t capacity_;
  std::set<Entry> entries_;
  std::set<std::uint32_t> expanded_;
};

TEST(Pool, KeepsTheNearestInOrderWhateverComes) {
  Pool pool;  // used again and again, as searches do
  for (const std::size_t capacity : {1u, 2u, 3u, 10u, 64u, 100u, 300u}) {
    for (const unsigned kinds : {3u, 50u, 1000000u}) {  // many ties, some, next to none
      pool.reset(capacity);
      Slow slow(capacity);
      EXPECT_EQ(pool.bound(), std::numeric_limits<float>::infinity());
      for (std::uint32_t i = 0; i < 600; ++i) {
        const std::uint32_t row = (i * 7919u) % 600u + (i % 2 == 0 ? 0u : 0x7ffff000u);
        const auto step = static_cast<float>(random_below(kinds, 7, capacity, i));
        const float distance = (step - static_cast<float>(kinds / 2)) * 0.37f;
        pool.more();  // as walks do before they insert
        if (distance < pool.bound()) {
          const bool first = pool.insert(distance, row);
          slow.insert(distance, row);
          ASSERT_TRUE(pool.more());
          ASSERT_EQ(first, pool.peek() == row);
        }
        ASSERT_EQ(pool.bound(), slow.bound());
        ASSERT_EQ(held(pool), slow.held());
        if (i % 3 == 0 && pool.more()) {
          const Entry* const nearest = slow.expand();
          ASSERT_NE(nearest, nullptr);
          ASSERT_EQ(pool.next(), nearest->first);
          ASSERT_EQ(pool.expand(), nearest->second);
        }
      }
      while (pool.more()) {
        const Entry* const nearest = slow.expand();
        ASSERT_NE(nearest, nullptr);
        ASSERT_EQ(pool.expand(), nearest->second);
      }
      EXPECT_EQ(slow.expand(), nullptr);
    }
  }
}

TEST(Pool, OrdersDistancesOfEverySign) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> ascending = {-kInfinity, -3e38f, -1.5f, -kTiny, 0.0f,
                                        kTiny,      1.0f,   1.5f,  3e38f};
  Pool pool;
  pool.reset(ascending.size());
  for (std::uint32_t i = static_cast<std::uint32_t>(ascending.size()); i-- > 0;) {
    pool.insert(ascending[i], i);
  }
  for (std::uint32_t i = 0; i < ascending.size(); ++i) {
    EXPECT_EQ(pool.row(i), i);
    EXPECT_EQ(pool.distance(i), ascending[i]);
  }
  EXPECT_EQ(pool.bound(), 3e38f);
}

TEST(Pool, TakesZerosOfBothSignsForEqual) {
  Pool pool;
  pool.reset(4);
  pool.insert(0.0f, 1);
  pool.insert(-0.0f, 2);
  pool.insert(-0.0f, 0);
  EXPECT_EQ(held(pool), (std::vector<Entry>{{0.0f, 0}, {0.0f, 1}, {0.0f, 2}}));
}

}  // namespace
}  // namespace vicinal::indexes
