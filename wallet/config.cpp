#include "wallet/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "src/base/text.h"
#include "src/crypto/secp256k1.h"
#include "wallet/keystore.h"

namespace paycurl {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr const char* kSystemFile = "/etc/paycurl/config.toml";
constexpr const char* kHostHint = "write [host.\"api.example.com\"], with the name in quotes";

constexpr std::array<std::string_view, 5> kLimitKeys{"max-spend", "per-day", "max-deposit",
                                                     "max-fee", "max-increase"};
constexpr std::array<std::string_view, 7> kHostKeys{"account", "recipient", "currency",  "network",
                                                    "method",  "deny",      "allow-http"};

template <class Names>
bool has(const Names& names, std::string_view key) {
  return std::find(names.begin(), names.end(), key) != names.end();
}

Error at(const std::string& place, const std::string& message, const std::string& hint = "") {
  return {Kind::usage, printable(place) + ": " + message, hint};
}

// ---- text to entries

std::string with_dashes(std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// Other names of a host's keys.
std::string canonical_host_key(const std::string& key) {
  if (key == "token") return "currency";
  if (key == "chain") return "network";
  return key;
}

class Reader {
 public:
  explicit Reader(std::string path) { file_.path = std::move(path); }

  Result<ConfigFile> read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (auto read = top(key, node); !read) return read.error();
    }
    std::stable_sort(lines_.begin(), lines_.end(),
                     [](const Line& a, const Line& b) { return a.number < b.number; });
    for (Line& line : lines_) {
      file_.entries.push_back(std::move(line.entry));
    }
    return std::move(file_);
  }

 private:
  struct Line {
    toml::source_index number;
    ConfigEntry entry;
  };

  std::string place_of(const toml::key& key) const {
    return file_.path + ":" + std::to_string(key.source().begin.line);
  }

  Result<> top(const toml::key& key, const toml::node& node) {
    const std::string name = with_dashes(key.str());
    const toml::table* table = node.as_table();
    if (name == "limits" && table != nullptr) return limits(*table);
    if (name == "host" && table != nullptr) return hosts(*table);
    if (table != nullptr) {
      return at(place_of(key), "unknown section [" + printable(key.str(), 60) + "]",
                "the sections are [limits] and [host.\"NAME\"]");
    }
    if (name == "final") {
      const auto value = node.value_exact<bool>();
      if (!value) return at(place_of(key), "final is true or false");
      file_.is_final = *value;
      return {};
    }
    return add(has(kLimitKeys, name) ? "limits" : "", name, key, node);
  }

  Result<> limits(const toml::table& table) {
    for (const auto& [key, node] : table) {
      const std::string name = with_dashes(key.str());
      if (!has(kLimitKeys, name)) {
        return at(place_of(key), "unknown key " + printable(key.str(), 60) + " in [limits]",
                  "max_spend, per_day, max_deposit, max_fee and max_increase are known");
      }
      if (auto added = add("limits", name, key, node); !added) return added;
    }
    return {};
  }

  Result<> hosts(const toml::table& table) {
    for (const auto& [key, node] : table) {
      const toml::table* section = node.as_table();
      if (section == nullptr) {
        return at(place_of(key), "unknown key " + printable(key.str(), 60) + " in [host]",
                  kHostHint);
      }
      const std::string host = lower(key.str());
      if (!is_host_pattern(host)) {
        return at(place_of(key), "not a host: " + printable(key.str(), 80),
                  "write a name without scheme and path: \"api.example.com\", "
                  "\"api.example.com:8443\", \"*.example.com\" or \"*\"");
      }
      if (auto read = host_section(host, *section); !read) return read;
    }
    return {};
  }

  Result<> host_section(const std::string& host, const toml::table& section) {
    for (const auto& [key, node] : section) {
      if (node.is_table()) {
        return at(
            place_of(key),
            "unknown section [host." + printable(host, 60) + "." + printable(key.str(), 60) + "]",
            kHostHint);
      }
      const std::string name = canonical_host_key(with_dashes(key.str()));
      if (!has(kLimitKeys, name) && !has(kHostKeys, name)) {
        return at(place_of(key),
                  "unknown key " + printable(key.str(), 60) + " in [host.\"" + printable(host, 60) +
                      "\"]",
                  "see paycurl-config(5) for the keys of a host");
      }
      if (auto added = add("host " + host, name, key, node); !added) return added;
    }
    return {};
  }

  Result<> add(const std::string& section, const std::string& name, const toml::key& key,
               const toml::node& node) {
    ConfigEntry entry{section, name, {}, {}, false, false, place_of(key)};
    for (const Line& line : lines_) {
      if (line.entry.section != section || line.entry.key != name) continue;
      return at(entry.place, printable(key.str(), 60) + " is said already, in line " +
                                 std::to_string(line.number));
    }
    if (const toml::array* list = node.as_array()) {
      entry.is_list = true;
      for (const toml::node& item : *list) {
        if (auto read = scalar(item, entry); !read) return read;
      }
      if (entry.flag || entry.values.empty()) {
        return at(entry.place, printable(key.str(), 60) + " is a list without a text in it");
      }
    } else if (auto read = scalar(node, entry); !read) {
      return read;
    }
    lines_.push_back({key.source().begin.line, std::move(entry)});
    return {};
  }

  static Result<> scalar(const toml::node& node, ConfigEntry& entry) {
    if (const auto text = node.value_exact<std::string>()) {
      if (text->find('\0') != std::string::npos) {
        return at(entry.place, entry.key + " has a NUL character in it");
      }
      entry.values.push_back(*text);
    } else if (const auto truth = node.value_exact<bool>()) {
      entry.flag = *truth;
    } else if (const auto whole = node.value_exact<std::int64_t>()) {
      entry.values.push_back(std::to_string(*whole));
    } else if (const auto real = node.value_exact<double>()) {
      std::array<char, 64> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *real);
      entry.values.emplace_back(digits.data(), end.ptr);
      entry.is_real = true;
    } else {
      return at(entry.place, printable(entry.key, 60) + " is no text, number, truth value or list");
    }
    return {};
  }

  ConfigFile file_;
  std::vector<Line> lines_;
};

// ---- entries to rules

Result<> read_limits(const ConfigEntry& entry, std::vector<Limit>& into) {
  if (entry.flag || entry.is_real) {
    return at(entry.place, entry.key + " is an amount, which is written as a text",
              entry.key + " = \"0.05\"");
  }
  for (const std::string& value : entry.values) {
    auto limit = parse_limit(value);
    if (!limit) {
      return at(entry.place, entry.key + ": " + limit.error().message, limit.error().hint);
    }
    limit->source = Limit::Source::file;
    limit->place = entry.place;
    replace_limit(into, std::move(*limit));
  }
  return {};
}

Result<> read_increase(const ConfigEntry& entry, Increase& into) {
  if (entry.flag || entry.is_list) return at(entry.place, entry.key + " is one percentage");
  auto increase = parse_increase(entry.values.front());
  if (!increase) return at(entry.place, increase.error().message, increase.error().hint);
  into = std::move(*increase);
  into.source = Limit::Source::file;
  into.place = entry.place;
  return {};
}

Result<> read_pin(const ConfigEntry& entry, Pin& into) {
  for (const std::string& value : entry.values) {
    if (value.empty()) return at(entry.place, entry.key + " has an empty value");
    const bool is_node = value.size() == 66 && from_hex(value);
    if (entry.key == "recipient" && !is_node && !Address::parse(value)) {
      return at(entry.place, "not an address: " + printable(value, 80));
    }
    const bool is_chain = value.find_first_not_of("0123456789") == std::string::npos;
    into.values.push_back(entry.key == "network" && is_chain ? "tempo:" + value : value);
  }
  if (entry.flag) return at(entry.place, entry.key + " is a text or a list of texts");
  into.place = entry.place;
  return {};
}

Result<> read_switch(const ConfigEntry& entry, Switch& into) {
  if (!entry.flag) return at(entry.place, entry.key + " is true or false");
  into = {entry.flag, entry.place};
  return {};
}

Result<> read_account(const ConfigEntry& entry, std::string& into) {
  if (entry.flag || entry.is_list) return at(entry.place, "account is one name");
  if (auto good = check_account_name(entry.values.front()); !good) {
    return at(entry.place, good.error().message, good.error().hint);
  }
  into = entry.values.front();
  return {};
}

Result<> read_rule(const ConfigEntry& entry, Rule& rule) {
  const std::string& key = entry.key;
  if (key == "max-spend") return read_limits(entry, rule.max_spend);
  if (key == "per-day") return read_limits(entry, rule.per_day);
  if (key == "max-deposit") return read_limits(entry, rule.max_deposit);
  if (key == "max-fee") return read_limits(entry, rule.max_fee);
  if (key == "max-increase") return read_increase(entry, rule.max_increase);
  if (key == "account") return read_account(entry, rule.account);
  if (key == "deny") return read_switch(entry, rule.deny);
  if (key == "allow-http") return read_switch(entry, rule.allow_http);
  return read_pin(entry, key == "recipient"  ? rule.recipient
                         : key == "currency" ? rule.currency
                         : key == "network"  ? rule.network
                                             : rule.method);
}

// ---- files

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Whether only root, or root and this user, can have written it.
Result<> check_writers(const struct stat& file, const std::string& path, bool only_root) {
  if (file.st_uid != 0 && (only_root || file.st_uid != ::geteuid())) {
    return Error{Kind::usage,
                 printable(path) + " belongs to user " + std::to_string(file.st_uid) +
                     ", who could change your limits",
                 only_root ? "it has to be root's: chown root " + printable(path)
                           : "it has to be yours or root's: see chown(1)"};
  }
  if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{Kind::usage, printable(path) + " is writable by others",
                 "take that away: chmod go-w " + printable(path)};
  }
  return {};
}

Result<> check_folder(const std::string& folder, bool only_root) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0) {
    return Error{Kind::usage, "reading " + printable(folder) + ": " + std::strerror(errno)};
  }
  return check_writers(found, folder, only_root);
}

/// Both folders of a link: that it stands in, and that of what it leads to.
Result<> check_folders(const std::string& path, bool only_root) {
  const std::string folder = folder_of(path);
  if (auto fine = check_folder(folder, only_root); !fine) return fine;
  std::array<char, PATH_MAX> real{};
  if (::realpath(path.c_str(), real.data()) == nullptr) {
    return Error{Kind::usage, "reading " + printable(path) + ": " + std::strerror(errno)};
  }
  const std::string target = folder_of(real.data());
  return target == folder ? Result<>() : check_folder(target, only_root);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The text of a file that can be trusted; nullopt when there is none.
Result<std::optional<std::string>> read_text(const std::string& path, bool only_root) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) {
    const int code = errno;
    struct stat link {};
    // A link that leads nowhere is there: what stood behind it is not known.
    const bool is_away = (code == ENOENT || code == ENOTDIR) && ::lstat(path.c_str(), &link) != 0;
    if (is_away) return std::optional<std::string>();
    return Error{Kind::usage,
                 "the config file " + printable(path) + " cannot be read: " + std::strerror(code),
                 "what it forbids is not known; nothing is done without it"};
  }
  struct stat found {};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return Error{Kind::usage, printable(path) + " is no regular file"};
  }
  if (auto fine = check_writers(found, path, only_root); !fine) return fine.error();
  if (auto fine = check_folders(path, only_root); !fine) return fine.error();
  std::string text;
  std::array<char, 4096> piece{};
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{Kind::usage, "reading " + printable(path) + ": " + std::strerror(errno)};
    }
    if (got == 0) return std::optional(std::move(text));
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > kMostBytes) {
      return Error{Kind::usage, printable(path) + " is larger than 1 MiB"};
    }
  }
}

Result<> read_one(const std::string& path, bool is_system, bool is_named, Config& into) {
  if (path.empty()) return {};
  const auto text = read_text(path, is_system);
  if (!text) return text.error();
  if (!*text) {
    if (!is_named) return {};
    return Error{Kind::usage, "there is no config file " + printable(path),
                 "make it with paycurl config init, or unset PAYCURL_CONFIG"};
  }
  auto file = parse_config(**text, path);
  if (!file) return file.error();
  if (is_system) file->is_final = true;
  auto rules = rules_of(*file);
  if (!rules) return rules.error();
  into.files.push_back(std::move(*file));
  into.rules.push_back(std::move(*rules));
  return {};
}

/// The text in ASCII: whatever else stands in comments is "?", anywhere else it is an error. What
/// toml++ 3.3 makes of other white space is undefined.
class AsciiText {
 public:
  explicit AsciiText(std::string_view text) : text_(text) {}

  Result<std::string> read(const std::string& path) {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (static_cast<unsigned char>(c) >= 0x80) {
        if (quote_ != "#") {
          return at(path + ":" + std::to_string(line_), "a character that is not ASCII",
                    "in a string write it as \\u and four hexadecimal digits");
        }
        text_[at_] = '?';
      }
      step(c);
    }
    return std::move(text_);
  }

 private:
  /// `quote_` is what the place is in: "#" a comment, a string's delimiter, or nothing.
  void step(char c) {
    const std::string here(1, c);
    if (quote_.empty()) {
      if (c == '#') quote_ = "#";
      if (c != '"' && c != '\'') return;
      const std::string triple(3, c);
      quote_ = text_.compare(at_, 3, triple) == 0 ? triple : here;
      at_ += quote_.size() - 1;
    } else if (c == '\n' && quote_.size() == 1) {
      quote_.clear();
    } else if (c == '\\' && quote_[0] == '"') {
      const bool is_escaped =
          at_ + 1 < text_.size() && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\');
      if (is_escaped) ++at_;
    } else if (quote_ != "#" && text_.compare(at_, quote_.size(), quote_) == 0) {
      at_ += quote_.size() - 1;
      quote_.clear();
    }
  }

  std::string text_;
  std::string quote_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

Result<ConfigFile> parse_config(std::string_view text, const std::string& path) {
  if (text.size() > kMostBytes) {
    return Error{Kind::usage, printable(path) + " is larger than 1 MiB"};
  }
  const auto ascii = AsciiText(text).read(path);
  if (!ascii) return ascii.error();
  const toml::parse_result parsed = toml::parse(*ascii);
  if (!parsed) {
    const toml::source_position begin = parsed.error().source().begin;
    return at(path + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column),
              "not TOML: " + printable(parsed.error().description()));
  }
  return Reader(path).read(parsed.table());
}

Result<RuleFile> rules_of(const ConfigFile& file) {
  RuleFile rules;
  rules.path = file.path;
  rules.is_final = file.is_final;
  for (const ConfigEntry& entry : file.entries) {
    if (entry.section.empty()) {  // a default, but for what a final file forbids
      if (rules.is_final && entry.key == "allow-http" && entry.flag == false) {
        rules.all.allow_http = {false, entry.place};
      }
      continue;
    }
    Rule* rule = &rules.all;
    if (entry.section.starts_with("host ")) {
      const std::string host = entry.section.substr(5);
      const auto known = std::find_if(rules.hosts.begin(), rules.hosts.end(),
                                      [&](const Rule& other) { return other.host == host; });
      rule = known == rules.hosts.end() ? &rules.hosts.emplace_back() : &*known;
      rule->host = host;
    }
    if (auto read = read_rule(entry, *rule); !read) return read.error();
  }
  return rules;
}

ConfigPaths config_paths(std::string user, bool is_named) {
  return {kSystemFile, std::move(user), is_named};
}

const ConfigEntry* Config::option(std::string_view key) const {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    for (const ConfigEntry& entry : file->entries) {
      if (entry.section.empty() && entry.key == key) return &entry;
    }
  }
  return nullptr;
}

Result<Config> read_config(const ConfigPaths& paths) {
  Config config;
  if (auto read = read_one(paths.system, true, false, config); !read) return read.error();
  if (auto read = read_one(paths.user, false, paths.is_named, config); !read) return read.error();
  return config;
}

std::string_view example_config() {
  return R"toml(# Defaults and limits of paycurl; see paycurl-config(5). Everything here is optional.

# A default for any option, by its long name. An option on the command line comes before it.
# account = "main"
# max-time = 30
# silent = true
# header = ["X-Team: search"]

# true: no option, variable or other file raises the limits of this file.
# final = true

[limits]
# max_spend = ["1.00", "1000sat"]  # in one run; dollar tokens, and Lightning
# per_day = ["10.00", "10000sat"]  # of one account, counted in UTC
# max_deposit = "5.00"             # in the escrow of a payment channel
# max_fee = "0.02"                 # of the network, for one payment
# max_increase = "10%"             # of a price since it was last paid

# What is said of a host holds for whoever is paid there, also behind a redirect.
# [host."api.example.com"]
# max_spend = "0.05"               # for one request
# per_day = "1.00"                 # of all accounts together
# account = "research"
# recipient = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
# network = "mainnet"

# Nobody else is paid:
# [host."*"]
# deny = true
)toml";
}

}  // namespace paycurl
