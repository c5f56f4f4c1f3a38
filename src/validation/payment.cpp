#include "src/validation/payment.h"

#include <algorithm>

#include "src/base/text.h"
#include "src/validation/credential.h"

namespace paycurl::validation {
namespace {

constexpr Millis kRecent = 60'000;

bool is_success(int status) {
  return status >= 200 && status < 300;
}

/// The credential that a request carries, and the field it is in.
struct Carried {
  std::string field;
  Json credential;
};
std::optional<Carried> credential_of(const http::Request& request) {
  for (const http::Header& header : request.headers) {
    if (!header.value.starts_with("Payment ")) continue;
    const auto bytes = from_base64url(std::string_view(header.value).substr(8));
    auto json = bytes ? Json::parse(as_text(*bytes)) : Result<Json>(bytes.error());
    if (json && json->find("challenge") != nullptr) return Carried{header.name, std::move(*json)};
  }
  return std::nullopt;
}

std::string parameter_of(const Json& credential, std::string_view name) {
  const Json* challenge = credential.find("challenge");
  const auto value =
      challenge == nullptr ? Result<std::string>(std::string()) : challenge->string_at(name);
  return value ? *value : "";
}

bool is_hash(const std::string& text) {
  return text.size() == 66 && text.starts_with("0x") && from_hex(text).has_value();
}

void check_receipt_time(const std::string& timestamp, Millis now, Report& report) {
  const auto time = parse_rfc3339(timestamp);
  if (!time) return report.fault("payment.receipt-time", "an RFC 3339 time", timestamp);
  const Millis age = *time > now ? *time - now : now - *time;
  if (age <= kRecent) return report.pass("payment.receipt-time", timestamp);
  report.warn("payment.receipt-time", "within 60 s of " + format_rfc3339(now), timestamp);
}

void check_reference(const Paid& paid, const std::string& reference, Report& report) {
  const Row& row = *paid.outcome.row;
  const bool is_transaction =
      row.method == "tempo" && (row.intent == "session" || !row.paid.amount.is_zero());
  report.check(
      "payment.receipt-reference", is_transaction ? is_hash(reference) : !reference.empty(),
      is_transaction ? "0x and 64 digits" : "a reference", reference.empty() ? "none" : reference);
}

/// Nothing when there is none, or it cannot be read.
std::optional<Json> read_receipt(const Paid& paid, Report& report) {
  const std::string* field = paid.head.headers.find("payment-receipt");
  if (field == nullptr && paid.outcome.receipt) {  // in the stream's own events
    report.pass("payment.receipt", "in the stream");
    return paid.outcome.receipt->json;
  }
  if (!report.check("payment.receipt", field != nullptr, "a Payment-Receipt", "none")) {
    return std::nullopt;
  }
  const auto bytes = from_base64url(*field);
  auto json = bytes ? Json::parse(as_text(*bytes)) : Result<Json>(bytes.error());
  const bool fine = json && json->members() != nullptr && !field->ends_with('=');
  if (!report.check("payment.receipt-format", fine, "base64url of a JSON object",
                    json ? "padding, or no object" : json.error().message)) {
    return std::nullopt;
  }
  return std::move(*json);
}

void check_receipt(const Paid& paid, const Json& receipt, Millis now, Report& report) {
  const auto text = [&](const char* key) {
    const auto value = receipt.string_at(key);
    return value ? *value : std::string();
  };
  const auto shown = [&](const char* key) { return text(key).empty() ? "none" : text(key); };
  report.check("payment.receipt-status", text("status") == "success", "success", shown("status"));
  report.check("payment.receipt-method", text("method") == paid.challenge.method,
               paid.challenge.method, shown("method"));
  check_reference(paid, text("reference"), report);
  check_receipt_time(text("timestamp"), now, report);
}

void check_cache(const http::Head& head, Report& report) {
  if (head.headers.find("payment-receipt") == nullptr) {
    return report.skip("payment.cache-control", "the rule is for answers with a Payment-Receipt");
  }
  const std::string* cache = head.headers.find("cache-control");
  report.check("payment.cache-control",
               has_directive(head, "private") || has_directive(head, "no-store"), "private",
               cache == nullptr ? "no Cache-Control" : *cache);
}

void check_settlement(const Paid& paid, const std::optional<Json>& receipt, const Settlement& found,
                      Report& report) {
  if (paid.outcome.row->intent != "charge" || paid.outcome.row->paid.amount.is_zero()) return;
  if (found.state == Settlement::State::open && found.why) {
    return report.skip("payment.settled", "nobody could be asked: " + found.why->message);
  }
  if (found.state != Settlement::State::settled) {
    return report.fault("payment.settled", "a payment that has settled", "none is known");
  }
  const auto reference =
      receipt ? receipt->string_at("reference") : Result<std::string>(std::string());
  // Other methods have references that the rail does not know.
  const bool same = paid.challenge.method != "tempo" || !reference || !is_hash(*reference) ||
                    equals_ignoring_case(*reference, found.reference);
  report.check("payment.settled", same, found.reference, reference ? *reference : "none");
}

}  // namespace

int Tampering::start(http::Request request, http::Stream& stream) {
  if (!paid_) {
    if (const auto carried = credential_of(request)) {
      paid_ = request;
      if (parameter_of(carried->credential, "intent") == "charge") {
        send_altered(request, carried->credential);
      }
    }
  }
  return inner_.start(std::move(request), stream);
}

/// Sends one altered copy. False when it was taken, or nobody wants more of them.
bool Tampering::send(std::string_view check, http::Request request) {
  request.headers.remove("idempotency-key");
  const auto answer = probe_.prober.ask(std::move(request));
  if (!answer) {
    report_.fault(check, "402", answer.error().message);
    return !probe_.prober.interruption();
  }
  const int status = answer->head.status;
  report_.check(check, status == 402, "402", std::to_string(status));
  taken_ = is_success(status);
  return !taken_;
}

void Tampering::send_altered(const http::Request& request, const Json& credential) {
  const auto carried = credential_of(request);
  const std::string id = parameter_of(credential, "id");
  if (!carried || id.empty()) return;
  const auto altered = [&](std::string_view name, std::string value) {
    http::Request copy = request;
    attach(copy, carried->field, with_parameter(credential, name, std::move(value)));
    return copy;
  };
  Challenge challenge;
  const auto terms = from_base64url(parameter_of(credential, "request"));
  auto read = terms ? Json::parse(as_text(*terms)) : Result<Json>(terms.error());
  if (read && read->members() != nullptr) challenge.request = std::move(*read);
  if (!send("payment.tampered-id", altered("id", other_id(id)))) return;
  if (challenge.request.members() != nullptr &&
      !send("payment.tampered-request", altered("request", cheaper_request(challenge)))) {
    return;
  }
  if (!send("payment.tampered-expiry", altered("expires", "2099-01-01T00:00:00Z"))) return;
  if (!send("payment.tampered-realm", altered("realm", "other.example"))) return;
  if (parameter_of(credential, "digest").empty()) return;
  http::Request other_body = request;
  other_body.body = std::make_shared<const http::Body>(std::string("{\"altered\":true}"));
  send("payment.tampered-body", std::move(other_body));
}

void check_paid_answer(const Probe& probe, const Paid& paid, const Settlement& settlement,
                       Report& report) {
  const int status = paid.head.status;
  if (!report.check("payment.accepted", is_success(status), "200", std::to_string(status))) return;
  const auto receipt = read_receipt(paid, report);
  if (receipt) check_receipt(paid, *receipt, probe.clock(), report);
  check_cache(paid.head, report);
  report.check("payment.body", !paid.body.empty() || status == 204, "a body", "none");
  if (!paid.body.empty()) {
    report.check("payment.content-type", paid.head.headers.find("content-type") != nullptr,
                 "a Content-Type", "none");
  }
  check_settlement(paid, receipt, settlement, report);
}

void check_replay(const Probe& probe, const http::Request& paid_request, const Asked& asked,
                  Report& report) {
  http::Request again = paid_request;
  again.headers.remove("idempotency-key");  // with it, the same answer would be right
  const auto answer = probe.prober.ask(std::move(again));
  if (!answer) {
    report.fault("payment.replay", "402", answer.error().message);
  } else {
    const int status = answer->head.status;
    report.check("payment.replay", status == 402, "402", std::to_string(status));
    if (!is_success(status)) {
      report.check("payment.replay-receipt",
                   answer->head.headers.find("payment-receipt") == nullptr, "no Payment-Receipt",
                   "a Payment-Receipt");
    }
  }
  const auto without = probe.prober.ask(asked.request);
  const int status = without ? without->head.status : 0;
  report.check("payment.once", status == 402, "402",
               without ? std::to_string(status) : without.error().message);
}

}  // namespace paycurl::validation
