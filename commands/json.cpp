#include "commands/json.h"

#include "src/base/text.h"

namespace paycurl {
namespace {

std::string kind_name(Kind kind) {
  switch (kind) {
    case Kind::internal:
      return "internal";
    case Kind::usage:
      return "usage";
    case Kind::transport:
      return "transport";
    case Kind::http_status:
      return "http_status";
    case Kind::rejected:
      return "rejected";
    case Kind::unsupported:
      return "unsupported";
    case Kind::declined:
      return "declined";
    case Kind::insufficient_funds:
      return "insufficient_funds";
    case Kind::protocol:
      return "protocol";
    case Kind::account:
      return "account";
    case Kind::session:
      return "session";
    case Kind::outcome_unknown:
      return "outcome_unknown";
    case Kind::not_delivered:
      return "not_delivered";
    case Kind::backend:
      return "backend";
    case Kind::interrupted:
    case Kind::terminated:
      return "interrupted";
  }
  return "internal";
}

/// What a script may do about it.
std::string action_of(const Error& error) {
  const bool is_limit = error.reason == "max_spend" || error.reason == "max_deposit" ||
                        error.reason == "per_day" || error.reason == "max_fee" ||
                        error.reason == "max_increase";
  switch (error.kind) {
    case Kind::usage:
      return "fix_command";
    case Kind::transport:
      return "retry";
    case Kind::rejected:
      return "retry_later";
    case Kind::unsupported:
      return "fix_command";
    case Kind::declined:
      return is_limit ? "raise_limit" : "none";
    case Kind::insufficient_funds:
      return "top_up";
    case Kind::protocol:
      return "report_server";
    case Kind::account:
      return "fix_setup";
    case Kind::outcome_unknown:
      return "resume";
    case Kind::not_delivered:
      return "report_server";
    case Kind::backend:
      return "retry_later";
    case Kind::internal:
      return "fix_setup";
    default:
      return "none";
  }
}

Json figure(const Error& error, Figure::Role role) {
  for (const Figure& figure : error.figures) {
    if (figure.role == role) return money_json(figure.money);
  }
  return {};
}

std::optional<std::int64_t> retry_after(const Outcome& outcome) {
  const std::string* field = outcome.head ? outcome.head->headers.find("retry-after") : nullptr;
  if (field == nullptr || field->empty() || field->size() > 9 ||
      field->find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(*field);
}

Json or_null(const std::optional<std::int64_t>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace

Json envelope() {
  return Json::object({{"paycurl", 1}});
}

Json failed(const Error& error) {
  return envelope().set("error", error_json(error));
}

Json money_json(const Money& money) {
  const Asset& asset = money.asset;
  return Json::object({{"amount", format_units(money.amount, asset.decimals)},
                       {"base", money.amount.decimal()},
                       {"symbol", asset.symbol},
                       {"decimals", asset.decimals},
                       {"token", Json::or_null(std::string_view(asset.token))},
                       {"network", asset.network}});
}

Json money_list(const std::vector<Money>& list) {
  Json array = Json::array();
  for (const Money& money : list) {
    array.push(money_json(money));
  }
  return array;
}

Json error_json(const Error& error, const Outcome* outcome) {
  const bool is_transport = error.transport != 0;
  Json json = Json::object(
      {{"code", error.exit_status()},
       {"kind", kind_name(error.kind)},
       {"reason", Json::or_null(std::string_view(error.reason))},
       {"message", error.message},
       {"hint", Json::or_null(std::string_view(error.hint))},
       {"paymentStatus", name_of(outcome ? outcome->payment : PaymentStatus::not_sent)},
       {"action", action_of(error)},
       {"retryAfter", outcome ? or_null(retry_after(*outcome)) : Json()},
       {"paymentId", outcome && outcome->row ? Json(outcome->row->id) : Json()},
       {"transport", is_transport ? Json(error.transport) : Json()},
       {"status", Json()},
       {"problem", Json()},
       {"need", figure(error, Figure::Role::need)},
       {"have", figure(error, Figure::Role::have)},
       {"limit", figure(error, Figure::Role::limit)}});
  if (outcome && outcome->head) json.set("status", outcome->head->status);
  if (outcome && outcome->problem) json.set("problem", outcome->problem->json);
  return json;
}

Json payment_json(const Row& row, Millis now) {
  const bool doubt = row.status == PaymentStatus::unknown;
  return Json::object(
      {{"id", row.id},
       {"time", format_rfc3339(row.time)},
       {"paymentStatus", name_of(row.status)},
       {"validUntil", doubt ? Json(format_rfc3339(row.valid_until)) : Json()},
       {"request", Json::object({{"method", row.http_method}, {"url", row.url}})},
       {"status", or_null(row.http_status)},
       {"protocol", row.protocol},
       {"method", row.method},
       {"intent", row.intent},
       {"paid", money_json(row.paid)},
       {"fee", row.fee.is_zero() ? Json() : money_json({row.fee, row.given().asset})},
       {"recipient", Json::or_null(std::string_view(row.recipient))},
       {"payer", Json::or_null(std::string_view(row.payer))},
       {"account", Json::or_null(std::string_view(row.account))},
       {"challengeId", row.challenge_id},
       {"reference", Json::or_null(row.reference)},
       {"session", Json::or_null(row.session)},
       {"once", Json::or_null(row.once)},
       {"errorCode", or_null(row.error_code)},
       {"bodyKept", row.body_expires.value_or(0) > now}});
}

Json offer_json(const Offer& offer) {
  Json json = Json::object({{"n", static_cast<std::int64_t>(offer.number)},
                            {"id", Json()},
                            {"protocol", offer.protocol},
                            {"method", ""},
                            {"intent", ""},
                            {"price", Json()},
                            {"payable", offer.payable()},
                            {"withinLimits", offer.quote ? Json(!offer.declined) : Json()},
                            {"reason", Json()}});
  if (offer.refusal) {
    json.set("reason", offer.refusal->reason);
  } else if (offer.declined) {
    json.set("reason", "over_limit");
  }
  if (offer.challenge) {
    const Challenge& challenge = *offer.challenge;
    json.set("id", challenge.id).set("protocol", challenge.protocol);
    json.set("method", challenge.method)
        .set("intent", challenge.intent)
        .set("raw", challenge.request);
    json.set("expires", challenge.expires ? Json(format_rfc3339(*challenge.expires)) : Json());
    json.set("description", Json::or_null(std::string_view(challenge.description)));
  }
  if (offer.quote) {
    const Spend& spend = offer.quote->spend;
    json.set("price", money_json(spend.total));
    json.set("recipient", spend.payees.front().address);
    json.set("feePayer", offer.quote->sponsored ? "server" : "payer");
    json.set("unit", Json::or_null(std::string_view(offer.quote->unit)));
    const auto& deposit = offer.quote->suggested_deposit;
    json.set("suggestedDeposit", deposit ? money_json(*deposit) : Json());
    Json splits = Json::array();
    for (std::size_t i = 1; i < spend.payees.size(); ++i) {
      const Money share{spend.payees[i].amount, spend.total.asset};
      splits.push(
          Json::object({{"recipient", spend.payees[i].address}, {"amount", money_json(share)}}));
    }
    json.set("splits", std::move(splits));
  }
  return json;
}

Json channel_json(const Channel& channel) {
  const auto money = [&](Amount amount) { return money_json({amount, channel.asset}); };
  const auto moment = [](Millis at) { return at == 0 ? Json() : Json(format_rfc3339(at)); };
  return Json::object({{"id", channel.id},
                       {"status", name_of(channel.status)},
                       {"method", channel.method},
                       {"network", channel.asset.network},
                       {"origin", Json::or_null(std::string_view(channel.origin))},
                       {"payer", channel.payer},
                       {"payee", channel.payee},
                       {"account", Json::or_null(std::string_view(channel.account))},
                       {"escrow", Json::or_null(std::string_view(channel.escrow))},
                       {"deposit", money(channel.deposit)},
                       {"signed", money(channel.signed_amount)},
                       {"accepted", money(channel.accepted)},
                       {"spent", money(channel.spent)},
                       {"remaining", money(channel.remaining())},
                       {"units", channel.units},
                       {"openedAt", moment(channel.opened)},
                       {"usedAt", moment(channel.used)},
                       {"withdrawableAt", moment(channel.withdrawable.value_or(0))},
                       {"source", channel.source}});
}

Json account_json(const Account& account) {
  return Json::object({{"name", account.name},
                       {"method", account.method},
                       {"address", Json::or_null(std::string_view(account.address))},
                       {"source", account.source},
                       {"default", account.is_default},
                       {"locked", account.locked}});
}

Json request_json(const http::Request& request) {
  const std::uint64_t size = request.body ? request.body->size() : 0;
  return Json::object({{"method", request.method},
                       {"url", request.url.text},
                       {"bodySize", static_cast<std::int64_t>(size)}});
}

Json stored_json(const std::optional<std::string>& text) {
  if (!text) return {};
  auto json = Json::parse(*text, 1 << 20);
  return json ? std::move(*json) : Json();
}

}  // namespace paycurl
