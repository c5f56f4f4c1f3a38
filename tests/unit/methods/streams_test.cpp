// Vouchers beside a stream: one step ahead of what has come, and no further.
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

constexpr const char* kNeed = "payment-need-voucher";

/// A stream of messages at 1000 each, whose first voucher said 1000. The step is ten of them.
struct Streaming {
  SessionWorld world;
  Channel channel;

  explicit Streaming(std::uint64_t deposit = 100'000, Json details = Json::object(),
                     const std::string& unit = "message", const std::string& suggested = "") {
    const Challenge offer = session_offer("1000", suggested, unit, std::move(details));
    channel = world.insert_channel(offer, deposit, 0, 0);
    REQUIRE(told(world.begin(offer).pay(false)) == "voucher 1000");
    REQUIRE(told(world.session->answered(served())) == "done");
  }
  Result<std::optional<Session::Step>> need(std::uint64_t required, const std::string& id = "") {
    return world.session->event(kNeed,
                                Json::object({{"channelId", id.empty() ? channel.id : id},
                                              {"requiredCumulative", std::to_string(required)},
                                              {"acceptedCumulative", "0"},
                                              {"deposit", "100000"}}));
  }
  std::string needs(std::uint64_t required) { return told(need(required)); }
  std::string accepted() { return told(world.session->answered(served())); }
};

TEST_CASE("streams: vouchers are a step ahead of what came") {
  Streaming s;
  s.world.session->delivered(1, 20);
  const auto step = s.need(2'000);
  REQUIRE(told(step) == "voucher 11000");  // what came, and ten units
  CHECK((*step)->alone);
  CHECK(row(s.world).signed_amount == Amount(11'000));
  CHECK(s.accepted() == "done");
  for (int i = 0; i < 10; ++i)
    s.world.session->delivered(1, 20);
  CHECK(s.needs(12'000) == "voucher 21000");
  CHECK(s.accepted() == "done");
  CHECK(s.world.ledger.find("last")->paid.amount == Amount(21'000));
  CHECK(s.world.node.asked == 0);
}

TEST_CASE("streams: no second voucher without anything for the first") {
  Streaming s;
  REQUIRE(s.needs(2'000) == "voucher 10000");
  REQUIRE(s.accepted() == "done");
  CHECK(s.needs(10'001) == "error overcharged");
  CHECK(row(s.world).signed_amount == Amount(10'000));
  CHECK(s.needs(10'000) == "voucher 10000");  // one that was lost
}

TEST_CASE("streams: a forged demand is refused") {
  Streaming s;
  CHECK(s.needs(10'001) == "error overcharged");
  CHECK(s.needs(100'000) == "error overcharged");
  CHECK(told(s.world.session->event(
            kNeed, *Json::parse(R"({"channelId":"x","requiredCumulative":"2000"})"))) ==
        "error malformed");
  CHECK(told(s.need(2'000, "0x" + std::string(64, '1'))) == "error malformed");
  for (const Json& odd : {Json(), Json(2'000), Json("-1"), Json("2e3"), Json::array()}) {
    CHECK(told(s.world.session->event(
              kNeed, Json::object({{"channelId", s.channel.id}, {"requiredCumulative", odd}}))) ==
          "error malformed");
  }
  const std::string most =
      "115792089237316195423570985008687907853269984665640564039457584007913129639935";
  CHECK(told(s.world.session->event(
            kNeed, Json::object({{"channelId", s.channel.id}, {"requiredCumulative", most}}))) ==
        "error overcharged");
  CHECK(row(s.world).signed_amount == Amount(1'000));
  CHECK(told(s.world.session->event("payment-other", Json())) == "done");
}

TEST_CASE("streams: units that are no events are bytes") {
  Streaming events;
  events.world.session->delivered(1, 1'000);
  CHECK(events.needs(11'001) == "error overcharged");
  Streaming bytes(100'000, Json::object(), "byte");
  bytes.world.session->delivered(1, 20);
  CHECK(bytes.needs(30'001) == "error overcharged");
  CHECK(bytes.needs(30'000) == "voucher 30000");
  Streaming words(100'000, Json::object(), "word");  // each has a byte, and a voucher one step
  words.world.session->delivered(1, 20);
  CHECK(words.needs(11'001) == "error overcharged");
}

TEST_CASE("streams: a full channel is filled, then the voucher goes") {
  Streaming s(5'000);
  CHECK(s.needs(2'000) == "voucher 5000");  // as far as the deposit reaches
  CHECK(s.accepted() == "done");
  s.world.session->delivered(1, 20);
  const auto filled = s.need(6'000);
  REQUIRE(told(filled) == "topUp 1000");
  CHECK((*filled)->alone);
  CHECK(told(s.world.session->answered(refusal("invalid-challenge"))) == "error rejected");
  const auto again = s.need(6'000);
  REQUIRE(told(again) == "topUp 1000");
  CHECK(s.accepted() == "voucher 6000");
  CHECK(s.accepted() == "done");
  CHECK(row(s.world).deposit == Amount(6'000));
}

TEST_CASE("streams: near a limit the step shrinks to what is asked for") {
  SessionWorld world;
  world.limits.max_spend = {*parse_limit("0.003")};
  world.restart();
  const Challenge offer = session_offer("1000", "", "message");
  const Channel channel = world.insert_channel(offer, 100'000, 0, 0);
  REQUIRE(told(world.begin(offer).pay(false)) == "voucher 1000");
  REQUIRE(told(world.session->answered(served())) == "done");
  const auto need = [&](const char* required) {
    world.session->delivered(1, 1);
    return told(world.session->event(
        kNeed, Json::object({{"channelId", channel.id}, {"requiredCumulative", required}})));
  };
  CHECK(need("2000") == "voucher 2000");
  CHECK(told(world.session->answered(served())) == "done");
  CHECK(need("3000") == "voucher 3000");
  CHECK(told(world.session->answered(served())) == "done");
  CHECK(need("4000") == "error max_spend");
}

TEST_CASE("streams: a voucher that is refused gets no other") {
  // Else a server would get a unit for each refusal, and deliver nothing.
  Streaming s;
  s.world.session->delivered(1, 20);
  REQUIRE(s.needs(2'000) == "voucher 11000");
  CHECK(told(s.world.session->answered(refusal("session/insufficient-balance"))) ==
        "error rejected");
  CHECK(s.needs(11'000) == "voucher 11000");
  CHECK(told(s.world.session->answered(refusal("session/insufficient-balance"))) ==
        "error rejected");
  CHECK(s.needs(11'000) == "voucher 11000");
  CHECK(told(s.world.session->answered(refusal("", {}, 410))) == "error rejected");
  CHECK(row(s.world).signed_amount == Amount(11'000));
}

TEST_CASE("streams: a receipt between a voucher and its answer leaves the channel ours") {
  Streaming s;
  Channels other(s.world.database, s.world.folder / "state", [&] { return s.world.now; });
  const auto is_free = [&] {
    return other.lock(s.channel.scope, std::chrono::milliseconds(0)).has_value();
  };
  CHECK(is_free());
  REQUIRE(s.needs(2'000) == "voucher 10000");
  CHECK_FALSE(is_free());
  CHECK(s.world.session->received(receipt_of(s.channel.id, 1'000, 1'000)).has_value());
  CHECK_FALSE(is_free());
  CHECK(s.accepted() == "done");
  CHECK(is_free());
  CHECK(s.world.session->received(receipt_of(s.channel.id, 1'000, 1'000)).has_value());
  CHECK(is_free());
}

TEST_CASE("streams: another process may have signed meanwhile") {
  Streaming s;
  Channel theirs = row(s.world);
  REQUIRE(s.world.channels.raise_signed(theirs, Amount(5'000)).has_value());
  CHECK(s.needs(4'000) == "voucher 5000");
  CHECK(s.accepted() == "done");
  s.world.session->delivered(1, 1);
  CHECK(s.needs(6'000) == "voucher 15000");
}

}  // namespace
}  // namespace paycurl::tempo
