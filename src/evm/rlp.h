// Recursive Length Prefix: how EVM chains write transactions (Ethereum yellow paper, appendix B).
#pragma once

#include <vector>

#include "src/base/bytes.h"
#include "src/base/money.h"
#include "src/crypto/secp256k1.h"

namespace paycurl::evm {

/// A byte string or a list.
class Rlp {
 public:
  static Rlp bytes(ByteView content);
  static Rlp integer(const Amount& value);  ///< minimal big-endian; zero is the empty string
  static Rlp address(const Address& address) { return bytes(address.bytes()); }
  static Rlp list(std::vector<Rlp> items = {});

  /// Reads exactly one item. Kind::protocol when it is cut, has bytes behind it, is nested deeper
  /// than 16 lists, or is not in the one form that encoding gives.
  static Result<Rlp> decode(ByteView encoded);

  bool is_list() const { return is_list_; }
  const Bytes& content() const { return bytes_; }
  std::vector<Rlp>& items() { return items_; }
  const std::vector<Rlp>& items() const { return items_; }

  Bytes encode() const;

 private:
  void append_to(Bytes& out) const;

  bool is_list_ = false;
  Bytes bytes_;
  std::vector<Rlp> items_;
};

}  // namespace paycurl::evm
