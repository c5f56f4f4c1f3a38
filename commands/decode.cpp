// paycurl decode: what a challenge, credential, receipt, invoice or transaction says. Needs no key,
// no network, no home.
#include <algorithm>

#include "commands/given.h"
#include "commands/json.h"
#include "commands/options.h"
#include "commands/output.h"
#include "src/base/text.h"
#include "src/http/auth_header.h"
#include "src/methods/lightning/terms.h"
#include "src/methods/methods.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/charge.h"
#include "src/methods/tempo/transaction_reader.h"
#include "src/protocols/protocols.h"

namespace paycurl {
namespace {

constexpr Millis kEndOfTime = 253'402'300'799'999;  // of the year 9999

Json time_json(Millis time) {
  return time < 0 || time > kEndOfTime ? Json() : Json(format_rfc3339(time));
}

/// Unix seconds of a transaction; 0 is absent.
Json seconds_json(std::uint64_t seconds) {
  constexpr auto kEnd = static_cast<std::uint64_t>(kEndOfTime / 1000);
  return seconds == 0 || seconds > kEnd ? Json() : time_json(static_cast<Millis>(seconds) * 1000);
}

Json address_json(const std::optional<Address>& address) {
  return address ? Json(address->checksummed()) : Json();
}

Json tempo_money(std::uint64_t chain, const Address& token, const Amount& amount) {
  const auto asset = tempo::known_token(chain, token);
  return asset ? money_json({amount, *asset}) : Json();
}

Json invoice_json(const lightning::Invoice& invoice) {
  const Asset asset = lightning::satoshi(invoice.network);
  const auto& hashed = invoice.description_hash;
  return Json::object({{"kind", "invoice"},
                       {"network", asset.network},
                       {"price", invoice.amount ? money_json({*invoice.amount, asset}) : Json()},
                       {"paymentHash", to_hex(invoice.payment_hash)},
                       {"description", Json::or_null(invoice.description)},
                       {"descriptionHash", hashed ? Json(to_hex(*hashed)) : Json()},
                       {"payee", to_hex(invoice.payee)},
                       {"created", time_json(invoice.created)},
                       {"expires", time_json(invoice.expires)},
                       {"expired", invoice.expires <= system_now()}});
}

Json call_json(std::uint64_t chain, const tempo::SignedTransaction::Call& call) {
  Json transfer;
  if (const auto read = tempo::read_transfer_call(call.input); read && call.to) {
    transfer = Json::object({{"recipient", read->to.checksummed()},
                             {"amount", tempo_money(chain, *call.to, read->amount)},
                             {"base", read->amount.decimal()},
                             {"memo", read->memo ? Json(to_0x(*read->memo)) : Json()}});
  }
  return Json::object({{"to", address_json(call.to)},
                       {"value", call.value.decimal()},
                       {"input", to_0x(call.input)},
                       {"transfer", std::move(transfer)}});
}

Json transaction_json(const tempo::SignedTransaction& transaction) {
  const std::uint64_t chain = transaction.chain;
  const Amount most = tempo::most_fee(transaction.gas, transaction.max_fee);
  const auto& fee_token = transaction.fee_token;
  const bool expiring = transaction.nonce_key == tempo::expiring_nonce_key();
  Json calls = Json::array();
  for (const auto& call : transaction.calls) {
    calls.push(call_json(chain, call));
  }
  return Json::object(
      {{"kind", "transaction"},
       {"type", "0x" + to_hex(Bytes{transaction.type})},
       {"network", tempo::network_name(chain)},
       {"hash", transaction.awaits_fee_payer ? Json() : Json(to_0x(transaction.hash))},
       {"sender", transaction.sender.checksummed()},
       {"signature", transaction.signature},
       {"verified", transaction.verified},
       {"awaitsFeePayer", transaction.awaits_fee_payer},
       {"feePayer", address_json(transaction.fee_payer)},
       {"feeToken", address_json(fee_token)},
       {"mostFee", fee_token ? tempo_money(chain, *fee_token, most) : Json()},
       {"gas", std::to_string(transaction.gas)},
       {"maxFeePerGas", transaction.max_fee.decimal()},
       {"maxPriorityFeePerGas", transaction.priority_fee.decimal()},
       {"nonceKey", expiring ? std::string("expiring") : transaction.nonce_key.decimal()},
       {"nonce", std::to_string(transaction.nonce)},
       {"validAfter", seconds_json(transaction.valid_after)},
       {"validBefore", seconds_json(transaction.valid_before)},
       {"calls", std::move(calls)},
       {"accessList", static_cast<std::int64_t>(transaction.access_list)},
       {"authorizations", static_cast<std::int64_t>(transaction.authorizations)},
       {"authorizesKey", transaction.authorizes_key}});
}

/// What a text holds, and the first thing that is wrong with it.
class Findings {
 public:
  Findings() : protocols_(make_protocols()), client_(http::make_client({})) {}

  void read(const std::string& text);
  bool empty() const { return items_.empty(); }
  const std::optional<Error>& error() const { return error_; }
  Json json() &&;

 private:
  bool read_alone(const std::string& text);
  void read_head(const http::Head& head);
  void add(Json item) { items_.push_back(std::move(item)); }
  void add_defect(std::string_view kind, const Error& why);
  void add_field(std::string_view value);
  void add_challenge(const std::string& protocol, const Result<Challenge>& challenge);
  void add_credential(std::string_view base64url);
  void add_token(std::string_view scheme, std::string_view value);
  void add_receipt(const std::string& base64url);
  void add_invoice(std::string_view text);
  void add_transaction(std::string_view hex);
  bool add_json(const Json& json);
  Json challenge_json(const Challenge& challenge);
  void add_price(const Challenge& challenge, Json& item);

  std::vector<std::unique_ptr<Protocol>> protocols_;
  std::unique_ptr<http::Client> client_;  // that methods are made with; asks nobody
  std::vector<Json> items_;
  std::optional<Error> error_;
};

void Findings::add_defect(std::string_view kind, const Error& why) {
  add(Json::object({{"kind", kind}, {"defect", why.message}}));
  if (error_) return;
  error_ = Error{Kind::protocol, why.message, "", "malformed"};
}

/// What paying would cost, where a method knows.
void Findings::add_price(const Challenge& challenge, Json& item) {
  MethodOptions options;
  options.offline = true;
  const Json* details = challenge.request.find("methodDetails");
  const Json* chain = details == nullptr ? nullptr : details->find("chainId");
  // Any chain may be looked at, also those that have to be named before they are paid on.
  if (const auto id = chain == nullptr ? std::nullopt : chain->integer(); id && *id > 0) {
    options.network = std::to_string(*id);
  }
  const auto methods = make_methods(options, *client_);
  if (!methods) return;
  for (const auto& method : *methods) {
    const auto intents = method->intents();
    const bool knows = method->name() == challenge.method &&
                       std::find(intents.begin(), intents.end(), challenge.intent) != intents.end();
    if (!knows) continue;
    auto quote = method->quote(challenge);
    if (!quote) {
      if (quote.error().kind != Kind::protocol) continue;
      item.set("defect", quote.error().message);
      if (!error_) error_ = Error{Kind::protocol, quote.error().message, "", "malformed"};
      continue;
    }
    Offer offer;
    offer.quote = std::move(*quote);
    const Json priced = offer_json(offer);
    for (const auto* name :
         {"price", "recipient", "splits", "feePayer", "unit", "suggestedDeposit"}) {
      item.set(name, *priced.find(name));
    }
  }
}

Json Findings::challenge_json(const Challenge& challenge) {
  Json opaque;
  if (const auto text = challenge.echo.optional_string_at("opaque"); text && *text) {
    const auto bytes = from_base64url(**text);
    if (auto read = bytes ? Json::parse(as_text(*bytes)) : Result<Json>(bytes.error())) {
      opaque = std::move(*read);
    }
  }
  const auto& expires = challenge.expires;
  return Json::object({{"protocol", challenge.protocol},
                       {"id", challenge.id},
                       {"realm", challenge.realm},
                       {"method", challenge.method},
                       {"intent", challenge.intent},
                       {"expires", expires ? time_json(*expires) : Json()},
                       {"expired", expires && *expires <= system_now()},
                       {"digest", Json::or_null(challenge.digest)},
                       {"description", Json::or_null(std::string_view(challenge.description))},
                       {"field", challenge.field},
                       {"opaque", std::move(opaque)},
                       {"request", challenge.request},
                       {"price", Json()}});
}

void Findings::add_challenge(const std::string& protocol, const Result<Challenge>& challenge) {
  const bool is_l402 = protocol == "l402";
  if (!challenge) return add_defect(is_l402 ? "l402" : "challenge", challenge.error());
  Json item = Json::object({{"kind", is_l402 ? "l402" : "challenge"}});
  const Json read = challenge_json(*challenge);
  if (is_l402) {
    item.set("type", "challenge").set("token", *challenge->echo.find("token"));
    item.set("price", Json());
  } else {
    for (const auto& [name, value] : *read.members()) {
      item.set(name, value);
    }
  }
  add_price(*challenge, item);
  const Json* details = challenge->request.find("methodDetails");
  const Json* invoice = details == nullptr ? nullptr : details->find("invoice");
  if (challenge->method == "lightning" && invoice != nullptr && invoice->string() != nullptr) {
    const auto from_it = lightning::read_invoice(*invoice->string());
    item.set("invoice", from_it ? invoice_json(*from_it) : Json());
  }
  add(std::move(item));
}

void Findings::add_credential(std::string_view base64url) {
  const auto credential = read_mpp_credential(base64url);
  if (!credential) return add_defect("credential", credential.error());
  Json item = Json::object({{"kind", "credential"},
                            {"protocol", "mpp"},
                            {"source", Json::or_null(std::string_view(credential->source))},
                            {"payload", credential->payload}});
  Json challenge = challenge_json(credential->challenge);
  add_price(credential->challenge, challenge);
  item.set("challenge", std::move(challenge)).set("transaction", Json());
  const auto type = credential->payload.optional_string_at("type");
  const auto bytes = credential->payload.optional_string_at("signature");
  if (type && *type == "transaction" && bytes && *bytes) {
    const auto raw = from_hex(**bytes);
    const auto read =
        raw ? tempo::read_transaction(*raw) : Result<tempo::SignedTransaction>(raw.error());
    if (read) {
      item.set("transaction", transaction_json(*read));
    } else {
      item.set("defect", read.error().message);
      if (!error_) error_ = Error{Kind::protocol, read.error().message, "", "malformed"};
    }
  }
  add(std::move(item));
}

/// "L402 <token>:<preimage>".
void Findings::add_token(std::string_view scheme, std::string_view value) {
  const std::size_t colon = value.rfind(':');
  Digest preimage{};
  if (colon == std::string_view::npos || !from_hex(value.substr(colon + 1), preimage)) {
    return add_defect("l402", {Kind::protocol, "the credential of L402 has no preimage"});
  }
  add(Json::object({{"kind", "l402"},
                    {"type", "credential"},
                    {"scheme", scheme},
                    {"token", value.substr(0, colon)},
                    {"preimage", to_hex(preimage)},
                    {"paymentHash", to_hex(sha256(preimage))}}));
}

void Findings::add_receipt(const std::string& base64url) {
  http::Head head;
  head.headers.add("Payment-Receipt", base64url);
  const auto receipt = make_mpp()->receipt(head);
  if (!receipt) return add_defect("receipt", receipt.error());
  add(Json::object({{"kind", "receipt"},
                    {"protocol", "mpp"},
                    {"method", (*receipt)->method},
                    {"reference", (*receipt)->reference},
                    {"timestamp", (*receipt)->timestamp},
                    {"receipt", (*receipt)->json}}));
}

void Findings::add_invoice(std::string_view text) {
  const auto invoice = lightning::read_invoice(text);
  if (!invoice) return add_defect("invoice", invoice.error());
  add(invoice_json(*invoice));
}

void Findings::add_transaction(std::string_view hex) {
  const auto bytes = from_hex(hex);
  const auto read =
      bytes ? tempo::read_transaction(*bytes) : Result<tempo::SignedTransaction>(bytes.error());
  if (!read) return add_defect("transaction", read.error());
  add(transaction_json(*read));
}

/// A credential or a receipt that was decoded already. False when it is neither.
bool Findings::add_json(const Json& json) {
  const std::string encoded = to_base64url(as_bytes(json.dump()));
  if (json.find("challenge") != nullptr && json.find("payload") != nullptr) {
    add_credential(encoded);
  } else if (json.find("reference") != nullptr) {
    add_receipt(encoded);
  } else {
    return false;
  }
  return true;
}

/// A credential, in whichever field it stands.
void Findings::add_field(std::string_view value) {
  const std::size_t space = value.find(' ');
  if (space == std::string_view::npos) return;
  const std::string scheme = lower(value.substr(0, space));
  const std::string_view rest = trimmed(value.substr(space));
  const bool is_word = rest.find_first_of(" \t,\"") == std::string_view::npos;
  if (scheme == "payment" && is_word) add_credential(rest);
  if ((scheme == "l402" || scheme == "lsat") && is_word) {
    add_token(scheme == "l402" ? "L402" : "LSAT", rest);
  }
}

void Findings::read_head(const http::Head& head) {
  http::Answer answer;
  answer.head = head;
  answer.head.status = 402;
  for (const auto& protocol : protocols_) {
    if (!protocol->wants_body(answer.head)) continue;
    for (const auto& challenge : protocol->read(answer)) {
      add_challenge(std::string(protocol->name()), challenge);
    }
  }
  for (const http::Header& field : head.headers) {
    if (equals_ignoring_case(field.name, "payment-receipt")) {
      add_receipt(field.value);
    } else if (!equals_ignoring_case(field.name, "www-authenticate")) {
      add_field(field.value);
    }
  }
}

/// What has no field name and no scheme in front. False when it is nothing of that kind.
bool Findings::read_alone(const std::string& text) {
  const std::string start = lower(text.substr(0, 16));
  const bool is_word = text.find_first_of(" \t\r\n") == std::string::npos;
  if (!is_word) {
    const auto json =
        text.front() == '{' ? Json::parse(text) : Result<Json>(Error{Kind::usage, ""});
    return json && add_json(*json);
  }
  if (start.starts_with("lightning:") || start.starts_with("lnbc") || start.starts_with("lntb")) {
    add_invoice(text);
    return true;
  }
  const bool is_hex = lower(text).find_first_not_of(
                          "0123456789abcdef", start.starts_with("0x") ? 2 : 0) == std::string::npos;
  const std::string type = start.substr(start.starts_with("0x") ? 2 : 0, 2);
  if (is_hex && (type == "76" || type == "78")) {
    add_transaction(text);
    return true;
  }
  const auto bytes = from_base64url(text);
  const auto json = text.front() == '{' ? Json::parse(text)
                    : bytes             ? Json::parse(as_text(*bytes))
                                        : Result<Json>(bytes.error());
  return json && add_json(*json);
}

void Findings::read(const std::string& text) {
  if (read_alone(text)) return;
  if (has_field_names(text)) return read_head(given_head(text, ""));
  http::Head challenges;
  for (const http::Header& line : given_head(text, "line").headers) {
    const std::size_t before = items_.size();
    add_field(line.value);
    if (items_.size() == before) challenges.headers.add("WWW-Authenticate", line.value);
  }
  read_head(challenges);
}

/// The first of what was found, with the others in "more".
Json Findings::json() && {
  Json json = envelope();
  for (auto& [name, value] : *items_.front().members()) {
    json.set(name, value);
  }
  Json more = Json::array();
  for (std::size_t i = 1; i < items_.size(); ++i) {
    more.push(std::move(items_[i]));
  }
  return json.set("more", std::move(more)).set("error", error_ ? error_json(*error_) : Json());
}

class DecodeCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Decoding").positional("text", given_, "the text, @FILE, or stdin");
  }

  Result<int> run(const Globals& /*globals*/) override {
    const auto text = read_given(given_);
    if (!text) return text.error();
    Findings findings;
    findings.read(*text);
    if (findings.empty()) {
      return Error{
          Kind::usage, "nothing in it is about a payment",
          "give a challenge, credential, receipt, invoice or transaction, or a whole head"};
    }
    const auto error = findings.error();
    if (auto printed = print_json(std::move(findings).json()); !printed) return printed.error();
    if (!error) return 0;
    say_error(*error);
    return error->exit_status();
  }

 private:
  std::string given_;
};

}  // namespace

std::unique_ptr<Command> make_decode() {
  return std::make_unique<DecodeCommand>();
}

}  // namespace paycurl
