// L402, and LSAT as it was called before: a token that is paid for with a Lightning invoice and
// then good for many requests.
//
//   402  WWW-Authenticate: L402 version="0", token="<base64>", invoice="lnbc..."
//   ->   Authorization: L402 <token>:<preimage>
//
// Older servers say macaroon= instead of token=, and the commas may be missing. There is no
// receipt. To the lightning method it is a charge without an amount of its own: the invoice says
// it.
#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/text.h"
#include "src/crypto/hash.h"
#include "src/http/auth_header.h"
#include "src/protocols/protocols.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxToken = 4096;

bool is_ours(const http::AuthChallenge& challenge) {
  return challenge.scheme == "l402" || challenge.scheme == "lsat";
}

/// The field with a comma behind every quoted value that has none.
std::string with_commas(std::string_view field) {
  std::string text;
  bool quoted = false;
  for (std::size_t i = 0; i < field.size(); ++i) {
    text += field[i];
    if (quoted && field[i] == '\\' && i + 1 < field.size()) {
      text += field[++i];
    } else if (field[i] == '"') {
      quoted = !quoted;
      const std::size_t next = field.find_first_not_of(" \t", i + 1);
      if (!quoted && next != std::string_view::npos && field[next] != ',') text += ',';
    }
  }
  return text;
}

std::vector<http::AuthChallenge> challenges_of(const http::Head& head) {
  std::vector<http::AuthChallenge> found;
  for (const std::string& field : head.headers.values("www-authenticate")) {
    const std::string low = lower(field);
    if (low.find("l402") == std::string::npos && low.find("lsat") == std::string::npos) continue;
    for (http::AuthChallenge& read : http::parse_auth_header(with_commas(field))) {
      if (is_ours(read) && found.size() < kMaxChallenges) found.push_back(std::move(read));
    }
  }
  // Under its old name it is the same offer.
  const bool has_new = std::any_of(found.begin(), found.end(),
                                   [](const auto& read) { return read.scheme == "l402"; });
  if (has_new) std::erase_if(found, [](const auto& read) { return read.scheme == "lsat"; });
  return found;
}

/// The bytes behind a length that is written in groups of seven bits.
std::optional<ByteView> counted(ByteView& rest) {
  std::size_t size = 0;
  for (unsigned shift = 0; shift < 21; shift += 7) {
    if (rest.empty()) return std::nullopt;
    const std::uint8_t group = rest.front();
    rest = rest.subspan(1);
    size |= static_cast<std::size_t>(group & 0x7f) << shift;
    if (group < 0x80) {
      if (size > rest.size()) return std::nullopt;
      const ByteView bytes = rest.first(size);
      rest = rest.subspan(size);
      return bytes;
    }
  }
  return std::nullopt;
}

/// The payment hash that a macaroon (version 2, with an identifier of L402's: two zero bytes, the
/// hash, an id of 32 bytes) is bound to; nothing of any other token.
std::optional<std::string> bound_hash(const std::string& token) {
  std::string url_form = token;
  std::replace(url_form.begin(), url_form.end(), '+', '-');
  std::replace(url_form.begin(), url_form.end(), '/', '_');
  const auto bytes = from_base64url(url_form);
  if (!bytes || bytes->empty() || bytes->front() != 2) return std::nullopt;
  ByteView rest = ByteView(*bytes).subspan(1);
  while (!rest.empty()) {
    const std::uint8_t field = rest.front();
    rest = rest.subspan(1);
    if (field != 1 && field != 2) return std::nullopt;
    const auto value = counted(rest);
    if (!value) return std::nullopt;
    if (field == 1) continue;
    if (value->size() != 66 || (*value)[0] != 0 || (*value)[1] != 0) return std::nullopt;
    return to_hex(value->subspan(2, 32));
  }
  return std::nullopt;
}

/// The token goes into a field as it is.
bool is_token_text(const std::string& token) {
  return !token.empty() && token.size() <= kMaxToken &&
         std::all_of(token.begin(), token.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != ':' && c != ','; });
}

/// `echo`: scheme, token and invoice.
Result<Challenge> from_echo(const Json& echo) {
  const auto malformed = [](const std::string& why) {
    return Error{Kind::protocol, "the challenge is malformed: " + why};
  };
  const auto scheme = echo.string_at("scheme");
  const auto token = echo.string_at("token");
  const auto invoice = echo.string_at("invoice");
  if (!scheme || !token || !invoice) return malformed("it lacks a token or an invoice");
  if (!is_token_text(*token)) return malformed("its token cannot be sent back");
  Challenge challenge;
  challenge.protocol = "l402";
  challenge.id = to_hex(sha256(as_bytes(*token))).substr(0, 32);
  challenge.method = "lightning";
  challenge.intent = "charge";
  Json details = Json::object({{"invoice", *invoice}});
  if (const auto hash = bound_hash(*token)) details.set("paymentHash", *hash);
  challenge.request = Json::object({{"methodDetails", std::move(details)}});
  challenge.echo = echo;
  return challenge;
}

Result<Challenge> from_header(const http::AuthChallenge& read) {
  if (!read.defect.empty()) {
    return Error{Kind::protocol, "the challenge is malformed: " + read.defect};
  }
  Json echo = Json::object({{"scheme", read.scheme == "lsat" ? "LSAT" : "L402"}});
  const std::string* token = read.find("token");
  if (token == nullptr) token = read.find("macaroon");
  if (token != nullptr) echo.set("token", *token);
  if (const std::string* invoice = read.find("invoice")) echo.set("invoice", *invoice);
  return from_echo(echo);
}

class L402 : public Protocol {
 public:
  std::string_view name() const override { return "l402"; }
  bool has_receipts() const override { return false; }
  bool is_reusable() const override { return true; }

  /// A token that is no longer good is answered with 401.
  bool wants_body(const http::Head& head) const override {
    return (head.status == 402 || head.status == 401) && !challenges_of(head).empty();
  }

  std::vector<Result<Challenge>> read(const http::Answer& answer) const override {
    std::vector<Result<Challenge>> challenges;
    for (const http::AuthChallenge& read : challenges_of(answer.head)) {
      auto challenge = from_header(read);
      if (challenge) {
        challenge->url = answer.url;
        challenge->realm = answer.url.host;
      }
      challenges.push_back(std::move(challenge));
    }
    return challenges;
  }

  Result<Challenge> restore(const Json& echo) const override { return from_echo(echo); }

  Result<> attach(const Credential& credential, http::Request& request) const override {
    if (request.url.origin() != credential.challenge.url.origin()) {
      return Error{Kind::internal, "a credential for another origin"};
    }
    const auto scheme = credential.challenge.echo.string_at("scheme");
    const auto token = credential.challenge.echo.string_at("token");
    const auto preimage = credential.payload.string_at("preimage");
    if (!scheme || !token || !preimage) return Error{Kind::internal, "not a credential of L402"};
    request.headers.replace("Authorization", *scheme + " " + *token + ":" + *preimage);
    return {};
  }

  Result<std::optional<Receipt>> receipt(const http::Head& /*head*/) const override {
    return std::optional<Receipt>();
  }
  Result<Receipt> read_receipt(Json /*json*/) const override {
    return Error{Kind::protocol, "L402 has no receipts"};
  }
};

}  // namespace

std::unique_ptr<Protocol> make_l402() {
  return std::make_unique<L402>();
}

}  // namespace paycurl
