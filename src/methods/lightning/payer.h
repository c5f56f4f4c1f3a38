// Paying an invoice from the user's wallet, once: the wallet is reached, checked against the
// invoice's network, and its answer made into a proof or an error. Charges and sessions share it.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "src/methods/lightning/node.h"
#include "src/methods/lightning/terms.h"
#include "src/methods/methods.h"
#include "wallet/spender.h"

namespace paycurl::lightning {

/// What was committed to be paid, as the journal keeps it: a payment is finished from it after a
/// crash.
struct Commitment {
  std::string invoice;
  Amount most_fee;
  Json challenge{};     ///< of a deposit: the echo that goes with its proof
  bool top_up = false;  ///< the deposit is not the first one

  std::string to_text() const;
  /// Kind::internal when the text is none.
  static Result<Commitment> parse(const std::string& text);
};

class PayingWallet {
 public:
  explicit PayingWallet(MethodOptions options) : options_(std::move(options)) {}

  Millis now() const { return options_.clock(); }
  const MethodOptions& options() const { return options_; }
  /// How long the wallet may try to pay, and how long a payment under way is waited for.
  http::Duration patience() const { return options_.patience; }

  /// The node behind the spender's connection; the same one in later calls.
  Result<Node*> node(Spender& spender);
  /// What it says about itself, asked once. Not asked at all for the network of a connection that
  /// names it.
  Result<const NodeInfo*> info(Spender& spender);
  /// Kind::declined, reason "wrong_network", when the wallet is not on `network`.
  Result<> check_network(Spender& spender, const std::string& network);

  /// What routing may take: the wallet's fixed fee, else the user's limit.
  Result<Amount> fee_of(Spender& spender, const Invoice& invoice);

  /// The preimage in hex of an invoice that is paid now. It has been committed; `most_fee` is what
  /// routing may take, `until` when the proof comes too late. Errors: Kind::outcome_unknown when
  /// the wallet does not say how it ended; any other kind when it did not pay and will not.
  Result<std::string> pay(Spender& spender, const Invoice& invoice, Amount most_fee, Millis until);
  /// The same for an invoice that was paid, or was to be, before: nothing new is paid. An error of
  /// another kind than outcome_unknown: it was not paid.
  Result<std::string> find(Spender& spender, const Digest& payment_hash, http::Duration patience);

  /// The preimage that proves a session: the wallet's, or one that was kept because the wallet
  /// finds none.
  Result<std::string> session_proof(Spender& spender, const std::string& session);

  /// Whether this process has seen the preimage.
  bool has_paid(const std::string& payment_hash) const { return paid_.count(payment_hash) != 0; }

 private:
  Result<std::string> proof_of(Payment payment, const Digest& payment_hash, Spender* spender);

  MethodOptions options_;
  std::string connection_;  // the payer's name
  std::string network_;
  std::unique_ptr<Node> node_;
  std::optional<NodeInfo> info_;
  std::set<std::string> paid_;
};

}  // namespace paycurl::lightning
