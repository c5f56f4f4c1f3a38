#include "commands/connection_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "commands/options.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr const char* kHttp = "HTTP";
constexpr const char* kConnection = "Connection";
constexpr std::size_t kMaxPassword = 1024;

void declare_tls(OptionSet& set, ConnectionOptions& o) {
  const auto least = [&o](const char* version) { return [&o, version] { o.min_tls = version; }; };
  set.in(kConnection)
      .value("-E,--cert", o.cert, "FILE[:PASSWORD]", "show this client certificate")
      .value("--cert-type", o.cert_type, "TYPE", "what it is: PEM, DER or P12 (PEM)")
      .value("--key", o.key, "FILE", "the key of that certificate; not one that pays")
      .value("--key-type", o.key_type, "TYPE", "what it is: PEM or DER (PEM)")
      .value("--pass", o.pass, "PASSWORD", "the password of that key")
      .value("--pinnedpubkey", o.pinned_key, "KEY",
             "the server must have this public key: a file or sha256//BASE64")
      .action("-1,--tlsv1", least("1"), "use TLS 1.0 or newer")
      .action("--tlsv1.2", least("1.2"), "use TLS 1.2 or newer")
      .action("--tlsv1.3", least("1.3"), "use TLS 1.3 or newer")
      .value("--tls-max", o.max_tls, "VERSION", "use TLS up to 1.0, 1.1, 1.2 or 1.3")
      .value("--ciphers", o.ciphers, "LIST", "use these ciphers up to TLS 1.2")
      .value("--tls13-ciphers", o.tls13_ciphers, "LIST", "use these ciphers in TLS 1.3");
}

void declare_proxy(OptionSet& set, ConnectionOptions& o) {
  set.in(kConnection)
      .value("-U,--proxy-user", o.proxy_user, "USER:PASSWORD", "who we are to the proxy")
      .list("--proxy-header", o.proxy_headers, "LINE", "send a header field to the proxy")
      .value("--proxy-cacert", o.proxy_cacert, "FILE", "verify an HTTPS proxy with these")
      .flag("--proxy-insecure", o.proxy_insecure, "do not verify an HTTPS proxy")
      .flag("-p,--proxytunnel", o.proxy_tunnel, "go through the proxy with CONNECT")
      .value("--socks5", o.socks5, "HOST[:PORT]", "use this SOCKS5 proxy")
      .value("--socks5-hostname", o.socks5_hostname, "HOST[:PORT]",
             "the same, and let it resolve names")
      .value("--noproxy", o.no_proxy, "HOSTS", "reach these hosts without a proxy; * is all");
}

void declare_way(OptionSet& set, ConnectionOptions& o) {
  set.in(kConnection)
      .list("--resolve", o.resolve, "HOST:PORT:ADDRESS", "the address of a host")
      .list("--connect-to", o.connect_to, "HOST1:PORT1:HOST2:PORT2",
            "connect to the second instead of the first")
      .value("--interface", o.interface, "NAME", "connect from this interface or address")
      .value("--unix-socket", o.unix_socket, "FILE", "connect to this Unix socket")
      .value("--abstract-unix-socket", o.abstract_unix_socket, "NAME",
             "connect to this abstract Unix socket")
      .action(
          "-4,--ipv4", [&o] { o.ip_version = 4; }, "use IPv4 addresses only")
      .action(
          "-6,--ipv6", [&o] { o.ip_version = 6; }, "use IPv6 addresses only")
      .flag("--tcp-nodelay", o.tcp_nodelay, "set TCP_NODELAY (default)")
      .flag("--keepalive", o.keepalive, "let TCP look whether the peer is there (default)")
      .value("--keepalive-time", o.keepalive_time, "SECONDS", "after that long a silence (60)")
      .value("--limit-rate", o.limit_rate, "SPEED", "at most that many bytes a second: 100k");
}

void declare_asking(OptionSet& set, ConnectionOptions& o) {
  set.in(kHttp)
      .flag("--digest", o.digest, "with -u: HTTP Digest authentication")
      .flag("-n,--netrc", o.netrc, "take user and password of a host from ~/.netrc")
      .flag("--netrc-optional", o.netrc_optional, "the same, unless the URL has them")
      .value("--netrc-file", o.netrc_file, "FILE", "take them from this file")
      .value("--proto", o.proto, "LIST", "ask for these only: =https")
      .value("--proto-redir", o.proto_redir, "LIST", "follow redirects to these only")
      .flag("--post301", o.post301, "stay with POST behind a 301")
      .flag("--post302", o.post302, "stay with POST behind a 302")
      .flag("--post303", o.post303, "stay with POST behind a 303")
      .flag("--path-as-is", o.path_as_is, "leave /../ and /./ in the path")
      .value("--request-target", o.request_target, "TARGET", "send this instead of the path")
      .value("--max-filesize", o.max_file_size, "BYTES", "give up on a larger body");
  set.in(kConnection)
      .value("--retry", o.retry, "N",
             "ask again that often when it fails for now; never pays twice")
      .value("--retry-delay", o.retry_delay, "SECONDS", "wait that long (1, then doubled)")
      .value("--retry-max-time", o.retry_max_time, "SECONDS", "begin no more retries after that")
      .flag("--retry-all-errors", o.retry_all_errors, "retry on any error")
      .flag("--retry-connrefused", o.retry_connrefused, "retry on refused connections");
}

Error wrong(const std::string& option, const std::string& what, const char* hint = "") {
  return {Kind::usage, option + ": " + what, hint};
}

bool is_private_key(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// "FILE:PASSWORD" as curl reads it: "\:" and "\\" are a colon and a backslash of the file's name.
std::pair<std::string, std::string> certificate_of(const std::string& text) {
  std::string file;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':') return {file, text.substr(i + 1)};
    const bool escapes =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == ':' || text[i + 1] == '\\');
    file += text[escapes ? ++i : i];
  }
  return {file, ""};
}

Result<> check_tls(const ConnectionOptions& o) {
  if (is_private_key(o.key)) {
    return Error{Kind::usage, "a private key does not belong on a command line",
                 "--key is a file with the key of a TLS certificate; the key you gave is now in "
                 "your shell's history"};
  }
  if (!o.key.empty() && o.cert.empty()) {
    return wrong("--key", "the key of a TLS certificate needs --cert",
                 "an encrypted key file that pays is --key-file FILE");
  }
  if (o.pass.size() > kMaxPassword || certificate_of(o.cert).second.size() > kMaxPassword) {
    return Error{Kind::usage, "the password of --cert or --pass is too long"};
  }
  constexpr std::array<std::string_view, 6> kVersions{"", "default", "1.0", "1.1", "1.2", "1.3"};
  if (std::find(kVersions.begin(), kVersions.end(), o.max_tls) == kVersions.end()) {
    return wrong("--tls-max", "not a version: " + printable(o.max_tls, 20), "write 1.2 or 1.3");
  }
  const bool has_end = !o.max_tls.empty() && o.max_tls != "default";
  if (has_end && o.min_tls > o.max_tls) {
    return wrong("--tls-max", "is older than --tlsv" + o.min_tls + " asks for");
  }
  return {};
}

Result<> check_retries(const ConnectionOptions& o) {
  constexpr double kLongest = 1e9;
  if (o.retry.value_or(0) < 0) return wrong("--retry", "counts from 0");
  for (const double seconds : {o.retry_delay.value_or(0), o.retry_max_time.value_or(0)}) {
    if (!(seconds >= 0 && seconds < kLongest)) {
      return Error{Kind::usage, "--retry-delay and --retry-max-time are seconds from 0 on"};
    }
  }
  return {};
}

http::Duration duration_of(double seconds) {
  return http::Duration(static_cast<http::Duration::rep>(std::llround(seconds * 1000)));
}

std::string with_scheme(const char* scheme, const std::string& proxy) {
  return proxy.find("://") == std::string::npos ? scheme + proxy : proxy;
}

}  // namespace

void declare_connection_options(OptionSet& set, ConnectionOptions& options) {
  declare_asking(set, options);
  declare_tls(set, options);
  declare_proxy(set, options);
  declare_way(set, options);
}

Result<> check_connection_options(const ConnectionOptions& o, const std::string& proxy) {
  if (auto fine = check_tls(o); !fine) return fine;
  if (auto fine = check_retries(o); !fine) return fine;
  if (int{!proxy.empty()} + int{!o.socks5.empty()} + int{!o.socks5_hostname.empty()} > 1) {
    return Error{Kind::usage, "-x, --socks5 and --socks5-hostname exclude each other"};
  }
  if (!o.unix_socket.empty() && !o.abstract_unix_socket.empty()) {
    return Error{Kind::usage, "--unix-socket and --abstract-unix-socket exclude each other"};
  }
  if (const Schemes left = parse_schemes(o.proto); left && left->empty()) {
    return wrong("--proto", "leaves nothing that paycurl speaks");
  }
  for (const auto& [option, text] :
       {std::pair{"--limit-rate", o.limit_rate}, std::pair{"--max-filesize", o.max_file_size}}) {
    if (!text.empty() && !parse_size(text)) {
      return wrong(option, "not a number of bytes: " + printable(text, 40), "write 1000 or 100k");
    }
  }
  if (o.keepalive_time.value_or(1) < 1) return wrong("--keepalive-time", "counts from 1");
  for (const std::string& line : o.proxy_headers) {
    if (auto field = http::parse_header_line(line); !field) {
      return std::move(field).error().within("--proxy-header");
    }
  }
  return {};
}

void apply(const ConnectionOptions& o, http::Settings& settings) {
  if (!o.socks5.empty()) settings.proxy = with_scheme("socks5://", o.socks5);
  if (!o.socks5_hostname.empty()) {
    settings.proxy = with_scheme("socks5h://", o.socks5_hostname);
  }
  settings.no_proxy = o.no_proxy;
  settings.proxy_user = o.proxy_user;
  settings.proxy_headers = o.proxy_headers;
  settings.proxy_ca_file = o.proxy_cacert;
  settings.proxy_insecure = o.proxy_insecure;
  settings.tunnel = o.proxy_tunnel;
  settings.interface = o.interface;
  settings.ip_version = o.ip_version;
  settings.resolve = o.resolve;
  settings.keepalive = o.keepalive;
  settings.keepalive_seconds = o.keepalive_time.value_or(settings.keepalive_seconds);
  settings.tcp_nodelay = o.tcp_nodelay;
}

std::shared_ptr<const http::Reach> reach_of(const ConnectionOptions& o, bool has_user) {
  const bool netrc = (o.netrc || o.netrc_optional || !o.netrc_file.empty()) && !has_user;
  const std::array<const std::string*, 7> texts{
      &o.cert, &o.pinned_key, &o.min_tls, &o.max_tls, &o.ciphers, &o.tls13_ciphers, &o.unix_socket};
  const bool is_plain = !netrc && !o.digest && o.connect_to.empty() &&
                        o.abstract_unix_socket.empty() &&
                        std::all_of(texts.begin(), texts.end(),
                                    [](const std::string* text) { return text->empty(); });
  if (is_plain) return nullptr;
  auto reach = std::make_shared<http::Reach>();
  auto [certificate, password] = certificate_of(o.cert);
  reach->certificate = std::move(certificate);
  reach->certificate_type = o.cert_type;
  reach->key = o.key;
  reach->key_type = o.key_type;
  if (!o.pass.empty()) password = o.pass;
  reach->password.assign(as_bytes(password));
  wipe(password.data(), password.size());
  reach->netrc = netrc;
  reach->netrc_file = o.netrc_file;
  reach->digest = o.digest;
  reach->pinned_key = o.pinned_key;
  reach->min_tls = o.min_tls;
  if (o.max_tls != "default") reach->max_tls = o.max_tls;
  reach->ciphers = o.ciphers;
  reach->ciphers13 = o.tls13_ciphers;
  reach->abstract_socket = o.unix_socket.empty() && !o.abstract_unix_socket.empty();
  reach->unix_socket = reach->abstract_socket ? o.abstract_unix_socket : o.unix_socket;
  reach->connect_to = o.connect_to;
  return reach;
}

RetryRules retry_rules_of(const ConnectionOptions& o) {
  RetryRules rules;
  rules.times = o.retry.value_or(0);
  rules.delay = duration_of(o.retry_delay.value_or(0));
  rules.max_time = duration_of(o.retry_max_time.value_or(0));
  rules.all_errors = o.retry_all_errors;
  rules.refused_connections = o.retry_connrefused;
  return rules;
}

void apply(const ConnectionOptions& o, RedirectRules& rules) {
  rules.keeps_post_301 = o.post301;
  rules.keeps_post_302 = o.post302;
  rules.keeps_post_303 = o.post303;
  rules.schemes = parse_schemes(o.proto);
  const Schemes narrower = parse_schemes(o.proto_redir);
  if (!rules.schemes) rules.schemes = narrower;
  if (!narrower) return;
  std::erase_if(*rules.schemes, [&](const std::string& scheme) {
    return std::find(narrower->begin(), narrower->end(), scheme) == narrower->end();
  });
}

Schemes parse_schemes(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::vector<std::string> all{"http", "https", "ws", "wss"};
  std::vector<std::string> left = all;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string name = lower(text.substr(at, end - at));
    at = end + 1;
    char sign = '+';
    for (; !name.empty() && std::string_view("+-=").find(name[0]) != std::string_view::npos;
         name.erase(0, 1)) {
      sign = name[0];
    }
    if (sign == '=') left.clear();
    for (const std::string& scheme : all) {
      if (name != "all" && name != scheme) continue;
      std::erase(left, scheme);
      if (sign != '-') left.push_back(scheme);
    }
  }
  return left;
}

std::optional<std::int64_t> parse_size(const std::string& text) {
  std::int64_t size = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, size);
  if (error != std::errc() || size < 0 || end - rest > 1) return std::nullopt;
  const std::size_t unit = rest == end ? 0 : std::string_view("bkmg").find(lower({rest, end}));
  std::int64_t bytes = 0;
  if (unit == std::string_view::npos ||
      __builtin_mul_overflow(size, std::int64_t{1} << (10 * unit), &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace paycurl
