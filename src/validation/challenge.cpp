// The checks of challenges: draft-httpauth-payment-00, "The Payment Authentication Scheme".
#include <algorithm>
#include <map>
#include <set>

#include "src/base/text.h"
#include "src/http/auth_header.h"
#include "src/payment/problem.h"
#include "src/validation/endpoint.h"

namespace paycurl::validation {
namespace {

constexpr std::size_t kMaxHeader = 8192;
constexpr Millis kLeastLifetime = 15'000;
constexpr Millis kMostLifetime = 24 * 3'600'000;

std::string status_text(const http::Answer& answer) {
  const std::string* location = answer.head.headers.find("location");
  return std::to_string(answer.head.status) + (location == nullptr ? "" : " to " + *location);
}

std::vector<http::AuthChallenge> raw_challenges(const http::Head& head) {
  std::vector<http::AuthChallenge> all;
  for (const std::string& field : head.headers.values("www-authenticate")) {
    for (http::AuthChallenge& one : http::parse_auth_header(field)) {
      if (one.scheme == "payment") all.push_back(std::move(one));
    }
  }
  return all;
}

/// base64url of JSON: the text and what it says.
struct Decoded {
  std::string text;
  Json json;
};
Result<Decoded> decoded(const std::string& value) {
  const auto bytes = from_base64url(value);
  if (!bytes) return bytes.error();
  Decoded out{std::string(as_text(*bytes)), {}};
  auto json = Json::parse(out.text);
  if (!json) return json.error();
  out.json = std::move(*json);
  return out;
}

bool is_name(const std::string& text, bool upper) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool is_public_text(const std::string& text) {
  return printable(text, text.size() + 1) == text;
}

/// Whether `host` is the realm or lies under it.
bool is_within(const std::string& host, const std::string& realm) {
  const std::string domain = lower(realm);
  return host == domain || (domain.find('.') != std::string::npos && host.ends_with("." + domain));
}

/// What each answer of 402 has, apart from its challenges.
void check_head(const http::Answer& answer, Report& report) {
  const http::Headers& headers = answer.head.headers;
  if (answer.url.scheme == "https") {
    report.pass("challenge.https");
  } else if (answer.url.is_loopback()) {
    report.skip("challenge.https", "it is this machine");
  } else {
    report.fault("challenge.https", "https", answer.url.scheme);
  }
  std::size_t size = 0;
  for (const std::string& field : headers.values("www-authenticate")) {
    size = std::max(size, field.size());
  }
  report.check("challenge.header-size", size < kMaxHeader, "less than 8192 bytes",
               std::to_string(size) + " bytes");
  const std::string* cache = headers.find("cache-control");
  report.check("challenge.cache-control", has_directive(answer.head, "no-store"), "no-store",
               cache == nullptr ? "no Cache-Control" : *cache);
  report.check("challenge.no-receipt", headers.find("payment-receipt") == nullptr,
               "no Payment-Receipt", "a Payment-Receipt");
  const auto problem = parse_problem(answer.body);
  const Json* status = problem ? problem->json.find("status") : nullptr;
  const bool says_402 = status != nullptr && status->integer() == 402;
  const std::string found = !problem                 ? "no problem"
                            : problem->type.empty()  ? "no type"
                            : problem->title.empty() ? "no title"
                            : !says_402              ? "another status, or none"
                                                     : "";
  report.check("challenge.problem", found.empty(), "type, title and status 402", found);
}

/// mppx calls it PAYMENT-REQUIRED in x402 version 2, X-PAYMENT-REQUIRED is seen as well.
void check_x402(const http::Head& head, Report& report) {
  const std::string* field = head.headers.find("payment-required");
  if (field == nullptr) field = head.headers.find("x-payment-required");
  if (field == nullptr) return;
  const auto bytes = from_base64(*field);
  const auto json = bytes ? Json::parse(as_text(*bytes)) : Result<Json>(bytes.error());
  const bool fine = json && json->find("x402Version") != nullptr &&
                    json->find("x402Version")->integer() && json->find("accepts") != nullptr &&
                    json->find("accepts")->items() != nullptr;
  report.check("challenge.x402", fine, "base64 of an object with x402Version and accepts",
               "something else");
}

void check_expiry(const http::AuthChallenge& raw, Millis server_now, Report& report) {
  const std::string* text = raw.find("expires");
  if (text == nullptr) return report.warn("challenge.expires", "an RFC 3339 time", "no expires");
  const auto expires = parse_rfc3339(*text);
  if (!expires) {
    return report.fault("challenge.expires", "an RFC 3339 time", *text);
  }
  report.pass("challenge.expires", *text);
  if (!report.check("challenge.expires-future", *expires > server_now,
                    "later than " + format_rfc3339(server_now), *text)) {
    return;
  }
  const Millis left = *expires - server_now;
  report.check("challenge.lifetime", left >= kLeastLifetime && left <= kMostLifetime,
               "15 s to 24 h", std::to_string(left / 1000) + " s");
}

void check_request_parameter(const std::string& text, Report& report) {
  std::string bare = text;
  while (bare.ends_with('=')) {
    bare.pop_back();
  }
  const auto request = decoded(bare);
  if (!request || request->json.members() == nullptr) {
    return report.fault("challenge.request", "base64url of a JSON object",
                        request ? "no object" : request.error().message);
  }
  report.pass("challenge.request");
  report.check("challenge.request-padding", bare == text, "no =", "=");
  const std::string canonical = request->json.canonical();
  report.check("challenge.request-canonical", canonical == request->text, canonical, request->text);
}

void check_optional(const http::AuthChallenge& raw, const http::Request& request, Report& report) {
  if (const std::string* digest = raw.find("digest")) {
    const auto body = request.body ? request.body->sha256() : Result<Digest>(sha256({}));
    const std::string value = body ? to_base64(*body) : "";
    // mppx leaves out the colons of RFC 9530.
    report.check("challenge.digest",
                 *digest == "sha-256=:" + value + ":" || *digest == "sha-256=" + value,
                 "sha-256=:" + value + ":", *digest);
  }
  if (const std::string* opaque = raw.find("opaque")) {
    const auto value = decoded(*opaque);
    const auto* members = value ? value->json.members() : nullptr;
    const bool flat =
        members != nullptr && std::all_of(members->begin(), members->end(), [](const auto& member) {
          return member.second.string() != nullptr;
        });
    report.check("challenge.opaque", flat, "base64url of a JSON object of texts",
                 value ? value->text : value.error().message);
  }
  if (const std::string* description = raw.find("description")) {
    report.check("challenge.description", is_public_text(*description), "visible characters",
                 *description);
  }
}

/// The parameters of one challenge.
void check_parameters(const http::AuthChallenge& raw, const http::Request& request,
                      Millis server_now, Report& report) {
  const auto value = [&](std::string_view name) {
    const std::string* found = raw.find(name);
    return found == nullptr ? std::string() : *found;
  };
  const auto shown = [&](std::string_view name) {
    const std::string* found = raw.find(name);
    return found == nullptr ? "no " + std::string(name) : *found;
  };
  report.check("challenge.id", !value("id").empty(), "an id", "none");
  if (report.check("challenge.realm", raw.find("realm") != nullptr, "a realm", "none")) {
    report.check("challenge.realm-host", is_within(request.url.host, value("realm")),
                 request.url.host, value("realm"));
  }
  report.check("challenge.method", is_name(value("method"), false), "a lower-case name",
               shown("method"));
  report.check("challenge.intent", is_name(value("intent"), true), "a name", shown("intent"));
  check_request_parameter(value("request"), report);
  check_expiry(raw, server_now, report);
  check_optional(raw, request, report);
}

std::vector<std::string> ids_of(const std::vector<http::AuthChallenge>& challenges) {
  std::vector<std::string> ids;
  for (const auto& one : challenges) {
    const std::string* id = one.find("id");
    if (id != nullptr && !id->empty()) ids.push_back(*id);
  }
  return ids;
}

/// What makes an offer the same again: everything but id and times.
std::multiset<std::string> offers_of(const std::vector<http::AuthChallenge>& challenges) {
  std::multiset<std::string> offers;
  for (const auto& one : challenges) {
    const auto value = [&](std::string_view name) {
      const std::string* found = one.find(name);
      return found == nullptr ? std::string() : *found;
    };
    const auto request = decoded(value("request"));
    std::string terms;
    for (const char* key : {"amount", "currency", "recipient"}) {
      const auto text = request ? request->json.string_at(key) : Result<std::string>(std::string());
      terms += "|" + (text ? *text : "");
    }
    offers.insert(value("method") + "/" + value("intent") + terms);
  }
  return offers;
}

/// Asks a second time, and with HEAD.
void check_again(const Probe& probe, const std::vector<http::AuthChallenge>& first, Asked& asked,
                 Report& report) {
  const http::Request& request = asked.request;
  const auto answer = probe.prober.ask(request);
  if (!answer || answer->head.status != 402) {
    report.fault("challenge.stable", "402 again",
                 answer ? status_text(*answer) : answer.error().message);
  } else {
    const auto second = raw_challenges(answer->head);
    report.check("challenge.stable", offers_of(first) == offers_of(second), "the same offers",
                 "other offers");
    const auto old_ids = ids_of(first);
    const auto new_ids = ids_of(second);
    const auto repeated =
        std::find_first_of(new_ids.begin(), new_ids.end(), old_ids.begin(), old_ids.end());
    asked.has_fresh_ids = repeated == new_ids.end();
    report.check("challenge.id-fresh", repeated == new_ids.end(), "other ids",
                 repeated == new_ids.end() ? "" : *repeated + " again");
  }
  if (request.method != "GET") return;
  http::Request head = request;
  head.method = "HEAD";
  const auto reply = probe.prober.ask(head);
  const int status = reply ? reply->head.status : 0;
  report.check("challenge.head", status == 402 || status == 404 || status == 405 || status == 501,
               "402, 404, 405 or 501", reply ? status_text(*reply) : reply.error().message);
}

/// Holds what the discovery document says against the challenges.
void check_discovered(const Endpoint& endpoint, const Asked& asked, Report& report) {
  const bool all_read = std::all_of(asked.challenges.begin(), asked.challenges.end(),
                                    [](const auto& one) { return one.has_value(); });
  if (endpoint.offers.empty() || !all_read) return;
  std::string missing;
  std::string other_price;
  for (const discovery::Offer& offer : endpoint.offers) {
    bool is_made = false;
    std::string price;
    bool same_price = !offer.amount;
    for (const auto& challenge : asked.challenges) {
      if (!challenge || challenge->method != offer.method || challenge->intent != offer.intent) {
        continue;
      }
      const auto currency = challenge->request.string_at("currency");
      if (offer.currency && currency && !equals_ignoring_case(*currency, *offer.currency)) continue;
      const auto amount = challenge->request.string_at("amount");
      is_made = true;
      price = amount ? *amount : "none";
      // What is no amount has a finding of its own.
      same_price = same_price || !amount || !Amount::parse(*amount) || *amount == *offer.amount;
    }
    const std::string name = offer.method + "/" + offer.intent;
    if (!is_made) {
      missing += (missing.empty() ? "" : ", ") + name;
    } else if (!same_price) {
      other_price = name;
      other_price.append(": ").append(*offer.amount).append(" in the document, ");
      other_price.append(price).append(" in the challenge");
    }
  }
  report.check("challenge.offers", missing.empty(), "every offer", "without " + missing);
  report.check("challenge.price", other_price.empty(), "the same amounts", other_price);
}

/// The first request, and a second one with a body when the server wants one.
Result<http::Answer> first_answer(const Probe& probe, const Endpoint& endpoint,
                                  http::Request& request) {
  auto answer = probe.prober.ask(request);
  if (!answer || request.body || endpoint.spare_body.empty()) return answer;
  if (answer->head.status != 400 && answer->head.status != 422) return answer;
  request.body = std::make_shared<const http::Body>(endpoint.spare_body);
  if (request.headers.find("content-type") == nullptr) {
    request.headers.add("Content-Type", "application/json");
  }
  return probe.prober.ask(request);
}

bool check_status(const http::Answer& answer, Report& report) {
  const int status = answer.head.status;
  if (status == 402) {
    report.pass("challenge.status");
    return true;
  }
  if (status >= 200 && status < 300) {
    report.skip("challenge.status", "it answered " + std::to_string(status) + " without payment");
  } else if (status == 401 || status == 403) {
    report.skip("challenge.status", "it answered " + std::to_string(status) +
                                        ": it wants another authentication first (-H)");
  } else {
    report.fault("challenge.status", "402", status_text(answer));
  }
  return false;
}

Millis server_time(const http::Head& head, Millis now) {
  constexpr Millis kBelievable = 3'600'000;
  const std::string* date = head.headers.find("date");
  const auto seconds = date == nullptr ? std::nullopt : http::parse_http_date(*date);
  if (!seconds) return now;
  const Millis theirs = *seconds * 1000;
  return theirs > now - kBelievable && theirs < now + kBelievable ? theirs : now;
}

}  // namespace

bool has_directive(const http::Head& head, std::string_view directive) {
  for (const std::string& field : head.headers.values("cache-control")) {
    for (std::size_t at = 0; at <= field.size();) {
      const std::size_t end = std::min(field.find(',', at), field.size());
      const std::string_view one = trimmed(std::string_view(field).substr(at, end - at));
      if (equals_ignoring_case(one.substr(0, one.find('=')), directive)) return true;
      at = end + 1;
    }
  }
  return false;
}

std::string offer_name(const std::string& endpoint, std::size_t number, std::size_t count,
                       const Challenge& challenge) {
  if (count < 2) return endpoint;
  return endpoint + " #" + std::to_string(number) + " " + challenge.method + "/" + challenge.intent;
}

Result<http::Answer> Prober::ask(http::Request request, std::size_t limit) {
  if (interruption_) return *interruption_;
  // A body that is longer is not worth failing for: what is looked at stands in its head.
  class Listener : public http::Stream {
   public:
    explicit Listener(std::size_t most) : limit(most) {}
    Result<> head(const http::Head& head) override {
      answer.head = head;
      has_head = true;
      return {};
    }
    Result<> data(std::string_view bytes) override {
      answer.body += bytes.substr(0, limit - std::min(limit, answer.body.size()));
      if (answer.body.size() < limit && !answer.head.is_event_stream()) return {};
      return Error{Kind::internal, "enough of the body is here"};
    }
    void done(Result<> ended, const http::Stats& /*stats*/) override { result = std::move(ended); }

    std::size_t limit;
    http::Answer answer;
    bool has_head = false;
    Result<> result;
  };
  Listener listener(limit);
  listener.answer.url = request.url;
  client_.start(std::move(request), listener);
  client_.run();
  if (!listener.result) {
    const Kind kind = listener.result.error().kind;
    if (kind == Kind::interrupted || kind == Kind::terminated) {
      interruption_ = listener.result.error();
      return *interruption_;
    }
    if (!listener.has_head) return listener.result.error();
  }
  return std::move(listener.answer);
}

Result<std::optional<Asked>> check_challenges(const Probe& probe, const Endpoint& endpoint,
                                              Report& report) {
  report.about(endpoint.name);
  Asked asked;
  asked.request = endpoint.request;
  const auto answer = first_answer(probe, endpoint, asked.request);
  if (!answer) return answer.error();
  if (!check_status(*answer, report)) return std::optional<Asked>();
  const auto raw = raw_challenges(answer->head);
  check_x402(answer->head, report);
  if (raw.empty()) {
    report.fault("challenge.header", "WWW-Authenticate: Payment ...",
                 answer->head.headers.find("www-authenticate") == nullptr ? "no WWW-Authenticate"
                                                                          : "other schemes");
    return std::optional<Asked>();
  }
  report.pass("challenge.header", std::to_string(raw.size()));
  check_head(*answer, report);
  const Millis now = server_time(answer->head, probe.clock());
  const auto read = probe.protocol.read(*answer);
  for (std::size_t i = 0; i < read.size() && i < raw.size(); ++i) {
    const std::string* method = raw[i].find("method");
    const std::string* intent = raw[i].find("intent");
    Challenge named;
    named.method = method == nullptr ? "?" : *method;
    named.intent = intent == nullptr ? "?" : *intent;
    report.about(offer_name(endpoint.name, i + 1, raw.size(), named));
    const std::size_t before = report.count(Status::fail);
    if (raw[i].defect.empty()) check_parameters(raw[i], asked.request, now, report);
    const bool is_clean = report.count(Status::fail) == before;
    if (read[i]) {
      report.pass("challenge.syntax");
      check_terms(*read[i], probe.methods, report);
    } else if (is_clean) {
      report.fault("challenge.syntax", "a challenge that can be read", read[i].error().message);
    }
    asked.challenges.push_back(read[i] ? std::optional(*read[i]) : std::nullopt);
  }
  report.about(endpoint.name);
  const auto ids = ids_of(raw);
  report.check("challenge.id-unique", std::set(ids.begin(), ids.end()).size() == ids.size(),
               "different ids", "an id twice");
  check_again(probe, raw, asked, report);
  check_discovered(endpoint, asked, report);
  return std::optional(std::move(asked));
}

}  // namespace paycurl::validation
