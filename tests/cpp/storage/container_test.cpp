#include "storage/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "files.h"
#include "sample.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

using testing::HasSubstr;
using test::Sample;

class EachMode : public testing::TestWithParam<OpenMode> {};
INSTANTIATE_TEST_SUITE_P(Container, EachMode, testing::Values(OpenMode::kMap, OpenMode::kLoad),
                         [](const auto& mode) {
                           return mode.param == OpenMode::kMap ? "Map" : "Load";
                         });

TEST_P(EachMode, GivesBackWhatWasWritten) {
  const test::Folder folder;
  const Sample sample;
  sample.write(folder / "a");
  File file = File::open(folder / "a", GetParam(), "sample");
  EXPECT_EQ(file.info().version, 1u);
  EXPECT_EQ(file.info().kind, "sample");
  EXPECT_EQ(file.info().metadata, sample.metadata);
  EXPECT_EQ(file.info().file_bytes, test::read_bytes(folder / "a").size());
  EXPECT_EQ(file.config().dump(), sample.config.dump());
  EXPECT_THAT(Json::parse(file.info().header).at("library").as_string(), HasSubstr("."));
  ASSERT_EQ(file.info().sections.size(), sample.sections.size());
  std::vector<Buffer> kept;
  for (std::size_t i = 0; i < sample.sections.size(); ++i) {
    const auto& [name, bytes] = sample.sections[i];
    EXPECT_EQ(file.info().sections[i].name, name);
    EXPECT_EQ(file.info().sections[i].crc32c, test::crc32c_reference(bytes));
    EXPECT_TRUE(file.has(name));
    EXPECT_EQ(file.section_bytes(name), bytes.size());
    EXPECT_NO_THROW(file.verify(name));
    kept.push_back(file.section(name, bytes.size()));
  }
  { const File gone = std::move(file); }  // sections outlive the file they came from
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const std::string& bytes = sample.sections[i].second;
    ASSERT_EQ(kept[i].size(), bytes.size());
    EXPECT_EQ(std::memcmp(kept[i].data(), bytes.data(), bytes.size()), 0);
    EXPECT_EQ(kept[i].borrowed(), GetParam() == OpenMode::kMap);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(kept[i].data()) % 64, 0u);
    // Kernels load whole vectors: 64 readable zero bytes follow.
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(kept[i].data()) + bytes.size(), 64),
              std::string(64, '\0'));
  }
}

TEST_P(EachMode, HoldsAFileWithoutSections) {
  const test::Folder folder;
  write_file(folder / "a", "none", Json::Object{}, "", {}, {});
  const File file = File::open(folder / "a", GetParam());
  EXPECT_TRUE(file.info().sections.empty());
  EXPECT_EQ(file.info().metadata, "");
  verify_all(folder / "a", {});
}

TEST_P(EachMode, RefusesAnotherKind) {
  const test::Folder folder;
  Sample().write(folder / "a");
  try {
    File::open(folder / "a", GetParam(), "hnsw");
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("got \"sample\", wanted \"hnsw\""));
    EXPECT_EQ(error.path(), folder / "a");
  }
}

TEST_P(EachMode, SaysWhichSectionIsAbsentOrOfAnotherLength) {
  const test::Folder folder;
  const Sample sample;
  sample.write(folder / "a");
  File file = File::open(folder / "a", GetParam());
  EXPECT_FALSE(file.has("nodes"));
  const auto message = [&](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const FormatError& error) {
      EXPECT_EQ(error.path(), folder / "a");
      return error.what();
    }
    return "nothing thrown";
  };
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { file.section("nodes", 1); }, [&] { file.section_bytes("nodes"); },
           [&] { file.verify("nodes"); }}) {
    EXPECT_THAT(message(call), HasSubstr("section \"nodes\" is absent"));
  }
  EXPECT_THAT(message([&] { file.section("rows", 1); }),
              HasSubstr("got " + std::to_string(sample.sections[0].second.size()) +
                        " bytes, wanted 1"));
  EXPECT_THROW(file.section("rows", ~std::uint64_t{0}), FormatError);
  try {
    file.fail("links", "cyclic");
  } catch (const FormatError& error) {
    EXPECT_EQ(error.offset(), file.info().sections[1].offset);
  }
}

TEST(Container, HandsALoadedSectionOverOnce) {
  const test::Folder folder;
  const Sample sample;
  sample.write(folder / "a");
  File file = File::open(folder / "a", OpenMode::kLoad);
  const std::uint64_t bytes = file.section_bytes("rows");
  Buffer rows = file.section("rows", bytes);
  rows.mutable_data()[0] = std::byte{1};  // ours to change
  EXPECT_THROW(file.section("rows", bytes), std::logic_error);
}

TEST(Container, MappingLooksAtNoSectionUntilAsked) {
  const test::Folder folder;
  const Sample sample;
  sample.write(folder / "a");
  const FileInfo info = read_info(folder / "a");
  std::string bytes = test::read_bytes(folder / "a");
  bytes[info.sections[1].offset + 5] ^= 4;
  test::write_bytes(folder / "a", bytes);
  const File file = File::open(folder / "a", OpenMode::kMap);
  EXPECT_NO_THROW(file.verify("rows"));
  try {
    file.verify("links");
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_EQ(error.offset(), info.sections[1].offset);
    EXPECT_THAT(error.what(), HasSubstr("section \"links\" is damaged: got checksum 0x"));
  }
  EXPECT_THROW(File::open(folder / "a", OpenMode::kLoad), FormatError);
  EXPECT_THROW(verify_all(folder / "a", {}), FormatError);
}

TEST(Container, LaysBytesOutAsTheDocumentSays) {
  const test::Folder folder;
  const Sample sample;
  sample.write(folder / "a");
  const std::string bytes = test::read_bytes(folder / "a");
  const FileInfo info = read_info(folder / "a");
  test::Front front;
  front.header_bytes = info.header.size();
  front.header_crc = test::crc32c_reference(info.header);
  front.file_bytes = bytes.size();
  std::string want(bytes.size(), '\0');  // all that is nowhere else is zero
  want.replace(0, 64, front.bytes());
  want.replace(64, info.header.size(), info.header);
  std::uint64_t end = 64 + info.header.size();
  for (std::size_t i = 0; i < info.sections.size(); ++i) {
    const SectionInfo& section = info.sections[i];
    EXPECT_EQ(section.offset % 4096, 0u);
    EXPECT_GE(section.offset, end + 64);
    end = section.offset + section.bytes;
    want.replace(section.offset, section.bytes, sample.sections[i].second);
  }
  EXPECT_GE(bytes.size(), end + 64);
  EXPECT_EQ(bytes, want);
}

TEST(Container, WritesTheSameBytesAgain) {
  const test::Folder folder;
  Sample().write(folder / "a");
  Sample().write(folder / "b");
  EXPECT_EQ(test::read_bytes(folder / "a"), test::read_bytes(folder / "b"));
}

// Offsets in the header have more digits the longer the header: lengths around the page edge.
TEST(Container, FindsRoomForHeadersOfAnyLength) {
  const test::Folder folder;
  const std::string data(100, 'x');
  for (std::size_t length = 3750; length < 3890; ++length) {
    const std::string metadata(length, 'm');
    write_file(folder / "a", "k", Json::Object{}, metadata, {{"d", {{data.data(), data.size()}}}},
               {});
    ASSERT_EQ(read_info(folder / "a").metadata, metadata);
    if (length % 10 == 0) {
      verify_all(folder / "a", {});
    }
  }
}

TEST(Container, JoinsPiecesAndLargeSections) {
  const test::Folder folder;
  std::vector<std::uint32_t> numbers(3'000'000);  // more than a chunk
  std::iota(numbers.begin(), numbers.end(), 0u);
  const std::uint64_t bytes = numbers.size() * sizeof numbers[0];
  const auto* start = reinterpret_cast<const char*>(numbers.data());
  write_file(folder / "a", "k", Json::Object{}, "",
             {{"d",
               {{start, 1},
                {start + 1, 0},
                {start + 1, 5'000'001},
                {start + 5'000'002, bytes - 5'000'002}}}},
             {});
  verify_all(folder / "a", {});
  for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
    File file = File::open(folder / "a", mode);
    const Buffer data = file.section("d", bytes);
    EXPECT_EQ(std::memcmp(data.data(), start, bytes), 0);
  }
}

TEST(Container, CarriesMetadataOfAnyText) {
  const test::Folder folder;
  std::string text = "{\"json\": \"inside\"}\n\t\\ \xC3\xA9 \xF0\x9F\x98\x80";
  text.push_back('\0');
  write_file(folder / "a", "k", Json::Object{}, text, {}, {});
  EXPECT_EQ(read_info(folder / "a").metadata, text);
}

TEST(Container, RefusesMetadataItCannotKeep) {
  const test::Folder folder;
  const auto message = [&](const std::string& metadata) -> std::string {
    try {
      write_file(folder / "a", "k", Json::Object{}, metadata, {}, {});
    } catch (const ArgumentError& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  EXPECT_EQ(message("ab\xFF"), "metadata is not UTF-8: got 0x000000ff at byte 2");
  EXPECT_THAT(message(std::string(std::size_t{17} << 20, 'm')), HasSubstr("metadata is too long"));
  EXPECT_TRUE(folder.names().empty());
}

TEST(Container, ReportsBytesAndCanBeStopped) {
  const test::Folder folder;
  const std::string data(10'000'000, 'x');
  std::vector<std::uint64_t> seen;
  RunOptions run;
  std::uint64_t total = 0;
  run.progress = [&](const Progress& progress) {
    seen.push_back(progress.done);
    total = progress.total;
    return true;
  };
  write_file(folder / "a", "k", Json::Object{}, "", {{"d", {{data.data(), data.size()}}}}, run);
  EXPECT_EQ(total, read_info(folder / "a").file_bytes);
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), total);
  seen.clear();
  verify_all(folder / "a", run);
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), total);
  run.progress = [](const Progress&) { return false; };
  EXPECT_THROW(verify_all(folder / "a", run), CancelledError);
}

}  // namespace
}  // namespace vicinal::storage
