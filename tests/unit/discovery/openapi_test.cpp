// Discovery documents.
#include "src/discovery/openapi.h"

#include <doctest/doctest.h>

namespace paycurl::discovery {
namespace {

/// A document with one operation.
std::string document(const std::string& path, const std::string& method,
                     const std::string& operation, const std::string& more = "") {
  return R"({"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{")" + path + R"(":{")" +
         method + R"(":)" + operation + "}}" + more + "}";
}

const std::string kOffer =
    R"("intent":"charge","method":"tempo","amount":"10000","currency":"0x20")";
const std::string kResponses = R"("responses":{"402":{}})";

TEST_CASE("an operation with its offers") {
  const auto one = parse_document(
      document("/a", "get", R"({"x-payment-info":{)" + kOffer + "}," + kResponses + "}"));
  REQUIRE(one);
  CHECK(one->issues.empty());
  REQUIRE(one->operations.size() == 1);
  CHECK(one->operations[0].method == "GET");
  CHECK(one->operations[0].url_path == "/a");
  REQUIRE(one->operations[0].offers.size() == 1);
  CHECK(one->operations[0].offers[0].amount == "10000");

  const auto many = parse_document(document(
      "/a", "get",
      R"({"x-payment-info":{"offers":[{)" + kOffer +
          R"(},{"intent":"session","method":"tempo","amount":null}]},)" + kResponses + "}"));
  REQUIRE(many);
  CHECK(many->issues.empty());
  REQUIRE(many->operations[0].offers.size() == 2);
  CHECK_FALSE(many->operations[0].offers[1].amount);
}

TEST_CASE("prices are digits, or null") {
  for (const char* amount :
       {"10000", R"("010000")", R"("1.5")", R"("-1")", R"("0x10")", R"("")", R"(" 1")", "true"}) {
    CAPTURE(amount);
    const auto read = parse_document(
        document("/a", "get",
                 R"({"x-payment-info":{"intent":"charge","method":"tempo","amount":)" +
                     std::string(amount) + "}," + kResponses + "}"));
    REQUIRE(read);
    REQUIRE(read->issues.size() == 1);
    CHECK(read->issues[0].rule == Rule::payment_info);
    CHECK(read->issues[0].path == "paths./a.get.x-payment-info.amount");
    CHECK(read->operations.empty());  // a price that is not one is nothing to compare with
  }
}

TEST_CASE("what is wrong has its place") {
  const auto no_402 =
      parse_document(document("/a", "get", R"({"x-payment-info":{)" + kOffer + "}}"));
  REQUIRE(no_402);
  REQUIRE(no_402->issues.size() == 1);
  CHECK(no_402->issues[0].rule == Rule::response_402);
  CHECK(no_402->issues[0].is_error());

  const auto no_body = parse_document(
      document("/a", "post", R"({"x-payment-info":{)" + kOffer + "}," + kResponses + "}"));
  REQUIRE(no_body);
  REQUIRE(no_body->issues.size() == 1);
  CHECK_FALSE(no_body->issues[0].is_error());

  const auto mixed = parse_document(document(
      "/a", "get",
      R"({"x-payment-info":{"offers":[{)" + kOffer + R"(}],"amount":"1"},)" + kResponses + "}"));
  REQUIRE(mixed);
  CHECK(mixed->issues.size() == 1);

  CHECK_FALSE(parse_document("[]"));
  CHECK_FALSE(parse_document(R"({"openapi":"3.1.0","openapi":"3.1.0"})"));
  const auto empty = parse_document("{}");
  REQUIRE(empty);
  CHECK(empty->issues.size() == 4);
  const auto links = parse_document(
      document("/a", "get", "{}", R"(,"x-service-info":{"docs":{"homepage":"x y"}})"));
  REQUIRE(links);
  CHECK(links->issues[0].rule == Rule::service_info);
}

TEST_CASE("a 402 response counts where nothing has a price") {
  const auto read = parse_document(document("/a", "get", "{" + kResponses + "}"));
  REQUIRE(read);
  CHECK(read->operations.size() == 1);
  CHECK(read->operations[0].offers.empty());
}

TEST_CASE("parameters of a path take their examples, and cannot leave their place") {
  const auto path_of = [](const std::string& parameter) {
    const auto read =
        parse_document(document("/a/{id}/b", "get",
                                R"({"parameters":[{"in":"path","name":"id",)" + parameter +
                                    R"(}],"x-payment-info":{)" + kOffer + "}," + kResponses + "}",
                                R"(,"s":{"default":7})"));
    REQUIRE(read);
    REQUIRE(read->operations.size() == 1);
    return read->operations[0].url_path;
  };
  CHECK(path_of(R"("example":"x y/../é?#")") == "/a/x%20y%2f..%2f%c3%a9%3f%23/b");
  CHECK(path_of(R"("schema":{"$ref":"#/s"})") == "/a/7/b");
  CHECK(path_of(R"("schema":{})").empty());
  CHECK(path_of(R"("example":{})").empty());
}

TEST_CASE("a body is made of examples, else of the schema") {
  const auto body_of = [](const std::string& media, const std::string& more = "") {
    const auto read = parse_document(
        document("/a", "post",
                 R"({"x-payment-info":{)" + kOffer + "}," + kResponses +
                     R"(,"requestBody":{"content":{"application/json":)" + media + "}}}",
                 more));
    REQUIRE(read);
    REQUIRE(read->operations.size() == 1);
    return read->operations[0].body;
  };
  CHECK(body_of(R"({"example":{"q":1}})") == R"({"q":1})");
  CHECK(body_of(R"({"examples":{"x":{"value":[2]}}})") == "[2]");
  CHECK(body_of(R"({"schema":{"type":"object","required":["a","b","e"],"properties":{
                    "a":{"type":"string","format":"email"},"b":{"type":"integer","minimum":3},
                    "c":{"type":"string"},"e":{"enum":["x","y"]}}}})") ==
        R"({"a":"test@example.com","b":3,"e":"x"})");
  CHECK_FALSE(body_of("{}"));
  // References in a circle, and those that double each other, come to an end.
  const auto circle = body_of(R"({"schema":{"$ref":"#/s"}})", R"(,"s":{"$ref":"#/s"})");
  CHECK_FALSE(circle);
  const auto bomb = body_of(
      R"({"schema":{"$ref":"#/s"}})",
      R"(,"s":{"type":"object","required":["a","b"],"properties":{"a":{"$ref":"#/s"},"b":{"$ref":"#/s"}}})");
  CHECK((!bomb || bomb->size() < (4 << 20)));
}

}  // namespace
}  // namespace paycurl::discovery
