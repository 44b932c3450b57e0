#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>

#include "base/parallel.h"
#include "storage/checksum.h"
#include "storage/container.h"
#include "storage/layout.h"
#include "storage/os.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;  // read, then checked while in the cache

std::pair<FileInfo, Json> read_header(const std::string& path, const InputFile& file) {
  if (file.bytes() == 0) {
    throw FormatError(path, 0, "the file is empty");
  }
  PreambleBytes bytes{};
  file.read(0, bytes.data(),
            static_cast<std::size_t>(std::min<std::uint64_t>(file.bytes(), bytes.size())));
  if (file.bytes() < bytes.size()) {
    const bool ours = std::equal(kMagic.begin(), kMagic.end(), bytes.begin());
    throw FormatError(path, file.bytes(),
                      std::string(ours ? "the file is cut short" : "this is not a vicinal file") +
                          ": got " + std::to_string(file.bytes()) + " bytes, wanted at least " +
                          std::to_string(bytes.size()));
  }
  const Preamble preamble = decode_preamble(path, bytes, file.bytes());
  std::string text(static_cast<std::size_t>(preamble.header_bytes), '\0');
  file.read(kPreambleBytes, text.data(), text.size());
  return decode_header(path, preamble, std::move(text));
}

[[noreturn]] void wrong_checksum(const std::string& path, const SectionInfo& section,
                                 std::uint32_t got) {
  throw FormatError(path, section.offset, "section " + in_quotes(section.name) +
                                              " is damaged: got checksum " + hex(got) +
                                              ", wanted " + hex(section.crc32c));
}

/// Reads a file from front to back, once, checking all that is behind the header.
class Scan {
 public:
  Scan(const std::string& path, const InputFile& file, const FileInfo& info, const char* stage,
       const RunOptions& run)
      : path_(path), file_(file), info_(info), ticker_(run, stage, info.file_bytes),
        chunk_(kChunk), at_(kPreambleBytes + info.header.size()) {}

  /// Sections must come in order. `into` has room for the section, or is null.
  void section(const SectionInfo& section, std::byte* into) {
    zeros(section.offset);
    std::uint32_t crc = 0;
    for (std::uint64_t done = 0; done < section.bytes;) {
      const std::size_t n = next(section.bytes - done);
      std::byte* to = into == nullptr ? chunk_.data() : into + done;
      read(to, n);
      crc = crc32c(crc, to, n);
      done += n;
    }
    if (crc != section.crc32c) {
      wrong_checksum(path_, section, crc);
    }
  }

  void finish() {
    zeros(info_.file_bytes);
    ticker_.at(info_.file_bytes);
  }

 private:
  static std::size_t next(std::uint64_t left) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(left, kChunk));
  }

  void read(std::byte* to, std::size_t n) {
    file_.read(at_, to, n);
    at_ += n;
    ticker_.at(at_);
  }

  void zeros(std::uint64_t end) {
    while (at_ < end) {
      const std::size_t n = next(end - at_);
      read(chunk_.data(), n);
      const auto* wrong = std::find_if(chunk_.data(), chunk_.data() + n,
                                       [](std::byte b) { return b != std::byte{0}; });
      if (wrong != chunk_.data() + n) {
        const std::uint64_t where = at_ - n + static_cast<std::uint64_t>(wrong - chunk_.data());
        throw FormatError(path_, where, "a byte between the sections is damaged: got " +
                                            hex(std::to_integer<std::uint64_t>(*wrong)) +
                                            ", wanted 0x00000000");
      }
    }
  }

  const std::string& path_;
  const InputFile& file_;
  const FileInfo& info_;
  Ticker ticker_;
  std::vector<std::byte> chunk_;
  std::uint64_t at_;
};

}  // namespace

File File::open(const std::string& path, OpenMode mode, const std::string& expected_kind) {
  const InputFile input(path);
  File file;
  std::tie(file.info_, file.config_) = read_header(path, input);
  file.path_ = path;
  file.mode_ = mode;
  if (!expected_kind.empty() && file.info_.kind != expected_kind) {
    file.fail({}, "the file holds another kind of index: got " + in_quotes(file.info_.kind) +
                      ", wanted " + in_quotes(expected_kind));
  }
  if (mode == OpenMode::kMap) {
    file.mapping_ = input.map();
    file.data_ = static_cast<const std::byte*>(file.mapping_.get());
    return file;
  }
  const RunOptions run;
  Scan scan(path, input, file.info_, "loading", run);
  for (const SectionInfo& section : file.info_.sections) {
    if (section.bytes > std::numeric_limits<std::size_t>::max()) {
      throw std::bad_alloc();
    }
    file.loaded_.push_back(Buffer::allocate(static_cast<std::size_t>(section.bytes)));
    scan.section(section, file.loaded_.back().mutable_data());
  }
  scan.finish();
  return file;
}

bool File::has(const std::string& name) const {
  return std::any_of(info_.sections.begin(), info_.sections.end(),
                     [&](const SectionInfo& section) { return section.name == name; });
}

std::size_t File::index(const std::string& name) const {
  for (std::size_t i = 0; i < info_.sections.size(); ++i) {
    if (info_.sections[i].name == name) {
      return i;
    }
  }
  fail({}, "section " + in_quotes(name) + " is absent");
}

std::uint64_t File::section_bytes(const std::string& name) const {
  return info_.sections[index(name)].bytes;
}

Buffer File::section(const std::string& name, std::uint64_t expected_bytes) {
  const std::size_t i = index(name);
  const SectionInfo& section = info_.sections[i];
  if (section.bytes != expected_bytes) {
    fail(name, "section " + in_quotes(name) + " has the wrong length: got " +
                   std::to_string(section.bytes) + " bytes, wanted " +
                   std::to_string(expected_bytes));
  }
  if (mode_ == OpenMode::kMap) {
    return Buffer::borrow(data_ + section.offset, static_cast<std::size_t>(section.bytes),
                          mapping_);
  }
  if (loaded_[i].size() != section.bytes) {
    throw std::logic_error("section " + in_quotes(name) + " was handed over before");
  }
  return std::move(loaded_[i]);
}

void File::verify(const std::string& name) const {
  const SectionInfo& section = info_.sections[index(name)];
  if (mode_ == OpenMode::kLoad) {
    return;  // open() has
  }
  const std::uint32_t crc =
      crc32c(0, data_ + section.offset, static_cast<std::size_t>(section.bytes));
  if (crc != section.crc32c) {
    wrong_checksum(path_, section, crc);
  }
}

void File::fail(const std::string& section, const std::string& what) const {
  std::uint64_t offset = kPreambleBytes;
  for (const SectionInfo& candidate : info_.sections) {
    if (!section.empty() && candidate.name == section) {
      offset = candidate.offset;
    }
  }
  throw FormatError(path_, offset, what);
}

FileInfo read_info(const std::string& path) { return read_header(path, InputFile(path)).first; }

void verify_all(const std::string& path, const RunOptions& run) {
  const InputFile input(path);
  const FileInfo info = read_header(path, input).first;
  Scan scan(path, input, info, "verifying", run);
  for (const SectionInfo& section : info.sections) {
    scan.section(section, nullptr);
  }
  scan.finish();
}

}  // namespace vicinal::storage
