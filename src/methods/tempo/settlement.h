// What became of a Tempo payment: asked of a node, in one batch.
#pragma once

#include "src/evm/rpc.h"
#include "src/payment/method.h"

namespace paycurl::tempo {

/// What the signed bytes of a row are made from, as the journal keeps it.
struct Rebuild {
  std::string type;  ///< "proof", "transaction" or "hash" (push)
  Bytes preimage;    ///< of the transaction; empty for a proof
  std::string memo;  ///< 0x-hex, of the recipient's transfer
  std::string to_text() const;
  static Result<Rebuild> parse(const Row& row);
};

/// Looks for the transaction of `row` by its hash, or, when a sponsor's signature changes the hash,
/// by its memo; and for why it is not there: balance, base fee, wrong chain.
Settlement look_up(const Row& row, evm::Rpc& rpc, Millis now);

}  // namespace paycurl::tempo
