#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "files.h"
#include "sample.h"
#include "storage/container.h"
#include "vicinal/errors.h"

namespace vicinal::storage {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;

/// What the call says of the file, if it refuses it. Any other exception fails the test.
std::optional<std::string> refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const FormatError& error) {
    return error.what();
  }
  return std::nullopt;
}

/// Opens a mapped file and looks at every byte of it: a place outside the file would crash.
void look_at_all(const std::string& path) {
  File file = File::open(path, OpenMode::kMap);
  for (const SectionInfo& section : file.info().sections) {
    const Buffer bytes = file.section(section.name, section.bytes);
    unsigned sum = 0;
    for (std::size_t i = 0; i < bytes.size() + 64; ++i) {
      sum += std::to_integer<unsigned>(bytes.data()[i]);
    }
    volatile unsigned seen = sum;
    (void)seen;
  }
}

void expect_refused_by_all(const std::string& path, const std::string& what) {
  for (const auto& call : std::initializer_list<std::function<void()>>{
           [&] { File::open(path, OpenMode::kMap); }, [&] { File::open(path, OpenMode::kLoad); },
           [&] { verify_all(path, {}); }, [&] { read_info(path); }}) {
    const std::optional<std::string> said = refusal(call);
    ASSERT_TRUE(said.has_value()) << "accepted though it " << what;
    EXPECT_THAT(*said, HasSubstr(what));
    EXPECT_THAT(*said, HasSubstr(path + ": at byte "));
  }
}

TEST(Damage, TruncationAtEveryByteIsSeen) {
  const test::Folder folder;
  test::Sample().write(folder / "a");
  const std::uint64_t bytes = std::filesystem::file_size(folder / "a");
  for (std::uint64_t length = bytes; length-- > 0;) {
    std::filesystem::resize_file(folder / "a", length);
    ASSERT_TRUE(refusal([&] { File::open(folder / "a", OpenMode::kMap); })) << length;
    ASSERT_TRUE(refusal([&] { File::open(folder / "a", OpenMode::kLoad); })) << length;
    ASSERT_TRUE(refusal([&] { verify_all(folder / "a", {}); })) << length;
  }
}

TEST(Damage, TrailingBytesAreSeen) {
  const test::Folder folder;
  test::Sample().write(folder / "a");
  const std::uint64_t bytes = std::filesystem::file_size(folder / "a");
  for (const std::uint64_t more : {1u, 63u, 64u, 4095u, 4096u, 1u << 20}) {
    std::filesystem::resize_file(folder / "a", bytes + more);
    expect_refused_by_all(folder / "a", "the file is too long: got " +
                                            std::to_string(bytes + more) + " bytes, wanted " +
                                            std::to_string(bytes));
  }
}

// The preamble is made to agree with the length, so the section table has to notice.
TEST(Damage, HonestLookingTruncationAtEverySectionEdgeIsSeen) {
  const test::Folder folder;
  test::Sample().write(folder / "a");
  const std::string bytes = test::read_bytes(folder / "a");
  const FileInfo info = read_info(folder / "a");
  const std::uint64_t needed = info.sections.back().offset + info.sections.back().bytes + 64;
  std::vector<std::uint64_t> edges = {64, 64 + info.header.size(), needed};
  for (const SectionInfo& section : info.sections) {
    edges.insert(edges.end(), {section.offset, section.offset + section.bytes,
                               section.offset + section.bytes + 64});
  }
  for (const std::uint64_t edge : edges) {
    for (const std::uint64_t length : {edge - 1, edge, edge + 1}) {
      std::string cut =
          test::craft(info.header, std::max<std::uint64_t>(length, 64 + info.header.size()));
      cut.replace(64, std::string::npos, bytes, 64, cut.size() - 64);
      cut.resize(length);
      test::write_bytes(folder / "b", cut);
      const bool whole = length >= needed;
      for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
        EXPECT_EQ(refusal([&] { File::open(folder / "b", mode); }).has_value(), !whole) << length;
      }
      EXPECT_EQ(refusal([&] { verify_all(folder / "b", {}); }).has_value(), !whole) << length;
    }
  }
}

class Flips {
 public:
  Flips() {
    test::Sample().write(folder_ / "a");
    good_ = test::read_bytes(folder_ / "a");
  }

  void flip(std::uint64_t bit) {
    const char good = good_[bit / 8];
    test::poke(folder_ / "a", bit / 8, std::string(1, static_cast<char>(good ^ (1 << (bit % 8)))));
    ASSERT_TRUE(refusal([&] { File::open(folder_ / "a", OpenMode::kLoad); })) << "bit " << bit;
    ASSERT_TRUE(refusal([&] { verify_all(folder_ / "a", {}); })) << "bit " << bit;
    refusal([&] { look_at_all(folder_ / "a"); });  // either way, but no crash
    test::poke(folder_ / "a", bit / 8, std::string(1, good));
  }

  const std::string& good() const { return good_; }

 private:
  test::Folder folder_;
  std::string good_;
};

TEST(Damage, EveryFlippedBitOfTheHeaderIsSeen) {
  Flips flips;
  const std::size_t header_end = flips.good().find('\0', 64);
  for (std::uint64_t bit = 0; bit < (header_end + 2) * 8; ++bit) {
    ASSERT_NO_FATAL_FAILURE(flips.flip(bit));
  }
}

TEST(Damage, ThousandsOfFlippedBitsAnywhereAreSeen) {
  Flips flips;
  for (std::uint64_t i = 0; i < 6000; ++i) {
    ASSERT_NO_FATAL_FAILURE(flips.flip(random_u64(/*seed=*/4, 0, i) % (flips.good().size() * 8)));
  }
}

TEST(Damage, RandomBurstsNeverCrash) {
  const test::Folder folder;
  test::Sample().write(folder / "a");
  const std::string good = test::read_bytes(folder / "a");
  for (std::uint64_t i = 0; i < 2000; ++i) {
    std::string bytes = good;
    const std::size_t at = random_u64(/*seed=*/6, 0, i) % (i % 2 == 0 ? 700 : bytes.size());
    const std::size_t length = std::min(bytes.size() - at, 1 + random_u64(6, 1, i) % 40);
    for (std::size_t j = 0; j < length; ++j) {
      bytes[at + j] = static_cast<char>(random_u64(6, 2, i * 64 + j));
    }
    if (bytes == good) {
      continue;
    }
    test::poke(folder / "a", at, std::string_view(bytes).substr(at, length));
    ASSERT_TRUE(refusal([&] { File::open(folder / "a", OpenMode::kLoad); })) << i;
    refusal([&] { look_at_all(folder / "a"); });
    test::poke(folder / "a", at, std::string_view(good).substr(at, length));
  }
}

// ---- Hostile files: all checksums are right
// ------------------------------------------------------

class Hostile : public testing::Test {
 protected:
  void expect_front_refused(const test::Front& front, const std::string& what,
                            const std::string& rest = {}) {
    test::write_bytes(folder_ / "a", front.bytes() + rest);
    expect_refused_by_all(folder_ / "a", what);
  }

  void expect_header_refused(const std::string& header, const std::string& what,
                             std::uint64_t file_bytes = 16384) {
    test::write_bytes(folder_ / "a", test::craft(header, file_bytes));
    expect_refused_by_all(folder_ / "a", what);
  }

  void expect_sections_refused(const std::string& sections, const std::string& what,
                               std::uint64_t file_bytes = 16384) {
    expect_header_refused(R"({"kind":"k","metadata":"","config":{},"sections":[)" + sections + "]}",
                          what, file_bytes);
  }

  static std::string section(const std::string& name, std::uint64_t offset, std::uint64_t bytes) {
    return R"({"name":")" + name + R"(","offset":)" + std::to_string(offset) + R"(,"bytes":)" +
           std::to_string(bytes) + R"(,"crc32c":0})";
  }

  test::Folder folder_;
};

TEST_F(Hostile, NotOurs) {
  test::Front front;
  front.magic = std::string("VICINAL\1", 8);
  front.file_bytes = 64;
  expect_front_refused(front, "at byte 7: this is not a vicinal file");
  test::write_bytes(folder_ / "a", std::string(1000, 'x'));
  expect_refused_by_all(folder_ / "a",
                        "at byte 0: this is not a vicinal file: got byte 0x00000078");
  test::write_bytes(folder_ / "a", "short");
  expect_refused_by_all(folder_ / "a",
                        "this is not a vicinal file: got 5 bytes, wanted at least 64");
  test::write_bytes(folder_ / "a", std::string("VICINAL\0\1", 9));
  expect_refused_by_all(folder_ / "a", "the file is cut short: got 9 bytes, wanted at least 64");
  test::write_bytes(folder_ / "a", "");
  expect_refused_by_all(folder_ / "a", "the file is empty");
}

TEST_F(Hostile, OtherVersions) {
  test::Front front;
  front.file_bytes = 64;
  front.version = 4;
  expect_front_refused(front, "at byte 8: the format is version 4; this library reads versions 1 "
                              "to 3: a newer one is needed");
  front.version = 0;
  expect_front_refused(front, "the format is version 0; this library reads versions 1 to 3");
  front.version = 0xFFFFFFFFu;
  expect_front_refused(front, "version 4294967295");
}

TEST_F(Hostile, ReservedBytes) {
  for (std::size_t i = 32; i < 60; ++i) {
    test::Front front;
    front.file_bytes = 64;
    std::string bytes = front.bytes();
    bytes[i] = 1;
    test::put(bytes, 60, test::crc32c_reference(std::string_view(bytes).substr(0, 60)), 4);
    test::write_bytes(folder_ / "a", bytes);
    expect_refused_by_all(folder_ / "a", "at byte " + std::to_string(i) + ": a reserved byte");
  }
}

TEST_F(Hostile, HeaderLengths) {
  for (const std::uint64_t length :
       {std::uint64_t{937}, std::uint64_t{(16 << 20) + 1}, kHalf - 1, kHalf, kHalf + 1, kHuge - 63,
        kHuge - 1, kHuge}) {
    test::Front front;
    front.file_bytes = 1000;
    front.header_bytes = length;
    expect_front_refused(front,
                         "at byte 16: the header is too long: got " + std::to_string(length) +
                             ", wanted at most 936",
                         std::string(936, ' '));
  }
  test::Front front;  // nothing to parse
  front.file_bytes = 64;
  expect_front_refused(front, "in the header: the text ends, wanted a value");
  // The cap holds even where the file is long enough.
  front.file_bytes = std::uint64_t{32} << 20;
  front.header_bytes = (std::uint64_t{16} << 20) + 1;
  test::write_bytes(folder_ / "a", front.bytes());
  std::filesystem::resize_file(folder_ / "a", front.file_bytes);
  expect_refused_by_all(folder_ / "a", "wanted at most 16777216");
}

TEST_F(Hostile, FileLengths) {
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{65}, kHalf,
                                     kHuge}) {
    test::Front front;
    front.file_bytes = length;
    expect_front_refused(front, "at byte 24: the file is " +
                                    std::string(length > 64 ? "cut short" : "too long") +
                                    ": got 64 bytes, wanted " + std::to_string(length));
  }
}

TEST_F(Hostile, HeadersThatAreNoHeaders) {
  expect_header_refused("[]", "\"kind\" is looked for in something that is not an object");
  expect_header_refused("{}", "in the header: \"kind\" is absent");
  expect_header_refused("{\"kind\":1}", "\"kind\" is not a string");
  expect_header_refused(R"({"kind":"k"})", "\"metadata\" is absent");
  expect_header_refused(R"({"kind":"k","metadata":[]})", "\"metadata\" is not a string");
  expect_header_refused(R"({"kind":"k","metadata":""})", "\"config\" is absent");
  expect_header_refused(R"({"kind":"k","metadata":"","config":3})", "\"config\" is not an object");
  expect_header_refused(R"({"kind":"k","metadata":"","config":{}})", "\"sections\" is absent");
  expect_header_refused(R"({"kind":"k","metadata":"","config":{},"sections":{}})",
                        "\"sections\" is not an array");
  expect_header_refused("{\"kind\":\"k\"", "at byte 75: in the header: the text ends");
  expect_header_refused(std::string(10'000, '['), "nested more than 32 deep");
  expect_header_refused(R"({"kind":"k","kind":"l"})", "key \"kind\" appears twice");
}

TEST_F(Hostile, SectionsThatAreNoSections) {
  expect_sections_refused("7", "\"name\" is looked for in something that is not an object");
  expect_sections_refused(R"({"name":7})", "\"name\" is not a string");
  expect_sections_refused(R"({"name":"a"})", "\"offset\" is absent");
  expect_sections_refused(R"({"name":"a","offset":-4096})", "\"offset\" is not a whole number");
  expect_sections_refused(R"({"name":"a","offset":4096.0})", "\"offset\" is not a whole number");
  expect_sections_refused(R"({"name":"a","offset":18446744073709551616})",
                          "\"offset\" is not a whole number");
  expect_sections_refused(R"({"name":"a","offset":4096,"bytes":"1"})",
                          "\"bytes\" is not a whole number");
  expect_sections_refused(R"({"name":"a","offset":4096,"bytes":1})", "\"crc32c\" is absent");
  expect_sections_refused(R"({"name":"a","offset":4096,"bytes":1,"crc32c":4294967296})",
                          "got 4294967296, wanted a 32-bit number");
}

TEST_F(Hostile, SectionsInImpossiblePlaces) {
  for (const std::uint64_t offset : {1u, 63u, 4095u, 4097u, 8191u}) {
    expect_sections_refused(section("a", offset, 1), "starts off its alignment: got " +
                                                         std::to_string(offset));
  }
  expect_sections_refused(section("a", kHuge, 1), "starts off its alignment");
  expect_sections_refused(section("a", 0, 1), "starts inside what lies before it: got 0");
  expect_sections_refused(section("a", 4096, 4096) + "," + section("b", 4096, 1),
                          "section \"b\" starts inside what lies before it: got 4096, wanted 8256");
  expect_sections_refused(section("a", 4096, 4033) + "," + section("b", 8192, 1),
                          "section \"b\" starts inside");
  expect_sections_refused(section("a", 8192, 1) + "," + section("b", 4096, 1),
                          "section \"b\" starts inside");
  for (const std::uint64_t offset : {std::uint64_t{20480}, kHalf, kHuge - 4095}) {
    expect_sections_refused(section("a", offset, 0), "starts beyond the end of the file: got " +
                                                         std::to_string(offset));
  }
  expect_sections_refused(section("a", 16384, 0), "is longer than the rest of the file");
  expect_sections_refused(section("a", 4096, 1) + "," + section("a", 8192, 1),
                          "section \"a\" appears twice");
}

TEST_F(Hostile, SectionsOfImpossibleLength) {
  for (const std::uint64_t length :
       {std::uint64_t{12225}, std::uint64_t{12288}, kHalf - 4096, kHalf - 1, kHalf, kHalf + 1,
        kHuge - 12288, kHuge - 4160, kHuge - 4159, kHuge - 4096, kHuge - 4095, kHuge - 64,
        kHuge - 63, kHuge}) {
    expect_sections_refused(section("a", 4096, length),
                            "is longer than the rest of the file: got " + std::to_string(length));
  }
  // One less than the first of them fits.
  test::write_bytes(folder_ / "a",
                    test::craft(R"({"kind":"k","metadata":"","config":{},"sections":[)" +
                                    section("a", 4096, 12224) + "]}",
                                16384));
  EXPECT_NO_THROW(look_at_all(folder_ / "a"));
}

TEST_F(Hostile, NamesDoNotFloodTheMessage) {
  const std::string name(100'000, 'n');
  test::write_bytes(folder_ / "a",
                    test::craft(R"({"kind":"k","metadata":"","config":{},"sections":[)" +
                                    section(name + "\\u001b", 1, 1) + "]}", 1 << 20));
  const auto said = refusal([&] { read_info(folder_ / "a"); });
  ASSERT_TRUE(said.has_value());
  EXPECT_LT(said->size(), 400u);
}

// A later library of the same format version may say more.
TEST_F(Hostile, UnknownFieldsAreIgnored) {
  const std::string header =
      R"({"config":{"x":[1.5,{}]},"future":{"deep":[null]},"kind":"k","metadata":"","sections":[)"
      R"({"bytes":0,"codec":"zip","crc32c":0,"name":"a","offset":4096}]})";
  test::write_bytes(folder_ / "a", test::craft(header, 8192));
  EXPECT_NO_THROW(look_at_all(folder_ / "a"));
  EXPECT_NO_THROW(File::open(folder_ / "a", OpenMode::kLoad));
  EXPECT_NO_THROW(verify_all(folder_ / "a", {}));
}

TEST_F(Hostile, SparseGiantOpensWithoutReadingIt) {
  const std::uint64_t bytes = std::uint64_t{1} << 40;
  test::write_bytes(folder_ / "a",
                    test::craft(R"({"kind":"k","metadata":"","config":{},"sections":[)" +
                                    section("a", 4096, 100) + "]}", 8192));
  std::string front = test::read_bytes(folder_ / "a");
  test::put(front, 24, bytes, 8);
  test::put(front, 60, test::crc32c_reference(std::string_view(front).substr(0, 60)), 4);
  test::write_bytes(folder_ / "a", front);
  std::error_code error;
  std::filesystem::resize_file(folder_ / "a", bytes, error);
  if (error) {
    GTEST_SKIP() << "no sparse files here: " << error.message();
  }
  File file = File::open(folder_ / "a", OpenMode::kMap);
  EXPECT_EQ(file.section("a", 100).size(), 100u);
}

}  // namespace
}  // namespace vicinal::storage
