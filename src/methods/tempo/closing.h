// How channels end, and what the chain knows of them.
#pragma once

#include <vector>

#include "src/methods/tempo/networks.h"
#include "src/payment/escrow.h"

namespace paycurl::tempo {

/// What asks the payee to close `channel` for what it has spent, in answer to `challenge`.
Result<Credential> close_credential(const Channel& channel, const Challenge& challenge,
                                    Spender& spender);
/// The voucher that the payee has already.
Result<Credential> same_voucher(const Channel& channel, const Challenge& challenge,
                                Spender& spender);

/// The payee's receipt of a close; without one, or when it names no transaction, Kind::protocol.
Result<Escrow::Ending> ending_of(Channel& channel, const std::optional<Receipt>& receipt);

/// The chain's word on each channel, in their order. Kind::backend when a node is away.
Result<std::vector<Escrow::Facts>> look_at_channels(const std::vector<Channel>& channels,
                                                    const Networks& networks, http::Client& client);

/// requestClose, or withdraw when the grace period is over: broadcast by ourselves. The
/// transaction's hash.
Result<std::string> leave_channel(const Channel& channel, bool withdraw, const Networks& networks,
                                  Spender& spender, http::Client& client);

/// Channels that the chain has of `payer` and that hold money, as rows that were never inserted.
Result<std::vector<Channel>> channels_on_chain(const Address& payer, const Networks& networks,
                                               http::Client& client);

/// Reads a session file of the npm CLI (mppx/sessions/v1/channels/ID.json).
Result<Channel> channel_of_mppx(const Json& file, const Networks& networks);

}  // namespace paycurl::tempo
