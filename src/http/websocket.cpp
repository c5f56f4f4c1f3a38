#include "src/http/websocket.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <curl/curl.h>
#include <wslay/wslay.h>

#include "src/base/text.h"
#include "src/crypto/hash.h"
#include "src/crypto/random.h"

namespace paycurl::http {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxHead = 256 * 1024;
constexpr std::size_t kPiece = 16 * 1024;

Clock::time_point after(Duration length) {
  return Clock::now() + std::min<Duration>(length, std::chrono::hours(24 * 365));
}

/// Waits for the connection until then; not at all when bytes `moved` just now, as there may be
/// more above the socket.
Result<> wait(Connection& connection, bool to_send, bool moved, Clock::time_point until) {
  auto left = Duration(0);
  if (!moved) {
    left = std::chrono::ceil<Duration>(std::min(until, Clock::now() + std::chrono::hours(1)) -
                                       Clock::now());
  }
  return connection.wait(to_send, std::max(left, Duration(0)));
}

/// RFC 6455 section 4.1: what a server makes of the key.
std::string accept_of(const std::string& key) {
  return to_base64(sha1(as_bytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
}

/// The items of a field that is a list, without their spaces.
std::vector<std::string> items(const std::vector<std::string>& fields) {
  std::vector<std::string> found;
  for (std::string_view rest : fields) {
    while (true) {
      const std::size_t comma = rest.find(',');
      found.emplace_back(trimmed(rest.substr(0, comma)));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return found;
}

template <class List>
bool contains(const List& list, std::string_view item) {
  return std::any_of(list.begin(), list.end(),
                     [&](std::string_view each) { return equals_ignoring_case(each, item); });
}

/// The head of the request.
Result<std::string> asking(const Request& request, const Settings& settings,
                           const std::string& key) {
  using namespace std::string_view_literals;
  constexpr std::array kOurs{"Connection"sv,        "Upgrade"sv,
                             "Sec-WebSocket-Key"sv, "Sec-WebSocket-Version"sv,
                             "Content-Length"sv,    "Sec-WebSocket-Extensions"sv,
                             "Transfer-Encoding"sv};
  if (request.method != "GET" || request.body) {
    return Error{Kind::usage, "a WebSocket is asked for with GET and without a body"};
  }
  for (const Header& field : request.headers) {
    if (contains(kOurs, field.name)) {
      return Error{Kind::usage, "the field " + printable(field.name) + " belongs to the handshake"};
    }
    if (!is_token(field.name) || field.value.find_first_of("\r\n\0"sv) != std::string::npos) {
      return Error{Kind::usage, "not a header field: " + printable(field.name, 60)};
    }
  }
  const auto wanted = [&](std::string_view name) {
    return request.headers.find(name) == nullptr && !contains(request.removed_headers, name);
  };
  const std::string& url = request.url.text;
  const std::string place = request.url.origin().substr(request.url.scheme.size() + 3);
  const std::string target = request.target.empty()
                                 ? url.substr(url.find('/', request.url.scheme.size() + 3))
                                 : request.target;
  std::string text =
      "GET " + target + " HTTP/1.1\r\n" + (wanted("Host") ? "Host: " + place + "\r\n" : "");
  if (wanted("User-Agent") && !settings.user_agent.empty()) {
    text += "User-Agent: " + settings.user_agent + "\r\n";
  }
  for (const Header& field : request.headers) {
    text += field.name + ": " + field.value + "\r\n";
  }
  return text + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
         "Sec-WebSocket-Key: " + key + "\r\n\r\n";
}

void trace(const Settings& settings, char kind, std::string_view head) {
  if (!settings.verbose || !settings.trace) return;
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    settings.trace(kind, head.substr(0, end));
    head.remove_prefix(end + 2);
  }
}

Error too_late() {
  return transport_error(CURLE_OPERATION_TIMEDOUT, "no answer to the upgrade within the time");
}

Result<> send_all(Connection& connection, std::string_view bytes, Clock::time_point until) {
  while (true) {
    auto sent = connection.send(bytes);
    if (!sent) return sent.error();
    bytes.remove_prefix(*sent);
    if (bytes.empty()) return {};
    if (Clock::now() >= until) return too_late();
    if (auto waited = wait(connection, true, *sent > 0, until); !waited) return waited;
  }
}

/// Reads the head of an answer from bytes as they come.
class HeadReader {
 public:
  Head head;

  /// Takes bytes from the start of `bytes`. True when the head is whole.
  Result<bool> read(std::string& bytes) {
    while (true) {
      const std::size_t size = bytes.find('\n') + 1;
      if (head.raw.size() + (size == 0 ? bytes.size() : size) > kMaxHead) {
        return transport_error(CURLE_RECV_ERROR, "the answer's head is larger than 256 KiB");
      }
      if (size == 0) return false;
      const std::string line = bytes.substr(0, size);
      bytes.erase(0, size);
      if (!is_fine(line)) {
        return transport_error(CURLE_WEIRD_SERVER_REPLY, "the answer has no HTTP head");
      }
      starts_ = line == "\r\n";  // an informational head ends, when it is not the last
      if (add_head_line(head, line)) return true;
    }
  }

 private:
  bool is_fine(std::string_view line) const {
    using namespace std::string_view_literals;
    if (!line.ends_with("\r\n")) return false;
    line.remove_suffix(2);
    if (line.find_first_of("\r\0"sv) != std::string_view::npos) return false;
    constexpr std::string_view kStatusLine = "HTTP/1.1 101";
    if (starts_) {
      const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
      return line.starts_with("HTTP/1.") && line.size() >= kStatusLine.size() && line[8] == ' ' &&
             std::all_of(line.begin() + 9, line.begin() + 12, is_digit) &&
             (line.size() == kStatusLine.size() || line[kStatusLine.size()] == ' ');
    }
    return line.empty() || is_token(line.substr(0, line.find(':')));
  }

  bool starts_ = true;
};

Result<Head> read_head(Connection& connection, std::string& bytes, Clock::time_point until) {
  HeadReader reader;
  while (true) {
    std::array<char, kPiece> piece{};
    auto got = connection.receive(piece);
    if (!got) return got.error();
    if (*got && **got == 0) {
      return transport_error(CURLE_GOT_NOTHING,
                             "the server closed the connection without an answer");
    }
    if (*got) bytes.append(piece.data(), **got);
    auto whole = reader.read(bytes);
    if (!whole) return whole.error();
    if (*whole) return std::move(reader.head);
    if (Clock::now() >= until) return too_late();
    if (auto waited = wait(connection, false, got->has_value(), until); !waited) {
      return waited.error();
    }
  }
}

/// RFC 6455 section 4.1, what a client checks of a 101.
Result<> check(const Head& head, const Request& request, const std::string& key) {
  const auto defect = [](std::string_view what) {
    return Error{Kind::protocol, "the server's upgrade to a WebSocket " + std::string(what)};
  };
  if (head.version != "1.1") return defect("is not HTTP/1.1");
  const auto upgrade = items(head.headers.values("upgrade"));
  if (upgrade.size() != 1 || !equals_ignoring_case(upgrade[0], "websocket")) {
    return defect("is to something else");
  }
  if (!contains(items(head.headers.values("connection")), "upgrade")) {
    return defect("is not said of the connection");
  }
  if (head.headers.values("sec-websocket-accept") != std::vector{accept_of(key)}) {
    return defect("does not answer the key");
  }
  if (head.headers.find("sec-websocket-extensions") != nullptr) {
    return defect("names an extension that nobody asked for");
  }
  const auto protocols = head.headers.values("sec-websocket-protocol");
  const auto offered = items(request.headers.values("sec-websocket-protocol"));
  const bool is_offered = protocols.size() == 1 &&
                          std::find(offered.begin(), offered.end(), protocols[0]) != offered.end();
  if (!protocols.empty() && !is_offered) {
    return defect("names a subprotocol that nobody asked for");
  }
  return {};
}

/// What the server did, by the code of the close frame that wslay answers it with.
Error broken(int code) {
  if (code == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA) {
    return {Kind::protocol, "the server sent text that is not UTF-8"};
  }
  if (code == WSLAY_CODE_MESSAGE_TOO_BIG) {
    return {Kind::protocol, "the server sent a message of more than 1 MiB"};
  }
  return {Kind::protocol, "the server sent a frame that RFC 6455 forbids"};
}

}  // namespace

/// What wslay calls; `user` is the WebSocket.
struct WebSocket::Callbacks {
  static WebSocket& of(void* user) { return *static_cast<WebSocket*>(user); }

  static ssize_t receive(wslay_event_context* frames, std::uint8_t* out, std::size_t size, int,
                         void* user) {
    const std::string_view piece = of(user).next_piece(size);
    if (piece.empty()) {
      of(user).starved_ = true;
      wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    std::memcpy(out, piece.data(), piece.size());
    return static_cast<ssize_t>(piece.size());
  }

  static ssize_t send(wslay_event_context*, const std::uint8_t* bytes, std::size_t size, int,
                      void* user) {
    of(user).outgoing_ += as_text({bytes, size});
    return static_cast<ssize_t>(size);
  }

  static int mask(wslay_event_context*, std::uint8_t* out, std::size_t size, void*) {
    random_bytes({out, size});
    return 0;
  }

  static void message(wslay_event_context*, const wslay_event_on_msg_recv_arg* got, void* user) {
    WebSocket& socket = of(user);
    std::string data{as_text({got->msg, got->msg_length})};
    if (got->opcode == WSLAY_TEXT_FRAME) {
      socket.message_ = Received{Received::What::text, std::move(data)};
    } else if (got->opcode == WSLAY_BINARY_FRAME) {
      socket.message_ = Received{Received::What::binary, std::move(data)};
    } else if (got->opcode == WSLAY_CONNECTION_CLOSE) {
      int code = WSLAY_CODE_NO_STATUS_RCVD;
      if (data.size() >= 2) code = got->status_code;
      data.erase(0, 2);
      socket.closed_ = Received{Received::What::closed, std::move(data), code};
    }
  }
};

WebSocket::WebSocket(std::unique_ptr<Connection> connection, std::string early)
    : connection_(std::move(connection)),
      frames_(nullptr, &wslay_event_context_free),
      incoming_(std::move(early)) {
  const wslay_event_callbacks callbacks{
      &Callbacks::receive, &Callbacks::send, &Callbacks::mask, nullptr, nullptr, nullptr,
      &Callbacks::message};
  wslay_event_context* frames = nullptr;
  if (wslay_event_context_client_init(&frames, &callbacks, this) != 0) std::abort();  // no memory
  frames_.reset(frames);
  wslay_event_config_set_max_recv_msg_length(frames, kMaxMessage);
}

WebSocket::~WebSocket() = default;

Error WebSocket::fail(Error error) {
  failure_ = std::move(error);
  return *failure_;
}

/// The bytes that wslay may have next: at most to the end of a frame, none behind a whole message,
/// and a control frame only in one piece, as wslay 1.1.1 leaves the first two bytes of every piece
/// out when it looks at the letters of a close frame.
std::string_view WebSocket::next_piece(std::size_t limit) {
  if (message_) return {};
  const std::string_view there = std::string_view(incoming_).substr(taken_);
  if (frame_left_ == 0) {
    if (there.size() < 2) return {};
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(there[i]); };
    std::uint64_t payload = byte(1) & 0x7f;
    const std::size_t extra = payload == 126 ? 2 : payload == 127 ? 8 : 0;
    const std::size_t head = 2 + extra + ((byte(1) & 0x80) != 0 ? 4 : 0);
    if (there.size() < head) return {};
    const bool is_control = (byte(0) & 0x08) != 0;
    if (is_control && extra == 0 && there.size() < head + payload) return {};
    if (extra > 0) payload = 0;
    for (std::size_t i = 0; i < extra; ++i) {
      payload = payload << 8 | byte(2 + i);
    }
    frame_left_ = head + std::min(payload, UINT64_MAX - head);
  }
  const auto size =
      static_cast<std::size_t>(std::min<std::uint64_t>(frame_left_, std::min(limit, there.size())));
  frame_left_ -= size;
  taken_ += size;
  return there.substr(0, size);
}

/// Gives wslay what has come, up to the end of a message.
Result<> WebSocket::read_frames() {
  for (starved_ = false; !starved_ && wslay_event_want_read(frames_.get()) != 0;) {
    wslay_event_recv(frames_.get());
  }
  if (message_ || closed_ || wslay_event_want_read(frames_.get()) != 0) return {};
  if (auto told = flush(); !told) outgoing_.clear();
  return fail(broken(wslay_event_get_status_code_sent(frames_.get())));
}

/// Sends what the connection takes.
Result<> WebSocket::flush() {
  wslay_event_send(frames_.get());
  while (!outgoing_.empty()) {
    auto sent = connection_->send(outgoing_);
    if (!sent) return sent.error();
    if (*sent == 0) break;
    outgoing_.erase(0, *sent);
  }
  return {};
}

/// Sends, receives once, reads. True when something was received.
Result<bool> WebSocket::step() {
  if (failure_) return *failure_;
  if (auto read = read_frames(); !read) return read.error();
  if (auto sent = flush(); !sent) outgoing_.clear();  // what was said before can still be read
  if (message_ || closed_) return true;
  if (outgoing_.size() > 2 * kMaxMessage) {
    return fail(
        transport_error(CURLE_SEND_ERROR, "the server does not take what answers its pings"));
  }
  incoming_.erase(0, std::exchange(taken_, 0));
  std::array<char, kPiece> piece{};
  auto got = connection_->receive(piece);
  if (!got) return fail(got.error());
  if (!*got) return false;
  if (**got == 0) {
    return fail(
        transport_error(CURLE_RECV_ERROR, "the connection ended without the WebSocket's close"));
  }
  incoming_.append(piece.data(), **got);
  if (auto read = read_frames(); !read) return read.error();
  if (auto sent = flush(); !sent) outgoing_.clear();
  return true;
}

Result<> WebSocket::send(std::string_view text) {
  if (failure_) return *failure_;
  if (outgoing_.size() + text.size() > kMaxMessage) {
    return transport_error(CURLE_SEND_ERROR, "the server does not take what is sent to it");
  }
  const wslay_event_msg message{WSLAY_TEXT_FRAME, as_bytes(text).data(), text.size()};
  if (closed_ || wslay_event_queue_msg(frames_.get(), &message) != 0) {
    return transport_error(CURLE_SEND_ERROR, "the WebSocket is closed");
  }
  return flush();
}

Result<Received> WebSocket::receive(Duration at_most) {
  const auto until = after(at_most);
  while (true) {
    auto moved = step();
    if (!moved) return moved.error();
    if (message_) {
      // A server that never pauses must not keep signals from being seen.
      if (auto noticed = connection_->wait(true, Duration(0)); !noticed) return noticed.error();
      return *std::exchange(message_, std::nullopt);
    }
    if (closed_) return *closed_;
    if (Clock::now() >= until) return Received{};
    if (auto waited = wait(*connection_, !outgoing_.empty(), *moved, until); !waited) {
      return waited.error();
    }
  }
}

Result<> WebSocket::close(int code, std::string_view reason, Duration at_most) {
  const auto until = after(at_most);
  const int queued = wslay_event_queue_close(frames_.get(), static_cast<std::uint16_t>(code),
                                             as_bytes(reason).data(), reason.size());
  if (queued == WSLAY_ERR_INVALID_ARGUMENT) {
    return Error{Kind::internal, "the reason of a close frame is too long"};
  }
  while (true) {
    auto moved = step();
    if (!moved) return moved.error();
    message_.reset();
    if (closed_) return {};
    if (Clock::now() >= until) {
      return transport_error(CURLE_OPERATION_TIMEDOUT,
                             "the server did not close the WebSocket within the time");
    }
    if (auto waited = wait(*connection_, !outgoing_.empty(), *moved, until); !waited) {
      return waited;
    }
  }
}

Result<Upgrade> upgrade(std::unique_ptr<Connection> connection, const Request& request,
                        Clock::time_point until) {
  const Settings& settings = connection->settings();
  const std::string key = to_base64(random_array<16>());
  auto text = asking(request, settings, key);
  if (!text) return text.error();
  trace(settings, '>', *text);
  if (auto sent = send_all(*connection, *text, until); !sent) return sent.error();
  std::string early;
  auto head = read_head(*connection, early, until);
  if (!head) return head.error();
  trace(settings, '<', head->raw);
  Upgrade done;
  done.head = std::move(*head);
  done.head.peer_ip = connection->peer().ip;
  done.head.peer_port = connection->peer().port;
  done.head.local_socket = request.to_local_socket();
  if (done.head.status != 101) return done;
  if (auto fine = check(done.head, request, key); !fine) return fine.error();
  done.socket = std::make_unique<WebSocket>(std::move(connection), std::move(early));
  return done;
}

Result<Upgrade> open_websocket(Client& client, const Request& request) {
  const Deadlines& limits = request.deadlines;
  auto until = Clock::time_point::max();
  for (const Duration length : {limits.head, limits.total}) {
    if (length.count() != 0) until = std::min(until, after(length));
  }
  auto connection = client.connect(request);
  if (!connection) return connection.error();
  return upgrade(*std::move(connection), request, until);
}

}  // namespace paycurl::http
