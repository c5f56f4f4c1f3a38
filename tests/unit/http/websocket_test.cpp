// WebSockets: the handshake and each of its defects, frames however they arrive, the close, and
// connections that libcurl makes.
#include "src/http/websocket.h"

#include <array>
#include <vector>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/crypto/hash.h"

namespace paycurl::http {
namespace {

using namespace std::chrono_literals;
using What = Received::What;

/// A server in memory, and what happened to it.
struct Server {
  std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {accept}\r\n\r\n";
  std::string says;                               ///< behind the answer
  std::size_t first = SIZE_MAX, size = SIZE_MAX;  ///< of the pieces it sends
  std::size_t room = SIZE_MAX;                    ///< for each piece it takes
  bool ends = false;
  std::optional<Kind> signal;
  std::string heard;
  bool answered = false;
  std::vector<std::string> traced;
  Settings settings;

  /// The frames that it heard: "opcode:payload;".
  std::string frames() const {
    std::string text;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(heard.at(i)); };
    for (std::size_t at = heard.find("\r\n\r\n") + 4; at < heard.size();) {
      CHECK((byte(at) & 0x80) != 0);
      CHECK((byte(at + 1) & 0x80) != 0);  // masked
      text += std::to_string(byte(at) & 0x0f) + ":";
      std::size_t length = byte(at + 1) & 0x7f;
      at += 2;
      if (length == 126) {
        length = std::size_t{byte(at)} << 8 | byte(at + 1);
        at += 2;
      }
      for (std::size_t i = 0; i < length; ++i) {
        text += static_cast<char>(byte(at + 4 + i) ^ byte(at + i % 4));
      }
      text += ";";
      at += 4 + length;
    }
    return text;
  }

  std::string field(const std::string& name) const {
    const std::size_t at = heard.find("\r\n" + name + ": ") + name.size() + 4;
    return heard.substr(at, heard.find("\r\n", at) - at);
  }
};

class Wire : public Connection {
 public:
  explicit Wire(Server& server) : server_(server) {}

  Result<std::size_t> send(std::string_view bytes) override {
    const std::size_t taken = std::min(bytes.size(), server_.room);
    server_.heard += bytes.substr(0, taken);
    return taken;
  }

  Result<std::optional<std::size_t>> receive(std::span<char> out) override {
    if (!server_.answered && server_.heard.find("\r\n\r\n") != std::string::npos) {
      server_.answered = true;
      std::string answer = server_.answer;
      if (const std::size_t at = answer.find("{accept}"); at != std::string::npos) {
        const std::string key = server_.field("Sec-WebSocket-Key");
        answer.replace(at, 8,
                       to_base64(sha1(as_bytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))));
      }
      server_.says.insert(0, answer);
    }
    if (!server_.answered || (server_.says.empty() && !server_.ends)) return std::nullopt;
    const std::size_t piece =
        std::min({std::exchange(server_.first, server_.size), server_.says.size(), out.size()});
    server_.says.copy(out.data(), piece);
    server_.says.erase(0, piece);
    return piece;
  }

  Result<> wait(bool, Duration at_most) override {
    if (const auto kind = std::exchange(server_.signal, std::nullopt)) {
      return Error{*kind, "stopped by a signal"};
    }
    if (at_most.count() > 0) ::usleep(1000);
    return {};
  }

  Peer peer() const override { return {"203.0.113.7", 443}; }
  const Settings& settings() const override { return server_.settings; }

 private:
  Server& server_;
};

Request request(const char* url = "wss://api.example.com/stream?a=b") {
  Request asked;
  asked.url = *parse_url(url);
  return asked;
}

Result<Upgrade> open(Server& server, const Request& asked = request(),
                     std::chrono::milliseconds patience = 10s) {
  server.settings.user_agent = "paycurl/0";
  return upgrade(std::make_unique<Wire>(server), asked,
                 std::chrono::steady_clock::now() + patience);
}

std::string frame(int first_byte, std::string_view payload) {
  std::string text(1, static_cast<char>(first_byte));
  const std::size_t size = payload.size();
  const auto number = [&](int bytes) {
    for (int shift = 8 * bytes - 8; shift >= 0; shift -= 8)
      text += static_cast<char>(size >> shift & 0xff);
  };
  if (size < 126) {
    number(1);
  } else if (size < 65536) {
    text += 126;
    number(2);
  } else {
    text += 127;
    number(8);
  }
  return text.append(payload);
}

std::string told(const Received& got) {
  constexpr std::array kNames{"nothing", "text", "binary", "closed"};
  return std::string(kNames.at(static_cast<std::size_t>(got.what))) + "|" + got.data + "|" +
         (got.what == What::closed ? std::to_string(got.close_code) : "") + ";";
}

/// All that comes until the end, and the error's text.
std::string read_all(WebSocket& socket) {
  std::string text;
  while (true) {
    auto got = socket.receive(0ms);
    if (!got) return text + "error: " + got.error().message;
    if (got->what == What::nothing) continue;
    text += told(*got);
    if (got->what == What::closed) return text;
  }
}

/// What comes of `frames` in pieces of `size` bytes behind a first one of `first`.
std::string hear(const std::string& frames, std::size_t first = SIZE_MAX,
                 std::size_t size = SIZE_MAX) {
  Server server;
  const auto opened = open(server);
  REQUIRE(opened);
  server.says = frames;
  server.first = first;
  server.size = size;
  server.ends = true;
  return read_all(*opened->socket);
}

constexpr const char* kForbidden = "error: the server sent a frame that RFC 6455 forbids";
constexpr const char* kNoUtf8 = "error: the server sent text that is not UTF-8";
constexpr const char* kTooLong = "error: the server sent a message of more than 1 MiB";
constexpr const char* kEnded = "error: the connection ended without the WebSocket's close";

TEST_CASE("what is asked for") {
  Server server;
  Request asked = request();
  asked.headers.add("Authorization", "Bearer x");
  asked.headers.add("Sec-WebSocket-Protocol", "chat, superchat");
  server.settings.verbose = true;
  server.settings.trace = [&](char kind, std::string_view line) {
    server.traced.push_back(std::string(1, kind) + " " + std::string(line));
  };
  const auto opened = open(server, asked);
  REQUIRE(opened);
  CHECK(opened->socket);
  CHECK(opened->head.status == 101);
  CHECK(opened->head.peer_ip == "203.0.113.7");
  const std::string key = server.field("Sec-WebSocket-Key");
  CHECK(from_base64(key)->size() == 16);
  CHECK(server.heard ==
        "GET /stream?a=b HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: paycurl/0\r\n"
        "Authorization: Bearer x\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: " +
            key + "\r\n\r\n");
  REQUIRE(server.traced.size() == 15);
  CHECK(server.traced[0] == "> GET /stream?a=b HTTP/1.1");
  CHECK(server.traced[9] == "> ");
  CHECK(server.traced[10] == "< HTTP/1.1 101 Switching Protocols");
  CHECK(server.traced[14] == "< ");

  Server other;
  asked = request("ws://[::1]:8080");
  asked.removed_headers.emplace_back("user-agent");
  asked.headers.add("Host", "other");
  REQUIRE(open(other, asked));
  CHECK(other.heard.starts_with("GET / HTTP/1.1\r\nHost: other\r\nUpgrade: websocket\r\n"));
  CHECK(other.field("Sec-WebSocket-Key") != key);
  Server port;
  REQUIRE(open(port, request("ws://[::1]:8080")));
  CHECK(port.field("Host") == "[::1]:8080");
}

TEST_CASE("what cannot be asked for") {
  Server server;
  for (const char* name : {"upgrade", "Connection", "Sec-WebSocket-Extensions", "Content-Length"}) {
    Request asked = request();
    asked.headers.add(name, "x");
    CHECK(open(server, asked).error().kind == Kind::usage);
  }
  Request smuggled = request();
  smuggled.headers.add("A", "b\r\nC: d");
  CHECK(open(server, smuggled).error().kind == Kind::usage);
  Request post = request();
  post.method = "POST";
  CHECK(open(server, post).error().kind == Kind::usage);
  CHECK(server.heard.empty());
}

/// The head of an answer, with `from` in place of `to`.
Result<Upgrade> open_with(std::string_view from, std::string_view to) {
  Server server;
  server.answer.replace(server.answer.find(from), from.size(), to);
  server.ends = true;
  return open(server);
}

TEST_CASE("an upgrade is accepted in every spelling that the RFC allows") {
  CHECK(open_with("Upgrade: websocket", "uPGRADE:\tWebSocket ")->socket);
  CHECK(open_with("Connection: Upgrade", "Connection: keep-alive, upgrade")->socket);
  CHECK(open_with("Connection: Upgrade", "Connection: x\r\nconnection: UPGRADE")->socket);
  CHECK(open_with(" Switching Protocols", "")->socket);
  CHECK(open_with("HTTP", "HTTP/1.1 103 Early Hints\r\nUpgrade: h2c\r\n\r\nHTTP")->socket);
  Server server;
  server.answer.insert(server.answer.size() - 2, "Sec-WebSocket-Protocol: superchat\r\n");
  Request asked = request();
  asked.headers.add("Sec-WebSocket-Protocol", "chat, superchat");
  CHECK(open(server, asked)->socket);
}

TEST_CASE("an upgrade with a defect is refused") {
  const auto kind = [](std::string_view from, std::string_view to) {
    CAPTURE(to);
    const auto opened = open_with(from, to);
    return opened ? Kind::internal : opened.error().kind;
  };
  const std::string accept = "Sec-WebSocket-Accept: {accept}\r\n";
  CHECK(kind("HTTP/1.1", "HTTP/1.0") == Kind::protocol);
  CHECK(kind("Upgrade: websocket\r\n", "") == Kind::protocol);
  CHECK(kind("Upgrade: websocket", "Upgrade: h2c") == Kind::protocol);
  CHECK(kind("Upgrade: websocket", "Upgrade: websocket, h2c") == Kind::protocol);
  CHECK(kind("Upgrade: websocket\r\n", "Upgrade: websocket\r\nUpgrade: websocket\r\n") ==
        Kind::protocol);
  CHECK(kind("Connection: Upgrade\r\n", "") == Kind::protocol);
  CHECK(kind("Connection: Upgrade", "Connection: Upgraded") == Kind::protocol);
  CHECK(kind(accept, "") == Kind::protocol);
  CHECK(kind(accept, accept + "Sec-WebSocket-Accept: x\r\n") == Kind::protocol);
  CHECK(kind("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == Kind::protocol);
  CHECK(kind(accept, accept + "Sec-WebSocket-Extensions: permessage-deflate\r\n") ==
        Kind::protocol);
  CHECK(kind(accept, accept + "Sec-WebSocket-Protocol: chat\r\n") == Kind::protocol);
  for (const std::string defect : {"Upgrade : websocket\r\n", " folded: x\r\n", "no colon\r\n",
                                   "x: a\rb\r\n", "x: y\n", ": empty\r\n", "HTTP/1.1 200 OK\r\n"}) {
    CHECK(kind("Upgrade: websocket\r\n", defect) == Kind::transport);
  }
  CHECK(kind("HTTP/1.1 101", "HTTP/1.1 1012") == Kind::transport);
  CHECK(kind("HTTP/1.1 101", "HTTP/1.1 10") == Kind::transport);
  CHECK(kind("HTTP/1.1 101", "HTTP/2 101") == Kind::transport);
  CHECK(kind("HTTP/1.1", "SSH-2.0") == Kind::transport);
}

TEST_CASE("another answer is the caller's to judge") {
  Server server;
  server.answer = "HTTP/1.1 402 Payment Required\r\nWWW-Authenticate: Payment a\r\n\r\nbody";
  const auto opened = open(server);
  REQUIRE(opened);
  CHECK_FALSE(opened->socket);
  CHECK(opened->head.status == 402);
  CHECK(*opened->head.headers.find("www-authenticate") == "Payment a");
}

TEST_CASE("an answer that does not end, does not come, or is stopped") {
  Server endless;
  endless.answer = "HTTP/1.1 200 OK\r\n" + std::string(300'000, 'x');
  CHECK(open(endless).error().message == "the answer's head is larger than 256 KiB");
  Server silent;
  silent.answer = "HTTP/1.1 101 ";
  CHECK(open(silent, request(), 50ms).error().exit_status() == 28);
  Server gone;
  gone.answer = "";
  gone.ends = true;
  CHECK(open(gone).error().exit_status() == 52);
  Server stopped;
  stopped.answer = "";
  stopped.signal = Kind::terminated;
  CHECK(open(stopped).error().kind == Kind::terminated);
}

TEST_CASE("messages, whole and in fragments, at every split") {
  const std::string long_text(300, 'x');
  const std::string stream = frame(0x81, "hi") + frame(0x01, "\xc3") + frame(0x89, "p") +
                             frame(0x00, "") + frame(0x80, "\xa9!") + frame(0x8a, "unasked") +
                             frame(0x81, "") + frame(0x82, "\xff\x01") + frame(0x81, long_text) +
                             frame(0x88,
                                   "\x03\xe8"
                                   "caf\xc3\xa9 \xe2\x82\xac");
  const std::string expected = "text|hi|;text|\xc3\xa9!|;text||;binary|\xff\x01|;text|" +
                               long_text + "|;closed|caf\xc3\xa9 \xe2\x82\xac|1000;";
  CHECK(hear(stream) == expected);
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    CHECK(hear(stream, cut) == expected);
  }
  for (const std::size_t size : {1U, 2U, 3U, 7U}) {
    CHECK(hear(stream, size, size) == expected);
  }
  Server server;  // all in one piece with the head
  server.says = stream;
  CHECK(read_all(*open(server)->socket) == expected);
}

TEST_CASE("a message has at most 1 MiB") {
  const std::string most(WebSocket::kMaxMessage, 'x');
  CHECK(hear(frame(0x81, most)) == "text|" + most + "|;" + kEnded);
  CHECK(hear(frame(0x81, most + "x")) == kTooLong);
  CHECK(hear(frame(0x01, most) + frame(0x80, "x")) == kTooLong);
  CHECK(hear("\x82\x7f\x7f" + std::string(7, '\xff') + "x") == kTooLong);
}

TEST_CASE("text is UTF-8") {
  CHECK(hear(frame(0x81, "\xc3")) == kNoUtf8);
  CHECK(hear(frame(0x81, "\xed\xa0\x80")) == kNoUtf8);
  CHECK(hear(frame(0x81, "\xc0\xaf"), 1, 1) == kNoUtf8);
  CHECK(hear(frame(0x81, "a") + frame(0x01, "\xe2\x82") + frame(0x80, "x")) ==
        "text|a|;" + std::string(kNoUtf8));
  CHECK(hear(frame(0x88, "\x03\xe8\xff")) == kNoUtf8);
}

TEST_CASE("frames that the RFC forbids") {
  for (const std::string& bad : {
           std::string("\x81\x82"
                       "abcd"
                       "hi"),                     // masked
           frame(0xc1, "hi"), frame(0x91, "hi"),  // reserved bits
           frame(0x83, "hi"), frame(0x8b, "hi"),  // reserved opcodes
           frame(0x80, "hi"),                     // the rest of nothing
           frame(0x01, "a") + frame(0x81, "b"),   // a start inside a message
           frame(0x09, "hi"), frame(0x89, std::string(126, 'x')),
           std::string("\x81\x7e\x00\x02hi", 6),  // lengths in too many bytes
           std::string("\x81\x7f\0\0\0\0\0\0\0\x02hi", 12),
           "\x81\x7f" + std::string(8, '\xff') + "x",
           frame(0x88, "\x03\xed"),  // 1005 is never sent
       }) {
    CAPTURE(to_hex(as_bytes(bad)));
    CHECK(hear(bad) == kForbidden);
    CHECK(hear(bad, 1, 1) == kForbidden);
  }
}

TEST_CASE("the server is told what it did, and the error stays") {
  Server server;
  server.says = frame(0x81, "\xff");
  const auto opened = open(server);
  CHECK(opened->socket->receive(0ms).error().kind == Kind::protocol);
  CHECK(server.frames() == "8:\x03\xef;");  // 1007
  CHECK(opened->socket->receive(0ms).error().kind == Kind::protocol);
  CHECK_FALSE(opened->socket->send("x"));
  CHECK_FALSE(opened->socket->close(1000, "", 0ms));
}

TEST_CASE("pings are answered, and messages go out, in pieces where the connection is full") {
  for (const std::size_t room : {std::size_t{1}, SIZE_MAX}) {
    Server server;
    server.room = room;
    const auto opened = open(server);
    REQUIRE(opened);
    WebSocket& socket = *opened->socket;
    CHECK(socket.send("one"));
    CHECK(socket.send(std::string(200, 'z')));
    server.says = frame(0x89, "are you there") + frame(0x81, "x");
    CHECK(told(*socket.receive(20ms)) == "text|x|;");
    CHECK(told(*socket.receive(5ms)) == "nothing||;");
    CHECK(server.frames() == "1:one;1:" + std::string(200, 'z') + ";10:are you there;");
  }
}

TEST_CASE("a server that takes nothing") {
  Server server;
  const auto opened = open(server);
  server.room = 0;
  CHECK(opened->socket->send(std::string(WebSocket::kMaxMessage - 100, 'x')));
  CHECK(opened->socket->send(std::string(101, 'x')).error().exit_status() == 55);
  Result<Received> got = Received{};
  for (int i = 0; got && i < 20'000; ++i) {
    if (server.says.empty()) server.says = frame(0x89, std::string(125, 'p'));
    got = opened->socket->receive(0ms);
  }
  REQUIRE_FALSE(got);
  CHECK(got.error().exit_status() == 55);
}

TEST_CASE("the server closes") {
  Server server;
  server.says = frame(0x81, "last") +
                frame(0x88,
                      "\x03\xe9"
                      "bye") +
                frame(0x81, "behind it");
  const auto opened = open(server);
  CHECK(read_all(*opened->socket) == "text|last|;closed|bye|1001;");
  CHECK(server.frames() ==
        "8:\x03\xe9"
        "bye;");
  CHECK(told(*opened->socket->receive(0ms)) == "closed|bye|1001;");
  CHECK(opened->socket->send("x").error().exit_status() == 55);
  CHECK(opened->socket->close(1000, "", 0ms));
  CHECK(hear(frame(0x88, "")) == "closed||1005;");
  CHECK(hear("") == kEnded);
  CHECK(hear(frame(0x01, "half")) == kEnded);
}

TEST_CASE("the client closes") {
  Server server;
  auto opened = open(server);
  server.says = frame(0x81, "dropped") + frame(0x88, "\x03\xe8");
  CHECK(opened->socket->close(1000, "done", 20ms));
  CHECK(server.frames() ==
        "8:\x03\xe8"
        "done;");

  Server slow;
  opened = open(slow);
  CHECK(opened->socket->close(1000, "", 5ms).error().exit_status() == 28);
  CHECK(opened->socket->send("x").error().exit_status() == 55);
  slow.says = frame(0x88, "");
  CHECK(opened->socket->close(1000, "", 5ms));

  Server gone;
  opened = open(gone);
  gone.ends = true;
  CHECK(opened->socket->close(1000, "", 5ms).error().exit_status() == 56);
  Server other;
  opened = open(other);
  CHECK(opened->socket->close(1000, std::string(124, 'x'), 5ms).error().kind == Kind::internal);
}

TEST_CASE("a signal stops the wait, not the WebSocket") {
  Server server;
  const auto opened = open(server);
  server.signal = Kind::interrupted;
  CHECK(opened->socket->receive(10s).error().kind == Kind::interrupted);
  server.says = frame(0x81, "receipt") + frame(0x88, "");
  CHECK(told(*opened->socket->receive(1s)) == "text|receipt|;");
  CHECK(opened->socket->close(1000, "", 1s));
}

/// A listening socket of this machine.
struct Listener {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  int port = 0;

  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd, generic, size) == 0);
    REQUIRE(::listen(fd, 4) == 0);
    REQUIRE(::getsockname(fd, generic, &size) == 0);
    port = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::string url(const std::string& host) const {
    return "ws://" + host + ":" + std::to_string(port) + "/";
  }
};

TEST_CASE("a connection of libcurl's") {
  const Listener listener;
  const auto client = make_client({});
  auto connection = client->connect(request(listener.url("a.localhost").c_str()));
  REQUIRE(connection);
  const int server = ::accept(listener.fd, nullptr, nullptr);
  CHECK((*connection)->peer().ip == "127.0.0.1");
  CHECK((*connection)->peer().port == listener.port);

  std::array<char, 16> bytes{};
  CHECK_FALSE((*connection)->receive(bytes)->has_value());
  CHECK((*connection)->wait(false, 1ms));
  CHECK(*(*connection)->send("hello") == 5);
  CHECK(::recv(server, bytes.data(), bytes.size(), 0) == 5);  // nothing was sent before
  CHECK(::send(server, "you", 3, 0) == 3);
  CHECK((*connection)->wait(false, 10s));
  CHECK(**(*connection)->receive(bytes) == 3);
  ::close(server);
  CHECK((*connection)->wait(false, 10s));
  CHECK(**(*connection)->receive(bytes) == 0);
}

TEST_CASE("a connection fails as an exchange does, and before a byte is sent") {
  const Listener listener;
  const auto client = make_client({});
  Request asked = request(listener.url("127.0.0.1").c_str());
  asked.peers = PeerRule::not_private;
  const auto refused = client->connect(asked);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message ==
        "a redirect from a public address leads to the private address 127.0.0.1");
  std::array<char, 1> byte{};
  const int server = ::accept(listener.fd, nullptr, nullptr);
  CHECK(::recv(server, byte.data(), 1, 0) == 0);
  ::close(server);

  int closed_port = 0;
  {
    const Listener closed;
    closed_port = closed.port;
  }
  const std::string nobody = "ws://127.0.0.1:" + std::to_string(closed_port);
  CHECK(client->connect(request(nobody.c_str())).error().exit_status() == 7);
}

TEST_CASE("a signal wakes a connection, once") {
  const Listener listener;
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  bool came = false;
  Settings settings;
  settings.interrupt_fd = pipe[0];
  settings.interruption = [&] { return came ? std::optional(Kind::interrupted) : std::nullopt; };
  const auto client = make_client(std::move(settings));
  auto asked = request(listener.url("127.0.0.1").c_str());
  auto connection = client->connect(asked);
  REQUIRE(connection);
  came = true;
  REQUIRE(::write(pipe[1], "x", 1) == 1);
  CHECK((*connection)->wait(false, 10s).error().kind == Kind::interrupted);
  const auto before = std::chrono::steady_clock::now();
  CHECK((*connection)->wait(false, 20ms));
  CHECK(std::chrono::steady_clock::now() >= before + 15ms);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

}  // namespace
}  // namespace paycurl::http
