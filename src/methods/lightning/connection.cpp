#include "src/methods/lightning/connection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "src/base/text.h"
#include "src/http/url.h"

namespace paycurl::lightning {
namespace {

constexpr std::size_t kMaxRelays = 8;

/// Says what is wrong, never with a word of the text.
Error wrong(std::string message) {
  return {Kind::usage, "the wallet's connection: " + std::move(message),
          "known are lndconnect://, clnrest+https://, phoenixd://, lnbits:// and "
          "nostr+walletconnect://"};
}

/// A URI taken apart; all parts as they were written.
struct Uri {
  std::string scheme;  // lower case
  std::optional<std::string_view> userinfo;
  std::string_view host;  // with the port
  std::string_view path;
  std::vector<std::pair<std::string_view, std::string_view>> members;  // of the query
};

bool is_visible(char c) {
  return c > ' ' && c < '\x7f';
}

std::optional<std::string_view> cut(std::string_view& text, std::string_view at) {
  const std::size_t place = text.find(at);
  if (place == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, place);
  text.remove_prefix(place + at.size());
  return before;
}

void split_query(std::string_view query, Uri& uri) {
  while (!query.empty()) {
    std::string_view rest = query;
    std::string_view value = cut(rest, "&").value_or(query);
    query = value.size() == query.size() ? std::string_view() : rest;
    const std::string_view key = cut(value, "=").value_or(std::string_view());
    if (!key.empty()) uri.members.emplace_back(key, value);
  }
}

Result<Uri> split(std::string_view text) {
  if (text.size() > Secret::kCapacity) return wrong("longer than 4096 bytes");
  if (!std::all_of(text.begin(), text.end(), is_visible)) {
    return wrong("it has characters that no URI has");
  }
  Uri uri;
  const auto scheme = cut(text, ":");
  if (!scheme) return wrong("it has no scheme");
  uri.scheme = lower(*scheme);
  const bool is_nostr = uri.scheme == "nostr+walletconnect" || uri.scheme == "nostrwalletconnect";
  if (text.starts_with("//")) {
    text.remove_prefix(2);
  } else if (!is_nostr) {
    return wrong("\"//\" is missing after the scheme");
  }
  if (text.find('#') != std::string_view::npos) return wrong("it has a fragment");
  std::string_view query = text;
  std::string_view place = cut(query, "?").value_or(text);
  if (place.size() != text.size()) split_query(query, uri);
  // The older form of Core Lightning's has a whole URL inside.
  if (uri.scheme == "clnrest") {
    for (const std::string_view inner : {"https", "http"}) {
      if (!place.starts_with(std::string(inner) + "://")) continue;
      place.remove_prefix(inner.size() + 3);
      uri.scheme += "+" + std::string(inner);
      break;
    }
  }
  const std::size_t slash = std::min(place.find('/'), place.size());
  uri.path = place.substr(slash);
  uri.host = place.substr(0, slash);
  uri.userinfo = cut(uri.host, "@");
  if (uri.host.find('@') != std::string_view::npos) return wrong("it has more than one @");
  return uri;
}

std::optional<std::uint8_t> hex_byte(std::string_view digits) {
  ByteArray<1> byte{};
  if (digits.size() < 2 || !from_hex(digits.substr(0, 2), byte)) return std::nullopt;
  return byte[0];
}

/// A part with its percent-encoding undone. Control characters are refused: no part has any.
Result<Secret> decoded(std::string_view text) {
  Secret plain;
  std::size_t size = 0;
  while (!text.empty()) {
    std::size_t taken = 1;
    auto byte = static_cast<std::uint8_t>(text[0]);
    if (text[0] == '%') {
      const auto encoded = hex_byte(text.substr(1));
      if (!encoded || *encoded < ' ' || *encoded == 0x7f) return wrong("a % that encodes nothing");
      byte = *encoded;
      taken = 3;
    }
    plain.buffer()[size++] = byte;
    text.remove_prefix(taken);
  }
  plain.resize(size);
  return plain;
}

/// The value of a member that may be there once; nullopt when it is not.
Result<std::optional<Secret>> member(const Uri& uri, std::string_view key) {
  std::optional<std::string_view> found;
  for (const auto& [name, value] : uri.members) {
    if (name != key) continue;
    if (found) return wrong(std::string(key) + "= is there twice");
    found = value;
  }
  if (!found) return std::optional<Secret>();
  auto value = decoded(*found);
  if (!value) return value.error();
  return std::optional<Secret>(std::move(*value));
}

/// The same for one that hides nothing; empty when it is not there.
Result<std::string> open_member(const Uri& uri, std::string_view key) {
  const auto value = member(uri, key);
  if (!value) return value.error();
  return *value ? std::string((*value)->text()) : std::string();
}

/// The same for a secret that has to be there and goes into a header field.
Result<Secret> secret_member(const Uri& uri, std::string_view key) {
  auto value = member(uri, key);
  if (!value) return value.error();
  if (!*value || (*value)->empty()) return wrong(std::string(key) + "= is missing");
  const std::string_view text = (*value)->text();
  if (!std::all_of(text.begin(), text.end(), is_visible)) {
    return wrong(std::string(key) + "= has characters that it cannot have");
  }
  return std::move(**value);
}

bool is_host_letter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._:[]").find(c) != std::string_view::npos;
}

bool is_plain_allowed(const http::Url& url) {
  return url.is_loopback() || url.host.ends_with(".onion");
}

/// The wallet's URL; `port` when there is none in the text, 0 for the scheme's.
Result<std::string> read_place(const Uri& uri, const std::string& scheme, int port) {
  const std::string_view host = uri.host;
  if (!std::all_of(host.begin(), host.end(), is_host_letter)) {
    return wrong("its host cannot be read");
  }
  const std::size_t colon = host.ends_with(']') ? std::string_view::npos : host.rfind(':');
  std::string text = scheme + "://" + std::string(host);
  if (colon != std::string_view::npos) {
    const std::string_view digits = host.substr(colon + 1);
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (!whole || number < 1 || number > 65535) return wrong("its port is no port");
  } else if (port != 0) {
    text += ":" + std::to_string(port);
  }
  const auto url = http::parse_url(text + std::string(uri.path));
  if (host.empty() || !url || url->websocket) return wrong("its host cannot be read");
  if (url->scheme == "http" && !is_plain_allowed(*url)) {
    return wrong("plain http is for this machine and .onion names only");
  }
  std::string place = url->text;
  while (place.ends_with('/')) {
    place.pop_back();
  }
  return place;
}

/// One certificate as PEM. What is not a whole DER sequence is no certificate.
std::optional<std::string> to_pem(ByteView der) {
  if (der.size() < 4 || der[0] != 0x30 || der[1] != 0x82) return std::nullopt;
  if (der.size() != 4U + (static_cast<std::size_t>(der[2]) << 8 | der[3])) return std::nullopt;
  const std::string text = to_base64(der);
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t i = 0; i < text.size(); i += 64) {
    pem += text.substr(i, 64) + "\n";
  }
  return pem + "-----END CERTIFICATE-----\n";
}

/// The last certificate of a PEM text: Core Lightning writes a client's key and certificate, which
/// are not needed, and then its authority's.
std::optional<std::string> last_certificate(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  const std::size_t begin = pem.rfind(kBegin);
  if (begin == std::string_view::npos) return std::nullopt;
  pem.remove_prefix(begin + kBegin.size());
  const auto lines = cut(pem, "-----END CERTIFICATE-----");
  if (!lines || !trimmed(pem).empty()) return std::nullopt;
  std::string body;
  for (const char c : *lines) {
    if (c != '\r' && c != '\n') body.push_back(c);
  }
  const auto der = from_base64(body);
  return der ? to_pem(*der) : std::nullopt;
}

Result<> read_network(const Uri& uri, Connection& connection) {
  auto network = member(uri, "network");
  if (!network) return network.error();
  if (!*network) return {};
  for (const std::string_view known : {"mainnet", "testnet", "signet", "regtest"}) {
    if ((*network)->text() == known) connection.network = known;
  }
  if (connection.network.empty()) {
    return wrong("network= is mainnet, testnet, signet or regtest");
  }
  return {};
}

Result<> refuse_path(const Uri& uri) {
  if (!uri.path.empty() && uri.path != "/") return wrong("it has a path");
  return {};
}

Result<> refuse_user(const Uri& uri) {
  if (uri.userinfo) return wrong("it has a user");
  return {};
}

Result<> read_lnd(const Uri& uri, Connection& connection) {
  if (auto fine = refuse_path(uri); !fine) return fine;
  if (auto fine = refuse_user(uri); !fine) return fine;
  auto place = read_place(uri, "https", 8080);
  if (!place) return place.error();
  connection.url = std::move(*place);
  const auto certificate = open_member(uri, "cert");
  if (!certificate) return certificate.error();
  if (!certificate->empty()) {
    const auto der = from_base64url(*certificate);
    const auto pem = der ? to_pem(*der) : std::nullopt;
    if (!pem) return wrong("cert= is no certificate in base64url");
    connection.ca_pem = *pem;
  }
  const auto macaroon = secret_member(uri, "macaroon");
  if (!macaroon) return macaroon.error();
  auto bytes = from_base64url(macaroon->text());
  if (!bytes || bytes->size() * 2 > Secret::kCapacity) return wrong("macaroon= is no base64url");
  std::string hex = to_hex(*bytes);
  connection.secret.assign(as_bytes(hex));
  wipe(hex.data(), hex.size());
  wipe(bytes->data(), bytes->size());
  return {};
}

/// What Core Lightning is spoken to with: in the scheme, in protocol=, or not said. Said twice it
/// must be the same.
Result<std::string> read_cln_scheme(const Uri& uri) {
  const auto protocol = open_member(uri, "protocol");
  if (!protocol) return protocol.error();
  if (!protocol->empty() && *protocol != "http" && *protocol != "https") {
    return wrong("protocol= is http or https");
  }
  if (uri.scheme == "clnrest") return protocol->empty() ? std::string("https") : *protocol;
  std::string scheme = uri.scheme.substr(uri.scheme.find('+') + 1);
  if (!protocol->empty() && *protocol != scheme) {
    return wrong("protocol= and the scheme differ");
  }
  return scheme;
}

Result<> read_cln(const Uri& uri, Connection& connection) {
  if (auto fine = refuse_path(uri); !fine) return fine;
  if (auto fine = refuse_user(uri); !fine) return fine;
  const auto scheme = read_cln_scheme(uri);
  if (!scheme) return scheme.error();
  auto place = read_place(uri, *scheme, 3010);
  if (!place) return place.error();
  connection.url = std::move(*place);
  const auto certificates = member(uri, "certs");
  if (!certificates) return certificates.error();
  if (*certificates && !(*certificates)->empty()) {
    auto pem = from_base64((*certificates)->text());
    if (!pem) pem = from_base64url((*certificates)->text());
    const auto authority = pem ? last_certificate(as_text(*pem)) : std::nullopt;
    if (pem) wipe(pem->data(), pem->size());  // there may be a key in it
    if (!authority) return wrong("certs= is no PEM in base64 that ends with a certificate");
    connection.ca_pem = *authority;
  }
  auto rune = secret_member(uri, "rune");
  if (!rune) return rune.error();
  connection.secret = std::move(*rune);
  return {};
}

Result<> read_phoenixd(const Uri& uri, Connection& connection) {
  if (auto fine = refuse_path(uri); !fine) return fine;
  const auto tls = open_member(uri, "tls");
  if (!tls) return tls.error();
  if (!tls->empty() && *tls != "0" && *tls != "1") return wrong("tls= is 0 or 1");
  auto place = read_place(uri, *tls == "1" ? "https" : "http", 9740);
  if (!place) return place.error();
  connection.url = std::move(*place);
  std::string_view password = uri.userinfo.value_or(std::string_view());
  if (!cut(password, ":") || password.empty()) {
    return wrong("the password is missing: phoenixd://:PASSWORD@HOST:PORT");
  }
  auto secret = decoded(password);
  if (!secret) return secret.error();
  connection.secret = std::move(*secret);
  return {};
}

Result<> read_lnbits(const Uri& uri, Connection& connection) {
  auto place = read_place(uri, uri.scheme == "lnbits" ? "https" : "http", 0);
  if (!place) return place.error();
  connection.url = std::move(*place);
  const std::string_view key = uri.userinfo.value_or(std::string_view());
  if (key.empty()) return wrong("the admin key is missing: lnbits://ADMIN_KEY@HOST");
  auto secret = decoded(key);
  if (!secret) return secret.error();
  const std::string_view text = secret->text();
  const auto fits = [](char c) { return is_visible(c) && c != ':'; };
  if (!std::all_of(text.begin(), text.end(), fits)) {
    return wrong("the admin key has characters that it cannot have");
  }
  connection.secret = std::move(*secret);
  return {};
}

Result<> read_relays(const Uri& uri, Connection& connection) {
  for (const auto& [name, value] : uri.members) {
    if (name != "relay") continue;
    const auto text = decoded(value);
    if (!text) return text.error();
    const auto url = http::parse_url(text->text(), "none");
    if (!url || !url->websocket || !url->userinfo.empty()) {
      return wrong("relay= is no ws:// or wss:// URL");
    }
    if (url->scheme == "http" && !is_plain_allowed(*url)) {
      return wrong("ws:// is for this machine and .onion names only");
    }
    connection.relays.emplace_back(text->text());
  }
  if (connection.relays.empty()) return wrong("relay= is missing");
  if (connection.relays.size() > kMaxRelays) return wrong("more than 8 relays");
  return {};
}

Result<> read_nwc(const Uri& uri, Connection& connection) {
  if (auto fine = refuse_path(uri); !fine) return fine;
  if (auto fine = refuse_user(uri); !fine) return fine;
  if (uri.host.size() != 64 || !from_hex(uri.host, connection.wallet)) {
    return wrong("the wallet's public key is not 64 hex digits");
  }
  if (auto relays = read_relays(uri, connection); !relays) return relays;
  const auto encryption = open_member(uri, "encryption");
  if (!encryption) return encryption.error();
  connection.nip04 = *encryption == "nip04";
  if (!encryption->empty() && !connection.nip04 && *encryption != "nip44_v2") {
    return wrong("encryption= is nip44_v2 or nip04");
  }
  const auto secret = secret_member(uri, "secret");
  if (!secret) return secret.error();
  ByteArray<32> key{};
  const bool is_hex = secret->text().size() == 64 && from_hex(secret->text(), key).has_value();
  if (is_hex) connection.secret.assign(key);
  wipe(key.data(), key.size());
  if (!is_hex) return wrong("secret= is not 64 hex digits");
  return {};
}

struct Form {
  std::string_view scheme;
  Connection::Kind kind;
  Result<> (*read)(const Uri&, Connection&);
};

constexpr std::array<Form, 9> kForms{{
    {"lndconnect", Connection::Kind::lnd, read_lnd},
    {"clnrest", Connection::Kind::cln, read_cln},
    {"clnrest+https", Connection::Kind::cln, read_cln},
    {"clnrest+http", Connection::Kind::cln, read_cln},
    {"phoenixd", Connection::Kind::phoenixd, read_phoenixd},
    {"lnbits", Connection::Kind::lnbits, read_lnbits},
    {"lnbits+http", Connection::Kind::lnbits, read_lnbits},
    {"nostr+walletconnect", Connection::Kind::nwc, read_nwc},
    {"nostrwalletconnect", Connection::Kind::nwc, read_nwc},
}};

}  // namespace

std::string_view name_of(Connection::Kind kind) {
  switch (kind) {
    case Connection::Kind::lnd:
      return "lnd";
    case Connection::Kind::cln:
      return "cln";
    case Connection::Kind::phoenixd:
      return "phoenixd";
    case Connection::Kind::lnbits:
      return "lnbits";
    case Connection::Kind::nwc:
      return "nwc";
  }
  std::abort();
}

std::string Connection::name() const {
  return std::string(name_of(kind)) + ":" + (kind == Kind::nwc ? to_hex(wallet) : url);
}

Result<Connection> read_connection(std::string_view text) {
  const auto uri = split(trimmed(text));
  if (!uri) return uri.error();
  for (const Form& form : kForms) {
    if (uri->scheme != form.scheme) continue;
    Connection connection;
    connection.kind = form.kind;
    if (auto network = read_network(*uri, connection); !network) return network.error();
    if (auto read = form.read(*uri, connection); !read) return read.error();
    return connection;
  }
  return wrong("it begins with no scheme that is known");
}

std::string least_privilege(Connection::Kind kind) {
  if (kind == Connection::Kind::lnd) {
    return "lncli bakemacaroon --save_to=paycurl.macaroon uri:/routerrpc.Router/SendPaymentV2 "
           "uri:/routerrpc.Router/TrackPaymentV2 uri:/lnrpc.Lightning/AddInvoice "
           "uri:/lnrpc.Lightning/LookupInvoice uri:/lnrpc.Lightning/GetInfo "
           "uri:/lnrpc.Lightning/ChannelBalance";
  }
  if (kind == Connection::Kind::cln) {
    return "lightning-cli createrune restrictions='[[\"method=xpay\",\"method=pay\","
           "\"method=listpays\",\"method=invoice\",\"method=listinvoices\",\"method=getinfo\","
           "\"method=listpeerchannels\"],[\"rate=60\"]]'";
  }
  return {};
}

}  // namespace paycurl::lightning
