// A payment method: one way of turning a Challenge into a Credential.
//
// Adding one is a folder and a line: write src/methods/<name>/, then add its
// factory to the table in src/methods/methods.cpp. Nothing else names a method.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/http/client.h"
#include "src/payment/challenge.h"
#include "src/payment/credential.h"
#include "src/payment/escrow.h"
#include "src/payment/quote.h"
#include "src/payment/session.h"
#include "wallet/spender.h"

namespace paycurl {

/// Why an offer cannot be paid. `reason` is one of the words of `--inspect`: unknown_method
/// unknown_intent unknown_token wrong_network excluded expired malformed over_limit insecure.
struct Refusal {
  std::string reason;
  std::string text;
};

/// What the rail says about a payment in doubt.
struct Settlement {
  enum class State {
    settled,  ///< the money moved
    never,    ///< it did not, and the signed bytes can no longer move it
    open,     ///< not so far, or nobody could be asked
  };
  State state = State::open;
  std::string reference;       ///< set when settled
  std::optional<Error> why{};  ///< insufficient_funds, backend...: what was found out
  bool is_final = false;       ///< with `never`: even before the row's validity ends
  bool can_prove = false;      ///< with `settled`: `rebuild` gives a credential for it
};

class Method {
 public:
  virtual ~Method() = default;

  virtual std::string_view name() const = 0;                  ///< "tempo"
  virtual std::vector<std::string_view> intents() const = 0;  ///< "charge", "session"

  /// Why this method cannot pay `challenge`, or nothing when it can. Offline and
  /// cheap: every method is asked about every challenge before one is chosen.
  virtual std::optional<Refusal> refusal(const Challenge& challenge) const = 0;

  /// What paying would cost, in base units of the asset. Moves no money, so that
  /// --inspect and --dry-run can stop after this call.
  virtual Result<Quote> quote(const Challenge& challenge) = 0;

  /// Completes a quote by what depends on the payer: what they have to swap first, when the user
  /// allows that. May ask the rail; moves no money. Kind::insufficient_funds, Kind::backend.
  virtual Result<> prepare(const Challenge& /*challenge*/, Quote& /*quote*/,
                           const std::string& /*payer*/, const Limits& /*limits*/) {
    return {};
  }

  /// Pays through `spender` and returns the proof. Called at most once per attempt: an error after
  /// spender.sign or commit leaves a row whose outcome is unknown, unless it was called off, and
  /// the caller will not retry.
  virtual Result<Credential> pay(const Challenge& challenge, const Quote& quote,
                                 Spender& spender) = 0;

  /// The credential of a row in doubt once more: the same bytes. A wallet that pays is asked about
  /// the payment and, with `may_pay`, told to pay that same invoice when it never was, which no
  /// wallet does twice. An error: there is none (any more), which its message, where there is one,
  /// explains.
  virtual Result<Credential> rebuild(const Challenge& challenge, const Row& row, Spender& spender,
                                     bool may_pay) = 0;

  /// Asks the chain or the wallet what became of a payment, and why it did not settle.
  virtual Settlement settle(const Row& row, Spender& spender, http::Client& client) = 0;

  /// The tokens it pays with: those we know on the networks that may be paid on, and those the user
  /// named.
  virtual std::vector<Asset> tokens() const = 0;

  /// What `address` has of them, in any order; Kind::backend when nobody answers.
  virtual Result<std::vector<Money>> balances(const std::string& address, http::Client& client) = 0;

  /// Asks the test network's faucet for money; the references of what it sent. Kind::usage where
  /// there is no faucet.
  virtual Result<std::vector<std::string>> fund(const std::string& address,
                                                http::Client& client) = 0;

  /// The session that pays `challenge`; intent "session" only. Nothing is signed or sent yet.
  virtual Result<std::unique_ptr<Session>> session(const Challenge& /*challenge*/,
                                                   const SessionChoice& /*choice*/,
                                                   Spender& /*spender*/) {
    return Error{Kind::unsupported, "this method has no sessions", "", "unknown_intent"};
  }
  /// What it can do with channels outside of a request; nullptr when it has none.
  virtual Escrow* escrow() { return nullptr; }

  /// A link to `reference` for people; empty when there is none.
  virtual std::string explorer(const Row& row) const = 0;
};

}  // namespace paycurl
