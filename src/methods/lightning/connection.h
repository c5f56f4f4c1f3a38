// How a wallet is reached and what it is shown: the text that `account connect` takes, read.
//
//   lndconnect://host:port?cert=<base64url DER>&macaroon=<base64url>
//   clnrest+https://host:port?rune=<rune>[&certs=<base64 PEM>], clnrest+http://, clnrest://
//   phoenixd://:<password>@host:port[?tls=1]
//   lnbits://<admin key>@host[:port][/path], lnbits+http://
//   nostr+walletconnect://<wallet key>?relay=<url>[&relay=...]&secret=<hex>
//
// Each may say network=mainnet|testnet|signet|regtest, which saves a question to the wallet.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/result.h"
#include "src/base/secret.h"

namespace paycurl::lightning {

struct Connection {
  enum class Kind { lnd, cln, phoenixd, lnbits, nwc };
  Kind kind = Kind::lnd;
  std::string url;      ///< "https://127.0.0.1:8080", without a slash at the end; of nwc empty
  std::string ca_pem;   ///< what its certificate has to be signed by; empty: the system's
  std::string network;  ///< empty: the wallet is asked
  Secret secret;        ///< the macaroon in hex, rune, password, key; of nwc our 32 bytes
  std::vector<std::string> relays;  ///< nwc: ws:// or wss:// URLs
  ByteArray<32> wallet{};           ///< nwc: the wallet's public key, x only
  bool nip04 = false;               ///< nwc: encryption=nip04 was asked for
  /// For an answer that costs the wallet nothing, at most. Not part of the text.
  std::chrono::milliseconds longest_wait{20'000};

  /// What the journal calls this payer: "lnd:https://127.0.0.1:8080", "nwc:<public key>". Tells
  /// nothing that is secret.
  std::string name() const;
};

/// The word for a kind: "lnd", "cln", "phoenixd", "lnbits", "nwc".
std::string_view name_of(Connection::Kind kind);

/// Reads a connection. Kind::usage when it is none, and what is wrong is said without a word of
/// it: every part may hold the secret. Plain http (ws) is refused unless the host is a loopback
/// address or a .onion name.
Result<Connection> read_connection(std::string_view text);

/// What to type at the node for a secret that permits this and no more; empty where a wallet has no
/// such thing. For people, one line.
std::string least_privilege(Connection::Kind kind);

}  // namespace paycurl::lightning
