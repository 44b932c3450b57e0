#ifndef _WIN32

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <filesystem>
#include <string>
#include <vector>

#include "files.h"
#include "sample.h"
#include "storage/container.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
namespace fs = std::filesystem;

void write_metadata(const std::string& path, const std::string& metadata,
                    const RunOptions& run = {}) {
  static const std::string data(3'000'000, 'd');
  write_file(path, "k", Json::Object{}, metadata, {{"d", {{data.data(), data.size()}}}}, run);
}

/// Root may do everything, so it steps down for as long as this lives.
class OrdinaryUser {
 public:
  OrdinaryUser() { dropped_ = geteuid() == 0 && seteuid(65534) == 0; }
  ~OrdinaryUser() {
    if (dropped_) {
      EXPECT_EQ(seteuid(0), 0);
    }
  }

 private:
  bool dropped_;
};

int io_code(const std::function<void()>& call) {
  try {
    call();
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr(error.path() + ": cannot "));
    return error.code();
  }
  return 0;
}

TEST(AtomicSave, ReplacesTheWholeFileAndLeavesNothingElse) {
  const test::Folder folder;
  write_metadata(folder / "a", "old");
  File old = File::open(folder / "a", OpenMode::kMap);
  write_metadata(folder / "a", "new");
  EXPECT_EQ(read_info(folder / "a").metadata, "new");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
  EXPECT_NO_THROW(old.verify("d"));  // the mapping still sees the old one
}

TEST(AtomicSave, CancelledLeavesTheOldFile) {
  const test::Folder folder;
  write_metadata(folder / "a", "old");
  for (const bool at_the_end : {false, true}) {
    RunOptions run;
    run.progress = [&](const Progress& p) { return at_the_end && p.done < p.total; };
    EXPECT_THROW(write_metadata(folder / "a", "new", run), CancelledError);
    run.progress = [&](const Progress&) -> bool { throw std::out_of_range("mine"); };
    EXPECT_THROW(write_metadata(folder / "a", "new", run), std::out_of_range);
    verify_all(folder / "a", {});
    EXPECT_EQ(read_info(folder / "a").metadata, "old");
    EXPECT_THAT(folder.names(), ElementsAre("a"));
  }
}

TEST(AtomicSave, FullDiskLeavesTheOldFile) {
  const test::Folder folder;
  write_metadata(folder / "a", "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // an error instead of the end
  for (const rlim_t room : {rlim_t{0}, rlim_t{5000}, rlim_t{2'000'000}, rlim_t{3'004'200}}) {
    const rlimit small{room, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int code = io_code([&] { write_metadata(folder / "a", "new"); });
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(code, EFBIG) << room;
    verify_all(folder / "a", {});
    EXPECT_EQ(read_info(folder / "a").metadata, "old");
    EXPECT_THAT(folder.names(), ElementsAre("a"));
  }
  std::signal(SIGXFSZ, handler);
}

TEST(AtomicSave, KilledAtKnownMomentsLeavesTheOldFile) {
  const test::Folder folder;
  write_metadata(folder / "a", "old");
  for (const bool at_the_end : {false, true}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      RunOptions run;
      run.progress = [&](const Progress& p) {
        if (!at_the_end || p.done == p.total) {
          raise(SIGKILL);
        }
        return true;
      };
      write_metadata(folder / "a", "new", run);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    verify_all(folder / "a", {});
    EXPECT_EQ(read_info(folder / "a").metadata, "old");
  }
}

TEST(AtomicSave, KilledAtAnyMomentLeavesAWholeFile) {
  const test::Folder folder;
  write_metadata(folder / "a", "0");
  for (unsigned round = 0; round < 20; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (unsigned i = 0;; ++i) {
        write_metadata(folder / "a", std::to_string(i));
      }
    }
    usleep(static_cast<useconds_t>(random_u64(/*seed=*/8, 0, round) % 40'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_NO_THROW(verify_all(folder / "a", {})) << round;
  }
}

TEST(AtomicSave, FollowsLinks) {
  const test::Folder folder;
  fs::create_directory(folder / "data");
  write_metadata(folder / "data/real", "old");
  fs::create_symlink("data/real", folder / "near");
  fs::create_symlink(folder / "near", folder / "far");
  write_metadata(folder / "far", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "far"));
  EXPECT_TRUE(fs::is_symlink(folder / "near"));
  EXPECT_EQ(read_info(folder / "data/real").metadata, "new");
  fs::create_symlink("data/later", folder / "dangling");
  write_metadata(folder / "dangling", "made");
  EXPECT_TRUE(fs::is_symlink(folder / "dangling"));
  EXPECT_EQ(read_info(folder / "data/later").metadata, "made");
  fs::create_symlink("loop", folder / "loop");
  EXPECT_EQ(io_code([&] { write_metadata(folder / "loop", "x"); }), ELOOP);
  EXPECT_THAT(folder.names(), UnorderedElementsAre("data", "near", "far", "dangling", "loop"));
}

TEST(AtomicSave, KeepsPermissionsAndHonoursTheMask) {
  const test::Folder folder;
  const auto mode = [&] {
    struct stat status {};
    EXPECT_EQ(stat((folder / "a").c_str(), &status), 0);
    return status.st_mode & 07777;
  };
  const mode_t before = umask(027);
  write_metadata(folder / "a", "new");
  EXPECT_EQ(mode(), 0640u);
  umask(before);
  for (const mode_t kept : {0600u, 0664u, 0666u, 0755u}) {
    ASSERT_EQ(chmod((folder / "a").c_str(), kept), 0);
    write_metadata(folder / "a", "again");
    EXPECT_EQ(mode(), kept);
  }
}

TEST(AtomicSave, RefusesAWriteProtectedFile) {
  const test::Folder folder;
  write_metadata(folder / "a", "old");
  ASSERT_EQ(chmod((folder / "").c_str(), 0777), 0);  // so that renaming would work
  ASSERT_EQ(chmod((folder / "a").c_str(), 0444), 0);
  {
    const OrdinaryUser user;
    EXPECT_EQ(io_code([&] { write_metadata(folder / "a", "new"); }), EACCES);
  }
  EXPECT_EQ(read_info(folder / "a").metadata, "old");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(AtomicSave, RefusesAWriteProtectedFolder) {
  const test::Folder folder;
  write_metadata(folder / "a", "old");
  ASSERT_EQ(chmod((folder / "").c_str(), 0555), 0);
  ASSERT_EQ(chmod((folder / "a").c_str(), 0666), 0);
  {
    const OrdinaryUser user;
    EXPECT_EQ(io_code([&] { write_metadata(folder / "a", "new"); }), EACCES);
  }
  ASSERT_EQ(chmod((folder / "").c_str(), 0755), 0);
  EXPECT_EQ(read_info(folder / "a").metadata, "old");
}

TEST(AtomicSave, SaysWhatIsInTheWay) {
  const test::Folder folder;
  fs::create_directory(folder / "folder");
  EXPECT_EQ(io_code([&] { write_metadata(folder / "folder", "x"); }), EISDIR);
  EXPECT_EQ(io_code([&] { write_metadata(folder / "absent/a", "x"); }), ENOENT);
  EXPECT_EQ(io_code([&] { write_metadata("", "x"); }), ENOENT);
  write_metadata(folder / "file", "x");
  EXPECT_EQ(io_code([&] { write_metadata(folder / "file/a", "x"); }), ENOTDIR);
  EXPECT_EQ(io_code([&] { write_metadata(folder / std::string(300, 'n'), "x"); }), ENAMETOOLONG);
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(write_metadata(folder / "pipe", "x"), ArgumentError);
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  EXPECT_THROW(write_metadata(folder / std::string("a\0b", 3), "x"), ArgumentError);
  EXPECT_THAT(folder.names(), UnorderedElementsAre("folder", "file", "pipe"));
}

TEST(AtomicSave, TakesTheLongestNames) {
  const test::Folder folder;
  const std::string ascii(255, 'n');
  const std::string wide = std::string(199, 'n') + "\xE2\x82\xAC";  // three bytes across the cut
  write_metadata(folder / ascii, "long");
  write_metadata(folder / wide, "wide");
  EXPECT_THAT(folder.names(), UnorderedElementsAre(ascii, wide));
}

// ---- Opening what is no file of ours
// -------------------------------------------------------------

class Opening : public testing::Test {
 protected:
  void SetUp() override { alarm(20); }  // a hang is a failure
  void TearDown() override { alarm(0); }
  test::Folder folder_;
};

TEST_F(Opening, SaysWhatIsInTheWay) {
  fs::create_directory(folder_ / "folder");
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const int bound = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = folder_ / "socket";
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  ASSERT_EQ(bind(bound, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const auto format = [&](const std::string& path) -> std::string {
    try {
      File::open(path, OpenMode::kMap);
    } catch (const FormatError& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  EXPECT_THAT(format(folder_ / "pipe"), HasSubstr("this is a pipe"));
  EXPECT_THAT(format(folder_ / "socket"), HasSubstr("this is a socket"));
  EXPECT_THAT(format("/dev/null"), HasSubstr("this is a character device"));
  close(bound);
  for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
    const auto code = [&](const std::string& path) {
      return io_code([&] { File::open(path, mode); });
    };
    EXPECT_EQ(code(folder_ / "folder"), EISDIR);
    EXPECT_EQ(code(folder_ / "absent"), ENOENT);
    EXPECT_EQ(code(""), ENOENT);
    test::write_bytes(folder_ / "file", "x");
    EXPECT_EQ(code(folder_ / "file/a"), ENOTDIR);
    EXPECT_THROW(File::open(folder_ / std::string("a\0b", 3), mode), ArgumentError);
  }
}

TEST_F(Opening, SaysWhenItMayNotRead) {
  write_metadata(folder_ / "a", "x");
  ASSERT_EQ(chmod((folder_ / "a").c_str(), 0), 0);
  const OrdinaryUser user;
  EXPECT_EQ(io_code([&] { File::open(folder_ / "a", OpenMode::kMap); }), EACCES);
}

TEST_F(Opening, KeepsNoDescriptor) {
  write_metadata(folder_ / "a", "x");
  std::vector<File> files;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (int i = 0; i < 100; ++i) {
    ASSERT_NO_THROW(files.push_back(File::open(folder_ / "a", OpenMode::kMap)));
    ASSERT_THROW(File::open(folder_ / "a", OpenMode::kMap, "other"), FormatError);
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace vicinal::storage

#endif  // _WIN32
