// Prepaid sessions over Lightning: a deposit is paid, requests show that it was, and what is left
// comes back by an invoice of ours (draft-lightning-session-00).
//
// The secret that a session is used with is the preimage of its first deposit. It is in no file:
// the wallet finds it again by the payment hash, which is the session's id.
#pragma once

#include <memory>

#include "src/methods/lightning/payer.h"
#include "src/payment/escrow.h"
#include "src/payment/quote.h"
#include "src/payment/session.h"

namespace paycurl::lightning {

/// The price of a unit, and the deposit that the offer wants.
Result<Quote> session_quote(const Challenge& challenge);

Result<std::unique_ptr<Session>> make_session(const Challenge& challenge,
                                              const SessionChoice& choice, PayingWallet& wallet,
                                              Spender& spender);

/// What the journal keeps of a session in Channel::descriptor.
struct Agreement {
  std::string return_invoice;
  Digest return_hash{};
  std::string http_method;  ///< of the request that opened it, which closes it too

  std::string to_text() const;
  static Result<Agreement> parse(const std::string& text);
};

/// What sessions that can stand in for each other have in common; see Channel::scope.
std::string scope_of(const std::string& payer, const Challenge& challenge);

/// The payment hash of a deposit that is on its way, as Channel::opening has it; nullopt when there
/// is none.
std::optional<Digest> pending_hash(const std::string& opening);

/// Balances at servers: closing them, and what the wallet knows of the refund.
class PrepaidBalance : public Escrow {
 public:
  explicit PrepaidBalance(PayingWallet& wallet) : wallet_(wallet) {}

  Result<Credential> close(const Channel& channel, const Challenge& challenge,
                           Spender& spender) override;
  Result<Credential> ask(const Channel& channel, const Challenge& challenge,
                         Spender& spender) override;
  std::string close_method(const Channel& channel) const override;
  Result<Ending> ended(Channel& channel, const http::Answer& answer,
                       const std::optional<Receipt>& receipt, Spender& spender) override;
  Result<std::string> scope(const Challenge& challenge, const std::string& payer) override;
  Result<std::vector<Facts>> look_at(const std::vector<Channel>& channels,
                                     const SpenderOf& spender_of, http::Client& client) override;
  Result<std::string> leave(const Channel& channel, bool withdraw, Spender& spender,
                            http::Client& client) override;
  Result<std::vector<Channel>> orphans(const std::string& payer, http::Client& client) override;
  Result<Channel> from_mppx(const Json& file) override;

 private:
  bool was_never_paid(const Channel& channel, Spender& spender);

  PayingWallet& wallet_;
};

}  // namespace paycurl::lightning
