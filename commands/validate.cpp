// paycurl validate: is this server a correct MPP server?
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "commands/check_report.h"
#include "commands/closing.h"
#include "commands/json.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/request_options.h"
#include "commands/signals.h"
#include "commands/wallet.h"
#include "src/base/text.h"
#include "src/validation/payment.h"
#include "src/validation/service.h"

namespace paycurl {
namespace {

using validation::Asked;
using validation::Endpoint;
using validation::Probe;

/// Keeps what a paid answer begins with.
class Listener : public Audience {
 public:
  explicit Listener(bool verbose) : verbose_(verbose) {}

  Result<> prepare() override { return {}; }
  Result<> head(const http::Head& head, HeadRole role) override {
    if (role == HeadRole::answer) answer_ = head;
    return {};
  }
  Result<> body(std::string_view bytes) override {
    constexpr std::size_t kMost = 4096;
    body_ += bytes.substr(0, kMost - std::min(kMost, body_.size()));
    return {};
  }
  bool start_over() override {
    body_.clear();
    return true;
  }
  Result<> message(std::string_view data) override { return body(data); }
  void offers(const std::vector<Offer>& /*offers*/, const Offer* /*chosen*/) override {}
  void hide(const std::string& secret) override { hide_from_stderr(secret); }
  void paying(const Row& row) override {
    if (verbose_) say("$ paying " + describe(row.paid) + ", payment " + row.id);
  }
  void receipt(const Receipt& /*receipt*/) override {}
  void payment_event(std::string_view /*name*/, const Json& /*data*/) override {}
  void note(const std::string& sentence) override {
    if (verbose_) say_note(sentence);
  }

  const std::optional<http::Head>& answer() const { return answer_; }
  const std::string& body_start() const { return body_; }

 private:
  bool verbose_;
  std::optional<http::Head> answer_;
  std::string body_;
};

/// Where a report goes: "junit=report.xml"; without a file to stdout.
struct Wanted {
  std::string format, file;
  int descriptor = -1;
};

/// "POST:/v1/chat", or only a path.
struct EndpointOption {
  std::string method, path;
};
Result<EndpointOption> parse_endpoint(const std::string& text) {
  const std::size_t colon = text.find(':');
  const bool has_method = colon != std::string::npos && text.find('/') > colon;
  EndpointOption endpoint{has_method ? text.substr(0, colon) : "GET",
                          has_method ? text.substr(colon + 1) : text};
  for (char& c : endpoint.method) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (!endpoint.path.starts_with('/')) endpoint.path.insert(0, "/");
  if (endpoint.method.empty() || !http::is_token(endpoint.method) || endpoint.path == "/:") {
    return Error{Kind::usage, "not an endpoint: " + printable(text, 80),
                 "write METHOD:/path, for example -e POST:/v1/chat"};
  }
  return endpoint;
}

/// The body for one path: of an object whose keys are all paths, the member of that path.
std::string body_for(const std::string& given, const std::string& path) {
  const auto json = Json::parse(given, 1 << 20);
  const auto* members = json ? json->members() : nullptr;
  const bool by_path =
      members != nullptr && !members->empty() &&
      std::all_of(members->begin(), members->end(),
                  [](const Json::Member& member) { return member.first.starts_with('/'); });
  if (!by_path) return given;
  const Json* value = json->find(path);
  if (value == nullptr) return "";
  return value->string() != nullptr ? *value->string() : value->dump();
}

class ValidateCommand : public Command {
 public:
  void declare(OptionSet& set) override;
  Result<int> run(const Globals& globals) override;

 private:
  Result<> set_up(const Globals& globals);
  Result<std::vector<Wanted>> wanted_reports(const Globals& globals) const;
  Result<http::Request> plain_request() const;
  Result<> validate(const Globals& globals);
  Result<std::vector<Endpoint>> find_endpoints(const Probe& probe);
  Result<Endpoint> endpoint_at(const std::string& url, const std::string& method,
                               const std::string& path);
  Result<> endpoints_of(const validation::Published& published, std::vector<Endpoint>& endpoints);
  void pay_offers(const Globals& globals, const Probe& probe, const Endpoint& endpoint,
                  const Asked& asked);
  Result<> pay_offer(const Globals& globals, const Probe& probe, const Asked& asked,
                     std::size_t number);
  Flow make_flow(const Globals& globals, http::Client& client, Audience& audience,
                 const std::string& origin, std::size_t number);
  void judge(const Outcome& outcome, std::size_t number, bool was_taken);
  Result<Settlement> settlement_of(const Row& row);
  void close_sessions();
  int finish(const Globals& globals, const std::vector<Wanted>& reports);

  OptionSet* set_ = nullptr;
  std::string url_, body_, fail_on_ = "error";
  std::vector<std::string> endpoints_, queries_, reports_;
  bool pay_ = false;
  RequestOptions options_;
  Limits limits_;
  Network network_;
  std::unique_ptr<Wallet> wallet_;
  validation::Report report_;
  std::vector<Money> paid_;
  std::vector<Channel> used_;
  std::optional<Error> error_;  // why something was not validated
};

void ValidateCommand::declare(OptionSet& set) {
  set_ = &set;
  options_.pay = false;
  set.in("Validation")
      .positional("url", url_, "the service")
      .list("-e,--endpoint", endpoints_, "METHOD:PATH", "check this endpoint, not the document's")
      .value("--body", body_, "JSON", "the body of requests; an object of paths has one for each")
      .list("--query", queries_, "NAME=VALUE", "add this to the query of every request")
      .flag("--pay", pay_, "pay each offer once, inside the limits, and check what comes of it")
      .list("--report", reports_, "FORMAT[=FILE]",
            "write a report: human, json, junit, tap or github")
      .value("--fail-on", fail_on_, "SEVERITY", "exit 104 on: error, or warning too");
  // The groups are those of a request: what config files say of these options holds here too.
  set.in("Common")
      .list("-H,--header", options_.headers, "LINE", "send a header field: 'Name: value'")
      .value("-m,--max-time", options_.max_time, "SECONDS", "limit each exchange (30)")
      .value("-a,--account", options_.account, "NAME", "pay from this account");
  set.in("Connection")
      .flag("-k,--insecure", options_.insecure, "do not verify TLS certificates; nothing is paid")
      .value("--cacert", options_.cacert, "FILE", "trust the certificates in this file")
      .value("-x,--proxy", options_.proxy, "URL", "use this proxy")
      .value("--connect-timeout", options_.connect_timeout, "SECONDS", "limit connecting (10)");
  set.in("Payment")
      .list("--max-spend", options_.max_spend, "LIMIT", "at most that much in all (1.00)")
      .list("--max-deposit", options_.max_deposit, "LIMIT",
            "at most that much in the escrow of a channel")
      .value("--max-fee", options_.max_fee, "LIMIT", "at most that much network fee for a payment")
      .list("--token", options_.tokens, "ADDRESS:DECIMALS[:SYMBOL]", "a token not known to paycurl")
      .flag("--allow-http", options_.allow_http, "pay over plain http");
  set.in("Choosing an offer")
      .value("--method", options_.methods, "NAME[,NAME]", "pay only with these methods")
      .value("--intent", options_.intent, "NAME", "pay only offers of this kind")
      .value("--currency", options_.currency, "TOKEN", "pay only offers in this token")
      .value("--network", options_.network, "NAME", "mainnet, testnet or a chain id")
      .value("--rpc-url", options_.rpc_url, "URL", "the chain's node to ask");
  set.in("Who pays")
      .value("--key-fd", options_.key_fd, "N", "read the private key from this descriptor")
      .value("--key-file", options_.key_file, "FILE", "use this encrypted key file")
      .value("--password-fd", options_.password_fd, "N", "read its password from this descriptor")
      .value("--password-file", options_.password_file, "FILE", "read its password from this file")
      .value("--wallet-fd", options_.wallet_fd, "N",
             "read a Lightning wallet's connection from this descriptor");
}

Result<> ValidateCommand::set_up(const Globals& globals) {
  if (url_.empty()) return Error{Kind::usage, "no URL", "paycurl validate URL"};
  if (fail_on_ != "error" && fail_on_ != "warning") {
    return Error{Kind::usage, "--fail-on: not a severity: " + printable(fail_on_, 40),
                 "error and warning are"};
  }
  options_.urls = {url_};
  if (!options_.max_time) options_.max_time = 30;
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

/// What goes to stdout is last.
Result<std::vector<Wanted>> ValidateCommand::wanted_reports(const Globals& globals) const {
  std::vector<Wanted> files;
  std::vector<Wanted> shown;
  if (globals.format != "text") shown.push_back({globals.format, ""});
  for (const std::string& text : reports_) {
    const std::size_t equals = std::min(text.find('='), text.size());
    Wanted wanted{text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))};
    if (!is_report_format(wanted.format) || (equals < text.size() && wanted.file.empty())) {
      return Error{Kind::usage, "--report: not a report: " + printable(text, 80),
                   "write FORMAT or FORMAT=FILE; human, json, junit, tap and github are formats"};
    }
    if (wanted.file == "-") wanted.file.clear();
    (wanted.file.empty() ? shown : files).push_back(std::move(wanted));
  }
  if (shown.size() > 1) {
    return Error{Kind::usage, "two reports for standard output", "give one a file: FORMAT=FILE"};
  }
  if (shown.empty()) shown.push_back({"human", ""});
  files.push_back(std::move(shown.front()));
  return files;
}

/// Before anything is paid, and without losing what was in them.
Result<> open_files(std::vector<Wanted>& reports) {
  for (Wanted& wanted : reports) {
    if (wanted.file.empty()) continue;
    wanted.descriptor = ::open(wanted.file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (wanted.descriptor < 0) {
      return http::transport_error(
          23, "cannot write " + printable(wanted.file) + ": " + std::strerror(errno));
    }
  }
  return {};
}

Result<> write_report(const Wanted& wanted, const std::string& text) {
  if (wanted.descriptor < 0) return print(text);
  (void)!::ftruncate(wanted.descriptor, 0);  // nothing to truncate in a pipe
  auto written = write_all(wanted.descriptor, text);
  ::close(wanted.descriptor);
  return written;
}

Result<http::Request> ValidateCommand::plain_request() const {
  const auto prepared = prepare_request(options_, url_, {});
  if (!prepared) return prepared.error();
  if (prepared->request.url.websocket) {
    return Error{Kind::usage, "validate asks over http and https"};
  }
  return prepared->request;
}

Result<int> ValidateCommand::run(const Globals& globals) {
  auto reports = wanted_reports(globals);
  if (!reports) return reports.error();
  if (auto ready = set_up(globals); !ready) return ready.error();
  if (auto opened = open_files(*reports); !opened) return opened.error();
  if (auto done = validate(globals); !done) {
    error_ = done.error();
  }
  close_sessions();
  return finish(globals, *reports);
}

Result<> ValidateCommand::validate(const Globals& globals) {
  validation::Prober prober(*network_.client);
  const auto methods = network_.method_list();
  const Protocol* mpp = network_.protocol_list().front();
  for (const Protocol* protocol : network_.protocol_list()) {
    if (protocol->name() == "mpp") mpp = protocol;
  }
  const Probe probe{prober, *mpp, methods, &system_now};
  auto endpoints = find_endpoints(probe);
  if (!endpoints) return endpoints.error();
  std::size_t asking = 0;
  for (const Endpoint& endpoint : *endpoints) {
    report_.about(endpoint.name);
    auto asked = check_challenges(probe, endpoint, report_);
    if (prober.interruption()) return *prober.interruption();
    if (!asked && endpoints->size() == 1) return asked.error();
    if (!asked) {
      report_.fault("challenge.status", "402", asked.error().message);
      continue;
    }
    if (!*asked) continue;
    ++asking;
    check_errors(probe, **asked, report_);
    if (prober.interruption()) return *prober.interruption();
    if (pay_) pay_offers(globals, probe, endpoint, **asked);
    if (const auto signal = caught_signal()) return Error{*signal, "stopped by a signal"};
  }
  // An endpoint that was meant to ask for payment has a finding of its own.
  if (asking == 0 && report_.count(validation::Status::fail) == 0) {
    report_.about("*");
    report_.fault("endpoints.found", "at least one", "none; name them with -e METHOD:/path");
  }
  return {};
}

Result<Endpoint> ValidateCommand::endpoint_at(const std::string& url, const std::string& method,
                                              const std::string& path) {
  auto base = plain_request();
  if (!base) return base.error();
  auto parsed = http::parse_url(url);
  if (!parsed) return parsed.error();
  Endpoint endpoint;
  endpoint.name = method + " " + path;
  endpoint.request = std::move(*base);
  endpoint.request.method = method;
  for (const std::string& query : queries_) {
    parsed = http::with_query(*parsed, query);
    if (!parsed) return parsed.error();
  }
  endpoint.request.url = std::move(*parsed);
  const std::string body = body_.empty() ? "" : body_for(body_, path);
  if (!body.empty()) {
    endpoint.request.body = std::make_shared<const http::Body>(body);
    add_default(endpoint.request, "Content-Type", "application/json");
  }
  return endpoint;
}

/// The operations of a document: the cheapest first. When the URL names one, only that one, and
/// when it is neither one of them nor the service's, the URL itself.
Result<> ValidateCommand::endpoints_of(const validation::Published& published,
                                       std::vector<Endpoint>& endpoints) {
  std::vector<discovery::Operation> operations = published.document.operations;
  const auto price = [](const discovery::Operation& operation) {
    std::optional<Amount> least;
    for (const discovery::Offer& offer : operation.offers) {
      const auto amount = offer.amount ? Amount::parse(*offer.amount) : std::nullopt;
      if (amount && (!least || *amount < *least)) least = amount;
    }
    return least;
  };
  std::stable_sort(operations.begin(), operations.end(), [&](const auto& one, const auto& other) {
    const auto a = price(one);
    const auto b = price(other);
    return a && (!b || *a < *b);
  });
  auto own = http::parse_url(url_);
  if (!own) return own.error();
  const std::string asked = own->text.substr(0, own->text.find('?'));
  const auto is_named = [&](const discovery::Operation& operation) {
    return !operation.url_path.empty() && published.base + operation.url_path == asked;
  };
  const bool is_service = asked == published.base || asked == published.base + "/" ||
                          asked == own->origin() || asked == own->origin() + "/" ||
                          asked.ends_with("/openapi.json");
  if (std::any_of(operations.begin(), operations.end(), is_named)) {
    std::erase_if(operations, [&](const auto& operation) { return !is_named(operation); });
  } else if (!is_service) {
    auto endpoint = endpoint_at(own->text, body_.empty() ? "GET" : "POST", own->path);
    if (!endpoint) return endpoint.error();
    endpoints.push_back(std::move(*endpoint));
    return {};
  }
  for (discovery::Operation& operation : operations) {
    report_.about(operation.method + " " + operation.path);
    if (operation.url_path.empty()) {
      report_.skip("challenge.status", "a parameter of its path has no example");
      continue;
    }
    auto endpoint =
        endpoint_at(published.base + operation.url_path, operation.method, operation.path);
    if (!endpoint) {
      report_.skip("challenge.status", endpoint.error().message);
      continue;
    }
    endpoint->offers = std::move(operation.offers);
    endpoint->spare_body = operation.body.value_or("");
    endpoints.push_back(std::move(*endpoint));
  }
  return {};
}

/// Those of -e; else those of the discovery document; else the URL itself.
Result<std::vector<Endpoint>> ValidateCommand::find_endpoints(const Probe& probe) {
  auto request = plain_request();
  if (!request) return request.error();
  std::vector<Endpoint> endpoints;
  std::string base = request->url.text.substr(0, request->url.text.find('?'));
  while (base.ends_with('/')) {
    base.pop_back();
  }
  for (const std::string& text : endpoints_) {
    const auto option = parse_endpoint(text);
    if (!option) return option.error();
    auto endpoint = endpoint_at(base + option->path, option->method, option->path);
    if (!endpoint) return endpoint.error();
    endpoints.push_back(std::move(*endpoint));
  }
  if (!endpoints.empty()) return endpoints;
  const auto published = check_discovery(probe.prober, *request, report_);
  if (!published) return published.error();
  const bool is_origin = base == request->url.origin() || base.ends_with("/openapi.json");
  if (*published && !(*published)->document.operations.empty()) {
    if (auto taken = endpoints_of(**published, endpoints); !taken) return taken.error();
    return endpoints;
  }
  if (*published && is_origin) return endpoints;  // which says that there are none
  auto endpoint = endpoint_at(request->url.text, body_.empty() ? "GET" : "POST", request->url.path);
  if (!endpoint) return endpoint.error();
  endpoints.push_back(std::move(*endpoint));
  return endpoints;
}

// ---- paying

void ValidateCommand::pay_offers(const Globals& globals, const Probe& probe,
                                 const Endpoint& endpoint, const Asked& asked) {
  for (std::size_t i = 0; i < asked.challenges.size(); ++i) {
    if (!asked.challenges[i]) continue;
    const Challenge& challenge = *asked.challenges[i];
    report_.about(validation::offer_name(endpoint.name, i + 1, asked.challenges.size(), challenge));
    const auto done = pay_offer(globals, probe, asked, i + 1);
    if (!done) error_ = done.error();
    if (caught_signal()) return;
  }
}

Flow ValidateCommand::make_flow(const Globals& globals, http::Client& client, Audience& audience,
                                const std::string& origin, std::size_t number) {
  FlowOptions flow;
  flow.preference = preference_of(options_, globals.settings);
  flow.preference.protocol = "mpp";
  flow.preference.number = number;
  flow.unverified_tls = options_.insecure;
  flow.spool = false;
  flow.session = session_choice_of(options_);
  flow.must_charge = true;
  flow.paid_deadlines = paid_deadlines_of(options_);
  FlowParts parts{client,
                  network_.protocol_list(),
                  network_.method_list(),
                  limits_,
                  wallet_->signed_so_far(),
                  [this] { return wallet_->known_channels(); },
                  nullptr,
                  [this, origin](const std::string& method) {
                    return wallet_->spender(payer_of(options_, limits_, origin), limits_, method);
                  },
                  [this, origin](const std::string& method) -> Result<bool> {
                    return wallet_->has_payer(payer_of(options_, limits_, origin), method);
                  },
                  [](const Offer& /*offer*/, const Payer& /*payer*/) -> Result<> {
                    if (const auto signal = caught_signal()) {
                      return Error{*signal, "stopped by a signal"};
                    }
                    return {};
                  },
                  globals.settings.state_folder,
                  audience,
                  &system_now};
  return Flow(std::move(parts), std::move(flow));
}

Result<Settlement> ValidateCommand::settlement_of(const Row& row) {
  const auto spender =
      wallet_->spender(payer_of(options_, limits_, row.origin), limits_, row.method);
  if (!spender) return spender.error();
  for (const auto& method : network_.methods) {
    if (method->name() == row.method) return method->settle(row, **spender, *network_.client);
  }
  return Error{Kind::internal, "no such method"};
}

/// What a Flow that brought no paid answer says about the server, or about this side.
void ValidateCommand::judge(const Outcome& outcome, std::size_t number, bool was_taken) {
  if (was_taken) {
    return report_.skip("payment.accepted", "an altered credential had been taken for the payment");
  }
  if (!outcome.error) {
    return report_.fault("payment.accepted", "200", "an answer without payment");
  }
  const Error& error = *outcome.error;
  const std::string said = outcome.problem ? " (" + outcome.problem->text() + ")" : "";
  const bool left = outcome.row.has_value() && outcome.payment != PaymentStatus::not_sent;
  if (left) {
    report_.fault("payment.accepted", "200", error.message + said);
    if (error.kind == Kind::outcome_unknown || error.kind == Kind::interrupted ||
        error.kind == Kind::terminated || error.kind == Kind::insufficient_funds) {
      error_ = error;
    }
    return;
  }
  if (error.kind == Kind::protocol) {
    return report_.skip("payment.accepted", "the offer cannot be paid: " + error.message);
  }
  std::string why = error.message;
  for (const Offer& offer : outcome.offers) {
    if (offer.number == number && offer.refusal) why = offer.refusal->text;
  }
  report_.skip("payment.accepted", why);
  // What cannot be paid by anybody's paycurl is no failure of this run.
  if (error.kind != Kind::unsupported) error_ = error;
}

Result<> ValidateCommand::pay_offer(const Globals& globals, const Probe& probe, const Asked& asked,
                                    std::size_t number) {
  const Challenge& challenge = *asked.challenges[number - 1];
  validation::Tampering client(*network_.client, probe, report_);
  Listener audience(globals.verbosity > 0);
  http::Request request = asked.request;
  Flow flow = make_flow(globals, client, audience, request.url.origin(), number);
  const Outcome outcome = flow.run(std::move(request));
  if (outcome.row && outcome.payment == PaymentStatus::settled) {
    add_money(paid_, outcome.row->paid);
  }
  if (outcome.channel && outcome.channel->status == ChannelStatus::open) {
    std::erase_if(used_, [&](const Channel& other) { return other.id == outcome.channel->id; });
    used_.push_back(*outcome.channel);
  }
  const bool has_answer = outcome.row && audience.answer() && client.paid_request();
  if (outcome.error || !has_answer || client.was_taken()) {
    judge(outcome, number, client.was_taken());
    return {};
  }
  Settlement found;
  if (outcome.row->intent == "charge" && !outcome.row->paid.amount.is_zero()) {
    const auto settlement = settlement_of(*outcome.row);
    if (settlement) {
      found = *settlement;
    } else {
      found.why = settlement.error();
    }
  }
  check_paid_answer(probe, {outcome, *audience.answer(), audience.body_start(), challenge}, found,
                    report_);
  if (outcome.row->intent == "charge") {
    check_replay(probe, *client.paid_request(), asked, report_);
  }
  return {};
}

/// What was deposited comes back.
void ValidateCommand::close_sessions() {
  ClosePlan plan;
  plan.patience = session_choice_of(options_).patience;
  plan.unverified_tls = options_.insecure;
  plan.deadlines = paid_deadlines_of(options_);
  for (const Channel& channel : used_) {
    report_.about(channel.origin + " " + shortened(channel.id));
    plan.allow_http = allows_http(limits_.files, channel.origin, options_.allow_http);
    const auto spender =
        wallet_->spender_of({channel.account, channel.payer}, limits_, channel.method);
    if (!spender) {
      error_ = spender.error();
      continue;
    }
    const Closed closed = close_channel(channel, plan, network_, **spender);
    report_.check("payment.close", !closed.error && closed.status == "closed",
                  "a channel that is closed", closed.error ? closed.error->message : closed.status);
  }
}

// ---- reporting

int ValidateCommand::finish(const Globals& globals, const std::vector<Wanted>& reports) {
  Findings findings{url_,
                    report_.checks(),
                    paid_,
                    error_,
                    fail_on_ == "warning",
                    globals.verbosity > 0,
                    may_color(globals) && is_terminal(STDOUT_FILENO)};
  int status = findings.has_findings() ? static_cast<int>(Kind::protocol) : 0;
  if (error_) {
    say_error(*error_);
    status = status == 0 ? error_->exit_status() : graver(status, error_->exit_status());
  }
  for (const Wanted& wanted : reports) {
    const auto written = write_report(wanted, report_text(findings, wanted.format));
    if (written) continue;
    say_error(written.error());
    const bool has_paid = !paid_.empty() && status == 0;  // below 100 no money moved
    status = has_paid ? static_cast<int>(Kind::not_delivered)
                      : graver(status, written.error().exit_status());
  }
  return status;
}

}  // namespace

std::unique_ptr<Command> make_validate() {
  return std::make_unique<ValidateCommand>();
}

}  // namespace paycurl
