#include "base/buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace vicinal {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;

TEST(Buffer, IsAlignedZeroAndReadableBeyondItsEnd) {
  for (std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{5000},
        kHuge - 65, kHuge - 64, kHuge - 1, kHuge, kHuge + 12345, 3 * kHuge}) {
    Buffer buffer = Buffer::allocate(bytes);
    ASSERT_NE(buffer.data(), nullptr);
    EXPECT_EQ(buffer.size(), bytes);
    EXPECT_FALSE(buffer.borrowed());
    const std::size_t alignment = bytes >= kHuge ? kHuge : 64;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % alignment, 0u) << bytes;
    for (std::size_t i = 0; i < bytes + 64; ++i)
      ASSERT_EQ(buffer.data()[i], std::byte{0}) << bytes << " at " << i;
    if (bytes != 0) buffer.mutable_data()[bytes - 1] = std::byte{7};
  }
}

TEST(Buffer, RefusesSizesThatOverflow) {
  EXPECT_THROW(Buffer::allocate(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_THROW(Buffer::allocate(std::numeric_limits<std::size_t>::max() / 2), std::bad_alloc);
}

TEST(Buffer, MovesLeaveNothingBehind) {
  for (std::size_t bytes : {std::size_t{100}, kHuge + 1}) {
    Buffer a = Buffer::allocate(bytes);
    a.mutable_data()[0] = std::byte{42};
    const std::byte* where = a.data();
    Buffer b = std::move(a);
    EXPECT_EQ(a.data(), nullptr);  // NOLINT: looking at what was moved from is the test
    EXPECT_EQ(a.size(), 0u);
    Buffer c = Buffer::allocate(8);
    c = std::move(b);
    EXPECT_EQ(c.data(), where);
    EXPECT_EQ(c.data()[0], std::byte{42});
    EXPECT_EQ(c.size(), bytes);
  }
}

TEST(Buffer, BorrowedKeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<std::byte>>(10, std::byte{3});
  std::weak_ptr<std::vector<std::byte>> alive = owner;
  {
    Buffer b = Buffer::borrow(owner->data(), owner->size(), owner);
    owner.reset();
    EXPECT_TRUE(b.borrowed());
    ASSERT_FALSE(alive.expired());
    EXPECT_EQ(b.data()[9], std::byte{3});
    Buffer moved = std::move(b);
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace vicinal
