#include "storage/json.h"

#include <cassert>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>

namespace vicinal::storage {
namespace {

// Length of the well-formed UTF-8 sequence at the front of text, 0 if there is none
// (Unicode 15, table 3-7: neither overlong forms, nor surrogates, nor beyond U+10FFFF).
std::size_t utf8_sequence(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;  // 0 continues nothing
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0);
  if (text.empty()) {
    return 0;
  }
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return continues(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) >= 0xA0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90;
    const bool beyond = first == 0xF4 && byte(1) >= 0x90;
    return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

// strtod and printf follow the locale of the process, which may write a comma; streams can be told
// not to. (std::from_chars for double is missing from the libraries of some systems.)
double read_double(const std::string& text) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  double value = 0;
  in >> value;
  // Beyond the range one library leaves infinity, another the largest number and a failed stream.
  // A failed stream with a small value is one that went below the smallest: fine.
  const bool beyond = std::isinf(value) ||
                      (in.fail() && std::fabs(value) == std::numeric_limits<double>::max());
  return beyond ? std::numeric_limits<double>::infinity() : value;
}

std::string print_double(double value) {
  assert(std::isfinite(value));
  std::string text;
  for (int digits = 15; digits <= 17; ++digits) {  // the shortest that reads back the same
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out.precision(digits);
    out << value;
    text = out.str();
    if (read_double(text) == value) {
      break;
    }
  }
  if (text.find_first_of(".e") == std::string::npos) {
    text += ".0";  // stays a double when read again
  }
  return text;
}

void print_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = any(0);
    skip_space();
    if (at_ < text_.size()) {
      fail("text after the end of the value");
    }
    return value;
  }

 private:
  [[noreturn]] void fail(std::string what) const { fail(std::move(what), at_); }
  [[noreturn]] static void fail(std::string what, std::size_t offset) {
    throw ParseError{std::move(what), offset};
  }

  bool ended() const { return at_ >= text_.size(); }
  char peek() const { return ended() ? '\0' : text_[at_]; }
  bool digit() const { return peek() >= '0' && peek() <= '9'; }

  void skip_space() {
    while (!ended() && (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r')) {
      ++at_;
    }
  }

  bool take(char c) {
    if (ended() || text_[at_] != c) {
      return false;
    }
    ++at_;
    return true;
  }

  void need(char c, const char* where) {
    if (!take(c)) {
      fail(std::string(ended() ? "the text ends" : "unexpected character") + ", wanted '" + c +
           "' " + where);
    }
  }

  Json word(std::string_view spelling, Json value) {
    if (text_.substr(at_, spelling.size()) != spelling) {
      fail("unknown word, wanted " + std::string(spelling));
    }
    at_ += spelling.size();
    return value;
  }

  Json any(std::size_t depth) {
    skip_space();
    if (++values_ > Json::kMaxValues) {
      fail("more than " + std::to_string(Json::kMaxValues) + " values");
    }
    switch (peek()) {
      case '{': return object(depth + 1);
      case '[': return array(depth + 1);
      case '"': return string();
      case 't': return word("true", true);
      case 'f': return word("false", false);
      case 'n': return word("null", nullptr);
      default: break;
    }
    if (digit() || peek() == '-') {
      return number();
    }
    fail(ended() ? "the text ends, wanted a value" : "unexpected character, wanted a value");
  }

  void check_depth(std::size_t depth) const {
    if (depth > Json::kMaxDepth) {
      fail("nested more than " + std::to_string(Json::kMaxDepth) + " deep");
    }
  }

  Json object(std::size_t depth) {
    check_depth(depth);
    ++at_;
    Json::Object members;
    skip_space();
    if (take('}')) {
      return members;
    }
    do {
      skip_space();
      const std::size_t start = at_;
      if (peek() != '"') {
        fail("wanted a key in quotes");
      }
      std::string key = string();
      skip_space();
      need(':', "after a key");
      Json value = any(depth);
      const auto [place, added] = members.emplace(std::move(key), std::move(value));
      if (!added) {
        fail("key " + in_quotes(place->first) + " appears twice", start);
      }
      skip_space();
    } while (take(','));
    need('}', "at the end of an object");
    return members;
  }

  Json array(std::size_t depth) {
    check_depth(depth);
    ++at_;
    Json::Array items;
    skip_space();
    if (take(']')) {
      return items;
    }
    do {
      items.push_back(any(depth));
      skip_space();
    } while (take(','));
    need(']', "at the end of an array");
    return items;
  }

  std::uint32_t hex4() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const bool low = c >= 'a' && c <= 'f';
      if (!digit() && !low && !(c >= 'A' && c <= 'F')) {
        fail("wanted four hexadecimal digits after \\u");
      }
      value = value * 16 +
              static_cast<std::uint32_t>(digit() ? c - '0' : (low ? c - 'a' : c - 'A') + 10);
    }
    return value;
  }

  void escape(std::string& out) {
    const std::size_t start = at_ - 1;
    const char c = peek();
    ++at_;
    switch (c) {
      case '"': case '\\': case '/': out.push_back(c); return;
      case 'b': out.push_back('\b'); return;
      case 'f': out.push_back('\f'); return;
      case 'n': out.push_back('\n'); return;
      case 'r': out.push_back('\r'); return;
      case 't': out.push_back('\t'); return;
      case 'u': break;
      default: fail("unknown escape in a string", start);
    }
    std::uint32_t point = hex4();
    if (point >= 0xD800 && point <= 0xDFFF) {
      if (point >= 0xDC00 || !take('\\') || !take('u')) {
        fail("half of a surrogate pair", start);
      }
      const std::uint32_t low = hex4();
      if (low < 0xDC00 || low > 0xDFFF) {
        fail("half of a surrogate pair", start);
      }
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, point);
  }

  std::string string() {
    const std::size_t start = at_++;
    std::string out;
    for (;;) {
      if (ended()) {
        fail("string without an end", start);
      }
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (c == '\\') {
        ++at_;
        escape(out);
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        fail("control character in a string");
      }
      const std::size_t length = utf8_sequence(text_.substr(at_));
      if (length == 0) {
        fail("a byte that is not UTF-8 in a string");
      }
      out.append(text_, at_, length);
      at_ += length;
    }
  }

  void digits(const char* where) {
    if (!digit()) {
      fail(std::string("wanted a digit ") + where);
    }
    while (digit()) {
      ++at_;
    }
  }

  Json number() {
    const std::size_t start = at_;
    const bool negative = take('-');
    bool whole = !negative;
    if (!take('0')) {
      digits("after '-'");
    } else if (digit()) {
      fail("number with a leading zero", start);
    }
    if (take('.')) {
      whole = false;
      digits("after '.'");
    }
    if (take('e') || take('E')) {
      whole = false;
      if (!take('+')) {
        take('-');
      }
      digits("in the exponent");
    }
    const std::string_view text = text_.substr(start, at_ - start);
    if (whole) {
      constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
      std::uint64_t value = 0;
      std::size_t i = 0;
      for (; i < text.size(); ++i) {
        const auto next = static_cast<std::uint64_t>(text[i] - '0');
        if (value > (kMax - next) / 10) {
          break;
        }
        value = value * 10 + next;
      }
      if (i == text.size()) {
        return value;
      }
    }
    const double value = read_double(std::string(text));
    if (std::isinf(value)) {
      fail("number beyond the range of a double", start);
    }
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
};

template <class T, class Variant>
const T& get(const Variant& value, std::string_view what, const char* wanted) {
  if (const T* held = std::get_if<T>(&value)) {
    return *held;
  }
  throw ParseError{in_quotes(what) + " is not " + wanted, 0};
}

struct Printer {
  std::string& out;

  void operator()(std::nullptr_t) const { out += "null"; }
  void operator()(bool b) const { out += b ? "true" : "false"; }
  void operator()(std::uint64_t u) const { out += std::to_string(u); }
  void operator()(double d) const { out += print_double(d); }
  void operator()(const std::string& s) const { print_string(s, out); }
  void operator()(const Json::Array& items) const {
    out.push_back('[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      out += i == 0 ? "" : ",";
      out += items[i].dump();
    }
    out.push_back(']');
  }
  void operator()(const Json::Object& members) const {
    out.push_back('{');
    bool first = true;
    for (const auto& [key, value] : members) {
      out += first ? "" : ",";
      first = false;
      print_string(key, out);
      out.push_back(':');
      out += value.dump();
    }
    out.push_back('}');
  }
};

}  // namespace

std::size_t utf8_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = utf8_sequence(text.substr(at));
    if (length == 0) {
      break;
    }
    at += length;
  }
  return at;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string_view kept = text.substr(0, kLongest);
  kept = kept.substr(0, utf8_prefix(kept));  // never half a character
  std::string out;
  print_string(kept, out);
  if (kept.size() < text.size()) {
    out += "...";
  }
  return out;
}

Json::Json() noexcept = default;
Json::Json(std::nullptr_t) noexcept {}
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json Json::parse(std::string_view text) { return Parser(text).document(); }

std::string Json::dump() const {
  std::string out;
  std::visit(Printer{out}, value_);
  return out;
}

bool Json::has(std::string_view key) const {
  const Object* members = std::get_if<Object>(&value_);
  return members != nullptr && members->find(std::string(key)) != members->end();
}

const Json& Json::at(std::string_view key) const {
  const Object* members = std::get_if<Object>(&value_);
  if (members == nullptr) {
    throw ParseError{in_quotes(key) + " is looked for in something that is not an object", 0};
  }
  const auto place = members->find(std::string(key));
  if (place == members->end()) {
    throw ParseError{in_quotes(key) + " is absent", 0};
  }
  return place->second;
}

bool Json::as_bool(std::string_view what) const { return get<bool>(value_, what, "true or false"); }

std::uint64_t Json::as_u64(std::string_view what) const {
  return get<std::uint64_t>(value_, what, "a whole number from 0 to 2^64 - 1");
}

double Json::as_double(std::string_view what) const {
  if (const auto* whole = std::get_if<std::uint64_t>(&value_)) {
    return static_cast<double>(*whole);
  }
  return get<double>(value_, what, "a number");
}

const std::string& Json::as_string(std::string_view what) const {
  return get<std::string>(value_, what, "a string");
}

const Json::Array& Json::as_array(std::string_view what) const {
  return get<Array>(value_, what, "an array");
}

const Json::Object& Json::as_object(std::string_view what) const {
  return get<Object>(value_, what, "an object");
}

}  // namespace vicinal::storage
