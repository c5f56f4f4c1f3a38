// A WebSocket's client end (RFC 6455): the upgrade of a request, then messages both ways. The
// frames are wslay's.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/http/client.h"

struct wslay_event_context;

namespace paycurl::http {

/// What came.
struct Received {
  enum class What {
    nothing,  ///< within the time
    text,     ///< a whole message, UTF-8
    binary,   ///< a whole message
    closed,   ///< the server's close frame; there is nothing behind it
  };
  What what = What::nothing;
  std::string data;    ///< the message, or the reason of the close
  int close_code = 0;  ///< RFC 6455 section 7.4; 1005 when the frame has none
};

/// Sends and receives messages. Waits only where a duration is given; a signal ends that with
/// Kind::interrupted or terminated, after which it can be used on, to close in order.
class WebSocket {
 public:
  static constexpr std::size_t kMaxMessage = 1 << 20;

  /// Speaks on a connection whose upgrade is done. `early` are the bytes that came behind its head.
  WebSocket(std::unique_ptr<Connection> connection, std::string early);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  /// Queues a message of UTF-8 and sends what the connection takes at once; `receive` and `close`
  /// send the rest. Transport error 55 when the WebSocket is closed, or when more than kMaxMessage
  /// bytes would wait.
  Result<> send(std::string_view text);

  /// The next message or the server's close frame, waited for at most that long. Answers pings.
  /// Kind::protocol when the server breaks the protocol, sends text that is not UTF-8 or a message
  /// of more than kMaxMessage bytes; it is told so. Transport error 56 when the connection ends
  /// without a close frame.
  Result<Received> receive(Duration at_most);

  /// Sends a close frame and waits for the server's, at most that long; messages that still come
  /// are dropped. `reason` has at most 123 bytes of UTF-8. Fails as `receive` does; transport error
  /// 28 when the time is over.
  Result<> close(int code, std::string_view reason, Duration at_most);

 private:
  struct Callbacks;

  Result<bool> step();
  Result<> read_frames();
  Result<> flush();
  std::string_view next_piece(std::size_t limit);
  Error fail(Error error);

  std::unique_ptr<Connection> connection_;
  std::unique_ptr<wslay_event_context, void (*)(wslay_event_context*)> frames_;
  std::string incoming_;          // not yet all wslay's
  std::size_t taken_ = 0;         // of `incoming_`, by wslay
  std::uint64_t frame_left_ = 0;  // of the frame that wslay has the start of
  bool starved_ = false;          // wslay asked for more than there is
  std::string outgoing_;          // not yet the connection's
  std::optional<Received> message_, closed_;
  std::optional<Error> failure_;  // for good
};

/// What a server made of an upgrade.
struct Upgrade {
  Head head;
  std::unique_ptr<WebSocket> socket;  ///< nullptr: it answered with another status than 101
};

/// Connects to the request's server, as Client::connect does, and asks for a WebSocket, with the
/// request's own fields. Of another answer than 101 only the head is read. The request's deadlines
/// end with the head; what comes behind it has those of its calls.
/// Usage when the request is no GET, has a body or names fields that belong to the handshake;
/// Kind::protocol when the answer is 101 but breaks RFC 6455 section 4.1, or is no HTTP/1.1;
/// transport errors and signals as in any exchange.
Result<Upgrade> open_websocket(Client& client, const Request& request);

/// The same on a connection that stands. `until` ends the wait for the head.
Result<Upgrade> upgrade(std::unique_ptr<Connection> connection, const Request& request,
                        std::chrono::steady_clock::time_point until);

}  // namespace paycurl::http
