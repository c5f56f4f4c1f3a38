// Nostr's events and what a relay says of them (NIP-01).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"
#include "src/crypto/secp256k1.h"

namespace paycurl::lightning {

struct NostrEvent {
  using Tag = std::vector<std::string>;

  XOnlyKey author{};
  std::int64_t created = 0;  ///< seconds since 1970
  std::int64_t kind = 0;
  std::vector<Tag> tags;
  std::string content;
  Digest id{};  ///< SHA-256 of all above
  SchnorrSignature signature{};

  /// Whether there is a tag of that name whose first value is `value`.
  bool has_tag(std::string_view name, std::string_view value) const;
  /// The first value of the first tag of that name, or nullptr.
  const std::string* tag(std::string_view name) const;
  Json json() const;
};

/// Fills author, ID and signature. Content and tags have no control characters.
NostrEvent signed_event(NostrEvent event, const PrivateKey& key);

/// Reads an event, and verifies its ID and its author's signature. One with a control character is
/// refused: there are two ways of writing those, and the ID depends on it. Kind::protocol.
Result<NostrEvent> read_event(const Json& json);

struct RelayMessage {
  enum class What { event, end_of_stored, ok, closed, other };
  What what = What::other;
  std::string subject;  ///< the subscription; of `ok` the event's ID in hex
  std::optional<NostrEvent> event;
  bool accepted = false;  ///< ok
  std::string text;       ///< ok, closed: why. Foreign text
};

/// Reads EVENT, EOSE, OK and CLOSED; NOTICE, AUTH and what has no meaning here are `other`.
/// Kind::protocol for everything that is no message, and for events that are not verified.
Result<RelayMessage> read_relay_message(std::string_view text);

}  // namespace paycurl::lightning
