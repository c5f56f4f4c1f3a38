// Test vectors: files of tests/vectors as JSON, and short ways into them.
#pragma once

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include <doctest/doctest.h>

#include "src/base/bytes.h"
#include "src/base/json.h"

namespace paycurl::test {

/// Read once; the reference stays good.
inline const Json& load(const std::string& name) {
  static std::map<std::string, Json> loaded;
  if (const auto found = loaded.find(name); found != loaded.end()) return found->second;
  std::ifstream file(std::string(PAYCURL_VECTORS) + "/" + name + ".json");
  REQUIRE_MESSAGE(file.good(), name);
  std::stringstream text;
  text << file.rdbuf();
  auto json = Json::parse(text.str(), 8 << 20);
  REQUIRE_MESSAGE(json.has_value(), name);
  return loaded[name] = *json;
}

/// Vectors that others publish and that are not copied here: ../shared/vectors beside the
/// repository. nullptr where they are not, which the output then says.
inline const Json* published(const std::string& name) {
  const std::string path = "../../../shared/vectors/" + name;
  if (std::ifstream(std::string(PAYCURL_VECTORS) + "/" + path + ".json").good()) return &load(path);
  std::printf("%s: published vectors skipped, no ../shared/vectors\n", name.c_str());
  return nullptr;
}

inline const Json& at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  REQUIRE_MESSAGE(value != nullptr, std::string(key));
  return *value;
}

inline const Json::Array& list(const Json& json, std::string_view key) {
  const auto* items = at(json, key).items();
  REQUIRE(items != nullptr);
  return *items;
}

inline std::string text(const Json& json, std::string_view key) {
  const auto* value = at(json, key).string();
  REQUIRE_MESSAGE(value != nullptr, std::string(key));
  return *value;
}

inline Bytes bytes(const Json& json, std::string_view key) {
  auto read = from_hex(text(json, key));
  REQUIRE(read.has_value());
  return *read;
}

}  // namespace paycurl::test
