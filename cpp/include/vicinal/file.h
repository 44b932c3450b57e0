#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vicinal/control.h"

namespace vicinal {

enum class OpenMode : std::uint8_t {
  kMap,   ///< map the file: header and structure are checked, rows are read when touched
  kLoad,  ///< read it all into memory and check every checksum
};

struct SectionInfo {
  std::string name;
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint32_t crc32c;
};

/// What a file says of itself. Reading it touches the header only.
struct FileInfo {
  std::uint32_t version;
  std::string kind;      ///< "flat", "hnsw"
  std::string header;    ///< the JSON header, whole
  std::string metadata;  ///< as given to save()
  std::uint64_t file_bytes;
  std::vector<SectionInfo> sections;
};

/// Throws FormatError, IoError.
FileInfo file_info(const std::string& path);
/// Reads everything and checks each checksum; throws FormatError at the first that is wrong.
/// Progress counts bytes.
void verify_file(const std::string& path, const RunOptions& run = {});

}  // namespace vicinal
