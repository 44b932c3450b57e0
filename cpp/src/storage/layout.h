#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "storage/json.h"
#include "vicinal/file.h"

namespace vicinal::storage {

// docs/file-format.md tells the same to a stranger.
//
//   0     magic, 8 bytes                 preamble: 64 bytes, the same in every version
//   8     u32 format version
//   12    u32 crc32c of the JSON header
//   16    u64 bytes of the JSON header
//   24    u64 bytes of the file
//   32    28 zero bytes
//   60    u32 crc32c of bytes 0 to 59
//   64    JSON header
//   then  sections in order, each at a multiple of 4096 and with at least 64 bytes behind it;
//         every byte that is in no section is zero

constexpr std::array<unsigned char, 8> kMagic = {'V', 'I', 'C', 'I', 'N', 'A', 'L', 0};
constexpr std::uint32_t kVersion = 3;  ///< the newest that is written and read
constexpr std::uint32_t kOldestVersion = 1;  ///< what is written if it says all there is
constexpr std::size_t kPreambleBytes = 64;
constexpr std::uint64_t kAlignment = 4096;
constexpr std::uint64_t kMargin = 64;  ///< readable behind a section: kernels load whole vectors
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{16} << 20;

// Sections are the bytes of arrays as they lie in memory, never swapped.
#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "vicinal files are little-endian and mapped as they are: big-endian machines are not "
              "supported");
#endif

struct Preamble {
  std::uint32_t version;
  std::uint32_t header_crc;
  std::uint64_t header_bytes;
  std::uint64_t file_bytes;
};

using PreambleBytes = std::array<unsigned char, kPreambleBytes>;

PreambleBytes encode_preamble(const Preamble& preamble);

/// Checks everything about the preamble of a file of file_bytes. Throws FormatError.
Preamble decode_preamble(const std::string& path, const PreambleBytes& bytes,
                         std::uint64_t file_bytes);

/// Checks the header and the section table; the preamble has been checked. Throws FormatError.
std::pair<FileInfo, Json> decode_header(const std::string& path, const Preamble& preamble,
                                        std::string text);

/// A number as messages write it: 0x1234abcd.
std::string hex(std::uint64_t value);

}  // namespace vicinal::storage
