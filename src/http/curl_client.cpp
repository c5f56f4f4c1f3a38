// The Client, on libcurl's multi interface.
#include <algorithm>
#include <array>
#include <vector>

#include <curl/curl.h>
#include <poll.h>

#include "src/http/client.h"
#include "src/http/curl_cookies.h"
#include "src/http/curl_exchange.h"

namespace paycurl::http {
namespace {

using std::chrono::steady_clock;

constexpr const char* kStopped = "stopped by a signal";

/// The signal that ends what a client does: heeded once, so that what it ended can be put in order.
class Interruption {
 public:
  explicit Interruption(const Settings& settings) : settings_(settings) {}

  void continue_from(const Interruption& other) { heeded_ = other.heeded_; }

  /// What to watch; -1 for nothing.
  int fd() const { return heeded_ ? -1 : settings_.interrupt_fd; }
  /// The signal's kind, the first time that it is asked for after the signal.
  std::optional<Kind> caught() {
    if (fd() < 0 || !settings_.interruption) return std::nullopt;
    const auto kind = settings_.interruption();
    heeded_ = kind.has_value();
    return kind;
  }

 private:
  const Settings& settings_;
  bool heeded_ = false;
};

/// A connection that a handle holds as long as it stays where it was run, in the multi handle.
class CurlConnection : public Connection {
 public:
  CurlConnection(std::unique_ptr<Exchange> exchange, CURLM* multi, Interruption& interruption)
      : exchange_(std::move(exchange)), multi_(multi), interruption_(interruption) {
    curl_easy_getinfo(exchange_->easy, CURLINFO_ACTIVESOCKET, &socket_);
  }
  ~CurlConnection() override { curl_multi_remove_handle(multi_, exchange_->easy); }
  CurlConnection(const CurlConnection&) = delete;
  CurlConnection& operator=(const CurlConnection&) = delete;

  Result<std::size_t> send(std::string_view bytes) override {
    if (refused_.empty()) refused_ = bytes.substr(0, kPiece);
    std::size_t sent = 0;
    const CURLcode code = curl_easy_send(exchange_->easy, refused_.data(), refused_.size(), &sent);
    if (code == CURLE_AGAIN) return 0;
    refused_.clear();
    if (code != CURLE_OK) return failure_of(*exchange_, code);
    return sent;
  }

  Result<std::optional<std::size_t>> receive(std::span<char> out) override {
    std::size_t got = 0;
    const CURLcode code = curl_easy_recv(exchange_->easy, out.data(), out.size(), &got);
    if (code == CURLE_AGAIN) return std::nullopt;
    if (code != CURLE_OK) return failure_of(*exchange_, code);
    return got;
  }

  Result<> wait(bool to_send, Duration at_most) override {
    const auto events = static_cast<short>(to_send ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 2> watched{{{socket_, events, 0}, {interruption_.fd(), POLLIN, 0}}};
    const auto millis = std::clamp<Duration::rep>(at_most.count(), 0, 3'600'000);
    ::poll(watched.data(), watched.size(), static_cast<int>(millis));
    if (const auto kind = interruption_.caught()) return Error{*kind, kStopped};
    return {};
  }

  Peer peer() const override {
    const Stats stats = stats_of(*exchange_);
    return {stats.remote_ip, static_cast<int>(stats.remote_port)};
  }
  const Settings& settings() const override { return *exchange_->settings; }

 private:
  static constexpr std::size_t kPiece = 16 * 1024;

  std::unique_ptr<Exchange> exchange_;
  CURLM* multi_;
  Interruption& interruption_;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
  std::string refused_;  // TLS wants to be asked again with the very same buffer
};

/// Keeps what became of a connection.
class Connecting : public Stream {
 public:
  Result<> head(const Head& /*head*/) override { return {}; }
  Result<> data(std::string_view /*bytes*/) override { return {}; }
  void done(Result<> result, const Stats& /*stats*/) override { outcome = std::move(result); }

  Result<> outcome;
};

class CurlClient : public Client {
 public:
  explicit CurlClient(Settings settings, std::shared_ptr<Cookies> cookies = nullptr)
      : settings_(std::move(settings)), interruption_(settings_) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = curl_multi_init();
    cookies_ = std::move(cookies);
    if (settings_.cookies && !cookies_) cookies_ = std::make_shared<Cookies>(settings_);
  }
  ~CurlClient() override {
    exchanges_.clear();
    curl_multi_cleanup(multi_);
  }
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;

  int start(Request request, Stream& stream) override {
    exchanges_.push_back(
        std::make_unique<Exchange>(++last_id_, std::move(request), stream, settings_));
    Exchange& exchange = *exchanges_.back();
    exchange.share = cookies_ ? cookies_->share() : nullptr;
    waiting_.push_back(&exchange);  // added by the loop: libcurl forbids it inside its callbacks
    return exchange.id;
  }

  void cancel(int id, const Error& reason) override {
    for (const auto& exchange : exchanges_) {
      if (exchange->id != id) continue;
      exchange->fail(reason);
      exchange->ended = true;
    }
  }

  void limit(int id, Duration from_now) override {
    for (const auto& exchange : exchanges_) {
      if (exchange->id != id) continue;
      exchange->request.deadlines.total =
          std::chrono::ceil<Duration>(steady_clock::now() + from_now - exchange->started);
    }
  }

  void run() override {
    if (std::exchange(running_, true)) return run_newest();
    loop();
    running_ = false;
  }

  Result<std::unique_ptr<Connection>> connect(const Request& request) override {
    Connecting connecting;
    start(request, connecting);
    exchanges_.back()->connects_only = true;
    run();
    if (!connecting.outcome) return connecting.outcome.error();
    return std::make_unique<CurlConnection>(std::move(connected_), multi_, interruption_);
  }

 private:
  /// From inside a callback: only the exchange that was started last, in a loop of its own. libcurl
  /// forbids ours to turn there, and the others may be waiting for what comes of this one.
  void run_newest() {
    CurlClient apart(settings_, cookies_);
    apart.interruption_.continue_from(interruption_);
    std::erase(waiting_, exchanges_.back().get());
    apart.waiting_.push_back(exchanges_.back().get());
    apart.exchanges_.push_back(std::move(exchanges_.back()));
    exchanges_.pop_back();
    apart.run();
  }

  void loop() {
    while (!exchanges_.empty()) {
      add_waiting();
      int running = 0;
      curl_multi_perform(multi_, &running);
      take_finished();
      end_overdue();
      if (exchanges_.empty()) break;
      if (!waiting_.empty()) continue;
      curl_waitfd extra{interruption_.fd(), CURL_WAIT_POLLIN, 0};
      const bool watched = extra.fd >= 0;
      curl_multi_poll(multi_, watched ? &extra : nullptr, watched ? 1 : 0, wait_millis(), nullptr);
      if (const auto kind = interruption_.caught()) end_all(*kind);
    }
  }

  void add_waiting() {
    for (Exchange* exchange : std::exchange(waiting_, {})) {
      exchange->started = exchange->last_activity = steady_clock::now();
      configure(*exchange);
      curl_multi_add_handle(multi_, exchange->easy);
    }
  }

  void take_finished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Exchange* exchange = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
      finish(*exchange, message->data.result);
    }
  }

  void finish(Exchange& exchange, CURLcode code) {
    const bool stands = exchange.connects_only && code == CURLE_OK && !exchange.failure;
    if (!stands) curl_multi_remove_handle(multi_, exchange.easy);
    const Stats stats = stats_of(exchange);
    if (code == CURLE_OK && !exchange.failure) show_held_head(exchange);
    Result<> result;
    if (exchange.failure) {
      result = *exchange.failure;
    } else if (code != CURLE_OK) {
      result = failure_of(exchange, code);
    } else if (!exchange.head_done && !stands) {
      result =
          transport_error(CURLE_GOT_NOTHING, "the server closed the connection without an answer");
    }
    const auto found = std::find_if(exchanges_.begin(), exchanges_.end(),
                                    [&](const auto& owned) { return owned.get() == &exchange; });
    std::unique_ptr<Exchange> owned = std::move(*found);  // lives until `done` returns
    exchanges_.erase(found);
    owned->stream->done(std::move(result), stats);
    if (stands) connected_ = std::move(owned);
  }

  /// The deadlines that libcurl does not know, and exchanges that were cancelled.
  void end_overdue() {
    const auto now = steady_clock::now();
    std::vector<Exchange*> over;
    for (const auto& exchange : exchanges_) {
      if (!exchange->ended && due(*exchange) <= now) {
        exchange->fail(transport_error(CURLE_OPERATION_TIMEDOUT, overdue_text(*exchange)));
        exchange->ended = true;
      }
      if (exchange->ended) over.push_back(exchange.get());
    }
    for (Exchange* exchange : over) {
      std::erase(waiting_, exchange);
      finish(*exchange, CURLE_ABORTED_BY_CALLBACK);
    }
  }

  static steady_clock::time_point due(const Exchange& exchange) {
    const Deadlines& limits = exchange.request.deadlines;
    auto first = steady_clock::time_point::max();
    const auto limit = [&](steady_clock::time_point from, Duration length) {
      if (length.count() != 0) first = std::min(first, from + length);
    };
    limit(exchange.started, limits.total);
    if (!exchange.head_done) limit(exchange.started, limits.head);
    if (exchange.head_done) limit(exchange.last_activity, limits.idle);
    return first;
  }

  static std::string overdue_text(const Exchange& exchange) {
    const Deadlines& limits = exchange.request.deadlines;
    const auto seconds = [](Duration length) {
      return std::to_string(static_cast<double>(length.count()) / 1000).substr(0, 5) + " s";
    };
    if (limits.total.count() != 0 && steady_clock::now() >= exchange.started + limits.total) {
      return "the exchange took longer than " + seconds(limits.total);
    }
    if (!exchange.head_done) return "no answer within " + seconds(limits.head);
    return "no data for " + seconds(limits.idle);
  }

  int wait_millis() const {
    auto first = steady_clock::now() + std::chrono::seconds(1);
    for (const auto& exchange : exchanges_) {
      if (exchange->ended) return 0;
      first = std::min(first, due(*exchange));
    }
    const auto left = std::chrono::ceil<Duration>(first - steady_clock::now());
    return static_cast<int>(std::max<Duration::rep>(left.count(), 0));
  }

  void end_all(Kind kind) {
    for (const auto& exchange : exchanges_) {
      cancel(exchange->id, {kind, kStopped});
    }
  }

  Settings settings_;
  std::shared_ptr<Cookies> cookies_;
  CURLM* multi_;
  bool running_ = false;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> waiting_;
  int last_id_ = 0;
  Interruption interruption_;
  std::unique_ptr<Exchange> connected_;  // from `finish` to the end of `connect`
};

/// Keeps a whole answer.
class Collector : public Stream {
 public:
  explicit Collector(std::size_t limit) : limit_(limit) {}

  Result<> head(const Head& head) override {
    answer.head = head;
    return {};
  }
  Result<> data(std::string_view bytes) override {
    if (answer.body.size() + bytes.size() > limit_) {
      return transport_error(CURLE_FILESIZE_EXCEEDED, "the answer is too long");
    }
    answer.body += bytes;
    return {};
  }
  void done(Result<> result, const Stats& /*stats*/) override { outcome = std::move(result); }

  Answer answer;
  Result<> outcome;

 private:
  std::size_t limit_;
};

}  // namespace

std::unique_ptr<Client> make_client(Settings settings) {
  return std::make_unique<CurlClient>(std::move(settings));
}

Result<Answer> fetch(Client& client, Request request, std::size_t limit) {
  Collector collector(limit);
  collector.answer.url = request.url;
  client.start(std::move(request), collector);
  client.run();
  if (!collector.outcome) return collector.outcome.error();
  return std::move(collector.answer);
}

std::string transport_text(int code) {
  return curl_easy_strerror(static_cast<CURLcode>(code));
}

Error transport_error(int code, std::string message) {
  Error error{Kind::transport, std::move(message)};
  error.transport = code;
  return error;
}

std::optional<std::int64_t> parse_http_date(const std::string& text) {
  const time_t seconds = curl_getdate(text.c_str(), nullptr);
  return seconds < 0 ? std::nullopt : std::optional<std::int64_t>(seconds);
}

std::string library_version() {
  return curl_version();
}

}  // namespace paycurl::http
