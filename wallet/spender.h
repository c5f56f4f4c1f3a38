// The one door to money: limits, journal, signature, in that order and never around.
//
// A signature, a node's "pay this invoice", a broadcast: each needs a Permit, and a Permit exists
// only when every limit agreed and the journal's row is durable.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/spend.h"
#include "src/crypto/secp256k1.h"
#include "wallet/channels.h"
#include "wallet/ledger.h"
#include "wallet/policy.h"

namespace paycurl {

/// Leave to sign one thing. Used up by it.
class Permit {
 public:
  Permit(Permit&&) = default;
  Permit& operator=(Permit&&) = default;

 private:
  friend class Spender;
  explicit Permit(std::string attempt) : attempt_(std::move(attempt)) {}
  std::string attempt_;
};

/// Who pays.
struct Payer {
  std::string account;    ///< its name; "env", "key-file"... where it has none
  std::string address;    ///< EIP-55; of a wallet that pays for us its public name
  std::string network{};  ///< of such a wallet, where it is known
};

/// Where what pays comes from: a key that signs, or the connection to a wallet that pays by itself
/// (its text, see src/methods/lightning/connection.h). One of the two is set, and called once, when
/// it is first needed.
struct PayerSource {
  std::function<Result<PrivateKey>()> key;
  std::function<Result<Secret>()> connection;
};

class Spender {
 public:
  /// `run` names the invocation, all of whose processes have one --max-spend; empty: a new one.
  Spender(Ledger& ledger, Channels& channels, const Limits& limits, Payer payer, PayerSource source,
          Clock clock, std::string run = "")
      : ledger_(ledger),
        channels_(channels),
        limits_(limits),
        payer_(std::move(payer)),
        source_(std::move(source)),
        clock_(std::move(clock)),
        run_(run.empty() ? new_payment_id(clock_()) : std::move(run)) {}

  const Payer& payer() const { return payer_; }
  const Limits& limits() const { return limits_; }
  Ledger& ledger() { return ledger_; }

  /// Gets the key or the connection now, so that a locked keychain stops the run before anything is
  /// written.
  Result<> unlock();
  /// How the wallet that pays is reached. Kind::account when this payer has a key instead.
  Result<const Secret*> connection();

  /// What the next `allow` is about: a row with everything the caller knows about the request and
  /// the challenge. `allow` adds the money.
  void begin(Row row) {
    row_ = std::move(row);
    fees_ = Amount();
  }

  /// Asks every limit about the integer that will be signed and writes the row. Kind::declined when
  /// a limit says no, Kind::internal when the journal cannot be written; nothing is signed then.
  Result<Permit> allow(const Spend& spend);

  /// What `allow` would say of the limits of this run, before anything is written.
  Result<> would_allow(const Spend& spend) const;

  /// Whether the price of `spend` rose by more than is allowed since the endpoint of `row` was last
  /// paid. Kind::declined, max_increase, when it did; `allow` says the same unless the user agreed.
  Result<> check_increase(const Row& row, const Spend& spend);

  /// Signs, and makes the row durable before it returns. `rebuild` is what the signed bytes are
  /// made from; `reference` gives the rail's name of the payment (a transaction hash) where it is
  /// known.
  using Reference = std::function<std::optional<std::string>(const Signature&)>;
  Result<Signature> sign(Permit&& permit, const Digest& digest, std::string_view rebuild,
                         const Reference& reference);

  /// For a wallet that pays by itself: makes the row durable before the wallet is asked.
  /// `reference` is the rail's name of the payment, by which it is found again.
  Result<> commit(Permit&& permit, std::string_view rebuild, std::string_view reference);

  /// The wallet says that it did not pay what was committed, and will not: the money is no longer
  /// counted, and the row of a charge is not in doubt.
  Result<> call_off(const Money& money);
  /// What the network took for a payment in the end, in place of what it might have.
  void took_fee(Amount fee);

  /// A step of a session: every limit is asked about what `spend` adds, then the row of this
  /// attempt (made, or raised) and whatever `alongside` writes are durable, and only then the
  /// digests are signed, each of which can move money on its own. Without digests a wallet is going
  /// to pay.
  struct Step {
    Spend spend;
    std::vector<Digest> digests;
    std::string session;  ///< the channel's id
    std::string rebuild;
    std::function<Result<>()> alongside;
  };
  Result<std::vector<Signature>> sign_step(const Step& step);
  /// Signs what moves no money to anybody: a voucher that an earlier one covers.
  Result<Signature> sign_covered(const Digest& digest);
  /// Signs what brings the user's own money back and costs nothing but the network's fee.
  Result<Signature> sign_fee(const Money& fee, const Digest& digest);
  /// The most that may lie in the escrow of this session's channel now.
  Amount deposit_limit(const Asset& asset, const std::string& session) const;
  /// The most that the network may take for a payment of `paid`.
  Amount fee_limit(const Money& paid) const {
    return paycurl::fee_limit(paid, limits_, row_.origin);
  }
  Channels& channels() { return channels_; }

  /// The signature of a row that was signed before: the same bytes, no new money. Kind::internal
  /// when `digest` is not the one that the row has.
  Result<Signature> sign_again(const Row& row, const Digest& digest);

  /// The row of the attempt, with what `allow` and `sign` added.
  const Row& row() const { return row_; }
  /// What this run signed, in all its processes; nothing when the journal cannot be read.
  std::vector<Money> signed_in_this_run() const;

 private:
  Result<const PrivateKey*> key();
  Result<> check_permit(Permit&& permit);
  Result<> describe_in_row(const Spend& spend);
  Result<Amount> escrowed(const Asset& asset, const std::string& but) const;
  std::vector<Money> signed_for_row() const;
  Result<> allow_step(const Row& before, const Step& step);
  Result<Spent> spent(const Row& before, const Spend& spend);

  Ledger& ledger_;
  Channels& channels_;
  const Limits& limits_;
  Payer payer_;
  PayerSource source_;
  std::optional<PrivateKey> key_;
  Secret connection_;
  Clock clock_;
  Row row_;
  Amount fees_;  // that are known, of this row
  std::string run_;
};

}  // namespace paycurl
