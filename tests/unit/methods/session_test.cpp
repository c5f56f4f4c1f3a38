// The conversation of a session: what is signed for which answer, and what is not.
#include "src/methods/tempo/session.h"

#include <doctest/doctest.h>

#include "tests/unit/methods/session_world.h"

namespace paycurl::tempo {
namespace {

using test::receipt_of;
using test::row;
using test::said;
using test::served;
using test::session_offer;
using test::SessionWorld;
using test::told;

Challenge offer(const std::string& amount = "1000", const std::string& suggested = "100000") {
  return session_offer(amount, suggested);
}

/// A voucher leaves only when the row covers it, and carries our signature.
void check_voucher(SessionWorld& world, const Session::Step& step) {
  const Amount cumulative = *Amount::parse(said(step, "cumulativeAmount"));
  const Channel channel = *world.channels.find(said(step, "channelId"));
  CHECK(cumulative <= channel.signed_amount);
  const Descriptor d = *Descriptor::parse(channel.descriptor);
  ByteArray<65> raw{};
  REQUIRE(from_hex(said(step, "signature"), raw).has_value());
  Signature signature{};
  std::copy_n(raw.begin(), 32, signature.r.begin());
  std::copy_n(raw.begin() + 32, 32, signature.s.begin());
  signature.parity = static_cast<std::uint8_t>(raw[64] - 27);
  const auto signer = recover(voucher_digest(d, channel_id(d), cumulative), signature);
  CHECK(*signer == SessionWorld::key().address());
}

// ---- opening

TEST_CASE("a first request opens a channel") {
  SessionWorld world;
  Session& session = world.begin(offer());
  const auto step = session.pay(false);
  REQUIRE(told(step) == "open 1000");
  CHECK_FALSE(step->alone);
  CHECK(said(*step, "type") == "transaction");
  CHECK(said(*step, "transaction").starts_with("0x76"));
  check_voucher(world, *step);
  CHECK(world.node.asked == 0);
  CHECK(row(world).status == ChannelStatus::opening);
  CHECK(row(world).deposit == Amount(100'000));
  CHECK_FALSE(row(world).opening.empty());
  const Row payment = *world.ledger.find("last");
  CHECK(payment.paid.amount == Amount(1'000));
  CHECK(payment.session == row(world).id);
  CHECK(payment.status == PaymentStatus::unknown);
  CHECK(told(session.answered(served(receipt_of(row(world).id, 1'000, 1'000)))) == "done");
  CHECK(row(world).status == ChannelStatus::open);
  CHECK(row(world).opening.empty());
  CHECK(row(world).spent == Amount(1'000));
}

TEST_CASE("how much an opening deposits") {
  SessionWorld world;
  const auto deposit = [&](const Challenge& challenge, const std::string& own, Limits limits = {}) {
    world.clear();
    world.limits = std::move(limits);
    SessionChoice choice;
    choice.deposit = own;
    const auto step = world.begin(challenge, choice).pay(false);
    if (!step) return "error " + step.error().reason;
    return row(world).deposit.decimal();
  };
  CHECK(deposit(offer(), "") == "100000");        // the suggestion
  CHECK(deposit(offer(), "0.3") == "300000");     // the user's
  CHECK(deposit(offer(), "0.0005") == "error ");  // below the price
  CHECK(deposit(offer(), "x") == "error ");
  CHECK(deposit(offer(), "1.1") == "error max_deposit");
  CHECK(deposit(offer("1000", ""), "") == "100000");  // none: a dime, or a hundred units
  CHECK(deposit(offer("5000", ""), "") == "500000");
  CHECK(deposit(offer("1000", "0"), "") == "100000");
  CHECK(deposit(offer("1000", "500"), "") == "1000");               // a suggestion below the price
  CHECK(deposit(offer("1000", "1000000000000"), "") == "1000000");  // the limit, never the wire's
  CHECK(deposit(offer("20000", ""), "") == "1000000");
  CHECK(deposit(offer("1000001", ""), "") == "error max_deposit");
  Limits limits;
  limits.max_deposit = {*parse_limit("0.05")};
  CHECK(deposit(offer(), "", limits) == "50000");
  CHECK(deposit(offer(), "0.06", limits) == "error max_deposit");
  CHECK(deposit(offer("60000", ""), "", limits) == "error max_deposit");
}

TEST_CASE("nothing is written or signed when a limit says no") {
  SessionWorld world;
  world.limits.max_deposit = {*parse_limit("0")};
  CHECK(told(world.begin(offer()).pay(false)) == "error max_deposit");
  CHECK(world.channels.list(true)->empty());
  CHECK(world.ledger.list({})->empty());
  CHECK(world.spender->signed_in_this_run().empty());
}

TEST_CASE("an opening of the first version") {
  SessionWorld world;
  const std::string contract = "0xe1c4d3dce17bc111181ddf716f75bae49e61a336";
  const Json v1 = Json::object({{"sessionProtocol", "v1"}, {"escrowContract", contract}});
  const auto step = world.begin(session_offer("1000", "100000", "request", v1)).pay(false);
  REQUIRE(told(step) == "open 1000");
  CHECK(said(*step, "authorizedSigner") == row(world).payer);
  CHECK(step->credential.payload.find("descriptor") == nullptr);
  check_voucher(world, *step);
}

TEST_CASE("sponsored openings leave the fees to the server") {
  SessionWorld world;
  const Json details = Json::object({{"feePayer", true}});
  const auto step = world.begin(session_offer("1000", "", "request", details)).pay(false);
  REQUIRE(told(step) == "open 1000");
  CHECK(said(*step, "transaction").starts_with("0x78"));
  CHECK(world.ledger.find("last")->fee.is_zero());
}

// ---- vouchers

TEST_CASE("later requests cost a voucher each, and no question to the chain") {
  SessionWorld world;
  REQUIRE(told(world.begin(offer()).pay(false)) == "open 1000");
  const std::string id = row(world).id;
  REQUIRE(told(world.session->answered(served(receipt_of(id, 1'000, 1'000)))) == "done");
  for (std::uint64_t sum = 2'000; sum <= 5'000; sum += 1'000) {
    world.restart();
    const auto step = world.begin(offer()).pay(false);
    REQUIRE(told(step) == "voucher " + std::to_string(sum));
    CHECK_FALSE(step->alone);
    check_voucher(world, *step);
    CHECK(told(world.session->answered(served(receipt_of(id, sum, sum)))) == "done");
    CHECK(world.ledger.find("last")->paid.amount == Amount(1'000));
  }
  // Without a receipt a request counts as one unit.
  CHECK(told(world.begin(offer()).pay(false)) == "voucher 6000");
  CHECK(told(world.session->answered(served())) == "done");
  CHECK(row(world).spent == Amount(6'000));
  CHECK(row(world).accepted == Amount(6'000));
  CHECK(world.node.asked == 0);
  CHECK(world.channels.list(true)->size() == 1);
}

TEST_CASE("what was signed and not spent pays first") {
  SessionWorld world;
  const Channel before = world.insert_channel(offer(), 100'000, 5'000, 2'500);
  for (const std::uint64_t spent : {3'500U, 4'500U}) {
    const auto step = world.begin(offer()).pay(false);
    REQUIRE(told(step) == "voucher 5000");
    CHECK(world.ledger.find("last")->paid.amount.is_zero());
    CHECK(told(world.session->answered(served(receipt_of(before.id, 5'000, spent)))) == "done");
  }
  CHECK(world.spender->signed_in_this_run().empty());
  CHECK(told(world.begin(offer()).pay(false)) == "voucher 5500");
  CHECK(world.ledger.find("last")->paid.amount == Amount(500));
}

TEST_CASE("a channel that the user names, or a fresh one") {
  SessionWorld world;
  const Channel first = world.insert_channel(offer(), 100'000, 1'000, 1'000);
  const Channel second = world.insert_channel(offer(), 100'000, 2'000, 2'000);
  SessionChoice choice;
  choice.id = first.id;
  CHECK(told(world.begin(offer(), choice).pay(false)) == "voucher 2000");
  choice.id = "0xffff";
  CHECK_FALSE(world.begin(offer(), choice).pay(false).has_value());
  choice.id = first.id;
  const Challenge elsewhere =
      session_offer("1000", "", "request",
                    Json::object({{"operator", "0x1111111111111111111111111111111111111111"}}));
  CHECK(told(world.begin(elsewhere, choice).pay(false)) == "error stale");
  choice = {};
  choice.fresh = true;
  CHECK(told(world.begin(offer(), choice).pay(false)) == "open 1000");
}

TEST_CASE("a run that finds its channel taken waits, and says so") {
  SessionWorld world;
  const Channel channel = world.insert_channel(offer(), 100'000, 1'000, 1'000);
  Channels other(world.database, world.folder / "state", [&] { return world.now; });
  {
    auto lock = other.lock(channel.scope, std::chrono::milliseconds(0));
    CHECK(told(world.begin(offer()).pay(false)) == "error busy");
  }
  CHECK(told(world.begin(offer()).pay(false)) == "voucher 2000");
  CHECK_FALSE(other.lock(channel.scope, std::chrono::milliseconds(0)).has_value());
  CHECK(told(world.session->answered({})) == "done");  // nobody answered
  CHECK(other.lock(channel.scope, std::chrono::milliseconds(0)).has_value());
}

TEST_CASE("receipts are believed as far as they can be") {
  SessionWorld world;
  const Channel before = world.insert_channel(offer(), 100'000, 3'000, 1'000);
  const auto taken = [&](Receipt receipt) { return world.session->received(receipt).has_value(); };
  REQUIRE(told(world.begin(offer()).pay(false)) == "voucher 3000");
  REQUIRE(told(world.session->answered(served(receipt_of(before.id, 3'000, 2'000)))) == "done");
  const auto odd = [&](const char* key, const Json& value) {
    Receipt receipt = receipt_of(before.id, 3'000, 2'500);
    receipt.json.set(key, value);
    return receipt;
  };
  CHECK_FALSE(taken(receipt_of(before.id, 3'001, 2'000)));  // accepted more than was signed
  CHECK_FALSE(taken(receipt_of(before.id, 2'500, 2'501)));  // spent more than it accepted
  CHECK_FALSE(taken(receipt_of("0x" + std::string(64, '1'), 3'000, 2'500)));  // another channel
  CHECK_FALSE(taken(odd("spent", Json())));
  CHECK_FALSE(taken(odd("acceptedCumulative", Json(3'000))));
  CHECK_FALSE(taken(odd("spent", "-1")));
  CHECK_FALSE(taken(odd("units", "2")));
  CHECK(row(world).spent == Amount(2'000));
  CHECK(row(world).signed_amount == Amount(3'000));
  CHECK(taken(odd("spent", "2400")));
  CHECK(row(world).spent == Amount(2'400));
  CHECK(taken(receipt_of(before.id, 1'000, 1'000)));  // late: nothing falls
  CHECK(row(world).spent == Amount(2'400));
  CHECK(row(world).accepted == Amount(3'000));
}

}  // namespace
}  // namespace paycurl::tempo
