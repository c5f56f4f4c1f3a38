// The config files: what they may say, who may have written them, and what it means.
//
// Two files are read: /etc/paycurl/config.toml, which is root's and has the last word about limits,
// and the user's. A file that cannot be trusted or understood is an error, never a file that says
// nothing. The grammar is TOML 1.0; man/paycurl-config.5 describes the keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "wallet/rule.h"

namespace paycurl {

/// One key of a file.
struct ConfigEntry {
  std::string section;  ///< "" for the options' defaults, "limits", or "host NAME"
  std::string key;      ///< "max-time": dashes, as options are written
  std::vector<std::string> values;
  std::optional<bool> flag;  ///< of a truth value, which has no values
  bool is_list = false;
  bool is_real = false;  ///< a number with a fraction, which no amount is made of
  std::string place;     ///< "FILE:LINE"
};

struct ConfigFile {
  std::string path;
  bool is_final = false;
  std::vector<ConfigEntry> entries;  ///< in the order of the file
};

/// Reads a text. Kind::usage with line and column when it is no TOML, with the line when a section,
/// a key or a kind of value is not known. Names of options are not looked at.
Result<ConfigFile> parse_config(std::string_view text, const std::string& path);

/// The limits, pins and denials of a file. Kind::usage with the line of a bad value.
Result<RuleFile> rules_of(const ConfigFile& file);

/// Where the files are.
struct ConfigPaths {
  std::string system;     ///< root's; its limits are always ceilings
  std::string user;       ///< empty when there is no home
  bool is_named = false;  ///< `user` was asked for by name, so it has to be there
};
/// The paths of this installation and user; `user` and `is_named` as the environment has them.
ConfigPaths config_paths(std::string user, bool is_named);

/// What the files say together.
struct Config {
  std::vector<ConfigFile> files;  ///< that are there, /etc first
  std::vector<RuleFile> rules;    ///< of the same files

  /// The entry of the last file that gives this option a default; nullptr when none does.
  const ConfigEntry* option(std::string_view key) const;
};

/// Reads both. A file that is not there says nothing. Kind::usage when one cannot be read, is no
/// regular file, is larger than 1 MiB, belongs to somebody else, or when it or its folder is
/// writable by others.
Result<Config> read_config(const ConfigPaths& paths);

/// A commented example, what `config init` writes.
std::string_view example_config();

}  // namespace paycurl
