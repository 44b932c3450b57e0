#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace vicinal {

/// Root of everything the library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A caller's mistake: an argument has a value that cannot work. Thrown before anything has
/// changed. Python sees a ValueError.
class ArgumentError : public Error {
 public:
  using Error::Error;
};

/// An array does not fit the index.
class DimensionError : public ArgumentError {
 public:
  explicit DimensionError(const std::string& what) : ArgumentError(what) {}
  DimensionError(const char* array, std::size_t got, std::size_t want)
      : ArgumentError(std::string(array) + " has " + std::to_string(got) +
                      " columns; this index holds " + std::to_string(want) +
                      "-dimensional vectors") {}
};

/// The environment asks for something this machine or build cannot give (VICINAL_ISA, threads).
/// Python sees a RuntimeError.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// A file is damaged, hostile or not ours. Python sees a ValueError.
class FormatError : public Error {
 public:
  FormatError(std::string path, std::uint64_t offset, const std::string& what)
      : Error(path + ": at byte " + std::to_string(offset) + ": " + what),
        path_(std::move(path)),
        offset_(offset) {}

  const std::string& path() const noexcept { return path_; }
  std::uint64_t offset() const noexcept { return offset_; }

 private:
  std::string path_;
  std::uint64_t offset_;
};

/// The operating system refused: open, read, write, map. Python sees an OSError with the number.
class IoError : public Error {
 public:
  IoError(std::string path, const char* action, int code);  // message from std::generic_category

  const std::string& path() const noexcept { return path_; }
  int code() const noexcept { return code_; }

 private:
  std::string path_;
  int code_;
};

/// A progress callback asked long work to stop. What was finished before stays and is consistent.
class CancelledError : public Error {
 public:
  using Error::Error;
};

}  // namespace vicinal
