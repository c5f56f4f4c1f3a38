// L402: challenges as servers write them, and the credential that answers them.
#include <doctest/doctest.h>

#include "src/base/bytes.h"
#include "src/protocols/protocols.h"

namespace paycurl {
namespace {

http::Answer answer(int status, std::initializer_list<std::string> fields) {
  http::Answer all;
  all.head.status = status;
  for (const std::string& field : fields) {
    all.head.headers.add("WWW-Authenticate", field);
  }
  all.url = *http::parse_url("https://api.example.com/x");
  return all;
}

std::string text_at(const Challenge& challenge, const char* key) {
  const Json* details = challenge.request.find("methodDetails");
  return details->find(key) == nullptr ? "" : *details->string_at(key);
}

/// A macaroon of version 2 with that identifier and a location in front.
std::string macaroon(const std::string& identifier) {
  std::string bytes = "\x02\x01\x04here\x02";
  bytes += static_cast<char>(identifier.size());
  bytes += identifier;
  bytes += '\0';
  return to_base64(as_bytes(bytes));
}

TEST_CASE("every way in which an L402 challenge is written") {
  const auto l402 = make_l402();
  for (const char* field :
       {R"(L402 version="0", token="AAAA", invoice="lnbc1")",
        R"(L402 version="0" token="AAAA", invoice="lnbc1")",
        R"(L402 version="0" token="AAAA" invoice="lnbc1")",
        R"(L402 macaroon="AAAA", invoice="lnbc1")", R"(l402 token=AAAA,invoice=lnbc1)",
        R"(Basic realm="a b", L402 macaroon="AAAA", invoice="lnbc1")"}) {
    CAPTURE(field);
    const auto read = l402->read(answer(402, {field}));
    REQUIRE(read.size() == 1);
    REQUIRE(read[0].has_value());
    CHECK(read[0]->method == "lightning");
    CHECK(read[0]->intent == "charge");
    CHECK(text_at(*read[0], "invoice") == "lnbc1");
    CHECK(*read[0]->echo.string_at("token") == "AAAA");
    CHECK(read[0]->id.find("AAAA") == std::string::npos);
  }
}

TEST_CASE("under two names it is one offer") {
  const auto l402 = make_l402();
  const auto both = l402->read(answer(402, {R"(LSAT macaroon="AAAA", invoice="lnbc1")",
                                            R"(L402 macaroon="BBBB", invoice="lnbc2")"}));
  REQUIRE(both.size() == 1);
  CHECK(*both[0]->echo.string_at("scheme") == "L402");
  const auto old = l402->read(answer(402, {R"(LSAT macaroon="AAAA", invoice="lnbc1")"}));
  REQUIRE(old.size() == 1);
  CHECK(*old[0]->echo.string_at("scheme") == "LSAT");
}

TEST_CASE("only answers with such a challenge ask for payment") {
  const auto l402 = make_l402();
  CHECK(l402->wants_body(answer(402, {R"(L402 token="A", invoice="l")"}).head));
  CHECK(l402->wants_body(answer(401, {R"(L402 token="A", invoice="l")"}).head));
  CHECK(!l402->wants_body(answer(200, {R"(L402 token="A", invoice="l")"}).head));
  CHECK(!l402->wants_body(answer(401, {R"(Basic realm="L402")"}).head));
  CHECK(!l402->wants_body(answer(402, {R"(Payment id="x")"}).head));
}

TEST_CASE("a macaroon says which payment it is bound to") {
  const auto l402 = make_l402();
  std::string identifier(2, '\0');
  identifier += std::string(32, '\x07') + std::string(32, 'i');
  const auto hash_of = [&](const std::string& token) {
    const auto read =
        l402->read(answer(402, {"L402 macaroon=\"" + token + R"(", invoice="lnbc1")"}));
    REQUIRE(read.size() == 1);
    REQUIRE(read[0].has_value());
    return text_at(*read[0], "paymentHash");
  };
  std::string expected;
  for (int i = 0; i < 32; ++i)
    expected += "07";
  CHECK(hash_of(macaroon(identifier)) == expected);
  CHECK(hash_of(macaroon("short")).empty());
  identifier[0] = '\x01';  // another version of identifiers
  CHECK(hash_of(macaroon(identifier)).empty());
  CHECK(hash_of("not-base64!").empty());
}

TEST_CASE("tokens that would not come back as they are") {
  const auto l402 = make_l402();
  for (const char* field : {R"(L402 token="a b", invoice="l")", R"(L402 token="a:b", invoice="l")",
                            R"(L402 token="", invoice="l")", R"(L402 token="A")",
                            R"(L402 invoice="l")", R"(L402 token="A", token="B", invoice="l")"}) {
    CAPTURE(field);
    const auto read = l402->read(answer(402, {field}));
    REQUIRE(read.size() == 1);
    CHECK(!read[0]);
  }
}

TEST_CASE("the credential mirrors the scheme and goes to its origin alone") {
  const auto l402 = make_l402();
  auto read = l402->read(answer(402, {R"(LSAT macaroon="AAAA", invoice="lnbc1")"}));
  const std::string preimage(64, 'a');
  Credential credential{*read[0], Json::object({{"preimage", preimage}}), ""};
  http::Request request;
  request.url = *http::parse_url("https://api.example.com/y");
  REQUIRE(l402->attach(credential, request).has_value());
  CHECK(*request.headers.find("Authorization") == "LSAT AAAA:" + preimage);
  request.url = *http::parse_url("https://other.example.com/y");
  CHECK(!l402->attach(credential, request));
  const auto again = l402->restore(read[0]->echo);
  REQUIRE(again.has_value());
  CHECK(again->id == read[0]->id);
}

}  // namespace
}  // namespace paycurl
