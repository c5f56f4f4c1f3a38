// Contract calls: a selector and words of 32 bytes (Solidity contract ABI, static types only).
#pragma once

#include <cstdint>

#include "src/base/bytes.h"
#include "src/base/money.h"
#include "src/crypto/secp256k1.h"

namespace paycurl::evm {

using Word = ByteArray<32>;

Word word(const Amount& value);
Word word(const Address& address);

/// Calldata: `selector` is the first four bytes of the Keccak-256 of the function's signature.
class Call {
 public:
  explicit Call(std::uint32_t selector);
  Call& add(const Word& argument);
  Call& add(const Amount& value) { return add(word(value)); }
  Call& add(const Address& address) { return add(word(address)); }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

/// The 32-byte word at `index` of a returned value; Kind::backend when there is none.
Result<Word> word_at(ByteView returned, std::size_t index);

}  // namespace paycurl::evm
