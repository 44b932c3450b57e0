#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace vicinal::storage {

#ifdef _WIN32
using NativeFile = void*;  // HANDLE
#else
using NativeFile = int;
#endif

/// A regular file open for reading. Paths are UTF-8 on Windows, bytes elsewhere.
class InputFile {
 public:
  /// Throws IoError (absent, a folder, no permission), FormatError for what is neither a file nor a
  /// folder: a pipe would wait for its writer for ever.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::uint64_t bytes() const noexcept { return bytes_; }
  /// Throws IoError, or FormatError if the file has become shorter.
  void read(std::uint64_t offset, void* out, std::size_t bytes) const;
  /// The whole file, read-only, until the last owner goes; it outlives this object. The file must
  /// not be cut short meanwhile: touching a page that is gone kills the process. Replacing the file
  /// by renaming, as write_file() does, is safe.
  std::shared_ptr<const void> map() const;

 private:
  std::string path_;
  NativeFile file_;
  std::uint64_t bytes_ = 0;
};

/// A new file that takes the place of `path` as a whole, or not at all.
class OutputFile {
 public:
  /// Makes a temporary file in the folder of `path`. If path is a symbolic link, that of its
  /// target. Throws IoError, ArgumentError if path is there and no regular file.
  explicit OutputFile(const std::string& path);
  /// Removes the temporary file unless commit() succeeded.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::uint64_t offset, const void* data, std::size_t bytes);
  /// Grows to `bytes` with zeros, waits until the disk has it, and moves it into place.
  void commit(std::uint64_t bytes);

 private:
  std::string path_;       // as given, for messages
  std::string target_;     // links followed
  std::string temporary_;
  NativeFile file_;
  bool open_ = false;
};

}  // namespace vicinal::storage
