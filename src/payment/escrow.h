// Where the money of payment channels lies: what can be asked and done there outside of a request.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/http/client.h"
#include "src/payment/credential.h"
#include "wallet/spender.h"

namespace paycurl {

class Escrow {
 public:
  virtual ~Escrow() = default;

  /// What asks the payee to close `channel` for what it has spent, never for more: an answer to
  /// `challenge`.
  virtual Result<Credential> close(const Channel& channel, const Challenge& challenge,
                                   Spender& spender) = 0;

  /// What makes the payee tell its numbers: the voucher that it has already.
  virtual Result<Credential> ask(const Channel& channel, const Challenge& challenge,
                                 Spender& spender) = 0;
  /// Which channels of `payer` could pay `challenge`; see Channel::scope.
  virtual Result<std::string> scope(const Challenge& challenge, const std::string& payer) = 0;

  /// What the rail knows of a channel.
  struct Facts {
    bool exists = false;  ///< false: never opened, or closed
    Amount deposit, settled;
    std::optional<Millis> withdrawable;  ///< set when a close was requested without the payee
    Millis now = 0;                      ///< the rail's clock
  };
  /// In the order of `channels`; Kind::backend when nobody answers.
  virtual Result<std::vector<Facts>> look_at(const std::vector<Channel>& channels,
                                             http::Client& client) = 0;

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
