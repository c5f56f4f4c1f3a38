// The conversation of a session when the server refuses, the channel is gone or an earlier run
// died.
#include <doctest/doctest.h>

#include "tests/unit/methods/session_world.h"

namespace paycurl::tempo {
namespace {

using test::receipt_of;
using test::refusal;
using test::row;
using test::said;
using test::served;
using test::session_offer;
using test::SessionWorld;
using test::told;

Challenge offer(const std::string& amount = "1000", const std::string& id = "c1") {
  Challenge challenge = session_offer(amount, "100000");
  challenge.id = id;
  return challenge;
}

Challenge with_details(Json details) {
  return session_offer("1000", "100000", "request", std::move(details));
}

Amount signed_in_run(SessionWorld& world) {
  Amount sum;
  for (const Money& money : world.spender->signed_in_this_run())
    sum = *sum.plus(money.amount);
  return sum;
}

// ---- other challenges

TEST_CASE("a fresh challenge gets the same payment") {
  for (const char* type : {"invalid-challenge", "payment-expired", "payment-required",
                           "session/challenge-not-found"}) {
    CAPTURE(type);
    SessionWorld world;
    world.insert_channel(offer(), 100'000, 1'000, 1'000);
    const auto first = world.begin(offer()).pay(false);
    REQUIRE(told(first) == "voucher 2000");
    const auto second = world.session->answered(refusal(type, {offer("1000", "c2")}));
    REQUIRE(told(second) == "voucher 2000");
    CHECK(said(**second, "signature") == said(*first, "signature"));
    CHECK((*second)->credential.challenge.id == "c2");
    CHECK(signed_in_run(world) == Amount(1'000));
    // A lower price is fine; what was signed covers it.
    CHECK(told(world.session->answered(refusal(type, {offer("500")}))) == "voucher 2000");
    CHECK(signed_in_run(world) == Amount(1'000));
  }
}

TEST_CASE("an opening is repeated in the same bytes for a fresh challenge") {
  SessionWorld world;
  const auto first = world.begin(offer()).pay(false);
  REQUIRE(told(first) == "open 1000");
  world.now += 1'000;
  const auto second = world.session->answered(refusal("invalid-challenge", {offer("1000", "c2")}));
  REQUIRE(told(second) == "open 1000");
  CHECK(said(**second, "transaction") == said(*first, "transaction"));
  CHECK(world.channels.list(true)->size() == 1);
  CHECK(signed_in_run(world) == Amount(1'000));
}

TEST_CASE("a top-up is repeated in the same bytes, or two could be mined") {
  SessionWorld world;
  world.insert_channel(offer(), 1'000, 1'000, 1'000);
  const auto first = world.begin(offer()).pay(false);
  REQUIRE(told(first) == "topUp 100000");
  world.now += 1'000;
  const auto second = world.session->answered(refusal("invalid-challenge", {offer("1000", "c2")}));
  REQUIRE(told(second) == "topUp 100000");
  CHECK((*second)->alone);
  CHECK((*second)->credential.challenge.id == "c2");
  CHECK(said(**second, "transaction") == said(*first, "transaction"));
  CHECK(told(world.session->answered(served())) == "voucher 2000");
}

TEST_CASE("a fresh challenge that asks for more is declined") {
  SessionWorld world;
  const auto answer = [&](const Challenge& fresh) {
    world.clear();
    world.insert_channel(offer(), 100'000, 1'000, 1'000);
    REQUIRE(told(world.begin(offer()).pay(false)) == "voucher 2000");
    const std::string text = told(world.session->answered(refusal("invalid-challenge", {fresh})));
    CHECK(signed_in_run(world) == Amount(1'000));
    return text;
  };
  CHECK(answer(offer("1001")) == "error price_changed");
  CHECK(answer(session_offer("1000", "", "byte")) == "error price_changed");
  CHECK(answer(session_offer("1000", "", "")) == "error price_changed");
  // Of another payee or escrow: none of ours.
  const std::string other = "0x1111111111111111111111111111111111111111";
  CHECK(answer(with_details(Json::object({{"operator", other}}))) == "error rejected");
  CHECK(answer(with_details(Json::object({{"escrowContract", other}}))) == "error rejected");
}

// ---- refusals with a remedy

TEST_CASE("a server that counts more is asked, and then gets one more unit") {
  SessionWorld world;
  const Channel channel = world.insert_channel(offer(), 100'000, 5'000, 3'000);
  REQUIRE(told(world.begin(offer()).pay(false)) == "voucher 5000");
  const auto asked = world.session->answered(refusal("session/insufficient-balance"));
  REQUIRE(told(asked) == "voucher 5000");
  CHECK((*asked)->alone);
  const auto paid = world.session->answered(served(receipt_of(channel.id, 5'000, 5'000)));
  REQUIRE(told(paid) == "voucher 6000");
  CHECK_FALSE((*paid)->alone);
  CHECK(signed_in_run(world) == Amount(1'000));
  // Once. The next time it is a liar.
  CHECK(told(world.session->answered(refusal("session/insufficient-balance"))) == "error rejected");
}

TEST_CASE("a server that was asked gets no more than a step either") {
  SessionWorld world;
  world.options.own["step"] = "0";  // one unit
  world.restart();
  const Channel channel = world.insert_channel(offer(), 100'000, 1'000, 1'000);
  REQUIRE(told(world.begin(offer()).pay(false)) == "voucher 2000");
  REQUIRE(told(world.session->answered(refusal("session/insufficient-balance"))) == "voucher 2000");
  const auto all_spent = served(receipt_of(channel.id, 2'000, 2'000));
  CHECK(told(world.session->answered(all_spent)) == "error overcharged");
  CHECK(signed_in_run(world) == Amount(1'000));
}

TEST_CASE("a server that keeps refusing is left") {
  SessionWorld world;
  world.insert_channel(offer(), 100'000, 1'000, 1'000);
  REQUIRE(told(world.begin(offer()).pay(false)) == "voucher 2000");
  int steps = 0;
  std::string answer = "voucher 2000";
  while (answer == "voucher 2000" && steps < 100) {
    answer = told(world.session->answered(refusal("invalid-challenge", {offer()})));
    ++steps;
  }
  CHECK(answer == "error refused");
  CHECK(steps <= 6);
  CHECK(signed_in_run(world) == Amount(1'000));
  // Other refusals have no remedy at all, and let go of the channel.
  Channels other(world.database, world.folder / "state", [&] { return world.now; });
  for (const char* type : {"", "verification-failed", "session/invalid-signature"}) {
    CHECK(told(world.begin(offer()).pay(false)) == "voucher 2000");
    CHECK(told(world.session->answered(refusal(type))) == "error rejected");
    CHECK(other.lock(row(world).scope, std::chrono::milliseconds(0)).has_value());
  }
  CHECK(told(world.begin(offer()).pay(false)) == "voucher 2000");
  const auto broken = world.session->answered(refusal("", {}, 500));
  REQUIRE_FALSE(broken.has_value());
  CHECK(broken.error().kind == Kind::outcome_unknown);
}

TEST_CASE("no server sets how far a voucher goes") {
  SessionWorld world;
  const Challenge greedy = with_details(Json::object({{"minVoucherDelta", "90000"}}));
  world.insert_channel(greedy, 1'000'000, 1'000, 1'000);
  CHECK(told(world.begin(greedy).pay(false)) == "voucher 11000");  // one step
  SessionWorld modest;
  const Challenge fair = with_details(Json::object({{"minVoucherDelta", "4000"}}));
  modest.insert_channel(fair, 1'000'000, 1'000, 1'000);
  CHECK(told(modest.begin(fair).pay(false)) == "voucher 5000");
}

TEST_CASE("a channel that is gone is replaced, once") {
  const std::vector<Session::Reply> ways{refusal("session/channel-not-found"),
                                         refusal("session/channel-finalized"),
                                         refusal("", {}, 410)};
  SessionWorld world;
  for (const Session::Reply& gone : ways) {
    for (const bool on_chain : {false, true}) {
      world.clear();
      const Channel old = world.insert_channel(offer(), 100'000, 1'000, 1'000);
      if (!on_chain) world.node.channels.clear();
      REQUIRE(told(world.begin(offer()).pay(false)) == "voucher 2000");
      REQUIRE(told(world.session->answered(gone)) == "open 1000");
      CHECK(world.channels.find(old.id)->status ==
            (on_chain ? ChannelStatus::lost : ChannelStatus::closed));
      CHECK(row(world).id != old.id);
      CHECK(told(world.session->answered(gone)) == "error rejected");
      CHECK(world.channels.list(true)->size() == 2);
    }
  }
}

// ---- openings that were interrupted

TEST_CASE("an opening that reached the chain is adopted") {
  SessionWorld world;
  REQUIRE(told(world.begin(offer()).pay(false)) == "open 1000");
  world.node.channels[row(world).id] = {true, Amount(100'000), Amount(), 0};
  world.restart();
  CHECK(told(world.begin(offer()).pay(false)) == "voucher 1000");  // which was never used
  CHECK(world.node.asked == 1);
  CHECK(row(world).status == ChannelStatus::open);
  CHECK(signed_in_run(world).is_zero());
}

TEST_CASE("an opening that may still be mined goes again, and a dead one is forgotten") {
  SessionWorld world;
  const auto first = world.begin(offer()).pay(false);
  REQUIRE(told(first) == "open 1000");
  const Channel opening = row(world);
  world.restart();
  world.now += 5'000;
  const auto second = world.begin(offer()).pay(false);
  REQUIRE(told(second) == "open 1000");
  CHECK(said(*second, "transaction") == said(*first, "transaction"));
  CHECK(signed_in_run(world).is_zero());
  CHECK(world.ledger.find("last")->session == opening.id);
  world.node.away = true;  // the same bytes need no node
  world.restart();
  CHECK(told(world.begin(offer()).pay(false)) == "open 1000");
  world.now = opening.opening_until;
  world.restart();
  const auto unknown = world.begin(offer()).pay(false);
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().kind == Kind::backend);
  world.node.away = false;
  CHECK(told(world.begin(offer()).pay(false)) == "error opening");
  CHECK(row(world).id == opening.id);
  world.now += 7'000;
  const auto third = world.begin(offer()).pay(false);
  REQUIRE(told(third) == "open 1000");
  CHECK(said(*third, "transaction") != said(*first, "transaction"));
  CHECK(world.channels.list(true)->size() == 1);
  CHECK(row(world).id != opening.id);
}

TEST_CASE("an opening that was refused and mined all the same is used") {
  SessionWorld world;
  REQUIRE(told(world.begin(offer()).pay(false)) == "open 1000");
  world.node.channels[row(world).id] = {true, Amount(100'000), Amount(), 0};
  CHECK(told(world.session->answered(refusal("", {}, 500))) == "voucher 1000");
  CHECK(row(world).status == ChannelStatus::open);
  SessionWorld other;
  REQUIRE(told(other.begin(offer()).pay(false)) == "open 1000");
  CHECK(told(other.session->answered(refusal("", {}, 500))) == "error refused");
  CHECK(row(other).status == ChannelStatus::opening);
}

TEST_CASE("a request of an earlier run signs nothing new") {
  SessionWorld world;
  const Channel channel = world.insert_channel(offer(), 100'000, 3'000, 3'000);
  CHECK(told(world.begin(offer()).pay(true)) == "voucher 3000");
  CHECK(signed_in_run(world).is_zero());
  CHECK(world.channels.find(channel.id)->signed_amount == Amount(3'000));
  CHECK(told(world.session->answered(refusal("session/insufficient-balance"))) ==
        "error answer_lost");
  CHECK(told(world.begin(offer()).pay(true)) == "voucher 3000");
  CHECK(told(world.session->answered(refusal("", {}, 410))) == "error answer_lost");
  CHECK(told(world.begin(offer()).pay(true)) == "error not_paid");  // it is closed now
  CHECK(signed_in_run(world).is_zero());
}

// ---- top-ups

TEST_CASE("a full channel is filled before the voucher") {
  SessionWorld world;
  const auto added = [&](const std::string& suggested, Limits limits = {}) {
    world.clear();
    world.limits = std::move(limits);
    const Challenge challenge = session_offer("1000", suggested);
    world.insert_channel(challenge, 10'500, 10'000, 10'000);
    const auto step = world.begin(challenge).pay(false);
    if (!step) return "error " + step.error().reason;
    CHECK(step->alone);
    CHECK(world.spender->row().paid.amount.is_zero());
    CHECK(row(world).deposit == Amount(10'500));  // until it is acknowledged
    const std::string text = told(step);
    REQUIRE(told(world.session->answered(served())) == "voucher 11000");
    CHECK(*Amount::parse(said(*step, "additionalDeposit")) == *row(world).deposit.minus(10'500));
    return text;
  };
  CHECK(added("") == "topUp 500");
  CHECK(added("100") == "topUp 500");
  CHECK(added("100000") == "topUp 100000");
  CHECK(added("1000000000") == "topUp 999500");  // 500 lie there unspent
  Limits limits;
  limits.max_deposit = {*parse_limit("0.02")};
  CHECK(added("100000", limits) == "topUp 19500");
  limits.max_deposit = {*parse_limit("0.0009")};
  CHECK(added("100000", limits) == "error max_deposit");
}

TEST_CASE("the receipt of a channel the server remembers is taken over") {
  SessionWorld world;
  // Made by an earlier wallet on another machine: the journal is empty, the chain knows it.
  const Channel channel = world.insert_channel(offer(), 100'000, 3'000, 3'000);
  REQUIRE(world.channels.forget(channel).has_value());
  const Descriptor d = *Descriptor::parse(channel.descriptor);
  const auto voucher = SessionWorld::key().sign(voucher_digest(d, channel_id(d), Amount(3'000)));
  const Json snapshot = Json::object(
      {{"chainId", 42431},
       {"escrow", d.escrow.lower_hex()},
       {"channelId", channel.id},
       {"descriptor", d.json()},
       {"deposit", "100000"},
       {"acceptedCumulative", "3000"},
       {"spent", "3000"},
       {"units", 3},
       {"highestVoucher",
        Json::object({{"cumulativeAmount", "3000"}, {"signature", to_0x(voucher.bytes())}})}});
  const auto pay = [&](Json claim) {
    const auto step =
        world.begin(with_details(Json::object({{"sessionSnapshot", claim}}))).pay(false);
    return told(step);
  };
  CHECK(pay(snapshot) == "voucher 4000");
  CHECK(row(world).source == "chain");
  const auto forgotten = [&] { REQUIRE(world.channels.forget(row(world)).has_value()); };
  forgotten();
  Json claim = snapshot;
  CHECK(pay(claim.set("acceptedCumulative", "90000")) == "open 1000");  // no voucher of ours
  forgotten();
  world.node.channels[channel.id].close_requested = 1;
  CHECK(pay(snapshot) == "open 1000");
  forgotten();
  world.node.channels.clear();
  CHECK(pay(snapshot) == "open 1000");
}

}  // namespace
}  // namespace paycurl::tempo
