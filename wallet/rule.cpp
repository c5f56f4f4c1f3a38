#include "wallet/rule.h"

#include <algorithm>
#include <array>
#include <tuple>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "src/base/text.h"

namespace paycurl {
namespace {

struct Host {
  std::string name;  ///< lower case, without a final dot
  std::string port;  ///< empty: none is named
};

/// An address has one spelling: that of inet_ntop, and IPv4 where it is that in IPv6's clothes.
std::string in_one_form(const std::string& name) {
  in6_addr six{};
  if (!name.starts_with('[') || !name.ends_with(']')) return name;
  if (::inet_pton(AF_INET6, name.substr(1, name.size() - 2).c_str(), &six) != 1) return name;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&six)) {
    (void)::inet_ntop(AF_INET, &six.s6_addr[12], text.data(), text.size());
    return text.data();
  }
  (void)::inet_ntop(AF_INET6, &six, text.data(), text.size());
  return "[" + std::string(text.data()) + "]";
}

Host split_port(std::string_view text) {
  Host host;
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) host.port = text.substr(colon + 1);
  host.name = lower(text.substr(0, has_port ? colon : std::string_view::npos));
  while (host.name.ends_with('.')) {
    host.name.pop_back();
  }
  host.name = in_one_form(host.name);
  return host;
}

Host host_of(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return {};
  Host host = split_port(origin.substr(scheme + 3));
  if (host.port.empty()) host.port = origin.starts_with("https:") ? "443" : "80";
  return host;
}

auto rank_of(const Rule& rule) {
  const Host host = split_port(rule.host);
  return std::tuple(!host.name.starts_with('*'), host.name.size(), !host.port.empty());
}

}  // namespace

bool is_host_pattern(std::string_view text) {
  const Host host = split_port(text);
  const bool names_port = text.ends_with(':') || !host.port.empty();
  const bool good_port = host.port.size() <= 5 && !host.port.empty() &&
                         host.port.find_first_not_of("0123456789") == std::string::npos;
  if (names_port && !good_port) return false;
  std::string_view name = host.name;
  if (name == "*") return true;
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.starts_with('[')) {
    in6_addr six{};
    return name.ends_with(']') &&
           ::inet_pton(AF_INET6, std::string(name.substr(1, name.size() - 2)).c_str(), &six) == 1;
  }
  if (name.find_first_not_of("0123456789.") ==
      std::string_view::npos) {  // 127.1 is never asked for
    in_addr four{};
    return ::inet_pton(AF_INET, std::string(name).c_str(), &four) == 1;
  }
  return !name.empty() && name.size() <= 253 && !name.starts_with('.') &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") ==
             std::string_view::npos;
}

bool matches_host(std::string_view pattern, std::string_view origin) {
  const Host wanted = split_port(pattern);
  const Host host = host_of(origin);
  if (host.name.empty() || (!wanted.port.empty() && wanted.port != host.port)) return false;
  if (wanted.name == "*") return true;
  if (!wanted.name.starts_with("*.")) return wanted.name == host.name;
  const std::string_view ending = std::string_view(wanted.name).substr(1);
  return host.name.size() > ending.size() && host.name.ends_with(ending);
}

std::vector<const Rule*> rules_for(const RuleFile& file, std::string_view origin) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : file.hosts) {
    if (matches_host(rule.host, origin)) rules.push_back(&rule);
  }
  std::sort(rules.begin(), rules.end(),
            [](const Rule* a, const Rule* b) { return rank_of(*a) > rank_of(*b); });
  return rules;
}

std::string account_for(const std::vector<RuleFile>& files, std::string_view origin) {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (const auto* name = first_said(rules_for(*file, origin), &Rule::account)) return *name;
  }
  return "";
}

bool allows_http(const std::vector<RuleFile>& files, std::string_view origin, bool wanted) {
  bool allowed = wanted;
  for (const RuleFile& file : files) {
    const auto* said = first_said(rules_for(file, origin), &Rule::allow_http);
    if (said == nullptr && file.all.allow_http.on == false) said = &file.all.allow_http;
    if (said == nullptr) continue;
    if (file.is_final && !*said->on) return false;
    allowed = wanted || *said->on;
  }
  return allowed;
}

}  // namespace paycurl
