// What several processes of one invocation share through the journal: the budget of the run, what
// lies in escrows, and the key that at most one payment has.
#include <csignal>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/folder.h"
#include "wallet/spender.h"

namespace paycurl {
namespace {

using test::Folder;

const Asset kAlpha{"AlphaUSD",    6,    "0x20c0000000000000000000000000000000000001",
                   "tempo:42431", true, true};
const std::string kPayer = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const std::string kKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const std::string kPayee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
constexpr Millis kNow = 1'800'000'000'000;

/// One process of a run, with a journal of its own over the same database.
struct Process {
  Process(const std::string& folder, std::string run, const Limits& its_limits)
      : limits(its_limits),
        database(std::move(**Database::open(folder, true))),
        ledger(database, folder, [this] { return now; }),
        channels(database, folder, [this] { return now; }),
        spender(
            ledger, channels, limits, {"main", kPayer},
            {[] { return PrivateKey::parse(kKey); }, {}}, [this] { return now; }, std::move(run)) {}

  Row row(const std::string& id) const {
    Row made;
    made.id = id;
    made.time = now;
    made.identity = id;
    made.intent = "charge";
    made.once = once;
    return made;
  }
  Spend spend(const std::string& id, std::uint64_t amount) const {
    Spend made;
    made.total = {amount, kAlpha};
    made.payees = {{kPayee, amount}};
    made.fee = {0, kAlpha};
    made.payer = kPayer;
    made.origin = "https://a.example";
    made.attempt = id;
    made.valid_until = now + 25'000;
    return made;
  }
  Result<Permit> allow(const std::string& id, std::uint64_t amount) {
    spender.begin(row(id));
    return spender.allow(spend(id, amount));
  }
  std::string pay(const std::string& id, std::uint64_t amount) {
    auto permit = allow(id, amount);
    if (!permit) return permit.error().reason;
    const auto signature = spender.sign(std::move(*permit), Digest{}, "{}", nullptr);
    return signature ? "paid" : signature.error().reason;
  }
  std::string deposit(const std::string& id, std::uint64_t amount, std::uint64_t escrow) {
    Row session = row(id);
    session.intent = "session";
    spender.begin(std::move(session));
    Spender::Step step{spend(id, amount), {Digest{}}, "0x" + id, "{}", [] { return Result<>(); }};
    step.spend.why = Purpose::session;
    step.spend.escrow = escrow;
    const auto signed_step = spender.sign_step(step);
    return signed_step ? "paid" : signed_step.error().reason;
  }

  Millis now = kNow;
  std::optional<std::string> once;
  Limits limits;
  Database database;
  Ledger ledger;
  Channels channels;
  Spender spender;
};

std::string spent(Process& process, const std::string& run = "r") {
  const auto sums = process.ledger.spent_in_run(run);
  REQUIRE(sums.has_value());
  return sums->empty() ? "0" : sums->front().amount.decimal();
}

TEST_CASE("what one process of a run signs counts for the others, to the base unit") {
  const Folder folder;
  const Limits limits;  // a dollar
  Process one(folder / "state", "r", limits), two(folder / "state", "r", limits);
  Process other(folder / "state", "s", limits);
  CHECK(one.pay("a", 600'000) == "paid");
  CHECK(two.pay("b", 400'001) == "max_spend");
  CHECK(two.pay("c", 400'000) == "paid");
  CHECK(one.pay("d", 1) == "max_spend");
  CHECK(other.pay("e", 1'000'000) == "paid");  // another invocation
  CHECK(spent(one) == "1000000");
  CHECK(spent(two, "s") == "1000000");
  CHECK(spent(two, "t") == "0");
}

TEST_CASE("a payment that another living process is about to sign counts, a dead one's does not") {
  const Folder folder;
  const Limits limits;
  auto two = std::make_unique<Process>(folder / "state", "r", limits);
  Process one(folder / "state", "r", limits);
  REQUIRE(two->allow("a", 600'000).has_value());
  CHECK(spent(one) == "600000");
  CHECK(one.pay("b", 400'001) == "max_spend");
  two.reset();  // died before it signed
  CHECK(spent(one) == "0");
  CHECK(one.pay("c", 1'000'000) == "paid");
}

TEST_CASE("a payment that was given up before its signature does not count") {
  const Folder folder;
  const Limits limits;
  Process one(folder / "state", "r", limits), two(folder / "state", "r", limits);
  REQUIRE(two.allow("a", 600'000).has_value());
  Row row = two.spender.row();
  row.error_code = 105;
  REQUIRE(two.ledger.answer(row, {}).has_value());
  CHECK(spent(one) == "0");
}

TEST_CASE("money that came back is left out of the run") {
  const Folder folder;
  const Limits limits;
  Process one(folder / "state", "r", limits), two(folder / "state", "r", limits);
  auto permit = one.allow("a", 900'000);
  REQUIRE(permit.has_value());
  REQUIRE(one.spender.commit(std::move(*permit), "{}", "hash").has_value());
  CHECK(spent(two) == "900000");
  REQUIRE(one.spender.call_off({900'000, kAlpha}).has_value());
  CHECK(spent(two) == "0");
  CHECK(one.ledger.find("a")->status == PaymentStatus::not_sent);
  // Of a session only the part.
  CHECK(one.deposit("b", 300'000, 0) == "paid");
  const Row session = one.spender.row();
  CHECK(one.spender.row().run_amount == Amount(300'000));
  REQUIRE(one.spender.call_off({100'000, kAlpha}).has_value());
  CHECK(spent(two) == "200000");
}

TEST_CASE("of a row that an earlier run began only what this run adds counts") {
  const Folder folder;
  Limits limits;
  Process earlier(folder / "state", "old", limits), one(folder / "state", "r", limits);
  CHECK(earlier.deposit("a", 900'000, 0) == "paid");
  one.spender.begin(*one.ledger.find("a"));
  Spender::Step step{one.spend("a", 200'000), {Digest{}}, "0xa", "{}", [] { return Result<>(); }};
  step.spend.why = Purpose::session;
  REQUIRE(one.spender.sign_step(step).has_value());
  CHECK(spent(one) == "200000");
  CHECK(one.ledger.find("a")->paid.amount == Amount(1'100'000));
  REQUIRE(one.spender.sign_step(step).has_value());
  CHECK(spent(one) == "400000");
}

TEST_CASE("what one process put into an escrow leaves the others less") {
  const Folder folder;
  Limits limits;
  limits.max_deposit = {*parse_limit("0.1")};
  Process one(folder / "state", "r", limits), two(folder / "state", "r", limits);
  Process other(folder / "state", "s", limits);
  CHECK(one.deposit("a", 1'000, 60'000) == "paid");
  CHECK(two.spender.deposit_limit(kAlpha, "0xb") == Amount(40'000));
  CHECK(two.deposit("b", 1'000, 40'001) == "max_deposit");
  CHECK(two.deposit("c", 1'000, 40'000) == "paid");
  CHECK(one.spender.deposit_limit(kAlpha, "0xa") == Amount(60'000));  // its own is not in the way
  CHECK(one.deposit("a2", 1'000, 1) == "max_deposit");
  CHECK(other.deposit("d", 1'000, 100'000) == "paid");
  // The newest word on a channel counts.
  REQUIRE(one.ledger.note_escrow("r", {"0xa", {10'000, kAlpha}}).has_value());
  CHECK(two.spender.deposit_limit(kAlpha, "0xc") == Amount(90'000));
  // Those of runs that are long over are forgotten.
  one.now += Millis{31} * 24 * 3600 * 1000;
  REQUIRE(one.ledger.note_escrow("z", {"0xz", {1, kAlpha}}).has_value());
  CHECK(two.ledger.escrowed_in_run("r")->empty());
}

// ---- --once

TEST_CASE("a key is held by a payment that was made, is in doubt, or is being made") {
  const Folder folder;
  const Limits limits;
  Process one(folder / "state", "r", limits);
  auto two = std::make_unique<Process>(folder / "state", "s", limits);
  one.once = two->once = "order-1";
  REQUIRE(two->allow("a", 10'000).has_value());
  CHECK(one.pay("b", 10'000) == "once");
  CHECK((*one.ledger.with_once("order-1"))->id == "a");
  two.reset();  // died before it signed: nothing left
  CHECK_FALSE(one.ledger.with_once("order-1")->has_value());
  CHECK(one.pay("c", 10'000) == "paid");
  Process three(folder / "state", "t", limits);
  three.once = "order-1";
  CHECK(three.pay("d", 10'000) == "once");  // in doubt
  Row row = one.spender.row();
  row.status = PaymentStatus::settled;
  REQUIRE(one.ledger.answer(row, {}).has_value());
  CHECK(three.pay("e", 10'000) == "once");
  CHECK(three.deposit("f", 10'000, 0) == "once");
  three.once = "order-2";
  CHECK(three.pay("g", 10'000) == "paid");
  three.once.reset();
  CHECK(three.pay("h", 10'000) == "paid");
}

TEST_CASE(
    "a payment that was not sent frees its key, a refused one when it cannot settle any more") {
  const Folder folder;
  const Limits limits;
  Process one(folder / "state", "r", limits), two(folder / "state", "s", limits);
  one.once = two.once = "k";
  const auto ends = [&](const char* id, PaymentStatus status) {
    REQUIRE(one.pay(id, 10'000) == "paid");
    Row row = one.spender.row();
    row.status = status;
    row.error_code = 100;
    REQUIRE(one.ledger.answer(row, {}).has_value());
  };
  ends("a", PaymentStatus::not_sent);
  CHECK_FALSE(two.ledger.with_once("k")->has_value());
  ends("b", PaymentStatus::rejected);
  CHECK(two.pay("c", 10'000) == "once");
  two.now += 25'000;
  CHECK(two.pay("d", 10'000) == "paid");
}

TEST_CASE("the database itself refuses a second payment for a key") {
  const Folder folder;
  const Limits limits;
  Process one(folder / "state", "r", limits), two(folder / "state", "s", limits);
  CHECK(one.pay("a", 10'000) == "paid");
  CHECK(one.pay("b", 10'000) == "paid");
  REQUIRE(one.database.run("UPDATE payments SET once = 'k' WHERE id = 'a'").has_value());
  CHECK_FALSE(one.database.run("UPDATE payments SET once = 'k' WHERE id = 'b'").has_value());
}

}  // namespace
}  // namespace paycurl
