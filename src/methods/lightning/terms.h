// What a challenge of the "lightning" method asks for, with everything verified that can be without
// asking anybody (draft-lightning-charge-00 and draft-lightning-session-00, and real servers where
// they differ).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "src/methods/lightning/bolt11.h"
#include "src/payment/challenge.h"

namespace paycurl::lightning {

struct ChargeTerms {
  Invoice invoice;
  Amount amount;     ///< millisatoshi; the invoice's
  Millis until = 0;  ///< by the server's clock: when the challenge or the invoice expires
  std::string payee() const { return to_hex(invoice.payee); }
};

/// Reads a charge. Kind::protocol, reason "malformed", when the invoice is not exactly what the
/// challenge says: amount to the millisatoshi, payment hash, network, description hash. Of the L402
/// protocol, whose price is the invoice's, there is nothing to compare.
Result<ChargeTerms> read_charge(const Challenge& challenge);

struct SessionTerms {
  Amount price;                    ///< of one unit, millisatoshi
  std::string unit;                ///< "token"; foreign text
  std::optional<Invoice> deposit;  ///< what opens or tops up; its amount is the deposit
  Millis until = 0;                ///< as in ChargeTerms
  std::chrono::seconds idle{0};    ///< the server closes after that long; 0: it does not say
};

/// Reads a session's challenge in the same way: invoice against paymentHash and depositAmount, and
/// a deposit that is at least the price of a unit.
Result<SessionTerms> read_session(const Challenge& challenge);

/// Satoshi on a network, counted in millisatoshi.
Asset satoshi(const std::string& network);

}  // namespace paycurl::lightning
