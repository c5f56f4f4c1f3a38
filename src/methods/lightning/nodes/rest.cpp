#include "src/methods/lightning/nodes/rest.h"

#include <algorithm>
#include <initializer_list>
#include <thread>

#include "src/base/text.h"

namespace paycurl::lightning {
namespace {

constexpr http::Duration kConnect = std::chrono::seconds(10);
constexpr http::Duration kQuick = std::chrono::seconds(10);  // what needs no patience
constexpr http::Duration kSlack = std::chrono::seconds(3);
constexpr std::size_t kMaxReason = 1000;

/// Takes one answer: whole, or line by line.
class Receiver : public http::Stream {
 public:
  Receiver(std::size_t limit, const Rest::Lines& lines) : limit_(limit), lines_(lines) {}
  ~Receiver() override { wipe(body_.data(), body_.size()); }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  Result<> head(const http::Head& head) override {
    status_ = head.status;
    body_.reserve(4096);
    return {};
  }

  Result<> data(std::string_view bytes) override {
    if (body_.size() + bytes.size() > limit_) return unreadable();
    body_ += bytes;
    return has_lines() ? take_lines() : Result<>();
  }

  void done(Result<> result, const http::Stats& stats) override {
    outcome_ = std::move(result);
    times_sent_ = stats.times_sent;
  }

  Reply reply() {
    Reply reply;
    reply.status = status_;
    if (!outcome_ && !satisfied_) {
      const bool unsent = status_ == 0 && times_sent_ == 0;
      reply.fate = unsent ? Reply::Fate::unsent : Reply::Fate::lost;
      reply.why = outcome_.error();
      return reply;
    }
    reply.fate = Reply::Fate::answered;
    if (has_lines()) return reply;
    if (auto json = Json::parse(body_, limit_)) {
      reply.json = std::move(*json);
    } else if (status_ / 100 != 2) {
      reply.text = body_.substr(0, kMaxReason);
    }
    return reply;
  }

 private:
  bool has_lines() const { return lines_ && status_ == 200; }

  Result<> take_lines() {
    while (true) {
      const std::size_t end = body_.find('\n', searched_);
      searched_ = body_.size();
      if (end == std::string::npos) return {};
      const auto json = Json::parse(std::string_view(body_).substr(0, end), limit_);
      if (!json) return unreadable();
      body_.erase(0, end + 1);
      searched_ = 0;
      satisfied_ = !lines_(*json);
      if (satisfied_) return unreadable();  // ends the exchange
    }
  }

  std::size_t limit_;
  const Rest::Lines& lines_;
  int status_ = 0;
  std::string body_;
  std::size_t searched_ = 0;  // no line ends before
  Result<> outcome_;
  int times_sent_ = 0;
  bool satisfied_ = false;
};

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

/// Why the wallet refuses, in the places where one of them writes it. Foreign text.
std::string reason_in(const Reply& reply) {
  const Json* error = reply.json.find("error");
  if (error != nullptr && error->string() != nullptr) return *error->string();
  for (const Json* place : {error, &reply.json}) {
    if (place == nullptr) continue;
    for (const char* key : {"message", "detail", "reason"}) {
      if (auto text = text_at(*place, key); !text.empty()) return text;
    }
  }
  return reply.text;
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// Without runs of 64 hex digits and more: one of them could be a preimage.
std::string without_hashes(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const auto* const end = std::find_if_not(text.begin(), text.end(), is_hex_digit);
    const auto digits = static_cast<std::size_t>(end - text.begin());
    const std::size_t taken = std::max<std::size_t>(digits, 1);
    kept += digits >= 64 ? std::string_view("[hidden]") : text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return kept;
}

std::string without(std::string_view text, std::string_view secret) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t at = secret.empty() ? std::string_view::npos : text.find(secret);
    kept += text.substr(0, at);
    if (at == std::string_view::npos) break;
    kept += "[hidden]";
    text.remove_prefix(at + secret.size());
  }
  return kept;
}

}  // namespace

Error no_reason() {
  return {Kind::backend, "the wallet could not pay", "", "failed"};
}

Error unreadable() {
  return {Kind::protocol, "the wallet's answer cannot be read"};
}

Error no_invoices() {
  return {Kind::unsupported, "this wallet makes no invoices without an amount",
          "connect another wallet for sessions", "no_invoices"};
}

std::string Rest::shown(std::string_view foreign) const {
  return printable(without_hashes(without(foreign, connection_.secret.text())));
}

Result<http::Request> Rest::request_of(const Question& question) const {
  auto url = http::parse_url(connection_.url + question.path);
  if (!url) return Error{Kind::usage, "the wallet's address is no URL"};
  http::Request request;
  request.url = std::move(*url);
  if (request.url.scheme == "http" && request.url.is_loopback()) {
    request.peers = http::PeerRule::direct_loopback;
  }
  const Secret& credential = credential_.empty() ? connection_.secret : credential_;
  request.headers.add(field_, std::string(credential.text()));
  if (question.json || !question.form.empty()) {
    request.method = "POST";
    request.headers.add("Content-Type",
                        question.json ? "application/json" : "application/x-www-form-urlencoded");
    request.body =
        std::make_shared<const http::Body>(question.json ? question.json->dump() : question.form);
  }
  request.own_connection = question.patience.count() > 0;
  const http::Duration wait = std::min(kQuick, connection_.longest_wait);
  request.deadlines.connect = std::min(kConnect, wait);
  request.deadlines.total = std::max(question.patience + std::min(kSlack, wait), wait);
  return request;
}

Reply Rest::ask(const Question& question, const Lines& lines) {
  auto request = request_of(question);
  if (!request) {
    Reply reply;
    reply.fate = Reply::Fate::unsent;
    reply.why = request.error();
    return reply;
  }
  const std::string place = request->url.host + ":" + std::to_string(request->url.port);
  Receiver receiver(question.limit, lines);
  client_->start(std::move(*request), receiver);
  client_->run();
  Reply reply = receiver.reply();
  if (reply.why && reply.why->kind == Kind::transport) {
    reply.why = Error{
        Kind::backend,
        "the wallet at " + printable(place) + " cannot be asked: " + shown(reply.why->message),
        "is it running, and is its address right?", "away"};
  }
  return reply;
}

Result<Json> Rest::read(const Question& question) {
  Reply reply = ask(question);
  if (!reply.is_good()) return error_of(reply);
  return std::move(reply.json);
}

bool Rest::refuses_secret(const Reply& reply) const {
  if (reply.fate != Reply::Fate::answered) return false;
  if (reply.status == 401 || reply.status == 403) return true;
  return reply.status == 500 &&
         has_any(lower(reason_in(reply)), {"permission denied", "verification failed",
                                           "cannot get macaroon", "expected 1 macaroon"});
}

Error Rest::error_of(const Reply& reply) const {
  if (reply.why) return *reply.why;
  const std::string reason = reason_in(reply);
  if (refuses_secret(reply)) {
    const std::string command = least_privilege(connection_.kind);
    return {Kind::account,
            "the wallet refuses the secret" + (reason.empty() ? "" : ": " + shown(reason)),
            command.empty() ? "connect it again with a secret that may pay"
                            : "connect it again with a secret that may pay: " + command,
            "refused"};
  }
  if (reply.status / 100 == 2) return unreadable();
  if (!reason.empty()) return error_of(reason);
  return {Kind::backend, "the wallet answered " + std::to_string(reply.status), "", "failed"};
}

Error Rest::error_of(std::string_view reason) const {
  const std::string words = lower(reason);
  const std::string message = "the wallet says: " + shown(reason);
  if (has_any(words, {"insufficient", "not enough funds", "must reserve"})) {
    return {Kind::insufficient_funds, message};
  }
  if (has_any(words, {"fee limit", "maxfee", "max fee", "fee too", "fees too", "too expensive",
                      "excessive cost"})) {
    return {Kind::declined, message, "allow more with --max-fee", "max_fee"};
  }
  const bool unreachable = has_any(words, {"route", "unreachable", "usable set of paths",
                                           "recipient was offline", "attempts exhausted"});
  return {Kind::backend, message, "", unreachable ? "no_route" : "failed"};
}

Verdict Rest::verdict_of(const Reply& reply) const {
  if (reply.fate != Reply::Fate::answered) return Verdict::open;
  if (refuses_secret(reply)) return Verdict::refused;
  if (is_duplicate(reason_in(reply)) || text_at(reply.json, "status") == "pending") {
    return Verdict::open;
  }
  const bool has_reason = !reason_in(reply).empty();
  if ((reply.status == 500 || reply.status == 520) && has_reason) return Verdict::failed;
  const bool turned_away = reply.status / 100 == 4 && reply.status != 408 && reply.status != 409;
  return turned_away ? Verdict::refused : Verdict::open;
}

bool is_duplicate(std::string_view reason) {
  return has_any(lower(reason), {"already", "pending", "in progress", "in transition"});
}

Payment in_flight() {
  Payment payment;
  payment.state = Payment::State::in_flight;
  return payment;
}

Payment failed(Error why) {
  Payment payment;
  payment.state = Payment::State::failed;
  payment.why = std::move(why);
  return payment;
}

Payment unknown(Error why) {
  Payment payment;
  payment.why = std::move(why);
  return payment;
}

Payment settle(Node& node, const Digest& payment_hash, http::Duration patience, Verdict verdict,
               Error why) {
  const bool is_stopped = why.kind == Kind::interrupted || why.kind == Kind::terminated;
  Payment found = node.look_up(payment_hash, is_stopped ? http::Duration(0) : patience);
  switch (found.state) {
    case Payment::State::settled:
    case Payment::State::in_flight:
      return found;
    case Payment::State::failed:
      return verdict == Verdict::open && found.why ? std::move(found) : failed(std::move(why));
    case Payment::State::never:
      return verdict == Verdict::open ? unknown(std::move(why)) : failed(std::move(why));
    case Payment::State::unknown:
      break;
  }
  return verdict == Verdict::refused ? failed(std::move(why)) : unknown(std::move(why));
}

Payment wait_for_end(const std::function<Payment()>& look, http::Duration patience) {
  const Countdown countdown(patience);
  http::Duration pause(50);
  while (true) {
    Payment payment = look();
    const auto left = countdown.left();
    if (payment.state != Payment::State::in_flight || left.count() == 0) return payment;
    std::this_thread::sleep_for(std::min(pause, left));
    pause = std::min<http::Duration>(pause * 2, std::chrono::seconds(1));
  }
}

http::Duration Countdown::left() const {
  const auto left = std::chrono::ceil<http::Duration>(end_ - std::chrono::steady_clock::now());
  return std::max(left, http::Duration(0));
}

std::int64_t seconds_of(http::Duration patience) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience).count();
  return std::max<std::int64_t>(seconds, 1);
}

std::optional<Amount> number_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto number = value->integer()) {
    if (*number < 0) return std::nullopt;
    return Amount(static_cast<std::uint64_t>(*number));
  }
  if (value->string() == nullptr) return std::nullopt;
  std::string_view text = *value->string();
  if (text.ends_with("msat")) text.remove_suffix(4);
  return text.size() > 19 ? std::nullopt : Amount::parse(text);
}

std::optional<Amount> satoshi_at(const Json& json, std::string_view key) {
  const auto number = number_at(json, key);
  return number ? number->times(1000) : std::nullopt;
}

std::string text_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value == nullptr || value->string() == nullptr ? "" : *value->string();
}

Result<std::string> network_named(std::string_view name) {
  if (name == "bitcoin" || name == "mainnet") return std::string("mainnet");
  if (name.starts_with("testnet")) return std::string("testnet");
  if (name == "signet" || name == "regtest") return std::string(name);
  return Error{Kind::protocol,
               "the wallet is on a network that is not known: " + printable(name, 20)};
}

}  // namespace paycurl::lightning
