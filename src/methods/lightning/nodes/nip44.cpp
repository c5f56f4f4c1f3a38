#include "src/methods/lightning/nodes/nip44.h"

#include <algorithm>
#include <bit>

#include "src/crypto/cipher.h"

namespace paycurl::lightning {
namespace {

constexpr std::size_t kLongest = 65'535;
constexpr std::uint8_t kVersion = 2;
constexpr std::size_t kNonceSize = 32;
constexpr std::size_t kMacSize = 32;
constexpr std::string_view kIv = "?iv=";

Error unreadable(std::string message) {
  return {Kind::protocol, "the encrypted message " + std::move(message)};
}

/// The three keys that `message_keys` holds.
struct Keys {
  explicit Keys(const Secret& all)
      : cipher(all.bytes().first(32)), mac(all.bytes().subspan(44, 32)) {
    std::copy_n(all.bytes().begin() + 32, nonce.size(), nonce.begin());
  }
  ByteView cipher;
  ByteArray<12> nonce{};
  ByteView mac;
};

}  // namespace

Result<Secret> conversation_key(const PrivateKey& ours, const XOnlyKey& theirs) {
  const auto shared = ours.shared_x(theirs);
  if (!shared) return shared.error();
  return hkdf_extract(as_bytes("nip44-v2"), shared->bytes());
}

Secret message_keys(const Secret& conversation, const ByteArray<32>& nonce) {
  return hkdf_expand(conversation.bytes(), nonce, 76);
}

std::size_t padded_size(std::size_t size) {
  if (size <= 32) return 32;
  const std::size_t chunk = std::max<std::size_t>(32, std::bit_ceil(size) / 8);
  return chunk * ((size - 1) / chunk + 1);
}

Result<std::string> encrypt_nip44(const Secret& conversation, const ByteArray<32>& nonce,
                                  std::string_view text) {
  if (text.empty() || text.size() > kLongest) {
    return Error{Kind::usage, "a message has 1 to 65535 bytes"};
  }
  Bytes padded(2 + padded_size(text.size()));
  padded[0] = static_cast<std::uint8_t>(text.size() >> 8);
  padded[1] = static_cast<std::uint8_t>(text.size());
  std::copy(text.begin(), text.end(), padded.begin() + 2);
  const Secret all = message_keys(conversation, nonce);
  const Keys keys(all);
  Bytes authenticated(nonce.begin(), nonce.end());
  const Bytes hidden = chacha20(keys.cipher, keys.nonce, padded);
  wipe(padded.data(), padded.size());
  authenticated.insert(authenticated.end(), hidden.begin(), hidden.end());
  const Digest mac = hmac_sha256(keys.mac, authenticated);
  Bytes payload{kVersion};
  payload.insert(payload.end(), authenticated.begin(), authenticated.end());
  payload.insert(payload.end(), mac.begin(), mac.end());
  return to_base64(payload);
}

Result<std::string> decrypt_nip44(const Secret& conversation, std::string_view payload) {
  constexpr std::size_t kLeast = 1 + kNonceSize + 2 + 32 + kMacSize;
  const std::size_t most = 1 + kNonceSize + 2 + padded_size(kLongest) + kMacSize;
  if (payload.starts_with('#')) return unreadable("is of a version that is unknown here");
  if (payload.size() > (most + 2) / 3 * 4) return unreadable("is too long");
  const auto bytes = from_base64(payload);
  if (!bytes) return unreadable("is no base64");
  if (bytes->size() < kLeast) return unreadable("is too short");
  if (bytes->front() != kVersion) return unreadable("is of a version that is unknown here");

  const ByteView authenticated = ByteView(*bytes).subspan(1, bytes->size() - 1 - kMacSize);
  ByteArray<kNonceSize> nonce{};
  std::copy_n(authenticated.begin(), nonce.size(), nonce.begin());
  const Secret all = message_keys(conversation, nonce);
  const Keys keys(all);
  const ByteView mac = ByteView(*bytes).last(kMacSize);
  if (!equal_constant_time(hmac_sha256(keys.mac, authenticated), mac)) {
    return unreadable("was changed or is for another key");
  }
  Bytes padded = chacha20(keys.cipher, keys.nonce, authenticated.subspan(kNonceSize));
  const std::size_t size = std::size_t{padded[0]} << 8 | padded[1];
  if (size == 0 || padded.size() != 2 + padded_size(size)) {
    return unreadable("has the wrong padding");
  }
  std::string text{as_text(ByteView(padded).subspan(2, size))};
  wipe(padded.data(), padded.size());
  return text;
}

std::string encrypt_nip04(const Secret& shared, const ByteArray<16>& iv, std::string_view text) {
  const Bytes hidden = encrypt_aes256_cbc(shared.bytes(), iv, as_bytes(text));
  return to_base64(hidden) + std::string(kIv) + to_base64(iv);
}

Result<std::string> decrypt_nip04(const Secret& shared, std::string_view payload) {
  const std::size_t at = payload.find(kIv);
  if (at == std::string_view::npos) return unreadable("has no initialization vector");
  const auto hidden = from_base64(payload.substr(0, at));
  const auto iv = from_base64(payload.substr(at + kIv.size()));
  if (!hidden || !iv) return unreadable("is no base64");
  if (iv->size() != 16 || hidden->empty() || hidden->size() % 16 != 0) {
    return unreadable("has the wrong length");
  }
  auto text = decrypt_aes256_cbc(shared.bytes(), *iv, *hidden);
  if (!text) return unreadable("was changed or is for another key");
  std::string read{as_text(*text)};
  wipe(text->data(), text->size());
  return read;
}

}  // namespace paycurl::lightning
