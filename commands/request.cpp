// paycurl [request] <url>...: makes requests, pays when asked to.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "commands/audience.h"
#include "commands/closing.h"
#include "commands/json.h"
#include "commands/network.h"
#include "commands/offers.h"
#include "commands/once.h"
#include "commands/output.h"
#include "commands/parallel.h"
#include "commands/prompt.h"
#include "commands/request_lines.h"
#include "commands/request_options.h"
#include "commands/signals.h"
#include "commands/turns.h"
#include "commands/wallet.h"
#include "commands/write_out.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

bool is_paid(const Outcome& outcome) {
  return outcome.row && outcome.payment == PaymentStatus::settled;
}

/// Whether a credential left: then -s hides nothing.
bool is_committed(const Outcome& outcome) {
  return outcome.row && outcome.payment != PaymentStatus::not_sent;
}

bool is_valid_utf8(const std::string& text) {
  return valid_utf8(text) == text;
}

/// With a credential of the user's own we pay nothing.
bool is_credential(const std::string& authorization) {
  return authorization.starts_with("payment ") || authorization.starts_with("l402 ") ||
         authorization.starts_with("lsat ");
}

bool brings_credential(const http::Request& request) {
  const std::string* authorization = request.headers.find("authorization");
  return authorization != nullptr && is_credential(lower(*authorization));
}

class RequestCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set_ = &set;
    declare_request_options(set, options_);
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<> set_up(const Globals& globals);
  Result<> set_up_services(const Globals& globals);
  Result<> open_input();
  Result<std::optional<Job>> next_job();
  Result<> take_line(const Job& job);
  int run_in_order(const Globals& globals);
  Result<int> run_side_by_side(const Globals& globals);
  Result<> keep_secrets();
  void become_worker_of(const Globals& globals);
  int report_orphans(const Globals& globals, const std::vector<Job>& orphans);
  int run_job(const Globals& globals, const Job& job);
  int run_one(const Globals& globals, const Job& job, const PreparedBody& body);
  OnceOutcome make_request(const Globals& globals, const PreparedRequest& prepared,
                           RequestAudience& audience);
  int report(const Globals& globals, const Error& error, std::int64_t line) const;
  std::vector<Money> total();
  Flow make_flow(const Globals& globals, RequestAudience& audience, RedirectRules redirects,
                 const Row* resumed = nullptr);
  bool takes_remote_name(std::size_t index) const;
  Destination destination_of(const Globals& globals, std::size_t index,
                             const std::string& file_name) const;
  Result<> check_increase(const http::Request& request, const Offer& offer);
  void add_accept_payment(http::Request& request) const;
  void add_up(const Outcome& outcome, bool again);
  void check_afterwards(Outcome& outcome) const;
  int close_sessions(const Globals& globals);
  struct SessionPlan {
    std::string session;  ///< "open", "voucher", "topUp"; empty: a charge
    std::optional<Money> deposit;
  };
  SessionPlan session_plan(const Offer& offer, const std::string& payer);
  Result<Json> quote_of(const http::Request& request, const Outcome& outcome);
  Result<> show(const Globals& globals, const http::Request& request, const Outcome& outcome,
                const RequestAudience& audience, const std::string& file);
  Result<> show_offers(const Globals& globals, const http::Request& request,
                       const Outcome& outcome);
  Json envelope_of(const http::Request& request, const Outcome& outcome,
                   const RequestAudience& audience, const std::string& file);
  void tell(const Globals& globals, const Outcome& outcome) const;
  Result<> write_variables(const std::string& url, const http::Request& request,
                           const Outcome& outcome, std::size_t index, const std::string& file);

  OptionSet* set_ = nullptr;
  RequestOptions options_;
  Limits limits_;
  Preference preference_;
  Network network_;
  std::unique_ptr<Wallet> wallet_;
  std::unique_ptr<KeptTokens> tokens_;
  PreparedBody body_;                // of the command line
  RequestOptions common_;            // with --input: what holds for every line
  std::optional<LineReader> lines_;  // of --input
  std::size_t given_ = 0;            // requests, until now
  std::int64_t line_ = 0;            // of the request that is being made
  bool has_own_body_ = false;        // that line
  std::string run_;                  // names this invocation in the journal
  bool is_worker_ = false;
  std::optional<Error> unready_;  // why this worker can do nothing
  std::string asked_by_;          // the origin that wants money now
  std::vector<Money> total_;
  std::vector<Channel> used_;    // by the sessions of this run, each once
  bool output_is_gone_ = false;  // nobody takes what goes to stdout
};

Result<> RequestCommand::set_up(const Globals& globals) {
  collect_body_parts(*set_, options_);
  if (auto moved = move_stderr(options_.stderr_file); !moved) return moved;
  if (auto fine = check_request_options(options_, globals); !fine) return fine;
  auto limits = limits_of(options_, globals.settings);
  if (!limits) return limits.error();
  limits_ = std::move(*limits);
  preference_ = preference_of(options_, globals.settings);
  for (const auto& [user, whose] : {std::pair{&options_.user, "user "},
                                    std::pair{&options_.connection.proxy_user, "proxy user "}}) {
    if (user->empty() || user->find(':') != std::string::npos) continue;
    const auto password = ask_password(
        globals.settings, std::string("Password of ") + whose + printable(*user), false);
    if (!password) {
      Error error = password.error();
      error.hint = "write it behind the name: USER:PASSWORD";
      return error;
    }
    *user += ":" + std::string(password->text());
  }
  run_ = new_payment_id(system_now());
  return {};
}

/// Everything that has connections, threads or an open journal: after the fork, where there is one.
Result<> RequestCommand::set_up_services(const Globals& globals) {
  auto network = make_network(globals, options_);
  if (!network) return network.error();
  network_ = std::move(*network);
  wallet_ = std::make_unique<Wallet>(
      globals, PasswordChoice{options_.password_fd, options_.password_file}, run_);
  tokens_ = std::make_unique<KeptTokens>(*wallet_, globals.verbosity > 0);
  return {};
}

Result<int> RequestCommand::run(const Globals& globals) {
  if (auto ready = set_up(globals); !ready) return ready.error();
  auto body = prepare_body(options_);
  if (!body) return body.error();
  body_ = std::move(*body);
  if (auto opened = open_input(); !opened) return opened.error();
  const bool is_many = lines_ || options_.urls.size() > 1;
  if (options_.parallel && is_many) return run_side_by_side(globals);
  if (auto ready = set_up_services(globals); !ready) return ready.error();
  const int gravest = run_in_order(globals);
  return options_.close ? graver(gravest, close_sessions(globals)) : gravest;
}

/// A bad line, or URL, is named before anything is paid, where all can be read in advance.
Result<> RequestCommand::open_input() {
  if (options_.input.empty()) {
    if (!options_.pay || options_.urls.size() == 1) return {};
    for (const std::string& url : options_.urls) {
      if (auto fine = read_url(options_, url); !fine) return fine.error();
    }
    return {};
  }
  auto opened = LineReader::open(options_.input);
  if (!opened) return opened.error();
  lines_.emplace(std::move(*opened));
  common_ = options_;
  if (!lines_->is_regular()) return {};
  while (true) {
    auto line = lines_->next();
    if (!line) return line.error();
    if (!*line) break;
    auto taken = take_line({0, (*line)->number, (*line)->text});
    if (!taken) return taken;
    if (auto fine = prepare_request(options_, options_.urls.front(), {}); !fine) {
      return Error{fine.error()}.within("line " + std::to_string((*line)->number));
    }
  }
  options_ = common_;
  return lines_->rewind();
}

Result<std::optional<Job>> RequestCommand::next_job() {
  if (lines_) {
    auto line = lines_->next();
    if (!line) return line.error();
    if (!*line) return std::optional<Job>();
    return std::optional(Job{given_++, (*line)->number, std::move((*line)->text)});
  }
  if (given_ == options_.urls.size()) return std::optional<Job>();
  const std::size_t number = given_++;
  return std::optional(Job{number, 0, ""});
}

/// From now on the options are those of one line.
Result<> RequestCommand::take_line(const Job& job) {
  options_ = common_;
  auto line = parse_request_line(job.text);
  if (!line) return std::move(line).error().within("line " + std::to_string(job.line));
  options_.urls = {line->url};
  if (!line->method.empty()) options_.method = line->method;
  options_.headers.insert(options_.headers.end(), line->headers.begin(), line->headers.end());
  has_own_body_ = line->body.has_value();
  if (has_own_body_) {
    const auto kind = line->is_json ? BodyPart::Kind::json : BodyPart::Kind::raw;
    options_.body = {{kind, std::move(*line->body)}};
  }
  if (!line->output.empty()) {
    options_.outputs = {line->output};
    options_.places = {{false, line->output}};
  }
  options_.once = line->once;
  return {};
}

int RequestCommand::run_in_order(const Globals& globals) {
  int gravest = 0;
  while (true) {
    const auto job = next_job();
    if (!job) return graver(gravest, report(globals, job.error(), 0));
    if (!*job) return gravest;
    const int status = run_job(globals, **job);
    gravest = graver(gravest, status);
    const bool is_last = !lines_ && given_ == options_.urls.size();
    if (const auto signal = caught_signal(); signal && !is_last) {
      return graver(gravest, static_cast<int>(*signal));
    }
    if (output_is_gone_ || (options_.fail_early && status != 0)) return gravest;
  }
}

/// -Z.
Result<int> RequestCommand::run_side_by_side(const Globals& globals) {
  if (auto shared = share_turns(); !shared) return shared.error();
  if (auto kept = keep_secrets(); !kept) return kept.error();
  std::vector<std::string> channels;
  ParallelParts parts;
  constexpr int kMost = 300, kUsual = 50;  // as curl: anything else means the usual
  const int most = options_.parallel_max;
  parts.most = most >= 1 && most <= kMost ? most : kUsual;
  parts.next = [this] { return next_job(); };
  parts.waits_for = [this] { return lines_ ? lines_->waits_for() : -1; };
  parts.begin = [this, &globals]() -> std::function<JobResult(const Job&)> {
    become_worker_of(globals);
    return [this, &globals](const Job& job) {
      used_.clear();
      const int status = run_job(globals, job);
      return JobResult{status, output_is_gone_, used_.empty() ? "" : used_.back().id};
    };
  };
  parts.done = [&channels](const JobResult& result) {
    const bool is_new =
        std::find(channels.begin(), channels.end(), result.channel) == channels.end();
    if (!result.channel.empty() && is_new) channels.push_back(result.channel);
  };
  parts.stop_at_error = options_.fail_early;
  const ParallelResult result = run_in_parallel(parts);
  int status = result.status;
  if (result.ended) status = graver(status, report(globals, *result.ended, 0));
  if (!result.orphans.empty()) status = graver(status, report_orphans(globals, result.orphans));
  if (!options_.close || channels.empty()) return status;
  become_worker_of(globals);  // the last one is alone
  if (unready_) return *unready_;
  for (const std::string& id : channels) {
    Channels* known = wallet_->known_channels();
    const auto channel =
        known == nullptr ? Result<std::optional<Channel>>(std::nullopt) : known->get(id);
    if (channel && *channel && (*channel)->status == ChannelStatus::open) {
      used_.push_back(**channel);
    }
  }
  return graver(status, close_sessions(globals));
}

/// What can be read only once is read before there are several who need it.
Result<> RequestCommand::keep_secrets() {
  const auto keep = [](std::optional<int>& fd, const std::string& name) -> Result<> {
    if (!fd) return {};
    auto kept = keep_for_workers(*fd);
    if (!kept) return std::move(kept).error().within(name + " " + std::to_string(*fd));
    fd = *kept;
    return {};
  };
  if (auto kept = keep(options_.key_fd, "--key-fd"); !kept) return kept;
  if (auto kept = keep(options_.wallet_fd, "--wallet-fd"); !kept) return kept;
  if (!options_.password_fd && !options_.password_file.empty()) {
    const int fd = ::open(options_.password_file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      return Error{Kind::account,
                   "reading " + printable(options_.password_file) + ": " + std::strerror(errno)};
    }
    options_.password_fd = fd;
  }
  if (auto kept = keep(options_.password_fd, "--password-fd"); !kept) return kept;
  common_.key_fd = options_.key_fd;
  common_.wallet_fd = options_.wallet_fd;
  common_.password_fd = options_.password_fd;
  return {};
}

/// Gets a process of its own ready to make requests.
void RequestCommand::become_worker_of(const Globals& globals) {
  constexpr double kPatience = 300;  // the others of this run take their turns at a channel too
  is_worker_ = true;
  for (RequestOptions* options : {&options_, &common_}) {
    if (!options->lock_timeout) options->lock_timeout = kPatience;
    options->progress_meter = false;
  }
  const auto take = [](std::optional<int>& fd, std::optional<int>& same) {
    if (fd) fd = same = given_to_worker(*fd);
  };
  take(options_.key_fd, common_.key_fd);
  take(options_.wallet_fd, common_.wallet_fd);
  take(options_.password_fd, common_.password_fd);
  if (auto ready = set_up_services(globals); !ready) unready_ = ready.error();
}

/// A worker died. What it was about to pay may be in doubt.
int RequestCommand::report_orphans(const Globals& globals, const std::vector<Job>& orphans) {
  Wallet wallet(globals, {}, run_);
  const auto database = wallet.state(false);
  const auto journal = !database              ? Result<Ledger*>(database.error())
                       : *database == nullptr ? Result<Ledger*>(nullptr)
                                              : wallet.ledger();
  const auto doubts = !journal              ? Result<std::vector<Row>>(journal.error())
                      : *journal == nullptr ? Result<std::vector<Row>>(std::vector<Row>())
                                            : (*journal)->in_doubt();
  const bool is_doubtful =
      !doubts || std::any_of(doubts->begin(), doubts->end(),
                             [this](const Row& row) { return row.run == run_; });
  int status = 0;
  for (const Job& job : orphans) {
    const std::string what =
        job.line != 0 ? "line " + std::to_string(job.line) : printable(options_.urls[job.number]);
    Error error{Kind::internal, "the process that made the request of " + what + " died",
                "it paid nothing; run it again"};
    if (is_doubtful) {
      error.kind = Kind::outcome_unknown;
      error.hint = "finish what it may have paid with: paycurl payments resume";
    }
    status = graver(status, report(globals, error, job.line));
  }
  return status;
}

int RequestCommand::report(const Globals& globals, const Error& error, std::int64_t line) const {
  say_error(error);
  Json json = failed(error);
  if (line != 0) json.set("input", line);
  if (globals.json) (void)print_json(json);
  return error.exit_status();
}

int RequestCommand::run_job(const Globals& globals, const Job& job) {
  line_ = job.line;
  if (unready_) return report(globals, *unready_, job.line);
  if (job.line == 0) {
    const auto upload = prepare_upload(options_, job.number);
    if (!upload) return report(globals, upload.error(), 0);
    return run_one(globals, job, *upload ? **upload : body_);
  }
  if (auto taken = take_line(job); !taken) return report(globals, taken.error(), job.line);
  if (!has_own_body_) return run_one(globals, job, body_);
  const auto body = prepare_body(options_);
  return body ? run_one(globals, job, *body) : report(globals, body.error(), job.line);
}

/// What this invocation paid until now.
std::vector<Money> RequestCommand::total() {
  if (!is_worker_) return total_;
  auto all = wallet_->settled_in_run();
  return all ? std::move(*all) : total_;
}

/// --close.
int RequestCommand::close_sessions(const Globals& globals) {
  ClosePlan plan;
  plan.patience = session_choice_of(options_).patience;
  plan.unverified_tls = options_.insecure;
  plan.deadlines = paid_deadlines_of(options_);
  plan.reach = reach_of(options_.connection, !options_.user.empty() || !options_.bearer.empty());
  int status = 0;
  for (const Channel& channel : used_) {
    const auto spender =
        wallet_->spender_of({channel.account, channel.payer}, limits_, channel.method);
    plan.allow_http = allows_http(limits_.files, channel.origin, options_.allow_http);
    Closed closed;
    closed.channel = channel;
    if (spender) {
      closed = close_channel(channel, plan, network_, **spender);
    } else {
      closed.error = spender.error();
    }
    if (closed.error) {
      say_error(*closed.error);
      status = graver(status, closed.error->exit_status());
    } else if (globals.verbosity > 0 || (!globals.silent && is_terminal(STDERR_FILENO))) {
      say((globals.verbosity > 0 ? "$ " : "") + describe(closed));
    }
  }
  return status;
}

/// As curl: each -O speaks of one URL.
bool RequestCommand::takes_remote_name(std::size_t index) const {
  return index < options_.places.size() ? options_.places[index].remote_name
                                        : options_.remote_name_all;
}

/// What a server should know of what we can pay (draft-httpauth-payment-00, client preferences).
void RequestCommand::add_accept_payment(http::Request& request) const {
  std::string value;
  const auto& wanted = preference_.methods;
  for (const auto& method : network_.methods) {
    const bool left_out =
        !wanted.empty() && std::find(wanted.begin(), wanted.end(), method->name()) == wanted.end();
    for (const std::string_view intent : method->intents()) {
      if (left_out || (!preference_.intent.empty() && preference_.intent != intent)) continue;
      value +=
          (value.empty() ? "" : ", ") + std::string(method->name()) + "/" + std::string(intent);
    }
  }
  if (!value.empty()) add_default(request, "Accept-Payment", value);
}

Destination RequestCommand::destination_of(const Globals& globals, std::size_t index,
                                           const std::string& file_name) const {
  Destination to;
  if (takes_remote_name(index)) {
    to.file.name = file_name;
    to.file.follow_links = false;
    to.file.name_from_server = options_.remote_header_name;
  } else if (index < options_.places.size()) {
    to.file.name = options_.places[index].file;
  }
  to.file.folder = options_.output_dir;
  to.file.create_folders = options_.create_dirs;
  to.file.keep_others = !options_.clobber;
  to.file.set_time = options_.remote_time;
  to.file.remove_on_error = options_.remove_on_error;
  to.dump_header = options_.dump_header;
  to.etag_save = options_.etag_save;
  if (options_.range.empty()) to.condition = time_condition_of(options_);
  to.include = options_.include || (options_.head && !globals.json);
  to.show_challenges = globals.verbosity > 0;
  to.capture = globals.json;
  to.discard = options_.inspect || options_.dry_run;
  to.hide_errors_body = options_.fail;
  to.show_refusal = options_.fail_with_body;
  if (options_.sse_json) to.events = Destination::Events::json;
  if (options_.text) to.events = Destination::Events::text;
  to.prints_variables = !options_.write_out.empty();
  return to;
}

/// With `resumed`: to finish that payment, by the account that made it.
Flow RequestCommand::make_flow(const Globals& globals, RequestAudience& audience,
                               RedirectRules redirects, const Row* resumed) {
  FlowOptions flow;
  flow.preference = preference_;
  flow.follow = options_.location;
  flow.max_redirects = options_.max_redirs;
  flow.redirects = std::move(redirects);
  flow.retry = retry_rules_of(options_.connection);
  flow.max_body =
      static_cast<std::uint64_t>(parse_size(options_.connection.max_file_size).value_or(0));
  flow.pay = options_.pay;
  flow.stop_at_offers = options_.inspect || options_.dry_run;
  flow.fail = options_.fail || options_.fail_with_body;
  flow.unverified_tls = options_.insecure;
  flow.spool = options_.spool;
  flow.spool_streams = options_.spool_streams || !options_.once.empty();
  flow.once = options_.once;
  flow.session = session_choice_of(options_);
  flow.show_payment_events = options_.sse;
  flow.paid_deadlines = paid_deadlines_of(options_);
  const Expectations& expected = limits_.expected;
  flow.must_charge = expected.amount || expected.recipient || expected.currency;
  FlowParts parts{*network_.client,
                  network_.protocol_list(),
                  network_.method_list(),
                  limits_,
                  wallet_->signed_so_far(),
                  [this] { return wallet_->known_channels(); },
                  tokens_.get(),
                  [this, resumed](const std::string& method) {
                    if (resumed == nullptr) {
                      return wallet_->spender(payer_of(options_, limits_, asked_by_), limits_,
                                              method);
                    }
                    return wallet_->spender_of({resumed->account, resumed->payer}, limits_, method);
                  },
                  [this](const std::string& method) -> Result<bool> {
                    if (options_.inspect) return false;
                    return wallet_->has_payer(payer_of(options_, limits_, asked_by_), method);
                  },
                  [this, &globals](const Offer& offer, const Payer& payer) {
                    return confirm_payment(globals, options_, offer, payer, limits_);
                  },
                  globals.settings.state_folder,
                  audience,
                  &system_now,
                  &pause_for,
                  [this](const std::string& origin) { asked_by_ = origin; }};
  return Flow(std::move(parts), std::move(flow));
}

/// Makes the request; with --once only when no other payment has its key.
OnceOutcome RequestCommand::make_request(const Globals& globals, const PreparedRequest& prepared,
                                         RequestAudience& audience) {
  const auto pay = [&] {
    return make_flow(globals, audience, prepared.redirects).run(prepared.request);
  };
  const bool pays = options_.pay && !options_.inspect && !options_.dry_run;
  if (options_.once.empty() || !pays) return {pay()};
  const auto journal = [this]() -> Result<Ledger*> {
    const auto there = wallet_->state(false);
    if (!there) return there.error();
    return *there == nullptr ? Result<Ledger*>(nullptr) : wallet_->ledger();
  };
  const auto resume = [&](const Row& row) {
    return make_flow(globals, audience, prepared.redirects, &row).resume(row);
  };
  return pay_once({options_.once, globals.settings.state_folder,
                   session_choice_of(options_).patience, journal, pay, resume, audience,
                   options_.fail || options_.fail_with_body});
}

int RequestCommand::run_one(const Globals& globals, const Job& job, const PreparedBody& body) {
  const std::string& url = options_.urls[job.line == 0 ? job.number : 0];
  const std::size_t index = options_.outputs.empty() || job.line == 0 ? job.number : 0;
  auto prepared = prepare_request(options_, url, body);
  if (!prepared) return report(globals, prepared.error(), job.line);
  Destination to = destination_of(globals, index, prepared->file_name);
  const std::string& name = to.file.name;
  if (takes_remote_name(index) && (name.empty() || name == "." || name == "..")) {
    return report(globals, http::transport_error(23, "the URL has no file name for -O"), job.line);
  }
  http::Request& request = prepared->request;
  const auto there = add_range(options_, to.file.is_stdout() ? "" : to.file.path(), request);
  if (!there) return report(globals, there.error(), job.line);
  to.append_heads = job.number > 0;
  to.resume_from = *there;
  to.file.append = *there > 0;
  if (brings_credential(request)) {
    options_.pay = false;
    options_.connection.retry.reset();  // a credential leaves with the first request
  }
  // --inspect shows what everybody is offered, unless the user asks for less; the number that
  // --challenge takes from it must mean the same offer again.
  const bool asks_for_less = !preference_.methods.empty() || !preference_.intent.empty();
  const bool wants_all = options_.inspect || preference_.number;
  if (options_.pay && (!wants_all || asks_for_less)) add_accept_payment(request);

  preference_.only_sessions = request.url.websocket;
  RequestAudience audience(globals, to);
  auto [outcome, again] = make_request(globals, *prepared, audience);
  if (auto finished = audience.finish(outcome); !finished && !outcome.error) {
    outcome.error =
        is_paid(outcome) ? not_written(*outcome.row, finished.error()) : finished.error();
  }
  output_is_gone_ = to.file.is_stdout() && outcome.error &&
                    (outcome.error->reason == "unwritable" || outcome.error->transport == 23);
  add_up(outcome, again);
  check_afterwards(outcome);
  if (!again || outcome.error) tell(globals, outcome);
  auto shown = show(globals, request, outcome, audience, audience.file());
  if (shown) shown = write_variables(url, request, outcome, job.number, audience.file());
  if (!shown) {
    Error error = shown.error();
    output_is_gone_ = error.transport == 23;
    if (is_paid(outcome)) error = not_written(*outcome.row, error);
    if (!outcome.error) {
      say_error(error);
      return error.exit_status();
    }
  }
  return outcome.error ? outcome.error->exit_status() : 0;
}

/// What was paid, and with which channel.
void RequestCommand::add_up(const Outcome& outcome, bool again) {
  if (is_paid(outcome) && !again) add_money(total_, outcome.row->paid);
  if (!outcome.channel || outcome.channel->status != ChannelStatus::open) return;
  std::erase_if(used_, [&](const Channel& other) { return other.id == outcome.channel->id; });
  used_.push_back(*outcome.channel);
}

/// --expect-status and --expect-receipt.
void RequestCommand::check_afterwards(Outcome& outcome) const {
  if (outcome.error || options_.inspect || options_.dry_run) return;
  const int status = outcome.head ? outcome.head->status : 0;
  std::string wrong;
  if (options_.expect_status && status != *options_.expect_status) {
    wrong = "the status is " + std::to_string(status) + ", expected " +
            std::to_string(*options_.expect_status);
  } else if (options_.expect_receipt && !outcome.receipt) {
    wrong = "no receipt came";
  }
  if (wrong.empty()) return;
  const bool paid = is_paid(outcome);
  outcome.error =
      Error{paid ? Kind::not_delivered : Kind::http_status, (paid ? "paid, but " : "") + wrong,
            paid ? "the payment is in: paycurl payments show " + outcome.row->id : "",
            options_.expect_status && status != *options_.expect_status ? "expect_status"
                                                                        : "expect_receipt"};
}

/// The error, or the line that says what was paid.
void RequestCommand::tell(const Globals& globals, const Outcome& outcome) const {
  if (outcome.error) {
    Error error = *outcome.error;
    const int status = error.exit_status();
    if (status >= 101 && status <= 105 && outcome.problem) {
      error.message += " (" + outcome.problem->text() + ")";
    }
    if (!globals.silent || options_.show_error || is_committed(outcome)) say_error(error);
    return;
  }
  if (!is_paid(outcome) || globals.silent || !is_terminal(STDERR_FILENO)) return;
  const Row& row = *outcome.row;
  say(bold(globals, "paid " + describe(row.paid)) + " to " + shortened(row.recipient) + " · " +
      row.method + "/" + row.intent + (row.reference ? " · " + shortened(*row.reference) : ""));
  if (outcome.channel && !options_.close) {
    const Channel& channel = *outcome.channel;
    say(describe(Money{channel.remaining(), channel.asset}) + " of " +
        describe(Money{channel.deposit, channel.asset}) +
        " is still deposited; to take it back: paycurl sessions close " + channel.id.substr(0, 10));
  }
}

Result<> RequestCommand::show(const Globals& globals, const http::Request& request,
                              const Outcome& outcome, const RequestAudience& audience,
                              const std::string& file) {
  if (options_.inspect || options_.dry_run) return show_offers(globals, request, outcome);
  if (!globals.json) return {};
  return print_json(envelope_of(request, outcome, audience, file));
}

Json RequestCommand::envelope_of(const http::Request& request, const Outcome& outcome,
                                 const RequestAudience& audience, const std::string& file) {
  Json json = envelope();
  if (line_ != 0) json.set("input", line_);
  json.set("request", request_json(request)).set("response", Json()).set("payment", Json());
  if (outcome.head && outcome.url) {
    Json headers = Json::object();
    for (const http::Header& field : outcome.head->headers) {
      const std::string name = lower(field.name);
      if (headers.find(name) != nullptr) continue;
      Json values = Json::array();
      for (const std::string& value : outcome.head->headers.values(name)) {
        values.push(valid_utf8(value));
      }
      headers.set(name, std::move(values));
    }
    Json response = Json::object({{"status", outcome.head->status},
                                  {"url", outcome.url->text},
                                  {"headers", std::move(headers)},
                                  {"size", outcome.body_size}});
    const std::string& stored = audience.captured_file().empty() ? file : audience.captured_file();
    if (!stored.empty() && stored != "-") {
      response.set("output", stored);
    } else if (is_valid_utf8(audience.captured())) {
      response.set("body", audience.captured());
    } else {
      response.set("bodyBase64", to_base64(as_bytes(audience.captured())));
    }
    json.set("response", std::move(response));
  }
  if (outcome.row) {
    Json payment = payment_json(*outcome.row, system_now());
    payment.set("receipt", stored_json(outcome.row->receipt));
    std::string page;
    for (const auto& method : network_.methods) {
      if (method->name() == outcome.row->method) page = method->explorer(*outcome.row);
    }
    payment.set("explorer", Json::or_null(std::string_view(page)))
        .set("channel", outcome.channel ? channel_json(*outcome.channel) : Json());
    json.set("payment", std::move(payment));
  }
  json.set("total", money_list(total()));
  json.set("error", outcome.error ? error_json(*outcome.error, &outcome) : Json());
  const auto whole = [](double millis) { return Json(std::int64_t{std::llround(millis)}); };
  const bool paid = outcome.row.has_value();
  json.set(
      "timing",
      Json::object({{"connectMs", whole(outcome.stats.connect)},
                    {"challengeMs", outcome.challenged ? whole(outcome.challenge_millis) : Json()},
                    {"signMs", paid ? whole(outcome.sign_millis) : Json()},
                    {"firstByteMs", whole(outcome.stats.first_byte)},
                    {"totalMs", whole(outcome.stats.total + outcome.sign_millis)}}));
  return json;
}

/// What --dry-run says of a session: whether a channel would be opened, filled or used.
RequestCommand::SessionPlan RequestCommand::session_plan(const Offer& offer,
                                                         const std::string& payer) {
  SessionPlan plan;
  Escrow* escrow = offer.method->escrow();
  if (offer.challenge->intent != "session" || escrow == nullptr) return plan;
  const Spend& spend = offer.quote->spend;
  const auto scope = escrow->scope(*offer.challenge, payer);
  Channels* known = wallet_->known_channels();
  auto channel = known != nullptr && scope && options_.session == "auto"
                     ? known->current(*scope)
                     : Result<std::optional<Channel>>(std::nullopt);
  const auto deposit = offer.quote->suggested_deposit;
  if (!channel || !*channel) {
    plan.session = "open";
    plan.deposit = deposit;
    const auto own = parse_units(options_.deposit, spend.total.asset.decimals);
    if (!options_.deposit.empty() && own) plan.deposit = Money{*own, spend.total.asset};
    return plan;
  }
  const auto needed = (*channel)->spent.plus(spend.total.amount);
  const bool fits = needed && *needed <= (*channel)->deposit;
  plan.session = fits ? "voucher" : "topUp";
  if (!fits) plan.deposit = deposit;
  return plan;
}

/// What a real run would say of a price that rose; nobody is asked.
Result<> RequestCommand::check_increase(const http::Request& request, const Offer& offer) {
  const Spend& spend = offer.quote->spend;
  if (!limits_increase(limits_, spend.origin)) return {};
  const auto state = wallet_->state(false);
  if (!state) return state.error();
  if (*state == nullptr) return {};
  const auto journal = wallet_->ledger();
  if (!journal) return journal.error();
  Row row;
  row.origin = spend.origin;
  row.http_method = request.method;
  row.url = offer.challenge->url.text;
  row.intent = offer.challenge->intent;
  const auto price = (*journal)->last_price(row, spend.total.asset);
  if (!price) return price.error();
  return allow_increase(spend, limits_, {{}, {}, {}, {}, *price});
}

/// The quote of --dry-run, with what it means for the session's channel.
Result<Json> RequestCommand::quote_of(const http::Request& request, const Outcome& outcome) {
  const Offer* chosen = chosen_offer(outcome);
  if (outcome.error || chosen == nullptr) return Json();
  const auto payer = wallet_->payer(payer_of(options_, limits_, asked_by_), chosen->method->name());
  if (!payer) return payer.error();
  if (auto fine = check_increase(request, *chosen); !fine) return fine.error();
  http::Client* client = options_.offline ? nullptr : network_.client.get();
  auto quote = quote_json({*chosen, **payer, limits_, total_, client});
  if (!quote) return quote;
  const SessionPlan plan = session_plan(*chosen, (*payer)->address);
  quote->set("deposit", plan.deposit ? money_json(*plan.deposit) : Json());
  quote->set("session", Json::or_null(std::string_view(plan.session)));
  return quote;
}

Result<> RequestCommand::show_offers(const Globals& globals, const http::Request& request,
                                     const Outcome& outcome) {
  Json json = inspect_json(request, outcome);
  std::optional<Error> failure;
  if (options_.dry_run) {
    auto quote = quote_of(request, outcome);
    if (!quote) {
      failure = quote.error();
      json.set("quote", Json()).set("error", error_json(*failure));
    } else {
      json.set("quote", std::move(*quote));
    }
  }
  if (globals.json) {
    if (auto printed = print_json(json); !printed) return printed;
  } else {
    std::string text = describe_offers(outcome.offers, outcome.chosen);
    if (text.empty() && outcome.head) {
      const bool is_free = !outcome.challenged && outcome.head->status < 400;
      text = (is_free ? "free: the server answered " : "the server answered ") +
             std::to_string(outcome.head->status) + "\n";
    }
    if (const Json* quote = json.find("quote")) text += describe_quote(*quote);
    if (auto printed = print(text); !printed) return printed;
  }
  if (failure) return *failure;
  return {};
}

Result<> RequestCommand::write_variables(const std::string& url, const http::Request& request,
                                         const Outcome& outcome, std::size_t index,
                                         const std::string& file) {
  if (options_.write_out.empty()) return {};
  std::string format = options_.write_out;
  if (format.starts_with('@')) {
    http::Body from;
    if (auto read = from.append_file(format.substr(1)); !read) return read;
    auto text = from.text(1 << 20);
    if (!text || !*text) return Error{Kind::usage, "the format of -w is too long"};
    format = std::move(**text);
  }
  const WrittenOut text = write_out(format, {outcome, url, request, file, index, total()});
  if (!text.unknown.empty()) say_note("unknown --write-out variable: " + text.unknown);
  const Turn turn(Turn::At::output);
  (void)write_all(STDERR_FILENO, text.to_stderr);
  return print(text.to_stdout);
}

}  // namespace

std::unique_ptr<Command> make_request() {
  return std::make_unique<RequestCommand>();
}

}  // namespace paycurl
