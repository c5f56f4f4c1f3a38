// What the options of a connection mean.
#include "commands/connection_options.h"

#include <doctest/doctest.h>

namespace paycurl {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("--proto is read from left to right") {
  CHECK_FALSE(parse_schemes(""));
  CHECK(*parse_schemes("=https") == Names{"https"});
  CHECK(*parse_schemes("-all,https,+HTTP") == Names{"https", "http"});
  CHECK(*parse_schemes("=http,ftp") == Names{"http"});
  CHECK(*parse_schemes("-http,-ws,-wss") == Names{"https"});
  CHECK(parse_schemes("=ftp")->empty());
  CHECK(parse_schemes("all")->size() == 4);
  RedirectRules rules;
  ConnectionOptions options;
  apply(options, rules);
  CHECK_FALSE(rules.schemes);
  options.proto = "=https";
  options.proto_redir = "=http,https";
  apply(options, rules);
  CHECK(*rules.schemes == Names{"https"});
  options.proto.clear();
  options.proto_redir = "=ftp";
  apply(options, rules);
  CHECK(rules.schemes->empty());
}

TEST_CASE("sizes") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("100") == 100);
  CHECK(parse_size("7b") == 7);
  CHECK(parse_size("2k") == 2048);
  CHECK(parse_size("3M") == 3 << 20);
  CHECK(parse_size("1G") == 1 << 30);
  CHECK(parse_size("8589934591G") == 9223372035781033984);
  for (const char* none :
       {"", "k", "-1", "1.5M", "1kb", "1x", "8589934592G", "9999999999999999999"}) {
    CHECK_FALSE(parse_size(none));
  }
}

TEST_CASE("a server is reached as its URL says when nothing else does") {
  ConnectionOptions options;
  options.resolve = {"a:1:127.0.0.1"};
  options.key = "key";
  CHECK(reach_of(options, false) == nullptr);
  options.netrc = true;
  CHECK(reach_of(options, true) == nullptr);
  CHECK(reach_of(options, false)->netrc);
}

TEST_CASE("a certificate's password") {
  const auto read = [](const char* cert, const char* pass) {
    ConnectionOptions options;
    options.cert = cert;
    options.pass = pass;
    const auto reach = reach_of(options, false);
    return reach->certificate + "|" + std::string(reach->password.text());
  };
  CHECK(read("a.pem", "") == "a.pem|");
  CHECK(read("a.pem:b:c", "") == "a.pem|b:c");
  CHECK(read("a.pem:b", "c") == "a.pem|c");
  CHECK(read("a\\:b\\\\c\\d:e", "") == "a:b\\c\\d|e");
}

}  // namespace
}  // namespace paycurl
