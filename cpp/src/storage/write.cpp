#include <algorithm>
#include <cassert>

#include "base/parallel.h"
#include "storage/checksum.h"
#include "storage/container.h"
#include "storage/layout.h"
#include "storage/os.h"
#include "vicinal/errors.h"
#include "vicinal/version.h"

namespace vicinal::storage {
namespace {

constexpr std::uint64_t kChunk = std::uint64_t{4} << 20;

std::uint64_t round_up(std::uint64_t value) {
  return (value + kAlignment - 1) / kAlignment * kAlignment;
}

/// Puts the sections one behind another from `first` on; returns the size of the file.
std::uint64_t place(std::uint64_t first, const std::vector<SectionSource>& sources,
                    std::vector<SectionInfo>& sections) {
  std::uint64_t at = first;
  sections.clear();
  for (const SectionSource& source : sources) {
    std::uint64_t bytes = 0;
    for (const auto& piece : source.pieces) {
      bytes += piece.second;
    }
    // The largest checksum: the real one takes no more digits, so the header only shrinks.
    sections.push_back({source.name, at, bytes, 0xFFFFFFFFu});
    at = round_up(at + bytes + kMargin);
  }
  return at;
}

std::string print_header(const std::string& kind, const Json& config, const std::string& metadata,
                         const std::vector<SectionInfo>& sections) {
  Json::Array table;
  for (const SectionInfo& section : sections) {
    table.push_back(Json::Object{{"name", section.name},
                                 {"offset", section.offset},
                                 {"bytes", section.bytes},
                                 {"crc32c", section.crc32c}});
  }
  return Json(Json::Object{{"config", config},
                           {"kind", kind},
                           {"library", VICINAL_VERSION},
                           {"metadata", metadata},
                           {"sections", std::move(table)}})
      .dump();
}

void check_metadata(const std::string& metadata) {
  const std::size_t good = utf8_prefix(metadata);
  if (good < metadata.size()) {
    throw ArgumentError("metadata is not UTF-8: got " +
                        hex(static_cast<unsigned char>(metadata[good])) + " at byte " +
                        std::to_string(good));
  }
}

}  // namespace

void write_file(const std::string& path, const std::string& kind, const Json& config,
                const std::string& metadata, const std::vector<SectionSource>& sources,
                const RunOptions& run, std::uint32_t version) {
  assert(version >= kOldestVersion && version <= kVersion);
  check_metadata(metadata);
  std::vector<SectionInfo> sections;
  std::uint64_t first = 0;
  std::uint64_t file_bytes = 0;
  std::string header;
  // Offsets are part of the header, so its length moves them, and they its length, by some digits.
  for (std::uint64_t needed = kAlignment; first < needed;) {
    first = round_up(needed);
    file_bytes = place(first, sources, sections);
    header = print_header(kind, config, metadata, sections);
    needed = kPreambleBytes + header.size() + kMargin;
  }
  if (header.size() > kMaxHeaderBytes) {
    throw ArgumentError("metadata is too long: got " + std::to_string(metadata.size()) +
                        " bytes, and the header that holds it may take " +
                        std::to_string(kMaxHeaderBytes));
  }

  OutputFile out(path);
  Ticker ticker(run, "saving", file_bytes);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    std::uint64_t at = sections[s].offset;
    std::uint32_t crc = 0;
    for (const auto& [data, bytes] : sources[s].pieces) {
      for (std::uint64_t done = 0; done < bytes;) {
        // The checksum first, so that the chunk is in the cache when it is copied.
        const auto chunk = static_cast<std::size_t>(std::min(kChunk, bytes - done));
        const auto* from = static_cast<const std::byte*>(data) + done;
        crc = crc32c(crc, from, chunk);
        out.write(at, from, chunk);
        done += chunk;
        at += chunk;
        ticker.at(at);
      }
    }
    sections[s].crc32c = crc;
  }
  header = print_header(kind, config, metadata, sections);
  assert(kPreambleBytes + header.size() + kMargin <= first);
  const PreambleBytes preamble = encode_preamble(
      {version, crc32c(0, header.data(), header.size()), header.size(), file_bytes});
  out.write(kPreambleBytes, header.data(), header.size());
  out.write(0, preamble.data(), preamble.size());
  ticker.at(file_bytes);  // the last moment to stop
  out.commit(file_bytes);
}

}  // namespace vicinal::storage
