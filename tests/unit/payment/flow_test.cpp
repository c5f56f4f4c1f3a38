// The 402 loop against a server and a rail that misbehave on purpose.
//
// The world below is small: a server that asks for payment, a "chain" on which a payment settles at
// most once, and a wire that loses things. Whatever happens, one request is paid at most once for
// each time that paycurl said it was.
#include "src/payment/flow.h"

#include <map>
#include <set>

#include <doctest/doctest.h>

#include "src/base/text.h"
#include "tests/client.h"
#include "tests/unit/folder.h"

namespace paycurl {
namespace {

const Asset kAlpha{"AlphaUSD",    6,    "0x20c0000000000000000000000000000000000001",
                   "tempo:42431", true, true};
const std::string kPayee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

http::Head head_of(int status) {
  http::Head head;
  head.status = status;
  head.version = "1.1";
  head.peer_ip = "203.0.113.1";
  head.peer_port = 443;
  return head;
}

/// What the wire does to one exchange.
struct Reply {
  http::Head head;
  std::string body;
  std::optional<Error> failure;  ///< instead of an answer, or behind it
  bool has_head = true;
  bool sent = true;
};

/// A client whose server is a function.
class FakeServer : public test::FakeClient {
 public:
  std::function<Reply(const http::Request&)> server;
  std::vector<http::Request> requests;

 private:
  void exchange(const http::Request& request, http::Stream& stream) override {
    requests.push_back(request);
    const Reply reply = server(request);
    http::Stats stats;
    stats.times_sent = reply.sent ? 1 : 0;
    Result<> result;
    if (reply.has_head) {
      result = stream.head(reply.head);
      if (result && !reply.body.empty()) result = stream.data(reply.body);
    }
    if (result && reply.failure) result = *reply.failure;
    stream.done(result, stats);
  }
};

class FakeProtocol : public Protocol {
 public:
  std::string_view name() const override { return "mpp"; }
  bool wants_body(const http::Head& head) const override { return head.status == 402; }
  std::vector<Result<Challenge>> read(const http::Answer& answer) const override {
    std::vector<Result<Challenge>> challenges;
    for (const std::string& id : answer.head.headers.values("challenge")) {
      challenges.push_back(challenge(id));
      challenges.back()->url = answer.url;
    }
    return challenges;
  }
  static Challenge challenge(const std::string& id) {
    Challenge challenge;
    challenge.protocol = "mpp";
    challenge.id = id;
    challenge.method = "tempo";
    challenge.intent = "charge";
    challenge.echo = Json::object({{"id", id}});
    return challenge;
  }
  Result<Challenge> restore(const Json& echo) const override {
    return challenge(*echo.find("id")->string());
  }
  Result<> attach(const Credential& credential, http::Request& request) const override {
    request.headers.replace("Authorization", "Payment " + *credential.payload.string());
    return {};
  }
  Result<Receipt> read_receipt(Json json) const override {
    return Receipt{"tempo", "", "", std::move(json)};
  }
  Result<std::optional<Receipt>> receipt(const http::Head& head) const override {
    const std::string* field = head.headers.find("payment-receipt");
    if (field == nullptr) return std::optional<Receipt>();
    return std::optional(Receipt{"tempo", *field, "", Json::object()});
  }
};

struct World {
  test::Folder folder;
  Millis now = system_now();
  Database database;
  Ledger ledger;
  Channels channels;
  Limits limits;
  PrivateKey key = PrivateKey::generate();
  std::unique_ptr<Spender> spender;
  FakeServer client;
  FakeProtocol protocol;
  std::set<std::string> chain;  ///< credentials that settled
  bool rail_answers = true;
  std::optional<Error> unsaid;  ///< instead of a credential that is made again
  http::Headers own_headers;    ///< the user's
  std::map<std::string, Amount> prices;
  std::string shown;
  std::vector<std::string> notes;
  Tokens* tokens = nullptr;
  std::vector<std::int64_t> pauses;  ///< between two attempts
  Result<> paused;                   ///< what ends them

  World()
      : database(std::move(**Database::open(folder / "state", true))),
        ledger(database, folder / "state", [this] { return now; }),
        channels(database, folder / "state", [this] { return now; }) {
    restart();
  }

  /// Settles a payment unless it did already or is too late. False when the server learns nothing
  /// new.
  bool settle(const std::string& id) {
    return now < ledger.find(id)->valid_until && chain.insert(id).second;
  }

  bool is_in_flight(const Row& row) {
    const Ledger other(database, folder / "state", [this] { return now; });
    return other.is_in_flight(row.seq);
  }

  /// A new process: what it signed itself is forgotten, the journal stays.
  void restart() {
    spender = std::make_unique<Spender>(
        ledger, channels, limits, Payer{"main", key.address().checksummed()},
        PayerSource{[this] { return PrivateKey::parse(key.hex().text()); }, {}},
        [this] { return now; });
  }
};

/// Pays by signing the row's ID; the credential is that ID and the signature's first byte.
class FakeMethod : public Method {
 public:
  explicit FakeMethod(World& world) : world_(world) {}
  std::string_view name() const override { return "tempo"; }
  std::vector<std::string_view> intents() const override { return {"charge"}; }
  std::optional<Refusal> refusal(const Challenge&) const override { return std::nullopt; }
  Result<Quote> quote(const Challenge& challenge) override {
    Quote quote;
    const auto price = world_.prices.find(challenge.id);
    quote.spend.total = {price == world_.prices.end() ? Amount(10'000) : price->second, kAlpha};
    quote.spend.payees = {{kPayee, quote.spend.total.amount}};
    return quote;
  }
  Result<Credential> pay(const Challenge& challenge, const Quote& quote,
                         Spender& spender) override {
    Spend spend = quote.spend;
    spend.payer = spender.payer().address;
    spend.attempt = spender.row().id;
    spend.valid_until = world_.now + 25'000;
    auto permit = spender.allow(spend);
    if (!permit) return permit.error();
    const std::string id = spender.row().id;
    const auto signature = spender.sign(std::move(*permit), sha256(as_bytes(id)), "{}", nullptr);
    if (!signature) return signature.error();
    return Credential{challenge, id, ""};
  }
  Result<Credential> rebuild(const Challenge& challenge, const Row& row, Spender& spender,
                             bool /*may_pay*/) override {
    if (world_.unsaid) return *world_.unsaid;
    if (world_.now >= row.valid_until) return Error{Kind::rejected, ""};
    const auto signature = spender.sign_again(row, sha256(as_bytes(row.id)));
    if (!signature) return signature.error();
    return Credential{challenge, row.id, ""};
  }
  Settlement settle(const Row& row, Spender&, http::Client&) override {
    if (!world_.rail_answers) return {Settlement::State::open, "", Error{Kind::backend, "away"}};
    if (world_.chain.count(row.id) != 0)
      return {Settlement::State::settled, "0x" + row.id, std::nullopt};
    const bool over = world_.now >= row.valid_until;
    return {over ? Settlement::State::never : Settlement::State::open, "", std::nullopt};
  }
  std::vector<Asset> tokens() const override { return {}; }
  Result<std::vector<Money>> balances(const std::string&, http::Client&) override {
    return std::vector<Money>();
  }
  Result<std::vector<std::string>> fund(const std::string&, http::Client&) override {
    return std::vector<std::string>();
  }
  std::string explorer(const Row&) const override { return ""; }

 private:
  World& world_;
};

class Ears : public Audience {
 public:
  explicit Ears(World& world) : world_(world) {}
  Result<> prepare() override { return prepared; }
  Result<> head(const http::Head&, HeadRole) override { return {}; }
  Result<> body(std::string_view bytes) override {
    if (!sink) return sink;
    world_.shown += bytes;
    return {};
  }
  bool start_over() override {
    if (!takes_back) return world_.shown.empty();
    world_.shown.clear();
    return true;
  }
  void offers(const std::vector<Offer>&, const Offer*) override {}
  void paying(const Row&) override {}
  void hide(const std::string&) override {}
  void receipt(const Receipt&) override {}
  Result<> message(std::string_view) override { return {}; }
  void payment_event(std::string_view, const Json&) override {}
  void note(const std::string& sentence) override { world_.notes.push_back(sentence); }
  Result<> prepared;
  Result<> sink;
  bool takes_back = false;  ///< what was shown, as a file does

 private:
  World& world_;
};

Outcome run(World& world, FlowOptions options = {}, const char* url = "https://api.example.com/x",
            Ears* ears = nullptr) {
  FakeMethod method(world);
  Ears own(world);
  FlowParts parts{world.client,
                  {&world.protocol},
                  {&method},
                  world.limits,
                  world.spender->signed_in_this_run(),
                  {},
                  world.tokens,
                  [&](const std::string&) { return Result<Spender*>(world.spender.get()); },
                  {},
                  [](const Offer&, const Payer&) { return Result<>(); },
                  world.folder / "state",
                  ears == nullptr ? own : *ears,
                  [&] { return world.now; },
                  [&](http::Duration length) {
                    world.pauses.push_back(length.count());
                    return world.paused;
                  }};
  http::Request request;
  request.url = *http::parse_url(url);
  request.headers = world.own_headers;
  Flow flow(std::move(parts), std::move(options));
  Outcome outcome = flow.run(request);
  if (outcome.row) CHECK_FALSE(world.is_in_flight(*outcome.row));
  return outcome;
}

Outcome resume(World& world) {
  FakeMethod method(world);
  Ears ears(world);
  FlowParts parts{world.client,
                  {&world.protocol},
                  {&method},
                  world.limits,
                  world.spender->signed_in_this_run(),
                  {},
                  nullptr,
                  [&](const std::string&) { return Result<Spender*>(world.spender.get()); },
                  {},
                  [](const Offer&, const Payer&) { return Result<>(); },
                  world.folder / "state",
                  ears,
                  [&] { return world.now; },
                  {}};
  return Flow(std::move(parts), {}).resume(*world.ledger.find("last"));
}

std::string credential(const http::Request& request) {
  const std::string* field = request.headers.find("authorization");
  return field == nullptr ? "" : field->substr(8);
}

Reply payment_required(const std::string& id = "c1") {
  Reply reply{head_of(402), R"({"title":"Payment Required"})", std::nullopt};
  reply.head.headers.add("challenge", id);
  return reply;
}

Reply dropped() {
  Reply reply{{}, "", http::transport_error(52, "empty reply"), false, true};
  return reply;
}

/// A server that takes every credential once.
Reply honest(World& world, const http::Request& request) {
  const std::string id = credential(request);
  if (id.empty()) return payment_required();
  if (!world.settle(id)) return payment_required("c2");
  Reply reply{head_of(200), "goods", std::nullopt};
  reply.head.headers.add("payment-receipt", "0x" + id);
  return reply;
}

int status(const Outcome& outcome) {
  return outcome.error ? outcome.error->exit_status() : 0;
}

TEST_CASE("asked, paid, delivered") {
  World world;
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  const Outcome outcome = run(world);
  CHECK(status(outcome) == 0);
  CHECK(outcome.payment == PaymentStatus::settled);
  CHECK(world.shown == "goods");
  CHECK(world.chain.size() == 1);
  REQUIRE(world.client.requests.size() == 2);
  CHECK(world.client.requests[0].headers.find("idempotency-key") == nullptr);
  CHECK(*world.client.requests[1].headers.find("idempotency-key") == outcome.row->id);
  const Row row = *world.ledger.find("last");
  CHECK(row.status == PaymentStatus::settled);
  CHECK(row.events.back().state == "delivered");
}

TEST_CASE("a free answer opens no wallet") {
  World world;
  world.client.server = [](const http::Request&) {
    return Reply{head_of(200), "free", std::nullopt};
  };
  const Outcome outcome = run(world);
  CHECK(outcome.payment == PaymentStatus::none);
  CHECK(world.shown == "free");
  CHECK(world.ledger.list({})->empty());
}

TEST_CASE("a 402 after payment is a rejection, and is not paid again") {
  World world;
  world.client.server = [&](const http::Request&) { return payment_required(); };
  const Outcome outcome = run(world);
  CHECK(status(outcome) == 100);
  CHECK(outcome.payment == PaymentStatus::rejected);
  CHECK(world.client.requests.size() == 2);
  CHECK(world.shown.empty());
}

TEST_CASE("a server that broadcasts and then says no has been paid") {
  World world;
  world.client.server = [&](const http::Request& request) {
    if (!credential(request).empty()) world.chain.insert(credential(request));
    return payment_required();
  };
  const Outcome outcome = run(world);
  CHECK(status(outcome) == 108);
  CHECK(outcome.payment == PaymentStatus::settled);
}

TEST_CASE("a lost answer: the same credential once more, then doubt") {
  World world;
  world.client.server = [&](const http::Request& request) {
    return credential(request).empty() ? payment_required() : dropped();
  };
  const Outcome outcome = run(world);
  CHECK(status(outcome) == 107);
  CHECK(outcome.payment == PaymentStatus::unknown);
  REQUIRE(world.client.requests.size() == 3);
  CHECK(credential(world.client.requests[1]) == credential(world.client.requests[2]));
  CHECK(*world.client.requests[1].headers.find("idempotency-key") ==
        *world.client.requests[2].headers.find("idempotency-key"));

  SUBCASE("the next run finishes it with the same bytes") {
    world.client.server = [&](const http::Request& request) { return honest(world, request); };
    world.restart();
    const Outcome second = run(world);
    CHECK(status(second) == 0);
    CHECK(second.row->id == outcome.row->id);
    CHECK(world.chain.size() == 1);
    CHECK(world.shown == "goods");
  }
  SUBCASE("paid, but the answer is gone: said once, then a new purchase") {
    world.chain.insert(outcome.row->id);
    world.client.server = [&](const http::Request& request) { return honest(world, request); };
    CHECK(status(run(world)) == 108);
    CHECK(world.ledger.find("last")->status == PaymentStatus::settled);
    world.restart();
    CHECK(status(run(world)) == 0);
    CHECK(world.chain.size() == 2);
  }
  SUBCASE("still valid and refused: no new payment yet") {
    world.client.server = [&](const http::Request&) { return payment_required(); };
    CHECK(status(run(world)) == 107);
    CHECK(world.ledger.list({})->size() == 1);
  }
  SUBCASE("no longer valid and not on the chain: paid anew") {
    world.now += 30'000;
    world.client.server = [&](const http::Request& request) { return honest(world, request); };
    world.restart();
    const Outcome second = run(world);
    CHECK(status(second) == 0);
    CHECK(second.row->id != outcome.row->id);
    CHECK(world.chain.size() == 1);
  }
  SUBCASE("no longer valid and nobody can tell: no new payment") {
    world.now += 30'000;
    world.rail_answers = false;
    CHECK(status(run(world)) == 107);
    CHECK(world.ledger.list({})->size() == 1);
  }
  SUBCASE("another request is another purchase") {
    world.client.server = [&](const http::Request& request) { return honest(world, request); };
    CHECK(status(run(world, {}, "https://api.example.com/other")) == 0);
    CHECK(world.ledger.list({})->size() == 2);
  }
  SUBCASE("resume never pays") {
    world.now += 30'000;
    world.client.requests.clear();
    CHECK(status(resume(world)) == 100);
    CHECK(world.client.requests.empty());
    CHECK(world.ledger.find("last")->status == PaymentStatus::rejected);
  }
}

TEST_CASE("paid, but not handed in: that is not given up while it can be") {
  World world;
  world.client.server = [&](const http::Request& request) {
    const std::string id = credential(request);
    if (id.empty()) return payment_required();
    world.chain.insert(id);
    return dropped();
  };
  const auto serve = [&] {
    world.client.server = [&](const http::Request& request) {
      const std::string id = credential(request);
      return id.empty() ? payment_required() : Reply{head_of(200), "goods", std::nullopt};
    };
  };
  SUBCASE("the wallet did not say what it has paid, and would say it a moment later") {
    CHECK(status(run(world)) == 107);
    serve();
    world.unsaid = Error{Kind::outcome_unknown, "the wallet is away"};
    CHECK(status(run(world)) == 107);
    CHECK(status(resume(world)) == 107);
    CHECK(world.ledger.find("last")->status == PaymentStatus::unknown);
    world.unsaid.reset();
    CHECK(status(resume(world)) == 0);
  }
  SUBCASE("a request with secrets is finished by the command, not from the journal") {
    world.own_headers.add("Cookie", "a=b");
    CHECK(status(run(world)) == 107);
    serve();
    CHECK(status(resume(world)) == 107);
    CHECK(world.shown.empty());
    CHECK(status(run(world)) == 0);
  }
  SUBCASE("behind its time it is over") {
    world.own_headers.add("Cookie", "a=b");
    CHECK(status(run(world)) == 107);
    world.now += 30'000;
    CHECK(status(resume(world)) == 108);
    CHECK(world.ledger.find("last")->status == PaymentStatus::settled);
    CHECK(world.shown.empty());
    return;
  }
  CHECK(world.shown == "goods");
  CHECK(world.ledger.list({})->size() == 1);
}

TEST_CASE("nothing left this machine: not a payment") {
  World world;
  world.client.server = [&](const http::Request& request) {
    if (credential(request).empty()) return payment_required();
    Reply reply = dropped();
    reply.sent = false;
    reply.failure = http::transport_error(7, "could not connect");
    return reply;
  };
  const Outcome outcome = run(world);
  CHECK(status(outcome) == 7);
  CHECK(outcome.payment == PaymentStatus::not_sent);
  CHECK(world.ledger.find("last")->status == PaymentStatus::not_sent);
}

TEST_CASE("a deadline or a signal behind the credential is doubt") {
  for (const Error& why :
       {http::transport_error(28, "too slow"), Error{Kind::interrupted, "stopped"}}) {
    World world;
    world.client.server = [&](const http::Request& request) {
      if (credential(request).empty()) return payment_required();
      Reply reply = dropped();
      reply.failure = why;
      return reply;
    };
    const Outcome outcome = run(world);
    CHECK(status(outcome) == 107);
    CHECK(world.client.requests.size() == 2);  // not sent again
  }
}

TEST_CASE("retries end when a credential leaves") {
  World world;
  FlowOptions retry;
  retry.retry.times = 5;
  retry.retry.all_errors = true;
  retry.fail = true;
  int failing = 0;  // of those that come first
  const auto serve = [&](auto paid) {
    world.client.server = [&, paid](const http::Request& request) {
      if (credential(request).empty() && failing-- > 0) return Reply{head_of(503), "no", {}};
      return credential(request).empty() ? payment_required() : paid(request);
    };
  };
  SUBCASE("what fails before is asked again, and paid once") {
    failing = 2;
    serve([&](const http::Request& request) { return honest(world, request); });
    CHECK(status(run(world, retry)) == 0);
    CHECK(world.pauses == std::vector<std::int64_t>{1000, 2000});
    CHECK(world.chain.size() == 1);
    CHECK(world.shown == "goods");
  }
  SUBCASE("what fails behind is not") {
    serve([](const http::Request&) { return Reply{head_of(503), "no", {}}; });
    CHECK(status(run(world, retry)) == 107);
    CHECK(world.client.requests.size() == 2);
    CHECK(world.pauses.empty());
  }
  SUBCASE("a refused payment is not") {
    serve([](const http::Request&) { return payment_required("c2"); });
    CHECK(status(run(world, retry)) == 100);
    CHECK(world.client.requests.size() == 2);
  }
  SUBCASE("a 402 that cannot be paid is not") {
    retry.pay = false;
    serve([](const http::Request&) { return payment_required(); });
    CHECK(status(run(world, retry)) == 22);
    CHECK(world.client.requests.size() == 1);
  }
  SUBCASE("they are counted") {
    failing = 9;
    serve([](const http::Request&) { return payment_required(); });
    CHECK(status(run(world, retry)) == 22);
    CHECK(world.client.requests.size() == 6);
    CHECK(world.shown == "no");
  }
  SUBCASE("a signal ends the wait") {
    failing = 9;
    world.paused = Error{Kind::interrupted, "stopped by a signal"};
    serve([](const http::Request&) { return payment_required(); });
    CHECK(status(run(world, retry)) == 130);
    CHECK(world.client.requests.size() == 1);
  }
  SUBCASE("what carries a token that was paid for before is not") {
    class OneToken : public Tokens {
     public:
      std::optional<std::string> find(const std::string&) override { return "L402 a:b"; }
      void keep(const std::string&, const std::string&) override {}
      void forget(const std::string&) override {}
    } token;
    world.tokens = &token;
    world.client.server = [](const http::Request&) { return Reply{head_of(503), "no", {}}; };
    CHECK(status(run(world, retry)) == 22);
    CHECK(world.client.requests.size() == 1);
  }
  CHECK(world.ledger.list({})->size() <= 1);
}

TEST_CASE("an answer that was begun is taken back, or stays") {
  for (const bool takes_back : {true, false}) {
    World world;
    int times = 0;
    world.client.server = [&](const http::Request&) {
      Reply reply{head_of(200), "half", {}};
      if (++times == 1) reply.failure = http::transport_error(18, "cut");
      return reply;
    };
    Ears ears(world);
    ears.takes_back = takes_back;
    FlowOptions retry;
    retry.retry.times = 1;
    retry.retry.all_errors = true;
    CHECK(status(run(world, retry, "https://api.example.com/x", &ears)) == (takes_back ? 0 : 18));
    CHECK(world.shown == "half");
  }
}

TEST_CASE("a body that is too large is refused, and kept when it was paid for") {
  World world;
  FlowOptions small;
  small.max_body = 4;
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  const Outcome outcome = run(world, small);
  CHECK(status(outcome) == 108);
  CHECK(outcome.row->body_size == 5);
  CHECK(world.shown.empty());
  world.client.server = [&](const http::Request&) { return Reply{head_of(200), "goods", {}}; };
  CHECK(status(run(world, small)) == 63);
  small.max_body = 5;
  CHECK(status(run(world, small)) == 0);
}

TEST_CASE("a payment over plain http may go to a local socket") {
  const auto pay = [](bool local_socket) {
    World world;
    world.client.server = [&](const http::Request& request) {
      Reply reply = honest(world, request);
      reply.head.peer_ip = local_socket ? "" : "192.0.2.1";
      reply.head.local_socket = local_socket;
      return reply;
    };
    const int code = status(run(world, {}, "http://far.example/x"));
    const auto& last = world.client.requests.back();
    if (!credential(last).empty()) CHECK(last.peers == http::PeerRule::direct_loopback);
    return code;
  };
  CHECK(pay(true) == 0);
  CHECK(pay(false) == 102);
}

TEST_CASE("a truncated answer is paid and not delivered") {
  World world;
  world.client.server = [&](const http::Request& request) {
    Reply reply = honest(world, request);
    if (!credential(request).empty()) reply.failure = http::transport_error(18, "cut");
    return reply;
  };
  const Outcome outcome = run(world);
  CHECK(status(outcome) == 108);
  CHECK(outcome.payment == PaymentStatus::settled);
}

TEST_CASE("a run that dies in a long body is finished by the next with the same credential") {
  World world;
  std::vector<std::string> credentials;
  world.client.server = [&](const http::Request& request) {
    if (credential(request).empty()) return payment_required();
    credentials.push_back(credential(request));
    world.settle(credentials.back());
    Reply reply{head_of(200), "goods", std::nullopt};
    reply.head.headers.add("content-length", "1000000");
    reply.head.headers.add("payment-receipt", "0x" + credentials.back());
    return reply;
  };
  class Witness : public Ears {
   public:
    explicit Witness(World& world) : Ears(world), ledger_(world.ledger) {}
    Result<> body(std::string_view bytes) override {
      seen = *ledger_.find("last");
      return Ears::body(bytes);
    }
    Row seen;

   private:
    Ledger& ledger_;
  };
  Witness ears(world);
  const Outcome outcome = run(world, {}, "https://api.example.com/x", &ears);
  CHECK(status(outcome) == 0);
  CHECK(ears.seen.status == PaymentStatus::unknown);
  CHECK(ears.seen.events.back().state == "answered");
  REQUIRE(ears.seen.rebuild);
  CHECK(world.ledger.find("last")->status == PaymentStatus::settled);

  // What is there when it is killed in that moment.
  REQUIRE(world.ledger.sign(ears.seen.seq, *ears.seen.signed_digest, *ears.seen.rebuild,
                            ears.seen.reference));
  CHECK(status(run(world)) == 0);
  CHECK(world.chain.size() == 1);
  REQUIRE(credentials.size() == 2);
  CHECK(credentials[0] == credentials[1]);
}

TEST_CASE("an answer that cannot be written is kept") {
  World world;
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  Ears ears(world);
  ears.sink = http::transport_error(23, "broken pipe");
  const Outcome outcome = run(world, {}, "https://api.example.com/x", &ears);
  CHECK(status(outcome) == 108);
  CHECK(outcome.row->body_size == 5);
  CHECK(Spool::open(world.folder / "state", outcome.row->id).has_value());
}

TEST_CASE("outputs are opened before anything is signed") {
  World world;
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  Ears ears(world);
  ears.prepared = http::transport_error(23, "read-only");
  CHECK(status(run(world, {}, "https://api.example.com/x", &ears)) == 23);
  CHECK(world.chain.empty());
  CHECK(world.ledger.list({})->empty());
}

TEST_CASE("errors behind a payment") {
  const auto answer = [](int code, bool receipt, bool on_chain) {
    World world;
    world.client.server = [&](const http::Request& request) {
      if (credential(request).empty()) return payment_required();
      if (on_chain) world.chain.insert(credential(request));
      Reply reply{head_of(code), "body", std::nullopt};
      if (receipt) reply.head.headers.add("payment-receipt", "0x1");
      return reply;
    };
    return std::pair(status(run(world)), world.shown);
  };
  CHECK(answer(404, true, true) == std::pair(0, std::string("body")));
  CHECK(answer(404, false, true) == std::pair(0, std::string("body")));
  CHECK(answer(503, false, false).first == 107);
  CHECK(answer(302, false, false).first == 107);
  CHECK(answer(302, false, true).first == 0);
  World world;
  world.client.server = [&](const http::Request& request) {
    Reply reply = honest(world, request);
    if (!credential(request).empty()) reply.head.status = 500;
    return reply;
  };
  FlowOptions fail;
  fail.fail = true;
  CHECK(status(run(world, fail)) == 108);
}

TEST_CASE("what a redirect may change") {
  http::Request request;
  request.url = *http::parse_url("https://a.example/x");
  request.method = "POST";
  request.user = "me:secret";
  http::Head head = head_of(302);
  head.headers.add("location", "https://b.example/y");
  head.peer_ip = "192.0.2.1";
  RedirectRules rules;
  CHECK(redirected(request, head, rules)->method == "GET");
  CHECK(redirected(request, head, rules)->user.empty());
  CHECK(redirected(request, head, rules)->peers == http::PeerRule::not_private);
  rules.keeps_post_302 = true;
  CHECK(redirected(request, head, rules)->method == "POST");
  head.status = 301;
  CHECK(redirected(request, head, rules)->method == "GET");
  head.local_socket = true;
  CHECK(redirected(request, head, rules)->peers == http::PeerRule::any);
  rules.schemes = {"http"};
  CHECK(redirected(request, head, rules).error().kind == Kind::usage);
  rules.schemes = {"https"};
  head.headers.replace("location", "/y");
  CHECK(redirected(request, head, rules)->user == "me:secret");
}

TEST_CASE("redirects: a credential never leaves the origin that asked for it") {
  World world;
  FlowOptions follow;
  follow.follow = true;
  const auto redirect = [](const char* to) {
    Reply reply{head_of(302), "", std::nullopt};
    reply.head.headers.add("location", to);
    return reply;
  };
  SUBCASE("before paying: the target asks, the target is paid") {
    world.client.server = [&](const http::Request& request) {
      if (request.url.host == "api.example.com") return redirect("https://b.example/y");
      return honest(world, request);
    };
    CHECK(status(run(world, follow)) == 0);
    for (const auto& request : world.client.requests) {
      if (!credential(request).empty()) CHECK(request.url.host == "b.example");
    }
  }
  SUBCASE("after paying, to another origin: stop") {
    world.client.server = [&](const http::Request& request) {
      return credential(request).empty() ? payment_required() : redirect("https://evil.example/");
    };
    const Outcome outcome = run(world, follow);
    CHECK(status(outcome) == 108);
    CHECK(world.client.requests.size() == 2);
  }
  SUBCASE("after paying, to the same origin: follow") {
    world.client.server = [&](const http::Request& request) {
      if (request.url.path == "/done") return Reply{head_of(200), "goods", std::nullopt};
      return credential(request).empty() ? payment_required() : redirect("/done");
    };
    CHECK(status(run(world, follow)) == 0);
    CHECK(world.shown == "goods");
  }
  SUBCASE("the user's Authorization stays with its origin") {
    world.client.server = [&](const http::Request& request) {
      if (request.url.host == "api.example.com") return redirect("https://b.example/y");
      return Reply{head_of(200), "", std::nullopt};
    };
    FakeMethod method(world);
    Ears ears(world);
    FlowParts parts{world.client,
                    {&world.protocol},
                    {&method},
                    world.limits,
                    world.spender->signed_in_this_run(),
                    {},
                    nullptr,
                    [&](const std::string&) { return Result<Spender*>(world.spender.get()); },
                    {},
                    [](const Offer&, const Payer&) { return Result<>(); },
                    world.folder / "state",
                    ears,
                    [&] { return world.now; },
                    {}};
    http::Request request;
    request.url = *http::parse_url("https://api.example.com/x");
    request.headers.add("Authorization", "Bearer secret");
    request.headers.add("Cookie", "a=b");
    (void)Flow(std::move(parts), follow).run(request);
    REQUIRE(world.client.requests.size() == 2);
    CHECK(world.client.requests[1].headers.find("authorization") == nullptr);
    CHECK(world.client.requests[1].headers.find("cookie") == nullptr);
  }
  SUBCASE("loops end") {
    world.client.server = [&](const http::Request&) { return redirect("/again"); };
    CHECK(status(run(world, follow)) == 47);
    CHECK(world.client.requests.size() == 51);
  }
}

TEST_CASE("the price of a run: limits over several requests") {
  World world;
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  world.prices["c1"] = 400'000;
  CHECK(status(run(world, {}, "https://api.example.com/1")) == 0);
  CHECK(status(run(world, {}, "https://api.example.com/2")) == 0);
  CHECK(status(run(world, {}, "https://api.example.com/3")) == 102);
  CHECK(world.chain.size() == 2);
}

TEST_CASE("--no-pay is plain curl") {
  World world;
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  FlowOptions options;
  options.pay = false;
  const Outcome outcome = run(world, options);
  CHECK(status(outcome) == 0);
  CHECK(world.shown == R"({"title":"Payment Required"})");
  CHECK(world.chain.empty());
}

// What the whole design is for. 40 random histories of one command that is run ten times: every
// answer may be lost before or behind the server's work, cut, delayed past the validity, refused or
// answered with an error, and the rail may be away.
TEST_CASE("random schedules of loss: nothing is paid twice for one answer") {
  std::uint32_t seed = 42;
  const auto dice = [&](std::uint32_t sides) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 16) % sides;
  };
  int delivered = 0;
  for (int history = 0; history < 40; ++history) {
    World world;
    std::size_t answered = 0;  // runs that said "paid": 0 or 108
    for (int round = 0; round < 10; ++round) {
      world.rail_answers = dice(4) != 0;
      world.client.server = [&](const http::Request& request) {
        const bool paying = !credential(request).empty();
        switch (dice(8)) {
          case 0:
            return dropped();  // lost on the way there
          case 1:
            (void)honest(world, request);
            return dropped();  // lost on the way back
          case 2: {
            Reply reply = honest(world, request);  // cut
            if (reply.head.status == 200) reply.failure = http::transport_error(18, "cut");
            return reply;
          }
          case 3:
            return paying ? payment_required("c9") : honest(world, request);  // refused
          case 4: {
            if (!paying) return honest(world, request);
            if (dice(2) == 0) (void)world.settle(credential(request));  // broadcast, then an error
            return Reply{head_of(503), "", std::nullopt};
          }
          case 5:
            world.now += 26'000;
            return honest(world, request);  // slow
          default:
            return honest(world, request);
        }
      };
      const Outcome outcome = run(world);
      const int code = status(outcome);
      const bool allowed = code == 0 || code == 100 || code == 107 || code == 108 || code == 52;
      REQUIRE(allowed);
      if (code == 0 || code == 108) ++answered;
      // The journal knows of every payment that settled.
      std::size_t settled = 0, unknown = 0;
      for (const Row& row : *world.ledger.list({})) {
        settled += row.status == PaymentStatus::settled ? 1 : 0;
        unknown += row.status == PaymentStatus::unknown ? 1 : 0;
      }
      REQUIRE(settled == answered);
      REQUIRE(unknown <= 1);
      std::size_t rejected_but_settled = 0;
      for (const Row& row : *world.ledger.list({})) {
        if (row.status == PaymentStatus::rejected && world.chain.count(row.id) != 0)
          ++rejected_but_settled;
      }
      REQUIRE(world.chain.size() <= answered + unknown + rejected_but_settled);
      // Only a server that broadcasts after it refused, with the rail away, can hide a payment.
      if (world.rail_answers) REQUIRE(rejected_but_settled == 0);
      delivered += code == 0 ? 1 : 0;
      world.now += dice(3) * 20'000;
      world.restart();
    }
  }
  CHECK(delivered > 60);
}

Outcome sign(World& world, const std::string& id = "c1", bool dry = false,
             const char* url = "https://api.example.com/x") {
  FakeMethod method(world);
  Ears ears(world);
  FlowParts parts{world.client,
                  {&world.protocol},
                  {&method},
                  world.limits,
                  world.spender->signed_in_this_run(),
                  {},
                  nullptr,
                  [&](const std::string&) { return Result<Spender*>(world.spender.get()); },
                  {},
                  [](const Offer&, const Payer&) { return Result<>(); },
                  world.folder / "state",
                  ears,
                  [&] { return world.now; }};
  FlowOptions options;
  options.stop_at_offers = dry;
  options.preference.only_charges = true;
  http::Answer answer{payment_required(id).head, "", *http::parse_url(url)};
  answer.head.peer_ip.clear();
  Outcome outcome = Flow(std::move(parts), std::move(options)).sign(answer);
  if (outcome.row) world.ledger.release(outcome.row->seq);
  return outcome;
}

TEST_CASE("signed for somebody else: a credential, a row in doubt, no request") {
  World world;
  const Outcome outcome = sign(world);
  REQUIRE(outcome.credential.has_value());
  CHECK(outcome.credential->name == "Authorization");
  CHECK(outcome.credential->value == "Payment " + outcome.row->id);
  CHECK(outcome.payment == PaymentStatus::unknown);
  CHECK(world.client.requests.empty());
  const Row row = *world.ledger.find("last");
  CHECK(row.status == PaymentStatus::unknown);
  CHECK(row.http_method == "sign");
  CHECK(row.paid.amount == Amount(10'000));
}

TEST_CASE("the same challenge signed again is the same payment") {
  World world;
  const std::string first = sign(world).credential->value;
  world.restart();
  const Outcome again = sign(world);
  REQUIRE(again.credential.has_value());
  CHECK(again.credential->value == first);
  CHECK(world.ledger.list({})->size() == 1);
  CHECK(sign(world, "c2").credential->value != first);  // another challenge is another payment

  // Used: the rail knows, and there is nothing left to sign.
  (void)world.settle(first.substr(8));
  CHECK(status(sign(world)) == 0);  // until somebody asks
  world.now += 26'000;
  const Outcome asked = sign(world);
  CHECK(asked.row->status == PaymentStatus::settled);
  const Outcome refused = sign(world);
  CHECK(status(refused) == 102);
  CHECK(refused.error->reason == "already_paid");
  CHECK_FALSE(refused.credential.has_value());
  CHECK(world.ledger.list({})->size() == 2);
}

TEST_CASE("what was signed and never used is paid anew, but not before it is over") {
  World world;
  const std::string first = sign(world).credential->value;
  world.now += 26'000;
  world.rail_answers = false;
  CHECK(status(sign(world)) == 107);
  CHECK(world.ledger.list({})->size() == 1);
  world.rail_answers = true;
  const Outcome anew = sign(world);
  REQUIRE(anew.credential.has_value());
  CHECK(anew.credential->value != first);
  CHECK(world.ledger.find(first.substr(8))->status == PaymentStatus::rejected);
}

TEST_CASE("resume asks the rail about a signing, and never the server") {
  World world;
  const std::string id = sign(world).row->id;
  CHECK(status(resume(world)) == 107);
  (void)world.settle(id);
  const Outcome outcome = resume(world);
  CHECK(status(outcome) == 0);
  CHECK(outcome.row->status == PaymentStatus::settled);
  CHECK(world.client.requests.empty());
}

TEST_CASE("resume of a signing that nobody used") {
  World world;
  (void)sign(world);
  world.now += 26'000;
  const Outcome outcome = resume(world);
  CHECK(status(outcome) == 100);
  CHECK(outcome.row->status == PaymentStatus::rejected);
  CHECK(world.client.requests.empty());
}

TEST_CASE("a signing and a request for the same URL are two purchases") {
  World world;
  (void)sign(world);
  world.client.server = [&](const http::Request& request) { return honest(world, request); };
  CHECK(status(run(world)) == 0);
  CHECK(world.ledger.list({})->size() == 2);
  CHECK(world.chain.size() == 1);
}

TEST_CASE("limits, safety and --dry-run hold for a signing") {
  World world;
  CHECK(sign(world, "c1", true).error.has_value() == false);
  CHECK(world.ledger.list({})->empty());
  CHECK(status(sign(world, "c1", false, "http://api.example.com/x")) == 102);
  CHECK(status(sign(world, "c1", false, "http://127.0.0.1:8080/x")) == 0);
  world.limits.max_spend = {{"0.001", "usd"}};
  const Outcome refused = sign(world, "c2");
  CHECK(status(refused) == 102);
  CHECK(refused.error->reason == "max_spend");
  CHECK_FALSE(refused.credential.has_value());
  CHECK(world.ledger.list({})->size() == 1);
}

TEST_CASE("a proof of no money is in doubt about nothing") {
  World world;
  world.prices["c1"] = Amount();
  const Outcome outcome = sign(world);
  CHECK(outcome.credential.has_value());
  CHECK(world.ledger.find("last")->status == PaymentStatus::settled);
  CHECK(sign(world).credential.has_value());
}

}  // namespace
}  // namespace paycurl
