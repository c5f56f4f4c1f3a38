#include "src/methods/lightning/connection.h"

#include <doctest/doctest.h>

using namespace paycurl;
using namespace paycurl::lightning;

namespace {

/// A DER sequence of `size` bytes: as much of a certificate as is looked at.
Bytes der_of(std::size_t size, std::uint8_t fill) {
  Bytes der{0x30, 0x82, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)};
  der.resize(size + 4, fill);
  return der;
}

std::string pem_of(const std::string& kind, ByteView der) {
  return "-----BEGIN " + kind + "-----\n" + to_base64(der) + "\n-----END " + kind + "-----\n";
}

Connection read(const std::string& uri) {
  auto connection = read_connection(uri);
  INFO(uri << ": " << (connection ? "" : connection.error().message));
  REQUIRE(connection);
  return std::move(*connection);
}

const std::string kKey = "b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4";
const std::string kSecret = "71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c";
const std::string kNwc = "nostr+walletconnect://" + kKey + "?relay=wss%3A%2F%2Frelay.example%2Fv1";

}  // namespace

TEST_CASE("lndconnect: the macaroon in hex, the certificate as PEM") {
  const Bytes macaroon{0x02, 0x01, 0xfb, 0xff};
  const Bytes der = der_of(300, 7);
  const Connection lnd = read("lndconnect://127.0.0.1:8080?cert=" + to_base64url(der) +
                              "&macaroon=" + to_base64url(macaroon) + "&network=regtest");
  CHECK(lnd.kind == Connection::Kind::lnd);
  CHECK(lnd.url == "https://127.0.0.1:8080");
  CHECK(lnd.secret.text() == "0201fbff");
  CHECK(lnd.network == "regtest");
  CHECK(lnd.name() == "lnd:https://127.0.0.1:8080");
  REQUIRE(lnd.ca_pem.starts_with("-----BEGIN CERTIFICATE-----\nMIIB"));
  CHECK(lnd.ca_pem.find('\n', 28) == 28 + 64);
  CHECK(lnd.ca_pem.ends_with("\n-----END CERTIFICATE-----\n"));

  CHECK(read("lndconnect://node.example:10009?macaroon=AgEg").url == "https://node.example:10009");
  CHECK(read("lndconnect://node.example?macaroon=AgEg").url == "https://node.example:8080");
  CHECK(read("lndconnect://[::1]:8080?macaroon=AgEg").url == "https://[::1]:8080");
  CHECK(read(" LNDCONNECT://n.example:443/?macaroon=AgEg&cert=\n").url == "https://n.example");
  CHECK(read("lndconnect://n.example?macaroon=AgEg").ca_pem.empty());
}

TEST_CASE("Core Lightning: the official form and the older ones") {
  const auto cln = [](const std::string& uri) {
    const Connection connection = read(uri);
    CHECK(connection.kind == Connection::Kind::cln);
    CHECK(connection.secret.text() == "dG9rZW4-_w==");
    return connection.url;
  };
  const std::string rune = "?rune=dG9rZW4-_w==";
  CHECK(cln("clnrest+https://node.example:3010" + rune) == "https://node.example:3010");
  CHECK(cln("clnrest+https://node.example:3010?rune=dG9rZW4-_w%3d%3D") ==
        "https://node.example:3010");
  CHECK(cln("clnrest+http://127.0.0.1:3010" + rune) == "http://127.0.0.1:3010");
  CHECK(cln("clnrest://node.example" + rune) == "https://node.example:3010");
  CHECK(cln("clnrest://https://node.example:3010" + rune) == "https://node.example:3010");
  CHECK(cln("clnrest://http://localhost:3010" + rune) == "http://localhost:3010");
  CHECK(cln("clnrest://localhost:3010" + rune + "&protocol=http") == "http://localhost:3010");
  CHECK(cln("clnrest://http://abcdef.onion:3010" + rune) == "http://abcdef.onion:3010");
  CHECK_FALSE(read_connection("clnrest+https://localhost:3010" + rune + "&protocol=http"));
}

TEST_CASE("of Core Lightning's certificates the authority's is trusted, the client's key dropped") {
  const std::string authority = pem_of("CERTIFICATE", der_of(300, 9));
  const std::string all =
      pem_of("PRIVATE KEY", der_of(300, 1)) + pem_of("CERTIFICATE", der_of(300, 2)) + authority;
  const std::string uri = "clnrest+https://n.example:3010?rune=r&certs=";
  const std::string both = read(uri + to_base64(as_bytes(all))).ca_pem;
  CHECK(both == read(uri + to_base64url(as_bytes(authority))).ca_pem);
  CHECK(both.find(to_base64(der_of(300, 9)).substr(0, 64)) != std::string::npos);
  CHECK(both.find("KEY") == std::string::npos);
  for (const std::string& bad : {pem_of("PRIVATE KEY", der_of(300, 1)), authority + "x",
                                 std::string("-----BEGIN CERTIFICATE-----\nAAAA"),
                                 pem_of("CERTIFICATE", as_bytes("not DER"))}) {
    CHECK_FALSE(read_connection(uri + to_base64(as_bytes(bad))));
  }
}

TEST_CASE("phoenixd and LNbits") {
  const Connection phoenixd = read("phoenixd://:p%40ss:word@127.0.0.1:9740");
  CHECK(phoenixd.kind == Connection::Kind::phoenixd);
  CHECK(phoenixd.url == "http://127.0.0.1:9740");
  CHECK(phoenixd.secret.text() == "p@ss:word");
  CHECK(read("phoenixd://any:pw@node.example:9740?tls=1").url == "https://node.example:9740");
  CHECK(read("phoenixd://:pw@localhost").url == "http://localhost:9740");

  const Connection lnbits = read("lnbits://0123abcd@lnbits.example/wallets/one/");
  CHECK(lnbits.kind == Connection::Kind::lnbits);
  CHECK(lnbits.url == "https://lnbits.example/wallets/one");
  CHECK(lnbits.secret.text() == "0123abcd");
  CHECK(read("lnbits+http://k@127.0.0.1:5000").url == "http://127.0.0.1:5000");
}

TEST_CASE("Nostr Wallet Connect") {
  const Connection nwc =
      read(kNwc + "&relay=ws%3A%2F%2F127.0.0.1%3A7000&secret=" + kSecret + "&lud16=a%40b.example");
  CHECK(nwc.kind == Connection::Kind::nwc);
  CHECK(nwc.url.empty());
  CHECK(to_hex(nwc.wallet) == kKey);
  CHECK(to_hex(nwc.secret.bytes()) == kSecret);
  CHECK(nwc.relays == std::vector<std::string>{"wss://relay.example/v1", "ws://127.0.0.1:7000"});
  CHECK_FALSE(nwc.nip04);
  CHECK(nwc.name() == "nwc:" + kKey);
  CHECK(read(kNwc + "&secret=" + kSecret + "&encryption=nip04").nip04);
  CHECK_FALSE(read(kNwc + "&secret=" + kSecret + "&encryption=nip44_v2").nip04);
  const std::string legacy = "nostrwalletconnect:" + kKey + "?relay=wss://r.example&secret=";
  CHECK(to_hex(read(legacy + kSecret).wallet) == kKey);
}

TEST_CASE("what is no connection is refused, and no part of it is repeated") {
  const std::string hidden = "S3cr3tS3cr3t";
  const std::string rune = "?rune=" + hidden;
  const std::vector<std::string> refused{
      "",
      hidden,
      "https://n.example/?rune=" + hidden,
      "lndconnect:n.example?macaroon=" + hidden,
      "lndconnect://n.example?cert=AAAA",
      "lndconnect://n.example?macaroon=",
      "lndconnect://n.example?macaroon=" + hidden + "+",
      "lndconnect://n.example?macaroon=" + hidden + "&macaroon=" + hidden,
      "lndconnect://n.example?macaroon=" + hidden + "&cert=" + hidden,
      "lndconnect://n.example?macaroon=" + hidden + "&cert=" + to_base64url(der_of(300, 1)) +
          "AAAA",
      "lndconnect://n.example?macaroon=" + hidden + "&network=bitcoin",
      "lndconnect://n.example?macaroon=" + hidden + "&network=",
      "lndconnect://user@n.example?macaroon=" + hidden,
      "lndconnect://n.example/" + hidden + "?macaroon=" + hidden,
      "lndconnect://n.example?macaroon=" + hidden + "#" + hidden,
      "lndconnect://?macaroon=" + hidden,
      "lndconnect://n.example:0?macaroon=" + hidden,
      "lndconnect://n.example:65536?macaroon=" + hidden,
      "lndconnect://n.example:?macaroon=" + hidden,
      "lndconnect://" + hidden + "%2f?macaroon=" + hidden,
      "clnrest+https://n.example",
      "clnrest+ftp://n.example" + rune,
      "clnrest://ftp://n.example" + rune,
      "clnrest+http://n.example:3010" + rune,
      "clnrest+http://192.168.1.2:3010" + rune,
      "clnrest+http://localhost.example:3010" + rune,
      "clnrest://n.example" + rune + "&protocol=http",
      "clnrest://n.example" + rune + "&protocol=" + hidden,
      "clnrest://n.example" + rune + "%",
      "clnrest://n.example" + rune + "%4",
      "clnrest://n.example" + rune + "%0x",
      "clnrest://n.example" + rune + "%0d%0aX: y",
      "clnrest://n.example" + rune + "%0d%0aX",
      "clnrest://n.example" + rune + "%00",
      "clnrest://n.example" + rune + "%20",
      "clnrest://n.example" + rune + "%ff",
      "clnrest://n.example" + rune + " " + hidden,
      "clnrest://n.example" + rune + "&certs=" + hidden,
      "clnrest://n.example" + rune + std::string(4096, 'A'),
      "phoenixd://" + hidden + "@localhost",
      "phoenixd://localhost",
      "phoenixd://:@localhost",
      "phoenixd://:" + hidden + "@n.example:9740",
      "phoenixd://:" + hidden + "@n.example:9740?tls=0",
      "phoenixd://:" + hidden + "@n.example:9740?tls=yes",
      "phoenixd://:" + hidden + "@" + hidden + "@localhost",
      "lnbits://n.example",
      "lnbits://@n.example",
      "lnbits://a:" + hidden + "@n.example",
      "lnbits+http://" + hidden + "@n.example",
      kNwc,
      kNwc + "&secret=" + hidden,
      kNwc + "&secret=0x" + kSecret.substr(2),
      kNwc + "&secret=0x" + kSecret,
      kNwc + "&secret=" + kSecret + "&encryption=" + hidden,
      kNwc + "&secret=" + kSecret + "&relay=https%3A%2F%2Fr.example",
      kNwc + "&secret=" + kSecret + "&relay=ws%3A%2F%2Fr.example",
      kNwc + "&secret=" + kSecret + "&relay=r.example",
      kNwc + "&secret=" + kSecret + "&relay=wss://" + hidden + "@r.example",
      "nostr+walletconnect://" + kKey + "?secret=" + kSecret,
      "nostr+walletconnect://" + kKey.substr(2) + "?relay=wss://r.example&secret=" + kSecret,
      "nostr+walletconnect://0x" + kKey + "?relay=wss://r.example&secret=" + kSecret,
  };
  for (const std::string& uri : refused) {
    CAPTURE(uri);
    const auto connection = read_connection(uri);
    REQUIRE_FALSE(connection);
    const Error& error = connection.error();
    CHECK(error.kind == Kind::usage);
    for (const std::string& part : {hidden, kSecret, kSecret.substr(2), std::string("n.example")}) {
      CHECK((error.message + error.hint).find(part) == std::string::npos);
    }
  }
}

TEST_CASE("every kind has a word, and the nodes that can narrow a secret say how") {
  CHECK(name_of(Connection::Kind::lnbits) == "lnbits");
  CHECK(least_privilege(Connection::Kind::lnd).find("SendPaymentV2") != std::string::npos);
  CHECK(least_privilege(Connection::Kind::cln).find("method=xpay") != std::string::npos);
  CHECK(least_privilege(Connection::Kind::nwc).empty());
}
