#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "storage/json.h"
#include "vicinal/control.h"
#include "vicinal/file.h"

namespace vicinal::storage {

/// A part of a file to be written: bytes that live somewhere, possibly in several pieces.
struct SectionSource {
  std::string name;
  std::vector<std::pair<const void*, std::uint64_t>> pieces;
};

/// Writes path atomically: a temporary name beside it, fsync, rename, fsync of the folder. On any
/// failure (disk full, cancel) the temporary file is removed and the old file is as it was.
/// kind: "flat", "hnsw"; config: an object, what the index needs to open itself again. Section
/// names are distinct. Throws IoError; ArgumentError if the metadata is not UTF-8 or too long, or
/// path names a pipe or a device. Progress counts bytes. version: the oldest whose readers know
/// everything they must of what is in it.
void write_file(const std::string& path, const std::string& kind, const Json& config,
                const std::string& metadata, const std::vector<SectionSource>& sections,
                const RunOptions& run, std::uint32_t version = 1);

/// An open file whose preamble, header and section table have been checked: sizes, alignment, no
/// overlap, nothing beyond the end, header checksum. kLoad has also read everything into memory
/// and checked every section's checksum; kMap has not touched the sections.
class File {
 public:
  static File open(const std::string& path, OpenMode mode, const std::string& expected_kind = {});

  const FileInfo& info() const noexcept { return info_; }
  const Json& config() const noexcept { return config_; }
  bool has(const std::string& name) const;
  /// The bytes of a section. Throws FormatError if it is absent or not `expected_bytes` long. A
  /// mapped section borrows from the mapping and keeps it alive; a loaded one is handed over, once.
  /// Either way it starts at a multiple of 64 and 64 readable bytes follow its end.
  Buffer section(const std::string& name, std::uint64_t expected_bytes);
  std::uint64_t section_bytes(const std::string& name) const;
  /// Checks that one section's checksum, reading it all unless open() has. For small sections whose
  /// content steers.
  void verify(const std::string& name) const;
  /// A FormatError with this path, at the start of the named section (or of the header if empty).
  [[noreturn]] void fail(const std::string& section, const std::string& what) const;

 private:
  std::size_t index(const std::string& name) const;  ///< FormatError if absent

  FileInfo info_;
  Json config_;
  std::string path_;
  OpenMode mode_ = OpenMode::kMap;
  std::shared_ptr<const void> mapping_;
  const std::byte* data_ = nullptr;
  std::vector<Buffer> loaded_;
};

/// What the header says; the sections are not touched. Throws FormatError, IoError.
FileInfo read_info(const std::string& path);
/// Reads everything; every byte is covered by a checksum or has to be zero. Throws FormatError at
/// the first that is wrong, IoError, CancelledError. Progress counts bytes.
void verify_all(const std::string& path, const RunOptions& run);

}  // namespace vicinal::storage
