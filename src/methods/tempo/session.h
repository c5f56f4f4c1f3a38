// The "session" intent of Tempo: pay as you go from a payment channel (draft-tempo-session-00, and
// mppx where they differ).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/methods/tempo/channel.h"
#include "src/methods/tempo/networks.h"
#include "src/payment/session.h"

namespace paycurl::tempo {

/// The decoded request of a session, on a network and in a token that we know.
struct SessionTerms {
  Version version = Version::v1;
  std::uint64_t chain = 0;
  Address escrow;
  Amount amount;     ///< per unit
  std::string unit;  ///< "request", "word"... may be empty
  Address currency, recipient, operator_;
  std::optional<Amount> suggested_deposit;
  bool sponsored = false;  ///< the server pays the fees of open and top-up
  Address fee_token;
  Amount least_step;  ///< minVoucherDelta
  Json snapshot;      ///< what the server remembers of a channel of ours; null: nothing
  Asset asset;
  bool known_asset = true;
  Asset fee_asset;
};

/// Reads Challenge::request. Kind::protocol, reason "malformed", when it is none; unsupported for a
/// network, token or escrow that may not be paid to.
Result<SessionTerms> read_session(const Challenge& challenge, const Networks& networks);

/// What the user is asked about: the price of a unit.
Spend price_of(const SessionTerms& terms);

/// What a server claims about a channel (Payment-Session-Snapshot), checked as far as it can be
/// without the chain: the id is that of the descriptor, the numbers are in order, and what it says
/// was accepted carries a signature of `payer`. Kind::protocol otherwise.
struct Snapshot {
  Descriptor descriptor;
  Amount deposit, accepted, spent;
  std::int64_t units = 0;
};
Result<Snapshot> read_snapshot(const Json& json, const Address& payer);

/// Channels that can stand in for each other: payer, payee, token, escrow, chain and operator.
std::string scope_of(const Address& payer, const SessionTerms& terms);
std::string scope_of(const Descriptor& descriptor);

/// A journal row of the channel, as far as its descriptor says what stands there.
Channel row_of(const Descriptor& descriptor, const Asset& asset);

/// The most that may be signed ahead of what was delivered: at least ten units, and 0.01 of a
/// dollar token; -M step replaces it.
Amount step_of(const SessionTerms& terms, const Networks& networks);

/// What a credential of a channel says, with the keys of its version.
Json voucher_payload(const char* action, const Descriptor& descriptor, const Digest& id,
                     Amount cumulative, const Signature& signature);

Result<std::unique_ptr<Session>> make_session(SessionTerms terms, Challenge challenge,
                                              const SessionChoice& choice, const Networks& networks,
                                              Spender& spender);

}  // namespace paycurl::tempo
