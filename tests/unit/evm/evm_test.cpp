// RLP, ABI words and typed data, against what viem and ox write.
#include <doctest/doctest.h>

#include "src/evm/eip712.h"
#include "src/evm/rlp.h"
#include "src/evm/rpc.h"
#include "tests/unit/vectors.h"

namespace paycurl::evm {
namespace {

Rlp rlp_of(const Json& value) {
  if (const auto* hex = value.string()) return Rlp::bytes(*from_hex(*hex));
  Rlp list = Rlp::list();
  for (const Json& item : *value.items())
    list.items().push_back(rlp_of(item));
  return list;
}

TEST_CASE("RLP as others write it, and back") {
  for (const Json& c : test::list(test::load("tempo-rlp"), "cases")) {
    const Bytes encoded = test::bytes(c, "encoded");
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    CHECK(to_0x(rlp_of(test::at(c, "value")).encode()) == to_0x(encoded));
    const auto decoded = Rlp::decode(encoded);
    REQUIRE(decoded.has_value());
    CHECK(decoded->encode() == encoded);
  }
}

TEST_CASE("RLP that is not in its one form is refused") {
  for (const char* hex :
       {"", "8100", "817f", "b800", "b80101", "b90001aa", "c1", "83aabb", "f800", "8080", "c08080",
        "bfffffffffffffffff", "ffffffffffffffffff00", "bb00000001aa"}) {
    CAPTURE(hex);
    CHECK_FALSE(Rlp::decode(*from_hex(hex)).has_value());
  }
  Rlp nested = Rlp::list();
  for (int i = 0; i < 20; ++i)
    nested = Rlp::list({nested});
  CHECK_FALSE(Rlp::decode(nested.encode()).has_value());
}

TEST_CASE("calldata") {
  int checked = 0;
  for (const Json& c : test::list(test::load("tempo-abi"), "cases")) {
    const std::string function = test::text(c, "fn");
    const Digest digest = keccak256(as_bytes(function));
    const Bytes selector = test::bytes(c, "selector");
    const bool is_canonical = function.find_first_of(" D") == std::string::npos &&
                              function.find("((") == std::string::npos;
    if (is_canonical && function.ends_with(')')) {
      CAPTURE(function);
      CHECK(std::equal(selector.begin(), selector.end(), digest.begin()));
    }
    Call call(static_cast<std::uint32_t>(selector[0]) << 24 |
              static_cast<std::uint32_t>(selector[1]) << 16 |
              static_cast<std::uint32_t>(selector[2]) << 8 | selector[3]);
    bool simple = true;
    for (const Json& argument : test::list(c, "args")) {
      const auto* value = argument.string();
      simple = simple && value != nullptr;
      if (!simple) break;
      Word word{};
      if (value->size() == 42 && value->starts_with("0x")) {
        call.add(*Address::parse(*value));
      } else if (value->size() == 66 && from_hex(*value, word)) {
        call.add(word);
      } else if (const auto amount = Amount::parse(*value)) {
        call.add(*amount);
      } else {
        simple = false;
      }
    }
    if (!simple) continue;  // dynamic or nested arguments, which paycurl never sends
    ++checked;
    CAPTURE(function);
    CHECK(to_0x(call.bytes()) == test::text(c, "data"));
  }
  CHECK(checked >= 15);
}

TEST_CASE("typed data: vouchers of both versions") {
  const Json vectors = test::load("tempo-voucher");
  for (const auto& [version, type] :
       {std::pair{"v2", "Voucher(bytes32 channelId,uint96 cumulativeAmount)"},
        std::pair{"v1", "Voucher(bytes32 channelId,uint128 cumulativeAmount)"}}) {
    for (const Json& c : test::list(vectors, version)) {
      const Json& given = test::at(c, "domain");
      const std::string name = test::text(given, "name");
      const Domain domain{name, "1",
                          static_cast<std::uint64_t>(*test::at(given, "chainId").integer()),
                          *Address::parse(test::text(given, "verifyingContract"))};
      CHECK(to_0x(domain_separator(domain)) == test::text(c, "domainSeparator"));
      Word channel{};
      REQUIRE(from_hex(test::text(c, "channelId"), channel).has_value());
      const Digest voucher =
          struct_hash(type, {channel, word(*Amount::parse(test::text(c, "cumulativeAmount")))});
      CHECK(to_0x(voucher) == test::text(c, "structHash"));
      const Digest digest = typed_digest(domain, voucher);
      CHECK(to_0x(digest) == test::text(c, "digest"));
      const auto key = PrivateKey::parse(test::text(c, "privateKey"));
      CHECK(to_0x(key->sign(digest).bytes()) == test::text(c, "signature"));
    }
  }
}

TEST_CASE("a node's numbers") {
  CHECK(*read_quantity64(Json("0x1f4")) == 500);
  CHECK(*read_quantity64(Json("0x0")) == 0);
  CHECK(quantity(500) == "0x1f4");
  CHECK_FALSE(read_quantity64(Json("0x10000000000000000")).has_value());
  for (const char* text : {"", "0x", "500", "0xg", "-0x1"})
    CHECK_FALSE(read_quantity(Json(text)).has_value());
  CHECK_FALSE(read_quantity(Json(5)).has_value());
  CHECK_FALSE(word_at(Bytes(31), 0).has_value());
}

}  // namespace
}  // namespace paycurl::evm
