// Hashes, keys, signatures and key files against vectors made by other implementations.
#include <doctest/doctest.h>

#include "src/crypto/cipher.h"
#include "src/crypto/secp256k1.h"
#include "tests/unit/vectors.h"
#include "wallet/key_file.h"
#include "wallet/keystore.h"

namespace paycurl {
namespace {

PrivateKey key_of(const Json& json) {
  auto key = PrivateKey::parse(test::text(json, "privateKey"));
  REQUIRE(key.has_value());
  return std::move(*key);
}

TEST_CASE("keccak256 and sha256") {
  for (const Json& c : test::list(test::load("tempo-hashes"), "cases")) {
    const Bytes input = test::bytes(c, "input");
    CAPTURE(input.size());
    CHECK(to_0x(keccak256(input)) == test::text(c, "keccak256"));
    CHECK(to_0x(sha256(input)) == test::text(c, "sha256"));
    Sha256 pieces;
    for (const std::uint8_t& byte : input)
      pieces.update({&byte, 1});
    CHECK(pieces.finish() == sha256(input));
  }
}

TEST_CASE("sha1, FIPS 180-4's example") {
  CHECK(to_hex(sha1(as_bytes("abc"))) == "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST_CASE("addresses and their checksums") {
  for (const Json& c : test::list(test::load("tempo-eip55"), "cases")) {
    CHECK(Address::parse(test::text(c, "lower"))->checksummed() == test::text(c, "checksum"));
    CHECK(Address::parse(test::text(c, "checksum"))->lower_hex() == test::text(c, "lower"));
  }
  // Servers send checksums that are wrong; the address is what counts.
  CHECK(Address::parse("0x5AAeb6053f3e94c9b9a09f33669435e7ef1beaed").has_value());
  for (const char* text :
       {"", "0x", "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaezz",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed00"}) {
    CAPTURE(text);
    CHECK_FALSE(Address::parse(text).has_value());
  }
}

TEST_CASE("keys have the public keys and addresses that others compute") {
  for (const Json& c : test::list(test::load("tempo-keys"), "cases")) {
    const PrivateKey key = key_of(c);
    CHECK("0x04" + to_hex(key.public_key()) == test::text(c, "publicKeyUncompressed"));
    CHECK(key.address().checksummed() == test::text(c, "address"));
    CHECK(key.hex().text() == test::text(c, "privateKey"));
  }
}

TEST_CASE("signatures are deterministic and low") {
  for (const Json& c : test::list(test::load("tempo-secp256k1"), "cases")) {
    Digest digest{};
    REQUIRE(from_hex(test::text(c, "payload"), digest).has_value());
    const Signature signature = key_of(c).sign(digest);
    CHECK(to_0x(signature.bytes()) == test::text(c, "signature65"));
    CHECK(recover(digest, signature)->lower_hex() == test::text(c, "recovered"));
  }
}

TEST_CASE("a private key is read as people store it, and never repeated") {
  const std::string hex = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
  for (const std::string& text :
       {hex, "0x" + hex, " 0x" + hex + "\n",
        std::string("0XAC0974BEC39A17E36BA4A6B4D238FF944BACB478CBED5EFCAE784D7BF4F2FF80")}) {
    CHECK(PrivateKey::parse(text)->address().checksummed() ==
          "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
  }
  for (const std::string& text : {std::string(), hex.substr(1), hex + "00", std::string(64, '0'),
                                  std::string(64, 'f'), std::string(64, 'g')}) {
    const auto key = PrivateKey::parse(text);
    REQUIRE_FALSE(key.has_value());
    CHECK(key.error().message.find(text.empty() ? "\x01" : text.substr(0, 8)) == std::string::npos);
  }
}

Secret password(std::string_view text) {
  Secret secret;
  secret.assign(as_bytes(text));
  return secret;
}

// The PBKDF2 sample of the Web3 Secret Storage definition.
constexpr std::string_view kPbkdf2File = R"({
  "crypto": {
    "cipher": "aes-128-ctr",
    "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
    "kdf": "pbkdf2",
    "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
                  "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
    "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
  },
  "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3})";

TEST_CASE("the PBKDF2 sample of the key file definition opens") {
  const auto file = parse_key_file(kPbkdf2File);
  REQUIRE(file.has_value());
  const auto key = open_key_file(*file, password("testpassword"));
  REQUIRE(key.has_value());
  CHECK(key->hex().text() == "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d");
  CHECK(open_key_file(*file, password("testpasswore")).error().reason == "password");
}

TEST_CASE("what we seal opens again, and says whose it is") {
  const PrivateKey key = PrivateKey::generate();
  const auto text = seal_key_file(key, password("grüße ✓"));
  REQUIRE(text.has_value());
  const auto file = parse_key_file(*text);
  REQUIRE(file.has_value());
  CHECK(file->address == key.address());
  CHECK(file->scrypt->n == 131072);
  const auto opened = open_key_file(*file, password("grüße ✓"));
  REQUIRE(opened.has_value());
  CHECK(opened->hex().text() == key.hex().text());
}

TEST_CASE("hostile key files are refused before they cost anything") {
  std::string text{kPbkdf2File};
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return parse_key_file(changed);
  };
  CHECK_FALSE(with("\"version\": 3", "\"version\": 4").has_value());
  CHECK_FALSE(with("aes-128-ctr", "aes-128-cbc").has_value());
  CHECK_FALSE(with("\"dklen\": 32", "\"dklen\": 16").has_value());
  CHECK_FALSE(with("hmac-sha256", "hmac-sha1").has_value());
  CHECK_FALSE(with("5318b4d5", "").has_value());
  const auto slow = with("262144", "99999999999");
  REQUIRE(slow.has_value());
  CHECK_FALSE(open_key_file(*slow, password("testpassword")).has_value());
  CHECK_FALSE(derive_scrypt(password("x"), Bytes{1}, {1 << 24, 8, 1}).has_value());  // 16 GiB
  CHECK_FALSE(
      derive_scrypt(password("x"), Bytes{1}, {262144, 1, 8}).has_value());  // breaks RFC 7914
  CHECK_FALSE(derive_scrypt(password("x"), Bytes{1}, {UINT64_MAX, 8, 1}).has_value());
}

TEST_CASE("names of accounts") {
  for (const char* name : {"main", "a", "CI-key_2.old"})
    CHECK(check_account_name(name).has_value());
  for (const std::string& name :
       {std::string(), std::string("-x"), std::string(".x"), std::string("a b"),
        std::string("../x"), std::string(65, 'a'), std::string("ä")}) {
    CAPTURE(name);
    CHECK_FALSE(check_account_name(name).has_value());
  }
  const std::string key(64, 'a');
  const auto refused = check_account_name(key);
  REQUIRE_FALSE(refused.has_value());
  CHECK((refused.error().message + refused.error().hint).find(key) == std::string::npos);
}

}  // namespace
}  // namespace paycurl
