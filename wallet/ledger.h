// The journal: every payment, written down before its credential leaves.
//
//   intent    durable before the signature      status not_sent
//   signed    durable before anything is sent   status unknown
//   answered  durable before a long body is shown  status unknown: a run that dies here is finished
//   delivered the body was handed over whole    status settled; rejected or unknown without a body
//
// A row keeps what its credential is rebuilt from (signatures are deterministic), never the
// credential, and drops that, the request's fields and its body as soon as no doubt is left.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/money.h"
#include "src/base/result.h"
#include "wallet/policy.h"
#include "wallet/sqlite.h"

namespace paycurl {

/// none: nothing was to be paid. The names are those of the JSON output.
enum class PaymentStatus { none, not_sent, rejected, settled, unknown };
std::string_view name_of(PaymentStatus status);

/// The request as a row keeps it, so that another process can send it again.
struct RecordedRequest {
  std::vector<std::pair<std::string, std::string>> headers;  ///< the user's own, no secrets
  std::vector<std::string> removed_headers;
  std::optional<std::string> body;  ///< at most 1 MiB; nullopt when there is none or it is larger
  bool complete = true;  ///< false: it had secrets or a larger body, so it cannot be rebuilt
};

struct Event {
  Millis time;
  std::string state;  ///< intent, signed, sent, answered, delivered
};

struct Row {
  std::int64_t seq = 0;
  std::string id;
  Millis time = 0;
  PaymentStatus status = PaymentStatus::not_sent;
  Millis valid_until = 0;
  std::string identity;  ///< same request, same payer: same text
  std::string http_method, url, origin;
  std::string digest;  ///< "sha-256=:...:" of the request body
  std::optional<RecordedRequest> request;
  std::string idempotency_key;
  std::string protocol, method, intent;
  Money paid;
  std::optional<Money> swap;  ///< what left the payer for `paid`, at most; nullopt: `paid` itself
  Amount fee;                 ///< in the asset that left the payer; at most, until it is known
  std::string recipient, payer, account;
  std::string challenge_id;
  std::string challenge;  ///< as the protocol writes it, JSON
  std::optional<std::string> rebuild;
  std::optional<std::string> signed_digest;
  std::optional<std::string> reference, receipt, session;
  std::optional<std::string> once;  ///< --once: no other row that may have moved money has it
  std::string run;                  ///< the invocation whose --max-spend counts it; empty: none
  Amount run_amount;                ///< how much of `paid` was signed in that run
  std::optional<Amount> price;      ///< of a unit, where a session pays
  std::optional<std::int64_t> http_status, error_code;
  std::optional<std::int64_t> body_size;
  std::optional<std::string> body_type;
  std::optional<Millis> body_expires;
  std::vector<Event> events;

  /// What left the payer beside the fee, at most.
  const Money& given() const { return swap ? *swap : paid; }
};

/// What the list commands ask for.
struct LedgerFilter {
  std::int64_t limit = 20;
  std::optional<Millis> since, until;
  std::string host, status, account;
};

/// What one run put into the escrow of one session's channel and did not spend there.
struct Escrowed {
  std::string session;
  Money money;
};

class Ledger {
 public:
  /// `folder` also gets the lock file that tells payments in flight from those of dead processes.
  Ledger(Database& database, std::string folder, Clock clock);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Inserts `row` with the event "intent" in one transaction with `may_spend`, which asks this
  /// ledger what was spent; its error undoes everything. Sets row.seq. From then until `release`
  /// the row counts as in flight. Kind::outcome_unknown, reason "once", when another row holds
  /// row.once.
  using MaySpend = std::function<Result<>()>;
  Result<> intend(Row& row, const MaySpend& may_spend);
  /// The signature exists: status unknown until an answer says more.
  Result<> sign(std::int64_t seq, std::string_view digest, std::string_view rebuild,
                const std::optional<std::string>& reference);
  /// Both in one for a step of a session, which `alongside` writes down in the same transaction:
  /// the row is inserted, or its amount and fee are, when it was before.
  Result<> sign_step(Row& row, const MaySpend& may_spend,
                     const std::function<Result<>()>& alongside);
  /// A session's row: its amount and fee became less, as a deposit was not paid.
  Result<> reduce(const Row& row);
  /// A charge's row: nothing was paid, and it counts in its run no more.
  Result<> call_off(const Row& row);
  /// Saves status, fee, reference, receipt, http_status, error_code and body_* of `row`; adds
  /// events. Forgets request and rebuild unless the status is unknown.
  Result<> answer(const Row& row, const std::vector<Event>& events);
  /// The row is no longer in flight.
  void release(std::int64_t seq);

  /// Rows of that identity whose outcome is unknown and that no living process works on, oldest
  /// first. Rows that were only intended are not among them: nothing left.
  Result<std::vector<Row>> in_doubt(std::string_view identity);
  /// All such rows.
  Result<std::vector<Row>> in_doubt();
  /// Takes over a row in doubt; false when another process is at it.
  bool claim(std::int64_t seq);

  /// The newest row with this reference; nullopt when there is none.
  Result<std::optional<Row>> with_reference(std::string_view reference);
  /// The newest settled row of that identity; nullopt when there is none.
  Result<std::optional<Row>> settled(std::string_view identity);
  /// The row with this ID, a unique prefix of one, or "last". Usage error when there is none or
  /// more than one.
  Result<Row> find(std::string_view id);
  Result<std::vector<Row>> list(const LedgerFilter& filter);
  /// The origins that were paid, the last one first; at most 100.
  Result<std::vector<std::string>> origins();
  /// What `payer` signed away today (UTC) on every network, money that came back left out.
  /// `limits` decide how swaps count.
  Result<std::vector<Money>> spent_today(std::string_view payer,
                                         const std::vector<Limit>& limits = {});
  /// What every payer signed away today (UTC), by the origin that got it.
  Result<std::vector<std::pair<std::string, Money>>> spent_today_by_origin(
      const std::vector<Limit>& limits = {});
  /// What the newest payment to the endpoint of `row` (method, origin and path, intent, asset) was
  /// asked for, if it was made or may have been: of a charge what was paid, of a session the price
  /// of a unit. `row` itself does not count.
  Result<std::optional<Amount>> last_price(const Row& row, const Asset& asset);
  /// What all processes of that run signed away together, and what they are about to: money that
  /// came back is left out. `limits` decide how swaps count.
  Result<std::vector<Money>> spent_in_run(std::string_view run,
                                          const std::vector<Limit>& limits = {});
  /// Of that, what was settled.
  Result<std::vector<Money>> settled_in_run(std::string_view run);
  /// What all processes of that run put into escrows. The newest word on a session counts.
  Result<std::vector<Escrowed>> escrowed_in_run(std::string_view run);
  Result<> note_escrow(std::string_view run, const Escrowed& escrowed);
  /// The row that holds this key of --once: one that may have moved money, or still can, or that a
  /// living process is about to sign. nullopt when the key is free.
  Result<std::optional<Row>> with_once(std::string_view key);
  /// Gives a row without a key that one, which has to be free: its payment is the one for the key.
  Result<> hold_once(Row& row, const std::string& key);
  /// Whether another living process works on the row.
  bool is_in_flight(std::int64_t seq) const;
  /// The row with all that came of it: nullopt while another process works on it. Not for a row
  /// that this process claimed. Kind::internal when the lock file cannot be used.
  Result<std::optional<Row>> at_rest(const Row& row);
  /// Forgets the kept body of a row.
  Result<> forget_body(std::string_view id);

 private:
  Result<> insert(Row& row);
  Result<> check_once(const Row& row);
  bool claim_new(std::int64_t seq);
  bool lock_alone(std::int64_t seq, bool patient);
  int lock(std::int64_t seq, short type) const;
  Error unlockable() const;
  Result<> raise(const Row& row, std::string_view digest);
  Result<std::vector<Row>> rows(Statement& statement);
  Result<std::optional<Row>> newest(std::string_view where, std::string_view value);
  Result<Statement> spent_since_midnight(std::string_view payer);

  Database& database_;
  std::string folder_;
  Clock clock_;
  int lock_ = -1;
};

/// A new ID: 26 letters and digits that sort by time (a ULID in lower case).
std::string new_payment_id(Millis now);

}  // namespace paycurl
