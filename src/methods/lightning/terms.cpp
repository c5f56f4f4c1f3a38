#include "src/methods/lightning/terms.h"

#include <algorithm>

#include "src/base/text.h"

namespace paycurl::lightning {
namespace {

constexpr std::uint64_t kMillisPerSat = 1000;

Error malformed(std::string why) {
  return {Kind::protocol, std::move(why), "", "malformed"};
}

/// A positive number of satoshi, in millisatoshi.
Result<Amount> read_sats(const Json& object, std::string_view key) {
  const auto text = object.string_at(key);
  if (!text) return malformed(text.error().message);
  const auto sats = Amount::parse(*text);
  const auto amount = sats ? sats->times(kMillisPerSat) : std::nullopt;
  if (!amount || amount->is_zero()) {
    return malformed("its " + std::string(key) + " is not a positive number of satoshi");
  }
  return *amount;
}

/// "sat". Some servers write "BTC" and mean satoshi as well; the invoice is what counts.
Result<> check_currency(const Json& request) {
  const auto currency = request.string_at("currency");
  if (!currency) return malformed(currency.error().message);
  if (*currency == "sat" || *currency == "BTC") return {};
  return Error{Kind::unsupported, "its currency is " + printable(*currency, 20) + ", not sat", "",
               "unknown_token"};
}

Result<> check_hash(const Json& object, const Invoice& invoice) {
  const auto told = object.optional_string_at("paymentHash");
  if (!told) return malformed(told.error().message);
  if (*told && lower(**told) != to_hex(invoice.payment_hash)) {
    return malformed("its paymentHash is not that of the invoice");
  }
  return {};
}

/// An absent network means the main one, but servers on others leave it out too: then the invoice
/// says it alone, and the wallet has to be on that network.
Result<> check_network(const Json& object, const Invoice& invoice) {
  const auto told = object.optional_string_at("network");
  if (!told) return malformed(told.error().message);
  if (*told && **told != invoice.network) {
    return malformed("its network is " + printable(**told, 20) + ", and its invoice is for " +
                     invoice.network);
  }
  return {};
}

/// An invoice with a hash instead of a description is for what the challenge describes.
Result<> check_description(const Challenge& challenge, const Invoice& invoice) {
  if (!invoice.description_hash) return {};
  const auto inner = challenge.request.optional_string_at("description");
  if (!inner) return malformed(inner.error().message);
  const std::string described = *inner ? **inner : challenge.description;
  if (!described.empty() && sha256(as_bytes(described)) != *invoice.description_hash) {
    return malformed("its invoice is for something else than it describes");
  }
  return {};
}

/// What comes first, by the server's clock.
Millis end_of(const Challenge& challenge, const Invoice* invoice) {
  Millis end = std::min(challenge.expires.value_or(kLastSecond * 1000), kLastSecond * 1000);
  if (invoice != nullptr) end = std::min(end, invoice->expires);
  return end;
}

Result<Amount> amount_of(const Invoice& invoice) {
  if (invoice.amount && !invoice.amount->is_zero()) return *invoice.amount;
  return malformed("its invoice leaves the amount open");
}

std::string text_of(Amount millis) {
  return format_units(millis, 3) + " sat";
}

Result<std::chrono::seconds> read_idle(const Json& request) {
  const auto idle = request.optional_string_at("idleTimeout");
  if (!idle) return malformed(idle.error().message);
  if (!*idle) return std::chrono::seconds(0);
  const auto seconds = Amount::parse(**idle);
  if (!seconds || *seconds > Amount(365UL * 86400)) {
    return malformed("its idleTimeout is not a number of seconds");
  }
  return std::chrono::seconds(std::stoll(**idle));
}

/// The invoice of a deposit, held against what the challenge says of it.
Result<Invoice> read_deposit(const Challenge& challenge, const std::string& text) {
  const Json& request = challenge.request;
  auto invoice = read_invoice(text);
  if (!invoice) return malformed(invoice.error().message);
  const auto deposit = amount_of(*invoice);
  if (!deposit) return deposit.error();
  if (auto right = check_hash(request, *invoice); !right) return right.error();
  if (auto right = check_description(challenge, *invoice); !right) return right.error();
  if (request.find("depositAmount") == nullptr) return invoice;
  const auto told = read_sats(request, "depositAmount");
  if (!told) return told.error();
  if (*told == *deposit) return invoice;
  return malformed("it says a deposit of " + text_of(*told) + ", and its invoice is for " +
                   text_of(*deposit));
}

}  // namespace

Asset satoshi(const std::string& network) {
  return {"sat", 3, "", "lightning:" + network, false, network != "mainnet"};
}

Result<ChargeTerms> read_charge(const Challenge& challenge) {
  const Json& request = challenge.request;
  const Json* details = request.find("methodDetails");
  if (details == nullptr || details->members() == nullptr) {
    return malformed("it has no methodDetails");
  }
  const auto text = details->string_at("invoice");
  if (!text) return malformed(text.error().message);
  auto invoice = read_invoice(*text);
  if (!invoice) return malformed(invoice.error().message);
  const auto amount = amount_of(*invoice);
  if (!amount) return amount.error();
  if (challenge.protocol != "l402") {
    const auto price = read_sats(request, "amount");
    if (!price) return price.error();
    if (auto right = check_currency(request); !right) return right.error();
    if (*price != *amount) {
      return malformed("it says " + text_of(*price) + ", and its invoice is for " +
                       text_of(*amount));
    }
    if (auto right = check_description(challenge, *invoice); !right) return right.error();
  }
  if (auto right = check_hash(*details, *invoice); !right) return right.error();
  if (auto right = check_network(*details, *invoice); !right) return right.error();
  ChargeTerms terms;
  terms.amount = *amount;
  terms.until = end_of(challenge, &*invoice);
  terms.invoice = std::move(*invoice);
  return terms;
}

Result<SessionTerms> read_session(const Challenge& challenge) {
  const Json& request = challenge.request;
  SessionTerms terms;
  const auto price = read_sats(request, "amount");
  if (!price) return price.error();
  terms.price = *price;
  if (auto right = check_currency(request); !right) return right.error();
  const auto unit = request.optional_string_at("unitType");
  if (!unit) return malformed(unit.error().message);
  terms.unit = unit->value_or("unit");
  const auto idle = read_idle(request);
  if (!idle) return idle.error();
  terms.idle = *idle;
  if (!request.find("paymentHash")) return malformed("it has no paymentHash");
  const auto text = request.optional_string_at("depositInvoice");
  if (!text) return malformed(text.error().message);
  if (*text) {
    auto deposit = read_deposit(challenge, **text);
    if (!deposit) return deposit.error();
    if (*deposit->amount < terms.price) return malformed("its deposit does not pay for one unit");
    terms.deposit = std::move(*deposit);
  }
  terms.until = end_of(challenge, terms.deposit ? &*terms.deposit : nullptr);
  return terms;
}

}  // namespace paycurl::lightning
