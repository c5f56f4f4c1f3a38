// paycurl sessions: what lies in payment channels, and how to get it back.
#include <algorithm>
#include <array>
#include <set>

#include <dirent.h>

#include "commands/closing.h"
#include "commands/json.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/wallet.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr std::uint64_t kMaxFile = 64UL * 1024;

/// The chain is asked for a session by its whole id only.
bool is_whole_id(const std::string& text) {
  return text.starts_with("0x") && text.size() == 66;
}

class SessionsCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Sessions")
        .positional("verb", verb_, "what to do")
        .positional("which", which_, "sessions: an ID, the start of one, last, a URL or an origin")
        .flag("--all", all_, "list: closed ones too; close, import: all there are")
        .flag("--orphaned", orphaned_, "list: search the chain for channels we do not know")
        .flag("--force", force_, "close: without the server, when it does not help")
        .flag("--finalize", finalize_, "close: take back what a forced close has freed")
        .flag("--dry-run", dry_run_, "close: say what would be closed")
        .value("-a,--account", options_.account, "NAME", "of that account")
        .value("--network", options_.network, "NAME", "mainnet, testnet or a chain id")
        .value("--rpc-url", options_.rpc_url, "URL", "the chain's node to ask")
        .flag("--offline", options_.offline, "never ask a chain's node")
        .value("--max-fee", options_.max_fee, "LIMIT", "at most that much network fee (0.02)")
        .value("--lock-timeout", options_.lock_timeout, "SECONDS",
               "wait that long for a channel that another process is at (30)")
        .flag("--allow-http", options_.allow_http, "close over plain http")
        .flag("-k,--insecure", options_.insecure, "do not verify TLS certificates")
        .value("--cacert", options_.cacert, "FILE", "trust the certificates in this file")
        .value("-x,--proxy", options_.proxy, "URL", "use this proxy")
        .list("-M,--method-option", options_.method_options, "KEY=VALUE",
              "for the method: fee-token=0x...")
        .value("--password-fd", password_.fd, "N",
               "read the key file's password from this descriptor")
        .value("--password-file", password_.file, "FILE",
               "read the key file's password from this file");
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<> check_arguments() const;
  Result<Channels*> channels();
  Result<int> list();
  Result<int> show();
  ClosePlan plan_of_close() const;
  Closed close_one(const Channel& channel, const ClosePlan& plan);
  Json would_close(const Channel& channel) const;
  Result<int> close();
  Result<int> sync();
  Result<int> import();
  Result<std::vector<Channel>> targets(Channels& known);
  Result<std::vector<Channel>> mppx_sessions() const;
  Result<std::vector<Payer>> payers();
  Result<std::vector<Channel>> orphans(Channels* known);
  Result<Channel> adopt_orphan(Channels& known, const std::string& id);
  Result<Json> sync_one(Channels& known, const Channel& channel, const Escrow::Facts& facts);
  Result<std::vector<Channel>> rows_to_sync(Channels& known, const std::string& method);
  Result<Spender*> spender_of(const Channel& channel);
  Escrow* escrow_of(const std::string& method) const;
  Result<int> print_sessions(const std::vector<Channel>& found, Json more);
  std::string footer(const std::vector<Channel>& found) const;

  const Globals* globals_ = nullptr;
  std::string verb_;
  std::vector<std::string> which_;
  bool all_ = false, orphaned_ = false, force_ = false, finalize_ = false, dry_run_ = false;
  RequestOptions options_;
  PasswordChoice password_;
  Limits limits_;
  Network network_;
  std::unique_ptr<Wallet> wallet_;
};

Result<> SessionsCommand::check_arguments() const {
  constexpr std::array<std::string_view, 6> kVerbs{"list",  "show", "view",
                                                   "close", "sync", "import"};
  if (std::find(kVerbs.begin(), kVerbs.end(), verb_) == kVerbs.end()) {
    return Error{Kind::usage, "not something to do with sessions: " + printable(verb_, 40),
                 "list, show, close, sync and import are"};
  }
  const auto only_for = [&](bool given, const char* option,
                            std::initializer_list<std::string_view> verbs) -> Result<> {
    if (!given || std::find(verbs.begin(), verbs.end(), verb_) != verbs.end()) return {};
    return Error{Kind::usage, std::string(option) + " is not for sessions " + verb_};
  };
  for (const auto& checked :
       {only_for(orphaned_, "--orphaned", {"list"}), only_for(force_, "--force", {"close"}),
        only_for(finalize_, "--finalize", {"close"}), only_for(dry_run_, "--dry-run", {"close"}),
        only_for(all_, "--all", {"list", "close", "import"}),
        only_for(!which_.empty(), "an ID", {"show", "view", "close", "import"})}) {
    if (!checked) return checked;
  }
  const bool names_some =
      verb_ == "show" || verb_ == "view" || verb_ == "close" || verb_ == "import";
  if (names_some && which_.empty() && !all_) {
    return Error{Kind::usage, "which session? give its ID, a URL, or last",
                 "see paycurl sessions list"};
  }
  if (all_ && !which_.empty()) return Error{Kind::usage, "--all and an ID exclude each other"};
  return {};
}

Result<int> SessionsCommand::run(const Globals& globals) {
  globals_ = &globals;
  if (verb_.empty()) verb_ = "list";
  if (auto fine = check_arguments(); !fine) return fine.error();
  const auto limits = limits_of(options_, globals.settings);
  if (!limits) return limits.error();
  limits_ = *limits;
  if (auto folder = globals.settings.need_state_folder(); !folder) return folder.error();
  wallet_ = std::make_unique<Wallet>(globals, password_);
  auto network = make_network(globals, options_);
  if (!network) return network.error();
  network_ = std::move(*network);
  if (verb_ == "list") return list();
  if (verb_ == "show" || verb_ == "view") return show();
  if (verb_ == "close") return close();
  if (verb_ == "sync") return sync();
  return import();
}

/// Reading must not create a database where there is none.
Result<Channels*> SessionsCommand::channels() {
  const auto state = wallet_->state(false);
  if (!state) return state.error();
  return *state == nullptr ? Result<Channels*>(nullptr) : wallet_->channels();
}

Escrow* SessionsCommand::escrow_of(const std::string& method) const {
  for (const auto& known : network_.methods) {
    if (known->name() == method) return known->escrow();
  }
  return nullptr;
}

// ---- list, show

/// The npm CLI's sessions, as far as they can be read; what cannot is said and left out.
Result<std::vector<Channel>> SessionsCommand::mppx_sessions() const {
  std::vector<Channel> found;
  const std::string& base = globals_->settings.mppx_state_folder;
  const std::string folder = base + "/sessions/v1/channels";
  DIR* entries = base.empty() ? nullptr : ::opendir(folder.c_str());
  if (entries == nullptr) return found;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".json") && name.find(".tmp-") == std::string::npos) names.push_back(name);
  }
  ::closedir(entries);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    http::Body file;
    std::string path = folder;
    path += "/" + name;
    auto read = file.append_file(path);
    const auto text = read ? file.text(kMaxFile) : Result<std::optional<std::string>>(read.error());
    const auto json =
        text && *text ? Json::parse(**text) : Result<Json>(Error{Kind::usage, "it cannot be read"});
    Escrow* escrow = escrow_of("tempo");
    auto channel = json && escrow != nullptr
                       ? escrow->from_mppx(*json)
                       : Result<Channel>(Error{Kind::usage, "it cannot be read"});
    if (channel) {
      found.push_back(std::move(*channel));
    } else {
      say_note("left out " + name + " of mppx: " + channel.error().message);
    }
  }
  return found;
}

/// Whose channels are looked for on the chain: those of the key that was named, else of all
/// accounts.
Result<std::vector<Payer>> SessionsCommand::payers() {
  std::vector<Payer> found;
  if (!options_.account.empty() || globals_->settings.has_private_key) {
    const auto payer = wallet_->payer(payer_of(options_), "tempo");
    if (!payer) return payer.error();
    found.push_back({(*payer)->name, (*payer)->address});
    return found;
  }
  const auto accounts = wallet_->accounts(false);
  if (!accounts) return accounts.error();
  std::string note;
  const auto all = (*accounts)->list(note);
  if (!all) return all.error();
  if (!note.empty()) say_note(note);
  for (const Account& account : *all) {
    const bool has_channels = !account.address.empty() && !account.is_wallet();
    if (has_channels) found.push_back({account.name, account.address});
  }
  return found;
}

/// Channels that the chain has of our accounts and the journal has not, or calls closed.
Result<std::vector<Channel>> SessionsCommand::orphans(Channels* known) {
  const auto whose = payers();
  if (!whose) return whose.error();
  std::vector<Channel> found;
  std::set<std::string> seen;
  for (const Payer& payer : *whose) {
    if (!seen.insert(payer.address).second) continue;
    for (const auto& method : network_.methods) {
      if (method->escrow() == nullptr) continue;
      auto there = method->escrow()->orphans(payer.address, *network_.client);
      if (!there) return there.error();
      for (Channel& channel : *there) {
        const auto own = known == nullptr ? Result<std::optional<Channel>>(std::nullopt)
                                          : known->get(channel.id);
        if (!own) return own.error();
        if (*own && (*own)->status != ChannelStatus::closed) continue;
        channel.account = payer.account;
        found.push_back(std::move(channel));
      }
    }
  }
  return found;
}

/// Takes a channel that only the chain remembers into the journal, so that it can be closed.
Result<Channel> SessionsCommand::adopt_orphan(Channels& known, const std::string& id) {
  auto lost = orphans(&known);
  if (!lost) return lost.error();
  for (Channel& channel : *lost) {
    if (id.empty() || !channel.id.starts_with(lower(id))) continue;
    const auto own = known.get(channel.id);
    if (!own) return own.error();
    if (*own) return **own;  // it was booked as closed
    if (auto inserted = known.insert(channel); !inserted) return inserted.error();
    return std::move(channel);
  }
  return Error{Kind::usage, "no session " + printable(id, 80), "see paycurl sessions list --all"};
}

/// What is still deposited, and what can be taken back: the reason to look at the list.
std::string SessionsCommand::footer(const std::vector<Channel>& found) const {
  std::vector<Money> deposited, withdrawable;
  const Millis now = system_now();
  for (const Channel& channel : found) {
    if (channel.status == ChannelStatus::closed) continue;
    add_money(deposited, {channel.remaining(), channel.asset});
    if (channel.withdrawable.value_or(INT64_MAX) <= now) {
      add_money(withdrawable, {channel.remaining(), channel.asset});
    }
  }
  std::string text;
  for (const Money& money : deposited) {
    if (!money.amount.is_zero()) {
      text += describe(money) + " on " + money.asset.network + " is deposited and not spent\n";
    }
  }
  for (const Money& money : withdrawable) {
    text += describe(money) + " can be taken back: paycurl sessions close --all --finalize\n";
  }
  return text;
}

std::string age(Millis since, Millis now) {
  if (since == 0) return "-";
  const std::int64_t seconds = std::max<std::int64_t>((now - since) / 1000, 0);
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172'800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86'400) + " d";
}

Result<int> SessionsCommand::print_sessions(const std::vector<Channel>& found, Json more) {
  if (globals_->json_lines) {
    std::string lines;
    for (const Channel& channel : found) {
      lines += with_hidden_escaped(channel_json(channel).dump()) + "\n";
    }
    auto printed = print(lines);
    return printed ? Result<int>(0) : Result<int>(printed.error());
  }
  if (globals_->json) {
    Json sessions = Json::array();
    for (const Channel& channel : found) {
      sessions.push(channel_json(channel));
    }
    Json json = envelope().set("sessions", std::move(sessions));
    if (more.items() != nullptr) json.set("changes", std::move(more));
    auto printed = print_json(json);
    return printed ? Result<int>(0) : Result<int>(printed.error());
  }
  std::vector<std::vector<std::string>> rows;
  rows.reserve(found.size());
  const Millis now = system_now();
  for (const Channel& channel : found) {
    rows.push_back({(channel.source == "mppx" ? "mppx:" : "") + channel.id.substr(0, 12),
                    std::string(name_of(channel.status)),
                    describe(Money{channel.deposit, channel.asset}),
                    "spent " + format_units(channel.spent, channel.asset.decimals),
                    "left " + format_units(channel.remaining(), channel.asset.decimals),
                    printable(channel.origin.empty() ? channel.payee : channel.origin, 60),
                    age(channel.opened, now)});
  }
  std::string text = rows.empty() ? "no sessions\n" : table(rows) + footer(found);
  auto printed = print(text);
  return printed ? Result<int>(0) : Result<int>(printed.error());
}

Result<int> SessionsCommand::list() {
  const auto known = channels();
  if (!known) return known.error();
  std::vector<Channel> found;
  if (*known != nullptr) {
    auto rows = (*known)->list(all_);
    if (!rows) return rows.error();
    found = std::move(*rows);
  }
  auto others = mppx_sessions();
  if (!others) return others.error();
  if (orphaned_) {
    auto lost = orphans(*known);
    if (!lost) return lost.error();
    for (Channel& channel : *lost) {
      std::erase_if(found, [&](const Channel& other) { return other.id == channel.id; });
      std::erase_if(*others, [&](const Channel& other) { return other.id == channel.id; });
      found.push_back(std::move(channel));
    }
  }
  for (Channel& channel : *others) {
    const auto own = *known == nullptr ? Result<std::optional<Channel>>(std::nullopt)
                                       : (*known)->get(channel.id);
    if (!own) return own.error();
    if (!*own) found.push_back(std::move(channel));
  }
  std::erase_if(found, [&](const Channel& channel) {
    const bool over = channel.status == ChannelStatus::closed ||
                      (channel.status == ChannelStatus::lost && channel.remaining().is_zero());
    const bool of_other = !options_.account.empty() && channel.account != options_.account &&
                          channel.source != "chain";
    return (over && !all_) || of_other;
  });
  return print_sessions(found, Json());
}

Result<int> SessionsCommand::show() {
  const auto known = channels();
  if (!known) return known.error();
  if (*known == nullptr) return Error{Kind::usage, "there are no sessions yet"};
  if (which_.size() != 1) return Error{Kind::usage, "show takes one session"};
  const auto channel = (*known)->find(which_.front());
  if (!channel) return channel.error();
  const Millis now = system_now();
  if (globals_->json) {
    auto printed = print_json(envelope().set("session", channel_json(*channel)));
    return printed ? Result<int>(0) : Result<int>(printed.error());
  }
  const auto money = [&](Amount amount) { return describe(Money{amount, channel->asset}); };
  std::vector<std::vector<std::string>> rows{
      {"session", channel->id},
      {"status", std::string(name_of(channel->status))},
      {"with", printable(channel->url.empty() ? channel->origin : channel->url, 400)},
      {"payee", channel->payee},
      {"payer", channel->payer + " (" + printable(channel->account, 70) + ")"},
      {channel->escrow.empty() ? "network" : "escrow",
       (channel->escrow.empty() ? "" : channel->escrow + " on ") + channel->asset.network},
      {"deposit", money(channel->deposit)},
      {"signed", money(channel->signed_amount)},
      {"accepted", money(channel->accepted)},
      {"spent", money(channel->spent) + " for " + std::to_string(channel->units) + " units"},
      {"left", money(channel->remaining())}};
  if (channel->opened != 0) rows.push_back({"opened", format_rfc3339(channel->opened)});
  if (channel->used != 0) rows.push_back({"used", format_rfc3339(channel->used)});
  if (channel->withdrawable) {
    rows.push_back({"can be taken back", time_until(*channel->withdrawable, now)});
  }
  auto printed = print(table(rows));
  return printed ? Result<int>(0) : Result<int>(printed.error());
}

// ---- close

bool is_same_endpoint(const Channel& channel, const http::Url& url) {
  const auto own = http::parse_url(channel.url);
  return own && own->origin() == url.origin() && own->path == url.path;
}

/// The sessions that the arguments name.
Result<std::vector<Channel>> SessionsCommand::targets(Channels& known) {
  auto open = known.list(false);
  if (!open) return open.error();
  if (all_) {
    std::erase_if(*open, [&](const Channel& channel) {
      return !options_.account.empty() && channel.account != options_.account;
    });
    if (finalize_) {
      std::erase_if(
          *open, [](const Channel& channel) { return channel.status != ChannelStatus::closing; });
    }
    return open;
  }
  std::vector<Channel> found;
  for (const std::string& which : which_) {
    const bool is_url = which.find("://") != std::string::npos ||
                        which.find('.') != std::string::npos ||
                        which.find(':') != std::string::npos || which.starts_with("localhost");
    if (!is_url) {
      auto channel = known.find(which);
      if (!channel && is_whole_id(which)) channel = adopt_orphan(known, which);
      if (!channel) return channel.error();
      found.push_back(std::move(*channel));
      continue;
    }
    const auto url = http::parse_url(which);
    if (!url) return url.error();
    const std::size_t before = found.size();
    for (const Channel& channel : *open) {
      if (is_same_endpoint(channel, *url)) found.push_back(channel);
    }
    const bool is_page = found.size() != before;
    for (const Channel& channel : *open) {  // an origin, or another page of it
      if (!is_page && channel.origin == url->origin()) found.push_back(channel);
    }
    if (found.size() == before) {
      return Error{Kind::usage, "no open session with " + printable(which, 200),
                   "see paycurl sessions list"};
    }
  }
  return found;
}

Result<Spender*> SessionsCommand::spender_of(const Channel& channel) {
  const std::string account = options_.account.empty() ? channel.account : options_.account;
  return wallet_->spender_of({account, channel.payer}, limits_, channel.method);
}

ClosePlan SessionsCommand::plan_of_close() const {
  ClosePlan plan;
  plan.force = force_;
  plan.finalize = finalize_;
  plan.patience = session_choice_of(options_).patience;
  plan.allow_http = options_.allow_http;
  plan.unverified_tls = options_.insecure;
  plan.deadlines = paid_deadlines_of(options_);
  plan.deadlines.total = std::chrono::seconds(60);
  return plan;
}

Closed SessionsCommand::close_one(const Channel& channel, const ClosePlan& plan) {
  Closed closed;
  closed.channel = channel;
  const auto spender = spender_of(channel);
  ClosePlan own = plan;
  own.allow_http = allows_http(globals_->settings.config.rules, channel.origin, own.allow_http);
  if (spender) return close_channel(channel, own, network_, **spender);
  closed.error = spender.error();
  return closed;
}

/// What --dry-run says of one.
Json SessionsCommand::would_close(const Channel& channel) const {
  Closed closed;
  closed.channel = channel;
  closed.status = "closed";
  if (!globals_->json) {
    (void)print("would close " + shortened(channel.id) + " with " + printable(channel.origin, 100) +
                ": " + describe(Money{channel.spent, channel.asset}) + " spent, " +
                describe(Money{channel.remaining(), channel.asset}) + " would come back\n");
  }
  return closed_json(closed).set("dryRun", true);
}

Result<int> SessionsCommand::close() {
  const auto known = wallet_->channels();
  if (!known) return known.error();
  const auto found = targets(**known);
  if (!found) return found.error();
  const ClosePlan plan = plan_of_close();
  int status = 0;
  Json results = Json::array();
  std::size_t failed_count = 0;
  Result<> unsaid;
  for (const Channel& channel : *found) {
    if (dry_run_) {
      results.push(would_close(channel));
      continue;
    }
    const Closed closed = close_one(channel, plan);
    results.push(closed_json(closed));
    if (closed.error) {
      ++failed_count;
      Error error = *closed.error;
      error.message.insert(0, "session " + shortened(channel.id) + ": ");
      say_error(error);
      status = graver(status, error.exit_status());
    } else if (!globals_->json && !globals_->silent) {
      if (auto printed = print(describe(closed) + "\n"); !printed) unsaid = printed;
    }
  }
  const bool quiet = globals_->json || globals_->silent;
  if (found->empty() && !quiet) (void)print("no session is open\n");
  if (failed_count != 0 && found->size() > 1) {
    say("paycurl: " + std::to_string(failed_count) + " of " + std::to_string(found->size()) +
        " sessions were not closed");
  }
  if (globals_->json) unsaid = print_json(envelope().set("results", std::move(results)));
  if (unsaid) return status;
  say_error(unsaid.error());
  return graver(status, unsaid.error().exit_status());
}

// ---- sync

/// Says what differs between a row and what the chain knows, and makes the row that. Nothing is
/// lowered that we signed.
class Comparison {
 public:
  Comparison(Channel row, const Escrow::Facts& facts) : now_(std::move(row)), facts_(facts) {
    if (now_.status == ChannelStatus::opening) {
      compare_opening();
    } else if (!facts_.exists) {
      if (now_.status != ChannelStatus::closed) end();
    } else if (now_.status == ChannelStatus::closed) {
      change(ChannelStatus::open, "is not closed");
    }
    if (facts_.exists) compare_numbers();
  }

  const std::string& text() const { return text_; }
  const Channel& now() const { return now_; }

 private:
  void say(const std::string& what) { text_ += (text_.empty() ? "" : ", ") + what; }
  void change(ChannelStatus to, const std::string& what) {
    now_.status = to;
    say(what);
  }
  void end() {
    now_.withdrawable.reset();
    change(ChannelStatus::closed, "is closed");
  }
  void compare_opening() {
    if (facts_.exists) {
      now_.opening.clear();
      change(ChannelStatus::open, "is open");
    } else if (facts_.now > now_.opening_until + 6'000) {
      now_.deposit = Amount();
      now_.opening.clear();
      change(ChannelStatus::closed, "was never opened");
    }
  }
  void compare_numbers() {
    if (now_.deposit != facts_.deposit) {
      now_.deposit = facts_.deposit;
      say("has a deposit of " + describe(Money{facts_.deposit, now_.asset}));
    }
    if (now_.spent < facts_.settled && facts_.settled <= now_.signed_amount) {
      now_.spent = facts_.settled;
      now_.accepted = std::max(now_.accepted, facts_.settled);
      say("has settled " + describe(Money{facts_.settled, now_.asset}));
    }
    if (now_.withdrawable == facts_.withdrawable) return;
    now_.withdrawable = facts_.withdrawable;
    const bool closing = facts_.withdrawable.has_value();
    change(closing ? ChannelStatus::closing : ChannelStatus::open,
           closing ? "is closing" : "is not closing any more");
  }

  Channel now_;
  const Escrow::Facts& facts_;
  std::string text_;
};

/// What changed, as JSON; null when nothing did.
Result<Json> SessionsCommand::sync_one(Channels& known, const Channel& channel,
                                       const Escrow::Facts& facts) {
  auto lock = known.lock(channel.scope, session_choice_of(options_).patience);
  if (!lock) return lock.error();
  const auto fresh = known.get(channel.id);
  if (!fresh) return fresh.error();
  if (!*fresh || facts.undecided) return Json();
  const Comparison compared(**fresh, facts);
  if (compared.text().empty()) return Json();
  if (auto saved = known.save(compared.now()); !saved) return saved.error();
  if (!globals_->json && !globals_->silent) {
    (void)print("session " + shortened(channel.id) + " " + compared.text() + "\n");
  }
  return Json::object({{"id", channel.id},
                       {"before", name_of((*fresh)->status)},
                       {"after", name_of(compared.now().status)},
                       {"message", compared.text()}});
}

/// Rows that the chain may know more about: not those that were closed long ago.
Result<std::vector<Channel>> SessionsCommand::rows_to_sync(Channels& known,
                                                           const std::string& method) {
  constexpr Millis kDay = 24 * 60 * 60 * 1000;
  auto rows = known.list(true);
  if (!rows) return rows.error();
  const Millis now = system_now();
  std::erase_if(*rows, [&](const Channel& row) {
    const bool is_old = row.status == ChannelStatus::closed && row.used + kDay < now;
    return is_old || row.method != method;
  });
  return rows;
}

Result<int> SessionsCommand::sync() {
  const auto known = channels();
  if (!known) return known.error();
  Json changes = Json::array();
  int status = 0;
  std::size_t count = 0;
  for (const auto& method : network_.methods) {
    if (method->escrow() == nullptr || *known == nullptr) continue;
    const auto rows = rows_to_sync(**known, std::string(method->name()));
    if (!rows) return rows.error();
    count += rows->size();
    if (rows->empty()) continue;
    const auto facts = method->escrow()->look_at(
        *rows, [this](const Channel& channel) { return spender_of(channel); }, *network_.client);
    if (!facts) return facts.error();
    for (std::size_t i = 0; i < rows->size(); ++i) {
      auto change = sync_one(**known, (*rows)[i], (*facts)[i]);
      if (!change) {
        say_error(change.error());
        status = graver(status, change.error().exit_status());
      } else if (!change->is_null()) {
        changes.push(std::move(*change));
      }
    }
  }
  if (!globals_->json) {
    if (changes.items()->empty() && !globals_->silent && status == 0) {
      (void)print("nothing has changed in " + std::to_string(count) + " sessions\n");
    }
    return status;
  }
  auto after = *known == nullptr ? Result<std::vector<Channel>>(std::vector<Channel>())
                                 : (*known)->list(false);
  if (!after) return after.error();
  const auto printed = print_sessions(*after, std::move(changes));
  return printed ? graver(status, *printed) : printed;
}

// ---- import

Result<int> SessionsCommand::import() {
  const auto foreign = mppx_sessions();
  if (!foreign) return foreign.error();
  std::vector<Channel> chosen;
  for (const Channel& channel : *foreign) {
    const bool named = std::any_of(which_.begin(), which_.end(), [&](std::string which) {
      if (which.starts_with("mppx:")) which.erase(0, 5);
      return channel.id.starts_with(lower(which));
    });
    if (all_ || named) chosen.push_back(channel);
  }
  const auto known = wallet_->channels();
  if (!known) return known.error();
  if (chosen.empty() && which_.size() == 1 && is_whole_id(which_.front())) {
    auto lost = adopt_orphan(**known, which_.front());
    if (!lost) return lost.error();
    return globals_->json ? print_sessions({*lost}, Json()) : Result<int>(0);
  }
  if (chosen.empty()) {
    return Error{Kind::usage, "mppx has no such session", "see paycurl sessions list"};
  }
  std::vector<Channel> imported;
  for (Channel& channel : chosen) {
    const auto there = (*known)->get(channel.id);
    if (!there) return there.error();
    if (*there) {
      say_note("session " + shortened(channel.id) + " is here already");
      continue;
    }
    if (auto inserted = (*known)->insert(channel); !inserted) return inserted.error();
    imported.push_back(channel);
    if (!globals_->json && !globals_->silent) {
      (void)print(
          "took over session " + shortened(channel.id) +
          "; pay with it here only: two tools that sign for one channel get in each other's way\n");
    }
  }
  return globals_->json ? print_sessions(imported, Json()) : Result<int>(0);
}

}  // namespace

std::unique_ptr<Command> make_sessions() {
  return std::make_unique<SessionsCommand>();
}

}  // namespace paycurl
