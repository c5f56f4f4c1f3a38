// What servers say about sessions: offers and snapshots, believed as far as they can be checked.
#include <functional>

#include <doctest/doctest.h>

#include "src/methods/tempo/session.h"
#include "tests/unit/methods/session_world.h"
#include "tests/unit/vectors.h"

namespace paycurl::tempo {
namespace {

using test::at;
using test::text;

Challenge vector_offer() {
  for (const Json& c : test::list(test::load("tempo-challenge"), "serialize")) {
    const Json& challenge = at(c, "challenge");
    if (text(challenge, "intent") != "session") continue;
    Challenge read;
    read.request = at(challenge, "request");
    return read;
  }
  FAIL("no session among the vectors");
  return {};
}

Result<SessionTerms> read(const Challenge& challenge, const MethodOptions& options = {}) {
  static test::NodeClient client;
  const auto networks = Networks::make(options, client);
  REQUIRE(networks.has_value());
  return read_session(challenge, *networks);
}

Challenge with(std::string_view key, const Json& value) {
  Challenge challenge = vector_offer();
  challenge.request.set(std::string(key), value);
  return challenge;
}

Challenge with_detail(std::string_view key, const Json& value) {
  Challenge challenge = vector_offer();
  Json details = at(challenge.request, "methodDetails");
  challenge.request.set("methodDetails", details.set(std::string(key), value));
  return challenge;
}

TEST_CASE("offers of sessions") {
  const auto terms = read(vector_offer());
  REQUIRE(terms.has_value());
  CHECK(terms->version == Version::v2);
  CHECK(terms->chain == 42431);
  CHECK(terms->escrow == reserve());
  CHECK(terms->amount == Amount(1000));
  CHECK(terms->unit == "request");
  CHECK(terms->suggested_deposit == Amount(1'000'000));
  CHECK(terms->operator_.is_zero());
  CHECK_FALSE(terms->sponsored);
  CHECK(terms->least_step.is_zero());
  CHECK(terms->snapshot.is_null());
  CHECK(terms->asset.symbol == "AlphaUSD");
  CHECK(terms->fee_asset == terms->asset);
  const Spend price = price_of(*terms);
  CHECK(price.why == Purpose::session);
  CHECK(price.total.amount == Amount(1000));
  CHECK(price.price == Amount(1000));
  CHECK(price.payees.front().address == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
}

TEST_CASE("offers of sessions: members that are missing or odd") {
  const std::vector<Json> odd{Json(1), Json(true), Json("x"), Json::array(), Json::object()};
  for (const char* key : {"amount", "currency", "recipient"}) {
    CAPTURE(key);
    CHECK(read(with(key, Json())).error().kind == Kind::protocol);
    for (const Json& value : odd)
      CHECK(read(with(key, value)).error().kind == Kind::protocol);
  }
  for (const char* amount : {"-1", "01", "1.5", "1e3", "0x10", " 1", "", "0"}) {
    CAPTURE(amount);
    CHECK(read(with("amount", amount)).error().reason == "malformed");
  }
  for (const Json& value : odd) {
    CHECK(read(with("suggestedDeposit", value)).error().kind == Kind::protocol);
    CHECK(read(with_detail("escrowContract", value)).error().kind == Kind::protocol);
    CHECK(read(with_detail("operator", value)).error().kind == Kind::protocol);
    CHECK(read(with_detail("minVoucherDelta", value)).error().kind == Kind::protocol);
    CHECK(read(with_detail("feeToken", value)).error().kind == Kind::protocol);
    CHECK_FALSE(read(with_detail("sessionProtocol", value)).has_value());
  }
  CHECK(read(with("suggestedDeposit", Json())).has_value());
  CHECK(read(with("unitType", Json(1))).error().kind == Kind::protocol);
  CHECK(read(with("unitType", Json()))->unit.empty());
  CHECK(read(with("methodDetails", Json())).error().kind == Kind::protocol);
  CHECK(read(with("methodDetails", Json("x"))).error().kind == Kind::protocol);
  CHECK(read(with_detail("escrowContract", Json())).error().kind == Kind::protocol);
  CHECK(read(with_detail("feePayer", Json("true"))).error().kind == Kind::protocol);
  CHECK(read(with_detail("feePayer", Json(true)))->sponsored);
  for (const Json& chain : {Json("42431"), Json(0), Json(-1), Json(1.5)}) {
    CHECK(read(with_detail("chainId", chain)).error().kind == Kind::protocol);
  }
  CHECK(read(with_detail("chainId", Json(1))).error().reason == "wrong_network");
  CHECK(read(with("currency", "0x1111111111111111111111111111111111111111")).error().reason ==
        "unknown_token");
  CHECK(read(with_detail("sessionProtocol", "v3")).error().reason == "unknown_intent");
}

TEST_CASE("offers of sessions: escrows are ours, or the user's") {
  const std::string other = "0x1111111111111111111111111111111111111111";
  const auto refused = read(with_detail("escrowContract", other));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == Kind::unsupported);
  CHECK(refused.error().reason == "excluded");
  MethodOptions trusting;
  trusting.own["allow-escrow"] = other;
  CHECK(read(with_detail("escrowContract", other), trusting)->escrow.lower_hex() == other);
  CHECK_FALSE(read(with_detail("escrowContract", other.substr(0, 40) + "22"), trusting));
  CHECK(read(vector_offer(), trusting).has_value());  // ours stay known
}

TEST_CASE("offers of sessions: without a version they are of the first") {
  const std::string contract = "0xe1c4d3dce17bc111181ddf716f75bae49e61a336";
  Challenge challenge = with_detail("escrowContract", contract);
  Json details = at(challenge.request, "methodDetails");
  challenge.request.set("methodDetails", details.set("sessionProtocol", Json()));
  CHECK(read(challenge)->version == Version::v1);
  challenge.request.set("methodDetails", details.set("sessionProtocol", "v1"));
  CHECK(read(challenge)->version == Version::v1);
  // The reserve is none of the first version.
  CHECK(read(with_detail("sessionProtocol", Json())).error().reason == "excluded");
}

TEST_CASE("offers of sessions: amounts that no channel holds") {
  const std::string most96 = "79228162514264337593543950335";
  const std::string over96 = "79228162514264337593543950336";
  const std::string most128 = "340282366920938463463374607431768211455";
  const std::string over128 = "340282366920938463463374607431768211456";
  for (const char* key : {"amount", "suggestedDeposit"}) {
    CAPTURE(key);
    CHECK(read(with(key, most96)).has_value());
    CHECK(read(with(key, over96)).error().reason == "malformed");
    Challenge v1 = with(key, most128);
    Json details = at(v1.request, "methodDetails");
    details.set("sessionProtocol", "v1");
    details.set("escrowContract", "0xe1c4d3dce17bc111181ddf716f75bae49e61a336");
    v1.request.set("methodDetails", details);
    CHECK(read(v1).has_value());
    v1.request.set(key, over128);
    CHECK(read(v1).error().reason == "malformed");
  }
}

TEST_CASE("how far vouchers may run ahead") {
  test::NodeClient client;
  const auto step = [&](std::uint64_t price, const char* own) {
    MethodOptions options;
    if (own != nullptr) options.own["step"] = own;
    const auto networks = Networks::make(options, client);
    SessionTerms terms = *read_session(vector_offer(), *networks);
    terms.amount = Amount(price);
    return step_of(terms, *networks);
  };
  CHECK(step(1, nullptr) == Amount(10'000));
  CHECK(step(1'000, nullptr) == Amount(10'000));
  CHECK(step(1'001, nullptr) == Amount(10'010));
  CHECK(step(1'000, "0.5") == Amount(500'000));
  CHECK(step(1'000, "0") == Amount(1'000));
}

// ---- snapshots

const Json& good() {
  return at(test::load("tempo-snapshot"), "snapshot");
}

Address payer() {
  return *Address::parse("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

Json changed(const std::function<void(Json&)>& change) {
  Json snapshot = good();
  change(snapshot);
  return snapshot;
}

bool refused(const std::function<void(Json&)>& change) {
  const auto snapshot = read_snapshot(changed(change), payer());
  if (!snapshot) CHECK(snapshot.error().kind == Kind::protocol);
  return !snapshot.has_value();
}

TEST_CASE("snapshots: what holds is taken") {
  const auto snapshot = read_snapshot(good(), payer());
  REQUIRE(snapshot.has_value());
  CHECK(snapshot->deposit == Amount(1'000'000));
  CHECK(snapshot->accepted == Amount(3'000));
  CHECK(snapshot->spent == Amount(3'000));
  CHECK(snapshot->units == 3);
  CHECK(to_0x(channel_id(snapshot->descriptor)) == text(good(), "channelId"));
  // Nothing accepted needs no voucher.
  const auto fresh = read_snapshot(changed([](Json& s) {
                                     s.set("acceptedCumulative", "0").set("spent", "0");
                                     s.set("highestVoucher", Json());
                                   }),
                                   payer());
  REQUIRE(fresh.has_value());
  CHECK(fresh->accepted.is_zero());
}

TEST_CASE("snapshots: the field of the header") {
  const auto bytes = from_base64(text(test::load("tempo-snapshot"), "header"));
  REQUIRE(bytes.has_value());
  const auto json = Json::parse(as_text(*bytes));
  REQUIRE(json.has_value());
  CHECK(read_snapshot(*json, payer()).has_value());
}

TEST_CASE("snapshots: of another channel or payer") {
  CHECK(refused([](Json& s) { s.set("channelId", to_0x(Digest{})); }));
  CHECK(refused([](Json& s) { s.set("chainId", 4217); }));
  CHECK(refused([](Json& s) { s.set("escrow", "0x1111111111111111111111111111111111111111"); }));
  for (const char* key : {"channelId", "chainId", "escrow", "descriptor", "deposit", "spent",
                          "acceptedCumulative", "highestVoucher"}) {
    CAPTURE(key);
    for (const Json& odd : {Json(), Json("x"), Json(-1), Json::array(), Json::object()}) {
      CHECK(refused([&](Json& s) { s.set(key, odd); }));
    }
  }
  CHECK(refused([](Json& s) { s.set("units", "3"); }));
  const Address other = *Address::parse("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
  CHECK_FALSE(read_snapshot(good(), other).has_value());
  // A channel of ours whose vouchers somebody else signs, its id being right.
  for (const char* key : {"payer", "authorizedSigner"}) {
    CHECK(refused([&](Json& s) {
      Json descriptor = at(s, "descriptor");
      descriptor.set(key, other.checksummed());
      s.set("descriptor", descriptor);
      const auto read_it = Descriptor::from_json(descriptor, 42431, reserve());
      s.set("channelId", to_0x(channel_id(*read_it)));
    }));
  }
}

TEST_CASE("snapshots: numbers out of order") {
  CHECK(refused([](Json& s) { s.set("spent", "3001"); }));
  CHECK(refused([](Json& s) { s.set("deposit", "2999"); }));
  CHECK_FALSE(refused([](Json& s) { s.set("deposit", "3000"); }));
  CHECK(refused([](Json& s) { s.set("acceptedCumulative", "3001"); }));
}

TEST_CASE("snapshots: vouchers that are not ours") {
  const auto with_voucher = [](const char* key, const Json& value) {
    return [key, value](Json& s) {
      Json voucher = at(s, "highestVoucher");
      s.set("highestVoucher", voucher.set(key, value));
    };
  };
  const std::string signature = text(at(good(), "highestVoucher"), "signature");
  CHECK(refused(with_voucher("signature", Json())));
  CHECK(refused(with_voucher("signature", "0x")));
  CHECK(refused(with_voucher("signature", signature.substr(0, signature.size() - 2))));
  CHECK(refused(with_voucher("signature", signature.substr(0, signature.size() - 2) + "00")));
  CHECK(refused(with_voucher("signature", signature.substr(0, signature.size() - 2) + "1c")));
  CHECK(refused(with_voucher("cumulativeAmount", "4000")));
  CHECK(refused(with_voucher("cumulativeAmount", Json())));
  // Of another key, and of ours for another sum.
  const auto snapshot = read_snapshot(good(), payer());
  const Digest id = channel_id(snapshot->descriptor);
  const auto made = [&](const PrivateKey& key, std::uint64_t sum) {
    return to_0x(key.sign(voucher_digest(snapshot->descriptor, id, Amount(sum))).bytes());
  };
  CHECK(refused(with_voucher("signature", made(PrivateKey::generate(), 3'000))));
  const Json& keys = test::load("tempo-keys");
  const auto ours = PrivateKey::parse(text(test::list(keys, "cases")[0], "privateKey"));
  REQUIRE(ours->address() == payer());
  CHECK(refused(with_voucher("signature", made(*ours, 2'999))));
  CHECK_FALSE(refused(with_voucher("signature", made(*ours, 3'000))));
}

}  // namespace
}  // namespace paycurl::tempo
