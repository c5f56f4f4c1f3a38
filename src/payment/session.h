// Paying with an open payment channel or a prepaid balance: a conversation around requests.
//
// Only one process at a time signs on a channel: from `pay` or `event` until `answered` has taken
// the answer of the last step, the session holds the channel's lock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/payment/credential.h"
#include "src/payment/problem.h"
#include "src/payment/receipt.h"
#include "wallet/channels.h"

namespace paycurl {

/// What the user wants of sessions.
struct SessionChoice {
  bool fresh = false;  ///< open a new channel although there is one
  std::string id;      ///< use this channel, a unique prefix of its id
  bool nothing_new =
      false;  ///< finish what was paid for, sign nothing more, not for a stream either
  bool asks_first = false;  ///< the user is asked before each deposit
  std::string deposit;      ///< in whole tokens, for a new channel; empty: what the offer suggests
  std::chrono::milliseconds patience{30'000};  ///< with another process that is at the channel
};

/// Takes the payee's numbers from a receipt, as far as they can be believed: of this channel, spent
/// <= accepted <= signed. Kind::protocol otherwise, and nothing is taken.
Result<> take_numbers(const Receipt& receipt, Channel& channel);

/// The same of the receipt for a close, which names the transaction that did it. Kind::protocol
/// when it does not: then nobody knows that the channel is over.
Result<> closing_numbers(const Receipt& receipt, Channel& channel);

class Session {
 public:
  virtual ~Session() = default;

  /// Something to send. It is signed and written down.
  struct Step {
    Credential credential;
    bool alone = false;       ///< by itself, as a POST without a body, and not with the request
    bool fills = false;       ///< a top-up, which never goes over a socket
    bool bare = false;        ///< without the credential: it asks for a fresh challenge
    bool as_request = false;  ///< alone, but with the request's method instead of POST
  };
  /// The answer to a step.
  struct Reply {
    int status = 0;         ///< 0: no answer came
    bool repeated = false;  ///< the step went twice: the answer to the first was lost
    std::optional<Receipt> receipt;
    std::optional<Problem> problem;
    std::vector<Challenge> challenges;  ///< those of this method and intent
  };

  /// Whether there is no channel that could pay and the server may remember one of ours: then it is
  /// asked. Kind::session when another process keeps the lock.
  virtual Result<bool> lacks_channel() = 0;
  /// Whether a challenge that was paid once is good for the next request too.
  virtual bool reuses_challenges() const { return true; }
  /// Whether an event of the stream is about its payment; others are the user's.
  virtual bool is_about_payment(std::string_view event) const {
    return event == "payment-need-voucher" || event == "payment-receipt";
  }
  /// What the server says it remembers of a channel of ours; believed when the chain agrees.
  virtual void remembered(Json snapshot) = 0;
  /// What pays for the request: a voucher, or what opens or fills the channel first. `again`: an
  /// earlier run paid for the same request and its answer was lost, so nothing new is signed.
  virtual Result<Step> pay(bool again) = 0;
  /// Takes the answer of the last step: numbers are saved, the lock is let go. What is to be sent
  /// because of it comes back: the voucher behind a top-up, or another step when this one was
  /// refused for a reason that has a remedy. An error is final.
  virtual Result<std::optional<Step>> answered(const Reply& reply) = 0;
  /// A payment event of a stream (need-voucher, receipt); what is to be sent because of it.
  virtual Result<std::optional<Step>> event(std::string_view name, const Json& data) = 0;
  /// That much of the stream has come for the user: events and bytes of their data.
  virtual void delivered(std::size_t events, std::size_t bytes) = 0;
  /// Checks the receipt of a stream and saves its numbers.
  virtual Result<> received(const Receipt& receipt) = 0;
  /// The receipt of a close: the channel is over.
  virtual Result<> closed(const Receipt& receipt) = 0;
  /// The channel as it is now; nullopt before `pay`.
  virtual const std::optional<Channel>& channel() const = 0;
};

}  // namespace paycurl
