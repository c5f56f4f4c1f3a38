// The Machine Payments Protocol (draft-httpauth-payment-00).
//
//   402  WWW-Authenticate: Payment id="...", realm="...", method="tempo", intent="charge",
//        request="<base64url of JSON>" [, expires, digest, opaque, description, header]
//   ->   Authorization: Payment <base64url of {"challenge": {...}, "payload": {...}, "source":
//   "..."}>
//   <-   Payment-Receipt: <base64url of {"status": "success", "method", "timestamp", "reference"}>
//
// `header` names another request field for the credential (mppx 0.10 and later).
#include <algorithm>
#include <array>

#include "src/base/bytes.h"
#include "src/base/text.h"
#include "src/http/auth_header.h"
#include "src/protocols/protocols.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxChallenges = 64;
constexpr std::size_t kMaxRequest = 16 * 1024;

Error malformed(const std::string& why) {
  return {Kind::protocol, "the challenge is malformed: " + why};
}

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A short name of lower-case letters, digits, dashes and underscores, and of `also`.
bool is_name(std::string_view text, std::string_view also = {}) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [&](char c) {
    return kLower.find(c) != std::string_view::npos || also.find(c) != std::string_view::npos;
  });
}

/// Not the fields that frame or route a message.
bool may_carry_credential(std::string_view field) {
  constexpr std::array<std::string_view, 9> kFraming{"connection", "content-length",    "expect",
                                                     "host",       "keep-alive",        "te",
                                                     "trailer",    "transfer-encoding", "upgrade"};
  const std::string name = lower(field);
  return is_name(field, kUpper) && !name.starts_with("proxy-") &&
         std::find(kFraming.begin(), kFraming.end(), name) == kFraming.end();
}

Result<Json> decode(const std::string& text, std::size_t limit) {
  if (text.size() > limit) return Error{Kind::protocol, "it is too long"};
  const auto bytes = from_base64url(text);
  if (!bytes) return bytes.error();
  return Json::parse(as_text(*bytes));
}

/// The parameters that every challenge has.
Result<> read_required(const Json& params, Challenge& challenge) {
  for (const auto& [name, into] :
       {std::pair{"id", &challenge.id}, std::pair{"realm", &challenge.realm},
        std::pair{"method", &challenge.method}, std::pair{"intent", &challenge.intent}}) {
    auto value = params.string_at(name);
    if (!value) return malformed(value.error().message);
    *into = std::move(*value);
  }
  if (challenge.id.empty()) return malformed("its id is empty");
  if (!is_name(challenge.method)) return malformed("its method is not a lower-case name");
  if (!is_name(challenge.intent, kUpper)) return malformed("its intent is not a name");
  const auto encoded = params.string_at("request");
  if (!encoded) return malformed(encoded.error().message);
  auto request = decode(*encoded, kMaxRequest);
  if (!request) return malformed("its request: " + request.error().message);
  if (request->members() == nullptr) return malformed("its request is not an object");
  challenge.request = std::move(*request);
  return {};
}

Result<> read_optional(const Json& params, Challenge& challenge) {
  const auto value = [&](std::string_view name) {
    const Json* found = params.find(name);
    return found == nullptr ? nullptr : found->string();
  };
  if (const auto* expires = value("expires")) {
    challenge.expires = parse_rfc3339(*expires);
    if (!challenge.expires) return malformed("its expiry is not a date and time");
  }
  if (const auto* digest = value("digest")) {
    challenge.digest = *digest;
    if (!digest->starts_with("sha-256=")) return malformed("its digest is not sha-256");
  }
  if (const auto* opaque = value("opaque")) {
    const auto read = decode(*opaque, kMaxRequest);
    if (!read) return malformed("its opaque part: " + read.error().message);
  }
  if (const auto* description = value("description")) challenge.description = *description;
  if (const auto* field = value("header")) {
    challenge.field = *field;
    if (!may_carry_credential(*field)) {
      return malformed("it wants the credential in the field " + printable(*field, 40));
    }
  }
  return {};
}

/// Reads the parameters, from the header or from the journal: a JSON object of strings.
Result<Challenge> from_params(const Json& params) {
  Challenge challenge;
  challenge.protocol = "mpp";
  if (auto read = read_required(params, challenge); !read) return read.error();
  if (auto read = read_optional(params, challenge); !read) return read.error();
  challenge.echo = params;
  return challenge;
}

Result<Challenge> from_header(const http::AuthChallenge& read) {
  if (!read.defect.empty()) return malformed(read.defect);
  constexpr std::string_view kEchoed[] = {"id",      "realm",  "method", "intent",      "request",
                                          "expires", "digest", "opaque", "description", "header"};
  Json params = Json::object();
  for (const std::string_view name : kEchoed) {
    const std::string* value = read.find(name);
    // mppx leaves an empty description out of what it signs.
    if (value != nullptr && !(name == "description" && value->empty())) {
      params.set(std::string(name), *value);
    }
  }
  return from_params(params);
}

class Mpp : public Protocol {
 public:
  std::string_view name() const override { return "mpp"; }

  bool wants_body(const http::Head& head) const override { return head.status == 402; }

  std::vector<Result<Challenge>> read(const http::Answer& answer) const override {
    std::vector<Result<Challenge>> challenges;
    for (const std::string& field : answer.head.headers.values("www-authenticate")) {
      for (const http::AuthChallenge& read : http::parse_auth_header(field)) {
        if (read.scheme != "payment") continue;
        if (challenges.size() == kMaxChallenges) return challenges;
        auto challenge = from_header(read);
        if (challenge) challenge->url = answer.url;
        challenges.push_back(std::move(challenge));
      }
    }
    return challenges;
  }

  Result<Challenge> restore(const Json& echo) const override { return from_params(echo); }

  Result<> attach(const Credential& credential, http::Request& request) const override {
    if (request.url.origin() != credential.challenge.url.origin()) {
      return Error{Kind::internal, "a credential for another origin"};
    }
    Json json =
        Json::object({{"challenge", credential.challenge.echo}, {"payload", credential.payload}});
    if (!credential.source.empty()) json.set("source", credential.source);
    request.headers.replace(credential.challenge.field,
                            "Payment " + to_base64url(as_bytes(json.canonical())));
    return {};
  }

  Result<std::optional<Receipt>> receipt(const http::Head& head) const override {
    const std::string* field = head.headers.find("payment-receipt");
    if (field == nullptr) return std::optional<Receipt>();
    auto json = decode(*field, kMaxRequest);
    if (!json) return Error{json.error()}.within("the receipt");
    auto receipt = read_receipt(std::move(*json));
    if (!receipt) return receipt.error();
    return std::optional(std::move(*receipt));
  }

  Result<Receipt> read_receipt(Json json) const override {
    Receipt receipt;
    for (const auto& [name, into] :
         {std::pair{"method", &receipt.method}, std::pair{"reference", &receipt.reference},
          std::pair{"timestamp", &receipt.timestamp}}) {
      auto value = json.string_at(name);
      if (!value) return std::move(value).error().within("the receipt");
      *into = std::move(*value);
    }
    const auto status = json.string_at("status");
    if (!status || *status != "success" || !parse_rfc3339(receipt.timestamp)) {
      return Error{Kind::protocol, "the receipt has no status \"success\" or no timestamp"};
    }
    receipt.json = std::move(json);
    return receipt;
  }
};

}  // namespace

Result<Credential> read_mpp_credential(std::string_view base64url) {
  const auto malformed_here = [](const std::string& why) {
    return Error{Kind::protocol, "the credential is malformed: " + why};
  };
  auto json = decode(std::string(base64url), Json::kForeignLimit);
  if (!json) return malformed_here(json.error().message);
  const Json* params = json->find("challenge");
  const Json* payload = json->find("payload");
  if (params == nullptr || payload == nullptr || payload->members() == nullptr) {
    return malformed_here("it has no challenge or no payload");
  }
  auto challenge = from_params(*params);
  if (!challenge) return malformed_here(challenge.error().message);
  const auto source = json->optional_string_at("source");
  if (!source) return malformed_here(source.error().message);
  return Credential{std::move(*challenge), *payload, source->value_or("")};
}

std::unique_ptr<Protocol> make_mpp() {
  return std::make_unique<Mpp>();
}

}  // namespace paycurl
