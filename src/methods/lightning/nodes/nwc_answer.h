// What a wallet answers over Nostr Wallet Connect (NIP-47), read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/json.h"
#include "src/methods/lightning/node.h"

namespace paycurl::lightning {

struct WalletAnswer {
  std::string code;     ///< of an error: "PAYMENT_FAILED"; empty when there is a result
  std::string message;  ///< of an error, foreign text
  Json result;          ///< an object, or null beside an error

  bool refused() const { return !code.empty(); }
  /// An error that tells of an earlier payment, done or under way: there is no code for that.
  bool says_paid() const;
  /// An error whose code alone says that nothing was paid and nothing will be.
  bool is_final() const;
  /// The error of `pay_invoice` and of whatever has no better one.
  Error as_error() const;
  /// The error of `make_invoice`: a wallet that cannot, or one that will not now.
  Error as_no_invoices() const;
};

/// The reason of an error that says that a wallet looks nothing up.
inline constexpr std::string_view kNoLookUp = "no_look_up";

/// Reads the text of an answer to `method`. Kind::protocol.
Result<WalletAnswer> read_wallet_answer(std::string_view text, std::string_view method);

/// Reads a result of get_info. `advertised` are the methods of the wallet's info event, in one
/// text; they stand in where the result names none.
NodeInfo read_info(const Json& result, std::string_view advertised);

/// Reads an answer to lookup_invoice: of a payment that went out, or of one to us (nullopt: unknown
/// to the wallet).
Payment read_payment(const WalletAnswer& answer, const Digest& payment_hash);
Result<std::optional<Received>> read_received(const WalletAnswer& answer);

/// What routing cost, where a result tells.
std::optional<Amount> fee_in(const Json& result);

/// Whether `word` is one of the words of `text`, which spaces or commas divide.
bool has_word(std::string_view text, std::string_view word);

}  // namespace paycurl::lightning
