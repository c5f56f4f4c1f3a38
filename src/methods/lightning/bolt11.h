// Lightning invoices (BOLT 11), read by somebody who is going to pay them: strictly, and only with
// everything checked that a payer has to check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/clock.h"
#include "src/base/money.h"
#include "src/base/result.h"
#include "src/crypto/hash.h"

namespace paycurl::lightning {

/// A compressed public key.
using NodeId = ByteArray<33>;

/// The last second that is reckoned with, 9999-12-31T23:59:59Z, in Unix seconds: no invoice expires
/// behind it.
constexpr std::int64_t kLastSecond = 253'402'300'799;

struct Invoice {
  std::string text;              ///< as it goes to a wallet: lower case, without "lightning:"
  std::string network;           ///< "mainnet", "testnet", "signet", "regtest"
  std::optional<Amount> amount;  ///< millisatoshi; nullopt: the payer chooses
  Digest payment_hash{};
  Millis created = 0;
  Millis expires = 0;                      ///< created + expiry
  std::optional<std::string> description;  ///< d: UTF-8, not yet printable
  std::optional<Digest> description_hash;  ///< h: there is one of the two
  NodeId payee{};                          ///< n, or recovered from the signature
};

/// Reads an invoice of BOLT 11 and verifies its signature. Kind::protocol, reason "malformed", for
/// everything that a payer has to refuse: a wrong checksum, mixed case, an unknown network, an
/// amount that is not whole millisatoshi or does not fit, a field that runs over the end, p, h, s
/// or n of another length or twice, neither or both of d and h, no s, an unknown even feature bit
/// (which the message names), a signature that is not the payee's; with n, a high S. Longer than
/// `kMaxInvoice` is malformed too.
Result<Invoice> read_invoice(std::string_view text);

inline constexpr std::size_t kMaxInvoice = 8 * 1024;

}  // namespace paycurl::lightning
