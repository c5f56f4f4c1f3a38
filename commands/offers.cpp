#include "commands/offers.h"

#include <algorithm>

#include "commands/json.h"
#include "commands/prompt.h"
#include "commands/signals.h"
#include "commands/turns.h"
#include "src/base/text.h"

namespace paycurl {

Json inspect_json(const http::Request& request, const Outcome& outcome) {
  const bool payable = std::any_of(outcome.offers.begin(), outcome.offers.end(),
                                   [](const Offer& offer) { return offer.payable(); });
  const bool is_free = !outcome.challenged && outcome.head && outcome.head->status < 400;
  Json json = envelope();
  json.set("request", request_json(request));
  json.set("status", outcome.head ? Json(outcome.head->status) : Json());
  json.set("free", is_free).set("payable", payable);
  json.set("chosen",
           outcome.chosen == 0 ? Json() : Json(static_cast<std::int64_t>(outcome.chosen)));
  Json offers = Json::array();
  for (const Offer& offer : outcome.offers) {
    offers.push(offer_json(offer));
  }
  json.set("offers", std::move(offers));
  json.set("problem", outcome.problem ? outcome.problem->json : Json());
  json.set("error", outcome.error ? error_json(*outcome.error, &outcome) : Json());
  return json;
}

const Offer* chosen_offer(const Outcome& outcome) {
  const auto found =
      std::find_if(outcome.offers.begin(), outcome.offers.end(),
                   [&](const Offer& offer) { return offer.number == outcome.chosen; });
  return found == outcome.offers.end() ? nullptr : &*found;
}

Result<Json> quote_json(const QuoteParts& parts) {
  const Offer& offer = parts.offer;
  const Account& payer = parts.payer;
  Quote quote = *offer.quote;
  if (parts.client != nullptr) {
    auto prepared = offer.method->prepare(*offer.challenge, quote, payer.address, parts.limits);
    if (!prepared) return prepared.error();
    if (quote.spend.swap) {
      if (auto fits = allow(quote.spend, parts.limits, {parts.spent, {}}); !fits) {
        return fits.error();
      }
    }
  }
  const Spend& spend = quote.spend;
  const Money& given = spend.swap ? *spend.swap : spend.total;
  const auto budget = run_budget(spend.total.asset, parts.limits, {parts.spent, {}}, spend.origin);
  const Money limit{budget ? budget->limit : Amount(), spend.total.asset};
  const Money left{budget ? budget->left : Amount(), spend.total.asset};
  Json balance;
  if (parts.client != nullptr) {
    const auto balances = offer.method->balances(payer.address, *parts.client);
    if (!balances) return balances.error();
    for (const Money& money : *balances) {
      if (money.asset != given.asset) continue;
      balance = money_json(money);
      const Amount need = given.amount.plus(spend.fee.amount).value_or(money.amount);
      if (money.amount >= need) continue;
      Error error{Kind::insufficient_funds,
                  payer.address + " has " + describe(money) + ", the payment needs " +
                      describe({need, money.asset}) + " with the network fee",
                  "add funds, or pay from another account", "insufficient_funds"};
      error.figures = {{Figure::Role::need, {need, money.asset}}, {Figure::Role::have, money}};
      return error;
    }
  }
  const bool proof = spend.total.amount.is_zero();
  return Json::object({{"offer", static_cast<std::int64_t>(offer.number)},
                       {"total", money_json(spend.total)},
                       {"fee", spend.fee.amount.is_zero() ? Json() : money_json(spend.fee)},
                       {"swap", spend.swap ? money_json(*spend.swap) : Json()},
                       {"deposit", Json()},
                       {"mode", proof ? Json() : Json::or_null(std::string_view(quote.mode))},
                       {"session", Json()},
                       {"payer", payer.address},
                       {"account", payer.name},
                       {"balance", std::move(balance)},
                       {"limit", money_json(limit)},
                       {"left", money_json(left)}});
}

std::string describe_quote(const Json& quote) {
  if (quote.members() == nullptr) return "";
  std::string text;
  if (const Json* swap = quote.find("swap"); swap->members() != nullptr) {
    text += "would swap at most " + *swap->find("amount")->string() + " " +
            *swap->find("symbol")->string() + " for it\n";
  }
  text += "would pay from " + *quote.find("payer")->string() + " (" +
          printable(*quote.find("account")->string(), 70) + ")";
  const Json* balance = quote.find("balance");
  if (balance->members() != nullptr) {
    text += ", which has " + *balance->find("amount")->string() + " " +
            *balance->find("symbol")->string();
  }
  return text + "\n";
}

namespace {

/// A price that rose is the user's to accept; where nobody can be asked, or a file has the last
/// word, it is not paid. --yes speaks of prices as they are expected.
Result<> confirm_increase(const Globals& globals, const RequestOptions& options, const Offer& offer,
                          Limits& limits) {
  if (offer.risen->hint == kNoOptionRaises || options.yes || !can_ask(globals.settings)) {
    return *offer.risen;
  }
  std::string question = offer.risen->message;
  question.replace(0, 1, "T");  // "the price is"
  const Turn turn(Turn::At::question);
  const auto answer = ask_yes(globals.settings, question + ". Pay it?");
  if (!answer || !*answer) return *offer.risen;
  const Spend& spend = offer.quote->spend;
  limits.agreed_price = Money{spend.price.value_or(spend.total.amount), spend.total.asset};
  return {};
}

}  // namespace

Result<> confirm_payment(const Globals& globals, const RequestOptions& options, const Offer& offer,
                         const Payer& payer, Limits& limits) {
  if (const auto signal = caught_signal()) return Error{*signal, "stopped by a signal"};
  limits.agreed_price.reset();
  if (offer.risen) return confirm_increase(globals, options, offer, limits);
  if (!options.confirm || options.yes) return {};
  const Spend& spend = offer.quote->spend;
  // A deposit leaves as a whole where no escrow holds it.
  const auto& deposit = offer.quote->suggested_deposit;
  const bool is_prepaid = deposit && deposit->asset.network.starts_with("lightning:");
  std::string question = "Pay " + describe(spend.total);
  if (is_prepaid) question += " each, with a deposit of " + describe(*deposit);
  if (spend.swap) question += ", swapped for at most " + describe(*spend.swap) + ",";
  if (!spend.payees.empty()) question += " to " + spend.payees.front().address;
  if (spend.payees.size() > 1) {
    question += " and " + std::to_string(spend.payees.size() - 1) + " others";
  }
  question += " for " + printable(offer.challenge->url.origin()) + ", from " + payer.address + "?";
  const Turn turn(Turn::At::question);
  const auto answer = ask_yes(globals.settings, question);
  if (!answer) {
    Error error = answer.error();
    if (error.kind == Kind::usage) error.kind = Kind::declined;
    error.reason = "confirm";
    return error;
  }
  if (*answer) return {};
  return Error{Kind::declined, "you said no", "", "confirm"};
}

}  // namespace paycurl
