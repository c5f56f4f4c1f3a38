// A conversation over Nostr relays (NIP-01): what is stored there, and a question with its answer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/http/client.h"
#include "src/http/websocket.h"
#include "src/methods/lightning/nodes/nostr.h"

namespace paycurl::lightning {

/// Talks to the first of its relays that takes a subscription, and stays with it while it can. All
/// that a relay sends is foreign: events are verified, others than those that were asked for are
/// dropped, and everything ends when the time is over.
class Relays {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Whether a verified event is one that was asked for.
  using Wanted = std::function<bool(const NostrEvent&)>;

  Relays(std::unique_ptr<http::Client> client, std::vector<std::string> urls)
      : client_(std::move(client)), urls_(std::move(urls)) {}

  /// The stored event that is wanted, or nullopt. Kind::backend when no relay answers, interrupted
  /// or terminated after a signal.
  Result<std::optional<NostrEvent>> find(const Json& filter, const Wanted& wanted, Time until);

  struct Outcome {
    bool published = false;  ///< somebody may have got the question
    Result<NostrEvent> answer;
  };
  /// Subscribes to answers, then publishes `question`. Fails as `find` does.
  Outcome ask(const NostrEvent& question, const Json& filter, const Wanted& wanted, Time until);

  /// Lets that time pass. An error only after a signal.
  Result<> rest(http::Duration time);

 private:
  using Found = std::optional<NostrEvent>;

  Result<Found> subscribe(const Json& filter, const Wanted& wanted, Time until);
  Result<Found> subscribe_here(const Json& filter, const Wanted& wanted, Time until);
  Result<> open(const std::string& url, Time until);
  Result<RelayMessage> next(Time until);
  Result<NostrEvent> await(const NostrEvent& question, const Wanted& wanted, Time until);
  void unsubscribe();

  std::unique_ptr<http::Client> client_;  // before what lives on it
  std::vector<std::string> urls_;
  std::unique_ptr<http::WebSocket> socket_;
  std::string subscription_;
};

}  // namespace paycurl::lightning
