#include "src/evm/abi.h"

#include <algorithm>

namespace paycurl::evm {

Word word(const Amount& value) {
  return value.big_endian();
}

Word word(const Address& address) {
  Word padded{};
  std::copy(address.bytes().begin(), address.bytes().end(), padded.begin() + 12);
  return padded;
}

Call::Call(std::uint32_t selector) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes_.push_back(static_cast<std::uint8_t>(selector >> shift));
  }
}

Call& Call::add(const Word& argument) {
  bytes_.insert(bytes_.end(), argument.begin(), argument.end());
  return *this;
}

Result<Word> word_at(ByteView returned, std::size_t index) {
  if (returned.size() < (index + 1) * 32) {
    return Error{Kind::backend, "the contract's answer is too short"};
  }
  Word found{};
  std::copy_n(returned.begin() + static_cast<std::ptrdiff_t>(index * 32), 32, found.begin());
  return found;
}

}  // namespace paycurl::evm
