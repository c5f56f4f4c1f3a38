// The Client, on libcurl's multi interface. The only file that sets libcurl's options.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <curl/curl.h>

#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl::http {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxHead = 256 * 1024;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListDeleter>;

void append(List& list, const std::string& line) {
  list.reset(curl_slist_append(list.release(), line.c_str()));
}

struct Exchange {
  Exchange(int number, Request asked, Stream& receiver)
      : id(number), request(std::move(asked)), stream(&receiver), easy(curl_easy_init()) {}
  ~Exchange() { curl_easy_cleanup(easy); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  int id;
  Request request;
  Stream* stream;
  CURL* easy;
  const Settings* settings = nullptr;
  List fields, resolve;
  std::uint64_t offset = 0;  // into the request body
  Head head;
  bool head_done = false;
  std::optional<Error> failure;  // ours, which says more than libcurl's
  bool ended = false;            // cancelled: waits for the loop to take it out
  int times_sent = 0;
  steady_clock::time_point started = steady_clock::now();
  steady_clock::time_point last_activity = started;
  std::string partial_trace;
  std::array<char, CURL_ERROR_SIZE> detail{};  // libcurl's own words

  std::size_t fail(Error error) {
    if (!failure) failure = std::move(error);
    return 0;
  }
};

Exchange& of(void* user) {
  return *static_cast<Exchange*>(user);
}

/// "HTTP/1.1 402 Payment Required" starts a head and throws away what an informational one left.
bool read_status_line(Head& head, std::string_view line) {
  if (!line.starts_with("HTTP/")) return false;
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.size() < space + 4) return false;
  head.version = line.substr(5, space - 5);
  head.status = 0;
  for (const char digit : line.substr(space + 1, 3)) {
    if (digit < '0' || digit > '9') return false;
    head.status = head.status * 10 + (digit - '0');
  }
  head.headers = {};
  return true;
}

void finish_head(Exchange& exchange) {
  Head& head = exchange.head;
  char* ip = nullptr;
  long port = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(exchange.easy, CURLINFO_PRIMARY_PORT, &port);
  head.peer_ip = ip == nullptr ? "" : ip;
  head.peer_port = static_cast<int>(port);
  exchange.head_done = true;
  if (auto taken = exchange.stream->head(head); !taken) exchange.fail(taken.error());
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  exchange.last_activity = steady_clock::now();
  if (exchange.head_done || exchange.ended) return size;  // trailers
  Head& head = exchange.head;
  const std::string_view line(data, size);
  head.raw += line;
  if (head.raw.size() > kMaxHead) {
    return exchange.fail(
        transport_error(CURLE_RECV_ERROR, "the answer's head is larger than 256 KiB"));
  }
  if (read_status_line(head, line)) return size;
  const std::string_view content = trimmed(line);
  if (content.empty()) {
    if (head.status >= 200 || head.status == 101) finish_head(exchange);
    return exchange.failure ? 0 : size;
  }
  const std::size_t colon = line.find(':');
  const bool folded = line.front() == ' ' || line.front() == '\t';
  if (folded && !head.headers.empty()) {
    head.headers.back().value += " " + std::string(content);
  } else if (colon != std::string_view::npos) {
    head.headers.add(std::string(trimmed(line.substr(0, colon))),
                     std::string(trimmed(line.substr(colon + 1))));
  }
  return size;
}

std::size_t on_data(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  exchange.last_activity = steady_clock::now();
  if (exchange.ended) return 0;
  if (!exchange.head_done) {
    return exchange.fail(transport_error(CURLE_WEIRD_SERVER_REPLY, "the answer has no HTTP head"));
  }
  if (auto taken = exchange.stream->data({data, size}); !taken) return exchange.fail(taken.error());
  return size;
}

std::size_t on_read(char* out, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = of(user);
  exchange.last_activity = steady_clock::now();
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
  if (request.peers == PeerRule::direct_loopback &&
      !(is_loopback_address(peer) && port == request.url.port)) {
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
  const char kind = type == CURLINFO_TEXT         ? '*'
                    : type == CURLINFO_HEADER_OUT ? '>'
                    : type == CURLINFO_HEADER_IN  ? '<'
                                                  : '\0';
  if (kind == '\0') return 0;
  std::string_view text(data, size);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
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
  stats.times_sent = stats.request_size > 0 ? std::max(exchange.times_sent, 1) : 0;
  return stats;
}

class CurlClient : public Client {
 public:
  explicit CurlClient(Settings settings) : settings_(std::move(settings)) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = curl_multi_init();
  }
  ~CurlClient() override {
    exchanges_.clear();
    curl_multi_cleanup(multi_);
  }
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;

  int start(Request request, Stream& stream) override {
    exchanges_.push_back(std::make_unique<Exchange>(++last_id_, std::move(request), stream));
    Exchange& exchange = *exchanges_.back();
    exchange.settings = &settings_;
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
    while (!exchanges_.empty()) {
      add_waiting();
      int running = 0;
      curl_multi_perform(multi_, &running);
      take_finished();
      end_overdue();
      if (exchanges_.empty()) break;
      if (!waiting_.empty()) continue;
      curl_waitfd extra{settings_.interrupt_fd, CURL_WAIT_POLLIN, 0};
      const bool watched = settings_.interrupt_fd >= 0 && !interrupted_;
      curl_multi_poll(multi_, watched ? &extra : nullptr, watched ? 1 : 0, wait_millis(), nullptr);
      if (watched && settings_.interruption) {
        if (const auto kind = settings_.interruption()) end_all(*kind);
      }
    }
  }

 private:
  void add_waiting() {
    for (Exchange* exchange : std::exchange(waiting_, {})) {
      exchange->started = exchange->last_activity = steady_clock::now();
      configure(*exchange);
      curl_multi_add_handle(multi_, exchange->easy);
    }
  }

  template <class Value>
  static void set(const Exchange& exchange, CURLoption option, Value value) {
    curl_easy_setopt(exchange.easy, option, value);
  }

  void configure(Exchange& exchange) const {
    const Request& request = exchange.request;
    set(exchange, CURLOPT_PRIVATE, &exchange);
    set(exchange, CURLOPT_ERRORBUFFER, exchange.detail.data());
    set(exchange, CURLOPT_URL, request.url.text.c_str());
    set(exchange, CURLOPT_PROTOCOLS_STR, "http,https");
    set(exchange, CURLOPT_NOSIGNAL, 1L);
    set(exchange, CURLOPT_HEADERFUNCTION, &on_header);
    set(exchange, CURLOPT_HEADERDATA, &exchange);
    set(exchange, CURLOPT_WRITEFUNCTION, &on_data);
    set(exchange, CURLOPT_WRITEDATA, &exchange);
    set(exchange, CURLOPT_PREREQFUNCTION, &before_request);
    set(exchange, CURLOPT_PREREQDATA, &exchange);
    set(exchange, CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(exchange, CURLOPT_XFERINFODATA, &exchange);
    set(exchange, CURLOPT_NOPROGRESS, 0L);
    set(exchange, CURLOPT_USERAGENT, settings_.user_agent.c_str());
    set(exchange, CURLOPT_HTTP_VERSION, http_version(settings_.http_version));
    set(exchange, CURLOPT_CONNECTTIMEOUT_MS,
        request.deadlines.connect.count() == 0
            ? 100'000'000L
            : static_cast<long>(request.deadlines.connect.count()));
    set(exchange, CURLOPT_LOW_SPEED_LIMIT,
        static_cast<long>(request.deadlines.slow_bytes_per_second));
    set(exchange, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.deadlines.slow_seconds));
    if (request.max_file_size != 0) {
      set(exchange, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(request.max_file_size));
    }
    if (settings_.insecure) {
      set(exchange, CURLOPT_SSL_VERIFYPEER, 0L);
      set(exchange, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!settings_.ca_file.empty()) set(exchange, CURLOPT_CAINFO, settings_.ca_file.c_str());
    if (!settings_.ca_path.empty()) set(exchange, CURLOPT_CAPATH, settings_.ca_path.c_str());
    if (!settings_.proxy.empty()) set(exchange, CURLOPT_PROXY, settings_.proxy.c_str());
    if (settings_.compressed) set(exchange, CURLOPT_ACCEPT_ENCODING, "");
    if (settings_.verbose) {
      set(exchange, CURLOPT_VERBOSE, 1L);
      set(exchange, CURLOPT_DEBUGFUNCTION, &on_debug);
      set(exchange, CURLOPT_DEBUGDATA, &exchange);
    }
    if (request.url.host.ends_with(".localhost")) {
      append(exchange.resolve,
             request.url.host + ":" + std::to_string(request.url.port) + ":127.0.0.1,[::1]");
      set(exchange, CURLOPT_RESOLVE, exchange.resolve.get());
    }
    configure_method(exchange);
    configure_fields(exchange);
  }

  static void configure_method(Exchange& exchange) {
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

  static void configure_fields(Exchange& exchange) {
    const Request& request = exchange.request;
    for (const Header& field : request.headers) {
      append(exchange.fields,
             field.value.empty() ? field.name + ";" : field.name + ": " + field.value);
    }
    for (const std::string& name : request.removed_headers) {
      append(exchange.fields, name + ":");
    }
    set(exchange, CURLOPT_HTTPHEADER, exchange.fields.get());
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
    curl_multi_remove_handle(multi_, exchange.easy);
    const Stats stats = stats_of(exchange);
    Result<> result;
    if (exchange.failure) {
      result = *exchange.failure;
    } else if (code != CURLE_OK) {
      result = transport_error(code, explain(exchange, code));
    } else if (!exchange.head_done) {
      result =
          transport_error(CURLE_GOT_NOTHING, "the server closed the connection without an answer");
    }
    const auto found = std::find_if(exchanges_.begin(), exchanges_.end(),
                                    [&](const auto& owned) { return owned.get() == &exchange; });
    const std::unique_ptr<Exchange> owned = std::move(*found);  // lives until `done` returns
    exchanges_.erase(found);
    owned->stream->done(std::move(result), stats);
  }

  static std::string explain(const Exchange& exchange, CURLcode code) {
    const Url& url = exchange.request.url;
    const std::string place = url.host + ":" + std::to_string(url.port);
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
        return "could not resolve host " + printable(url.host);
      case CURLE_COULDNT_CONNECT:
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
    interrupted_ = true;
    for (const auto& exchange : exchanges_) {
      cancel(exchange->id, {kind, "stopped by a signal"});
    }
  }

  Settings settings_;
  CURLM* multi_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> waiting_;
  int last_id_ = 0;
  bool interrupted_ = false;
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
