// JSON values: strict reading of foreign text, and two ways of writing.
//
// Reading follows RFC 8259 and I-JSON (RFC 7493): UTF-8, no duplicate keys, at most 32 levels and a
// size limit, so that two readers cannot see two different prices in one text.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/result.h"

namespace paycurl {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;  // in the order of the text

  static constexpr std::size_t kForeignLimit = 64 * 1024;

  Json() = default;                                             ///< null
  Json(std::nullptr_t) {}                                       // NOLINT: converts on purpose
  Json(bool value) : value_(value) {}                           // NOLINT
  Json(int value) : value_(std::int64_t{value}) {}              // NOLINT
  Json(std::int64_t value) : value_(value) {}                   // NOLINT
  Json(double value) : value_(value) {}                         // NOLINT
  Json(std::string value) : value_(std::move(value)) {}         // NOLINT
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Json(const char* value) : value_(std::string(value)) {}       // NOLINT
  Json(Array value) : value_(std::move(value)) {}               // NOLINT
  static Json object(std::initializer_list<Member> members = {});
  static Json array() { return {Array{}}; }
  /// The string, or null when there is none.
  static Json or_null(const std::optional<std::string>& value);
  static Json or_null(std::string_view value);  ///< null when empty

  /// Reads one JSON text. Kind::protocol on anything that is not exactly that.
  static Result<Json> parse(std::string_view text, std::size_t limit = kForeignLimit);

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* items() const { return std::get_if<Array>(&value_); }
  const Object* members() const { return std::get_if<Object>(&value_); }
  /// The number, when it is written as an integer and fits.
  std::optional<std::int64_t> integer() const;

  /// The member, or nullptr when there is none or this is no object.
  const Json* find(std::string_view key) const;
  /// A string member. Absent or of another type: Kind::protocol, naming the key.
  Result<std::string> string_at(std::string_view key) const;
  /// A string member that may be absent (or null); of another type it is an error.
  Result<std::optional<std::string>> optional_string_at(std::string_view key) const;
  /// The same for integers and truth values.
  Result<std::optional<std::int64_t>> optional_integer_at(std::string_view key) const;
  Result<std::optional<bool>> optional_boolean_at(std::string_view key) const;

  /// Adds or replaces a member. Only on objects.
  Json& set(std::string key, Json value);
  /// Appends an item. Only on arrays.
  Json& push(Json value);

  /// Compact, members in their order; strings that are not UTF-8 are made so.
  std::string dump() const;
  /// Compact and canonical: RFC 8785 (JCS).
  std::string canonical() const;

 private:
  explicit Json(Object value) : value_(std::move(value)) {}
  void write(std::string& out, bool sorted) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
  friend class JsonReader;
};

}  // namespace paycurl
