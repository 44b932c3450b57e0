#include "loops.h"

#if defined(__GNUC__)
#define VICINAL_PREFETCH(address) __builtin_prefetch(address)
#else
#define VICINAL_PREFETCH(address) static_cast<void>(address)
#endif

namespace vicinal::bench {
namespace {

std::uint64_t stream(const std::byte* data, std::size_t bytes, std::size_t ahead) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(data);
  std::uint64_t sum[8] = {};
  for (std::size_t i = 0; i < bytes / sizeof(std::uint64_t); i += 8) {
    if (ahead != 0) VICINAL_PREFETCH(words + i + ahead / sizeof(std::uint64_t));
    for (std::size_t lane = 0; lane < 8; ++lane) sum[lane] += words[i + lane];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t one : sum) all += one;
  return all;
}

}  // namespace

const Loops kPortableLoops = {"portable", 0, 16, nullptr, nullptr, stream};

double add_chain(std::uint64_t rounds, std::uint64_t* sink) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
  std::uint64_t x = *sink;
  const std::uint64_t step = x | 1;  // a register: additions of constants may be folded at decode
  for (std::uint64_t r = 0; r < rounds; ++r) {
#if defined(__x86_64__)
    __asm__ volatile(".rept 256\n\taddq %1, %0\n\t.endr" : "+r"(x) : "r"(step));
#else
    __asm__ volatile(".rept 256\n\tadd %0, %0, %1\n\t.endr" : "+r"(x) : "r"(step));
#endif
  }
  *sink = x;
  return static_cast<double>(rounds) * 256;
#else
  static_cast<void>(rounds);
  static_cast<void>(sink);
  return 0;
#endif
}

}  // namespace vicinal::bench
