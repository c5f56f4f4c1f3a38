// Where the money of payment channels lies: what can be asked and done there outside of a request.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/http/client.h"
#include "src/payment/credential.h"
#include "src/payment/receipt.h"
#include "wallet/spender.h"

namespace paycurl {

class Escrow {
 public:
  virtual ~Escrow() = default;

  /// What asks the payee to close `channel` for what it has spent, never for more: an answer to
  /// `challenge`.
  virtual Result<Credential> close(const Channel& channel, const Challenge& challenge,
                                   Spender& spender) = 0;

  /// The request method that a close goes with, without a body.
  virtual std::string close_method(const Channel& /*channel*/) const { return "POST"; }
  /// How a close ended.
  struct Ending {
    std::string reference;         ///< the rail's
    Amount returned;               ///< to the payer
    std::optional<Error> missing;  ///< what did not come back although it is over
  };
  /// Takes the payee's word for a close, as far as it can be believed, and its numbers into
  /// `channel`. Kind::protocol when it does not prove that the channel is over.
  virtual Result<Ending> ended(Channel& channel, const http::Answer& answer,
                               const std::optional<Receipt>& receipt, Spender& spender) = 0;

  /// What makes the payee tell its numbers: the voucher that it has already.
  virtual Result<Credential> ask(const Channel& channel, const Challenge& challenge,
                                 Spender& spender) = 0;
  /// Which channels of `payer` could pay `challenge`; see Channel::scope.
  virtual Result<std::string> scope(const Challenge& challenge, const std::string& payer) = 0;

  /// What the rail knows of a channel.
  struct Facts {
    bool exists = false;     ///< false: never opened, or closed
    bool undecided = false;  ///< a payment to it is under way: nobody can tell yet
    Amount deposit, settled;
    std::optional<Millis> withdrawable;  ///< set when a close was requested without the payee
    Millis now = 0;                      ///< the rail's clock
  };
  /// In the order of `channels`; Kind::backend when nobody answers. `spender_of` gives the wallet
  /// that has to be asked where there is no chain.
  using SpenderOf = std::function<Result<Spender*>(const Channel&)>;
  virtual Result<std::vector<Facts>> look_at(const std::vector<Channel>& channels,
                                             const SpenderOf& spender_of, http::Client& client) = 0;

  /// Leaves `channel` without its payee: requests the close or, with `withdraw`, takes the money
  /// back when its time has come. The rail's reference. Kind::rejected when the rail refused.
  virtual Result<std::string> leave(const Channel& channel, bool withdraw, Spender& spender,
                                    http::Client& client) = 0;

  /// The channels of `payer` that hold money there, whether we know them or not, as rows that are
  /// in no journal.
  virtual Result<std::vector<Channel>> orphans(const std::string& payer, http::Client& client) = 0;

  /// A session file of the npm CLI, as such a row. Kind::usage when it is none.
  virtual Result<Channel> from_mppx(const Json& file) = 0;
};

}  // namespace paycurl
