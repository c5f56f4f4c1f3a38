// A WebSocket's server: its head, then its frames. However they are cut, what comes of them is the
// same. The first "{accept}" of the input stands for what the key asks for.
#include "src/http/websocket.h"

#include "src/base/text.h"
#include "src/crypto/hash.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace paycurl;
using http::Received;

class Wire : public http::Connection {
 public:
  Wire(std::string_view server, std::size_t piece) : server_(server), piece_(piece) {}

  Result<std::size_t> send(std::string_view bytes) override {
    constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
    const std::size_t key = bytes.find(kKey);
    const std::size_t accept = server_.find("{accept}");
    if (!asked_ && accept != std::string::npos) {
      std::string text{bytes.substr(key + kKey.size(), 24)};
      text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
      server_.replace(accept, 8, to_base64(sha1(as_bytes(text))));
    }
    asked_ = true;
    return bytes.size();
  }
  Result<std::optional<std::size_t>> receive(std::span<char> out) override {
    const std::size_t size = std::min({piece_, server_.size(), out.size()});
    server_.copy(out.data(), size);
    server_.erase(0, size);
    return size;
  }
  Result<> wait(bool, http::Duration) override { return {}; }
  Peer peer() const override { return {}; }
  const http::Settings& settings() const override { return settings_; }

 private:
  http::Settings settings_;
  std::string server_;
  std::size_t piece_;
  bool asked_ = false;
};

/// Everything that comes, and the error at the end, as text.
std::string read(std::string_view server, std::size_t piece) {
  http::Request request;
  request.url = *http::parse_url("ws://example.com/");
  auto opened = http::upgrade(std::make_unique<Wire>(server, piece), request,
                              std::chrono::steady_clock::time_point::max());
  if (!opened) return opened.error().message;
  std::string text = std::to_string(opened->head.status);
  while (opened->socket) {
    auto got = opened->socket->receive(http::Duration(0));
    if (!got) return text + got.error().message;
    if (got->what == Received::What::nothing) continue;
    FUZZ_CHECK(got->data.size() <= http::WebSocket::kMaxMessage);
    if (got->what == Received::What::text) FUZZ_CHECK(valid_utf8(got->data) == got->data);
    text += std::to_string(static_cast<int>(got->what)) + got->data;
    if (got->what == Received::What::closed) return text + std::to_string(got->close_code);
  }
  return text;
}

}  // namespace

void paycurl::fuzz_one(std::string_view input) {
  FUZZ_CHECK(read(input, 1) == read(input, input.size()));
}
