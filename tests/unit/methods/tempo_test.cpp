// Tempo: transactions, memos, proofs and charges, byte for byte as viem and mppx make them.
#include <doctest/doctest.h>

#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/charge.h"
#include "tests/unit/vectors.h"

namespace paycurl::tempo {
namespace {

std::uint64_t number(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  if (value == nullptr || value->is_null()) return 0;
  if (const auto whole = value->integer()) return static_cast<std::uint64_t>(*whole);
  return std::stoull(*value->string());
}

Amount hex_amount(const Json& json, std::string_view key) {
  std::string hex = test::text(json, key).substr(2);
  if (hex.size() % 2 != 0) hex.insert(0, "0");
  return *Amount::from_big_endian(*from_hex(hex));
}

Transaction transaction_of(const Json& input) {
  Transaction transaction;
  transaction.chain = number(input, "chainId");
  transaction.priority_fee = *Amount::parse(test::text(input, "maxPriorityFeePerGas"));
  transaction.max_fee = *Amount::parse(test::text(input, "maxFeePerGas"));
  transaction.gas = number(input, "gas");
  for (const Json& call : test::list(input, "calls")) {
    const Json* data = call.find("data");
    const Json* value = call.find("value");
    transaction.calls.push_back({*Address::parse(test::text(call, "to")),
                                 data == nullptr ? Bytes() : *from_hex(*data->string()),
                                 value == nullptr ? Amount() : *Amount::parse(*value->string())});
  }
  if (const Json* list = input.find("accessList")) {
    for (const Json& entry : *list->items()) {
      evm::Rlp keys = evm::Rlp::list();
      for (const Json& key : test::list(entry, "storageKeys")) {
        keys.items().push_back(evm::Rlp::bytes(*from_hex(*key.string())));
      }
      transaction.access_list.items().push_back(
          evm::Rlp::list({evm::Rlp::address(*Address::parse(test::text(entry, "address"))), keys}));
    }
  }
  transaction.nonce_key = hex_amount(input, "nonceKey");
  transaction.nonce = number(input, "nonce");
  transaction.valid_before = number(input, "validBefore");
  transaction.valid_after = number(input, "validAfter");
  if (const Json* token = input.find("feeToken"))
    transaction.fee_token = *Address::parse(*token->string());
  return transaction;
}

TEST_CASE("transactions: preimage, hash, signature, wire form") {
  const auto keys = test::load("tempo-keys");
  const auto payer = PrivateKey::parse(test::text(test::list(keys, "cases")[0], "privateKey"));
  for (const Json& c : test::list(test::load("tempo-tx"), "cases")) {
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    Transaction transaction = transaction_of(test::at(c, "input"));
    for (const bool sponsored : {false, true}) {
      CAPTURE(sponsored);
      const Json& expected = test::at(c, sponsored ? "sponsored" : "selfPaid");
      transaction.sponsored = sponsored;
      const Bytes preimage = signing_preimage(transaction);
      REQUIRE(to_0x(preimage) == test::text(expected, "signingPreimage"));
      const Digest digest = keccak256(preimage);
      CHECK(to_0x(digest) == test::text(expected, "signingHash"));
      const Signature signature = payer->sign(digest);
      const auto wire = complete(preimage, payer->address(), signature);
      REQUIRE(wire.has_value());
      CHECK(to_0x(*wire) == test::text(expected, sponsored ? "clientWire_0x78" : "serialized"));
      CHECK(to_0x(expiring_nonce_hash(preimage, payer->address())) ==
            test::text(expected, "expiringNonceHash"));
      if (!sponsored) CHECK(to_0x(keccak256(*wire)) == test::text(expected, "txHash"));
      CHECK(read_preimage(preimage)->valid_before == transaction.valid_before);
      CHECK(read_preimage(preimage)->max_fee == transaction.max_fee);
      CHECK(read_preimage(preimage)->sponsored == sponsored);
    }
  }
}

TEST_CASE("what is no preimage is not completed") {
  const auto key = PrivateKey::generate();
  const Signature signature = key.sign(Digest{});
  for (const char* hex : {"", "76", "76c0", "78c0", "76ff", "76cd80808080c0c08080808080"}) {
    CAPTURE(hex);
    CHECK_FALSE(complete(*from_hex(hex), key.address(), signature).has_value());
  }
}

TEST_CASE("attribution memos") {
  for (const Json& c : test::list(test::load("tempo-attribution"), "cases")) {
    const Json& input = test::at(c, "input");
    const Json* client = input.find("clientId");
    const std::string client_id = client && client->string() ? *client->string() : "";
    CHECK(to_0x(attribution_memo(test::text(input, "realm"), client_id,
                                 test::text(input, "challengeId"))) == test::text(c, "memo"));
  }
}

TEST_CASE("proofs: the typed data of version 3") {
  for (const Json& c : test::list(test::load("tempo-proof"), "cases")) {
    const Json& input = test::at(c, "input");
    const auto key = PrivateKey::parse(test::text(input, "privateKey"));
    const Digest digest =
        proof_digest(number(input, "chainId"), key->address(), test::text(input, "challengeId"),
                     test::text(input, "realm"));
    CHECK(to_0x(digest) == test::text(c, "digest"));
    CHECK(to_0x(key->sign(digest).bytes()) == test::text(c, "signature"));
  }
}

TEST_CASE("channel ids are words that are hashed") {
  const Json vectors = test::load("tempo-channel-id");
  const auto append = [](Bytes& out, const evm::Word& word) {
    out.insert(out.end(), word.begin(), word.end());
  };
  const auto salt_of = [](const Json& from, std::string_view key) {
    evm::Word word{};
    REQUIRE(from_hex(test::text(from, key), word).has_value());
    return word;
  };
  for (const Json& c : test::list(vectors, "v2")) {
    const Json& d = test::at(c, "descriptor");
    Bytes words;
    for (const char* key : {"payer", "payee", "operator", "token"}) {
      append(words, evm::word(*Address::parse(test::text(d, key))));
    }
    append(words, salt_of(d, "salt"));
    append(words, evm::word(*Address::parse(test::text(d, "authorizedSigner"))));
    append(words, salt_of(d, "expiringNonceHash"));
    append(words, evm::word(*Address::parse(test::text(c, "escrow"))));
    append(words, evm::word(Amount(number(c, "chainId"))));
    CHECK(to_0x(words) == test::text(c, "preimage"));
    CHECK(to_0x(keccak256(words)) == test::text(c, "channelId"));
  }
  for (const Json& c : test::list(vectors, "v1")) {
    CHECK(to_0x(keccak256(test::bytes(c, "preimage"))) == test::text(c, "channelId"));
  }
}

TEST_CASE("the secp256k1 form of signatures") {
  const Json vector = test::at(test::load("tempo-signature-envelope"), "secp256k1");
  Digest digest{};
  REQUIRE(from_hex(test::text(vector, "payload"), digest).has_value());
  const Bytes envelope = test::bytes(vector, "envelope");
  REQUIRE(envelope.size() == 65);
  Signature signature{};
  std::copy_n(envelope.begin(), 32, signature.r.begin());
  std::copy_n(envelope.begin() + 32, 32, signature.s.begin());
  signature.parity = static_cast<std::uint8_t>(envelope[64] - 27);
  CHECK(recover(digest, signature)->checksummed() == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

Json request(const std::string& more) {
  return *Json::parse(R"({"amount":"10000","currency":"0x20c0000000000000000000000000000000000001",
    "recipient":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8")" +
                      more + "}");
}

TEST_CASE("charges: what is asked for") {
  const auto charge = parse_charge(
      request(R"(,"methodDetails":{"chainId":42431,"feePayer":true,"supportedModes":["pull"],
    "memo":"0xabababababababababababababababababababababababababababababababab",
    "splits":[{"amount":"2000","recipient":"0x90F79bf6EB2c4f870365E785982E1f101E93b906"}],"later":[1,2]})"));
  REQUIRE(charge.has_value());
  CHECK(charge->amount == Amount(10000));
  CHECK(*charge->chain == 42431);
  CHECK(charge->fee_payer);
  CHECK(charge->allows_pull);
  CHECK_FALSE(charge->allows_push);
  const auto transfers = transfers_of(*charge, *charge->memo);
  REQUIRE(transfers.size() == 2);
  CHECK(transfers[0].amount == Amount(8000));
  CHECK(transfers[0].memo.has_value());
  CHECK(transfers[1].amount == Amount(2000));
  CHECK_FALSE(transfers[1].memo.has_value());
  CHECK(transfer_call(charge->currency, transfers[1]).input.size() == 4 + 64);
}

TEST_CASE("charges that are malformed") {
  const std::string split =
      R"({"amount":"1","recipient":"0x90F79bf6EB2c4f870365E785982E1f101E93b906"})";
  std::string eleven = split;
  for (int i = 0; i < 10; ++i)
    eleven += "," + split;
  for (
      const std::string& more :
      {std::string(R"(,"methodDetails":[])"),
       std::string(R"(,"methodDetails":{"chainId":"42431"})"),
       std::string(R"(,"methodDetails":{"chainId":-1})"),
       std::string(R"(,"methodDetails":{"feePayer":"yes"})"),
       std::string(R"(,"methodDetails":{"memo":"0x12"})"),
       std::string(R"(,"methodDetails":{"supportedModes":"pull"})"),
       std::string(
           R"(,"methodDetails":{"splits":[{"amount":"10000","recipient":"0x90F79bf6EB2c4f870365E785982E1f101E93b906"}]})"),
       std::string(
           R"(,"methodDetails":{"splits":[{"amount":"99999","recipient":"0x90F79bf6EB2c4f870365E785982E1f101E93b906"}]})"),
       std::string(
           R"(,"methodDetails":{"splits":[{"amount":"0","recipient":"0x90F79bf6EB2c4f870365E785982E1f101E93b906"}]})"),
       std::string(R"(,"methodDetails":{"splits":[5]})"),
       R"(,"methodDetails":{"splits":[)" + eleven + "]}"}) {
    CAPTURE(more);
    CHECK_FALSE(parse_charge(request(more)).has_value());
  }
  for (const char* amount :
       {"10000", "\"0x2710\"", "\"00010000\"", "\"1e3\"", "\"-1\"", "\" 1\"", "null", "\"\""}) {
    CAPTURE(amount);
    CHECK_FALSE(
        parse_charge(
            *Json::parse(
                std::string(R"({"amount":)") + amount +
                R"(,"currency":"0x20c0000000000000000000000000000000000001","recipient":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8"})"))
            .has_value());
  }
}

TEST_CASE("known tokens are ours, chain by chain") {
  const Address alpha = *Address::parse("0x20c0000000000000000000000000000000000001");
  const Address usdc = *Address::parse("0x20C000000000000000000000b9537d11c60E8b50");
  CHECK(known_token(kTestnet, alpha)->symbol == "AlphaUSD");
  CHECK_FALSE(known_token(kMainnet, alpha).has_value());
  CHECK(known_token(kMainnet, usdc)->symbol == "USDC.e");
  CHECK_FALSE(known_token(kTestnet, usdc).has_value());
  CHECK(known_token(1337, alpha)->network == "tempo:1337");
  CHECK(*chain_of("tempo:42431") == 42431);
  for (const char* name : {"tempo:", "tempo:x", "evm:1", "tempo:1x"})
    CHECK_FALSE(chain_of(name).has_value());
}

}  // namespace
}  // namespace paycurl::tempo
