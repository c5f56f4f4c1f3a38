// What Lightning payments live in: a journal, limits, a server's invoices, and a wallet in memory
// that speaks LND's HTTP shape, knows many payments, and ends each as it is told to.
#pragma once

#include <algorithm>
#include <map>

#include "src/methods/lightning/bolt11.h"
#include "src/methods/methods.h"
#include "tests/client.h"
#include "tests/unit/folder.h"
#include "tests/unit/methods/bolt11_encoder.h"

namespace paycurl::lightning_test {

using test::InvoiceFields;

/// Thrown where the process would die.
struct Crash {};

/// How the wallet ends a payment that it is asked for.
enum class Ends {
  paid,
  failed,
  in_flight,  ///< and no more is told
  mute,       ///< paid, and the answer is lost; look-ups find it
  lost,       ///< no answer, and the question is still on its way: the wallet knows nothing
  unsent,     ///< nobody listens
};

class MemoryWallet : public test::FakeClient {
 public:
  enum class State { settled, in_flight, failed };
  struct Outgoing {
    State state;
    Amount amount;
  };
  struct Question {
    std::string path, body;
    std::string hash;  ///< of the invoice that is to be paid, or looked up
  };

  // The script.
  Ends ends = Ends::paid;
  bool away = false;
  bool blind = false;  ///< look-ups are not answered
  std::string network = "regtest";
  std::string return_prefix = "lnbcrt";
  std::optional<std::uint64_t> return_msat;
  std::optional<std::uint64_t> return_expiry;  ///< instead of what was asked for
  std::uint64_t fee = 2010;
  std::function<void(const Question&)> before_pay = [](const Question&) {};
  std::function<void()> after_pay = [] {};
  Clock clock;

  // What it saw and has.
  std::map<std::string, ByteArray<32>> preimages;  ///< that the payees know, by hash
  std::map<std::string, Outgoing> payments;
  std::vector<std::string> delayed;                       ///< invoices of `lost` questions
  std::map<std::string, std::optional<Amount>> invoices;  ///< ours; what was paid
  std::vector<std::string> paths;
  int pays = 0;  ///< questions

  /// What left, or may leave.
  Amount money() const {
    Amount sum;
    for (const auto& [hash, payment] : payments) {
      if (payment.state != State::failed) sum = *sum.plus(payment.amount);
    }
    return sum;
  }
  int asked(const std::string& start) const {
    int count = 0;
    for (const auto& path : paths)
      count += path.starts_with(start) ? 1 : 0;
    return count;
  }
  /// A question arrives at last.
  void arrive() {
    for (const auto& text : std::exchange(delayed, {})) {
      if (lightning::read_invoice(text)->expires > clock()) (void)take(text, Ends::paid);
    }
  }
  void end_all(State state) {
    for (auto& [hash, payment] : payments) {
      if (payment.state == State::in_flight) payment.state = state;
    }
  }

  /// A client of it for one node.
  std::unique_ptr<http::Client> borrowed() {
    clear();
    return std::make_unique<test::Borrowed>(*this);
  }

 private:
  struct Reply {
    int status = 200;
    std::string body;
    int transport = 0;
  };

  Reply answer(const http::Request& request) {
    const std::string path = request.url.text.substr(request.url.origin().size());
    const std::string body = request.body ? **request.body->text(1 << 20) : "";
    paths.push_back(path);
    if (away) return {0, "", 7};
    const Json json = body.empty() ? Json() : *Json::parse(body);
    if (path == "/v1/getinfo") {
      return {200, R"({"alias":"a","chains":[{"network":")" + network + R"("}]})"};
    }
    if (path == "/v2/router/send") return answer_pay(path, body, json);
    if (path.starts_with("/v2/router/track/")) {
      return blind ? Reply{0, "", 28} : told(to_hex(*from_base64url(path.substr(17, 43))));
    }
    if (path == "/v1/invoices") return make_invoice(std::stoull(*json.string_at("expiry")));
    REQUIRE(path.starts_with("/v1/invoice/"));
    const auto found = invoices.find(path.substr(12));
    if (found == invoices.end()) return not_found();
    if (!found->second) return {200, R"({"state":"OPEN"})"};
    return {200, R"({"state":"SETTLED","amt_paid_msat":")" + found->second->decimal() + "\"}"};
  }

  Reply answer_pay(const std::string& path, const std::string& body, const Json& json) {
    const std::string text = *json.string_at("payment_request");
    const auto invoice = lightning::read_invoice(text);
    REQUIRE(invoice.has_value());
    const std::string hash = to_hex(invoice->payment_hash);
    before_pay({path, body, hash});
    if (ends == Ends::unsent) return {0, "", 7};
    ++pays;
    const Reply reply = take(text, ends);
    after_pay();
    return reply;
  }

  Reply take(const std::string& text, Ends how) {
    const auto invoice = *lightning::read_invoice(text);
    const std::string hash = to_hex(invoice.payment_hash);
    const auto known = payments.find(hash);
    if (known != payments.end() && known->second.state != State::failed) {
      return {409, R"({"error":{"code":6,"message":"invoice is already paid"}})"};
    }
    if (how == Ends::lost) {
      if (std::find(delayed.begin(), delayed.end(), text) == delayed.end()) delayed.push_back(text);
      return {0, "", 28};
    }
    const bool knows = preimages.count(hash) != 0;
    const State state = how == Ends::failed || !knows ? State::failed
                        : how == Ends::in_flight      ? State::in_flight
                                                      : State::settled;
    payments[hash] = {state, *invoice.amount};
    if (how == Ends::mute) return {0, "", 28};
    return told(hash);
  }

  Reply told(const std::string& hash) const {
    const auto found = payments.find(hash);
    if (found == payments.end()) return not_found();
    const State state = found->second.state;
    const bool paid = state == State::settled;
    const std::string status = paid ? "SUCCEEDED" : state == State::failed ? "FAILED" : "IN_FLIGHT";
    const std::string preimage = paid ? to_hex(preimages.at(hash)) : std::string(64, '0');
    return {200,
            R"({"result":{"payment_hash":")" + hash + R"(","payment_preimage":")" + preimage +
                R"(","status":")" + status + R"(","fee_msat":")" + std::to_string(fee) +
                R"(","failure_reason":"FAILURE_REASON_NO_ROUTE"}})" + "\n",
            state == State::in_flight ? 28 : 0};
  }

  static Reply not_found() {
    return {404, R"({"error":{"code":5,"message":"payment isn't initiated","details":[]}})"};
  }

  Reply make_invoice(std::uint64_t expiry) {
    InvoiceFields fields;
    fields.prefix = return_prefix;
    fields.msat = return_msat;
    fields.created = clock() / 1000;
    fields.expiry = return_expiry.value_or(expiry);
    fields.payment_hash = sha256(as_bytes("ours " + std::to_string(invoices.size())));
    invoices[to_hex(fields.payment_hash)] = std::nullopt;
    return {200, R"({"payment_request":")" + encode(fields) + "\"}"};
  }

  void exchange(const http::Request& request, http::Stream& stream) override {
    const Reply reply = answer(request);
    http::Stats stats;
    stats.times_sent = reply.transport == 7 ? 0 : 1;
    Result<> result;
    http::Head head;
    head.status = reply.status;
    if (reply.status != 0) result = stream.head(head);
    if (result && !reply.body.empty()) result = stream.data(reply.body);
    if (result && reply.transport != 0) result = http::transport_error(reply.transport, "broken");
    stream.done(result, stats);
  }
};

struct LightningWorld {
  /// What dies with a process.
  struct Process {
    Process(LightningWorld& world, const Clock& clock)
        : ledger(world.database, world.folder / "state", clock),
          channels(world.database, world.folder / "state", clock),
          spender(ledger, channels, world.limits, Payer{"node", "lnd:https://127.0.0.1:8080"},
                  PayerSource{{}, connection}, clock),
          method(*lightning::make_method(world.options, world.wallet)) {}

    static Result<Secret> connection() {
      Secret text;
      text.assign(as_bytes("lndconnect://127.0.0.1:8080?macaroon=AgH7_w"));
      return text;
    }

    Ledger ledger;
    Channels channels;
    Spender spender;
    std::unique_ptr<Method> method;
    std::unique_ptr<Session> session;
  };

  test::Folder folder;
  Millis now = system_now() / 1000 * 1000;
  int dies_in = 0;  ///< counts looks at the clock, payments that are asked for, and their answers
  std::string prefix = "lnbcrt";  ///< of the server's invoices
  MemoryWallet wallet;
  MethodOptions options;
  Limits limits;
  Database database;
  std::unique_ptr<Process> process;
  std::map<std::string, Challenge> offers;  ///< all that were made, by id

  LightningWorld() : database(std::move(**Database::open(folder / "state", true))) {
    wallet.clock = [this] { return now; };
    options.clock = [this] { return may_die(); };
    options.wallet_client = [this](const std::string&) { return wallet.borrowed(); };
    options.patience = http::Duration(0);
    restart();
  }

  /// A point where the process may die.
  Millis may_die() {
    if (dies_in > 0 && --dies_in == 0) throw Crash();
    return now;
  }

  std::unique_ptr<Process> another_process() {
    return std::make_unique<Process>(*this, [this] { return may_die(); });
  }
  /// A new process: everything in memory is forgotten, the journal stays.
  void restart() {
    dies_in = 0;
    if (process) process->session.reset();
    process.reset();
    process = another_process();
  }

  /// As new, in less time.
  void clear() {
    REQUIRE(database.run("DELETE FROM payments; DELETE FROM channels").has_value());
    wallet.payments.clear();
    wallet.invoices.clear();
    wallet.delayed.clear();
    wallet.paths.clear();
    wallet.pays = 0;
    wallet.ends = Ends::paid;
    wallet.away = wallet.blind = false;
    offers.clear();
    limits = {};
    restart();
  }

  // ---- the server

  std::string mint(std::uint64_t sats, Digest& hash) {
    const auto preimage = sha256(as_bytes("invoice " + std::to_string(++invoices_)));
    hash = sha256(preimage);
    wallet.preimages[to_hex(hash)] = preimage;
    InvoiceFields fields;
    fields.prefix = prefix;
    fields.msat = sats * 1000;
    fields.payment_hash = hash;
    fields.created = now / 1000;
    fields.expiry = 600;
    return encode(fields);
  }

  Challenge charge(std::uint64_t sats) {
    Digest hash{};
    const std::string invoice = mint(sats, hash);
    return offer("charge", Json::object({{"amount", std::to_string(sats)},
                                         {"currency", "sat"},
                                         {"methodDetails", Json::object({{"invoice", invoice}})}}));
  }

  Challenge session(std::uint64_t price, std::uint64_t deposit) {
    Digest hash{};
    const std::string invoice = mint(deposit, hash);
    return offer("session", Json::object({{"amount", std::to_string(price)},
                                          {"currency", "sat"},
                                          {"unitType", "token"},
                                          {"depositInvoice", invoice},
                                          {"depositAmount", std::to_string(deposit)},
                                          {"paymentHash", to_hex(hash)}}));
  }

  // ---- the client

  /// The row of a new request.
  Row new_row(const Challenge& challenge) {
    Row row;
    row.id = new_payment_id(now);
    row.time = now;
    row.identity = "GET x";
    row.http_method = "GET";
    row.url = challenge.url.text;
    row.origin = challenge.url.origin();
    row.protocol = "mpp";
    row.method = "lightning";
    row.intent = challenge.intent;
    row.challenge_id = challenge.id;
    row.challenge = challenge.echo.dump();
    return row;
  }

  Result<Credential> pay(const Challenge& challenge) {
    process->spender.begin(new_row(challenge));
    const auto quote = process->method->quote(challenge);
    REQUIRE(quote.has_value());
    return process->method->pay(challenge, *quote, process->spender);
  }

  Session& open(const Challenge& challenge, Row row, SessionChoice choice = {}) {
    return open(*process, challenge, std::move(row), std::move(choice));
  }
  Session& begin(const Challenge& challenge, SessionChoice choice = {}) {
    return open(challenge, new_row(challenge), std::move(choice));
  }
  static Session& open(Process& at, const Challenge& challenge, Row row, SessionChoice choice) {
    at.session.reset();
    at.spender.begin(std::move(row));
    choice.patience = std::chrono::milliseconds(0);
    auto made = at.method->session(challenge, choice, at.spender);
    REQUIRE(made.has_value());
    at.session = std::move(*made);
    return *at.session;
  }

  // ---- the journal

  std::vector<Row> rows() { return *process->ledger.list({10'000, {}, {}, "", "", ""}); }
  /// The newest.
  Row row() { return *process->ledger.find("last"); }
  std::vector<Row> in_doubt() { return *process->ledger.in_doubt(); }
  std::vector<Channel> channels() { return *process->channels.list(true); }
  /// What the journal counts.
  Amount counted() {
    Amount sum;
    for (const Row& row : rows()) {
      if (row.status != PaymentStatus::not_sent) sum = *sum.plus(row.paid.amount);
    }
    return sum;
  }
  /// Every text of both tables.
  std::string journal_text() {
    std::string text;
    for (const Row& row : rows()) {
      for (const auto& part :
           {row.rebuild, row.reference, row.receipt, row.signed_digest, row.session, row.once}) {
        text += part.value_or("") + "\n";
      }
      text += row.challenge + row.recipient + row.payer + row.url + row.idempotency_key + "\n";
    }
    for (const Channel& channel : channels()) {
      text += channel.id + channel.descriptor + channel.opening + channel.scope + channel.url;
    }
    return text;
  }

 private:
  Challenge offer(const std::string& intent, Json request) {
    Challenge challenge;
    challenge.protocol = "mpp";
    challenge.id = "c" + std::to_string(offers.size() + 1);
    challenge.realm = "api";
    challenge.method = "lightning";
    challenge.intent = intent;
    challenge.url = *http::parse_url("https://api.example.com/x");
    challenge.echo = Json::object({{"id", challenge.id}});
    challenge.request = std::move(request);
    offers[challenge.id] = challenge;
    return challenge;
  }

  std::uint64_t invoices_ = 0;
};

/// What a step sends.
inline std::string said(const Session::Step& step, std::string_view key) {
  const auto text = step.credential.payload.string_at(key);
  return text ? *text : "";
}

/// "open", "bearer", "topUp", or "ask" for a request without a credential.
inline std::string told(const Session::Step& step) {
  return step.bare ? "ask" : said(step, "action");
}
inline std::string told(const Result<Session::Step>& step) {
  return step ? told(*step) : "error " + step.error().reason;
}
inline std::string told(const Result<std::optional<Session::Step>>& step) {
  if (!step) return "error " + step.error().reason;
  return *step ? told(**step) : "done";
}

/// The server's numbers of a session, in satoshi.
inline Receipt receipt_of(const std::string& session, std::uint64_t spent) {
  return {"lightning", session, "",
          Json::object({{"reference", session}, {"spent", std::to_string(spent)}, {"units", 1}})};
}

inline Session::Reply served(std::optional<Receipt> receipt = std::nullopt) {
  Session::Reply reply;
  reply.status = 200;
  reply.receipt = std::move(receipt);
  return reply;
}

inline Session::Reply refusal(const std::string& word, std::vector<Challenge> challenges = {},
                              int status = 402, bool repeated = false) {
  Session::Reply reply;
  reply.status = status;
  reply.repeated = repeated;
  if (!word.empty()) reply.problem = Problem{word, "", "", Json::object()};
  reply.challenges = std::move(challenges);
  return reply;
}

}  // namespace paycurl::lightning_test
