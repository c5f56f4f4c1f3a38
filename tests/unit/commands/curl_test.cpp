// What curl's options bring: files of -K, names from servers, traces.
#include <doctest/doctest.h>

#include "commands/audience.h"
#include "commands/body_file.h"
#include "commands/config_lines.h"
#include "commands/curl_options.h"
#include "commands/trace.h"
#include "src/payment/redirect.h"

namespace paycurl {
namespace {

OptionShape shape_of(const std::string& name) {
  if (name == "--header" || name == "-H" || name == "--data" || name == "-d") return {true, true};
  if (name == "--silent" || name == "-s") return {true, false};
  return {};
}

std::vector<std::string> read(std::string_view text) {
  const auto lines = read_config_lines(text, "file", &shape_of);
  REQUIRE(lines);
  return *lines;
}

TEST_CASE("lines of -K are read as curl reads them") {
  using Words = std::vector<std::string>;
  CHECK(read("").empty());
  CHECK(read("# header = x\n/ x\n* x\n\n  \r\n").empty());
  CHECK(read("header = x") == Words{"--header", "x"});
  CHECK(read("  header:x  # more\r\n") == Words{"--header", "x"});
  CHECK(read("header x\nsilent\n") == Words{"--header", "x", "--silent"});
  CHECK(read("--header x=y") == Words{"--header", "x=y"});
  CHECK(read("-H \"x: # y\"") == Words{"-H", "x: # y"});
  CHECK(read(R"(data = "a\t\n\r\v\\\"\q")") == Words{"--data", "a\t\n\r\v\\\"q"});
  CHECK(read("data = \"\"") == Words{"--data", ""});
  CHECK(read("data = \"open") == Words{"--data", "open"});
  CHECK(read("data = \"-K\"") == Words{"--data", "-K"});
  for (const char* bad : {"silent = x", "header", "header =", "header = # x", "header = a b",
                          "header = \"a\"b", "unknown = 1"}) {
    CAPTURE(bad);
    const auto lines = read_config_lines(bad, "file", &shape_of);
    CHECK(!lines);
    if (!lines) CHECK(lines.error().message.starts_with("file:1: "));
  }
}

TEST_CASE("-K is found where it is an option") {
  const auto expanded = [](std::vector<std::string> arguments) {
    return with_config_files(arguments, &shape_of);
  };
  using Words = std::vector<std::string>;
  for (const Words& none : {Words{"-d", "-K", "x"}, Words{"-dK"}, Words{"--data", "--config"},
                            Words{"--", "-K", "x"}, Words{"--data=-K"}}) {
    const auto same = expanded(none);
    REQUIRE(same);
    CHECK(*same == none);
  }
  for (const Words& bad : {Words{"-K"}, Words{"-K", "/there/is/none"}, Words{"-sK/there/is/none"},
                           Words{"--config=/there/is/none"}}) {
    CHECK_FALSE(expanded(bad));
  }
}

TEST_CASE("a server's name for a file is a name in the folder") {
  CHECK(disposition_name("attachment; filename=a.txt") == "a.txt");
  CHECK(disposition_name("attachment; FILENAME=\"a b;c.txt\"; x=y") == "a b;c.txt");
  CHECK(disposition_name(R"(attachment; filename="a\"b")") == "a\"b");
  CHECK(disposition_name("filename=x") == "x");
  for (const char* name : {"/etc/passwd", "../../passwd", "a\\b\\passwd", "\"/x/passwd\""}) {
    CHECK(disposition_name(std::string("attachment; filename=") + name) == "passwd");
  }
  for (const char* none : {"", "attachment", "attachment; filename=", "attachment; filename=..",
                           "attachment; filename=\".\"", "attachment; filename=a/",
                           "attachment; filename*=UTF-8''a", "attachment; xfilename=a"}) {
    CAPTURE(none);
    CHECK(disposition_name(none).empty());
  }
}

TEST_CASE("a trace is drawn as curl draws it") {
  CHECK(dump_of("", true).empty());
  CHECK(dump_of("GET\n", true) == "0000: 47 45 54 0a                                     GET.\n");
  CHECK(dump_of("a\r\nbc", false) == "0000: a\n0003: bc\n");
  const std::string two = dump_of(std::string(100, 'x'), false);
  CHECK(two.find("0040: " + std::string(36, 'x') + "\n") != std::string::npos);
}

TEST_CASE("cookies that libcurl speaks of are not shown") {
  const std::string line =
      redacted('*', "Added cookie session=\"topsecret\" for domain example.com, path /, expire 0");
  CHECK(line.find("topsecret") == std::string::npos);
  CHECK(line.find("example.com") != std::string::npos);
  CHECK(redacted('*', "Replaced cookie a=\"top\" secret\" for domain b").find("secret") ==
        std::string::npos);
}

TEST_CASE("curl's options are known by name") {
  for (const char* name : {"--krb", "--no-keepalive", "--keepalive", "--abstract-unix-socket",
                           "--xattr", "--no-krb", "-Q", "-:"}) {
    CHECK(is_curl_option(name));
  }
  for (const char* name : {"--krbx", "--", "-", "--max-spend", "-=", ""}) {
    CHECK_FALSE(is_curl_option(name));
  }
}

TEST_CASE("a redirect takes the body of what posts, and the fields that belong to it") {
  http::Request request;
  request.method = "PUT";
  request.url = *http::parse_url("http://127.0.0.1/a");
  request.body = std::make_shared<const http::Body>(std::string("x"));
  request.headers.add("Content-Type", "multipart/form-data; boundary=x", true);
  request.headers.add("Expect", "100-continue", true);
  request.headers.add("Cookie", "a=1", true);
  http::Head head;
  head.status = 302;
  head.headers.add("Location", "http://127.0.0.2/b");
  RedirectRules rules;
  rules.keeps_method = true;
  auto next = redirected(request, head, rules);
  REQUIRE(next);
  CHECK(next->method == "PUT");
  CHECK(next->body == nullptr);
  CHECK(next->headers.empty());
  rules.upload = true;
  next = redirected(request, head, rules);
  REQUIRE(next);
  CHECK(next->body != nullptr);
  CHECK(next->headers.find("expect") != nullptr);
  CHECK(next->headers.find("cookie") == nullptr);
  head.status = 303;
  next = redirected(request, head, rules);
  REQUIRE(next);
  CHECK(next->body == nullptr);
  request.headers.remove("content-type");
  request.headers.add("Content-Type", "text/own");
  next = redirected(request, head, rules);
  REQUIRE(next);
  CHECK(next->headers.find("content-type") != nullptr);
}

}  // namespace
}  // namespace paycurl
