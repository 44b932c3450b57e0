// Indexes opened from files that are well formed and lie. tests/cpp/fuzz searches for more of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "../fuzz/exercise.h"
#include "../fuzz/parts.h"
#include "../fuzz/samples.h"
#include "files.h"

namespace vicinal {
namespace {

using storage::Json;
using test::Parts;
using testing::HasSubstr;

std::string* section_of(Parts& parts, const std::string& name) {
  for (auto& [section, bytes] : parts.sections) {
    if (section == name) {
      return &bytes;
    }
  }
  return nullptr;
}

void poke_u32(std::string& bytes, std::size_t place, std::uint32_t value) {
  std::memcpy(&bytes.at(place * 4), &value, 4);
}

void set(Parts& parts, const std::string& key, Json value) {
  Json::Object config = Json::parse(parts.config).as_object();
  config[key] = std::move(value);
  parts.config = Json(std::move(config)).dump();
}

class EachIndex : public testing::TestWithParam<test::SavedSample> {
 protected:
  void SetUp() override {
    GetParam().save(path_);
    good_ = test::parts_of(path_);
  }

  void write(const Parts& parts) { test::write_bytes(path_, test::file_of(parts)); }

  /// Nothing but refusals of the library may come out.
  void use(const Parts& parts) {
    write(parts);
    test::exercise(path_);
  }

  void expect_refused(const Parts& parts, const std::string& why) {
    write(parts);
    for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
      if (good_.kind == "flat") {
        EXPECT_THROW(FlatIndex::open(path_, mode), FormatError) << why;
      } else if (good_.kind == "binary") {
        EXPECT_THROW(BinaryIndex::open(path_, mode), FormatError) << why;
      } else {
        EXPECT_THROW(HnswIndex::open(path_, mode), FormatError) << why;
      }
    }
  }

  test::Folder folder_;
  std::string path_ = folder_ / "index";
  Parts good_;
};

INSTANTIATE_TEST_SUITE_P(Damage, EachIndex, testing::ValuesIn(test::saved_samples()),
                         [](const auto& sample) {
                           std::string name = sample.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(EachIndex, OpensUndamaged) {
  write(good_);
  for (const OpenMode mode : {OpenMode::kMap, OpenMode::kLoad}) {
    if (good_.kind == "flat") {
      EXPECT_NO_THROW(test::exercise_flat(path_, mode));
      EXPECT_THROW(HnswIndex::open(path_, mode), FormatError);
    } else if (good_.kind == "binary") {
      EXPECT_NO_THROW(test::exercise_binary(path_, mode));
      EXPECT_THROW(FlatIndex::open(path_, mode), FormatError);
    } else {
      EXPECT_NO_THROW(test::exercise_hnsw(path_, mode));
      EXPECT_THROW(FlatIndex::open(path_, mode), FormatError);
    }
  }
  EXPECT_NO_THROW(verify_file(path_));
}

TEST_P(EachIndex, RefusesAConfigThatIsNoConfig) {
  const Json good = Json::parse(good_.config);
  for (const auto& [key, value] : good.as_object()) {
    Parts parts = good_;
    Json::Object config = good.as_object();
    config.erase(key);
    parts.config = Json(config).dump();
    expect_refused(parts, "without " + key);
    for (const Json& wrong : {Json(nullptr), Json(true), Json("?"), Json(-1.0), Json(0.5),
                              Json(Json::Array{}), Json(Json::Object{})}) {
      Parts other = good_;
      set(other, key, wrong);
      expect_refused(other, key + " = " + wrong.dump());
    }
  }
}

TEST_P(EachIndex, RefusesSectionsOfAnotherLength) {
  for (std::size_t s = 0; s < good_.sections.size(); ++s) {
    const std::string& bytes = good_.sections[s].second;
    for (const std::size_t length :
         {std::size_t{0}, bytes.size() - 1, bytes.size() + 1, bytes.size() * 2}) {
      Parts parts = good_;
      parts.sections[s].second.resize(length);
      expect_refused(parts, good_.sections[s].first + " of length " + std::to_string(length));
    }
    Parts parts = good_;
    parts.sections.erase(parts.sections.begin() + static_cast<std::ptrdiff_t>(s));
    if (good_.sections[s].first == "ids") {
      use(parts);  // then ids are row numbers
    } else {
      expect_refused(parts, "without " + good_.sections[s].first);
    }
  }
}

TEST_P(EachIndex, SurvivesNumbersOutOfRange) {
  const Json good = Json::parse(good_.config);
  for (const auto& [key, value] : good.as_object()) {
    for (const std::uint64_t number :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{39},
          std::uint64_t{41}, std::uint64_t{32768}, std::uint64_t{32769}, std::uint64_t{0x7FFFFFFE},
          std::uint64_t{0x7FFFFFFF}, std::uint64_t{0x80000000}, std::uint64_t{0xFFFFFFFE},
          std::uint64_t{0xFFFFFFFF}, std::uint64_t{0x100000000}, std::uint64_t{1} << 62,
          std::uint64_t{0x7FFFFFFFFFFFFFFF}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
      SCOPED_TRACE(key + " = " + std::to_string(number));
      Parts parts = good_;
      set(parts, key, number);
      use(parts);
    }
  }
}

TEST_P(EachIndex, SurvivesRandomChangesOfItsSections) {
  static constexpr std::uint64_t kNumbers[] = {0,
                                               1,
                                               31,
                                               32,
                                               39,
                                               40,
                                               41,
                                               0xFF,
                                               0x7FFFFFFF,
                                               0x80000000,
                                               0xFFFFFFFE,
                                               0xFFFFFFFF,
                                               0x7F800000,
                                               0xFF800000,
                                               0x7FC00000,
                                               0x7F7FFFFF,
                                               0x7FFFFFFFFFFFFFFF,
                                               0x8000000000000000,
                                               ~std::uint64_t{0}};
  for (std::uint64_t i = 0; i < 300 && !good_.sections.empty(); ++i) {
    SCOPED_TRACE("change " + std::to_string(i));
    Parts parts = good_;
    const std::uint64_t changes = 1 + random_below(8, /*seed=*/2, 0, i);
    for (std::uint64_t c = 0; c < changes; ++c) {
      auto& bytes = parts.sections[random_below(parts.sections.size(), 2, 1 + c, i)].second;
      if (bytes.size() < 8) {
        continue;
      }
      const std::uint64_t number = random_u64(2, 10 + c, i) % 2 == 0
                                       ? random_u64(2, 20 + c, i)
                                       : kNumbers[random_below(std::size(kNumbers), 2, 30 + c, i)];
      const std::size_t width = std::size_t{1} << random_below(4, 2, 40 + c, i);
      const std::size_t at = random_below(bytes.size() - 7, 2, 50 + c, i) / width * width;
      std::memcpy(&bytes[at], &number, width);
    }
    use(parts);
  }
}

/// Every value of a section becomes the same.
TEST_P(EachIndex, SurvivesSectionsFilledWithOneNumber) {
  for (std::size_t s = 0; s < good_.sections.size(); ++s) {
    for (const std::uint32_t number :
         {0u, 1u, 39u, 40u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFEu, 0xFFFFFFFFu, 0x7F800000u,
          0xFF800000u, 0x7FC00000u, 0x7F7FFFFFu, 0xFF7FFFFFu}) {
      SCOPED_TRACE(good_.sections[s].first + " filled with " + std::to_string(number));
      Parts parts = good_;
      std::string& bytes = parts.sections[s].second;
      for (std::size_t i = 0; i < bytes.size() / 4; ++i) {
        poke_u32(bytes, i, number);
      }
      use(parts);
    }
  }
}

// ---- Links
// ---------------------------------------------------------------------------------------

class HnswLinks : public testing::Test {
 protected:
  void SetUp() override {
    const auto samples = test::saved_samples();
    const auto sample =
        std::find_if(samples.begin(), samples.end(),
                     [](const test::SavedSample& s) { return s.name == "hnsw-float32-none-l2"; });
    ASSERT_NE(sample, samples.end());
    sample->save(path_);
    parts_ = test::parts_of(path_);
  }

  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const FormatError& error) {
      return error.what();
    }
    return "nothing thrown";
  }

  /// A mapped file can be searched, and refuses to be changed; a loaded one does not open.
  void expect_distrusted(const std::string& why) {
    test::write_bytes(path_, test::file_of(parts_));
    EXPECT_THAT(refusal([&] { HnswIndex::open(path_, OpenMode::kLoad); }), HasSubstr(why));
    HnswIndex index = HnswIndex::open(path_, OpenMode::kMap);
    test::Asked asked(index.dim());
    const auto search = [&] {
      index.search(asked.queries, HnswSearch{}, {asked.ids.data(), 2, 5},
                   {asked.distances.data(), 2, 5});
    };
    search();
    const std::size_t before = index.size();
    EXPECT_THAT(refusal([&] { index.add(asked.queries); }), HasSubstr(why));
    EXPECT_THAT(refusal([&] { index.reorder(); }), HasSubstr(why));
    EXPECT_EQ(index.size(), before);
    search();
  }

  test::Folder folder_;
  std::string path_ = folder_ / "index";
  Parts parts_;
};

TEST_F(HnswLinks, ToRowsThatAreNotThere) {
  for (const std::uint32_t row : {40u, 41u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFEu}) {
    poke_u32(*section_of(parts_, "links"), 6 * 7, row);
    expect_distrusted("row 7 has a link to " + std::to_string(row) + ", which is not there");
  }
}

TEST_F(HnswLinks, ToTowersThatAreNotThere) {
  for (const std::uint32_t tower : {1000u, 0x7FFFFFFFu, 0xFFFFFFFEu}) {
    poke_u32(*section_of(parts_, "tower_links"), 0, tower);
    expect_distrusted("tower 0 has a link to " + std::to_string(tower) + ", which is not there");
  }
}

TEST_F(HnswLinks, InACircleEndTheWalk) {
  std::string& links = *section_of(parts_, "links");
  for (std::size_t i = 0; i < links.size() / 4; ++i) {
    poke_u32(links, i, static_cast<std::uint32_t>(i / 6 % 2));  // to 0 and 1, themselves among them
  }
  test::write_bytes(path_, test::file_of(parts_));
  test::exercise(path_);
  SUCCEED();
}

}  // namespace
}  // namespace vicinal
