// The only file that sets libcurl's options.
#include "src/http/curl_exchange.h"

#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/text.h"

namespace paycurl::http {
namespace {

constexpr std::size_t kMaxHead = 256 * 1024;
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

Exchange& of(void* user) {
  return *static_cast<Exchange*>(user);
}

void finish_head(Exchange& exchange) {
  Head& head = exchange.head;
  char* ip = nullptr;
  long port = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(exchange.easy, CURLINFO_PRIMARY_PORT, &port);
  head.peer_ip = ip == nullptr ? "" : ip;
  head.peer_port = static_cast<int>(port);
  head.local_socket = exchange.request.to_local_socket();
  exchange.head_done = true;
  if (auto taken = exchange.stream->head(head); !taken) exchange.fail(taken.error());
}

/// Whether libcurl may send the request again by itself, with the Digest that a 401 asks for.
bool may_answer_401(const Request& request) {
  return request.reach && request.reach->digest && !request.headers.find("authorization");
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  exchange.last_activity = Exchange::Clock::now();
  if (exchange.head_done || exchange.ended) return size;  // trailers
  const std::string_view line(data, size);
  if (exchange.head.raw.size() + size > kMaxHead) {
    return exchange.fail(
        transport_error(CURLE_RECV_ERROR, "the answer's head is larger than 256 KiB"));
  }
  if (add_head_line(exchange.head, line)) {
    exchange.head_held = exchange.head.status == 401 && may_answer_401(exchange.request);
    if (!exchange.head_held) finish_head(exchange);
  }
  return exchange.failure ? 0 : size;
}

std::size_t on_data(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  exchange.last_activity = Exchange::Clock::now();
  if (exchange.ended) return 0;
  show_held_head(exchange);
  if (exchange.failure) return 0;
  if (!exchange.head_done) {
    return exchange.fail(transport_error(CURLE_WEIRD_SERVER_REPLY, "the answer has no HTTP head"));
  }
  if (auto taken = exchange.stream->data({data, size}); !taken) return exchange.fail(taken.error());
  return size;
}

std::size_t on_read(char* out, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  exchange.last_activity = Exchange::Clock::now();
  const auto got = exchange.request.body->read(exchange.offset, {out, size});
  if (!got) {
    exchange.fail(got.error());
    return CURL_READFUNC_ABORT;
  }
  exchange.offset += *got;
  return *got;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  of(user).offset = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* user, curl_off_t expected, curl_off_t received, curl_off_t, curl_off_t) {
  const Exchange& exchange = of(user);
  if (exchange.settings->progress && exchange.head_done) {
    exchange.settings->progress(received, expected);
  }
  return exchange.ended ? 1 : 0;
}

/// Called when a connection stands and before a byte of the request is written.
int before_request(void* user, char* ip, char*, int port, int) {
  Exchange& exchange = of(user);
  const Request& request = exchange.request;
  const std::string_view peer = ip == nullptr ? "" : ip;
  const bool is_here =
      request.to_local_socket() || (is_loopback_address(peer) && port == request.url.port);
  if (request.peers == PeerRule::direct_loopback && !is_here) {
    exchange.fail(
        {Kind::declined,
         "the payment would go unencrypted to " + std::string(peer) + ", not to this machine",
         "use https, or --allow-http", "insecure"});
    return CURL_PREREQFUNC_ABORT;
  }
  if (request.peers == PeerRule::not_private && is_private_address(peer)) {
    exchange.fail(transport_error(
        CURLE_COULDNT_CONNECT,
        "a redirect from a public address leads to the private address " + std::string(peer)));
    return CURL_PREREQFUNC_ABORT;
  }
  ++exchange.times_sent;
  return CURL_PREREQFUNC_OK;
}

int on_debug(CURL*, curl_infotype type, char* data, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  const bool bodies = exchange.settings->trace_bodies && exchange.request.trace_body;
  const char kind = type == CURLINFO_TEXT                 ? '*'
                    : type == CURLINFO_HEADER_OUT         ? '>'
                    : type == CURLINFO_HEADER_IN          ? '<'
                    : type == CURLINFO_DATA_IN && bodies  ? '{'
                    : type == CURLINFO_DATA_OUT && bodies ? '}'
                                                          : '\0';
  if (kind == '\0') return 0;
  if (kind == '{' || kind == '}') {
    exchange.settings->trace(kind, {data, size});
    return 0;
  }
  std::string_view text(data, size);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    // libcurl's own notes of a bare recv say nothing.
    if (kind == '*' && line.starts_with("reached ")) continue;
    exchange.settings->trace(kind, line);
  }
  return 0;
}

long http_version(const std::string& wanted) {
  if (wanted == "1.0") return CURL_HTTP_VERSION_1_0;
  if (wanted == "1.1") return CURL_HTTP_VERSION_1_1;
  if (wanted == "2") return CURL_HTTP_VERSION_2_0;
  return CURL_HTTP_VERSION_2TLS;
}

template <class Value>
void set(const Exchange& exchange, CURLoption option, Value value) {
  curl_easy_setopt(exchange.easy, option, value);
}

/// Leaves libcurl's default where there is nothing to say.
void set_text(const Exchange& exchange, CURLoption option, const std::string& text) {
  if (!text.empty()) set(exchange, option, text.c_str());
}

void append(List& list, const std::string& line) {
  list.reset(curl_slist_append(list.release(), line.c_str()));
}

void append_all(List& list, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    append(list, line);
  }
}

void configure_method(Exchange& exchange) {
  const Request& request = exchange.request;
  if (request.body) {
    set(exchange, CURLOPT_POST, 1L);
    set(exchange, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    set(exchange, CURLOPT_READFUNCTION, &on_read);
    set(exchange, CURLOPT_READDATA, &exchange);
    set(exchange, CURLOPT_SEEKFUNCTION, &on_seek);
    set(exchange, CURLOPT_SEEKDATA, &exchange);
  } else if (request.is_head()) {
    set(exchange, CURLOPT_NOBODY, 1L);
  } else {
    set(exchange, CURLOPT_HTTPGET, 1L);
  }
  if (request.method != (request.body ? "POST" : request.is_head() ? "HEAD" : "GET")) {
    set(exchange, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

/// Credentials of the user's own, which libcurl writes into the head itself.
bool set_authorization(const Exchange& exchange, std::string_view value) {
  constexpr std::string_view kBearer = "Bearer ", kBasic = "Basic ";
  if (value.starts_with(kBearer)) {
    std::string token(value.substr(kBearer.size()));
    set(exchange, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(exchange, CURLOPT_XOAUTH2_BEARER, token.c_str());
    wipe(token.data(), token.size());
    return true;
  }
  if (!value.starts_with(kBasic)) return false;
  auto pair = from_base64(value.substr(kBasic.size()));
  if (!pair || std::find(pair->begin(), pair->end(), 0) != pair->end()) return false;
  const auto colon = std::find(pair->begin(), pair->end(), ':');
  if (colon == pair->end()) return false;
  std::string user(pair->begin(), colon), password(colon + 1, pair->end());
  set(exchange, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
  set(exchange, CURLOPT_USERNAME, user.c_str());
  set(exchange, CURLOPT_PASSWORD, password.c_str());
  wipe(password.data(), password.size());
  wipe(pair->data(), pair->size());
  return true;
}

/// Gives libcurl what it puts into a place of its own in the head. False: a line like any other.
bool set_default_field(Exchange& exchange, const Header& field) {
  const auto is = [&](std::string_view name) { return equals_ignoring_case(field.name, name); };
  const std::string_view value = field.value;
  constexpr std::string_view kBytes = "bytes=";
  if (is("authorization")) return set_authorization(exchange, value);
  if (is("referer")) {
    set(exchange, CURLOPT_REFERER, field.value.c_str());
  } else if (is("cookie")) {
    set(exchange, CURLOPT_COOKIE, field.value.c_str());
  } else if (is("range") && value.starts_with(kBytes)) {
    set(exchange, CURLOPT_RANGE, field.value.c_str() + kBytes.size());
  } else if (exchange.request.body && (is("content-type") || is("expect"))) {
    if (value == kFormType) return true;  // libcurl's own
    const bool has_length = exchange.request.headers.find("content-length") != nullptr;
    const std::string length = std::to_string(exchange.request.body->size());
    if (!has_length) append(exchange.fields, "Content-Length: " + length);
    return false;
  } else {
    return false;
  }
  return true;
}

void configure_fields(Exchange& exchange) {
  const Request& request = exchange.request;
  for (const Header& field : request.headers) {
    if (field.is_default && set_default_field(exchange, field)) continue;
    std::string line = field.name + (field.value.empty() ? ";" : ": ");
    line.reserve(line.size() + field.value.size());
    line += field.value;
    append(exchange.fields, line);
    wipe(line.data(), line.size());
  }
  for (const std::string& name : request.removed_headers) {
    append(exchange.fields, name + ":");
  }
  set(exchange, CURLOPT_HTTPHEADER, exchange.fields.get());
}

/// A name and password that libcurl sends: those of HTTP Digest, and what it finds in a .netrc.
void configure_user(const Exchange& exchange) {
  const Request& request = exchange.request;
  // What the request says by itself goes first; libcurl would send a Digest beside it.
  if (!request.reach || request.headers.find("authorization")) return;
  if (request.reach->digest) set(exchange, CURLOPT_HTTPAUTH, CURLAUTH_DIGEST);
  if (!request.user.empty()) {
    set(exchange, CURLOPT_USERPWD, request.user.c_str());
  } else if (request.reach->netrc) {
    set(exchange, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_REQUIRED));
    set_text(exchange, CURLOPT_NETRC_FILE, request.reach->netrc_file);
  }
}

long min_tls(const std::string& version) {
  if (version == "1") return CURL_SSLVERSION_TLSv1;
  if (version == "1.0") return CURL_SSLVERSION_TLSv1_0;
  if (version == "1.1") return CURL_SSLVERSION_TLSv1_1;
  if (version == "1.2") return CURL_SSLVERSION_TLSv1_2;
  if (version == "1.3") return CURL_SSLVERSION_TLSv1_3;
  return CURL_SSLVERSION_DEFAULT;
}

long max_tls(const std::string& version) {
  if (version == "1.0") return CURL_SSLVERSION_MAX_TLSv1_0;
  if (version == "1.1") return CURL_SSLVERSION_MAX_TLSv1_1;
  if (version == "1.2") return CURL_SSLVERSION_MAX_TLSv1_2;
  if (version == "1.3") return CURL_SSLVERSION_MAX_TLSv1_3;
  return CURL_SSLVERSION_MAX_DEFAULT;
}

void configure_certificate(const Exchange& exchange, const Reach& reach) {
  if (reach.certificate.empty()) return;
  set_text(exchange, CURLOPT_SSLCERT, reach.certificate);
  set_text(exchange, CURLOPT_SSLCERTTYPE, reach.certificate_type);
  set_text(exchange, CURLOPT_SSLKEY, reach.key);
  set_text(exchange, CURLOPT_SSLKEYTYPE, reach.key_type);
  // Always: OpenSSL would ask the terminal for one that it has not got.
  std::string password{reach.password.text()};
  set(exchange, CURLOPT_KEYPASSWD, password.c_str());
  wipe(password.data(), password.size());
}

void configure_reach(Exchange& exchange) {
  const Reach& reach = *exchange.request.reach;
  configure_certificate(exchange, reach);
  set_text(exchange, CURLOPT_PINNEDPUBLICKEY, reach.pinned_key);
  set(exchange, CURLOPT_SSLVERSION, min_tls(reach.min_tls) | max_tls(reach.max_tls));
  set_text(exchange, CURLOPT_SSL_CIPHER_LIST, reach.ciphers);
  set_text(exchange, CURLOPT_TLS13_CIPHERS, reach.ciphers13);
  if (!reach.unix_socket.empty()) {
    set(exchange, reach.abstract_socket ? CURLOPT_ABSTRACT_UNIX_SOCKET : CURLOPT_UNIX_SOCKET_PATH,
        reach.unix_socket.c_str());
    set(exchange, CURLOPT_PROXY, "");
  }
  append_all(exchange.connect_to, reach.connect_to);
  set(exchange, CURLOPT_CONNECT_TO, exchange.connect_to.get());
}

void configure_proxy(Exchange& exchange) {
  const Settings& settings = *exchange.settings;
  if (!settings.proxy.empty() || settings.direct) {
    set(exchange, CURLOPT_PROXY, settings.direct ? "" : settings.proxy.c_str());
  }
  if (settings.no_proxy) set(exchange, CURLOPT_NOPROXY, settings.no_proxy->c_str());
  set_text(exchange, CURLOPT_PROXYUSERPWD, settings.proxy_user);
  append_all(exchange.proxy_fields, settings.proxy_headers);
  set(exchange, CURLOPT_PROXYHEADER, exchange.proxy_fields.get());
  set_text(exchange, CURLOPT_PROXY_CAINFO, settings.proxy_ca_file);
  if (settings.proxy_insecure) {
    set(exchange, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
    set(exchange, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
  }
  if (settings.tunnel) set(exchange, CURLOPT_HTTPPROXYTUNNEL, 1L);
}

void configure_socket(Exchange& exchange) {
  const Settings& settings = *exchange.settings;
  const Url& url = exchange.request.url;
  set_text(exchange, CURLOPT_INTERFACE, settings.interface);
  if (settings.ip_version == 4) set(exchange, CURLOPT_IPRESOLVE, long{CURL_IPRESOLVE_V4});
  if (settings.ip_version == 6) set(exchange, CURLOPT_IPRESOLVE, long{CURL_IPRESOLVE_V6});
  set(exchange, CURLOPT_TCP_NODELAY, settings.tcp_nodelay ? 1L : 0L);
  set(exchange, CURLOPT_TCP_KEEPALIVE, settings.keepalive ? 1L : 0L);
  set(exchange, CURLOPT_TCP_KEEPIDLE, long{settings.keepalive_seconds});
  set(exchange, CURLOPT_TCP_KEEPINTVL, long{settings.keepalive_seconds});
  append_all(exchange.resolve, settings.resolve);
  if (url.host.ends_with(".localhost")) {  // the last one counts: no option takes that name away
    append(exchange.resolve, url.host + ":" + std::to_string(url.port) + ":127.0.0.1,[::1]");
  }
  set(exchange, CURLOPT_RESOLVE, exchange.resolve.get());
}

void configure_trust(const Exchange& exchange) {
  const Settings& settings = *exchange.settings;
  if (settings.insecure) {
    set(exchange, CURLOPT_SSL_VERIFYPEER, 0L);
    set(exchange, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!settings.ca_file.empty()) set(exchange, CURLOPT_CAINFO, settings.ca_file.c_str());
  if (!settings.ca_path.empty()) set(exchange, CURLOPT_CAPATH, settings.ca_path.c_str());
  if (settings.ca_pem.empty()) return;
  curl_blob pem{const_cast<char*>(settings.ca_pem.data()), settings.ca_pem.size(), CURL_BLOB_COPY};
  set(exchange, CURLOPT_CAINFO_BLOB, &pem);  // replaces the file, but not the folder
  set(exchange, CURLOPT_CAPATH, nullptr);
}

double millis(CURL* easy, CURLINFO what) {
  curl_off_t micros = 0;
  curl_easy_getinfo(easy, what, &micros);
  return static_cast<double>(micros) / 1000.0;
}

std::int64_t number(CURL* easy, CURLINFO what) {
  curl_off_t value = 0;
  curl_easy_getinfo(easy, what, &value);
  return value;
}

long plain_number(CURL* easy, CURLINFO what) {
  long value = 0;
  curl_easy_getinfo(easy, what, &value);
  return value;
}

std::string text(CURL* easy, CURLINFO what) {
  char* value = nullptr;
  curl_easy_getinfo(easy, what, &value);
  return value == nullptr ? "" : value;
}

/// "SSL connect error" stays, "Peer certificate..." begins small as ours do.
std::string sentence(std::string text) {
  const bool is_word = text.size() > 1 && text[1] >= 'a' && text[1] <= 'z';
  if (is_word) text[0] = lower(text.substr(0, 1))[0];
  return text;
}

/// Whether libcurl's words on a failed connection name the server itself, or nothing.
bool is_about(std::string_view detail, const Url& url) {
  return detail.empty() ||
         detail.find("port " + std::to_string(url.port)) != std::string_view::npos;
}

std::string explain(const Exchange& exchange, CURLcode code) {
  const Url& url = exchange.request.url;
  const std::string place = url.host + ":" + std::to_string(url.port);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return "could not resolve host " + printable(url.host);
    case CURLE_COULDNT_CONNECT:
      if (exchange.request.to_local_socket()) {
        return "could not connect to the socket " +
               printable(exchange.request.reach->unix_socket, 120);
      }
      if (!is_about(exchange.detail.data(), url)) break;  // a proxy
      return "could not connect to " + printable(place);
    case CURLE_OPERATION_TIMEDOUT:
      return "the time limit passed while talking to " + printable(place);
    case CURLE_PARTIAL_FILE:
      return "the connection ended before the whole body was here";
    case CURLE_OUT_OF_MEMORY:
      return "out of memory, or a header field of more than 100 KiB";
    case CURLE_GOT_NOTHING:
      return "the server closed the connection without an answer";
    default:
      break;
  }
  return sentence(exchange.detail[0] != '\0' ? printable(exchange.detail.data(), 200)
                                             : curl_easy_strerror(code));
}

/// Who is told of what happens.
void configure_callbacks(Exchange& exchange) {
  set(exchange, CURLOPT_PRIVATE, &exchange);
  set(exchange, CURLOPT_ERRORBUFFER, exchange.detail.data());
  set(exchange, CURLOPT_HEADERFUNCTION, &on_header);
  set(exchange, CURLOPT_HEADERDATA, &exchange);
  set(exchange, CURLOPT_WRITEFUNCTION, &on_data);
  set(exchange, CURLOPT_WRITEDATA, &exchange);
  set(exchange, CURLOPT_PREREQFUNCTION, &before_request);
  set(exchange, CURLOPT_PREREQDATA, &exchange);
  set(exchange, CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(exchange, CURLOPT_XFERINFODATA, &exchange);
  set(exchange, CURLOPT_NOPROGRESS, 0L);
  if (!exchange.settings->verbose) return;
  set(exchange, CURLOPT_VERBOSE, 1L);
  set(exchange, CURLOPT_DEBUGFUNCTION, &on_debug);
  set(exchange, CURLOPT_DEBUGDATA, &exchange);
}

}  // namespace

void configure(Exchange& exchange) {
  const Request& request = exchange.request;
  const Settings& settings = *exchange.settings;
  configure_callbacks(exchange);
  set(exchange, CURLOPT_URL, request.url.text.c_str());
  set(exchange, CURLOPT_PROTOCOLS_STR, "http,https");
  set(exchange, CURLOPT_NOSIGNAL, 1L);
  set(exchange, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // the head of a proxy is not the answer's
  set(exchange, CURLOPT_USERAGENT, settings.user_agent.c_str());
  set(exchange, CURLOPT_HTTP_VERSION, http_version(settings.http_version));
  set(exchange, CURLOPT_CONNECTTIMEOUT_MS,
      request.deadlines.connect.count() == 0
          ? 100'000'000L
          : static_cast<long>(request.deadlines.connect.count()));
  set(exchange, CURLOPT_LOW_SPEED_LIMIT,
      static_cast<long>(request.deadlines.slow_bytes_per_second));
  set(exchange, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.deadlines.slow_seconds));
  configure_trust(exchange);
  configure_socket(exchange);
  configure_proxy(exchange);
  if (request.reach) configure_reach(exchange);
  const curl_off_t speed = request.bytes_per_second;
  set(exchange, CURLOPT_MAX_RECV_SPEED_LARGE, speed);
  set(exchange, CURLOPT_MAX_SEND_SPEED_LARGE, speed);
  if (settings.compressed) set(exchange, CURLOPT_ACCEPT_ENCODING, "");
  if (settings.keep_certificates) set(exchange, CURLOPT_CERTINFO, 1L);
  if (request.cookies && exchange.share != nullptr) {
    set(exchange, CURLOPT_SHARE, exchange.share);
    set(exchange, CURLOPT_COOKIEFILE, "");  // turns the engine on
  }
  if (request.own_connection || exchange.connects_only) set(exchange, CURLOPT_FRESH_CONNECT, 1L);
  if (exchange.connects_only) {
    set(exchange, CURLOPT_CONNECT_ONLY, 1L);
    set(exchange, CURLOPT_HTTPPROXYTUNNEL, 1L);
    set(exchange, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);  // the one that ALPN offers
    return;
  }
  if (request.url.as_is) set(exchange, CURLOPT_PATH_AS_IS, 1L);
  set_text(exchange, CURLOPT_REQUEST_TARGET, request.target);
  configure_method(exchange);
  configure_fields(exchange);
  configure_user(exchange);
}

void show_held_head(Exchange& exchange) {
  if (exchange.head_held && !exchange.head_done) finish_head(exchange);
}

namespace {

std::vector<std::string> certificates_of(CURL* easy) {
  constexpr std::string_view kPem = "Cert:";
  std::vector<std::string> all;
  curl_certinfo* chain = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == nullptr) {
    return all;
  }
  for (const curl_slist* fields :
       std::span(chain->certinfo, static_cast<std::size_t>(chain->num_of_certs))) {
    for (; fields != nullptr; fields = fields->next) {
      const std::string_view field = fields->data;
      if (field.starts_with(kPem)) all.emplace_back(field.substr(kPem.size()));
    }
  }
  return all;
}

}  // namespace

Stats stats_of(const Exchange& exchange) {
  CURL* easy = exchange.easy;
  Stats stats;
  stats.name_lookup = millis(easy, CURLINFO_NAMELOOKUP_TIME_T);
  stats.connect = millis(easy, CURLINFO_CONNECT_TIME_T);
  stats.tls = millis(easy, CURLINFO_APPCONNECT_TIME_T);
  stats.pretransfer = millis(easy, CURLINFO_PRETRANSFER_TIME_T);
  stats.first_byte = millis(easy, CURLINFO_STARTTRANSFER_TIME_T);
  stats.total = millis(easy, CURLINFO_TOTAL_TIME_T);
  stats.received = number(easy, CURLINFO_SIZE_DOWNLOAD_T);
  stats.sent = number(easy, CURLINFO_SIZE_UPLOAD_T);
  stats.download_speed = static_cast<double>(number(easy, CURLINFO_SPEED_DOWNLOAD_T));
  stats.upload_speed = static_cast<double>(number(easy, CURLINFO_SPEED_UPLOAD_T));
  stats.head_size = plain_number(easy, CURLINFO_HEADER_SIZE);
  stats.request_size = plain_number(easy, CURLINFO_REQUEST_SIZE);
  stats.connections = plain_number(easy, CURLINFO_NUM_CONNECTS);
  stats.tls_verify_result = plain_number(easy, CURLINFO_SSL_VERIFYRESULT);
  stats.local_ip = text(easy, CURLINFO_LOCAL_IP);
  stats.remote_ip = text(easy, CURLINFO_PRIMARY_IP);
  stats.local_port = plain_number(easy, CURLINFO_LOCAL_PORT);
  stats.remote_port = plain_number(easy, CURLINFO_PRIMARY_PORT);
  stats.system_error = static_cast<int>(plain_number(easy, CURLINFO_OS_ERRNO));
  if (exchange.settings->keep_certificates) stats.certificates = certificates_of(easy);
  stats.times_sent = stats.request_size > 0 ? std::max(exchange.times_sent, 1) : 0;
  return stats;
}

Error failure_of(const Exchange& exchange, CURLcode code) {
  Error error = transport_error(code, explain(exchange, code));
  if (code == CURLE_SSL_CERTPROBLEM) error.hint = "the password of its key is given with --pass";
  return error;
}

}  // namespace paycurl::http
