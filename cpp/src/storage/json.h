#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace vicinal::storage {

struct ParseError {
  std::string what;
  std::size_t offset;  ///< byte in the text, 0 when the value is of the wrong kind
};

/// The little of JSON (RFC 8259) that a header needs: objects, arrays, strings, unsigned 64-bit and
/// double numbers, booleans, null. Strict; nesting at most 32 deep; repeated keys are an error, and
/// so are bytes that are not UTF-8.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;  // sorted keys: the same header prints the same bytes

  static constexpr std::size_t kMaxDepth = 32;
  // A value takes some hundred bytes here and may take two in the text: a bound on the memory that
  // a hostile header can ask for.
  static constexpr std::size_t kMaxValues = std::size_t{1} << 18;

  Json() noexcept;
  Json(std::nullptr_t) noexcept;
  // Out of line: inlined, the moves of a variant this wide make GCC 12 warn of what is not so.
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();
  Json(bool b) : value_(b) {}
  // Any unsigned type: size_t and uint64_t are different types on some systems.
  template <class T, class = std::enable_if_t<std::is_unsigned_v<T> && !std::is_same_v<T, bool>>>
  Json(T u) : value_(static_cast<std::uint64_t>(u)) {}
  Json(double d) : value_(d) {}
  Json(std::string s) : value_(std::move(s)) {}
  Json(const char* s) : value_(std::string(s)) {}
  Json(Array a) : value_(std::move(a)) {}
  Json(Object o) : value_(std::move(o)) {}

  /// Throws ParseError.
  static Json parse(std::string_view text);
  /// Strings must be UTF-8 and numbers finite. Equal values print equal bytes.
  std::string dump() const;

  // Readers throw ParseError naming the key: absent, or of another type.
  const Json& at(std::string_view key) const;
  bool has(std::string_view key) const;
  bool as_bool(std::string_view what = "value") const;
  std::uint64_t as_u64(std::string_view what = "value") const;
  double as_double(std::string_view what = "value") const;  ///< of either kind of number
  const std::string& as_string(std::string_view what = "value") const;
  const Array& as_array(std::string_view what = "value") const;
  const Object& as_object(std::string_view what = "value") const;

 private:
  std::variant<std::nullptr_t, bool, std::uint64_t, double, std::string, Array, Object> value_ =
      nullptr;
};

/// Offset of the first byte that does not belong to well-formed UTF-8; text.size() if none.
std::size_t utf8_prefix(std::string_view text) noexcept;

/// Text from a file, fit for a message: in quotes, control characters escaped, cut when long.
std::string in_quotes(std::string_view text);

}  // namespace vicinal::storage
