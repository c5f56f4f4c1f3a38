// The 402 loop: ask, choose an offer, pay it once, ask again.
//
// Everything it needs comes in: the HTTP client, the protocols and methods, the limits, the way to
// the spender, a clock. It never prints; an Audience hears what happens.
//
// Once a credential has left, the answer to "was it paid?" comes from the server's head, else from
// the rail, else it stays unknown. No second payment is made in one run, and no payment at all
// while an earlier one for the same request is in doubt.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/http/client.h"
#include "src/payment/method.h"
#include "src/payment/problem.h"
#include "src/payment/protocol.h"
#include "src/payment/redirect.h"
#include "src/payment/retry.h"
#include "src/payment/selection.h"
#include "wallet/spool.h"

namespace paycurl {

/// Why a head is shown.
enum class HeadRole {
  answer,     ///< its body follows
  redirect,   ///< it is being followed
  challenge,  ///< the 402 that is going to be paid
  refusal,    ///< of a payment; the body is kept for the error
};

class Audience {
 public:
  virtual ~Audience() = default;
  /// Opens everything that heads and bodies go to. Called before anything is signed, so that an
  /// unwritable file costs nothing.
  virtual Result<> prepare() = 0;
  virtual Result<> head(const http::Head& head, HeadRole role) = 0;
  virtual Result<> body(std::string_view bytes) = 0;
  /// Forgets the answer that was begun: another one comes in its place. False when that cannot be,
  /// as it was printed.
  virtual bool start_over() = 0;
  /// A message of a WebSocket.
  virtual Result<> message(std::string_view data) = 0;
  /// The offers, examined; `chosen` may be nullptr.
  virtual void offers(const std::vector<Offer>& offers, const Offer* chosen) = 0;
  /// A text that must not be seen even when a server repeats it.
  virtual void hide(const std::string& secret) = 0;
  /// The row is signed, the credential leaves now.
  virtual void paying(const Row& row) = 0;
  virtual void receipt(const Receipt& receipt) = 0;
  /// An event of a paid stream that is about its payment.
  virtual void payment_event(std::string_view name, const Json& data) = 0;
  /// A sentence that the user should see although nothing failed.
  virtual void note(const std::string& sentence) = 0;
};

/// Credentials that are good for more than one request, by origin.
class Tokens {
 public:
  virtual ~Tokens() = default;
  /// The value of the Authorization field; nothing when there is none or it cannot be had.
  virtual std::optional<std::string> find(const std::string& origin) = 0;
  virtual void keep(const std::string& origin, const std::string& field) = 0;
  virtual void forget(const std::string& origin) = 0;
};

struct FlowOptions {
  Preference preference;
  bool follow = false;     ///< -L
  int max_redirects = 50;  ///< negative: any number
  RedirectRules redirects;
  RetryRules retry;             ///< of what is sent without a credential
  std::uint64_t max_body = 0;   ///< of an answer that is delivered; 0: any size
  bool pay = true;              ///< --no-pay
  bool stop_at_offers = false;  ///< --inspect, --dry-run
  bool fail = false;            ///< -f, --fail-with-body
  bool unverified_tls = false;  ///< -k
  bool spool = true;
  bool spool_streams = false;  ///< --spool: streams of events as well
  SessionChoice session;
  bool show_payment_events = false;  ///< --sse: events of the payment are part of the body
  bool must_charge = false;          ///< an answer without an offer is an error (--expect-...)
  std::string once;                  ///< --once: the key that at most one payment ever has
  http::Deadlines paid_deadlines;
};

/// How a request ended.
struct Outcome {
  std::optional<Error> error;
  PaymentStatus payment = PaymentStatus::none;
  bool challenged = false;         ///< the server asked for payment
  std::optional<http::Head> head;  ///< of the last answer
  std::optional<http::Url> url;    ///< of the last answer
  std::vector<Offer> offers;
  std::size_t chosen = 0;  ///< its number; 0 when none was
  std::optional<Problem> problem;
  std::string refusal_body;  ///< of a 402 that was not paid, or of a refusal: its first 64 KiB
  std::optional<Row> row;    ///< the payment, once it was begun
  std::optional<Receipt> receipt;
  std::optional<http::Header> credential;  ///< of `sign`: the field to send, a secret
  std::optional<Channel> channel;          ///< that a session paid with
  bool delivered = false;                  ///< a body was handed over whole
  int redirects = 0;
  std::string redirect_url;  ///< where an answer that was not followed points
  std::int64_t body_size = 0;
  http::Stats stats;  ///< of the last exchange; `connections`, sizes of heads and `total` of all
  double challenge_millis = 0;  ///< until the 402 was here
  double sign_millis = 0;
};

struct FlowParts {
  http::Client& client;
  std::vector<const Protocol*> protocols;
  std::vector<Method*> methods;
  const Limits& limits;
  std::vector<Money> signed_before;  ///< what earlier requests of this invocation signed away
  /// The channels and offers of earlier runs; nullptr when there are none. Cheap.
  std::function<Channels*()> known;
  Tokens* tokens = nullptr;
  /// Opens journal, account and key for a payment method; called when something is about to be
  /// paid.
  std::function<Result<Spender*>(const std::string& method)> spender;
  /// Whether there is an account for a method. Asked when offers of several could be paid.
  HasAccount has_account;
  /// Asks the user; Kind::declined when they say no.
  std::function<Result<>(const Offer&, const Payer&)> approve;
  std::string state_folder;  ///< for the spool
  Audience& audience;
  Clock clock;
  /// Waits; interrupted or terminated when a signal came. Needed for retries alone.
  std::function<Result<>(http::Duration)> pause = {};
  /// Told who asks for money before `spender` and `has_account` are asked: the config may name an
  /// account for it.
  std::function<void(const std::string& origin)> asked_by = {};
};

class Flow {
 public:
  Flow(FlowParts parts, FlowOptions options);
  ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  /// Makes the request, pays when asked to.
  Outcome run(http::Request request);

  /// Pays what `answer` asks for, which somebody else received, and puts the credential into
  /// Outcome::credential: somebody else sends it. What becomes of it cannot be seen, so its row
  /// stays in doubt until `resume` asks the rail. The same challenge gives the same credential
  /// again and is not paid again, but by runs at the same time: those are separate purchases.
  Outcome sign(const http::Answer& answer);

  /// Finishes a payment in doubt: sends the same credential again while it is valid and the row has
  /// the whole request, else asks the rail. Never pays.
  Outcome resume(Row row);

 private:
  class Run;
  FlowParts parts_;
  FlowOptions options_;
};

}  // namespace paycurl
