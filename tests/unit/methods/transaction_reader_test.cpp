// Signed Tempo transactions: what viem and ox write is read as what it was made from, and every
// other spelling is refused.
#include "src/methods/tempo/transaction_reader.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "src/methods/tempo/charge.h"
#include "tests/unit/vectors.h"

namespace paycurl::tempo {
namespace {

using evm::Rlp;

Result<SignedTransaction> read(const std::string& hex) {
  return read_transaction(*from_hex(hex));
}

Bytes wire(std::uint8_t type, const Rlp& fields) {
  Bytes all{type};
  const Bytes encoded = fields.encode();
  all.insert(all.end(), encoded.begin(), encoded.end());
  return all;
}

/// The fields of the first vector, as it is sent by a payer who pays the fee.
Rlp simple_fields() {
  const Json& first = test::list(test::load("tempo-tx"), "cases")[0];
  const Bytes bytes = test::bytes(test::at(first, "selfPaid"), "serialized");
  return *Rlp::decode(ByteView(bytes).subspan(1));
}

std::uint64_t number_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  if (value == nullptr || value->is_null()) return 0;
  if (const auto whole = value->integer()) return static_cast<std::uint64_t>(*whole);
  return std::stoull(*value->string());
}

void check_fields(const SignedTransaction& found, const Json& input) {
  CHECK(found.chain == number_at(input, "chainId"));
  CHECK(found.gas == number_at(input, "gas"));
  CHECK(found.nonce == number_at(input, "nonce"));
  CHECK(found.valid_before == number_at(input, "validBefore"));
  CHECK(found.valid_after == number_at(input, "validAfter"));
  CHECK(found.max_fee.decimal() == test::text(input, "maxFeePerGas"));
  CHECK(found.priority_fee.decimal() == test::text(input, "maxPriorityFeePerGas"));
  const auto& calls = test::list(input, "calls");
  REQUIRE(found.calls.size() == calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Json* data = calls[i].find("data");
    const Json* value = calls[i].find("value");
    CHECK(*found.calls[i].to == *Address::parse(test::text(calls[i], "to")));
    CHECK(found.calls[i].input == (data == nullptr ? Bytes() : *from_hex(*data->string())));
    CHECK(found.calls[i].value.decimal() == (value == nullptr ? "0" : *value->string()));
  }
}

TEST_CASE("transactions of viem are read as what they were made from") {
  std::size_t count = 0;
  for (const Json& c : test::list(test::load("tempo-tx"), "cases")) {
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    const Json& own = test::at(c, "selfPaid");
    const Json& sponsored = test::at(c, "sponsored");
    const auto signer = *Address::parse(test::text(own, "signer"));
    const auto plain = read(test::text(own, "serialized"));
    REQUIRE(plain.has_value());
    CHECK(plain->verified);
    CHECK(plain->sender == signer);
    CHECK(to_0x(plain->hash) == test::text(own, "txHash"));
    CHECK_FALSE(plain->awaits_fee_payer);
    CHECK_FALSE(plain->fee_payer.has_value());
    check_fields(*plain, test::at(c, "input"));

    for (const char* form : {"clientWire_0x78", "clientWire_0x76_placeholder"}) {
      const auto handed_off = read(test::text(sponsored, form));
      REQUIRE(handed_off.has_value());
      CHECK(handed_off->verified);
      CHECK(handed_off->sender == signer);
      CHECK(handed_off->awaits_fee_payer);
      CHECK_FALSE(handed_off->fee_payer.has_value());
      check_fields(*handed_off, test::at(c, "input"));
    }
    const auto whole = read(test::text(sponsored, "finalSerialized"));
    REQUIRE(whole.has_value());
    CHECK(whole->sender == signer);
    CHECK(*whole->fee_payer ==
          *Address::parse(test::text(test::at(sponsored, "feePayer"), "address")));
    CHECK_FALSE(whole->awaits_fee_payer);
    CHECK(to_0x(whole->hash) == test::text(sponsored, "finalTxHash"));
    ++count;
  }
  CHECK(count > 15);
}

TEST_CASE("what we write is read back") {
  const auto key = PrivateKey::generate();
  for (const bool sponsored : {false, true}) {
    Transaction made = expiring_transaction(4217, {{Address(ByteArray<20>{1}), {1, 2, 3}}}, 80'000,
                                            1'800'000'000'000, std::nullopt);
    made.sponsored = sponsored;
    const Bytes preimage = signing_preimage(made);
    const auto bytes = complete(preimage, key.address(), key.sign(keccak256(preimage)));
    const auto found = read_transaction(*bytes);
    REQUIRE(found.has_value());
    CHECK(found->sender == key.address());
    CHECK(found->type == (sponsored ? 0x78 : 0x76));
    CHECK(found->chain == made.chain);
    CHECK(found->nonce_key == expiring_nonce_key());
    CHECK(found->valid_after == made.valid_after);
    CHECK(found->valid_before == made.valid_before);
    CHECK(found->calls.front().input == made.calls.front().input);
  }
}

TEST_CASE("signatures of other kinds name their sender and are not verified") {
  const Json& vectors = test::load("tempo-signature-envelope");
  const Json& p256 = test::at(vectors, "p256");
  const auto found = read(test::text(p256, "serializedTx"));
  REQUIRE(found.has_value());
  CHECK(found->signature == "p256");
  CHECK(found->sender == *Address::parse(test::text(p256, "address")));
  CHECK_FALSE(found->verified);

  const Json& keychain = test::at(vectors, "keychainV2");
  Rlp fields = simple_fields();
  fields.items().back() = Rlp::bytes(test::bytes(keychain, "envelope"));
  const auto by_key = read_transaction(wire(0x76, fields));
  REQUIRE(by_key.has_value());
  CHECK(by_key->signature == "keychain");
  CHECK(by_key->sender == *Address::parse(test::text(keychain, "rootAddress")));
  CHECK_FALSE(by_key->verified);
}

TEST_CASE("v of 0 and 1 is the same transaction") {
  Rlp fields = simple_fields();
  const auto canonical = read_transaction(wire(0x76, fields));
  Bytes signature = fields.items().back().content();
  signature.back() = static_cast<std::uint8_t>(signature.back() - 27);
  fields.items().back() = Rlp::bytes(signature);
  const auto other = read_transaction(wire(0x76, fields));
  REQUIRE(other.has_value());
  CHECK(other->hash == canonical->hash);
  CHECK(other->sender == canonical->sender);
}

TEST_CASE("every other spelling is refused") {
  const Rlp good = simple_fields();
  const auto refused = [&](std::size_t field, const Rlp& value, std::uint8_t type = 0x76) {
    Rlp fields = good;
    fields.items()[field] = value;
    const auto found = read_transaction(wire(type, fields));
    return !found && found.error().kind == Kind::protocol && found.error().reason == "malformed";
  };
  CHECK(refused(0, Rlp::bytes(Bytes{0x00, 0x01})));  // not minimal
  CHECK(refused(0, Rlp::bytes(Bytes(9, 1))));        // longer than 64 bits
  CHECK(refused(1, Rlp::bytes(Bytes(17, 1))));       // longer than 128
  CHECK(refused(6, Rlp::bytes(Bytes(33, 1))));       // longer than 256
  CHECK(refused(3, Rlp::list()));                    // a list for a number
  CHECK(refused(4, Rlp::list()));                    // no calls
  CHECK(refused(4, Rlp::bytes(Bytes{1})));           // no list of calls
  CHECK(refused(4, Rlp::list(std::vector<Rlp>(33, good.items()[4].items()[0]))));
  CHECK(refused(
      4, Rlp::list({Rlp::list({Rlp::bytes(Bytes(19, 1)), Rlp::bytes({}), Rlp::bytes({})})})));
  CHECK(refused(5, Rlp::bytes({})));             // no access list
  CHECK(refused(10, Rlp::bytes(Bytes(19, 1))));  // no address
  CHECK(refused(11, Rlp::bytes(Bytes(20, 1))));  // a sender in the wrong type
  CHECK(refused(11, Rlp::list({Rlp::integer(2), Rlp::integer(1), Rlp::integer(1)})));
  CHECK(refused(11, Rlp::bytes({}), 0x78));              // a hand-off without its sender
  CHECK(refused(11, Rlp::bytes(Bytes(20, 1)), 0x78));    // by somebody who did not sign
  CHECK(refused(13, Rlp::bytes({})));                    // no signature
  CHECK(refused(13, Rlp::bytes(Bytes(65, 0xff))));       // an impossible one
  CHECK(refused(13, Rlp::bytes(Bytes{0x03, 1, 2, 3})));  // of an unknown kind

  Rlp flipped = good;  // the same signature with a high s
  Bytes signature = flipped.items().back().content();
  Bytes order = *from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  int borrow = 0;
  for (std::size_t i = 32; i-- > 0;) {
    const int digit = order[i] - signature[32 + i] - borrow;
    borrow = digit < 0 ? 1 : 0;
    signature[32 + i] = static_cast<std::uint8_t>(digit & 0xff);
  }
  signature[64] = static_cast<std::uint8_t>(signature[64] ^ 7);  // 27 <-> 28
  flipped.items().back() = Rlp::bytes(signature);
  CHECK_FALSE(read_transaction(wire(0x76, flipped)).has_value());

  Rlp unsigned_one = good;
  unsigned_one.items().pop_back();
  CHECK_FALSE(read_transaction(wire(0x76, unsigned_one)).has_value());
  CHECK_FALSE(read_transaction(wire(0x02, good)).has_value());
  for (const char* hex : {"", "76", "76c0", "7680", "78"}) {
    CHECK_FALSE(read(hex).has_value());
  }
  Bytes bytes = wire(0x76, good);
  REQUIRE(read_transaction(bytes).has_value());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(read_transaction(ByteView(bytes).first(size)).has_value());
  }
  bytes.push_back(0);
  CHECK_FALSE(read_transaction(bytes).has_value());
}

TEST_CASE("transfers are told from other calls") {
  const Address token(ByteArray<20>{0x20, 0xc0});
  const Transfer plain{Address(ByteArray<20>{7}), Amount(12'345), std::nullopt};
  const Transfer with_memo{Address(ByteArray<20>{8}), Amount(1), Memo{9}};
  for (const Transfer& transfer : {plain, with_memo}) {
    const Call call = transfer_call(token, transfer);
    const auto found = read_transfer_call(call.input);
    REQUIRE(found.has_value());
    CHECK(found->to == transfer.to);
    CHECK(found->amount == transfer.amount);
    CHECK(found->memo == transfer.memo);
    Bytes longer = call.input;
    longer.push_back(0);
    CHECK_FALSE(read_transfer_call(longer).has_value());
    CHECK_FALSE(read_transfer_call(ByteView(call.input).first(call.input.size() - 1)).has_value());
    Bytes padded = call.input;
    padded[4] = 1;  // in front of the address
    CHECK_FALSE(read_transfer_call(padded).has_value());
  }
  CHECK_FALSE(read_transfer_call({}).has_value());
  CHECK_FALSE(read_transfer_call(Bytes(68, 0)).has_value());
}

}  // namespace
}  // namespace paycurl::tempo
