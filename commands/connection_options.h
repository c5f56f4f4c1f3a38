// The options that say how a server is reached, what it must be, and when it is asked again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/http/client.h"
#include "src/http/reach.h"
#include "src/payment/redirect.h"
#include "src/payment/retry.h"

namespace paycurl {

class OptionSet;

struct ConnectionOptions {
  // TLS
  std::string cert, cert_type, key, key_type, pass, pinned_key;
  std::string min_tls, max_tls, ciphers, tls13_ciphers;

  // Who is told who we are
  bool netrc = false, netrc_optional = false, digest = false;
  std::string netrc_file;

  // Proxies
  std::string socks5, socks5_hostname, proxy_user, proxy_cacert;
  std::vector<std::string> proxy_headers;
  bool proxy_tunnel = false, proxy_insecure = false;
  std::optional<std::string> no_proxy;

  // The way
  std::vector<std::string> resolve, connect_to;
  std::string interface, unix_socket, abstract_unix_socket;
  int ip_version = 0;
  bool keepalive = true, tcp_nodelay = true;
  std::optional<int> keepalive_time;
  std::string limit_rate;

  // What is asked of it, and how often
  std::string max_file_size, proto, proto_redir, request_target;
  bool path_as_is = false, post301 = false, post302 = false, post303 = false;
  std::optional<int> retry;
  std::optional<double> retry_delay, retry_max_time;
  bool retry_all_errors = false, retry_connrefused = false;
};

void declare_connection_options(OptionSet& set, ConnectionOptions& options);

/// What has no meaning: a usage error. `proxy` is -x.
Result<> check_connection_options(const ConnectionOptions& options, const std::string& proxy);

/// Writes what all connections have in common.
void apply(const ConnectionOptions& options, http::Settings& settings);

/// How the servers that the user names are reached; nullptr when the URL says it all. `has_user`:
/// -u or a token names the user, so no .netrc does.
std::shared_ptr<const http::Reach> reach_of(const ConnectionOptions& options, bool has_user);

RetryRules retry_rules_of(const ConnectionOptions& options);

/// Writes what --post301 and --proto-redir say.
void apply(const ConnectionOptions& options, RedirectRules& rules);

/// What --proto and --proto-redir leave: "=https", "-http", "all", separated by commas and read
/// from left to right. Names that paycurl does not speak are passed over. Absent where `text` is
/// empty.
Schemes parse_schemes(const std::string& text);

/// "100", "1k", "25M" as curl reads sizes and speeds, in bytes; nullopt when it is none.
std::optional<std::int64_t> parse_size(const std::string& text);

}  // namespace paycurl
