#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/checksum.h"
#include "storage/container.h"
#include "storage/layout.h"

namespace vicinal::test {

/// What a file says, without the lengths, places and checksums that hold it together: a change here
/// makes a file that is well formed and says something else.
struct Parts {
  std::string kind;
  std::string config;  ///< JSON text
  std::vector<std::pair<std::string, std::string>> sections;
};

inline Parts parts_of(const std::string& path) {
  storage::File file = storage::File::open(path, OpenMode::kLoad);
  Parts parts{file.info().kind, file.config().dump(), {}};
  for (const SectionInfo& section : file.info().sections) {
    const Buffer bytes = file.section(section.name, section.bytes);
    parts.sections.emplace_back(
        section.name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  return parts;
}

/// The file that says so, with all its checksums right, by the given reckoning.
inline std::string file_of(const Parts& parts,
                           storage::Checksum checksum = storage::crc32c_portable) {
  using namespace storage;
  std::string table;
  std::string body;
  constexpr std::size_t kFirst = 16384;  // no header here is longer, or it is cut
  for (const auto& [name, bytes] : parts.sections) {
    table += (table.empty() ? "" : ",") + ("{\"name\":" + Json(name).dump()) +
             ",\"offset\":" + std::to_string(kFirst + body.size()) +
             ",\"bytes\":" + std::to_string(bytes.size()) +
             ",\"crc32c\":" + std::to_string(checksum(0, bytes.data(), bytes.size())) + "}";
    body += bytes;
    body.resize((body.size() + kMargin + kAlignment - 1) / kAlignment * kAlignment);
  }
  std::string header = "{\"kind\":" + Json(parts.kind).dump() +
                       ",\"metadata\":\"\",\"sections\":[" + table +
                       "],\"config\":" + parts.config + "}";
  header.resize(std::min(header.size(), kFirst - kPreambleBytes));
  Preamble preamble{};
  preamble.version = kVersion;
  preamble.header_bytes = header.size();
  preamble.header_crc = checksum(0, header.data(), header.size());
  preamble.file_bytes = kFirst + body.size();
  const PreambleBytes front = encode_preamble(preamble);
  std::string file(reinterpret_cast<const char*>(front.data()), front.size());
  file += header;
  file.resize(kFirst);
  return file + body;
}

// As bytes: kind, config and section names end with a zero byte; a section has its length, 4 bytes,
// before it.

inline std::string pack(const Parts& parts) {
  std::string out = parts.kind + '\0' + parts.config + '\0';
  for (const auto& [name, bytes] : parts.sections) {
    out += name + '\0';
    for (int i = 0; i < 4; ++i) {
      out.push_back(static_cast<char>(bytes.size() >> (8 * i)));
    }
    out += bytes;
  }
  return out;
}

/// Any bytes are some parts.
inline Parts unpack(std::string_view bytes) {
  const auto text = [&] {
    const std::string_view front = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(std::min(bytes.size(), front.size() + 1));
    // Names are put into JSON as they are.
    return std::string(front.substr(0, storage::utf8_prefix(front)));
  };
  Parts parts;
  parts.kind = text();
  parts.config = text();
  while (!bytes.empty() && parts.sections.size() < 20) {
    std::string name = text();
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4 && i < bytes.size(); ++i) {
      length |= std::size_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 4));
    parts.sections.emplace_back(std::move(name), std::string(bytes.substr(0, length)));
    bytes.remove_prefix(std::min(bytes.size(), length));
  }
  return parts;
}

}  // namespace vicinal::test
