// The directory of services: everything in it is optional and nothing is trusted.
#include "src/protocols/registry.h"

#include <doctest/doctest.h>

#include "src/protocols/protocols.h"
#include "tests/unit/vectors.h"

namespace paycurl {
namespace {

constexpr std::string_view kOne = R"({"version":1,"services":[{"id":"weather","name":"Weather",
  "url":"https://w.example","serviceUrl":"https://api.w.example","description":"Rain and sun",
  "status":"active","categories":["Data"],"tags":["sky"],"methods":{"tempo":{"intents":["charge"]},"stripe":{}},
  "realm":"api.w.example","provider":{"name":"W Inc"},"docs":{"homepage":"https://w.example/d"},
  "endpoints":[
    {"method":"GET","path":"/now","description":"Now","payment":{"intent":"charge","method":"tempo",
      "amount":"10000","currency":"0x20c000000000000000000000b9537d11c60e8b50","decimals":6,"unitType":"request"}},
    {"method":"POST","path":"/ask","payment":{"dynamic":true,"amountHint":"0.01 to 2"}},
    {"method":"GET","path":"/free","payment":null}]}]})";

TEST_CASE("a registry is read") {
  const auto services = read_registry(kOne);
  REQUIRE(services.has_value());
  REQUIRE(services->size() == 1);
  const ListedService& service = services->front();
  CHECK(service.id == "weather");
  CHECK(service.provider == "W Inc");
  CHECK(service.homepage == "https://w.example/d");
  CHECK(service.methods == std::vector<std::string>{"tempo", "stripe"});
  CHECK(service.paid_endpoints() == 2);
  REQUIRE(service.endpoints.size() == 3);
  CHECK(service.endpoints[0].price->units() == "0.01");
  CHECK(service.endpoints[0].price->unit == "request");
  CHECK(service.endpoints[1].price->dynamic);
  CHECK(service.endpoints[1].price->units().empty());
  CHECK_FALSE(service.endpoints[2].price.has_value());
}

TEST_CASE("fields of another type are absent, services without an id are left out") {
  const auto services = read_registry(
      R"({"services":[1,null,{},{"id":7},{"id":"a","name":[],"categories":"x","tags":[1,"t"],"methods":[],
      "endpoints":[3,{"payment":[]},{"payment":{"amount":"-1","decimals":99}},{"payment":{"amount":250,"decimals":2}},
      {"payment":{"amount":-5,"decimals":2}},{"payment":{"amount":1.5,"decimals":2}}]}]})");
  REQUIRE(services.has_value());
  REQUIRE(services->size() == 1);
  const ListedService& service = services->front();
  CHECK(service.name.empty());
  CHECK(service.categories.empty());
  CHECK(service.tags == std::vector<std::string>{"t"});
  CHECK(service.methods.empty());
  REQUIRE(service.endpoints.size() == 5);
  CHECK_FALSE(service.endpoints[0].price.has_value());
  CHECK_FALSE(service.endpoints[1].price->amount.has_value());
  CHECK_FALSE(service.endpoints[1].price->decimals.has_value());
  CHECK(service.endpoints[2].price->units() == "2.5");
  CHECK(service.endpoints[3].price->units().empty());
  CHECK(service.endpoints[4].price->units().empty());
}

TEST_CASE("what is no registry is refused") {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"services":{}})", "<html>", R"({"services":[],"services":[]})"}) {
    CAPTURE(text);
    const auto services = read_registry(text);
    REQUIRE_FALSE(services.has_value());
    CHECK(services.error().kind == Kind::protocol);
  }
  CHECK_FALSE(read_registry("{\"services\":[" + std::string(kMaxRegistry, ' ') + "]}").has_value());
}

TEST_CASE("filters") {
  const ListedService service = read_registry(kOne)->front();
  CHECK(RegistryFilter{}.matches(service));
  CHECK(RegistryFilter{"RAIN", "", "", ""}.matches(service));
  CHECK(RegistryFilter{"sky", "data", "tempo", "ACTIVE"}.matches(service));
  CHECK_FALSE(RegistryFilter{"snow", "", "", ""}.matches(service));
  CHECK_FALSE(RegistryFilter{"", "dat", "", ""}.matches(service));
  CHECK_FALSE(RegistryFilter{"", "", "lightning", ""}.matches(service));
  CHECK_FALSE(RegistryFilter{"", "", "", "beta"}.matches(service));
}

TEST_CASE("credentials that mppx writes are read") {
  for (const Json& c : test::list(test::load("tempo-credential"), "cases")) {
    const std::string case_name = test::text(c, "name");
    CAPTURE(case_name);
    const auto credential = read_mpp_credential(test::text(c, "header").substr(8));
    REQUIRE(credential.has_value());
    const Json& expected = test::at(c, "credential");
    CHECK(credential->payload.canonical() == test::at(expected, "payload").canonical());
    CHECK(credential->challenge.id == test::text(test::at(expected, "challenge"), "id"));
    CHECK(credential->challenge.request.canonical() ==
          test::at(test::at(expected, "challenge"), "request").canonical());
  }
  for (const char* text : {"", "e30", "W10", "eyJjaGFsbGVuZ2UiOnt9fQ", "not base64!"}) {
    CAPTURE(text);
    CHECK(read_mpp_credential(text).error().kind == Kind::protocol);
  }
}

}  // namespace
}  // namespace paycurl
