#include "src/methods/lightning/nodes/relay.h"

#include <algorithm>

#include "src/base/text.h"
#include "src/crypto/random.h"

namespace paycurl::lightning {
namespace {

using std::chrono::steady_clock;
using What = RelayMessage::What;

constexpr http::Duration kRelayPatience{8'000};  // for one relay to take a subscription

Error away(std::string message) {
  return {Kind::backend, std::move(message), {}, "away"};
}

/// An error of the socket as one of the wallet's: a signal stays one.
Error as_backend(Error error) {
  if (error.kind == Kind::interrupted || error.kind == Kind::terminated) return error;
  return away("the wallet's relay: " + error.message);
}

http::Duration left(Relays::Time until) {
  const auto time = std::chrono::duration_cast<http::Duration>(until - steady_clock::now());
  return std::max(time, http::Duration(0));
}

std::string message(std::initializer_list<Json> parts) {
  Json all = Json::array();
  for (const Json& part : parts) {
    all.push(part);
  }
  return all.dump();
}

}  // namespace

Result<> Relays::open(const std::string& url, Time until) {
  http::Request request;
  auto parsed = http::parse_url(url);
  if (!parsed) return parsed.error();
  request.url = std::move(*parsed);
  const auto time = std::max(left(until), http::Duration(1));  // 0 would be no limit
  request.deadlines.connect = time;
  request.deadlines.head = time;
  auto upgrade = http::open_websocket(*client_, request);
  if (!upgrade) return upgrade.error();
  if (!upgrade->socket) return away("it answers with HTTP " + std::to_string(upgrade->head.status));
  socket_ = std::move(upgrade->socket);
  return {};
}

/// The next message that can be read. An error is the socket's, or that the time is over.
Result<RelayMessage> Relays::next(Time until) {
  while (steady_clock::now() < until) {
    auto came = socket_->receive(left(until));
    if (!came) return came.error();
    switch (came->what) {
      case http::Received::What::closed:
        return away("it closed the connection");
      case http::Received::What::nothing:
      case http::Received::What::binary:
        break;
      case http::Received::What::text:
        if (auto read = read_relay_message(came->data)) return read;
        break;
    }
  }
  return away("it does not answer");
}

Result<Relays::Found> Relays::subscribe_here(const Json& filter, const Wanted& wanted, Time until) {
  subscription_ = to_hex(random_array<8>());
  if (auto sent = socket_->send(message({"REQ", subscription_, filter})); !sent) {
    return sent.error();
  }
  Found found;
  while (true) {
    const auto came = next(until);
    if (!came) return came.error();
    if (came->subject != subscription_) continue;
    if (came->what == What::closed) return away("it refuses: " + printable(came->text));
    if (came->what == What::event && wanted(*came->event)) found = came->event;
    if (came->what == What::end_of_stored) return found;
  }
}

/// Subscribes where it can, and returns the wanted event that was stored, if any. An end of the
/// stored events also says that the subscription stands: what is published then is not missed.
Result<Relays::Found> Relays::subscribe(const Json& filter, const Wanted& wanted, Time until) {
  if (socket_) {
    auto found =
        subscribe_here(filter, wanted, std::min(until, steady_clock::now() + kRelayPatience));
    if (found) return found;
    socket_.reset();
    if (found.error().kind == Kind::interrupted || found.error().kind == Kind::terminated) {
      return found.error();
    }
  }
  Error last = away("the connection names no relay");
  for (const std::string& url : urls_) {
    const Time enough = std::min(until, steady_clock::now() + kRelayPatience);
    Result<> opened = open(url, enough);
    if (opened) {
      auto found = subscribe_here(filter, wanted, enough);
      if (found) return found;
      opened = found.error();
    }
    socket_.reset();
    last = as_backend(opened.error());
    if (last.kind != Kind::backend) break;
  }
  return last;
}

void Relays::unsubscribe() {
  if (socket_ && !socket_->send(message({"CLOSE", subscription_}))) socket_.reset();
}

Result<Relays::Found> Relays::find(const Json& filter, const Wanted& wanted, Time until) {
  auto found = subscribe(filter, wanted, until);
  if (found) unsubscribe();
  return found;
}

Result<NostrEvent> Relays::await(const NostrEvent& question, const Wanted& wanted, Time until) {
  const std::string id = to_hex(question.id);
  while (true) {
    auto came = next(until);
    if (!came) return came.error();
    if (came->what == What::ok && came->subject == id && !came->accepted) {
      return away("it refuses: " + printable(came->text));
    }
    if (came->subject != subscription_) continue;
    if (came->what == What::closed) return away("it refuses: " + printable(came->text));
    if (came->what == What::event && wanted(*came->event)) return std::move(*came->event);
  }
}

Relays::Outcome Relays::ask(const NostrEvent& question, const Json& filter, const Wanted& wanted,
                            Time until) {
  if (auto found = subscribe(filter, wanted, until); !found) return {false, found.error()};
  if (steady_clock::now() >= until) return {false, away("the wallet's relay answers too late")};
  // From here on the relay may have it, whatever is said of it.
  if (auto sent = socket_->send(message({"EVENT", question.json()})); !sent) {
    socket_.reset();
    return {true, as_backend(sent.error())};
  }
  auto answer = await(question, wanted, until);
  if (!answer) {
    socket_.reset();
    return {true, as_backend(answer.error())};
  }
  unsubscribe();
  return {true, std::move(*answer)};
}

Result<> Relays::rest(http::Duration time) {
  const Time until = steady_clock::now() + time;
  while (socket_ && steady_clock::now() < until) {
    const auto came = socket_->receive(left(until));
    if (came && came->what != http::Received::What::closed) continue;
    socket_.reset();
    if (!came && as_backend(came.error()).kind != Kind::backend) return came.error();
  }
  return {};
}

}  // namespace paycurl::lightning
