// Bech32 (BIP 173) as Lightning invoices use it: without its limit of 90 characters.
#pragma once

#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/result.h"

namespace paycurl::lightning {

struct Bech32 {
  std::string prefix;  ///< the human-readable part, lower case
  Bytes groups;        ///< of five bits, without the checksum's
};

/// Reads a text all of lower or all of upper case and verifies its checksum (Bech32's, not
/// Bech32m's). Kind::protocol.
Result<Bech32> read_bech32(std::string_view text);

/// The groups' bits in bytes, the last one filled up with zeros.
Bytes packed(ByteView groups);

/// The bytes that are written in `groups`. What is left over are less than five bits, all zero;
/// else nothing can have written it: Kind::protocol.
Result<Bytes> unpacked(ByteView groups);

}  // namespace paycurl::lightning
