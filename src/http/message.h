// The words of HTTP: header fields, a request, the head of an answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/http/body.h"
#include "src/http/url.h"

namespace paycurl::http {

struct Header {
  std::string name;
  std::string value;
  bool is_default = false;  ///< not a line of the user's: it stands where curl puts its own
};

/// Header fields in their order, repeated names kept. Names compare without case.
class Headers {
 public:
  void add(std::string name, std::string value, bool is_default = false) {
    all_.push_back({std::move(name), std::move(value), is_default});
  }
  void add_first(Header field) { all_.insert(all_.begin(), std::move(field)); }
  /// Removes every field of that name, then adds one.
  void replace(std::string_view name, std::string value);
  void remove(std::string_view name);
  /// Removes a field of that name that is no line of the user's.
  void remove_default(std::string_view name);
  /// The value of the first field of that name, or nullptr.
  const std::string* find(std::string_view name) const;
  std::vector<std::string> values(std::string_view name) const;
  /// Overwrites all values: credentials may be among them.
  void wipe();

  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  bool empty() const { return all_.empty(); }
  Header& back() { return all_.back(); }

 private:
  std::vector<Header> all_;
};

/// Reads "Name: value", "Name;" (an empty value) or "Name:" (removes what would be sent by itself;
/// `removes` is set). Names are tokens (RFC 9110 section 5.6.2); CR, LF and NUL are a usage error.
struct HeaderLine {
  Header field;
  bool removes = false;
};
Result<HeaderLine> parse_header_line(std::string_view line);

/// Whether `text` is a token of RFC 9110 section 5.6.2.
bool is_token(std::string_view text);

using Duration = std::chrono::milliseconds;

/// How long parts of an exchange may take; zero is no limit. A passed deadline is transport
/// error 28.
struct Deadlines {
  Duration connect{10'000};
  Duration head{0};                         ///< from the start to the end of the answer's head
  Duration idle{0};                         ///< silence inside a body
  Duration total{0};                        ///< the whole exchange
  std::uint32_t slow_bytes_per_second = 0;  ///< with `slow_seconds`: curl's -Y and -y
  std::uint32_t slow_seconds = 0;
};

struct Reach;  // reach.h

/// Which peers a request may be sent to; looked at when the connection is made, so that neither DNS
/// nor a proxy can change it afterwards.
enum class PeerRule {
  any,
  direct_loopback,  ///< plain http with a credential: straight to a loopback address or a local
                    ///< socket
  not_private,      ///< a redirect that came from a public address
};

struct Request {
  std::string method = "GET";
  Url url;
  Headers headers;
  std::vector<std::string> removed_headers;  ///< default fields that are not to be sent
  std::shared_ptr<const Body> body;          ///< nullptr when there is none
  Deadlines deadlines;
  PeerRule peers = PeerRule::any;
  std::string target;                  ///< instead of the URL's path and query
  std::string user;                    ///< "user:password" for HTTP Digest; others are a field
  std::int64_t bytes_per_second = 0;   ///< at most, each way; 0: any number
  std::shared_ptr<const Reach> reach;  ///< nullptr: as the URL says
  bool own_connection = false;         ///< not a kept one: libcurl never sends it again by itself
  bool cookies = false;                ///< takes cookies from the client's and adds to them
  bool trace_body = false;             ///< nothing in the bodies is worth hiding from a trace

  bool is_head() const { return method == "HEAD"; }
  /// Whether it goes to a Unix socket, and so nowhere else.
  bool to_local_socket() const;
};

/// The head of an answer, informational (1xx) ones left out of everything but `raw`.
struct Head {
  int status = 0;
  std::string version;  ///< "1.1", "2"
  Headers headers;
  std::string raw;      ///< as received, with line ends, as -i shows it
  std::string peer_ip;  ///< of the connection: the server's or a proxy's
  int peer_port = 0;
  bool local_socket = false;  ///< the connection was to a Unix socket

  bool is_event_stream() const;  ///< Content-Type is text/event-stream
  bool is_redirect() const;      ///< 301, 302, 303, 307, 308 with a Location
};

/// Takes the next line of an answer's head, with its end. A status line throws away what an
/// informational head left, except for its place in `raw`. True when the line ends the final head:
/// 200 and more, or 101.
bool add_head_line(Head& head, std::string_view line);

/// A whole answer, its body cut where the receiver wanted.
struct Answer {
  Head head;
  std::string body;
  Url url;
};

/// What an exchange took. Times are milliseconds from its start.
struct Stats {
  double name_lookup = 0, connect = 0, tls = 0, pretransfer = 0, first_byte = 0, total = 0;
  std::int64_t received = 0, sent = 0, head_size = 0, request_size = 0;
  double redirect = 0;  ///< the exchanges before this one
  double download_speed = 0, upload_speed = 0;
  long connections = 0;
  long tls_verify_result = 0;
  std::string local_ip, remote_ip;
  long local_port = 0, remote_port = 0;
  std::vector<std::string> certificates;  ///< the server's chain, PEM; when the client keeps it
  int system_error = 0;                   ///< errno of a connection that failed
  int times_sent = 0;  ///< libcurl sends again by itself when a kept connection turns out dead
};

}  // namespace paycurl::http
