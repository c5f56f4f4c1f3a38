// What people read: redaction, shortened addresses, tables, -w.
#include <doctest/doctest.h>

#include "commands/audience.h"
#include "commands/output.h"
#include "commands/write_out.h"

namespace paycurl {
namespace {

TEST_CASE("credentials and cookies are never shown") {
  const std::string token = "eyJjaGFsbGVuZ2UiOnsiaWQiOiJ4In19";
  for (const char* line :
       {"Authorization: Payment ", "authorization:Payment ", "Payment-Authorization: Payment ",
        "X-Any: Payment ", "Authorization: Bearer ", "Proxy-Authorization: Basic "}) {
    const std::string shown = redacted('>', line + token);
    CAPTURE(shown);
    CHECK(shown.find(token) == std::string::npos);
    CHECK(shown.find("bytes, sha256") != std::string::npos);
  }
  CHECK(redacted('*', "h2h3 [authorization: Bearer " + token + "]").find(token) ==
        std::string::npos);
  CHECK(redacted('*', "h2h3 [cookie: " + token).find(token) == std::string::npos);
  CHECK(redacted('*', "[HTTP/2] [1] [cookie: a=" + token + "]").find(token) == std::string::npos);
  CHECK(redacted('*', "h2h3 [accept: */*]") == "h2h3 [accept: */*]");
  CHECK(redacted('>', "Cookie: session=" + token).find(token) == std::string::npos);
  CHECK(redacted('<', "Set-Cookie: session=" + token).find(token) == std::string::npos);
  CHECK(redacted('>', "Authorization: " + token).find(token) == std::string::npos);
  CHECK(redacted('<', "WWW-Authenticate: Payment id=\"x\"") ==
        "WWW-Authenticate: Payment id=\"x\"");
  CHECK(redacted('>', "Accept: */*") == "Accept: */*");
  CHECK(redacted('<', "X: \x1b[2J") == "X: \\u{1b}[2J");
  CHECK(redacted('>', "GET / HTTP/1.1") == "GET / HTTP/1.1");
}

TEST_CASE("addresses and tables") {
  CHECK(shortened("0x70997970C51812dc3A010C7d01b50e0d17dc79C8") == "0x7099…79C8");
  CHECK(shortened("short") == "short");
  CHECK(table({{"a", "bb"}, {"ccc", "d"}}) == "a    bb\nccc  d\n");
  CHECK(table({{"ü", "x"}, {"ab", "y"}}) == "ü   x\nab  y\n");
}

TEST_CASE("-w") {
  Outcome outcome;
  http::Head head;
  head.status = 404;
  head.version = "1.1";
  head.headers.add("X-A", "v");
  outcome.head = head;
  http::Request request;
  request.headers.add("Referer", "http://r/");
  const WriteOutFacts facts{outcome, "http://h/", request, "", 2, {}};
  const auto shown = [&](const char* format) { return write_out(format, facts).to_stdout; };
  CHECK(shown("%{http_code} %{response_code}\\n%%%{method} %header{x-a} %{urlnum}") ==
        "404 404\n%GET v 2");
  CHECK(shown("%{payment_status}|%{payment_id}|%{payment_amount}") == "none||");
  CHECK(shown("%{exitcode}%{errormsg}%{referer}%{scheme}") == "0http://r/HTTPS");
  CHECK(shown("a%{onerror}b") == "a");
  CHECK(write_out("x", facts).unknown.empty());
  const WrittenOut split = write_out("a%{stderr}b%{nothing}%{stdout}c%{", facts);
  CHECK(split.to_stdout == "ac%{");
  CHECK(split.to_stderr == "b");
  CHECK(split.unknown == "nothing");
  const auto json = Json::parse(shown("%{json}"));
  REQUIRE(json.has_value());
  CHECK(json->find("http_code")->dump() == "404");
  CHECK(json->find("http_connect")->dump() == "0");
  CHECK(json->find("time_total")->dump() == "0");
  CHECK(json->find("referer")->dump() == "\"http://r/\"");
}

}  // namespace
}  // namespace paycurl
