// Hash functions: bytes in, digest out.
#pragma once

#include <memory>

#include "src/base/bytes.h"

namespace paycurl {

using Digest = ByteArray<32>;

/// Keccak-256 as Ethereum uses it (the Keccak submission's padding, not SHA3-256's).
Digest keccak256(ByteView bytes);

/// SHA-256, FIPS 180-4.
Digest sha256(ByteView bytes);

/// SHA-1, FIPS 180-4. For the WebSocket handshake, which hides nothing with it.
ByteArray<20> sha1(ByteView bytes);

/// SHA-256 of bytes that arrive in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(ByteView bytes);
  /// The digest; the object is used up.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace paycurl
