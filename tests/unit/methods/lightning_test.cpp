// What a Lightning challenge is held against before anybody is asked to pay it.
#include <doctest/doctest.h>

#include "src/methods/lightning/session.h"
#include "src/methods/lightning/terms.h"
#include "src/methods/methods.h"
#include "tests/client.h"
#include "tests/unit/methods/bolt11_encoder.h"

namespace paycurl::lightning {
namespace {

constexpr Millis kNow = 1'767'225'700'000;  // 100 s after the invoices were made

Digest hash_of(std::uint8_t byte) {
  Digest digest;
  digest.fill(byte);
  return digest;
}

test::InvoiceFields invoice_of(std::uint64_t msat) {
  test::InvoiceFields fields;
  fields.msat = msat;
  fields.payment_hash = hash_of(7);
  fields.expiry = 3600;
  return fields;
}

Challenge charge_of(const std::string& amount, const test::InvoiceFields& fields) {
  Challenge challenge;
  challenge.protocol = "mpp";
  challenge.id = "c1";
  challenge.realm = "api.example.com";
  challenge.method = "lightning";
  challenge.intent = "charge";
  challenge.url = *http::parse_url("https://api.example.com/x");
  challenge.request =
      Json::object({{"amount", amount},
                    {"currency", "sat"},
                    {"methodDetails", Json::object({{"invoice", test::encode(fields)},
                                                    {"paymentHash", to_hex(fields.payment_hash)},
                                                    {"network", "regtest"}})}});
  return challenge;
}

Challenge with(Challenge challenge, const char* key, Json value) {
  challenge.request.set(key, std::move(value));
  return challenge;
}

Challenge with_detail(Challenge challenge, const char* key, Json value) {
  Json details = *challenge.request.find("methodDetails");
  details.set(key, std::move(value));
  challenge.request.set("methodDetails", std::move(details));
  return challenge;
}

std::unique_ptr<Method> method_on(const std::optional<std::string>& network) {
  MethodOptions options;
  options.network = network;
  options.clock = [] { return kNow; };
  static test::NoClient client;
  return *make_method(options, client);
}

std::string reason(const Challenge& challenge, const std::optional<std::string>& network = {}) {
  const auto refusal = method_on(network)->refusal(challenge);
  return refusal ? refusal->reason : "";
}

TEST_CASE("an honest charge is read to the millisatoshi") {
  const Challenge challenge = charge_of("100", invoice_of(100'000));
  const auto terms = read_charge(challenge);
  REQUIRE(terms.has_value());
  CHECK(terms->amount == Amount(100'000));
  CHECK(terms->payee() == to_hex(test::test_payee()));
  CHECK(reason(challenge).empty());
  const auto quote = method_on({})->quote(challenge);
  REQUIRE(quote.has_value());
  CHECK(describe(quote->spend.total) == "100 sat");
  CHECK(quote->spend.total.asset.network == "lightning:regtest");
  CHECK(quote->spend.total.asset.is_test);
}

TEST_CASE("a challenge that is not its invoice is refused") {
  const Challenge good = charge_of("1", invoice_of(1'000));
  CHECK(reason(charge_of("1", invoice_of(1'000'000))) == "malformed");
  CHECK(reason(charge_of("1", invoice_of(1'001))) == "malformed");
  CHECK(reason(charge_of("1000", invoice_of(1'000))) == "malformed");
  CHECK(reason(charge_of("0", invoice_of(1'000))) == "malformed");
  CHECK(reason(charge_of("-1", invoice_of(1'000))) == "malformed");
  CHECK(reason(charge_of("01", invoice_of(1'000))) == "malformed");
  CHECK(reason(charge_of("1.0", invoice_of(1'000))) == "malformed");
  auto open = invoice_of(0);
  open.msat.reset();
  CHECK(reason(charge_of("1", open)) == "malformed");
  CHECK(reason(with_detail(good, "paymentHash", to_hex(hash_of(8)))) == "malformed");
  CHECK(reason(with_detail(good, "paymentHash", "07")) == "malformed");
  CHECK(reason(with_detail(good, "paymentHash", Json(7))) == "malformed");
  CHECK(reason(with_detail(good, "network", "mainnet")) == "malformed");
  CHECK(reason(with_detail(good, "network", "testnet")) == "malformed");
  CHECK(reason(with_detail(good, "invoice", "lnbcrt1")) == "malformed");
  CHECK(reason(with_detail(good, "invoice", Json())) == "malformed");
  CHECK(reason(with(good, "methodDetails", Json())) == "malformed");
  CHECK(reason(with(good, "amount", Json(1))) == "malformed");
  CHECK(reason(with(good, "currency", "EUR")) == "unknown_token");
  CHECK(reason(with(good, "currency", Json())) == "malformed");
  CHECK(reason(good).empty());
}

TEST_CASE("what real servers write otherwise is taken where the invoice agrees") {
  const Challenge good = charge_of("1", invoice_of(1'000));
  CHECK(reason(with(good, "currency", "BTC")).empty());
  CHECK(reason(with(charge_of("2", invoice_of(1'000)), "currency", "BTC")) == "malformed");
  Challenge bare = good;
  bare.request.set("methodDetails", Json::object({{"invoice", test::encode(invoice_of(1'000))}}));
  CHECK(reason(bare).empty());
}

TEST_CASE("an invoice for something else than is described") {
  auto fields = invoice_of(1'000);
  fields.description.reset();
  fields.description_hash = sha256(as_bytes("a poem"));
  CHECK(reason(with(charge_of("1", fields), "description", "a poem")).empty());
  CHECK(reason(with(charge_of("1", fields), "description", "a song")) == "malformed");
  CHECK(reason(charge_of("1", fields)).empty());
}

TEST_CASE("what is over, or will be before it can be paid") {
  Challenge challenge = charge_of("1", invoice_of(1'000));
  challenge.expires = kNow + 60'000;
  CHECK(reason(challenge).empty());
  challenge.expires = kNow + 4'000;
  CHECK(reason(challenge) == "expired");
  challenge.clock_offset = -60'000;  // the server's clock is a minute behind
  CHECK(reason(challenge).empty());
  auto old = invoice_of(1'000);
  old.expiry = 99;
  CHECK(reason(charge_of("1", old)) == "expired");
  old.expiry = 102;
  CHECK(reason(charge_of("1", old)) == "expired");
  old.expiry = 200;
  CHECK(reason(charge_of("1", old)).empty());
}

TEST_CASE("the network that the user named") {
  const Challenge challenge = charge_of("1", invoice_of(1'000));
  CHECK(reason(challenge, "regtest").empty());
  CHECK(reason(challenge, "testnet").empty());
  CHECK(reason(challenge, "mainnet") == "wrong_network");
  CHECK(reason(challenge, "42431") == "wrong_network");
}

TEST_CASE("an L402 charge costs what its invoice says") {
  Challenge challenge;
  challenge.protocol = "l402";
  challenge.intent = "charge";
  Json details = Json::object({{"invoice", test::encode(invoice_of(10'000))}});
  challenge.request = Json::object({{"methodDetails", details}});
  const auto terms = read_charge(challenge);
  REQUIRE(terms.has_value());
  CHECK(terms->amount == Amount(10'000));
  details.set("paymentHash", to_hex(hash_of(8)));
  challenge.request.set("methodDetails", details);
  CHECK(!read_charge(challenge));
}

Challenge session_of(const std::string& amount, const std::string& deposit,
                     const test::InvoiceFields& fields) {
  Challenge challenge = charge_of(amount, fields);
  challenge.intent = "session";
  challenge.request = Json::object({{"amount", amount},
                                    {"currency", "sat"},
                                    {"unitType", "token"},
                                    {"depositInvoice", test::encode(fields)},
                                    {"depositAmount", deposit},
                                    {"paymentHash", to_hex(fields.payment_hash)}});
  return challenge;
}

TEST_CASE("a session's deposit is the one that is announced") {
  const Challenge good = session_of("2", "40", invoice_of(40'000));
  CHECK(reason(good).empty());
  const auto quote = session_quote(good);
  REQUIRE(quote.has_value());
  CHECK(describe(quote->spend.total) == "2 sat");
  CHECK(describe(*quote->suggested_deposit) == "40 sat");
  CHECK(reason(session_of("2", "40", invoice_of(400'000))) == "malformed");
  CHECK(reason(session_of("2", "4", invoice_of(40'000))) == "malformed");
  CHECK(reason(session_of("2", "0", invoice_of(40'000))) == "malformed");
  CHECK(reason(session_of("41", "40", invoice_of(40'000))) == "malformed");
  CHECK(reason(with(good, "paymentHash", to_hex(hash_of(8)))) == "malformed");
  CHECK(reason(with(good, "idleTimeout", "soon")) == "malformed");
  CHECK(reason(with(good, "idleTimeout", "99999999999999999999")) == "malformed");
  CHECK(reason(with(good, "idleTimeout", "300")).empty());
  Challenge without = good;
  without.request =
      Json::object({{"amount", "2"}, {"currency", "sat"}, {"paymentHash", to_hex(hash_of(7))}});
  CHECK(reason(without).empty());  // of a session that is open
  without.expires.reset();         // nothing ends it: still a time that can be reckoned with
  without.clock_offset = -3'600'000;
  CHECK(local_end(read_session(without)->until, without.clock_offset) ==
        kLastSecond * 1000 + 3'600'000);
  without.expires = INT64_MAX;
  CHECK(read_session(without)->until == kLastSecond * 1000);
  without.request = Json::object({{"amount", "2"}, {"currency", "sat"}});
  CHECK(reason(without) == "malformed");
}

TEST_CASE("what was agreed survives the journal") {
  const Agreement agreement{"lnbcrt1x", hash_of(9), "POST"};
  const auto read = Agreement::parse(agreement.to_text());
  REQUIRE(read.has_value());
  CHECK(read->return_invoice == "lnbcrt1x");
  CHECK(read->return_hash == hash_of(9));
  CHECK(read->http_method == "POST");
  CHECK(!Agreement::parse("{}"));
}

}  // namespace
}  // namespace paycurl::lightning
