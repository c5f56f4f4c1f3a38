// The URI that connects a Lightning wallet. What is accepted names a place that a secret may be
// sent to; what is refused is refused without a word of it.
#include "src/methods/lightning/connection.h"

#include <algorithm>

#include "src/http/url.h"
#include "tests/fuzz/fuzz.h"

namespace paycurl {
namespace {

using lightning::Connection;

void check_place(const std::string& text) {
  const auto url = http::parse_url(text, "none");
  FUZZ_CHECK(url.has_value() && url->userinfo.empty());
  FUZZ_CHECK(url->scheme == "https" || url->is_loopback() || url->host.ends_with(".onion"));
}

}  // namespace

void fuzz_one(std::string_view input) {
  static const std::string first = lightning::read_connection("").error().hint;
  const auto connection = lightning::read_connection(input);
  if (!connection) {
    FUZZ_CHECK(connection.error().kind == Kind::usage && connection.error().hint == first);
    FUZZ_CHECK(connection.error().message.size() < 120);
    return;
  }
  FUZZ_CHECK(!connection->secret.empty());
  FUZZ_CHECK(!connection->name().empty());
  if (connection->kind == Connection::Kind::nwc) {
    FUZZ_CHECK(connection->secret.bytes().size() == 32 && !connection->relays.empty());
    for (const std::string& relay : connection->relays)
      check_place(relay);
    return;
  }
  check_place(connection->url);
  FUZZ_CHECK(!connection->url.ends_with('/'));
  FUZZ_CHECK(connection->ca_pem.empty() || connection->ca_pem.starts_with("-----BEGIN CERT"));
  if (connection->kind == Connection::Kind::phoenixd) return;
  const std::string_view secret = connection->secret.text();  // goes into a header field as it is
  FUZZ_CHECK(std::all_of(secret.begin(), secret.end(), [](char c) { return c > ' ' && c < 127; }));
}

}  // namespace paycurl
