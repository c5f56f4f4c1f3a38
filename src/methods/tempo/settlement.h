// What became of a Tempo payment: asked of a node, in one batch.
#pragma once

#include "src/evm/rpc.h"
#include "src/methods/tempo/node.h"
#include "src/payment/method.h"

namespace paycurl::tempo {

/// What the signed bytes of a row are made from, as the journal keeps it.
struct Rebuild {
  std::string type;     ///< "proof", "transaction" or "hash" (push); of a session: "open"...
  Bytes preimage;       ///< of the transaction; empty for a proof and a voucher
  std::string memo;     ///< 0x-hex, of the recipient's transfer; of a session: its descriptor
  Amount deposit = {};  ///< of an opening or top-up
  std::string to_text() const;
  static Result<Rebuild> parse(const Row& row);
};

/// Looks for the transaction of `row` by its hash, or, when a sponsor's signature changes the hash,
/// by its memo; and for why it is not there: balance, base fee, wrong chain.
Settlement look_up(const Row& row, evm::Rpc& rpc, Millis now);

/// The same for a step of a session. An opening has settled when the channel is there. A voucher
/// counts as paid once its doubt is over: the payee has it, whether it served or not.
Settlement look_up_session(const Row& row, Node& node, Millis now);

}  // namespace paycurl::tempo
