// Lightning invoices: the published vectors with their verdicts, and every rule once more with
// invoices of our own.
#include "src/methods/lightning/bolt11.h"

#include <doctest/doctest.h>

#include "tests/unit/methods/bolt11_encoder.h"
#include "tests/unit/vectors.h"

namespace paycurl::lightning {
namespace {

using test::encode;
using test::grouped;
using test::InvoiceFields;

constexpr Millis kCreated = 1'767'225'600'000;

std::string hex_or_none(const std::optional<Digest>& digest) {
  return digest ? to_hex(*digest) : "none";
}
std::string text_or_none(const Json& json, std::string_view key) {
  const auto* value = test::at(json, key).string();
  return value != nullptr ? *value : "none";
}

void check_expected(const Invoice& invoice, const Json& expected) {
  CHECK(invoice.network == test::text(expected, "network"));
  const auto amount = test::at(expected, "amount_msat").integer();
  CHECK(invoice.amount.has_value() == amount.has_value());
  if (amount && invoice.amount) CHECK(invoice.amount->decimal() == std::to_string(*amount));
  CHECK(to_hex(invoice.payment_hash) == test::text(expected, "payment_hash"));
  CHECK(invoice.description.value_or("none") == text_or_none(expected, "description"));
  CHECK(hex_or_none(invoice.description_hash) == text_or_none(expected, "description_hash"));
  CHECK(to_hex(invoice.payee) == test::text(expected, "payee"));
  const Millis created = *test::at(expected, "timestamp").integer() * 1000;
  CHECK(invoice.created == created);
  const std::int64_t seconds = *test::at(expected, "expiry").integer();
  if (seconds < 1LL << 40) {
    CHECK(invoice.expires == created + seconds * 1000);
  } else {
    CHECK(format_rfc3339(invoice.expires) == "9999-12-31T23:59:59Z");
  }
}

/// Fields of a length that the text of BOLT 11 refuses and its example skips: refused.
constexpr std::string_view kWrongLengths = "bolts-valid-14";

TEST_CASE("the published invoices") {
  const Json* vectors = test::published("bolt11");
  if (vectors == nullptr) return;
  for (const char* group : {"valid", "extra_valid"}) {
    for (const Json& vector : test::list(*vectors, group)) {
      CAPTURE(test::text(vector, "id"));
      const auto invoice = read_invoice(test::text(vector, "invoice"));
      if (test::text(vector, "id") == kWrongLengths) {
        CHECK(invoice.error().message == "not a valid invoice: its field p has the wrong length");
        continue;
      }
      if (!invoice) FAIL_CHECK(invoice.error().message);
      if (invoice) check_expected(*invoice, test::at(vector, "expected"));
    }
  }
  for (const char* group : {"invalid", "extra_invalid", "ambiguous"}) {
    for (const Json& vector : test::list(*vectors, group)) {
      CAPTURE(test::text(vector, "id"));
      const auto invoice = read_invoice(test::text(vector, "invoice"));
      CHECK_FALSE(invoice);
      if (!invoice) CHECK(invoice.error().reason == "malformed");
    }
  }
}

Result<Invoice> read(const InvoiceFields& fields) {
  return read_invoice(encode(fields));
}

/// What is wrong with an invoice, "" when nothing is.
std::string wrong(const std::string& text) {
  const auto invoice = read_invoice(text);
  if (invoice) return "";
  constexpr std::string_view kStart = "not a valid invoice: ";
  CHECK(invoice.error().kind == Kind::protocol);
  CHECK(invoice.error().reason == "malformed");
  CHECK(invoice.error().message.starts_with(kStart));
  return invoice.error().message.substr(kStart.size());
}
std::string wrong(const InvoiceFields& fields) {
  return wrong(encode(fields));
}

TEST_CASE("all that an invoice says") {
  InvoiceFields fields;
  fields.msat = 100'000;
  fields.payment_hash.fill(7);
  fields.description = "caf\xc3\xa9 \x1b[1m";
  fields.expiry = 60;
  const auto invoice = read(fields);
  REQUIRE(invoice);
  CHECK(invoice->text == encode(fields));
  CHECK(invoice->network == "regtest");
  CHECK(invoice->amount == Amount(100'000));
  CHECK(invoice->payment_hash == fields.payment_hash);
  CHECK(invoice->description == fields.description);
  CHECK_FALSE(invoice->description_hash);
  CHECK(invoice->created == kCreated);
  CHECK(invoice->expires == kCreated + 60'000);
  CHECK(Bytes(invoice->payee.begin(), invoice->payee.end()) == test::test_payee());
}

TEST_CASE("spellings of one invoice") {
  const std::string text = encode({});
  std::string upper = text;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  for (const std::string& spelling : {upper, "lightning:" + text, "LIGHTNING:" + upper}) {
    const auto invoice = read_invoice(spelling);
    REQUIRE(invoice);
    CHECK(invoice->text == text);
  }
  std::string mixed = text;
  mixed[0] = 'L';
  CHECK(wrong(mixed) == "upper and lower case are mixed");
  CHECK_FALSE(wrong("lightning://" + text).empty());
  CHECK_FALSE(wrong(" " + text).empty());
  CHECK_FALSE(wrong(text + "\n").empty());
  CHECK_FALSE(wrong(text + text).empty());
}

TEST_CASE("networks") {
  const auto network = [](const char* prefix, const char* amount = "") {
    InvoiceFields fields;
    fields.prefix = prefix;
    fields.amount = amount;
    const auto invoice = read(fields);
    return invoice ? invoice->network : invoice.error().message;
  };
  CHECK(network("lnbc") == "mainnet");
  CHECK(network("lnbc", "20u") == "mainnet");
  CHECK(network("lntb") == "testnet");
  CHECK(network("lntbs", "1m") == "signet");
  CHECK(network("lnbcrt") == "regtest");
  for (const char* other : {"lnxx", "bc", "ln", "lnb", "xlnbc", "lnsb"}) {
    CHECK(network(other) == "not a valid invoice: its network is unknown");
  }
}

TEST_CASE("amounts") {
  const auto msat = [](const char* amount) {
    InvoiceFields fields;
    fields.amount = amount;
    const auto invoice = read(fields);
    if (!invoice) return invoice.error().message.substr(21);
    return invoice->amount ? invoice->amount->decimal() : "any";
  };
  CHECK(msat("") == "any");
  CHECK(msat("1") == "100000000000");
  CHECK(msat("1m") == "100000000");
  CHECK(msat("1u") == "100000");
  CHECK(msat("1n") == "100");
  CHECK(msat("10p") == "1");
  CHECK(msat("1000n") == "100000");
  CHECK(msat("21000000") == "2100000000000000000");
  CHECK(msat("184467440737095516150p") == "18446744073709551615");
  constexpr const char* kNumber = "its amount is no positive number";
  constexpr const char* kLarge = "its amount is too large";
  CHECK(msat("184467440737095516160p") == kLarge);
  CHECK(msat("184467441") == kLarge);
  CHECK(msat("1844674407370955162000000000") == kLarge);
  CHECK(msat("99999999999999999999999999999999999999999999999999999999999999999999999999999") ==
        kLarge);
  CHECK(msat("15p") == "its amount is not a whole number of millisatoshi");
  for (const char* other :
       {"0", "0u", "00", "01u", "u", "m", "p", "1uu", "-1u", "+1u", "1.5u", "0x10n",
        "9999999999999999999999999999999999999999999999999999999999999999"
        "99999999999999999999u"}) {
    CAPTURE(other);
    CHECK(msat(other) == kNumber);
  }
  CHECK(msat("1k") == "its amount's unit is unknown");
  CHECK(msat("k") == "its amount's unit is unknown");
}

TEST_CASE("a checksum is Bech32's") {
  InvoiceFields fields;
  fields.checksum = 0x2bc830a3;
  CHECK(wrong(fields) == "its checksum is wrong");
  std::string text = encode({});
  for (const std::size_t at : {text.size() - 1, text.size() / 2, std::size_t{8}}) {
    std::string changed = text;
    changed[at] = changed[at] == 'q' ? 'p' : 'q';
    CHECK(wrong(changed) == "its checksum is wrong");
  }
  text[20] = 'b';
  CHECK(wrong(text) == "it has a character that Bech32 does not");
  for (const char* none : {"", "lnbc", "1", "1qqqqqq", "ln\nbc1qqqqqq", "lightning:"}) {
    CHECK(wrong(none) == "it is not Bech32");
  }
}

TEST_CASE("fields that have to be there, once, and of their length") {
  InvoiceFields fields;
  fields.without = "p";
  CHECK(wrong(fields) == "it has no payment hash");
  fields.without = "s";
  CHECK(wrong(fields) == "it has no payment secret");
  fields.without = "9";
  CHECK(wrong(fields).empty());

  const Bytes hash = grouped(Bytes(32, 9));
  const Bytes node = grouped(test::test_payee());
  struct Case {
    char letter;
    Bytes content;
  };
  for (const Case& one :
       {Case{'p', hash}, {'s', hash}, {'d', {}}, {'9', {1, 0, 0}}, {'d', grouped(Bytes{'x'})}}) {
    InvoiceFields twice;
    twice.extra = {{one.letter, one.content}};
    CHECK(wrong(twice) == std::string("its field ") + one.letter + " is there twice");
  }
  for (const Case& one : {Case{'x', {1}}, {'n', node}}) {
    InvoiceFields twice;
    twice.extra = {{one.letter, one.content}};
    CHECK(wrong(twice).empty());
    twice.extra.push_back(twice.extra[0]);
    CHECK(wrong(twice) == std::string("its field ") + one.letter + " is there twice");
  }
  for (const char letter : {'p', 's', 'h', 'n'}) {
    for (const std::size_t size : {0U, 51U, 54U}) {
      InvoiceFields other;
      other.without = letter;
      if (letter == 'h') other.description.reset();
      other.extra = {{letter, Bytes(size)}};
      CHECK(wrong(other) == std::string("its field ") + letter + " has the wrong length");
      other.without = "";  // beside a good one
      CHECK(wrong(other) == std::string("its field ") + letter + " has the wrong length");
    }
  }
  InvoiceFields stray;
  stray.without = "p";
  stray.extra = {{'p', hash}};
  CHECK(wrong(stray).empty());
  stray.extra[0].groups.back() |= 1;
  CHECK(wrong(stray) == "a field has bits that belong to nothing");
}

TEST_CASE("what is unknown is skipped") {
  InvoiceFields fields;
  fields.extra = {{'q', {1, 2}}, {'l', {}}, {'r', Bytes(82)}, {'f', Bytes(33)},      {'c', {20}},
                  {'m', {3}},    {'q', {}}, {'r', Bytes(82)}, {'v', Bytes(1023, 31)}};
  CHECK(wrong(fields).empty());
}

TEST_CASE("a description or the hash of one") {
  InvoiceFields fields;
  fields.description_hash = Digest{5};
  CHECK(wrong(fields) == "it has both a description and the hash of one");
  fields.description.reset();
  const auto hashed = read(fields);
  REQUIRE(hashed);
  CHECK(hashed->description_hash == fields.description_hash);
  CHECK_FALSE(hashed->description);
  fields.description_hash.reset();
  CHECK(wrong(fields) == "it has neither a description nor the hash of one");
  fields.description = "";
  CHECK(read(fields)->description == "");
  for (const char* text : {"\xff", "\xc3", "\xed\xa0\x80"}) {
    fields.description = text;
    CHECK(wrong(fields) == "its description is not UTF-8");
  }
  fields.description.reset();
  fields.extra = {{'d', {12, 5}}};  // one byte and two bits
  CHECK(wrong(fields) == "its description has bits that belong to nothing");
  fields.extra = {{'d', {12, 4, 0}}};  // one byte and seven bits
  CHECK(wrong(fields) == "its description has bits that belong to nothing");
}

TEST_CASE("a field that runs over the end") {
  const std::string prefix = "lnbcrt";
  const auto with = [&](Bytes groups) {
    const Bytes signature = test::signature_groups(prefix, groups);
    groups.insert(groups.end(), signature.begin(), signature.end());
    return wrong(test::write_bech32(prefix, groups));
  };
  constexpr const char* kOver = "a field runs over its end";
  CHECK(with({0, 0, 0, 0, 0, 0, 1, 1}) == kOver);
  CHECK(with({0, 0, 0, 0, 0, 0, 1, 1, 1}) == kOver);
  CHECK(with({0, 0, 0, 0, 0, 0, 1, 1, 0, 1}) == kOver);
  CHECK(with({0, 0, 0, 0, 0, 0, 1, 1, 31, 31, 0}) == kOver);
  CHECK(with({0, 0, 0, 0, 0, 0, 1}) == "it has no payment hash");
  CHECK(with({0, 0, 0, 0, 0, 0}) == "it is too short");
  CHECK(wrong(test::write_bech32(prefix, Bytes(110))) == "it is too short");
}

TEST_CASE("features") {
  const auto with_bit = [](std::size_t bit) {
    InvoiceFields fields;
    fields.without = "9";
    Bytes groups(bit / 5 + 1);
    groups[0] = static_cast<std::uint8_t>(1 << bit % 5);
    fields.extra = {{'9', groups}};
    return wrong(fields);
  };
  for (const std::size_t known : {8U, 14U, 16U, 24U, 36U, 48U}) {
    CHECK(with_bit(known).empty());
  }
  for (const std::size_t odd : {1U, 9U, 15U, 17U, 25U, 37U, 49U, 51U, 99U, 101U, 5001U}) {
    CHECK(with_bit(odd).empty());
  }
  for (const std::size_t even :
       {0U, 2U, 10U, 12U, 18U, 22U, 26U, 34U, 46U, 50U, 100U, 262U, 5000U}) {
    CHECK(with_bit(even) == "it needs feature " + std::to_string(even) + ", which is unknown here");
  }
}

TEST_CASE("expiries") {
  InvoiceFields fields;
  CHECK(read(fields)->expires == kCreated + 3'600'000);
  fields.expiry = 1;
  CHECK(read(fields)->expires == kCreated + 1'000);
  fields.expiry = 0;
  CHECK(read(fields)->expires == kCreated);
  for (const std::uint64_t forever : {1UL << 40, 1UL << 60, UINT64_MAX}) {
    fields.expiry = forever;
    CHECK(format_rfc3339(read(fields)->expires) == "9999-12-31T23:59:59Z");
  }
  fields.created = (1LL << 35) - 1;
  CHECK(read(fields)->created == 34'359'738'367'000);
  fields.expiry.reset();
  fields.extra = {{'x', Bytes(1000, 31)}};
  CHECK(format_rfc3339(read(fields)->expires) == "9999-12-31T23:59:59Z");
  fields.extra = {{'x', {0, 1}}};
  CHECK(wrong(fields) == "its expiry is not in its shortest form");
}

TEST_CASE("signatures") {
  const Bytes node = grouped(test::test_payee());
  InvoiceFields fields;
  fields.high_s = true;  // allowed where the key is recovered
  const auto high = read(fields);
  REQUIRE(high);
  CHECK(Bytes(high->payee.begin(), high->payee.end()) == test::test_payee());
  fields.extra = {{'n', node}};
  CHECK(wrong(fields) == "its signature is not the payee's");
  fields.high_s = false;
  CHECK(wrong(fields).empty());
  fields.extra[0].groups[3] ^= 1;
  CHECK(wrong(fields) == "its signature is not the payee's");
  fields.extra[0].groups = Bytes(53);
  CHECK(wrong(fields) == "its signature is not the payee's");
  fields.extra[0].groups = node;
  fields.signature_flip = 1;
  CHECK(wrong(fields) == "its signature is not the payee's");
  fields.signature_flip = 0;
  for (const int id : {4, 5, 255}) {
    fields.recovery_id = static_cast<std::uint8_t>(id);
    CHECK(wrong(fields) == "its signature cannot be");
  }
  fields.extra.clear();
  CHECK(wrong(fields) == "its signature cannot be");
  fields.recovery_id = 2;  // r + n would have to be below p
  CHECK(wrong(fields) == "its signature cannot be");
  fields.recovery_id.reset();

  // With another first byte it is somebody else's signature, or nobody's.
  fields.signature_flip = 1;
  const auto other = read(fields);
  if (other) CHECK(Bytes(other->payee.begin(), other->payee.end()) != test::test_payee());
}

TEST_CASE("the length of an invoice") {
  InvoiceFields fields;
  while (encode(fields).size() + 1026 <= kMaxInvoice) {
    fields.extra.push_back({'q', Bytes(1023)});
  }
  fields.extra.push_back({'q', Bytes(kMaxInvoice - encode(fields).size() - 3)});
  CHECK(encode(fields).size() == kMaxInvoice);
  CHECK(wrong(fields).empty());
  fields.extra.back().groups.push_back(0);
  CHECK(wrong(fields) == "it is longer than 8 KiB");
}

}  // namespace
}  // namespace paycurl::lightning
