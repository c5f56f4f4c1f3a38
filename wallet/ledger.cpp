#include "wallet/ledger.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/json.h"
#include "src/base/text.h"
#include "src/crypto/random.h"
#include "wallet/policy.h"

namespace paycurl {
namespace {

constexpr std::array<std::string_view, 5> kStatusNames{"none", "not_sent", "rejected", "settled",
                                                       "unknown"};
constexpr Millis kDay = 24 * 60 * 60 * 1000;
constexpr Millis kStaleIntent = 60 * 1000;
constexpr Millis kLongestRun = 30 * kDay;
constexpr int kMostWait = 2'000;  // for the lock of a process that dies, in milliseconds

constexpr std::string_view kColumns =
    "seq, id, time, status, valid_until, identity, http_method, url, origin, digest, request, "
    "idempotency_key, protocol, method, intent, amount, symbol, decimals, token, network, "
    "is_dollar, is_test, "
    "fee, recipient, payer, account, challenge_id, challenge, rebuild, signed_digest, reference, "
    "receipt, http_status, error_code, once, session, body_size, body_type, body_expires, events, "
    "swap, run, run_amount, price";

std::string select(std::string_view rest) {
  return "SELECT " + std::string(kColumns) + " FROM payments " + std::string(rest);
}

PaymentStatus status_of(std::string_view name) {
  const auto found = std::find(kStatusNames.begin(), kStatusNames.end(), name);
  return found == kStatusNames.end() ? PaymentStatus::unknown
                                     : static_cast<PaymentStatus>(found - kStatusNames.begin());
}

std::string to_text(const RecordedRequest& request) {
  Json headers = Json::array();
  for (const auto& [name, value] : request.headers) {
    headers.push(Json::Array{name, value});
  }
  Json removed = Json::array();
  for (const std::string& name : request.removed_headers) {
    removed.push(name);
  }
  Json json = Json::object({{"headers", std::move(headers)},
                            {"removed", std::move(removed)},
                            {"complete", request.complete}});
  if (request.body) json.set("body", to_base64url(as_bytes(*request.body)));
  return json.dump();
}

/// "intent 1800000000000\n", a line an event.
std::string to_text(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) {
    text += event.state + " " + std::to_string(event.time) + "\n";
  }
  return text;
}

std::vector<Event> read_events(std::string_view text) {
  std::vector<Event> events;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    const std::string_view line = text.substr(0, end);
    const std::size_t space = line.find(' ');
    Millis time = 0;
    std::from_chars(line.data() + std::min(space + 1, line.size()), line.data() + line.size(),
                    time);
    events.push_back({time, std::string(line.substr(0, space))});
    text.remove_prefix(end + 1);
  }
  return events;
}

/// Without the network, which is that of the payment.
std::string to_text(const Money& swap) {
  return Json::object({{"amount", swap.amount.decimal()},
                       {"symbol", swap.asset.symbol},
                       {"decimals", std::int64_t{swap.asset.decimals}},
                       {"token", swap.asset.token},
                       {"dollar", swap.asset.is_dollar}})
      .dump();
}

std::optional<Money> read_swap(std::string_view text, const Asset& paid) {
  const auto json = Json::parse(text, 4096);
  if (!json) return std::nullopt;
  const auto amount = json->string_at("amount");
  const auto symbol = json->string_at("symbol");
  const auto token = json->string_at("token");
  const auto decimals = json->optional_integer_at("decimals");
  const auto dollar = json->optional_boolean_at("dollar");
  const auto read = amount ? Amount::parse(*amount) : std::nullopt;
  if (!read || !symbol || !token || !decimals || !dollar) return std::nullopt;
  return Money{*read,
               {*symbol, static_cast<int>(decimals->value_or(0)), *token, paid.network,
                dollar->value_or(false), paid.is_test}};
}

/// Our own text; what does not read is treated as a request that cannot be sent again.
RecordedRequest read_request(std::string_view text) {
  RecordedRequest request;
  request.complete = false;
  const auto json = Json::parse(text, 4 << 20);
  if (!json) return request;
  const Json* headers = json->find("headers");
  for (const Json& pair : headers && headers->items() ? *headers->items() : Json::Array{}) {
    const auto* items = pair.items();
    if (items == nullptr || items->size() != 2) return request;
    const auto *name = (*items)[0].string(), *value = (*items)[1].string();
    if (name == nullptr || value == nullptr) return request;
    request.headers.emplace_back(*name, *value);
  }
  const Json* removed = json->find("removed");
  for (const Json& name : removed && removed->items() ? *removed->items() : Json::Array{}) {
    if (name.string() != nullptr) request.removed_headers.push_back(*name.string());
  }
  if (const Json* body = json->find("body"); body && body->string()) {
    const auto bytes = from_base64url(*body->string());
    if (!bytes) return request;
    request.body = std::string(as_text(*bytes));
  }
  const Json* complete = json->find("complete");
  request.complete = complete && complete->boolean() && *complete->boolean();
  return request;
}

std::optional<std::int64_t> optional_integer(const Statement& statement, int column) {
  if (statement.is_null(column)) return std::nullopt;
  return statement.integer(column);
}

/// Money in the columns from `column` on: amount, symbol, decimals, token, network, is_dollar,
/// is_test.
constexpr int kMoneyColumns = 7;
Money read_money(const Statement& from, int column) {
  Money money;
  money.amount = Amount::parse(from.text(column)).value_or(Amount());
  money.asset = {from.text(column + 1),         static_cast<int>(from.integer(column + 2)),
                 from.text(column + 3),         from.text(column + 4),
                 from.integer(column + 5) != 0, from.integer(column + 6) != 0};
  return money;
}

Row read_row(const Statement& from) {
  Row row;
  int column = 0;
  const auto text = [&] { return from.text(column++); };
  const auto maybe = [&] { return from.optional_text(column++); };
  const auto whole = [&] { return from.integer(column++); };
  row.seq = whole();
  row.id = text();
  row.time = whole();
  row.status = status_of(text());
  row.valid_until = whole();
  row.identity = text();
  row.http_method = text();
  row.url = text();
  row.origin = text();
  row.digest = text();
  if (const auto request = maybe()) row.request = read_request(*request);
  row.idempotency_key = text();
  row.protocol = text();
  row.method = text();
  row.intent = text();
  row.paid = read_money(from, column);
  column += kMoneyColumns;
  row.fee = Amount::parse(text()).value_or(Amount());
  row.recipient = text();
  row.payer = text();
  row.account = text();
  row.challenge_id = text();
  row.challenge = text();
  row.rebuild = maybe();
  row.signed_digest = maybe();
  row.reference = maybe();
  row.receipt = maybe();
  row.http_status = optional_integer(from, column++);
  row.error_code = optional_integer(from, column++);
  row.once = maybe();
  row.session = maybe();
  row.body_size = optional_integer(from, column++);
  row.body_type = maybe();
  row.body_expires = optional_integer(from, column++);
  row.events = read_events(text());
  if (const auto swap = maybe()) row.swap = read_swap(*swap, row.paid.asset);
  row.run = text();
  row.run_amount = Amount::parse(text()).value_or(Amount());
  if (const auto price = maybe()) row.price = Amount::parse(*price);
  return row;
}

/// Calls `take` for every row, with the statement at it.
template <typename Take>
Result<> for_each_row(Statement& query, const Take& take) {
  while (true) {
    const auto row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    take();
  }
}

/// Of fcntl: another process has the lock.
bool is_conflict(int code) {
  return code == EAGAIN || code == EACCES;
}

struct flock byte_of(std::int64_t seq, short type) {
  struct flock byte {};
  byte.l_type = type;
  byte.l_whence = SEEK_SET;
  byte.l_start = seq;
  byte.l_len = 1;
  return byte;
}

/// Money with the swap that paid it, in the column behind.
std::vector<Money> read_counted(const Statement& from, int column,
                                const std::vector<Limit>& limits) {
  const Money money = read_money(from, column);
  const auto swap = from.optional_text(column + kMoneyColumns);
  return counted(money, swap ? read_swap(*swap, money.asset) : std::nullopt, limits);
}

}  // namespace

std::string_view name_of(PaymentStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

std::string new_payment_id(Millis now) {
  constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's
  std::string id(26, '0');
  auto time = static_cast<std::uint64_t>(now);
  for (std::size_t i = 10; i-- > 0; time >>= 5) {
    id[i] = kDigits[time & 31];
  }
  const auto random = random_array<16>();
  for (std::size_t i = 0; i < 16; ++i) {
    id[10 + i] = kDigits[random[i] & 31];
  }
  return id;
}

Ledger::Ledger(Database& database, std::string folder, Clock clock)
    : database_(database), folder_(std::move(folder)), clock_(std::move(clock)) {
  lock_ =
      ::open((folder_ + "/payments.lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

Ledger::~Ledger() {
  if (lock_ >= 0) ::close(lock_);
}

// One byte of the lock file per row. The kernel lets go of it when the process dies, however it
// dies. Readers share it for a moment, whoever works on the row has it alone.
int Ledger::lock(std::int64_t seq, short type) const {
  struct flock byte = byte_of(seq, type);
  return ::fcntl(lock_, F_OFD_SETLK, &byte);
}

/// Waits for readers, and for whoever works on the row as well when `patient`.
bool Ledger::lock_alone(std::int64_t seq, bool patient) {
  for (int wait = 0; wait < kMostWait; ++wait) {
    if (lock(seq, F_WRLCK) == 0) return true;
    if (!is_conflict(errno) || (!patient && is_in_flight(seq))) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

bool Ledger::claim(std::int64_t seq) {
  return lock_alone(seq, false);
}

// Of a killed process the kernel lets go of the database first and of the byte a moment later: the
// number of a row that it never committed can still be claimed when the next process gets it.
bool Ledger::claim_new(std::int64_t seq) {
  return lock_alone(seq, true);
}

void Ledger::release(std::int64_t seq) {
  (void)lock(seq, F_UNLCK);
}

bool Ledger::is_in_flight(std::int64_t seq) const {
  struct flock byte = byte_of(seq, F_RDLCK);
  return ::fcntl(lock_, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK;
}

Result<std::optional<Row>> Ledger::at_rest(const Row& row) {
  if (lock(row.seq, F_RDLCK) != 0) {
    return is_conflict(errno) ? Result<std::optional<Row>>(std::nullopt) : unlockable();
  }
  auto fresh = newest("WHERE id = ?", row.id);
  release(row.seq);
  return fresh;
}

Result<> Ledger::intend(Row& row, const MaySpend& may_spend) {
  auto transaction = database_.begin();
  if (!transaction) return transaction.error();
  if (auto allowed = may_spend(); !allowed) return allowed;
  if (auto inserted = insert(row); !inserted) return inserted;
  auto committed = transaction->commit();
  if (!committed) release(std::exchange(row.seq, 0));
  return committed;
}

Error Ledger::unlockable() const {
  return {Kind::internal, "the journal's lock file cannot be used",
          "see that " + folder_ + " is writable"};
}

Result<> Ledger::insert(Row& row) {
  auto insert = database_.prepare(
      "INSERT INTO payments (id, time, status, valid_until, identity, http_method, url, origin, "
      "digest, request, idempotency_key, protocol, method, intent, amount, symbol, decimals, "
      "token, "
      "network, is_dollar, is_test, fee, recipient, payer, account, challenge_id, challenge, once, "
      "session, events, swap, run, run_amount, price) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?, ?, ?)");
  if (!insert) return insert.error();
  if (auto free = check_once(row); !free) return free;
  const Asset& asset = row.paid.asset;
  insert->bind(row.id).bind(row.time).bind(name_of(PaymentStatus::not_sent));
  insert->bind(row.valid_until).bind(row.identity).bind(row.http_method);
  insert->bind(row.url).bind(row.origin).bind(row.digest);
  insert->bind_optional(row.request ? std::optional(to_text(*row.request)) : std::nullopt);
  insert->bind(row.idempotency_key).bind(row.protocol).bind(row.method);
  insert->bind(row.intent).bind(row.paid.amount.decimal()).bind(asset.symbol);
  insert->bind(std::int64_t{asset.decimals}).bind(asset.token).bind(asset.network);
  insert->bind(std::int64_t{asset.is_dollar}).bind(std::int64_t{asset.is_test});
  insert->bind(row.fee.decimal());
  insert->bind(row.recipient).bind(row.payer).bind(row.account);
  insert->bind(row.challenge_id).bind(row.challenge);
  insert->bind_optional(row.once).bind_optional(row.session);
  row.events = {{clock_(), "intent"}};
  insert->bind(to_text(row.events));
  insert->bind_optional(row.swap ? std::optional(to_text(*row.swap)) : std::nullopt);
  insert->bind_optional(row.run.empty() ? std::nullopt : std::optional(row.run));
  insert->bind(row.run_amount.decimal());
  insert->bind_optional(row.price ? std::optional(row.price->decimal()) : std::nullopt);
  if (auto inserted = insert->run(); !inserted) return inserted;
  row.seq = database_.last_row();
  if (!claim_new(row.seq)) {
    return unlockable();
  }
  return {};
}

Result<> Ledger::sign_step(Row& row, const MaySpend& may_spend,
                           const std::function<Result<>()>& alongside) {
  auto transaction = database_.begin();
  if (!transaction) return transaction.error();
  if (auto allowed = may_spend(); !allowed) return allowed;
  const bool is_new = row.seq == 0;
  const std::string digest = row.signed_digest.value_or("");
  Result<> done;
  if (is_new) {
    done = insert(row);
    if (done) done = sign(row.seq, digest, row.rebuild.value_or(""), row.reference);
  } else {
    done = raise(row, digest);
  }
  if (done) done = alongside();
  if (done) done = transaction->commit();
  if (!done && is_new) release(std::exchange(row.seq, 0));
  return done;
}

Result<> Ledger::raise(const Row& row, std::string_view digest) {
  auto update = database_.prepare(
      "UPDATE payments SET amount = ?, fee = ?, status = ?, signed_digest = ?, rebuild = ?, "
      "reference = ?, session = ?, run = ?, run_amount = ?, raised = ? WHERE seq = ?");
  if (!update) return update.error();
  update->bind(row.paid.amount.decimal()).bind(row.fee.decimal());
  update->bind(name_of(PaymentStatus::unknown)).bind(digest).bind_optional(row.rebuild);
  update->bind_optional(row.reference).bind_optional(row.session);
  update->bind_optional(row.run.empty() ? std::nullopt : std::optional(row.run));
  return update->bind(row.run_amount.decimal()).bind(clock_()).bind(row.seq).run();
}

Result<> Ledger::sign(std::int64_t seq, std::string_view digest, std::string_view rebuild,
                      const std::optional<std::string>& reference) {
  auto update = database_.prepare(
      "UPDATE payments SET status = ?, signed_digest = ?, rebuild = ?, reference = ?, "
      "events = events || ? WHERE seq = ?");
  if (!update) return update.error();
  update->bind(name_of(PaymentStatus::unknown)).bind(digest).bind(rebuild).bind_optional(reference);
  return update->bind(to_text({{clock_(), "signed"}})).bind(seq).run();
}

Result<> Ledger::reduce(const Row& row) {
  auto update =
      database_.prepare("UPDATE payments SET amount = ?, fee = ?, run_amount = ? WHERE seq = ?");
  if (!update) return update.error();
  update->bind(row.paid.amount.decimal()).bind(row.fee.decimal());
  return update->bind(row.run_amount.decimal()).bind(row.seq).run();
}

Result<> Ledger::call_off(const Row& row) {
  auto update = database_.prepare(
      "UPDATE payments SET status = ?, run = NULL, request = NULL, rebuild = NULL WHERE seq = ?");
  if (!update) return update.error();
  return update->bind(name_of(PaymentStatus::not_sent)).bind(row.seq).run();
}

Result<> Ledger::answer(const Row& row, const std::vector<Event>& events) {
  const bool doubt = row.status == PaymentStatus::unknown;
  auto update = database_.prepare(
      std::string(
          "UPDATE payments SET status = ?, fee = ?, reference = ?, receipt = ?, http_status = ?, "
          "error_code = ?, body_size = ?, body_type = ?, body_expires = ?, "
          "events = events || ?") +
      (doubt ? "" : ", request = NULL, rebuild = NULL") + " WHERE seq = ?");
  if (!update) return update.error();
  update->bind(name_of(row.status)).bind(row.fee.decimal()).bind_optional(row.reference);
  update->bind_optional(row.receipt).bind_optional(row.http_status);
  update->bind_optional(row.error_code).bind_optional(row.body_size);
  update->bind_optional(row.body_type).bind_optional(row.body_expires);
  return update->bind(to_text(events)).bind(row.seq).run();
}

Result<std::vector<Row>> Ledger::rows(Statement& statement) {
  std::vector<Row> found;
  const auto read = for_each_row(statement, [&] { found.push_back(read_row(statement)); });
  if (!read) return read.error();
  return found;
}

Result<std::vector<Row>> Ledger::in_doubt(std::string_view identity) {
  auto query = database_.prepare(
      select("WHERE status = 'unknown' AND (?1 = '' OR identity = ?1) ORDER BY seq"));
  if (!query) return query.error();
  query->bind(identity);
  auto found = rows(*query);
  if (!found) return found;
  std::erase_if(*found, [this](const Row& row) { return is_in_flight(row.seq); });
  return found;
}

Result<std::optional<Row>> Ledger::newest(std::string_view where, std::string_view value) {
  auto query = database_.prepare(select(std::string(where) + " ORDER BY seq DESC LIMIT 1"));
  if (!query) return query.error();
  query->bind(value);
  auto found = rows(*query);
  if (!found) return found.error();
  return found->empty() ? std::nullopt : std::optional(std::move(found->front()));
}

Result<std::optional<Row>> Ledger::with_reference(std::string_view reference) {
  return newest("WHERE reference = ?", reference);
}

Result<std::optional<Row>> Ledger::settled(std::string_view identity) {
  return newest("WHERE status = 'settled' AND identity = ?", identity);
}

Result<std::vector<Row>> Ledger::in_doubt() {
  return in_doubt("");
}

Result<Row> Ledger::find(std::string_view id) {
  auto query =
      database_.prepare(id == "last" ? select("ORDER BY seq DESC LIMIT 1")
                                     : select("WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2"));
  if (!query) return query.error();
  if (id != "last") query->bind(lower(id));
  auto found = rows(*query);
  if (!found) return found.error();
  if (found->size() == 1) return std::move(found->front());
  if (found->empty()) {
    return Error{Kind::usage, "no payment " + printable(id, 40), "see paycurl payments list"};
  }
  return Error{Kind::usage, "more than one payment starts with " + printable(id, 40)};
}

Result<std::vector<Row>> Ledger::list(const LedgerFilter& filter) {
  auto query = database_.prepare(select(
      "WHERE time >= ?1 AND time < ?2 AND (?3 = '' OR status = ?3) AND (?4 = '' OR account = ?4) "
      "AND (?5 = '' OR (substr(origin, instr(origin, '://') + 3, length(?5)) = ?5 AND "
      "substr(origin, instr(origin, '://') + 3 + length(?5), 1) IN ('', ':'))) "
      "ORDER BY seq DESC LIMIT ?6"));
  if (!query) return query.error();
  query->bind(filter.since.value_or(0)).bind(filter.until.value_or(INT64_MAX));
  query->bind(filter.status).bind(filter.account).bind(lower(filter.host));
  query->bind(filter.limit);
  return rows(*query);
}

Result<std::vector<std::string>> Ledger::origins() {
  auto query = database_.prepare(
      "SELECT origin FROM payments GROUP BY origin ORDER BY max(seq) DESC LIMIT 100");
  if (!query) return query.error();
  std::vector<std::string> found;
  const auto read = for_each_row(*query, [&] { found.push_back(query->text(0)); });
  if (!read) return read.error();
  return found;
}

// A rejected payment counts as well: the server may have broadcast it and lied. So does an intent
// of the last minute that nothing is known of, which another process may be about to sign. A
// session that goes on over midnight counts as a whole on the new day.
Result<Statement> Ledger::spent_since_midnight(std::string_view payer) {
  const Millis now = clock_();
  auto query = database_.prepare(
      "SELECT amount, symbol, decimals, token, network, is_dollar, is_test, swap, origin FROM "
      "payments "
      "WHERE (?1 = '' OR payer = ?1) AND COALESCE(raised, time) >= ?2 AND (status != 'not_sent' OR "
      "session IS NOT NULL OR (error_code IS NULL AND time >= ?3))");
  if (!query) return query;
  query->bind(payer).bind(now - now % kDay).bind(now - kStaleIntent);
  return query;
}

Result<std::vector<Money>> Ledger::spent_today(std::string_view payer,
                                               const std::vector<Limit>& limits) {
  auto query = spent_since_midnight(payer);
  if (!query) return query.error();
  std::vector<Money> sums;
  const auto read = for_each_row(*query, [&] {
    for (const Money& part : read_counted(*query, 0, limits)) {
      add_money(sums, part);
    }
  });
  if (!read) return read.error();
  return sums;
}

Result<std::vector<std::pair<std::string, Money>>> Ledger::spent_today_by_origin(
    const std::vector<Limit>& limits) {
  auto query = spent_since_midnight("");
  if (!query) return query.error();
  std::vector<std::pair<std::string, Money>> payments;
  const auto read = for_each_row(*query, [&] {
    for (Money& part : read_counted(*query, 0, limits)) {
      payments.emplace_back(query->text(8), std::move(part));
    }
  });
  if (!read) return read.error();
  return payments;
}

// A row that is signed counts whatever became of it, unless it was called off: nobody else knows
// better than the rail. One that is not signed yet counts while the process that wrote it lives.
Result<std::vector<Money>> Ledger::spent_in_run(std::string_view run,
                                                const std::vector<Limit>& limits) {
  auto query = database_.prepare(
      "SELECT run_amount, symbol, decimals, token, network, is_dollar, is_test, swap, seq, "
      "signed_digest FROM payments WHERE run = ? AND "
      "(signed_digest IS NOT NULL OR error_code IS NULL)");
  if (!query) return query.error();
  query->bind(run);
  std::vector<Money> sums;
  const auto read = for_each_row(*query, [&] {
    if (query->is_null(9) && !is_in_flight(query->integer(8))) return;
    for (const Money& part : read_counted(*query, 0, limits)) {
      if (!part.amount.is_zero()) add_money(sums, part);
    }
  });
  if (!read) return read.error();
  return sums;
}

Result<std::vector<Money>> Ledger::settled_in_run(std::string_view run) {
  auto query = database_.prepare(
      "SELECT run_amount, symbol, decimals, token, network, is_dollar, is_test FROM payments "
      "WHERE run = ? AND status = 'settled'");
  if (!query) return query.error();
  query->bind(run);
  std::vector<Money> sums;
  const auto read = for_each_row(*query, [&] { add_money(sums, read_money(*query, 0)); });
  if (!read) return read.error();
  return sums;
}

Result<std::vector<Escrowed>> Ledger::escrowed_in_run(std::string_view run) {
  auto query = database_.prepare(
      "SELECT session, amount, symbol, decimals, token, network, is_dollar, is_test FROM escrows "
      "WHERE run = ?");
  if (!query) return query.error();
  query->bind(run);
  std::vector<Escrowed> all;
  const auto read = for_each_row(*query, [&] {
    all.push_back({query->text(0), read_money(*query, 1)});
  });
  if (!read) return read.error();
  return all;
}

Result<> Ledger::note_escrow(std::string_view run, const Escrowed& escrowed) {
  auto old = database_.prepare("DELETE FROM escrows WHERE time < ?");  // of runs that are over
  if (!old) return old.error();
  if (auto done = old->bind(clock_() - kLongestRun).run(); !done) return done;
  auto insert = database_.prepare(
      "INSERT OR REPLACE INTO escrows (run, session, amount, symbol, decimals, token, network, "
      "is_dollar, is_test, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!insert) return insert.error();
  const Asset& asset = escrowed.money.asset;
  insert->bind(run).bind(escrowed.session).bind(escrowed.money.amount.decimal());
  insert->bind(asset.symbol).bind(std::int64_t{asset.decimals}).bind(asset.token);
  insert->bind(asset.network).bind(std::int64_t{asset.is_dollar}).bind(std::int64_t{asset.is_test});
  return insert->bind(clock_()).run();
}

// One that was rejected holds its key until nobody can settle it any more: a voucher for ever.
Result<std::optional<Row>> Ledger::with_once(std::string_view key) {
  auto query = database_.prepare(select(
      "WHERE once = ?1 AND (status IN ('unknown', 'settled') OR "
      "(status = 'rejected' AND (valid_until > ?2 OR session IS NOT NULL) AND amount != '0') OR "
      "(status = 'not_sent' AND signed_digest IS NULL AND error_code IS NULL)) "
      "ORDER BY seq DESC"));
  if (!query) return query.error();
  query->bind(key).bind(clock_());
  auto found = rows(*query);
  if (!found) return found.error();
  for (Row& row : *found) {
    if (row.status != PaymentStatus::not_sent || is_in_flight(row.seq)) return std::move(row);
  }
  return std::optional<Row>();
}

Result<> Ledger::check_once(const Row& row) {
  if (!row.once) return {};
  const auto other = with_once(*row.once);
  if (!other) return other.error();
  if (!*other) return {};
  return Error{Kind::outcome_unknown, "payment " + (*other)->id + " is the one for this --once key",
               "see how it ended: paycurl payments show " + (*other)->id, "once"};
}

Result<> Ledger::hold_once(Row& row, const std::string& key) {
  auto transaction = database_.begin();
  if (!transaction) return transaction.error();
  Row named = row;
  named.once = key;
  if (auto free = check_once(named); !free) return free;
  auto update = database_.prepare("UPDATE payments SET once = ? WHERE seq = ? AND once IS NULL");
  if (!update) return update.error();
  if (auto done = update->bind(key).bind(row.seq).run(); !done) return done;
  auto committed = transaction->commit();
  if (committed) row.once = key;
  return committed;
}

Result<std::optional<Amount>> Ledger::last_price(const Row& row, const Asset& asset) {
  auto query = database_.prepare(
      "SELECT CASE intent WHEN 'session' THEN price ELSE amount END FROM payments "
      "WHERE origin = ?1 AND http_method = ?2 AND intent = ?3 AND token = ?4 AND network = ?5 AND "
      "id != ?6 AND status IN ('settled', 'unknown') AND "
      "substr(url, 1, instr(url || '?', '?') - 1) = ?7 ORDER BY seq DESC LIMIT 1");
  if (!query) return query.error();
  query->bind(row.origin).bind(row.http_method).bind(row.intent).bind(asset.token);
  query->bind(asset.network).bind(row.id).bind(row.url.substr(0, row.url.find('?')));
  const auto found = query->step();
  if (!found) return found.error();
  return *found ? Amount::parse(query->text(0)) : std::nullopt;
}

Result<> Ledger::forget_body(std::string_view id) {
  auto update = database_.prepare(
      "UPDATE payments SET body_size = NULL, body_type = NULL, body_expires = NULL WHERE id = ?");
  if (!update) return update.error();
  return update->bind(id).run();
}

}  // namespace paycurl
