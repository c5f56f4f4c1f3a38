// How two Nostr keys keep what they say to each other secret: NIP-44 version 2, and NIP-04 for
// wallets that know nothing newer.
#pragma once

#include <string>
#include <string_view>

#include "src/crypto/secp256k1.h"

namespace paycurl::lightning {

/// The key of NIP-44 that both ends of a conversation share. Kind::protocol when `theirs` is no
/// key.
Result<Secret> conversation_key(const PrivateKey& ours, const XOnlyKey& theirs);

/// What one message is encrypted with: ChaCha20's key (32 bytes) and nonce (12), HMAC's key (32).
Secret message_keys(const Secret& conversation, const ByteArray<32>& nonce);

/// How many bytes a text of `size` (1 to 65535) has with its padding.
std::size_t padded_size(std::size_t size);

/// `text` as a payload of version 2. It has 1 to 65535 bytes, else Kind::usage. A nonce serves
/// once.
Result<std::string> encrypt_nip44(const Secret& conversation, const ByteArray<32>& nonce,
                                  std::string_view text);

/// The text of a payload. Kind::protocol when it is another version's, has been changed, or is
/// for another key.
Result<std::string> decrypt_nip44(const Secret& conversation, std::string_view payload);

/// NIP-04, whose key is PrivateKey::shared_x: it hides a message and does not protect it from
/// change.
std::string encrypt_nip04(const Secret& shared, const ByteArray<16>& iv, std::string_view text);
Result<std::string> decrypt_nip04(const Secret& shared, std::string_view payload);

}  // namespace paycurl::lightning
