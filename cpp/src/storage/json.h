#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vicinal::storage {

/// The little of JSON (RFC 8259) that a header needs: objects, arrays, strings, unsigned 64-bit and
/// double numbers, booleans, null. Strict; nesting at most 32 deep; repeated keys are an error.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;  // sorted keys: the same header prints the same bytes

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool b) : value_(b) {}
  Json(std::uint64_t u) : value_(u) {}
  Json(double d) : value_(d) {}
  Json(std::string s) : value_(std::move(s)) {}
  Json(const char* s) : value_(std::string(s)) {}
  Json(Array a) : value_(std::move(a)) {}
  Json(Object o) : value_(std::move(o)) {}

  /// Throws ParseError.
  static Json parse(std::string_view text);
  std::string dump() const;

  // Readers throw ParseError naming the key: absent, or of another type.
  const Json& at(std::string_view key) const;
  bool has(std::string_view key) const;
  std::uint64_t as_u64(std::string_view what = "value") const;
  const std::string& as_string(std::string_view what = "value") const;
  const Array& as_array(std::string_view what = "value") const;
  const Object& as_object(std::string_view what = "value") const;

 private:
  std::variant<std::nullptr_t, bool, std::uint64_t, double, std::string, Array, Object> value_ = nullptr;
};

struct ParseError {
  std::string what;
  std::size_t offset;  ///< byte in the text, 0 when the value is of the wrong kind
};

}  // namespace vicinal::storage
