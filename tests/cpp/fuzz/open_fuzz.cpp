// Opens and uses indexes from files that are well formed and say anything at all.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "exercise.h"
#include "parts.h"
#include "scratch_file.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string bytes = vicinal::test::file_of(vicinal::test::unpack(input));
  const vicinal::test::ScratchFile file(bytes.data(), bytes.size());
  vicinal::test::exercise(file.path());
  return 0;
}

// Most changes of length make a section that does not fit the header, and nothing more is learnt.
// So half of the time a number is overwritten where it stands.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  if (seed % 2 == 0 || size < 16) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  static constexpr std::uint64_t kNumbers[] = {
      0, 1, 2, 31, 32, 39, 40, 41, 255, 0x7F, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
      0x7F800000 /* inf */, 0xFF800000, 0x7FC00000 /* nan */, 0x7F7FFFFF, 0x00000001,
      0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x0000000100000000};
  const std::uint64_t draw = seed * 0x9E3779B97F4A7C15u;
  const std::uint64_t number = kNumbers[(draw >> 8) % (sizeof kNumbers / sizeof kNumbers[0])];
  const std::size_t width = std::size_t{1} << ((draw >> 40) % 4);
  const std::size_t at = (draw >> 16) % (size - 8);
  std::memcpy(data + at, &number, width);
  return size;
}
