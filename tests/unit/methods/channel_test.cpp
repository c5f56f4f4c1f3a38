// Payment channels byte for byte: ids, vouchers, calls, answers of escrows, logs.
#include "src/methods/tempo/channel.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/unit/vectors.h"

namespace paycurl::tempo {
namespace {

Address address(const Json& json, std::string_view key) {
  return *Address::parse(test::text(json, key));
}

Digest word(const std::string& hex) {
  Digest read{};
  REQUIRE(from_hex(hex, read).has_value());
  return read;
}

Digest word(const Json& json, std::string_view key) {
  return word(test::text(json, key));
}

std::uint64_t chain_in(const Json& json) {
  return static_cast<std::uint64_t>(*test::at(json, "chainId").integer());
}

Descriptor descriptor_v2(const Json& vector) {
  return *Descriptor::from_json(test::at(vector, "descriptor"), chain_in(vector),
                                address(vector, "escrow"));
}

Descriptor descriptor_v1(const Json& vector) {
  Descriptor d;
  d.version = Version::v1;
  d.chain = chain_in(vector);
  d.escrow = address(vector, "escrowContract");
  d.payer = address(vector, "payer");
  d.payee = address(vector, "payee");
  d.token = address(vector, "token");
  d.salt = word(vector, "salt");
  d.signer = address(vector, "authorizedSigner");
  return d;
}

std::vector<Descriptor> all_descriptors() {
  const Json& vectors = test::load("tempo-channel-id");
  std::vector<Descriptor> all;
  for (const Json& c : test::list(vectors, "v2"))
    all.push_back(descriptor_v2(c));
  for (const Json& c : test::list(vectors, "v1"))
    all.push_back(descriptor_v1(c));
  return all;
}

const Json& abi_case(const char* contract, const char* function) {
  for (const Json& c : test::list(test::load("tempo-abi"), "cases")) {
    if (test::text(c, "contract") == contract && test::text(c, "fn") == function) return c;
  }
  FAIL("no such case");
  return test::load("tempo-abi");
}

std::string data_of(const char* contract, const char* function) {
  return test::text(abi_case(contract, function), "data");
}

TEST_CASE("channels: ids") {
  const Json& vectors = test::load("tempo-channel-id");
  for (const Json& c : test::list(vectors, "v2")) {
    CHECK(to_0x(channel_id(descriptor_v2(c))) == test::text(c, "channelId"));
  }
  for (const Json& c : test::list(vectors, "v1")) {
    CHECK(to_0x(channel_id(descriptor_v1(c))) == test::text(c, "channelId"));
  }
}

TEST_CASE("channels: vouchers") {
  const Json& vectors = test::load("tempo-voucher");
  for (const char* version : {"v1", "v2"}) {
    for (const Json& c : test::list(vectors, version)) {
      const Json& domain = test::at(c, "domain");
      Descriptor d;
      d.version = version == std::string("v1") ? Version::v1 : Version::v2;
      d.chain = chain_in(domain);
      d.escrow = address(domain, "verifyingContract");
      const Amount cumulative = *Amount::parse(test::text(c, "cumulativeAmount"));
      const Digest digest = voucher_digest(d, word(c, "channelId"), cumulative);
      CHECK(to_0x(digest) == test::text(c, "digest"));
      const auto key = PrivateKey::parse(test::text(c, "privateKey"));
      const Signature signature = key->sign(digest);
      CHECK(to_0x(signature.bytes()) == test::text(c, "signature"));
      CHECK(recover(digest, signature)->checksummed() == test::text(c, "signer"));
    }
  }
}

TEST_CASE("channels: every part of a descriptor makes another channel") {
  const std::vector<Descriptor> all = all_descriptors();
  const Digest id = channel_id(all.front());
  const auto changed = [&](const auto& change) {
    Descriptor d = all.front();
    change(d);
    return channel_id(d) != id;
  };
  CHECK(changed([](Descriptor& d) { d.chain = 4217; }));
  CHECK(changed([](Descriptor& d) { d.escrow = d.token; }));
  CHECK(changed([](Descriptor& d) { d.payer = d.token; }));
  CHECK(changed([](Descriptor& d) { d.payee = d.token; }));
  CHECK(changed([](Descriptor& d) { d.operator_ = d.token; }));
  CHECK(changed([](Descriptor& d) { d.token = d.payee; }));
  CHECK(changed([](Descriptor& d) { d.salt[31] ^= 1; }));
  CHECK(changed([](Descriptor& d) { d.signer = Address(); }));
  CHECK(changed([](Descriptor& d) { d.expiring_nonce_hash[0] ^= 1; }));
  CHECK(changed([](Descriptor& d) { d.version = Version::v1; }));
}

TEST_CASE("channels: calls of the reserve") {
  const Json& top_up = test::list(abi_case("reserve-v2", "topUp"), "args")[0];
  const Descriptor d = *Descriptor::from_json(top_up, 42431, reserve());
  const Digest id = channel_id(d);
  const auto open = open_calls(d, Amount(1'000'000));
  REQUIRE(open.size() == 1);
  CHECK(open[0].to == reserve());
  CHECK(to_0x(open[0].input) == data_of("reserve-v2", "open"));
  const auto filled = top_up_calls(d, id, Amount(500'000));
  REQUIRE(filled.size() == 1);
  CHECK(to_0x(filled[0].input) == data_of("reserve-v2", "topUp"));
  CHECK(to_0x(request_close_call(d, id).input) == data_of("reserve-v2", "requestClose"));
  CHECK(to_0x(withdraw_call(d, id).input) == data_of("reserve-v2", "withdraw"));
  const Digest asked =
      word(*test::list(abi_case("reserve-v2", "getChannelState"), "args")[0].string());
  CHECK(to_0x(state_question(Version::v2, asked)) == data_of("reserve-v2", "getChannelState"));
}

TEST_CASE("channels: calls of the escrow contract approve what they move") {
  Descriptor d = descriptor_v1(test::list(test::load("tempo-channel-id"), "v1")[0]);
  const Digest id = word(*test::list(abi_case("escrow-v1", "getChannel"), "args")[0].string());
  const auto approval = [&](std::uint64_t amount) {
    return evm::Call(0x095ea7b3).add(d.escrow).add(Amount(amount)).bytes();
  };
  const auto open = open_calls(d, Amount(1'000'000));
  REQUIRE(open.size() == 2);
  CHECK(open[0].to == d.token);
  CHECK(open[0].input == approval(1'000'000));
  CHECK(open[1].to == d.escrow);
  CHECK(to_0x(open[1].input) == data_of("escrow-v1", "open"));
  const auto filled = top_up_calls(d, id, Amount(500'000));
  REQUIRE(filled.size() == 2);
  CHECK(filled[0].to == d.token);
  CHECK(filled[0].input == approval(500'000));
  CHECK(to_0x(filled[1].input) == data_of("escrow-v1", "topUp"));
  CHECK(to_0x(request_close_call(d, id).input) == data_of("escrow-v1", "requestClose"));
  CHECK(to_0x(withdraw_call(d, id).input) == data_of("escrow-v1", "withdraw"));
  CHECK(withdraw_call(d, id).to == d.escrow);
  CHECK(to_0x(state_question(Version::v1, id)) == data_of("escrow-v1", "getChannel"));
}

TEST_CASE("channels: descriptors as text") {
  for (const Descriptor& d : all_descriptors()) {
    const auto read = Descriptor::parse(d.to_text());
    REQUIRE(read.has_value());
    CHECK(*read == d);
    CHECK(read->to_text() == d.to_text());
  }
  const std::string text = all_descriptors().front().to_text();
  for (const char* key : {"payer", "payee", "operator", "token", "salt", "authorizedSigner",
                          "expiringNonceHash", "version", "chain", "escrow"}) {
    for (const Json& odd : {Json(), Json("0x12"), Json(true), Json("zz"), Json::array()}) {
      CAPTURE(key);
      CHECK_FALSE(Descriptor::parse(Json::parse(text)->set(key, odd).dump()).has_value());
    }
  }
  for (const char* bad : {"", "{}", "[]", "null", "{"}) {
    CHECK_FALSE(Descriptor::parse(bad).has_value());
  }
}

TEST_CASE("channels: known escrows") {
  const Address other = *Address::parse("0x1111111111111111111111111111111111111111");
  CHECK(is_known_escrow(Version::v2, 42431, reserve()));
  CHECK(is_known_escrow(Version::v2, 31337, reserve()));
  CHECK_FALSE(is_known_escrow(Version::v1, 42431, reserve()));
  CHECK_FALSE(is_known_escrow(Version::v2, 42431, other));
  const Address main = *Address::parse("0x33b901018174DDabE4841042ab76ba85D4e24f25");
  CHECK(is_known_escrow(Version::v1, 4217, main));
  CHECK_FALSE(is_known_escrow(Version::v2, 4217, main));
  CHECK_FALSE(is_known_escrow(Version::v1, 42431, main));
  CHECK(known_escrows(42431).size() == 3);
}

Bytes words(const std::vector<Amount>& amounts) {
  Bytes all;
  for (const Amount& amount : amounts) {
    const auto bytes = amount.big_endian();
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

TEST_CASE("channels: what an escrow says") {
  const auto v2 = read_state(Version::v2, words({7, 100, 5}));
  REQUIRE(v2.has_value());
  CHECK(v2->exists);
  CHECK(v2->settled == Amount(7));
  CHECK(v2->deposit == Amount(100));
  CHECK(v2->close_requested == 5);
  CHECK_FALSE(read_state(Version::v2, words({0, 0, 0}))->exists);
  const auto v1 = read_state(Version::v1, words({0, 5, 1, 2, 3, 4, 100, 7}));
  REQUIRE(v1.has_value());
  CHECK(v1->exists);
  CHECK(v1->settled == Amount(7));
  CHECK(v1->deposit == Amount(100));
  CHECK(v1->close_requested == 5);
  CHECK_FALSE(read_state(Version::v1, words({1, 0, 1, 2, 3, 4, 100, 100}))->exists);
  CHECK_FALSE(read_state(Version::v1, words({0, 0, 0, 0, 0, 0, 0, 0}))->exists);
  const Amount huge = *Amount(1ULL << 63).times(4);
  CHECK_FALSE(read_state(Version::v2, words({7, 100, huge})).has_value());
  CHECK_FALSE(read_state(Version::v1, words({0, huge, 1, 2, 3, 4, 100, 7})).has_value());
  for (std::size_t size : {0U, 31U, 64U, 95U}) {
    CHECK_FALSE(read_state(Version::v2, Bytes(size)).has_value());
  }
  CHECK_FALSE(read_state(Version::v1, words({0, 5, 1, 2, 3, 4, 100})).has_value());
}

std::string topic(const Address& from) {
  return to_0x(evm::word(from));
}

Json opened_log(const Descriptor& d, Amount deposit) {
  Bytes data;
  const auto add = [&](const evm::Word& part) {
    data.insert(data.end(), part.begin(), part.end());
  };
  const bool v2 = d.version == Version::v2;
  if (v2) add(evm::word(d.operator_));
  add(evm::word(d.token));
  add(evm::word(d.signer));
  add(d.salt);
  if (v2) add(d.expiring_nonce_hash);
  add(evm::word(deposit));
  return Json::object({{"address", d.escrow.lower_hex()},
                       {"topics", Json::Array{opened_topic(d.version), to_0x(channel_id(d)),
                                              topic(d.payer), topic(d.payee)}},
                       {"data", to_0x(data)}});
}

TEST_CASE("channels: logs of openings") {
  for (const Descriptor& d : all_descriptors()) {
    const auto opened = read_opened(opened_log(d, Amount(77)), d.version, d.chain);
    REQUIRE(opened.has_value());
    CHECK(opened->descriptor == d);
    CHECK(opened->deposit == Amount(77));
    // Another chain, version or place makes another id.
    CHECK_FALSE(read_opened(opened_log(d, Amount(77)), d.version, d.chain + 1).has_value());
    const Version other = d.version == Version::v1 ? Version::v2 : Version::v1;
    CHECK_FALSE(read_opened(opened_log(d, Amount(77)), other, d.chain).has_value());
  }
}

TEST_CASE("channels: logs that are none") {
  const Descriptor d = all_descriptors().front();
  const Json good = opened_log(d, Amount(77));
  const auto refused = [&](const char* key, const Json& value) {
    Json log = good;
    return !read_opened(log.set(key, value), d.version, d.chain).has_value();
  };
  for (const char* key : {"address", "topics", "data"}) {
    for (const Json& odd : {Json(), Json("0x"), Json(1), Json("x"), Json::array()}) {
      CAPTURE(key);
      CHECK(refused(key, odd));
    }
  }
  CHECK(refused("address", d.token.lower_hex()));
  const std::string data = test::text(good, "data");
  CHECK(refused("data", data.substr(0, data.size() - 64)));
  const auto& topics = test::list(good, "topics");
  for (std::size_t i = 0; i < topics.size(); ++i) {
    CAPTURE(i);
    Json::Array fewer = topics;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(refused("topics", fewer));
    for (const Json& odd : {Json(), Json("0x12"), Json(1), Json(topic(d.token))}) {
      Json::Array changed = topics;
      changed[i] = odd;
      CHECK(refused("topics", changed));
    }
  }
  // An address with something in front of it.
  Json::Array dirty = topics;
  dirty[2] = Json("0x01" + topics[2].string()->substr(4));
  CHECK(refused("topics", dirty));
}

}  // namespace
}  // namespace paycurl::tempo
