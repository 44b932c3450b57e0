#include "storage/json.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"

namespace vicinal::storage {
namespace {

ParseError error_of(std::string_view text) {
  try {
    Json::parse(text);
  } catch (const ParseError& error) {
    EXPECT_FALSE(error.what.empty());
    EXPECT_LE(error.offset, text.size()) << text;
    return error;
  }
  ADD_FAILURE() << "read without complaint: " << std::string(text.substr(0, 80));
  return {"", 0};
}

TEST(Json, PrintsSortedAndReadsBack) {
  const Json value = Json::Object{
      {"zebra", Json::Array{true, false, nullptr}},
      {"ape", std::uint64_t{18446744073709551615u}},
      {"mole", 0.1},
      {"cat", Json::Object{{"name", "\"T\\m\"\n\t\x01\x7F"}}},
      {"whole", 5.0},
      {"empty", Json::Array{Json::Array{}, Json::Object{}, ""}},
  };
  const std::string text =
      R"({"ape":18446744073709551615,"cat":{"name":"\"T\\m\"\n\t\u0001\u007f"},)"
      R"("empty":[[],{},""],"mole":0.1,"whole":5.0,"zebra":[true,false,null]})";
  EXPECT_EQ(value.dump(), text);
  EXPECT_EQ(Json::parse(text).dump(), text);
  EXPECT_EQ(Json::parse(" \t\r\n" + text + "\n").dump(), text);
}

TEST(Json, KeepsUnsignedNumbersExact) {
  for (const std::uint64_t u : {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 53) + 1,
                                std::uint64_t{9223372036854775807u},
                                std::uint64_t{9223372036854775808u},
                                std::uint64_t{18446744073709551609u},
                                std::uint64_t{18446744073709551615u}}) {
    EXPECT_EQ(Json::parse(std::to_string(u)).as_u64(), u);
  }
  // The next one does not fit, and must not wrap.
  const Json beyond = Json::parse("18446744073709551616");
  EXPECT_THROW(beyond.as_u64(), ParseError);
  EXPECT_EQ(beyond.as_double(), 18446744073709551616.0);
  for (const char* text : {"-1", "1.0", "1e3", "-0", "99999999999999999999999"}) {
    EXPECT_THROW(Json::parse(text).as_u64(), ParseError) << text;
  }
}

TEST(Json, KeepsDoublesExact) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const double exponent = random_unit(/*seed=*/3, 0, i) * 600 - 300;
    const double value = (random_unit(3, 1, i) - 0.5) * std::pow(10.0, exponent);
    EXPECT_EQ(Json::parse(Json(value).dump()).as_double(), value);
  }
  using Limits = std::numeric_limits<double>;
  for (const double value : {0.0, 1e15, 1e16, 1e17, 123456789012345678.0, Limits::max(),
                             Limits::lowest(), Limits::min(), Limits::denorm_min()}) {
    const std::string text = Json(value).dump();
    EXPECT_EQ(Json::parse(text).as_double(), value) << text;
    EXPECT_EQ(Json::parse(text).dump(), text);
  }
  EXPECT_EQ(Json::parse("7").as_double(), 7.0);
  EXPECT_EQ(Json::parse("1e-999999").as_double(), 0.0);
  EXPECT_EQ(error_of("[1e999]").offset, 1u);
  EXPECT_EQ(error_of("-1e309").offset, 0u);
}

TEST(Json, DoesNotAskTheLocale) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) != nullptr) {
      break;
    }
  }
  const std::string text = Json(1234.5).dump();
  const double value = Json::parse("1234.5").as_double();
  std::setlocale(LC_ALL, before.c_str());
  EXPECT_EQ(text, "1234.5");
  EXPECT_EQ(value, 1234.5);
}

TEST(Json, ReadsEscapes) {
  EXPECT_EQ(Json::parse(R"("\"\\\/\b\f\n\r\t")").as_string(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(Json::parse(R"("\u0041\u00e9\u20AC\ud83D\uDe00")").as_string(),
            "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(Json::parse(R"("\u0000")").as_string(), std::string(1, '\0'));
  EXPECT_EQ(Json::parse(R"("\uD800\uDC00\uDBFF\uDFFF")").as_string(),
            "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
}

TEST(Json, PassesUtf8Through) {
  const std::string text =
      "\"\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF "
      "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"";
  EXPECT_EQ(Json::parse(text).dump(), text);
  EXPECT_EQ(utf8_prefix(text), text.size());
}

TEST(Json, RefusesWhatIsNotUtf8) {
  const std::vector<std::string> bad = {
      "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2" "a", "\xE0\x9F\xBF", "\xE1\x80",
      "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF1\x80\x80", "\xF4\x90\x80\x80",
      "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF"};
  for (const std::string& bytes : bad) {
    EXPECT_EQ(error_of("\"ab" + bytes + "\"").offset, 3u) << Json(bytes).dump();
    EXPECT_EQ(utf8_prefix("ab" + bytes), 2u);
    EXPECT_EQ(utf8_prefix("ab" + bytes + "c"), 2u);
  }
}

struct Bad {
  std::string text;
  std::size_t offset;
};

TEST(Json, RefusesAndSaysWhere) {
  const std::vector<Bad> all = {
      {"", 0},
      {"  ", 2},
      {"{", 1},
      {"[", 1},
      {"]", 0},
      {"}", 0},
      {"[1", 2},
      {"[1,", 3},
      {"[1,]", 3},
      {"[,1]", 1},
      {"[1 2]", 3},
      {"[1]]", 3},
      {"1 2", 2},
      {"{1:2}", 1},
      {"{\"a\"}", 4},
      {"{\"a\":}", 5},
      {"{\"a\":1,}", 7},
      {"{\"a\" 1}", 5},
      {"{a:1}", 1},
      {"nul", 0},
      {"nulL", 0},
      {"nulls", 4},
      {"TRUE", 0},
      {"tru", 0},
      {"NaN", 0},
      {"Infinity", 0},
      {"-Infinity", 1},
      {"-", 1},
      {"+1", 0},
      {"01", 0},
      {"-01", 0},
      {"00", 0},
      {".5", 0},
      {"5.", 2},
      {"5.e1", 2},
      {"1e", 2},
      {"1e+", 3},
      {"1e+-1", 3},
      {"0x10", 1},
      {"1_000", 1},
      {"\"", 0},
      {"\"abc", 0},
      {"'a'", 0},
      {"\"\\\"", 0},
      {"\"\\x41\"", 1},
      {"\"\\", 1},
      {"\"\\u12", 5},
      {"\"\\u12g4\"", 5},
      {"\"\\u\"", 3},
      {"\"\\U0041\"", 1},
      {"\"\\ud800\"", 1},
      {"\"\\ud800x\"", 1},
      {"\"\\ud800\\n\"", 1},
      {"\"\\udc00\"", 1},
      {"\"\\ud800\\ud800\"", 1},
      {"\"\\ud800\\u0041\"", 1},
      {"\"a\nb\"", 2},
      {"\"a\tb\"", 2},
      {std::string("\"a\0b\"", 5), 2},
      {std::string("1\0", 2), 1},
      {std::string("\0", 1), 0},
      {"\xEF\xBB\xBF{}", 0},
      {"[1] // no", 4},
      {"/* */ 1", 0},
      {"\"a\" \"b\"", 4},
      {"{}{}", 2},
      {"{\"a\":1,\"b\":2,\"a\":3}", 13},
      {"{\"a\":1,\"\\u0061\":3}", 7},
  };
  for (const Bad& bad : all) {
    EXPECT_EQ(error_of(bad.text).offset, bad.offset) << bad.text;
  }
}

TEST(Json, NestsThirtyTwoDeepAndNoDeeper) {
  const auto nested = [](std::size_t depth, const std::string& open, const std::string& close) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += open;
    text += "1";
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  EXPECT_NO_THROW(Json::parse(nested(32, "[", "]")));
  EXPECT_NO_THROW(Json::parse(nested(32, "{\"a\":", "}")));
  EXPECT_EQ(error_of(nested(33, "[", "]")).offset, 32u);
  EXPECT_EQ(error_of(nested(33, "{\"a\":", "}")).offset, 32u * 5);
  error_of(std::string(1'000'000, '['));  // would take the stack
}

TEST(Json, BoundsTheNumberOfValues) {
  std::string text = "[0";
  for (std::size_t i = 2; i < Json::kMaxValues; ++i) text += ",0";
  EXPECT_EQ(Json::parse(text + "]").as_array().size(), Json::kMaxValues - 1);
  EXPECT_EQ(error_of(text + ",0]").offset, text.size() + 1);
}

TEST(Json, ReadersNameWhatIsWrong) {
  const Json value = Json::parse(R"({"n": 1, "s": "x", "b": true, "a": [], "o": {}, "d": 0.5})");
  EXPECT_TRUE(value.has("n"));
  EXPECT_FALSE(value.has("m"));
  EXPECT_FALSE(Json(1u).has("n"));
  EXPECT_TRUE(value.at("b").as_bool());
  EXPECT_EQ(value.at("d").as_double(), 0.5);
  const auto what = [](auto call) -> std::string {
    try {
      call();
    } catch (const ParseError& error) {
      return error.what;
    }
    return "nothing thrown";
  };
  EXPECT_EQ(what([&] { value.at("missing"); }), "\"missing\" is absent");
  EXPECT_NE(what([&] { Json(1u).at("n"); }).find("not an object"), std::string::npos);
  EXPECT_EQ(what([&] { value.at("s").as_u64("s"); }),
            "\"s\" is not a whole number from 0 to 2^64 - 1");
  EXPECT_EQ(what([&] { value.at("n").as_string("n"); }), "\"n\" is not a string");
  EXPECT_EQ(what([&] { value.at("n").as_array("n"); }), "\"n\" is not an array");
  EXPECT_EQ(what([&] { value.at("a").as_object("a"); }), "\"a\" is not an object");
  EXPECT_EQ(what([&] { value.at("n").as_bool("n"); }), "\"n\" is not true or false");
  EXPECT_EQ(what([&] { value.at("b").as_double("b"); }), "\"b\" is not a number");
}

TEST(Json, QuotesForMessages) {
  EXPECT_EQ(in_quotes("rows"), "\"rows\"");
  EXPECT_EQ(in_quotes("\x1B[31m"), "\"\\u001b[31m\"");
  EXPECT_EQ(in_quotes(std::string(100, 'a')), "\"" + std::string(60, 'a') + "\"...");
  EXPECT_EQ(in_quotes(std::string(59, 'a') + "\xC3\xA9"), "\"" + std::string(59, 'a') + "\"...");
}

// Whatever the bytes, the parser answers or refuses; and what it accepts prints to a fixed point.
TEST(Json, SurvivesRandomDamage) {
  const std::string good =
      R"({"a":[1,2.5e-3,{"b":"\u00e9\ud83d\ude00x"},null,true],"c":"d\\","e":{"f":[[[]]]}})";
  std::size_t accepted = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    std::string text = good;
    const std::uint64_t edits = 1 + random_u64(5, 0, i) % 4;
    for (std::uint64_t e = 0; e < edits; ++e) {
      const std::size_t at = random_u64(5, 1 + e, i) % text.size();
      switch (random_u64(5, 10 + e, i) % 3) {
        case 0: text[at] = static_cast<char>(random_u64(5, 20 + e, i)); break;
        case 1: text.erase(at, 1); break;
        default: text.insert(at, 1, "{}[]\",:\\u0e-."[random_u64(5, 20 + e, i) % 14]); break;
      }
    }
    try {
      const std::string once = Json::parse(text).dump();
      EXPECT_EQ(Json::parse(once).dump(), once);
      ++accepted;
    } catch (const ParseError& error) {
      EXPECT_LE(error.offset, text.size());
    }
  }
  EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace vicinal::storage
