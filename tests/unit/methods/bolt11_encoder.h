// Makes Lightning invoices, good ones and all kinds of bad ones, signed with a key of the tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/crypto/hash.h"

namespace paycurl::test {

/// A tagged field as it is written: the letter of its tag, and groups of five bits.
struct TaggedField {
  char letter;
  Bytes groups;
};

struct InvoiceFields {
  std::string prefix = "lnbcrt";      ///< "lnbc", "lntb", "lntbs", "lnbcrt"
  std::optional<std::uint64_t> msat;  ///< nullopt: the payer chooses
  Digest payment_hash{};
  std::optional<std::string> description = "a test";
  std::optional<Digest> description_hash{};
  std::int64_t created = 1'767'225'600;  ///< seconds; 2026-01-01
  std::optional<std::uint64_t> expiry{};
  std::vector<TaggedField> extra{};  ///< behind the others
  // What makes bad ones.
  std::optional<std::string> amount{};  ///< instead of `msat`, as it is written
  std::string without{};                ///< letters of fields that are left out: "ps"
  bool high_s = false;                  ///< the signature's other s
  std::uint8_t signature_flip = 0;      ///< is added to its first byte with exclusive or
  std::optional<std::uint8_t> recovery_id{};
  std::uint32_t checksum = 1;  ///< Bech32's constant; Bech32m's is 0x2bc830a3
};

std::string encode(const InvoiceFields& fields);

/// The node that signs, 33 bytes.
Bytes test_payee();

/// Groups of five bits, the last one filled up with zeros.
Bytes grouped(ByteView bytes);
/// A number in as few groups as it needs, or in `size`.
Bytes grouped(std::uint64_t number, std::size_t size = 0);

/// The signature's 104 groups for what `prefix` and `groups` say.
Bytes signature_groups(const std::string& prefix, ByteView groups,
                       const InvoiceFields& defects = {});
/// The text with its checksum.
std::string write_bech32(const std::string& prefix, ByteView groups, std::uint32_t checksum = 1);

}  // namespace paycurl::test
