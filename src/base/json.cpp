#include "src/base/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "src/base/text.h"

namespace paycurl {

/// Builds a Json from the events of the library's parser, and stops at the first thing we refuse.
class JsonReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = std::string;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(number_integer_t value) { return add(Json(std::int64_t{value})); }
  bool number_unsigned(number_unsigned_t value) {
    if (value <= INT64_MAX) return add(Json(static_cast<std::int64_t>(value)));
    return add(Json(static_cast<double>(value)));
  }
  bool number_float(number_float_t value, const string_t& /*text*/) {
    return std::isfinite(value) ? add(Json(value)) : refuse("a number is out of range");
  }
  bool string(string_t& value) { return add(Json(std::move(value))); }
  bool binary(binary_t& /*value*/) { return refuse("not JSON"); }
  bool start_object(std::size_t /*size*/) { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(string_t& name) {
    auto& members = std::get<Json::Object>(path_.back()->value_);
    if (members.size() == kMaxMembers) return refuse("too many members in one object");
    if (path_.back()->find(name) != nullptr) return refuse("a key stands twice in one object");
    members.emplace_back(std::move(name), Json());
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) {
    return refuse("not valid JSON");
  }

  Json root;
  std::string refusal;

 private:
  static constexpr std::size_t kMaxDepth = 32;
  static constexpr std::size_t kMaxMembers = 1024;

  bool refuse(const char* why) {
    refusal = why;
    return false;
  }

  Json* place(Json value) {
    if (path_.empty()) return &(root = std::move(value));
    Json& parent = *path_.back();
    if (auto* items = std::get_if<Json::Array>(&parent.value_)) {
      return &items->emplace_back(std::move(value));
    }
    return &(std::get<Json::Object>(parent.value_).back().second = std::move(value));
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }

  bool open(Json value) {
    if (path_.size() == kMaxDepth) return refuse("nested too deeply");
    path_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    path_.pop_back();
    return true;
  }

  std::vector<Json*> path_;
};

namespace {

/// ECMAScript's Number::toString, which RFC 8785 section 3.2.2.3 prescribes.
void write_number(std::string& out, double value) {
  if (value == 0) {
    out += '0';
    return;
  }
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  std::string_view shortest(text.data(), static_cast<std::size_t>(end.ptr - text.data()));
  if (shortest.starts_with('-')) {
    out += '-';
    shortest.remove_prefix(1);
  }
  const std::size_t mark = shortest.find('e');
  int exponent = std::atoi(std::string(shortest.substr(mark + 1)).c_str());
  std::string digits{shortest.substr(0, mark)};
  digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // the decimal point stands behind that many digits
  if (point > 21 || point < -5) {
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    exponent = point - 1;
    out += std::string("e") + (exponent < 0 ? "-" : "+") + std::to_string(std::abs(exponent));
  } else if (point <= 0) {
    out += "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  } else if (point >= count) {
    out += digits + std::string(static_cast<std::size_t>(point - count), '0');
  } else {
    out += digits.substr(0, static_cast<std::size_t>(point)) + "." +
           digits.substr(static_cast<std::size_t>(point));
  }
}

void write_string(std::string& out, const std::string& value) {
  out += '"';
  for (const char c : valid_utf8(value)) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u" + hex_digits(static_cast<unsigned char>(c), 4);
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

/// RFC 8785 section 3.2.3 sorts by UTF-16 code units: a letter beyond U+FFFF (a surrogate pair,
/// 0xD800...) comes before U+E000 to U+FFFF, which UTF-8 order would put first.
bool precedes(const std::string& a, const std::string& b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x == a.end() || y == b.end()) return x == a.end() && y != b.end();
  const auto weight = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0xf0) return 0xee00 + byte;  // between the lead bytes 0xed and 0xee
    return byte << 8;
  };
  return weight(*x) < weight(*y);
}

Error wrong_type(std::string_view key, const char* wanted) {
  return {Kind::protocol, "\"" + std::string(key) + "\" is not " + wanted};
}

}  // namespace

Json Json::object(std::initializer_list<Member> members) {
  return Json(Object(members));
}

Json Json::or_null(const std::optional<std::string>& value) {
  return value ? Json(*value) : Json();
}

Json Json::or_null(std::string_view value) {
  return value.empty() ? Json() : Json(value);
}

Result<Json> Json::parse(std::string_view text, std::size_t limit) {
  if (text.size() > limit) return Error{Kind::protocol, "the JSON text is too long"};
  JsonReader reader;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader)) {
    return Error{Kind::protocol, reader.refusal.empty() ? "not valid JSON" : reader.refusal};
  }
  return std::move(reader.root);
}

std::optional<std::int64_t> Json::integer() const {
  const auto* value = std::get_if<std::int64_t>(&value_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

const Json* Json::find(std::string_view key) const {
  const auto* object = members();
  if (object == nullptr) return nullptr;
  const auto found = std::find_if(object->begin(), object->end(),
                                  [&](const Member& member) { return member.first == key; });
  return found == object->end() ? nullptr : &found->second;
}

Result<std::string> Json::string_at(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return Error{Kind::protocol, "\"" + std::string(key) + "\" is missing"};
  if (value->string() == nullptr) return wrong_type(key, "a string");
  return *value->string();
}

Result<std::optional<std::string>> Json::optional_string_at(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::optional<std::string>();
  if (value->string() == nullptr) return wrong_type(key, "a string");
  return std::optional(*value->string());
}

Result<std::optional<std::int64_t>> Json::optional_integer_at(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::optional<std::int64_t>();
  if (!value->integer()) return wrong_type(key, "an integer");
  return value->integer();
}

Result<std::optional<bool>> Json::optional_boolean_at(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::optional<bool>();
  if (value->boolean() == nullptr) return wrong_type(key, "true or false");
  return std::optional(*value->boolean());
}

Json& Json::set(std::string key, Json value) {
  auto& members = std::get<Object>(value_);
  for (auto& [name, old] : members) {
    if (name != key) continue;
    old = std::move(value);
    return *this;
  }
  members.emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  std::get<Array>(value_).push_back(std::move(value));
  return *this;
}

void Json::write(std::string& out, bool sorted) const {
  if (is_null()) {
    out += "null";
  } else if (const auto* truth = boolean()) {
    out += *truth ? "true" : "false";
  } else if (const auto whole = integer()) {
    // RFC 8785 numbers are doubles; ours are exact where JCS is not asked for.
    if (sorted) {
      write_number(out, static_cast<double>(*whole));
    } else {
      out += std::to_string(*whole);
    }
  } else if (const auto* number = std::get_if<double>(&value_)) {
    write_number(out, *number);
  } else if (const auto* text = string()) {
    write_string(out, *text);
  } else if (const auto* list = items()) {
    out += '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i != 0) out += ',';
      (*list)[i].write(out, sorted);
    }
    out += ']';
  } else {
    std::vector<const Member*> order;
    for (const Member& member : *members()) {
      order.push_back(&member);
    }
    if (sorted) {
      std::sort(order.begin(), order.end(),
                [](const Member* a, const Member* b) { return precedes(a->first, b->first); });
    }
    out += '{';
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i != 0) out += ',';
      write_string(out, order[i]->first);
      out += ':';
      order[i]->second.write(out, sorted);
    }
    out += '}';
  }
}

std::string Json::dump() const {
  std::string out;
  write(out, false);
  return out;
}

std::string Json::canonical() const {
  std::string out;
  write(out, true);
  return out;
}

}  // namespace paycurl
