// Payment channels of Tempo: what identifies one, what its vouchers sign, and its escrow's calls.
//
// v2 is the TIP-1034 reserve, a precompile at one address; v1 an escrow contract
// (TempoStreamChannel). Sources: TIP-1034, draft-tempo-session-00, and mppx where they differ.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/json.h"
#include "src/evm/eip712.h"
#include "src/methods/tempo/transaction.h"

namespace paycurl::tempo {

enum class Version { v1, v2 };

/// The first block of a channel's life, kept until its end: v2 names a channel by all of it, and
/// every call and credential repeats it. v1 has no operator and no hash.
struct Descriptor {
  Version version = Version::v2;
  std::uint64_t chain = 0;
  Address escrow;
  Address payer, payee, operator_, token;
  evm::Word salt{};
  Address signer;  ///< of vouchers
  Digest expiring_nonce_hash{};

  /// As the journal keeps it: JSON with version, chain and escrow.
  std::string to_text() const;
  static Result<Descriptor> parse(std::string_view text);
  /// The object that credentials of v2 carry.
  Json json() const;
  /// Reads that object; `chain` and `escrow` come from elsewhere. Kind::protocol.
  static Result<Descriptor> from_json(const Json& json, std::uint64_t chain, const Address& escrow);

  bool operator==(const Descriptor&) const = default;
};

/// The TIP-1034 reserve's address on every chain.
Address reserve();
/// The escrows of a chain that we know.
std::vector<std::pair<Version, Address>> known_escrows(std::uint64_t chain);
/// Whether `escrow` is one that we know to be what it says.
bool is_known_escrow(Version version, std::uint64_t chain, const Address& escrow);

/// Keccak-256 of the ABI encoding of the descriptor, escrow and chain.
Digest channel_id(const Descriptor& descriptor);

/// What a voucher signs (EIP-712): that the payee may take `cumulative` in all.
Digest voucher_digest(const Descriptor& descriptor, const Digest& id, Amount cumulative);

/// The calls that make a channel with `deposit`; v1 approves the escrow first, for exactly that.
std::vector<Call> open_calls(const Descriptor& descriptor, Amount deposit);
/// Those that add `additional` to it.
std::vector<Call> top_up_calls(const Descriptor& descriptor, const Digest& id, Amount additional);
/// The payer's way out without the payee: requestClose, then withdraw after the grace period.
Call request_close_call(const Descriptor& descriptor, const Digest& id);
Call withdraw_call(const Descriptor& descriptor, const Digest& id);
constexpr std::int64_t kGracePeriod = 900;  // seconds, CLOSE_GRACE_PERIOD

/// What the escrow says of a channel.
struct ChannelState {
  bool exists = false;  ///< false: never opened, or closed
  Amount deposit, settled;
  std::int64_t close_requested = 0;  ///< Unix seconds; 0: not
};

/// The question for eth_call, and how to read its answer. Kind::backend.
Bytes state_question(Version version, const Digest& id);
Result<ChannelState> read_state(Version version, ByteView returned);

/// The log of an opened channel: its topic, and what it tells. The payer is topic 2.
std::string opened_topic(Version version);
struct OpenedLog {
  Descriptor descriptor;
  Amount deposit;
};
Result<OpenedLog> read_opened(const Json& log, Version version, std::uint64_t chain);

}  // namespace paycurl::tempo
