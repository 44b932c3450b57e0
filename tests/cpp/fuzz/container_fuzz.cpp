// Opens any bytes as a file. Checksums are switched off, or almost every change would end there.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "exercise.h"
#include "scratch_file.h"
#include "storage/checksum.h"
#include "storage/container.h"

namespace {

std::uint32_t no_checksum(std::uint32_t, const void*, std::size_t) noexcept { return 0; }

void use(const std::string& path, vicinal::OpenMode mode) {
  using namespace vicinal;
  storage::File file = storage::File::open(path, mode);
  volatile unsigned sum = 0;
  for (const SectionInfo& section : file.info().sections) {
    file.verify(section.name);
    const Buffer bytes = file.section(section.name, section.bytes);
    for (std::size_t i = 0; i < bytes.size() + 64; ++i) {
      sum = sum + std::to_integer<unsigned>(bytes.data()[i]);
    }
  }
}

void open_and_read(const std::string& bytes) {
  using namespace vicinal;
  const test::ScratchFile file(bytes.data(), bytes.size());
  test::allow_refusal([&] { use(file.path(), OpenMode::kMap); });
  test::allow_refusal([&] { use(file.path(), OpenMode::kLoad); });
  test::allow_refusal([&] { storage::verify_all(file.path(), {}); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vicinal::storage::set_checksum(no_checksum);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  open_and_read(bytes);
  if (size >= 64) {  // and once more with lengths and checksums that fit what is there
    const std::uint64_t file_bytes = size;
    std::uint64_t header_bytes = bytes.find('\0', 64);
    header_bytes = (header_bytes == std::string::npos ? size : header_bytes) - 64;
    std::memcpy(&bytes[16], &header_bytes, 8);
    std::memcpy(&bytes[24], &file_bytes, 8);
    std::memset(&bytes[12], 0, 4);
    std::memset(&bytes[60], 0, 4);
    open_and_read(bytes);
  }
  return 0;
}
