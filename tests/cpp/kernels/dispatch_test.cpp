#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/cpu.h"
#include "vicinal/cpu.h"
#include "vicinal/errors.h"

namespace vicinal {
namespace {

constexpr std::uint64_t kEverything = ~std::uint64_t{0};

std::string refusal(const char* wanted, std::uint64_t bits) {
  try {
    kernels::choose(wanted, bits);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Dispatch, ScalarRunsEverywhere) {
  EXPECT_STREQ(kernels::choose(nullptr, 0).name, "scalar");
  EXPECT_STREQ(kernels::choose("", 0).name, "scalar");
  EXPECT_STREQ(kernels::choose("scalar", kEverything).name, "scalar");
  EXPECT_STREQ(kernels::available().back()->name, "scalar");
}

TEST(Dispatch, AnUnknownLevelIsRefusedByName) {
  const std::string what = refusal("avx9000", 0);
  EXPECT_NE(what.find("avx9000"), std::string::npos) << what;
  EXPECT_NE(what.find("available here: scalar"), std::string::npos) << what;
}

TEST(Dispatch, EveryLevelOfThisCpuCanBeForced) {
  for (const kernels::Table* table : kernels::available()) {
    EXPECT_EQ(&kernels::choose(table->name, kernels::cpu_bits()), table);
  }
}

#if defined(__x86_64__) || defined(_M_X64)
TEST(Dispatch, ALackingBitIsNamed) {
  const std::string what =
      refusal("avx512vnni", kEverything & ~std::uint64_t{kernels::kAvx512vnni});
  EXPECT_NE(what.find("this CPU lacks avx512vnni;"), std::string::npos) << what;
  EXPECT_NE(what.find("available here: avx512, avx2, scalar"), std::string::npos) << what;
}

TEST(Dispatch, TheBestLevelNeedsEachOfItsBits) {
  const kernels::Table& best = kernels::choose(nullptr, kEverything);
  EXPECT_STREQ(best.name, "avx512vbmi");
  for (int shift = 0; shift < 64; ++shift) {
    const std::uint64_t bit = std::uint64_t{1} << shift;
    if ((best.needs & bit) == 0) continue;
    const kernels::Table& without = kernels::choose(nullptr, kEverything & ~bit);
    EXPECT_EQ(without.needs & bit, 0u) << kernels::cpu_bit_name(static_cast<kernels::CpuBit>(bit));
  }
}

TEST(Dispatch, EveryBitHasAName) {
  const kernels::Table& best = kernels::choose(nullptr, kEverything);
  for (int shift = 0; shift < 64; ++shift) {
    const std::uint64_t bit = std::uint64_t{1} << shift;
    if ((best.needs & bit) != 0) {
      EXPECT_STRNE(kernels::cpu_bit_name(static_cast<kernels::CpuBit>(bit)), "");
    }
  }
}
#endif

TEST(Dispatch, CpuInfoAgreesWithTheTables) {
  const CpuInfo info = cpu_info();
  EXPECT_EQ(info.active, kernels::active().name);
  ASSERT_EQ(info.available.size(), kernels::available().size());
  for (std::size_t i = 0; i < info.available.size(); ++i) {
    EXPECT_EQ(info.available[i], kernels::available()[i]->name);
  }
  const char* wish = std::getenv("VICINAL_ISA");
  EXPECT_EQ(info.forced, wish != nullptr && *wish != '\0');
  if (info.forced) EXPECT_EQ(info.active, wish);
}

#if !defined(_WIN32)
TEST(DispatchDeathTest, ABogusWishIsRefusedEachTimeAndThenForgiven) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process: nothing chosen yet
  EXPECT_EXIT(
      {
        int refused = 0;
        setenv("VICINAL_ISA", "bogus", 1);
        for (int i = 0; i < 2; ++i) {
          try {
            cpu_info();
          } catch (const ConfigError&) {
            ++refused;
          }
        }
        setenv("VICINAL_ISA", "scalar", 1);
        const CpuInfo info = cpu_info();
        std::_Exit(refused == 2 && info.active == "scalar" && info.forced ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace vicinal
