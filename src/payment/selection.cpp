#include "src/payment/selection.h"

#include <algorithm>

#include "src/base/text.h"
#include "src/payment/identity.h"

namespace paycurl {
namespace {

std::string quoted(std::string_view text) {
  return "\"" + printable(text, 40) + "\"";
}

std::optional<Refusal> excluded(const Offer& offer, const Preference& preference) {
  const Challenge& challenge = *offer.challenge;
  const auto& methods = preference.methods;
  if (!preference.protocol.empty() && preference.protocol != offer.protocol) {
    return Refusal{"excluded", "--protocol leaves out " + quoted(offer.protocol)};
  }
  if (!methods.empty() &&
      std::find(methods.begin(), methods.end(), challenge.method) == methods.end()) {
    return Refusal{"excluded", "--method leaves out " + quoted(challenge.method)};
  }
  if (!preference.intent.empty() && preference.intent != challenge.intent) {
    return Refusal{"excluded", "--intent leaves out " + quoted(challenge.intent)};
  }
  if (preference.only_sessions && challenge.intent != "session") {
    return Refusal{"excluded", "only a session pays for a WebSocket"};
  }
  if (preference.only_charges && challenge.intent == "session") {
    return Refusal{"excluded", "a session is a conversation, which only a request can have"};
  }
  if (!preference.sessions && challenge.intent == "session") {
    return Refusal{"excluded", "--no-session leaves out sessions"};
  }
  if (preference.number && *preference.number != offer.number) {
    return Refusal{"excluded", "--challenge names another offer"};
  }
  return std::nullopt;
}

std::optional<Refusal> insecure(const Arrival& arrival, bool allow_http) {
  if (allow_http || (!arrival.plain_http && !arrival.unverified_tls)) {
    return std::nullopt;
  }
  if (arrival.plain_http && arrival.loopback) return std::nullopt;
  return Refusal{"insecure", arrival.plain_http
                                 ? "it came over plain http, where anyone on the way can change it"
                                 : "it came over TLS that -k left unverified"};
}

Method* find_method(const std::vector<Method*>& methods, const std::string& name) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const Method* method) { return method->name() == name; });
  return found == methods.end() ? nullptr : *found;
}

bool has_intent(const Method& method, const std::string& intent) {
  const auto intents = method.intents();
  return std::find(intents.begin(), intents.end(), intent) != intents.end();
}

std::optional<Refusal> unknown(const Offer& offer) {
  if (offer.method == nullptr) {
    return Refusal{"unknown_method",
                   "paycurl does not know the method " + quoted(offer.challenge->method)};
  }
  if (!has_intent(*offer.method, offer.challenge->intent)) {
    return Refusal{"unknown_intent", "paycurl does not know the intent " +
                                         quoted(offer.challenge->intent) + " of " +
                                         quoted(offer.challenge->method)};
  }
  return std::nullopt;
}

/// What is wrong with this moment, this request or the way the offer came.
std::optional<Refusal> unfit(const Challenge& challenge, const Terms& terms) {
  if (challenge.expires && *challenge.expires <= terms.now + challenge.clock_offset) {
    return Refusal{"expired", "it expired at " + format_rfc3339(*challenge.expires)};
  }
  const bool bound = challenge.digest && !terms.foreign_body;
  if (bound && (!terms.body || !is_digest_of(*challenge.digest, *terms.body))) {
    return Refusal{"malformed", "its digest is not that of the request body"};
  }
  return insecure(terms.arrival, allows_http(terms.limits.files, challenge.url.origin(),
                                             terms.preference.allow_http));
}

bool is_currency(const Asset& asset, const std::string& wanted) {
  return wanted.empty() || equals_ignoring_case(wanted, asset.token) ||
         equals_ignoring_case(wanted, asset.symbol);
}

Offer examine_one(std::size_t number, ReadChallenge challenge, const std::vector<Method*>& methods,
                  const Preference& preference) {
  Offer offer;
  offer.number = number;
  offer.protocol = std::move(challenge.first);
  Result<Challenge>& read = challenge.second;
  if (!read) {
    offer.refusal = Refusal{"malformed", read.error().message};
    return offer;
  }
  offer.challenge = std::move(*read);
  offer.method = find_method(methods, offer.challenge->method);
  offer.refusal = excluded(offer, preference);
  if (auto why = unknown(offer)) {
    if (!offer.refusal) offer.refusal = std::move(why);
    return offer;
  }
  if (auto why = offer.method->refusal(*offer.challenge)) {
    if (!offer.refusal) offer.refusal = std::move(why);
    return offer;
  }
  auto quote = offer.method->quote(*offer.challenge);
  if (!quote) {
    if (!offer.refusal) offer.refusal = Refusal{"malformed", quote.error().message};
    return offer;
  }
  if (!offer.refusal && !is_currency(quote->spend.total.asset, preference.currency)) {
    offer.refusal =
        Refusal{"excluded", "--currency leaves out " + quoted(quote->spend.total.asset.symbol)};
  }
  quote->spend.origin = offer.challenge->url.origin();
  offer.quote = std::move(*quote);
  return offer;
}

/// Graver reasons say more about what to do.
Kind kind_of(const std::string& reason) {
  if (reason == "insecure") return Kind::declined;
  if (reason == "malformed" || reason == "expired") return Kind::protocol;
  return Kind::unsupported;
}

Error refused(const std::vector<Offer>& offers) {
  const auto has = [&](Kind kind) {
    return std::any_of(offers.begin(), offers.end(),
                       [&](const Offer& offer) { return kind_of(offer.refusal->reason) == kind; });
  };
  const Kind kind = has(Kind::declined)      ? Kind::declined
                    : has(Kind::unsupported) ? Kind::unsupported
                                             : Kind::protocol;
  Error error{kind, offers.size() == 1 ? "the offer cannot be paid: " : "no offer can be paid:"};
  for (const Offer& offer : offers) {
    if (error.reason.empty() && kind_of(offer.refusal->reason) == kind) {
      error.reason = offer.refusal->reason;
    }
    if (offers.size() != 1) {
      error.message += (offer.number == 1 ? " (" : "; (") + std::to_string(offer.number) + ") ";
    }
    if (offer.number <= 8) error.message += offer.refusal->text;
    if (offer.number == 8 && offers.size() > 8) {
      error.message += "; and " + std::to_string(offers.size() - 8) + " more";
      break;
    }
  }
  error.hint = kind == Kind::declined ? "use https; --allow-http takes the risk"
                                      : "see the offers with --inspect";
  return error;
}

}  // namespace

std::vector<Offer> examine(std::vector<ReadChallenge> challenges,
                           const std::vector<Method*>& methods, const Terms& terms) {
  std::vector<Offer> offers;
  for (auto& read : challenges) {
    Offer offer = examine_one(offers.size() + 1, std::move(read), methods, terms.preference);
    if (offer.payable()) offer.refusal = unfit(*offer.challenge, terms);
    if (offer.quote) {
      if (auto allowed = allow(offer.quote->spend, terms.limits, terms.spent); !allowed) {
        offer.declined = allowed.error();
      }
    }
    offers.push_back(std::move(offer));
  }
  return offers;
}

Result<const Offer*> choose(const std::vector<Offer>& offers, const HasAccount& has_account) {
  const Offer* payable = nullptr;
  const Offer* first = nullptr;
  bool several = false;  // methods that could pay
  for (const Offer& offer : offers) {
    if (!offer.payable()) continue;
    if (payable == nullptr) payable = &offer;
    if (offer.declined) continue;
    if (first == nullptr) first = &offer;
    several = several || offer.method != first->method;
  }
  if (first != nullptr && several && has_account) {
    for (const Offer& offer : offers) {
      if (!offer.payable() || offer.declined) continue;
      const auto there = has_account(std::string(offer.method->name()));
      if (!there) return there.error();
      if (*there) return &offer;
    }
  }
  if (first != nullptr) return first;
  if (payable != nullptr) return *payable->declined;
  if (offers.empty()) {
    return Error{Kind::unsupported,
                 "the server asks for payment but makes no offer that paycurl reads",
                 "it sent no WWW-Authenticate: Payment; --no-pay shows the answer", "no_offer"};
  }
  return refused(offers);
}

}  // namespace paycurl
