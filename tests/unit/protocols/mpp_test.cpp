// The Payment scheme: challenges, credentials and receipts as mppx writes them.
#include <doctest/doctest.h>

#include "src/payment/identity.h"
#include "src/protocols/protocols.h"
#include "tests/unit/vectors.h"

namespace paycurl {
namespace {

/// Header fields are bytes: letters up to U+00FF travel as Latin-1, as Node writes them.
std::string latin1(const std::string& utf8) {
  std::string out;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if ((byte == 0xc2 || byte == 0xc3) && i + 1 < utf8.size()) {
      out += static_cast<char>((byte & 3) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
    } else {
      out += utf8[i];
    }
  }
  return out;
}

std::vector<Result<Challenge>> read(const std::string& field) {
  http::Answer answer;
  answer.head.status = 402;
  answer.head.headers.add("WWW-Authenticate", latin1(field));
  answer.url = *http::parse_url("https://api.example.com/x");
  return make_mpp()->read(answer);
}

void check_same(const Challenge& challenge, const Json& expected) {
  for (const auto& member : *expected.members()) {
    const std::string& name = member.first;
    const Json& value = member.second;
    CAPTURE(name);
    if (name == "request") {
      CHECK(challenge.request.canonical() == value.canonical());
    } else if (name == "meta") {
      const auto opaque = from_base64url(test::text(challenge.echo, "opaque"));
      CHECK(Json::parse(as_text(*opaque))->canonical() == value.canonical());
    } else {
      CHECK(test::text(challenge.echo, name) == *value.string());
    }
  }
}

TEST_CASE("challenges that mppx writes") {
  for (const Json& c : test::list(test::load("tempo-challenge"), "serialize")) {
    const auto challenges = read(test::text(c, "header"));
    REQUIRE(challenges.size() == 1);
    REQUIRE(challenges[0].has_value());
    check_same(*challenges[0], test::at(c, "challenge"));
  }
}

TEST_CASE("challenges that mppx reads, and those that it refuses") {
  for (const Json& c : test::list(test::load("tempo-challenge"), "parse")) {
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    const auto challenges = read(test::text(c, "header"));
    const Json& expected = test::at(test::at(c, "expected"), "list");
    if (const Json* good = expected.find("ok")) {
      REQUIRE(challenges.size() == good->items()->size());
      for (std::size_t i = 0; i < challenges.size(); ++i) {
        REQUIRE(challenges[i].has_value());
        check_same(*challenges[i], (*good->items())[i]);
      }
    } else {
      for (const auto& challenge : challenges)
        CHECK_FALSE(challenge.has_value());
    }
  }
}

TEST_CASE("one broken challenge leaves the others usable") {
  const std::string good =
      R"(Payment id="a", realm="r", method="tempo", intent="charge", request="e30")";
  const auto challenges = read(good + R"(, Payment id="b", id="b", request="e30", )" + good);
  REQUIRE(challenges.size() == 3);
  CHECK(challenges[0].has_value());
  CHECK_FALSE(challenges[1].has_value());
  CHECK(challenges[2].has_value());
}

TEST_CASE("limits: number, size, depth, duplicates") {
  const auto with = [](const std::string& request) {
    return read(R"(Payment id="a", realm="r", method="tempo", intent="charge", request=")" +
                request + "\"");
  };
  const auto encoded = [](const std::string& json) { return to_base64url(as_bytes(json)); };
  CHECK_FALSE(with(encoded(R"({"amount":"1","amount":"5000000"})"))[0].has_value());
  CHECK_FALSE(with(encoded("[]"))[0].has_value());
  CHECK_FALSE(with(std::string(16 * 1024 + 4, 'A'))[0].has_value());
  CHECK_FALSE(with("e30+/")[0].has_value());
  std::string deep;
  for (int i = 0; i < 4000; ++i)
    deep += "{\"a\":";
  CHECK_FALSE(with(encoded(deep))[0].has_value());
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += R"(Payment id="a", realm="r", method="tempo", intent="charge", request="e30", )";
  CHECK(read(many).size() == 64);
}

TEST_CASE("the field for the credential cannot be one that frames the message") {
  const auto field = [](const std::string& name) {
    return read(
        R"(Payment id="a", realm="r", method="tempo", intent="charge", request="e30", header=")" +
        name + "\"");
  };
  CHECK(field("Payment-Authorization")[0]->field == "Payment-Authorization");
  for (const char* name : {"Host", "content-length", "Transfer-Encoding", "Proxy-Authorization",
                           "Connection", "a b", "", "X:", "Upgrade"}) {
    CAPTURE(name);
    CHECK_FALSE(field(name)[0].has_value());
  }
}

TEST_CASE("credentials: the same JSON as mppx's") {
  for (const Json& c : test::list(test::load("tempo-credential"), "cases")) {
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    const Json& expected = test::at(c, "json");
    auto challenge = make_mpp()->restore(test::at(expected, "challenge"));
    REQUIRE(challenge.has_value());
    http::Request request;
    request.url = challenge->url = *http::parse_url("https://api.example.com/x");
    const Json* source = expected.find("source");
    const Credential credential{*challenge, test::at(expected, "payload"),
                                source ? *source->string() : ""};
    REQUIRE(make_mpp()->attach(credential, request).has_value());
    const std::string* field = request.headers.find(challenge->field);
    REQUIRE(field != nullptr);
    CHECK(*field == "Payment " + to_base64url(as_bytes(expected.canonical())));
  }
}

TEST_CASE("a credential goes to the origin that asked for it") {
  auto challenge =
      read(R"(Payment id="a", realm="r", method="tempo", intent="charge", request="e30")")[0];
  http::Request request;
  for (const char* url :
       {"http://api.example.com/x", "https://api.example.com:444/x", "https://evil.example/x"}) {
    request.url = *http::parse_url(url);
    CHECK_FALSE(make_mpp()->attach({*challenge, Json::object(), ""}, request).has_value());
  }
}

TEST_CASE("receipts") {
  const Json vectors = test::load("tempo-receipt");
  const auto receipt = [](const std::string& field) {
    http::Head head;
    head.headers.add("payment-receipt", field);
    return make_mpp()->receipt(head);
  };
  for (const Json& c : test::list(vectors, "cases")) {
    const auto read_receipt = receipt(test::text(c, "header"));
    REQUIRE(read_receipt.has_value());
    CHECK((*read_receipt)->json.canonical() == test::at(c, "parsed").canonical());
  }
  for (const Json& c : test::list(vectors, "variants")) {
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    const bool accepted = test::at(c, "generic").find("ok") != nullptr;
    CHECK(receipt(test::text(c, "header")).has_value() == accepted);
  }
  const std::string padded =
      "eyJtZXRob2QiOiJ0ZW1wbyIsInN0YXR1cyI6InN1Y2Nlc3MiLCJ0aW1lc3RhbXAiOiIyMDI2LTExLTIwVDExOjU5OjMx"
      "WiIsInJlZmVyZW5jZSI6Im9uZSJ9";
  CHECK(receipt(padded + std::string((4 - padded.size() % 4) % 4, '=')).has_value());
  CHECK_FALSE(make_mpp()->receipt({})->has_value());
}

TEST_CASE("tempo-body-digest vectors") {
  int count = 0;
  for (const Json& vector : test::list(test::load("tempo-body-digest"), "cases")) {
    const Digest body = sha256(as_bytes(test::text(vector, "body")));
    const std::string plain = test::text(vector, "digest");
    CHECK(is_digest_of(plain, body));
    CHECK(is_digest_of("sha-256=:" + plain.substr(8) + ":", body));
    CHECK_FALSE(is_digest_of(plain, sha256(as_bytes("another"))));
    CHECK_FALSE(is_digest_of("sha-512=" + plain.substr(8), body));
    CHECK_FALSE(is_digest_of(plain.substr(0, plain.size() - 1), body));
    ++count;
  }
  CHECK(count == 5);
}

}  // namespace
}  // namespace paycurl
