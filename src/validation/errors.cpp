// The checks of refusals: what is sent is malformed, made up or altered, and pays nothing.
#include <algorithm>
#include <functional>

#include "src/base/text.h"
#include "src/payment/problem.h"
#include "src/validation/credential.h"
#include "src/validation/endpoint.h"

namespace paycurl::validation {
namespace {

/// What all refusals have in common: the first answer that broke each rule.
struct Manners {
  std::string without_challenge, cacheable, with_receipt, without_problem, repeating;
  std::size_t refusals = 0;
};

struct Refused {
  std::string_view check;       ///< which sent it
  std::string_view credential;  ///< behind the scheme
  std::string presented_id;     ///< that the fresh challenge must not have
};

void look_at(const Refused& sent, const http::Answer& answer, const Protocol& protocol,
             Manners& manners) {
  const auto note = [&](std::string& first, const std::string& text) {
    if (first.empty()) first = std::string(sent.check) + ": " + text;
  };
  if (answer.head.headers.find("payment-receipt") != nullptr && answer.head.status >= 400) {
    note(manners.with_receipt, "a Payment-Receipt");
  }
  constexpr std::size_t kTelling = 16;
  if (sent.credential.size() >= kTelling &&
      answer.body.find(sent.credential) != std::string::npos) {
    note(manners.repeating, "the credential stands in the body");
  }
  if (answer.head.status != 402) return;
  ++manners.refusals;
  const auto challenges = protocol.read(answer);
  // A broken one has findings of its own.
  const bool fresh = std::any_of(
      challenges.begin(), challenges.end(),
      [&](const Result<Challenge>& one) { return !one || one->id != sent.presented_id; });
  if (!fresh) {
    note(manners.without_challenge, challenges.empty() ? "no challenge" : "the one that was sent");
  }
  if (!has_directive(answer.head, "no-store")) note(manners.cacheable, "no no-store");
  const auto problem = parse_problem(answer.body);
  if (!problem || problem->type.empty()) note(manners.without_problem, "no problem with a type");
}

class Refusals {
 public:
  Refusals(const Probe& probe, const Asked& asked, Report& report)
      : probe_(probe), asked_(asked), report_(report) {
    for (const auto& one : asked.challenges) {
      if (one && challenge_ == nullptr) challenge_ = &*one;
    }
  }

  void check_all() {
    const std::string field = challenge_ == nullptr ? "Authorization" : challenge_->field;
    send("error.malformed", field, "Payment dGhpcyBpcyBnYXJiYWdl");
    send("error.not-base64", field, "Payment !!!%%%!!!");
    send("error.not-object", field,
         "Payment " + to_base64url(as_bytes(R"(["challenge","payload"])")));
    send("error.empty", field, "Payment");
    const std::string nested = std::string(1000, '[') + std::string(1000, ']');
    send("error.nested", field, "Payment " + to_base64url(as_bytes(nested)));
    const Json payload = Json::object({{"type", "none"}, {"proof", "none"}});
    send("error.no-challenge", field, encoded(Json::object({{"payload", payload}})));
    if (challenge_ != nullptr) check_echoes(field, payload);
    send("error.other-scheme", "Authorization", "Bearer dGhpcyBpcyBub3QgYSBwYXltZW50", {401});
    check_manners();
  }

 private:
  static std::string encoded(const Json& credential) {
    return "Payment " + to_base64url(as_bytes(credential.canonical()));
  }

  /// Credentials with an echo of a challenge, true or altered.
  void check_echoes(const std::string& field, const Json& payload) {
    const std::string& id = challenge_->id;
    const Json whole = Json::object({{"challenge", challenge_->echo}, {"payload", payload}});
    send("error.no-payload", field, encoded(Json::object({{"challenge", challenge_->echo}})), {},
         id);
    send("error.invalid-proof", field, encoded(whole), {}, id);
    Json large = whole;
    const std::size_t size = encoded(whole).size() * 3 / 4;
    constexpr std::size_t kLarge = 3072;  // 4 KB as base64
    if (size < kLarge) large.set("source", "did:key:" + std::string(kLarge - size, 'z'));
    send("error.large", field, encoded(large), {}, id);
    send("error.unknown-id", field, encoded(with_parameter(whole, "id", other_id(id))), {}, id);
    send("error.wrong-amount", field,
         encoded(with_parameter(whole, "request", cheaper_request(*challenge_))), {}, id);
    send("error.wrong-realm", field, encoded(with_parameter(whole, "realm", "other.example")), {},
         id);
    send("error.wrong-method", field, encoded(with_parameter(whole, "method", "othermethod")),
         {400}, id);
    send("error.wrong-intent", field, encoded(with_parameter(whole, "intent", "otherintent")), {},
         id);
    send("error.expired", field, encoded(with_parameter(whole, "expires", "2020-01-01T00:00:00Z")),
         {}, id);
  }

  void send(std::string_view check, const std::string& field, const std::string& value,
            std::vector<int> also = {}, const std::string& id = {}) {
    http::Request request = asked_.request;
    request.headers.replace(field, value);
    const auto answer = probe_.prober.ask(std::move(request));
    if (!answer) return report_.fault(check, "402", answer.error().message);
    also.push_back(402);
    const int status = answer->head.status;
    report_.check(check, std::find(also.begin(), also.end(), status) != also.end(), "402",
                  std::to_string(status));
    if (check == "error.other-scheme") return;  // the answer to no credential of ours
    const std::string_view credential =
        std::string_view(value).substr(std::min(value.find(' ') + 1, value.size()));
    look_at({check, credential, asked_.has_fresh_ids ? id : ""}, *answer, probe_.protocol,
            manners_);
  }

  void check_manners() {
    if (manners_.refusals > 0) {
      report_.check("error.challenge", manners_.without_challenge.empty(), "a fresh challenge",
                    manners_.without_challenge);
      report_.check("error.cache-control", manners_.cacheable.empty(), "no-store",
                    manners_.cacheable);
      report_.check("error.problem", manners_.without_problem.empty(), "a problem with a type",
                    manners_.without_problem);
    }
    report_.check("error.no-receipt", manners_.with_receipt.empty(), "no Payment-Receipt",
                  manners_.with_receipt);
    report_.check("error.echo", manners_.repeating.empty(), "nothing of it", manners_.repeating);
  }

  const Probe& probe_;
  const Asked& asked_;
  Report& report_;
  const Challenge* challenge_ = nullptr;
  Manners manners_;
};

}  // namespace

void attach(http::Request& request, std::string_view field, const Json& credential) {
  request.headers.replace(field, "Payment " + to_base64url(as_bytes(credential.canonical())));
}

Json with_parameter(const Json& credential, std::string_view name, std::string value) {
  Json out = credential;
  const Json* old = credential.find("challenge");
  Json challenge = old == nullptr || old->members() == nullptr ? Json::object() : *old;
  challenge.set(std::string(name), std::move(value));
  out.set("challenge", std::move(challenge));
  return out;
}

std::string cheaper_request(const Challenge& challenge) {
  Json request = challenge.request;
  const auto amount = request.string_at("amount");
  request.set("amount", amount && *amount == "1" ? "2" : "1");
  return to_base64url(as_bytes(request.canonical()));
}

std::string other_id(const std::string& id) {
  std::string other = id;
  // In the middle: the last character of base64url may have bits that nobody looks at.
  char& letter = other[other.size() / 2];
  letter = letter == 'A' ? 'B' : 'A';
  return other;
}

void check_errors(const Probe& probe, const Asked& asked, Report& report) {
  Refusals(probe, asked, report).check_all();
}

}  // namespace paycurl::validation
