#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace vicinal::test {

/// An empty folder that goes away with everything in it.
class Folder {
 public:
  Folder() {
    const auto base = std::filesystem::temp_directory_path();
    do {
      path_ = base / ("vicinal-test-" + std::to_string(std::random_device()()));
    } while (!std::filesystem::create_directory(path_));
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Names of what is in it.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      out.push_back(entry.path().filename().string());
    }
    return out;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::filesystem::remove(path);  // some file systems sync a file that is emptied and filled anew
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(out.flush()) << path;
}

/// Overwrites bytes of a file that is there.
inline void poke(const std::string& path, std::size_t at, std::string_view bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.flush()) << path;
}

/// One bit at a time, as the standard defines it.
inline std::uint32_t crc32c_reference(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    }
  }
  return ~crc;
}

inline void put(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    bytes[at + i] = static_cast<char>(value >> (8 * i));
  }
}

/// The 64 bytes at the front, written from the document and not with the library.
struct Front {
  std::string magic{"VICINAL\0", 8};
  std::uint32_t version = 1;
  std::uint32_t header_crc = 0;
  std::uint64_t header_bytes = 0;
  std::uint64_t file_bytes = 0;

  std::string bytes() const {
    std::string out(64, '\0');
    out.replace(0, 8, magic);
    put(out, 8, version, 4);
    put(out, 12, header_crc, 4);
    put(out, 16, header_bytes, 8);
    put(out, 24, file_bytes, 8);
    put(out, 60, crc32c_reference(std::string_view(out).substr(0, 60)), 4);
    return out;
  }
};

/// A file with this header, whose own checksums and lengths are right.
inline std::string craft(const std::string& header, std::uint64_t file_bytes) {
  Front front;
  front.header_crc = crc32c_reference(header);
  front.header_bytes = header.size();
  front.file_bytes = file_bytes;
  std::string out = front.bytes() + header;
  out.resize(static_cast<std::size_t>(file_bytes), '\0');
  return out;
}

}  // namespace vicinal::test
