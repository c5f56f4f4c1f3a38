#include "src/evm/eip712.h"

namespace paycurl::evm {

Digest struct_hash(std::string_view type, const std::vector<Word>& members) {
  const Digest type_hash = keccak256(as_bytes(type));
  Bytes encoded(type_hash.begin(), type_hash.end());
  for (const Word& member : members) {
    encoded.insert(encoded.end(), member.begin(), member.end());
  }
  return keccak256(encoded);
}

Digest domain_separator(const Domain& domain) {
  std::vector<Word> members{keccak256(as_bytes(domain.name)), keccak256(as_bytes(domain.version)),
                            word(Amount(domain.chain_id))};
  if (!domain.verifying_contract) {
    return struct_hash("EIP712Domain(string name,string version,uint256 chainId)", members);
  }
  members.push_back(word(*domain.verifying_contract));
  return struct_hash(
      "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
      members);
}

Digest typed_digest(const Domain& domain, const Digest& hashed_struct) {
  const Digest separator = domain_separator(domain);
  Bytes encoded{0x19, 0x01};
  encoded.insert(encoded.end(), separator.begin(), separator.end());
  encoded.insert(encoded.end(), hashed_struct.begin(), hashed_struct.end());
  return keccak256(encoded);
}

}  // namespace paycurl::evm
