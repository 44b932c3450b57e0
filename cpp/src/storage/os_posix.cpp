#ifndef _WIN32

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <limits>
#include <vector>

#include "base/random.h"
#include "storage/json.h"
#include "storage/os.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;  // macOS refuses 2 GiB and more

void check_path(const std::string& path) {
  if (const std::size_t at = path.find('\0'); at != std::string::npos) {
    throw ArgumentError("path has a zero byte at place " + std::to_string(at) + " of " +
                        std::to_string(path.size()));
  }
}

const char* kind_of(mode_t mode) {
  return S_ISFIFO(mode)   ? "a pipe"
         : S_ISSOCK(mode) ? "a socket"
         : S_ISCHR(mode)  ? "a character device"
         : S_ISBLK(mode)  ? "a block device"
                          : "not a file";
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// Where a file written to `path` has to go: the end of the chain of links, which need not exist.
std::string follow_links(const std::string& path) {
  std::string at = path;
  for (int hops = 0; hops < 40; ++hops) {
    struct stat status;
    if (lstat(at.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) {
      return at;
    }
    std::vector<char> text(4096);
    const ssize_t length = readlink(at.c_str(), text.data(), text.size());
    if (length <= 0 || static_cast<std::size_t>(length) == text.size()) {
      throw IoError(path, "follow the link", length < 0 ? errno : ENAMETOOLONG);
    }
    const std::string link(text.data(), static_cast<std::size_t>(length));
    at = link.front() == '/' ? link : folder_of(at) + "/" + link;
  }
  throw IoError(path, "follow the link", ELOOP);
}

// No two calls, threads or processes draw the same name; O_EXCL settles what chance leaves.
std::string temporary_name(const std::string& target) {
  static std::atomic<std::uint64_t> counter{0};
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::uint64_t draw = random_u64(static_cast<std::uint64_t>(getpid()), counter++,
                                        static_cast<std::uint64_t>(now));
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(draw));
  // File systems allow 255 bytes for a name, and some only whole characters.
  std::string name = name_of(target).substr(0, 200);
  name.resize(utf8_prefix(name));
  return folder_of(target) + "/." + name + "." + hex + ".tmp";
}

int sync_file(int file) {
#ifdef F_FULLFSYNC
  // fsync() on macOS stops at the cache of the drive. Not every file system knows this one.
  if (fcntl(file, F_FULLFSYNC) == 0) {
    return 0;
  }
#endif
  int status;
  do {
    status = fsync(file);
  } while (status != 0 && errno == EINTR);
  return status;
}

// Gives the new file the permissions of the one it replaces.
void keep_permissions(int file, const struct stat& old) {
  struct stat made;
  mode_t mode = old.st_mode & 0777;
  if (fstat(file, &made) == 0) {
    if (made.st_uid != old.st_uid && fchown(file, old.st_uid, old.st_gid) == 0) {
      made.st_gid = old.st_gid;
    }
    // Where the group cannot be kept, its rights must not go to another group.
    if (made.st_gid != old.st_gid && fchown(file, static_cast<uid_t>(-1), old.st_gid) != 0) {
      mode &= static_cast<mode_t>(~070);
    }
  }
  // Some file systems have no permissions to keep: saving must work there.
  (void)!fchmod(file, mode);
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path), file_(-1) {
  check_path(path);
  // Without O_NONBLOCK opening a pipe waits until somebody writes to it.
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status;
  if (file_ < 0 || fstat(file_, &status) != 0) {
    const int code = errno;
    if (file_ >= 0) {
      ::close(file_);
    } else if (stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
      throw FormatError(path, 0, "this is a socket; an index lives in a regular file");
    }
    throw IoError(path, "open", code);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(file_);
    if (S_ISDIR(status.st_mode)) {
      throw IoError(path, "open", EISDIR);
    }
    throw FormatError(path, 0, std::string("this is ") + kind_of(status.st_mode) +
                                   "; an index lives in a regular file");
  }
  bytes_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(file_); }

void InputFile::read(std::uint64_t offset, void* out, std::size_t bytes) const {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const std::size_t ask = bytes < kLargestTransfer ? bytes : kLargestTransfer;
    const ssize_t got = pread(file_, to, ask, static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw IoError(path_, "read", errno);
    }
    if (got == 0) {
      throw FormatError(path_, offset, "the file ends here; it had " + std::to_string(bytes_) +
                                           " bytes when it was opened");
    }
    to += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

std::shared_ptr<const void> InputFile::map() const {
  if (bytes_ > std::numeric_limits<std::size_t>::max()) {
    throw IoError(path_, "map", EFBIG);
  }
  const auto bytes = static_cast<std::size_t>(bytes_);
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file_, 0);
  if (mapped == MAP_FAILED) {
    throw IoError(path_, "map", errno);
  }
  return std::shared_ptr<const void>(mapped, [bytes](const void* p) {
    munmap(const_cast<void*>(p), bytes);
  });
}

OutputFile::OutputFile(const std::string& path) : path_(path), file_(-1) {
  check_path(path);
  if (path.empty()) {
    throw IoError(path, "create", ENOENT);
  }
  target_ = follow_links(path);
  struct stat old;
  const bool replaces = stat(target_.c_str(), &old) == 0;
  if (replaces && S_ISDIR(old.st_mode)) {
    throw IoError(path, "replace", EISDIR);
  }
  if (replaces && !S_ISREG(old.st_mode)) {
    throw ArgumentError("path " + path + " is " + kind_of(old.st_mode) +
                        "; only a regular file can be replaced");
  }
  if (replaces && faccessat(AT_FDCWD, target_.c_str(), W_OK, AT_EACCESS) != 0) {
    throw IoError(path, "replace", errno);  // renaming would get past a write protection
  }
  do {
    temporary_ = temporary_name(target_);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                   replaces ? 0600 : 0666);
  } while (file_ < 0 && (errno == EEXIST || errno == EINTR));
  if (file_ < 0) {
    throw IoError(path, "create a temporary file beside it", errno);
  }
  open_ = true;
  if (replaces) {
    keep_permissions(file_, old);
  }
}

OutputFile::~OutputFile() {
  if (open_) {
    ::close(file_);
  }
  if (!temporary_.empty()) {
    unlink(temporary_.c_str());
  }
}

void OutputFile::write(std::uint64_t offset, const void* data, std::size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const std::size_t ask = bytes < kLargestTransfer ? bytes : kLargestTransfer;
    const ssize_t put = pwrite(file_, from, ask, static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw IoError(path_, "write", errno);
    }
    from += put;
    offset += static_cast<std::uint64_t>(put);
    bytes -= static_cast<std::size_t>(put);
  }
}

void OutputFile::commit(std::uint64_t bytes) {
  if (ftruncate(file_, static_cast<off_t>(bytes)) != 0) {
    throw IoError(path_, "write", errno);
  }
  if (sync_file(file_) != 0) {
    throw IoError(path_, "sync", errno);
  }
  open_ = false;
  if (::close(file_) != 0 && errno != EINTR) {  // a network may only now say that it is full
    throw IoError(path_, "write", errno);
  }
  if (rename(temporary_.c_str(), target_.c_str()) != 0) {
    throw IoError(path_, "move the temporary file into place", errno);
  }
  temporary_.clear();
  // The new name must reach the disk too. A folder that may be written but not read cannot be
  // opened, and some file systems cannot sync one: they order a rename themselves.
  const int folder = ::open(folder_of(target_).c_str(), O_RDONLY | O_CLOEXEC);
  if (folder >= 0) {
    const int code = sync_file(folder) == 0 ? 0 : errno;
    ::close(folder);
    if (code == EIO || code == ENOSPC || code == EDQUOT) {
      throw IoError(path_, "sync its folder", code);
    }
  }
}

}  // namespace vicinal::storage

#endif  // _WIN32
