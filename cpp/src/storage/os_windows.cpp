#ifdef _WIN32

// Written to the documentation; not run by the people who wrote it. Reports are welcome.

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <system_error>

#include "base/random.h"
#include "storage/os.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;  // lengths are 32-bit

int last_errno() {
  const std::error_condition condition =
      std::system_category().default_error_condition(static_cast<int>(GetLastError()));
  return condition.category() == std::generic_category() ? condition.value() : EIO;
}

std::wstring wide(const std::string& path) {
  if (path.empty()) {
    return {};
  }
  if (const std::size_t at = path.find('\0'); at != std::string::npos) {
    throw ArgumentError("path has a zero byte at place " + std::to_string(at) + " of " +
                        std::to_string(path.size()));
  }
  const int length = static_cast<int>(path.size());
  const int needed =
      MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), length, nullptr, 0);
  if (needed <= 0) {
    throw ArgumentError("path is not UTF-8");
  }
  std::wstring out(static_cast<std::size_t>(needed), L'\0');
  MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), length, out.data(), needed);
  return out;
}

OVERLAPPED at_offset(std::uint64_t offset) {
  OVERLAPPED place{};
  place.Offset = static_cast<DWORD>(offset);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return place;
}

std::string temporary_name(const std::string& target) {
  static std::atomic<std::uint64_t> counter{0};
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  const std::uint64_t draw = random_u64(GetCurrentProcessId(), counter++,
                                        static_cast<std::uint64_t>(now.QuadPart));
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(draw));
  return target + "." + hex + ".tmp";
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path), file_(INVALID_HANDLE_VALUE) {
  const std::wstring name = wide(path);
  const DWORD attributes = GetFileAttributesW(name.c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES) {
    throw IoError(path, "open", last_errno());
  }
  if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
    throw IoError(path, "open", EISDIR);
  }
  // Sharing DELETE lets write_file() rename over the name while this handle is open.
  file_ = CreateFileW(name.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr,
                      OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file_ == INVALID_HANDLE_VALUE) {
    throw IoError(path, "open", last_errno());
  }
  LARGE_INTEGER size;
  if (GetFileType(file_) != FILE_TYPE_DISK) {
    CloseHandle(file_);
    throw FormatError(path, 0, "this is a pipe or a device; an index lives in a regular file");
  }
  if (!GetFileSizeEx(file_, &size)) {
    const int code = last_errno();
    CloseHandle(file_);
    throw IoError(path, "open", code);
  }
  bytes_ = static_cast<std::uint64_t>(size.QuadPart);
}

InputFile::~InputFile() { CloseHandle(file_); }

void InputFile::read(std::uint64_t offset, void* out, std::size_t bytes) const {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    OVERLAPPED place = at_offset(offset);
    DWORD got = 0;
    const bool done = ReadFile(file_, to, static_cast<DWORD>(std::min(bytes, kLargestTransfer)),
                               &got, &place) != 0;
    if (!done && GetLastError() != ERROR_HANDLE_EOF) {
      throw IoError(path_, "read", last_errno());
    }
    if (got == 0) {
      throw FormatError(path_, offset, "the file ends here; it had " + std::to_string(bytes_) +
                                           " bytes when it was opened");
    }
    to += got;
    offset += got;
    bytes -= got;
  }
}

std::shared_ptr<const void> InputFile::map() const {
  if (bytes_ > std::numeric_limits<std::size_t>::max()) {
    throw IoError(path_, "map", EFBIG);
  }
  const HANDLE mapping = CreateFileMappingW(file_, nullptr, PAGE_READONLY, 0, 0, nullptr);
  if (mapping == nullptr) {
    throw IoError(path_, "map", last_errno());
  }
  const void* view = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  const int code = view == nullptr ? last_errno() : 0;
  CloseHandle(mapping);  // the view keeps it
  if (view == nullptr) {
    throw IoError(path_, "map", code);
  }
  return std::shared_ptr<const void>(view, [](const void* p) { UnmapViewOfFile(p); });
}

// Symbolic links are rare on Windows and take rights to make: the link itself is replaced.
OutputFile::OutputFile(const std::string& path)
    : path_(path), target_(path), file_(INVALID_HANDLE_VALUE) {
  const DWORD old = GetFileAttributesW(wide(path).c_str());
  if (old != INVALID_FILE_ATTRIBUTES && (old & FILE_ATTRIBUTE_DIRECTORY) != 0) {
    throw IoError(path, "replace", EISDIR);
  }
  if (old != INVALID_FILE_ATTRIBUTES && (old & FILE_ATTRIBUTE_READONLY) != 0) {
    throw IoError(path, "replace", EACCES);
  }
  do {
    temporary_ = temporary_name(target_);
    file_ = CreateFileW(wide(temporary_).c_str(), GENERIC_WRITE, 0, nullptr, CREATE_NEW,
                        FILE_ATTRIBUTE_NORMAL, nullptr);
  } while (file_ == INVALID_HANDLE_VALUE && GetLastError() == ERROR_FILE_EXISTS);
  if (file_ == INVALID_HANDLE_VALUE) {
    const int code = last_errno();
    temporary_.clear();
    throw IoError(path, "create a temporary file beside it", code);
  }
  open_ = true;
}

OutputFile::~OutputFile() {
  if (open_) {
    CloseHandle(file_);
  }
  if (!temporary_.empty()) {
    DeleteFileW(wide(temporary_).c_str());
  }
}

void OutputFile::write(std::uint64_t offset, const void* data, std::size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    OVERLAPPED place = at_offset(offset);
    DWORD put = 0;
    if (!WriteFile(file_, from, static_cast<DWORD>(std::min(bytes, kLargestTransfer)), &put,
                   &place)) {
      throw IoError(path_, "write", last_errno());
    }
    from += put;
    offset += put;
    bytes -= put;
  }
}

void OutputFile::commit(std::uint64_t bytes) {
  LARGE_INTEGER end;
  end.QuadPart = static_cast<LONGLONG>(bytes);
  if (!SetFilePointerEx(file_, end, nullptr, FILE_BEGIN) || !SetEndOfFile(file_)) {
    throw IoError(path_, "write", last_errno());
  }
  if (!FlushFileBuffers(file_)) {
    throw IoError(path_, "sync", last_errno());
  }
  open_ = false;
  if (!CloseHandle(file_)) {
    throw IoError(path_, "write", last_errno());
  }
  // Fails while the old file is mapped, here or in another process: Windows holds on to its name.
  if (!MoveFileExW(wide(temporary_).c_str(), wide(target_).c_str(),
                   MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
    throw IoError(path_, "move the temporary file into place", last_errno());
  }
  temporary_.clear();
}

}  // namespace vicinal::storage

#endif  // _WIN32
