#include <doctest/doctest.h>

#include "tests/unit/methods/fake_node.h"

using namespace paycurl;
using test::Failure;
using test::FakeNode;
using test::Fault;
using Wallet = lightning::Connection::Kind;
using State = lightning::Payment::State;

namespace {

constexpr std::array<Wallet, 4> kKinds{Wallet::lnd, Wallet::cln, Wallet::phoenixd, Wallet::lnbits};
constexpr http::Duration kNone{0};
constexpr http::Duration kShort{300};

std::string text_of(const Error& error) {
  return error.message + " " + error.hint + " " + error.reason;
}

void check_nothing_secret(const FakeNode& fake, const std::optional<Error>& error) {
  if (!error) return;
  const std::string text = text_of(*error);
  CAPTURE(text);
  CHECK(text.find(fake.secret) == std::string::npos);
  CHECK(text.find(to_hex(fake.preimage).substr(0, 16)) == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

struct Case {
  std::string what;
  Fault on_pay, on_look;
  State before, outcome;
  State expected;
  State later = State::in_flight;
};

const std::vector<Case> kCases{
    {"paid", Fault::none, Fault::none, State::never, State::settled, State::settled},
    {"paid, but the numbers cannot be", Fault::lying_amounts, Fault::lying_amounts, State::never,
     State::settled, State::settled},
    {"not paid", Fault::none, Fault::none, State::never, State::failed, State::failed},
    {"nobody listens", Fault::unsent, Fault::none, State::never, State::settled, State::failed},
    {"no answer, but it was paid", Fault::timeout, Fault::none, State::never, State::settled,
     State::settled},
    {"no answer, and it is under way", Fault::timeout, Fault::none, State::never, State::in_flight,
     State::in_flight},
    {"no answer, then it is paid", Fault::timeout, Fault::none, State::never, State::in_flight,
     State::settled, State::settled},
    {"no answer, then it fails", Fault::timeout, Fault::none, State::never, State::in_flight,
     State::failed, State::failed},
    {"no answer, and it failed", Fault::timeout, Fault::none, State::never, State::failed,
     State::failed},
    {"no answer, and the wallet never heard of it: it may be on its way", Fault::timeout,
     Fault::none, State::never, State::never, State::unknown},
    {"no answer at all", Fault::timeout, Fault::timeout, State::never, State::settled,
     State::unknown},
    {"no answer, then nobody listens", Fault::timeout, Fault::unsent, State::never, State::settled,
     State::unknown},
    {"paid before", Fault::none, Fault::none, State::settled, State::settled, State::settled},
    {"paid before, and no answer", Fault::timeout, Fault::none, State::settled, State::settled,
     State::settled},
    {"under way before", Fault::none, Fault::none, State::in_flight, State::settled,
     State::in_flight},
    {"under way before, then paid", Fault::none, Fault::none, State::in_flight, State::settled,
     State::settled, State::settled},
    {"a duplicate that nobody can look up", Fault::none, Fault::timeout, State::settled,
     State::settled, State::unknown},
    {"a duplicate that nobody knows", Fault::conflict, Fault::none, State::never, State::never,
     State::unknown},
    {"cut off, but it was paid", Fault::cut, Fault::none, State::never, State::settled,
     State::settled},
    {"cut off twice", Fault::cut, Fault::cut, State::never, State::settled, State::unknown},
    {"garbage, but it was paid", Fault::garbage, Fault::none, State::never, State::settled,
     State::settled},
    {"garbage", Fault::garbage, Fault::garbage, State::never, State::settled, State::unknown},
    {"garbage, and the wallet never heard of it", Fault::garbage, Fault::none, State::never,
     State::never, State::unknown},
    {"an answer without an end", Fault::huge, Fault::huge, State::never, State::settled,
     State::unknown},
    {"an answer without an end, but it was paid", Fault::huge, Fault::none, State::never,
     State::settled, State::settled},
    {"the secret is refused", Fault::refused, Fault::none, State::never, State::settled,
     State::failed},
    {"the secret is refused everywhere", Fault::refused, Fault::refused, State::never,
     State::settled, State::failed},
    {"the secret does not pay, but it was paid", Fault::refused, Fault::none, State::settled,
     State::settled, State::settled},
    {"the secret does not look up", Fault::timeout, Fault::refused, State::never, State::settled,
     State::unknown},
    {"a gateway's own answer", Fault::gateway, Fault::none, State::never, State::settled,
     State::unknown},
    {"another preimage, then the right one", Fault::wrong_preimage, Fault::none, State::never,
     State::settled, State::settled},
    {"another preimage", Fault::wrong_preimage, Fault::wrong_preimage, State::never, State::settled,
     State::unknown},
    {"zeros for a preimage", Fault::zero_preimage, Fault::zero_preimage, State::never,
     State::settled, State::unknown},
};

}  // namespace

TEST_CASE("every wallet, every fault: the state, one question that pays, nothing secret told") {
  for (const Wallet kind : kKinds) {
    for (const Case& row : kCases) {
      CAPTURE(lightning::name_of(kind));
      CAPTURE(row.what);
      FakeNode fake(kind);
      fake.on_pay = row.on_pay;
      fake.on_look = row.on_look;
      fake.state = row.before;
      fake.outcome = row.outcome;
      fake.later = row.later;
      fake.looks_until_later = 0;
      const bool waits = row.later != State::in_flight;
      const auto payment = fake.node()->pay(fake.invoice, Amount(10'000), waits ? kShort : kNone);
      CHECK(payment.state == row.expected);
      CHECK(fake.pays == 1);
      CHECK((payment.state == State::settled) == (payment.preimage.bytes().size() == 32));
      if (payment.state == State::settled) {
        CHECK(to_hex(payment.preimage.bytes()) == to_hex(fake.preimage));
      }
      if (payment.state == State::failed || payment.state == State::unknown) {
        CHECK(payment.why.has_value());
      }
      check_nothing_secret(fake, payment.why);
    }
  }
}

TEST_CASE("a signal ends the waiting: the wallet is looked at once more, without patience") {
  for (const Wallet kind : kKinds) {
    CAPTURE(lightning::name_of(kind));
    FakeNode fake(kind);
    fake.on_pay = Fault::stopped;
    fake.outcome = State::in_flight;
    fake.later = State::settled;
    const auto payment = fake.node()->pay(fake.invoice, Amount(10'000), std::chrono::hours(1));
    CHECK(payment.state == State::in_flight);
    CHECK(fake.looks == 1);
    fake.state = State::never;
    fake.on_look = Fault::stopped;
    CHECK(fake.node()->pay(fake.invoice, Amount(10'000), kNone).why->kind == Kind::interrupted);
  }
}

TEST_CASE("why a payment failed") {
  struct Row {
    Failure failure;
    Kind kind;
    std::string reason;
  };
  for (const Wallet kind : kKinds) {
    for (const Row& row : {Row{Failure::no_route, Kind::backend, "no_route"},
                           Row{Failure::other, Kind::backend, "failed"},
                           Row{Failure::poor, Kind::insufficient_funds, ""},
                           Row{Failure::too_expensive, Kind::declined, "max_fee"}}) {
      if (kind == Wallet::lnd && row.failure == Failure::too_expensive) continue;  // says no route
      CAPTURE(lightning::name_of(kind));
      CAPTURE(row.reason);
      FakeNode fake(kind);
      fake.outcome = State::failed;
      fake.failure = row.failure;
      const auto payment = fake.node()->pay(fake.invoice, Amount(10'000), kNone);
      REQUIRE(payment.state == State::failed);
      CHECK(payment.why->kind == row.kind);
      CHECK(payment.why->reason == row.reason);
      check_nothing_secret(fake, payment.why);
    }
  }
}

TEST_CASE("a refused secret names what to type for another") {
  for (const Wallet kind : kKinds) {
    FakeNode fake(kind);
    fake.on_pay = fake.on_look = Fault::refused;
    const auto payment = fake.node()->pay(fake.invoice, Amount(10'000), kNone);
    REQUIRE(payment.why);
    CHECK(payment.why->kind == Kind::account);
    CHECK(payment.why->hint.find(lightning::least_privilege(kind)) != std::string::npos);
    const auto found = fake.node()->look_up(fake.invoice.payment_hash, kNone);
    CHECK(found.state == State::unknown);
    CHECK(found.why->kind == Kind::account);
    check_nothing_secret(fake, found.why);
  }
}

TEST_CASE("a look-up tells all five states, and pays nothing") {
  for (const Wallet kind : kKinds) {
    for (const State state : {State::never, State::failed, State::in_flight, State::settled}) {
      CAPTURE(lightning::name_of(kind));
      FakeNode fake(kind);
      fake.state = state;
      const auto found = fake.node()->look_up(fake.invoice.payment_hash, kNone);
      CHECK(found.state == state);
      CHECK(fake.pays == 0);
      if (state == State::settled) CHECK(found.fee == Amount(2010));
    }
    FakeNode fake(kind);
    fake.state = State::in_flight;
    fake.later = State::settled;
    CHECK(fake.node()->look_up(fake.invoice.payment_hash, kShort).state == State::settled);
  }
}

TEST_CASE("a server that is not the wallet's does not make a payment one that never was") {
  const std::vector<std::pair<Wallet, std::string>> others{
      {Wallet::lnd, R"(404 {"code":5,"message":"Not Found","details":[]})"},
      {Wallet::lnd, "404 page not found"},
      {Wallet::lnd, R"(404 {"error":{"code":12,"message":"unknown service"}})"},
      {Wallet::cln, R"(404 {"code":-32601,"message":"Unknown command"})"},
      {Wallet::cln, R"(201 {})"},
      {Wallet::cln, R"(201 {"pays":{}})"},
      {Wallet::cln, R"(201 {"pays":[{"payment_hash":"00","status":"failed"}]})"},
      {Wallet::phoenixd, "404 Unknown endpoint (check api doc)"},
      {Wallet::phoenixd, "200 {}"},
      {Wallet::lnbits, R"(404 {"detail":"Not Found"})"},
      {Wallet::lnbits, R"(200 {"paid":false})"},
      {Wallet::lnbits, R"(200 {"paid":"true"})"}};
  for (const auto& other : others) {
    CAPTURE(other.second);
    FakeNode fake(other.first);
    fake.other_status = other.second;
    CHECK(fake.node()->look_up(fake.invoice.payment_hash, kNone).state == State::unknown);
  }
}

TEST_CASE("what the wallets are asked: the limit in their unit, the time, the secret") {
  const auto asked = [](Wallet kind) {
    FakeNode fake(kind);
    CHECK(fake.node()->pay(fake.invoice, Amount(10'001), std::chrono::seconds(45)).fee ==
          Amount(kind == Wallet::phoenixd ? 2000 : 2010));
    CHECK(fake.seen.back().own_connection);  // else libcurl may ask twice
    return fake.seen.back();
  };
  const auto lnd = asked(Wallet::lnd);
  CHECK(lnd.body == R"({"payment_request":"lnbcrt1fake","fee_limit_msat":"10001",)"
                    R"("timeout_seconds":45,"no_inflight_updates":true})");
  CHECK(lnd.secret == "5ec2e75ec2e7");
  const auto cln = asked(Wallet::cln);
  CHECK(cln.body == R"({"invstring":"lnbcrt1fake","maxfee":"10001msat","retry_for":45})");
  CHECK(cln.secret == "5ec2e75ec2e7");
  const auto phoenixd = asked(Wallet::phoenixd);
  CHECK(phoenixd.body == "invoice=lnbcrt1fake");
  CHECK(phoenixd.secret == "Basic " + to_base64(as_bytes(":5ec2e75ec2e7")));
  const auto lnbits = asked(Wallet::lnbits);
  CHECK(lnbits.body == R"({"out":true,"bolt11":"lnbcrt1fake"})");
  CHECK(lnbits.secret == "5ec2e75ec2e7");
}

TEST_CASE("a wallet that answers nothing is waited for no longer than the user waits") {
  using std::chrono::seconds;
  for (const Wallet kind : kKinds) {
    FakeNode fake(kind);
    const auto node = fake.node();
    (void)node->look_up(fake.invoice.payment_hash, kNone);
    CHECK(fake.seen.back().total == seconds(10));
    (void)node->pay(fake.invoice, Amount(10'000), seconds(45));
    CHECK(std::any_of(fake.seen.begin(), fake.seen.end(),
                      [](const FakeNode::Seen& one) { return one.total == seconds(48); }));
    FakeNode hurried(kind);
    hurried.longest_wait = seconds(2);
    (void)hurried.node()->pay(hurried.invoice, Amount(10'000), seconds(2));
    (void)hurried.node()->look_up(hurried.invoice.payment_hash, kNone);
    for (const FakeNode::Seen& one : hurried.seen) {
      CHECK(one.total >= seconds(2));
      CHECK(one.total <= seconds(4));
    }
  }
}

TEST_CASE("an older Core Lightning has pay for xpay") {
  FakeNode fake(Wallet::cln);
  fake.knows_xpay = false;
  CHECK(fake.node()->pay(fake.invoice, Amount(10'000), kNone).state == State::settled);
  CHECK(fake.pays == 1);
  CHECK(fake.seen.back().path == "/v1/pay");
  CHECK(fake.seen.back().body == R"({"bolt11":"lnbcrt1fake","maxfee":"10000msat","retry_for":1})");
}

TEST_CASE("where the wallet takes no limit its fee is known before, and kept to") {
  FakeNode phoenixd(Wallet::phoenixd);
  CHECK(**phoenixd.node()->fixed_fee(phoenixd.invoice) == Amount(4400));
  phoenixd.invoice.amount = Amount(1001);
  CHECK(**phoenixd.node()->fixed_fee(phoenixd.invoice) == Amount(4005));
  FakeNode lnbits(Wallet::lnbits);
  CHECK(**lnbits.node()->fixed_fee(lnbits.invoice) == Amount(2000));
  for (FakeNode* fake : {&phoenixd, &lnbits}) {
    const auto payment = fake->node()->pay(fake->invoice, Amount(1999), kNone);
    CHECK(payment.state == State::failed);
    CHECK(payment.why->reason == "max_fee");
    CHECK(fake->pays == 0);
  }
  for (const Wallet kind : {Wallet::lnd, Wallet::cln}) {
    FakeNode fake(kind);
    CHECK_FALSE(fake.node()->fixed_fee(fake.invoice)->has_value());
  }
}

TEST_CASE("who the wallet is, what it holds, what came in") {
  for (const Wallet kind : kKinds) {
    CAPTURE(lightning::name_of(kind));
    FakeNode fake(kind);
    const auto node = fake.node();
    const auto info = node->info();
    REQUIRE(info);
    CHECK(info->can_invoice == (kind != Wallet::lnbits));
    CHECK(info->network == (kind == Wallet::lnd        ? "regtest"
                            : kind == Wallet::cln      ? "mainnet"
                            : kind == Wallet::phoenixd ? "testnet"
                                                       : ""));
    CHECK(*node->balance() == Amount(kind == Wallet::phoenixd ? 5000 : 5001));
    const auto made = node->make_invoice("a & b \xc3\xa4", std::chrono::seconds(60));
    const auto received = node->received(fake.invoice.payment_hash);
    if (kind == Wallet::lnbits) {
      CHECK(made.error().reason == "no_invoices");
      continue;
    }
    CHECK(*made == "lnbcrt1made");
    REQUIRE((received && received->has_value()));
    CHECK((*received)->settled);
    CHECK((*received)->amount == Amount(7000));
  }
  FakeNode fake(Wallet::phoenixd);
  CHECK(fake.node()->make_invoice(std::string(127, 'a') + "\xc3\xa4", std::chrono::seconds(9)));
  CHECK(fake.seen.back().body == "description=" + std::string(127, 'a') + "&expirySeconds=9");
}

TEST_CASE("a wallet that is away, and one whose port is another's") {
  for (const Wallet kind : kKinds) {
    FakeNode fake(kind);
    fake.away = true;
    CHECK(fake.node()->info().error().kind == Kind::backend);
    CHECK(fake.node()->balance().error().kind == Kind::backend);
    CHECK(fake.node()->pay(fake.invoice, Amount(10'000), kNone).state == State::failed);
  }
  FakeNode fake(Wallet::lnd);
  fake.away = true;
  CHECK(fake.node("https://wallet.example:10009")->info().error().hint.find("8080") !=
        std::string::npos);
  CHECK(fake.node()->info().error().hint.find("8080") == std::string::npos);
}

TEST_CASE("a preimage counts when it is the hash's, in either case, and never when it is zeros") {
  const ByteArray<32> preimage{1, 0xab};
  const Digest hash = sha256(preimage);
  const auto paid = lightning::settled_with(to_hex(preimage), hash, Amount(5));
  CHECK(paid.state == State::settled);
  CHECK(paid.fee == Amount(5));
  CHECK(to_hex(paid.preimage.bytes()) == to_hex(preimage));
  CHECK(lightning::settled_with("01AB" + std::string(60, '0'), hash, {}).state == State::settled);
  const ByteArray<32> zeros{};
  for (const std::string& bad : {std::string(), "0x" + to_hex(preimage).substr(2), to_hex(hash),
                                 to_hex(preimage) + "00", to_hex(preimage).substr(2)}) {
    const auto unproved = lightning::settled_with(bad, hash, {});
    CHECK(unproved.state == State::unknown);
    CHECK(unproved.preimage.empty());
  }
  CHECK(lightning::settled_with(to_hex(zeros), sha256(zeros), {}).state == State::unknown);
}
