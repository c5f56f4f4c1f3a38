// Nostr's encryption: the published vectors of NIP-44, the curve's part of it, and both ways.
#include "src/methods/lightning/nodes/nip44.h"

#include <doctest/doctest.h>

#include "src/crypto/cipher.h"
#include "tests/unit/vectors.h"

namespace paycurl::lightning {
namespace {

template <std::size_t N>
ByteArray<N> array(const Json& json, std::string_view key) {
  ByteArray<N> out{};
  REQUIRE(from_hex(test::text(json, key), out));
  return out;
}

Secret secret(ByteView bytes) {
  Secret made;
  made.assign(bytes);
  return made;
}

PrivateKey key(std::uint8_t seed) {
  return *PrivateKey::from_bytes(Bytes(32, seed));
}

TEST_CASE("the published vectors of NIP-44: keys and padding") {
  const Json* vectors = test::published("nip44");
  if (vectors == nullptr) return;
  const Json& valid = test::at(test::at(*vectors, "v2"), "valid");
  for (const Json& vector : test::list(valid, "get_conversation_key")) {
    const auto ours = PrivateKey::from_bytes(test::bytes(vector, "sec1"));
    REQUIRE(ours);
    const auto made = conversation_key(*ours, array<32>(vector, "pub2"));
    REQUIRE(made);
    CHECK(to_hex(made->bytes()) == test::text(vector, "conversation_key"));
  }
  const Json& messages = test::at(valid, "get_message_keys");
  const Secret conversation = secret(test::bytes(messages, "conversation_key"));
  for (const Json& vector : test::list(messages, "keys")) {
    CHECK(to_hex(message_keys(conversation, array<32>(vector, "nonce")).bytes()) ==
          test::text(vector, "chacha_key") + test::text(vector, "chacha_nonce") +
              test::text(vector, "hmac_key"));
  }
  for (const Json& vector : *test::at(valid, "calc_padded_len").items()) {
    CHECK(static_cast<std::int64_t>(padded_size(static_cast<std::size_t>(
              *vector.items()->at(0).integer()))) == *vector.items()->at(1).integer());
  }
  const Json& invalid = test::at(test::at(*vectors, "v2"), "invalid");
  for (const Json& vector : test::list(invalid, "get_conversation_key")) {
    CAPTURE(test::text(vector, "note"));
    const auto ours = PrivateKey::from_bytes(test::bytes(vector, "sec1"));
    if (ours) CHECK_FALSE(conversation_key(*ours, array<32>(vector, "pub2")));
  }
}

TEST_CASE("the published vectors of NIP-44: messages") {
  const Json* vectors = test::published("nip44");
  if (vectors == nullptr) return;
  const Json& valid = test::at(test::at(*vectors, "v2"), "valid");
  for (const Json& vector : test::list(valid, "encrypt_decrypt")) {
    const auto first = PrivateKey::from_bytes(test::bytes(vector, "sec1"));
    const auto second = PrivateKey::from_bytes(test::bytes(vector, "sec2"));
    const auto conversation = conversation_key(*first, second->x_only_key());
    REQUIRE(conversation);
    CHECK(to_hex(conversation->bytes()) == test::text(vector, "conversation_key"));
    CHECK(to_hex(conversation_key(*second, first->x_only_key())->bytes()) ==
          test::text(vector, "conversation_key"));
    CHECK(*encrypt_nip44(*conversation, array<32>(vector, "nonce"),
                         test::text(vector, "plaintext")) == test::text(vector, "payload"));
    CHECK(*decrypt_nip44(*conversation, test::text(vector, "payload")) ==
          test::text(vector, "plaintext"));
  }
  for (const Json& vector : test::list(valid, "encrypt_decrypt_long_msg")) {
    const Secret conversation = secret(test::bytes(vector, "conversation_key"));
    const std::string pattern = test::text(vector, "pattern");
    std::string text;
    for (std::int64_t i = *test::at(vector, "repeat").integer(); i > 0; --i) {
      text += pattern;
    }
    const auto payload = encrypt_nip44(conversation, array<32>(vector, "nonce"), text);
    REQUIRE(payload);
    CHECK(to_hex(sha256(as_bytes(text))) == test::text(vector, "plaintext_sha256"));
    CHECK(to_hex(sha256(as_bytes(*payload))) == test::text(vector, "payload_sha256"));
    CHECK(*decrypt_nip44(conversation, *payload) == text);
  }
  const Json& invalid = test::at(test::at(*vectors, "v2"), "invalid");
  for (const Json& size : test::list(invalid, "encrypt_msg_lengths")) {
    CHECK_FALSE(
        encrypt_nip44(Secret(), {}, std::string(static_cast<std::size_t>(*size.integer()), 'x')));
  }
  for (const Json& vector : test::list(invalid, "decrypt")) {
    CAPTURE(test::text(vector, "note"));
    CHECK_FALSE(decrypt_nip44(secret(test::bytes(vector, "conversation_key")),
                              test::text(vector, "payload")));
  }
}

TEST_CASE("a message is read by the other end, and only as it was sent") {
  const PrivateKey client = key(1);
  const PrivateKey wallet = key(2);
  const Secret ours = *conversation_key(client, wallet.x_only_key());
  const Secret theirs = *conversation_key(wallet, client.x_only_key());
  const Secret other = *conversation_key(key(3), client.x_only_key());
  for (const std::size_t size : {1U, 2U, 31U, 32U, 33U, 255U, 256U, 257U, 4000U, 65535U}) {
    const std::string text(size, 'a');
    const auto payload = encrypt_nip44(ours, {9}, text);
    REQUIRE(payload);
    CHECK(*decrypt_nip44(theirs, *payload) == text);
    CHECK_FALSE(decrypt_nip44(other, *payload));
  }
  const std::string payload = *encrypt_nip44(ours, {9}, "pay this");
  const Bytes good = *from_base64(payload);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    CHECK_FALSE(decrypt_nip44(theirs, to_base64(bad)));
    CHECK_FALSE(decrypt_nip44(theirs, to_base64(ByteView(good).first(i))));
  }
  for (const std::string& bad : {std::string(), "#" + payload, payload + " ", payload + payload,
                                 std::string(1 << 20, 'A')}) {
    CHECK(decrypt_nip44(theirs, bad).error().kind == Kind::protocol);
  }
}

TEST_CASE("NIP-04") {
  const Secret shared = *key(1).shared_x(key(2).x_only_key());
  CHECK(to_hex(key(2).shared_x(key(1).x_only_key())->bytes()) == to_hex(shared.bytes()));
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 5000U}) {
    const std::string text(size, 'b');
    const std::string payload = encrypt_nip04(shared, {7}, text);
    CHECK(*decrypt_nip04(shared, payload) == text);
  }
  const std::string payload = encrypt_nip04(shared, {7}, "pay this");
  const std::size_t at = payload.find("?iv=");
  for (const std::string& bad :
       {std::string(), payload.substr(0, at), payload.substr(at), payload + "A", "A" + payload,
        "AAAA" + payload.substr(at), payload.substr(0, at) + "?iv=AAAA"}) {
    CHECK(decrypt_nip04(shared, bad).error().kind == Kind::protocol);
  }
}

TEST_CASE("ciphers and codes, on the vectors of their definitions") {
  // RFC 4231, test case 2; RFC 5869, test case 1.
  CHECK(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const Secret extracted = hkdf_extract(*from_hex("000102030405060708090a0b0c"), Bytes(22, 0x0b));
  CHECK(to_hex(extracted.bytes()) ==
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  CHECK(to_hex(hkdf_expand(extracted.bytes(), *from_hex("f0f1f2f3f4f5f6f7f8f9"), 42).bytes()) ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  // RFC 8439, appendix A.1, test vector 1; NIST SP 800-38A, F.2.5, its first block.
  CHECK(to_hex(chacha20(Bytes(32), {}, Bytes(32))) ==
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
  const Bytes aes = *from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const Bytes iv = *from_hex("000102030405060708090a0b0c0d0e0f");
  const Bytes plain = *from_hex("6bc1bee22e409f96e93d7e117393172a");
  const Bytes hidden = encrypt_aes256_cbc(aes, iv, plain);
  CHECK(to_hex(hidden).starts_with("f58c4c04d6e5f1ba779eabfb5f7bfbd6"));
  CHECK(*decrypt_aes256_cbc(aes, iv, hidden) == plain);
}

TEST_CASE("signatures of BIP 340") {
  // Its test vectors 0 (to verify) and 5 (a key that is not on the curve).
  SchnorrSignature published{};
  REQUIRE(
      from_hex("e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215"
               "25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0",
               published));
  const PrivateKey three = *PrivateKey::parse(std::string(63, '0') + "3");
  CHECK(to_hex(three.x_only_key()) ==
        "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9");
  CHECK(verify_schnorr({}, published, three.x_only_key()));
  CHECK_FALSE(verify_schnorr({1}, published, three.x_only_key()));
  XOnlyKey nowhere{};
  REQUIRE(from_hex("eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34", nowhere));
  CHECK_FALSE(verify_schnorr({}, published, nowhere));
  CHECK_FALSE(three.shared_x(nowhere));

  const Digest digest = sha256(as_bytes("x"));
  SchnorrSignature made = three.sign_schnorr(digest);
  CHECK(verify_schnorr(digest, made, three.x_only_key()));
  CHECK_FALSE(verify_schnorr(digest, made, key(1).x_only_key()));
  made[40] ^= 1;
  CHECK_FALSE(verify_schnorr(digest, made, three.x_only_key()));
}

}  // namespace
}  // namespace paycurl::lightning
