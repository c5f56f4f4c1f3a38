// Exchanges with servers: many at a time, each told to a Stream as it happens. No policy: a
// redirect is an answer like any other, and nothing is sent twice.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/http/message.h"

namespace paycurl::http {

/// Receives one exchange. An error from `head` or `data` ends the exchange and comes back in
/// `done`.
class Stream {
 public:
  virtual ~Stream() = default;
  /// The final head; informational ones are in Head::raw. Once, before any data.
  virtual Result<> head(const Head& head) = 0;
  /// Body bytes as they arrive, decoded when --compressed was asked for.
  virtual Result<> data(std::string_view bytes) = 0;
  /// The end, always and once. Kind::transport when the exchange failed, Kind::interrupted or
  /// terminated when a signal ended it.
  virtual void done(Result<> result, const Stats& stats) = 0;
};

struct Settings;

/// Bytes to a server and from it, through TLS and a proxy's tunnel where the URL and the settings
/// ask for them. Must not outlive its Client.
class Connection {
 public:
  struct Peer {
    std::string ip;  ///< the server's or a proxy's
    int port = 0;
  };

  virtual ~Connection() = default;
  /// Sends what goes without waiting, and says how many bytes that was. The others must come first
  /// in the next call.
  virtual Result<std::size_t> send(std::string_view bytes) = 0;
  /// Fills the start of `out` with what is there, without waiting, and says how many bytes that
  /// was: 0 at the end of the connection, nullopt when there is nothing now.
  virtual Result<std::optional<std::size_t>> receive(std::span<char> out) = 0;
  /// Returns when there may be bytes to receive or, with `to_send`, room for bytes to send, or when
  /// the time is over. Ask `receive` first: bytes may wait above the socket. A signal is
  /// Kind::interrupted or terminated, once for all of a client; later calls go on.
  virtual Result<> wait(bool to_send, Duration at_most) = 0;
  virtual Peer peer() const = 0;
  /// The client's.
  virtual const Settings& settings() const = 0;
};

/// Runs exchanges. Not thread-safe; callbacks come from inside `run`.
class Client {
 public:
  virtual ~Client() = default;
  /// Queues an exchange and returns its number. May be called from inside a Stream's callbacks: the
  /// new exchange then runs beside the others. `stream` must live until its `done`.
  virtual int start(Request request, Stream& stream) = 0;
  /// Ends an exchange; its `done` comes with `reason`. Unknown numbers are ignored.
  virtual void cancel(int exchange, const Error& reason) = 0;
  /// Lets an exchange go on for that long and no longer.
  virtual void limit(int exchange, Duration from_now) = 0;
  /// Returns when no exchange is left. Inside a Stream's callbacks: when the one that was started
  /// last is over, while the others wait.
  virtual void run() = 0;
  /// Opens a connection of its own to the server that `request` would go to, under its deadlines
  /// and its rule for peers; nothing of it is sent. Runs the exchanges that are queued too. Not
  /// from inside a Stream's callbacks. Fails as an exchange does.
  virtual Result<std::unique_ptr<Connection>> connect(const Request& request) = 0;
};

/// What all connections of a process have in common.
struct Settings {
  std::string user_agent;
  std::string ca_file, ca_path;  ///< empty: the library's
  std::string ca_pem;            ///< not empty: these certificates (PEM) are trusted, no others
  bool insecure = false;         ///< -k
  std::string proxy;             ///< empty: the environment's; "-" is not special
  bool direct = false;           ///< no proxy, whatever the environment says
  std::optional<std::string> no_proxy;  ///< hosts; absent: the environment's
  std::string proxy_user;               ///< "user:password"
  std::vector<std::string> proxy_headers;
  std::string proxy_ca_file;         ///< empty: the library's
  bool proxy_insecure = false;       ///< does not verify an HTTPS proxy
  bool tunnel = false;               ///< CONNECT through an HTTP proxy for plain http as well
  std::string interface;             ///< a name, an address or a host to connect from
  int ip_version = 0;                ///< 4 or 6; 0 is either
  std::vector<std::string> resolve;  ///< "HOST:PORT:ADDRESS[,ADDRESS]" instead of a name server
  bool keepalive = true;             ///< TCP's
  int keepalive_seconds = 60;
  bool tcp_nodelay = true;
  std::string http_version;  ///< "", "1.0", "1.1", "2"
  bool compressed = false;
  bool cookies = false;                   ///< requests that ask for it share cookies (RFC 6265)
  std::vector<std::string> cookie_files;  ///< read at the start; a missing one is none
  std::string cookie_jar;                 ///< written at the client's end; "-" is stdout
  bool keep_certificates = false;         ///< in Stats
  bool verbose = false;                   ///< feeds `trace`
  bool trace_bodies = false;              ///< and with kinds '{' and '}', where a request lets it
  /// curl's "* > <" lines: `kind` is that character; lines without their ends, credentials not yet
  /// hidden. '{' and '}' are bytes of a body that was received, or sent.
  std::function<void(char kind, std::string_view line)> trace;
  /// Bytes received and expected so far (expected 0 when unknown), a few times a second.
  std::function<void(std::int64_t received, std::int64_t expected)> progress;
  int interrupt_fd = -1;  ///< readable once a signal came; see `interruption`
  std::function<std::optional<Kind>()> interruption;  ///< interrupted or terminated, when it came
};

std::unique_ptr<Client> make_client(Settings settings);

/// One exchange from start to end, its body kept up to `limit` bytes (more is a transport error
/// 63).
Result<Answer> fetch(Client& client, Request request, std::size_t limit);

/// libcurl's one-sentence meaning of its error number.
std::string transport_text(int code);
/// An error of that number.
Error transport_error(int code, std::string message);

/// The point in time that a Date field names, in seconds since 1970 (RFC 9110 section 5.6.7).
std::optional<std::int64_t> parse_http_date(const std::string& text);

/// "libcurl/7.88.1 OpenSSL/3.0.22 ...".
std::string library_version();

}  // namespace paycurl::http
