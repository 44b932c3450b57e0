#include "storage/layout.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <set>
#include <string_view>

#include "storage/checksum.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

void put(unsigned char* to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    to[i] = static_cast<unsigned char>(value >> (8 * i));
  }
}

std::uint64_t take(const unsigned char* from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint64_t>(from[i]) << (8 * i);
  }
  return value;
}

std::string versions_read() {
  return kOldestVersion == kVersion
             ? "version " + std::to_string(kVersion)
             : "versions " + std::to_string(kOldestVersion) + " to " + std::to_string(kVersion);
}

std::string got_wanted(std::uint64_t got, const std::string& wanted) {
  return ": got " + std::to_string(got) + ", wanted " + wanted;
}

// Where a section is said to lie, against the end of what precedes it and of the file. Nothing is
// added that might wrap: each number is compared with what room is left.
void check_place(const std::string& path, const SectionInfo& section, std::uint64_t previous_end,
                 std::uint64_t file_bytes) {
  const auto fail = [&](const std::string& what) {
    throw FormatError(path, kPreambleBytes, "section " + in_quotes(section.name) + " " + what);
  };
  if (section.offset % kAlignment != 0) {
    fail("starts off its alignment" +
         got_wanted(section.offset, "a multiple of " + std::to_string(kAlignment)));
  }
  if (section.offset < previous_end) {
    fail("starts inside what lies before it" +
         got_wanted(section.offset, std::to_string(previous_end) + " or more"));
  }
  if (section.offset > file_bytes) {
    fail("starts beyond the end of the file" +
         got_wanted(section.offset, "at most " + std::to_string(file_bytes)));
  }
  const std::uint64_t room = file_bytes - section.offset;
  if (room < kMargin || section.bytes > room - kMargin) {
    fail("is longer than the rest of the file" +
         got_wanted(section.bytes, std::to_string(kMargin) + " less than " + std::to_string(room)));
  }
}

SectionInfo read_section(const Json& json) {
  SectionInfo section;
  section.name = json.at("name").as_string("name");
  section.offset = json.at("offset").as_u64("offset");
  section.bytes = json.at("bytes").as_u64("bytes");
  const std::uint64_t crc = json.at("crc32c").as_u64("crc32c");
  if (crc > std::numeric_limits<std::uint32_t>::max()) {
    throw ParseError{"crc32c of section " + in_quotes(section.name) +
                         got_wanted(crc, "a 32-bit number"), 0};
  }
  section.crc32c = static_cast<std::uint32_t>(crc);
  return section;
}

}  // namespace

std::string hex(std::uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof text, "0x%08llx", static_cast<unsigned long long>(value));
  return text;
}

PreambleBytes encode_preamble(const Preamble& preamble) {
  PreambleBytes bytes{};
  for (std::size_t i = 0; i < kMagic.size(); ++i) {
    bytes[i] = kMagic[i];
  }
  put(&bytes[8], preamble.version, 4);
  put(&bytes[12], preamble.header_crc, 4);
  put(&bytes[16], preamble.header_bytes, 8);
  put(&bytes[24], preamble.file_bytes, 8);
  put(&bytes[60], crc32c(0, bytes.data(), 60), 4);
  return bytes;
}

Preamble decode_preamble(const std::string& path, const PreambleBytes& bytes,
                         std::uint64_t file_bytes) {
  for (std::size_t i = 0; i < kMagic.size(); ++i) {
    if (bytes[i] != kMagic[i]) {
      throw FormatError(path, i, "this is not a vicinal file: got byte " + hex(bytes[i]) +
                                     ", wanted " + hex(kMagic[i]));
    }
  }
  // The checksum comes before the version: a flipped bit must not pass for a newer format.
  const std::uint64_t wanted_crc = take(&bytes[60], 4);
  const std::uint64_t crc = crc32c(0, bytes.data(), 60);
  if (crc != wanted_crc) {
    throw FormatError(path, 0, "the preamble is damaged: got checksum " + hex(crc) + ", wanted " +
                                   hex(wanted_crc));
  }
  Preamble preamble;
  preamble.version = static_cast<std::uint32_t>(take(&bytes[8], 4));
  preamble.header_crc = static_cast<std::uint32_t>(take(&bytes[12], 4));
  preamble.header_bytes = take(&bytes[16], 8);
  preamble.file_bytes = take(&bytes[24], 8);
  if (preamble.version < kOldestVersion || preamble.version > kVersion) {
    throw FormatError(path, 8, "the format is version " + std::to_string(preamble.version) +
                                   "; this library reads " + versions_read() +
                                   (preamble.version > kVersion ? ": a newer one is needed" : ""));
  }
  for (std::size_t i = 32; i < 60; ++i) {
    if (bytes[i] != 0) {
      throw FormatError(path, i, "a reserved byte is in use: got " + hex(bytes[i]) +
                                     ", wanted 0x00000000");
    }
  }
  if (preamble.file_bytes != file_bytes) {
    throw FormatError(path, 24, std::string("the file is ") +
                                    (file_bytes < preamble.file_bytes ? "cut short" : "too long") +
                                    ": got " + std::to_string(file_bytes) + " bytes, wanted " +
                                    std::to_string(preamble.file_bytes));
  }
  if (preamble.header_bytes > kMaxHeaderBytes ||
      preamble.header_bytes > file_bytes - kPreambleBytes) {
    const std::uint64_t room = file_bytes - kPreambleBytes;
    throw FormatError(path, 16, "the header is too long" +
                                    got_wanted(preamble.header_bytes,
                                               "at most " + std::to_string(std::min(
                                                                kMaxHeaderBytes, room))));
  }
  return preamble;
}

std::pair<FileInfo, Json> decode_header(const std::string& path, const Preamble& preamble,
                                        std::string text) {
  const std::uint32_t crc = crc32c(0, text.data(), text.size());
  if (crc != preamble.header_crc) {
    throw FormatError(path, kPreambleBytes, "the header is damaged: got checksum " + hex(crc) +
                                                ", wanted " + hex(preamble.header_crc));
  }
  FileInfo info;
  Json config;
  info.version = preamble.version;
  info.file_bytes = preamble.file_bytes;
  try {
    const Json header = Json::parse(text);
    info.kind = header.at("kind").as_string("kind");
    info.metadata = header.at("metadata").as_string("metadata");
    config = header.at("config");
    config.as_object("config");
    std::set<std::string_view> names;
    std::uint64_t end = kPreambleBytes + preamble.header_bytes;
    const Json::Array& sections = header.at("sections").as_array("sections");
    info.sections.reserve(sections.size());
    for (const Json& json : sections) {
      info.sections.push_back(read_section(json));  // never grows, so the views into it hold
      const SectionInfo& section = info.sections.back();
      check_place(path, section, end, info.file_bytes);
      end = section.offset + section.bytes + kMargin;
      if (!names.insert(section.name).second) {
        throw ParseError{"section " + in_quotes(section.name) + " appears twice", 0};
      }
    }
  } catch (const ParseError& error) {
    throw FormatError(path, kPreambleBytes + error.offset, "in the header: " + error.what);
  }
  info.header = std::move(text);
  return {std::move(info), std::move(config)};
}

}  // namespace vicinal::storage
