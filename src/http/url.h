// URLs: reading them, comparing their origins, resolving redirects. Parsing is libcurl's.
#pragma once

#include <string>
#include <string_view>

#include "src/base/result.h"

namespace paycurl::http {

/// An absolute http or https URL in normal form, without userinfo and fragment. One of ws or wss is
/// the http or https URL that its upgrade asks for (RFC 6455 section 3), marked `websocket`.
struct Url {
  std::string text;      ///< what is requested: "https://api.example.com/a?b=c"
  std::string scheme;    ///< "http" or "https"
  std::string host;      ///< lower case; IPv6 in brackets
  int port = 0;          ///< the scheme's default when none was given
  std::string path;      ///< starts with "/"
  std::string userinfo;  ///< "user:password" as given in the URL, decoded; usually empty
  bool websocket = false;
  bool as_is = false;  ///< "/../" and "/./" in the path stay

  /// "https://api.example.com", with the port when it is not the scheme's default (RFC 6454).
  std::string origin() const;
  /// localhost, *.localhost, 127.0.0.0/8 and [::1].
  bool is_loopback() const;
};

/// Reads what a person types. Without a scheme it is https, but http for a loopback host;
/// `default_scheme` replaces that rule when it is not empty (--proto-default); `as_is` keeps "/../"
/// and "/./" in its path (--path-as-is), and in what is resolved from it.
/// Transport error 3 (curl's "URL malformed") when it is no URL, usage when the scheme is another.
Result<Url> parse_url(std::string_view text, std::string_view default_scheme = {},
                      bool as_is = false);

/// The URL that a Location field means when it comes from `base` (RFC 3986 section 5). What was
/// asked for as a WebSocket stays one; nothing else becomes one, that is a usage error.
Result<Url> resolve(const Url& base, std::string_view location);

/// `url` with `query` added to its query: "?" or "&" as needed.
Result<Url> with_query(const Url& url, std::string_view query);

/// `url` with `name`, percent-encoded, behind its path (curl's -T).
Result<Url> with_file_name(const Url& url, const std::string& name);

/// The last segment of the path, percent-encoding kept; empty when the path ends in "/".
std::string file_name(const Url& url);

/// Whether a numeric address is loopback, or one that the public internet cannot route (RFC 1918,
/// RFC 4193, link-local, unspecified).
bool is_loopback_address(std::string_view ip);
bool is_private_address(std::string_view ip);

}  // namespace paycurl::http
