// paycurl sign: pays a challenge that somebody else received and prints the credential.
#include <algorithm>

#include "commands/audience.h"
#include "commands/given.h"
#include "commands/json.h"
#include "commands/network.h"
#include "commands/offers.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/wallet.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

/// The server that a realm names, when it is a host, or an origin.
std::optional<http::Url> server_of(const std::string& realm) {
  constexpr std::string_view kHost =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]/";
  if (realm.find_first_not_of(kHost) != std::string::npos) return std::nullopt;
  auto url = http::parse_url(realm);
  if (!url || url->path != "/" || url->websocket || !url->userinfo.empty()) return std::nullopt;
  const bool is_host = url->host.find('.') != std::string::npos || url->is_loopback();
  return is_host ? std::optional(std::move(*url)) : std::nullopt;
}

class SignCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    RequestOptions& o = options_;
    set.in("Signing")
        .positional("challenge", given_, "the challenge: text, @FILE, or stdin")
        .value("--url", url_, "URL", "what was asked for; without it the realm names the server");
    set.in("Payment")
        .flag("--dry-run", o.dry_run, "do everything up to the signature")
        .list("--max-spend", o.max_spend, "LIMIT", "at most that much: 0.05, 5:TOKEN (1.00)")
        .value("--max-fee", o.max_fee, "LIMIT", "at most that much network fee (0.02)")
        .flag("--confirm", o.confirm, "ask on the terminal before paying")
        .flag("--yes", o.yes, "do not ask")
        .value("--expect-amount", o.expect_amount, "X", "pay only this price: 0.01 or '<=0.01'")
        .value("--expect-recipient", o.expect_recipient, "ADDRESS", "pay only to this address")
        .value("--expect-currency", o.expect_currency, "TOKEN", "pay only in this token")
        .list("--token", o.tokens, "ADDRESS:DECIMALS[:SYMBOL]",
              "a token that paycurl does not know")
        .flag("--allow-http", o.allow_http, "pay for a request over plain http");
    declare_offer_options(set, o);
    declare_payer_options(set, o);
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<> set_up(const Globals& globals);
  Result<http::Answer> read_challenges() const;
  Result<http::Url> asked_url(const http::Answer& answer) const;
  Outcome sign(const Globals& globals, const http::Answer& answer);
  Result<> show(const Globals& globals, const Outcome& outcome) const;
  Result<> show_plan(const Globals& globals, const http::Url& url, const Outcome& outcome);
  void tell(const Globals& globals, const Outcome& outcome) const;

  std::string given_, url_;
  RequestOptions options_;
  Limits limits_;
  Network network_;
  std::unique_ptr<Wallet> wallet_;
};

Result<> SignCommand::set_up(const Globals& globals) {
  options_.urls = {url_};
  if (auto fine = check_request_options(options_, globals); !fine) return fine;
  auto limits = limits_of(options_, globals.settings);
  if (!limits) return limits.error();
  limits_ = std::move(*limits);
  auto network = make_network(globals, options_);
  if (!network) return network.error();
  network_ = std::move(*network);
  wallet_ = std::make_unique<Wallet>(globals,
                                     PasswordChoice{options_.password_fd, options_.password_file});
  return {};
}

/// What was given, as the answer that it came in.
Result<http::Answer> SignCommand::read_challenges() const {
  auto text = read_given(given_);
  if (!text) return std::move(text).error().within("the challenge");
  http::Answer answer;
  answer.head.status = 402;
  for (const std::string& value :
       given_head(*text, "WWW-Authenticate").headers.values("www-authenticate")) {
    answer.head.headers.add("WWW-Authenticate", value);
  }
  if (answer.head.headers.empty()) {
    return Error{Kind::usage, "there is no WWW-Authenticate in it",
                 "give the head of a 402 answer, or that field"};
  }
  auto url = asked_url(answer);
  if (!url) return url.error();
  answer.url = std::move(*url);
  return answer;
}

Result<http::Url> SignCommand::asked_url(const http::Answer& answer) const {
  if (!url_.empty()) {
    auto url = http::parse_url(url_);
    if (!url || !url->websocket) return url;
    return Error{Kind::unsupported, "a WebSocket is paid for by a session, which cannot be signed",
                 "make the connection with paycurl " + printable(url_), "excluded"};
  }
  const bool has_hosts = std::any_of(limits_.files.begin(), limits_.files.end(),
                                     [](const RuleFile& file) { return !file.hosts.empty(); });
  if (has_hosts) {
    return Error{Kind::usage, "the config has rules for hosts, and a realm proves no host",
                 "name what was asked for with --url URL"};
  }
  std::optional<http::Url> found;
  for (const Protocol* protocol : network_.protocol_list()) {
    for (const auto& challenge : protocol->read(answer)) {
      if (!challenge) continue;
      auto url = server_of(challenge->realm);
      const bool agrees = url && (!found || found->origin() == url->origin());
      if (!agrees) {
        return Error{Kind::usage, "the challenge does not tell which server it is from",
                     "name what was asked for with --url URL"};
      }
      found = std::move(url);
    }
  }
  // Of what cannot be read the flow says more.
  return found ? Result<http::Url>(std::move(*found)) : http::parse_url("https://server.invalid");
}

Outcome SignCommand::sign(const Globals& globals, const http::Answer& answer) {
  RequestAudience audience(globals, {});
  FlowOptions flow;
  flow.preference = preference_of(options_, globals.settings);
  flow.preference.only_charges = true;
  flow.stop_at_offers = options_.dry_run;
  flow.spool = false;
  const std::string origin = answer.url.origin();
  FlowParts parts{*network_.client,
                  network_.protocol_list(),
                  network_.method_list(),
                  limits_,
                  {},
                  {},
                  nullptr,
                  [this, origin](const std::string& method) {
                    return wallet_->spender(payer_of(options_, limits_, origin), limits_, method);
                  },
                  [this, origin](const std::string& method) {
                    return wallet_->has_payer(payer_of(options_, limits_, origin), method);
                  },
                  [this, &globals](const Offer& offer, const Payer& payer) {
                    return confirm_payment(globals, options_, offer, payer, limits_);
                  },
                  globals.settings.state_folder,
                  audience,
                  &system_now};
  Outcome outcome = Flow(std::move(parts), std::move(flow)).sign(answer);
  const Kind kind = outcome.error ? outcome.error->kind : Kind::internal;
  if (outcome.chosen == 0 && (kind == Kind::unsupported || kind == Kind::protocol)) {
    const bool by_session = std::any_of(
        outcome.offers.begin(), outcome.offers.end(),
        [](const Offer& offer) { return offer.challenge && offer.challenge->intent == "session"; });
    outcome.error->hint = by_session ? "make the request with paycurl, which can have sessions"
                                     : "see what it says with paycurl decode";
  }
  return outcome;
}

/// Who gets the credential has to send it in the field that the server named.
void SignCommand::tell(const Globals& globals, const Outcome& outcome) const {
  if (outcome.error) say_error(*outcome.error);
  if (!outcome.credential || globals.silent) return;
  const std::string& field = outcome.credential->name;
  if (!globals.json && !equals_ignoring_case(field, "authorization")) {
    say_note("the server wants it in the field " + printable(field, 64));
  }
  if (!is_terminal(STDERR_FILENO)) return;
  const Row& row = *outcome.row;
  say(bold(globals, "signed " + describe(row.paid)) + " to " + shortened(row.recipient) + " · " +
      row.method + "/" + row.intent + " · payment " + row.id);
}

Result<> SignCommand::show(const Globals& globals, const Outcome& outcome) const {
  const auto& credential = outcome.credential;
  if (!globals.json) return credential ? print(credential->value + "\n") : Result<>();
  Json json = envelope();
  json.set("authorization", credential ? Json(credential->value) : Json());
  json.set("field", credential ? Json(credential->name) : Json());
  json.set("payment", outcome.row ? payment_json(*outcome.row, system_now()) : Json());
  json.set("error", outcome.error ? error_json(*outcome.error, &outcome) : Json());
  return print_json(json);
}

Result<> SignCommand::show_plan(const Globals& globals, const http::Url& url,
                                const Outcome& outcome) {
  http::Request request;
  request.method = "sign";
  request.url = url;
  Json json = inspect_json(request, outcome);
  json.set("status", 402).set("quote", Json());
  std::optional<Error> failure = outcome.error;
  if (const Offer* chosen = chosen_offer(outcome); chosen != nullptr && !failure) {
    const auto payer =
        wallet_->payer(payer_of(options_, limits_, url.origin()), chosen->method->name());
    http::Client* client = options_.offline ? nullptr : network_.client.get();
    auto quote =
        payer ? quote_json({*chosen, **payer, limits_, {}, client}) : Result<Json>(payer.error());
    if (quote) {
      json.set("quote", std::move(*quote));
    } else {
      failure = quote.error();
      json.set("error", error_json(*failure));
    }
  }
  const std::string text =
      describe_offers(outcome.offers, outcome.chosen) + describe_quote(*json.find("quote"));
  if (auto printed = globals.json ? print_json(json) : print(text); !printed) return printed;
  return failure ? Result<>(*failure) : Result<>();
}

Result<int> SignCommand::run(const Globals& globals) {
  if (auto ready = set_up(globals); !ready) return ready.error();
  const auto answer = read_challenges();
  if (!answer) return answer.error();
  const Outcome outcome = sign(globals, *answer);
  if (options_.dry_run) {
    const auto shown = show_plan(globals, answer->url, outcome);
    if (shown) return 0;
    say_error(shown.error());
    return shown.error().exit_status();
  }
  tell(globals, outcome);
  if (const auto shown = show(globals, outcome); !shown) {
    Error error = shown.error();
    if (outcome.row && outcome.row->status == PaymentStatus::unknown) {
      error.kind = Kind::outcome_unknown;
      error.hint = "it was signed; the same command gives it again: payment " + outcome.row->id;
    }
    say_error(error);
    return error.exit_status();
  }
  return outcome.error ? outcome.error->exit_status() : 0;
}

}  // namespace

std::unique_ptr<Command> make_sign() {
  return std::make_unique<SignCommand>();
}

}  // namespace paycurl
