#include "src/validation/check.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "src/base/text.h"

namespace paycurl::validation {
namespace {

constexpr Status kFail = Status::fail;
constexpr Status kWarn = Status::warn;

constexpr std::string_view kCore = "draft-httpauth-payment-00";
constexpr std::string_view kCharge = "draft-payment-intent-charge-00";
constexpr std::string_view kDiscovery = "draft-payment-discovery-00";
constexpr std::string_view kTempo = "draft-tempo-charge-00";
constexpr std::string_view kTempoSession = "draft-tempo-session-00";
constexpr std::string_view kStripe = "draft-stripe-charge-00";
constexpr std::string_view kHttp = "RFC 9110";
constexpr std::string_view kX402 = "x402 transports-v2/http";

// clang-format off
constexpr std::array kKinds{
    CheckKind{"discovery.llms", kWarn, "/llms.txt, where there is one, is text for people and agents",
              kDiscovery, "Documentation Links"},
    CheckKind{"discovery.found", kFail, "/openapi.json answers with a document or not at all",
              kDiscovery, "Document Location"},
    CheckKind{"discovery.content-type", kFail, "the document is served as application/json",
              kDiscovery, "Document Location"},
    CheckKind{"discovery.json", kFail, "the document is one JSON object", kDiscovery, "OpenAPI Discovery"},
    CheckKind{"discovery.structure", kFail, "the document has openapi, info.title, info.version and paths",
              kDiscovery, "Required Top-Level Fields"},
    CheckKind{"discovery.service-info", kFail, "x-service-info has categories and documentation links of the right form",
              kDiscovery, "Service Extension: x-service-info"},
    CheckKind{"discovery.payment-info", kFail, "every x-payment-info has intent, method and amount of the right form",
              kDiscovery, "Payment Extension: x-payment-info"},
    CheckKind{"discovery.response-402", kFail, "every paid operation declares its 402 response",
              kDiscovery, "402 Response Declaration"},
    CheckKind{"discovery.input-schema", kWarn, "every paid POST, PUT and PATCH declares its requestBody",
              kDiscovery, "Input Schema"},
    CheckKind{"discovery.cache", kWarn, "the document says how long it may be cached", kDiscovery, "Caching"},
    CheckKind{"discovery.endpoints", kFail, "the document names operations that are paid for",
              kDiscovery, "Payment Extension: x-payment-info"},

    CheckKind{"challenge.status", kFail, "a request without a credential is answered with 402",
              kCore, "Status Codes"},
    CheckKind{"challenge.https", kFail, "challenges are sent over TLS only", kCore, "Transport Security"},
    CheckKind{"challenge.header", kFail, "the 402 has a WWW-Authenticate field with a Payment challenge",
              kCore, "When NOT to Return 402"},
    CheckKind{"challenge.header-size", kWarn, "the challenges are shorter than 8 KB", kCore, "Size Considerations"},
    CheckKind{"challenge.cache-control", kFail, "the 402 says Cache-Control: no-store", kCore, "Caching"},
    CheckKind{"challenge.no-receipt", kFail, "the 402 has no Payment-Receipt", kCore, "Receipt Status Semantics"},
    CheckKind{"challenge.problem", kWarn, "the body of the 402 is a problem with type, title and status 402",
              kCore, "Error Response Format"},
    CheckKind{"challenge.x402", kWarn, "a PAYMENT-REQUIRED field, where there is one, is base64 of an x402 object",
              kX402, "PAYMENT-REQUIRED"},
    CheckKind{"challenge.syntax", kFail, "the challenge follows the grammar of authentication parameters",
              kCore, "Challenge (WWW-Authenticate)"},
    CheckKind{"challenge.id", kFail, "the challenge has an id that is not empty", kCore, "Required Parameters"},
    CheckKind{"challenge.realm", kFail, "the challenge has a realm", kCore, "Required Parameters"},
    CheckKind{"challenge.method", kFail, "the challenge names its method in lower case", kCore, "Required Parameters"},
    CheckKind{"challenge.intent", kFail, "the challenge names its intent", kCore, "Required Parameters"},
    CheckKind{"challenge.request", kFail, "the request parameter is base64url of a JSON object",
              kCore, "Required Parameters"},
    CheckKind{"challenge.request-padding", kFail, "the request parameter has no padding", kCore, "Required Parameters"},
    CheckKind{"challenge.request-canonical", kFail, "the JSON of the request is canonical (RFC 8785)",
              kCore, "Required Parameters"},
    CheckKind{"challenge.expires", kFail, "the challenge says when it expires, as an RFC 3339 time",
              kCore, "Optional Parameters"},
    CheckKind{"challenge.expires-future", kFail, "the challenge is still valid when it arrives",
              kCore, "Optional Parameters"},
    CheckKind{"challenge.lifetime", kWarn, "there is time to pay: at least 15 s, and at most a day", "", ""},
    CheckKind{"challenge.digest", kFail, "a digest is that of the request's body", kCore, "Request Body Digest Binding"},
    CheckKind{"challenge.opaque", kFail, "the opaque parameter is base64url of a flat JSON object of texts",
              kCore, "Optional Parameters"},
    CheckKind{"challenge.description", kWarn, "the description has no control or invisible characters",
              kCore, "Optional Parameters"},
    CheckKind{"challenge.realm-host", kWarn, "the realm is the server's host or a domain above it",
              kCore, "Required Parameters"},
    CheckKind{"challenge.id-unique", kFail, "each challenge of an answer has an id of its own",
              kCore, "Required Parameters"},
    CheckKind{"challenge.id-fresh", kFail, "each answer has challenges with new ids", kCore, "Required Parameters"},
    CheckKind{"challenge.stable", kWarn, "the same request is offered the same again", "", ""},
    CheckKind{"challenge.head", kWarn, "HEAD is answered with 402, or is not allowed", kHttp, "section 9.3.2"},
    CheckKind{"challenge.price", kFail, "the price is the one in the discovery document",
              kDiscovery, "Relationship to the 402 Challenge"},
    CheckKind{"challenge.offers", kWarn, "every offer of the discovery document is made",
              kDiscovery, "Payment Extension: x-payment-info"},

    CheckKind{"request.amount", kFail, "the amount is a text of digits in base units", kCharge, "Required Fields"},
    CheckKind{"request.currency", kFail, "the currency is there, in the form of its method", kCharge, "Currency Formats"},
    CheckKind{"request.expires", kFail, "the request does not repeat the expiry", kCharge, "Optional Fields"},
    CheckKind{"request.recipient", kFail, "the recipient is an address", kTempo, "Shared Fields"},
    CheckKind{"request.chain", kFail, "the chain is named by its number", kTempo, "Method Details"},
    CheckKind{"request.fee-payer", kFail, "feePayer is true or false", kTempo, "Method Details"},
    CheckKind{"request.memo", kFail, "the memo is 32 bytes in hexadecimal", kTempo, "Method Details"},
    CheckKind{"request.modes", kFail, "supportedModes names pull, push or both", kTempo, "Submission Modes"},
    CheckKind{"request.splits", kFail, "the splits have addresses and leave something to the recipient",
              kTempo, "Split Payments"},
    CheckKind{"request.stripe-network", kFail, "methodDetails.networkId is there", kStripe, "Method Details"},
    CheckKind{"request.stripe-types", kFail, "methodDetails.paymentMethodTypes is a list that is not empty",
              kStripe, "Method Details"},
    CheckKind{"request.terms", kFail, "a client that knows the method understands what is asked for", "", ""},

    CheckKind{"error.malformed", kFail, "a credential that is no JSON is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.not-base64", kFail, "a credential that is no base64url is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.not-object", kFail, "a credential that is no JSON object is answered with 402",
              kCore, "Status Codes"},
    CheckKind{"error.empty", kFail, "a credential without anything is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.nested", kFail, "a credential of deeply nested JSON is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.no-challenge", kFail, "a credential without a challenge is answered with 402",
              kCore, "Status Codes"},
    CheckKind{"error.no-payload", kFail, "a credential without a payload is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.invalid-proof", kFail, "a payload that proves nothing is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.large", kFail, "a credential of 4 KB is answered as a small one is", kCore, "Size Considerations"},
    CheckKind{"error.unknown-id", kFail, "a challenge that the server never made is answered with 402",
              kCore, "Status Codes"},
    CheckKind{"error.wrong-amount", kFail, "a challenge with another amount is answered with 402",
              kCore, "Challenge Binding"},
    CheckKind{"error.wrong-realm", kFail, "a challenge of another realm is answered with 402",
              kCore, "Challenge Binding"},
    CheckKind{"error.wrong-method", kFail, "a challenge of another method is answered with 402 or 400",
              kCore, "Challenge Binding"},
    CheckKind{"error.wrong-intent", kFail, "a challenge of another intent is answered with 402",
              kCore, "Challenge Binding"},
    CheckKind{"error.expired", kFail, "a challenge that has expired is answered with 402", kCore, "Status Codes"},
    CheckKind{"error.other-scheme", kFail, "a credential of another scheme is answered with 402 or 401",
              kCore, "Relationship to 401 Unauthorized"},
    CheckKind{"error.challenge", kFail, "every refusal has a fresh challenge", kCore, "Status Codes"},
    CheckKind{"error.cache-control", kFail, "every refusal says Cache-Control: no-store", kCore, "Caching"},
    CheckKind{"error.no-receipt", kFail, "no refusal has a Payment-Receipt", kCore, "Receipt Status Semantics"},
    CheckKind{"error.problem", kWarn, "every refusal has a problem that says why", kCore, "Error Codes"},
    CheckKind{"error.echo", kFail, "no refusal repeats the credential", kCore, "Credential Handling"},

    CheckKind{"payment.tampered-id", kFail, "a paid credential with another id is refused", kCore, "Challenge Binding"},
    CheckKind{"payment.tampered-request", kFail, "a paid credential with another request is refused",
              kCore, "Challenge Binding"},
    CheckKind{"payment.tampered-expiry", kFail, "a paid credential with another expiry is refused",
              kCore, "Challenge Binding"},
    CheckKind{"payment.tampered-realm", kFail, "a paid credential with another realm is refused",
              kCore, "Challenge Binding"},
    CheckKind{"payment.tampered-body", kFail, "a paid credential with another body is refused where a digest binds it",
              kCore, "Request Body Digest Binding"},
    CheckKind{"payment.accepted", kFail, "the payment is accepted, and the answer is there", kCore, "Status Codes"},
    CheckKind{"payment.receipt", kFail, "the paid answer has a Payment-Receipt", kCore, "Payment-Receipt Header"},
    CheckKind{"payment.receipt-format", kFail, "the receipt is base64url of a JSON object, without padding",
              kCore, "Payment-Receipt Header"},
    CheckKind{"payment.receipt-status", kFail, "the receipt's status is success", kCore, "Receipt Status Semantics"},
    CheckKind{"payment.receipt-method", kFail, "the receipt names the method that was paid with",
              kCore, "Payment-Receipt Header"},
    CheckKind{"payment.receipt-reference", kFail, "the receipt has a reference in the form of its method",
              kCore, "Payment-Receipt Header"},
    CheckKind{"payment.receipt-time", kFail, "the receipt has an RFC 3339 timestamp of now",
              kCore, "Payment-Receipt Header"},
    CheckKind{"payment.cache-control", kFail, "the paid answer says Cache-Control: private", kCore, "Caching"},
    CheckKind{"payment.body", kWarn, "the paid answer has a body", "", ""},
    CheckKind{"payment.content-type", kWarn, "the paid answer says what its body is", kHttp, "section 8.3"},
    CheckKind{"payment.settled", kFail, "the payment that the receipt refers to has settled",
              kCharge, "Server Responsibilities"},
    CheckKind{"payment.replay", kFail, "the same credential is refused the second time", kCore, "Replay Protection"},
    CheckKind{"payment.replay-receipt", kFail, "the refusal has no Payment-Receipt", kCore, "Receipt Status Semantics"},
    CheckKind{"payment.once", kFail, "what was paid for once has to be paid for again", kCharge, "Properties"},
    CheckKind{"payment.close", kFail, "a session can be closed, and the rest comes back",
              kTempoSession, "Cooperative Close"},

    CheckKind{"endpoints.found", kFail, "at least one endpoint asks for payment", kCore, "Usage of 402 Payment Required"},
};
// clang-format on

constexpr std::size_t kMaxText = 300;

const CheckKind& kind_of(std::string_view id) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                   [&](const CheckKind& kind) { return kind.id == id; });
  if (found == kKinds.end()) std::abort();
  return *found;
}

}  // namespace

std::string CheckKind::spec() const {
  return std::string(draft) + (draft.empty() ? "" : ", ") + std::string(section);
}

std::string_view name_of(Status status) {
  switch (status) {
    case Status::pass:
      return "pass";
    case Status::fail:
      return "fail";
    case Status::warn:
      return "warn";
    case Status::skip:
      return "skip";
  }
  std::abort();
}

std::span<const CheckKind> check_kinds() {
  return kKinds;
}

void Report::add(std::string_view id, Status status, std::string_view message,
                 std::optional<std::string> expected, std::optional<std::string> actual) {
  checks_.push_back({std::string(id), printable(target_, kMaxText), status,
                     printable(message, kMaxText), std::move(expected), std::move(actual),
                     kind_of(id).spec()});
}

void Report::pass(std::string_view id, std::string_view actual) {
  add(id, Status::pass, kind_of(id).sentence, std::nullopt,
      actual.empty() ? std::nullopt : std::optional(printable(actual, kMaxText)));
}

void Report::fault(std::string_view id, std::string_view expected, std::string_view actual) {
  add(id, kind_of(id).severity, kind_of(id).sentence, printable(expected, kMaxText),
      printable(actual, kMaxText));
}

void Report::warn(std::string_view id, std::string_view expected, std::string_view actual) {
  add(id, Status::warn, kind_of(id).sentence, printable(expected, kMaxText),
      printable(actual, kMaxText));
}

void Report::skip(std::string_view id, std::string_view why) {
  add(id, Status::skip, why, std::nullopt, std::nullopt);
}

bool Report::check(std::string_view id, bool holds, std::string_view expected,
                   std::string_view actual) {
  if (holds) {
    pass(id);
  } else {
    fault(id, expected, actual);
  }
  return holds;
}

std::size_t Report::count(Status status) const {
  return static_cast<std::size_t>(std::count_if(
      checks_.begin(), checks_.end(), [&](const Check& check) { return check.status == status; }));
}

}  // namespace paycurl::validation
