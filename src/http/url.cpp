#include "src/http/url.h"

#include <array>
#include <charconv>
#include <memory>

#include <arpa/inet.h>
#include <curl/curl.h>

#include "src/base/text.h"

namespace paycurl::http {
namespace {

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

Handle new_handle() {
  return {curl_url(), &curl_url_cleanup};
}

Error malformed(std::string_view text, std::string_view why) {
  Error error{Kind::transport, "not a URL: " + printable(text) + " (" + std::string(why) + ")"};
  error.transport = CURLE_URL_MALFORMAT;
  return error;
}

Error other_scheme(std::string_view scheme) {
  return {Kind::usage, "paycurl speaks http and https, not " + printable(scheme, 20)};
}

std::string part(CURLU* url, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, what, &text, flags) != CURLUE_OK) return {};
  std::string copy{text};
  curl_free(text);
  return copy;
}

Result<Url> read(CURLU* handle) {
  Url url;
  url.scheme = part(handle, CURLUPART_SCHEME);
  url.websocket = url.scheme == "ws" || url.scheme == "wss";
  if (url.websocket) {
    url.scheme.replace(0, 2, "http");
    curl_url_set(handle, CURLUPART_SCHEME, url.scheme.c_str(), 0);
  }
  if (url.scheme != "http" && url.scheme != "https") {
    return other_scheme(url.scheme);
  }
  url.host = lower(part(handle, CURLUPART_HOST));
  const std::string port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), url.port);
  url.path = part(handle, CURLUPART_PATH);
  const std::string user = part(handle, CURLUPART_USER, CURLU_URLDECODE);
  const std::string password = part(handle, CURLUPART_PASSWORD, CURLU_URLDECODE);
  if (!user.empty() || !password.empty()) url.userinfo = user + ":" + password;
  curl_url_set(handle, CURLUPART_USER, nullptr, 0);
  curl_url_set(handle, CURLUPART_PASSWORD, nullptr, 0);
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  curl_url_set(handle, CURLUPART_HOST, url.host.c_str(), 0);
  url.text = part(handle, CURLUPART_URL, CURLU_NO_DEFAULT_PORT);
  return url;
}

Result<Url> changed(const Url& base, CURLUPart what, const std::string& text, unsigned flags) {
  const Handle handle = new_handle();
  if (base.as_is) flags |= CURLU_PATH_AS_IS;
  CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, base.text.c_str(),
                                base.as_is ? CURLU_PATH_AS_IS : 0);
  if (code == CURLUE_OK) code = curl_url_set(handle.get(), what, text.c_str(), flags);
  if (code != CURLUE_OK) return malformed(text, curl_url_strerror(code));
  auto url = read(handle.get());
  if (url) url->as_is = base.as_is;
  return url;
}

/// The four bytes of an IPv4 address, also of one that is mapped into IPv6.
bool read_ipv4(std::string_view ip, std::array<unsigned char, 4>& out) {
  const std::string text{ip.substr(ip.starts_with("::ffff:") ? 7 : 0)};
  return ::inet_pton(AF_INET, text.c_str(), out.data()) == 1;
}

bool read_ipv6(std::string_view ip, std::array<unsigned char, 16>& out) {
  const std::string text{ip.substr(0, ip.find('%'))};
  return ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

}  // namespace

std::string Url::origin() const {
  const bool usual = port == (scheme == "https" ? 443 : 80);
  return scheme + "://" + host + (usual ? "" : ":" + std::to_string(port));
}

bool Url::is_loopback() const {
  std::string_view name = host;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  if (name.starts_with('[')) name = name.substr(1, name.size() - 2);
  return is_loopback_address(name);
}

Result<Url> parse_url(std::string_view text, std::string_view default_scheme, bool as_is) {
  const std::string given{text};
  const Handle handle = new_handle();
  const bool has_scheme = given.find("://") != std::string::npos;
  const std::string complete = has_scheme ? given
                               : default_scheme.empty()
                                   ? "https://" + given
                                   : std::string(default_scheme) + "://" + given;
  if (const CURLUcode code =
          curl_url_set(handle.get(), CURLUPART_URL, complete.c_str(),
                       CURLU_NON_SUPPORT_SCHEME | (as_is ? CURLU_PATH_AS_IS : 0));
      code != CURLUE_OK) {
    return malformed(text, curl_url_strerror(code));
  }
  auto url = read(handle.get());
  const bool has_empty_query = complete.substr(0, complete.find('#')).ends_with('?');
  if (url && has_empty_query && !url->text.ends_with('?')) url->text += '?';  // libcurl forgets it
  if (url) url->as_is = as_is;
  if (!url || has_scheme || !default_scheme.empty() || !url->is_loopback()) return url;
  return parse_url("http://" + given, {}, as_is);
}

Result<Url> resolve(const Url& base, std::string_view location) {
  auto url = changed(base, CURLUPART_URL, std::string(location),
                     CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  if (!url) return url;
  if (url->websocket && !base.websocket) return other_scheme(url->scheme == "http" ? "ws" : "wss");
  url->websocket = base.websocket;
  return url;
}

Result<Url> with_query(const Url& url, std::string_view query) {
  auto longer = changed(url, CURLUPART_QUERY, std::string(query), CURLU_APPENDQUERY);
  if (longer) longer->websocket = url.websocket;
  return longer;
}

Result<Url> with_file_name(const Url& url, const std::string& name) {
  auto longer = changed(url, CURLUPART_PATH, url.path + name, 0);
  if (longer) longer->websocket = url.websocket;
  return longer;
}

std::string file_name(const Url& url) {
  return url.path.substr(url.path.rfind('/') + 1);
}

bool is_loopback_address(std::string_view ip) {
  std::array<unsigned char, 4> v4{};
  if (read_ipv4(ip, v4)) return v4[0] == 127;
  return ip == "::1";
}

bool is_private_address(std::string_view ip) {
  std::array<unsigned char, 4> v4{};
  if (read_ipv4(ip, v4)) {
    return v4[0] == 0 || v4[0] == 10 || v4[0] == 127 || (v4[0] == 100 && (v4[1] & 0xc0) == 64) ||
           (v4[0] == 169 && v4[1] == 254) || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
           (v4[0] == 192 && v4[1] == 168);
  }
  std::array<unsigned char, 16> v6{};
  if (!read_ipv6(ip, v6)) return false;
  const bool local = (v6[0] & 0xfe) == 0xfc || (v6[0] == 0xfe && (v6[1] & 0xc0) == 0x80);
  return local || ip == "::1" || ip == "::";
}

}  // namespace paycurl::http
