#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "kernels/table.h"
#include "support/isa_name.h"

namespace vicinal {
namespace {

class ProductsOfBytes : public testing::TestWithParam<const kernels::Table*> {};

TEST_P(ProductsOfBytes, EqualPlainSumsForEveryShape) {
  std::mt19937 random(1);
  for (const std::size_t bytes : {64, 128, 832}) {
    const std::size_t stride = bytes + 64;
    std::vector<std::int8_t> queries(7 * stride);
    std::vector<std::uint8_t> rows(10 * stride);
    // The extremes often: pairs of them overflow what narrower sums can hold.
    for (auto& v : queries) v = random() % 4 == 0 ? -128 : static_cast<std::int8_t>(random() % 256);
    for (auto& v : rows) v = random() % 4 == 0 ? 255 : static_cast<std::uint8_t>(random() % 256);
    for (std::size_t nq = 0; nq <= 7; ++nq) {
      for (std::size_t nr = 0; nr <= 10; ++nr) {
        constexpr std::int32_t kUntouched = 123456789;
        std::vector<std::int32_t> got(8 * 11, kUntouched);
        GetParam()->byte_products(queries.data(), stride, nq, rows.data(), stride, nr, bytes,
                                  got.data(), 11);
        for (std::size_t q = 0; q < 8; ++q) {
          for (std::size_t r = 0; r < 11; ++r) {
            std::int32_t want = q < nq && r < nr ? 0 : kUntouched;
            for (std::size_t i = 0; q < nq && r < nr && i < bytes; ++i) {
              want += int{queries[q * stride + i]} * int{rows[r * stride + i]};
            }
            ASSERT_EQ(got[q * 11 + r], want) << bytes << " bytes, query " << q << ", row " << r;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, ProductsOfBytes, testing::ValuesIn(kernels::available()),
                         test::isa_name);

}  // namespace
}  // namespace vicinal
