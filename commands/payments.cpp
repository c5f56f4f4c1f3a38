// paycurl payments: the journal of what was paid, and the way out of doubt.
#include <algorithm>

#include "commands/audience.h"
#include "commands/json.h"
#include "commands/kept_body.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/wallet.h"
#include "src/base/text.h"
#include "src/protocols/protocols.h"

namespace paycurl {
namespace {

/// "2026-11-20" or RFC 3339.
Result<std::optional<Millis>> parse_time(const std::string& text) {
  if (text.empty()) return std::optional<Millis>();
  auto time = parse_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time) {
    return Error{Kind::usage, "not a time: " + printable(text, 40),
                 "write 2026-11-20 or 2026-11-20T12:00:00Z"};
  }
  return time;
}

std::string csv_field(const std::string& text) {
  // A field that starts like a formula would be run by spreadsheets.
  const bool is_formula =
      !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
  std::string out = is_formula ? "'" : "";
  for (const char c : text) {
    out += c == '"' ? std::string("\"\"") : std::string(1, c);
  }
  const bool quoted = out.find_first_of(",\"\r\n") != std::string::npos;
  return quoted ? "\"" + out + "\"" : out;
}

std::string csv_line(const Row& row) {
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : "";
  };
  const std::vector<std::string> fields{row.id,
                                        format_rfc3339(row.time),
                                        std::string(name_of(row.status)),
                                        row.http_method,
                                        row.url,
                                        number(row.http_status),
                                        row.protocol,
                                        row.method,
                                        row.intent,
                                        format_units(row.paid.amount, row.paid.asset.decimals),
                                        row.paid.asset.symbol,
                                        row.paid.asset.network,
                                        format_units(row.fee, row.given().asset.decimals),
                                        row.recipient,
                                        row.payer,
                                        row.account,
                                        row.reference.value_or("")};
  std::string line;
  for (const std::string& field : fields) {
    line += (line.empty() ? "" : ",") + csv_field(field);
  }
  return line + "\n";
}

constexpr std::string_view kCsvHead =
    "id,time,status,http_method,url,http_status,protocol,method,intent,amount,currency,network,fee,"
    "recipient,payer,account,reference\n";

/// A sum of one asset.
struct Total {
  std::string group;
  Money sum;
  std::int64_t count = 0;
};

void add_up(std::vector<Total>& totals, const std::string& group, const Money& money) {
  auto at = std::find_if(totals.begin(), totals.end(), [&](const Total& total) {
    return total.group == group && total.sum.asset == money.asset;
  });
  if (at == totals.end()) at = totals.insert(at, {group, {Amount(), money.asset}, 0});
  at->sum.amount = at->sum.amount.plus(money.amount).value_or(at->sum.amount);
  ++at->count;
}

Json total_json(const Total& total) {
  const Asset& asset = total.sum.asset;
  return Json::object({{"symbol", asset.symbol},
                       {"network", asset.network},
                       {"paid", format_units(total.sum.amount, asset.decimals)},
                       {"count", total.count}});
}

/// What --totals counts this payment under.
std::string group_of(const Row& row, std::string_view by) {
  if (by == "day") return format_rfc3339(row.time).substr(0, 10);
  if (by == "host") {
    const std::size_t scheme = row.origin.find("://");
    return scheme == std::string::npos ? row.origin : row.origin.substr(scheme + 3);
  }
  const Asset& asset = row.paid.asset;
  return asset.token.empty() ? asset.symbol : asset.token;
}

class PaymentsCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set_ = &set;
    set.in("Payments")
        .positional("verb", verb_, "what to do")
        .positional("id", ids_, "a payment: its ID, the start of it, or last")
        .value("--limit", filter_.limit, "N", "list: at most that many (20)")
        .value("--since", since_, "TIME", "from that time on")
        .value("--until", until_, "TIME", "before that time")
        .value("--host", filter_.host, "NAME", "of that host")
        .value("--status", filter_.status, "WORD", "settled, unknown, rejected or not_sent")
        .value("--totals", totals_, "WORD", "list, export: sums by host, day or token")
        .value("-a,--account", filter_.account, "NAME", "of that account")
        .flag("--body", body_, "show: print the kept body again")
        .value("-o,--output", output_, "FILE", "resume: write the body to this file")
        .value("--rpc-url", options_.rpc_url, "URL", "resume: the chain's node to ask")
        .value("--network", options_.network, "NAME", "resume: mainnet, testnet or a chain id")
        .flag("--offline", options_.offline, "resume: never ask a chain's node")
        .value("--password-fd", password_.fd, "N",
               "read the key file's password from this descriptor")
        .value("--password-file", password_.file, "FILE",
               "read the key file's password from this file");
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<> check_arguments() const;
  Result<> list(const Globals& globals, bool whole_journal);
  Result<> show_totals(const Globals& globals);
  Result<> export_rows(const Globals& globals);
  Result<> show(const Globals& globals);
  Result<int> resume(const Globals& globals);
  Result<std::vector<Row>> rows_to_resume(const Globals& globals);
  Outcome resume_one(const Globals& globals, const Row& row);
  Result<Ledger*> ledger(const Globals& globals);

  OptionSet* set_ = nullptr;
  std::string verb_, since_, until_, totals_, output_;
  std::vector<std::string> ids_;
  LedgerFilter filter_;
  bool body_ = false;
  PasswordChoice password_;
  RequestOptions options_;
  Limits limits_;
  std::unique_ptr<Wallet> wallet_;
  Network network_;
};

Result<int> PaymentsCommand::run(const Globals& globals) {
  const auto since = parse_time(since_);
  const auto until = parse_time(until_);
  if (!since) return since.error();
  if (!until) return until.error();
  filter_.since = *since;
  filter_.until = *until;
  if (filter_.limit < 1) return Error{Kind::usage, "--limit is at least 1"};
  if (auto fine = check_arguments(); !fine) return fine.error();
  limits_ = limits_of_files(globals.settings.config.rules);
  wallet_ = std::make_unique<Wallet>(globals, password_);
  const auto done = [](const Result<>& result) {
    return result ? Result<int>(0) : Result<int>(result.error());
  };
  if (!totals_.empty()) return done(show_totals(globals));
  if (verb_ == "list" || verb_.empty()) return done(list(globals, false));
  if (verb_ == "export") return done(export_rows(globals));
  if (verb_ == "show" || verb_ == "view") return done(show(globals));
  if (verb_ == "resume") return resume(globals);
  return Error{Kind::usage, "not something to do with payments: " + printable(verb_, 40),
               "list, show, resume and export are"};
}

/// What would be ignored is refused.
Result<> PaymentsCommand::check_arguments() const {
  const bool names_one = verb_ == "show" || verb_ == "view" || verb_ == "resume";
  if (!ids_.empty() && (!names_one || (ids_.size() > 1 && verb_ != "resume"))) {
    return Error{Kind::usage, "unexpected argument " + printable(ids_.back(), 80)};
  }
  if (!output_.empty() && verb_ != "resume") {
    return Error{Kind::usage, "-o is for resume", "send the output to a file with >"};
  }
  if (!totals_.empty() && verb_ != "list" && verb_ != "export" && !verb_.empty()) {
    return Error{Kind::usage, "--totals is for list and export"};
  }
  constexpr std::array<std::string_view, 4> kTotals{"", "host", "day", "token"};
  if (std::find(kTotals.begin(), kTotals.end(), totals_) == kTotals.end()) {
    return Error{Kind::usage, "no totals by " + printable(totals_, 40), "host, day and token are"};
  }
  constexpr std::array<std::string_view, 5> kStatus{"", "settled", "unknown", "rejected",
                                                    "not_sent"};
  if (std::find(kStatus.begin(), kStatus.end(), filter_.status) == kStatus.end()) {
    return Error{Kind::usage, "not a status: " + printable(filter_.status, 40),
                 "settled, unknown, rejected and not_sent are"};
  }
  return {};
}

/// Reading must not create a journal where there is none.
Result<Ledger*> PaymentsCommand::ledger(const Globals& globals) {
  if (auto folder = globals.settings.need_state_folder(); !folder) return folder.error();
  const auto state = wallet_->state(false);
  if (!state) return state.error();
  return *state == nullptr ? Result<Ledger*>(nullptr) : wallet_->ledger();
}

Result<> PaymentsCommand::list(const Globals& globals, bool whole_journal) {
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  LedgerFilter filter = filter_;
  filter.limit = whole_journal ? INT64_MAX - 1 : filter_.limit;
  ++filter.limit;  // one more tells whether there are more
  auto found =
      *journal == nullptr ? Result<std::vector<Row>>(std::vector<Row>()) : (*journal)->list(filter);
  if (!found) return found.error();
  const bool more = static_cast<std::int64_t>(found->size()) == filter.limit;
  if (more) found->pop_back();
  const Millis now = system_now();
  if (globals.json_lines) {
    std::string lines;
    for (const Row& row : *found) {
      lines += with_hidden_escaped(payment_json(row, now).dump()) + "\n";
    }
    return print(lines);
  }
  if (!globals.json) {
    std::vector<std::vector<std::string>> rows;
    for (const Row& row : *found) {
      rows.push_back({row.id, format_rfc3339(row.time / 1000 * 1000),
                      std::string(name_of(row.status)), describe(row.paid),
                      printable(row.http_method, 10), printable(row.url, 100)});
    }
    if (auto printed = print(rows.empty() ? "no payments\n" : table(rows)); !printed) {
      return printed;
    }
    return more ? print("(more: --limit N)\n") : Result<>();
  }
  Json payments = Json::array();
  std::vector<Total> totals;
  for (const Row& row : *found) {
    payments.push(payment_json(row, now));
    if (row.status == PaymentStatus::settled) add_up(totals, "", row.paid);
  }
  Json sums = Json::array();
  for (const Total& total : totals) {
    sums.push(total_json(total));
  }
  return print_json(envelope()
                        .set("payments", std::move(payments))
                        .set("totals", std::move(sums))
                        .set("more", more));
}

/// Sums over the whole journal, of what was settled, unless --limit and --status say otherwise.
Result<> PaymentsCommand::show_totals(const Globals& globals) {
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  LedgerFilter filter = filter_;
  if (!set_->given("--limit")) filter.limit = INT64_MAX;
  if (filter.status.empty()) filter.status = name_of(PaymentStatus::settled);
  const auto found =
      *journal == nullptr ? Result<std::vector<Row>>(std::vector<Row>()) : (*journal)->list(filter);
  if (!found) return found.error();
  std::vector<Total> totals, sums;
  for (const Row& row : *found) {
    add_up(totals, group_of(row, totals_), row.paid);
    add_up(sums, "", row.paid);
  }
  const bool is_csv = verb_ == "export" && !globals.json && !globals.json_lines;
  Json groups = Json::array(), all = Json::array();
  std::string text = is_csv ? totals_ + ",currency,network,paid,count\n" : "";
  std::vector<std::vector<std::string>> rows;
  for (const Total& total : totals) {
    const Asset& asset = total.sum.asset;
    Json group = total_json(total);
    group.set("by", totals_).set("key", total.group);
    if (globals.json_lines) text += with_hidden_escaped(group.dump()) + "\n";
    if (is_csv) {
      text += csv_field(total.group) + "," + csv_field(asset.symbol) + "," +
              csv_field(asset.network) + "," + format_units(total.sum.amount, asset.decimals) +
              "," + std::to_string(total.count) + "\n";
    }
    groups.push(std::move(group));
    rows.push_back({printable(total.group, 100), describe(total.sum), asset.network,
                    std::to_string(total.count)});
  }
  if (globals.json_lines || is_csv) return print(text);
  if (!globals.json) return print(rows.empty() ? "no payments\n" : table(rows));
  for (const Total& sum : sums) {
    all.push(total_json(sum));
  }
  return print_json(envelope()
                        .set("payments", Json::array())
                        .set("totals", std::move(all))
                        .set("groups", std::move(groups))
                        .set("more", false));
}

/// The whole journal unless --limit says otherwise; CSV unless a format says otherwise.
Result<> PaymentsCommand::export_rows(const Globals& globals) {
  const bool limited = set_->given("--limit");
  if (globals.json || globals.json_lines) return list(globals, !limited);
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  std::string text{kCsvHead};
  if (*journal != nullptr) {
    LedgerFilter filter = filter_;
    if (!limited) filter.limit = INT64_MAX;
    const auto found = (*journal)->list(filter);
    if (!found) return found.error();
    for (const Row& row : *found) {
      text += csv_line(row);
    }
  }
  return print(text);
}

Result<> PaymentsCommand::show(const Globals& globals) {
  if (ids_.empty()) {
    return Error{Kind::usage, "which payment? give its ID, or last", "see paycurl payments list"};
  }
  const std::string& id = ids_.front();
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  if (*journal == nullptr) return Error{Kind::usage, "no payment " + printable(id, 40)};
  const auto row = (*journal)->find(id);
  if (!row) return row.error();
  if (body_) return read_kept_body(globals.settings.state_folder, *row, &print);
  Json json = payment_json(*row, system_now());
  Json challenge = stored_json(row->challenge);
  // With the preimage, which the wallet finds, the token of L402 is a credential.
  if (row->protocol == "l402") challenge.set("token", "[hidden]");
  json.set("challenge", std::move(challenge)).set("receipt", stored_json(row->receipt));
  json.set("requestDigest", row->digest);
  Json list = Json::array();
  for (const Event& event : row->events) {
    list.push(Json::object({{"time", format_rfc3339(event.time)}, {"state", event.state}}));
  }
  json.set("events", std::move(list));
  json.set("body", row->body_size && row->body_expires
                       ? Json::object({{"size", *row->body_size},
                                       {"type", Json::or_null(row->body_type)},
                                       {"expires", format_rfc3339(*row->body_expires)}})
                       : Json());
  if (globals.json) return print_json(envelope().set("payment", std::move(json)));
  std::vector<std::vector<std::string>> rows{
      {"payment", row->id},
      {"status", std::string(name_of(row->status))},
      {"time", format_rfc3339(row->time)},
      {"request", printable(row->http_method, 20) + " " + printable(row->url, 400)},
      {"paid", describe(row->paid) + " on " + row->paid.asset.network},
      {"to", row->recipient},
      {"from", row->payer + " (" + printable(row->account, 70) + ")"},
      {"for", row->method + "/" + row->intent + " challenge " + printable(row->challenge_id, 100)},
  };
  const auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (value) rows.push_back({name, printable(*value, 400)});
  };
  add("reference", row->reference);
  add("receipt", row->receipt);
  if (row->http_status) rows.push_back({"answer", std::to_string(*row->http_status)});
  if (row->status == PaymentStatus::unknown) {
    rows.push_back({"in doubt until", format_rfc3339(row->valid_until)});
  }
  for (const Event& event : row->events) {
    rows.push_back({event.state, format_rfc3339(event.time)});
  }
  if (row->body_expires && *row->body_expires > system_now()) {
    rows.push_back({"body", std::to_string(*row->body_size) + " bytes, kept until " +
                                format_rfc3339(*row->body_expires)});
  }
  return print(table(rows));
}

Outcome PaymentsCommand::resume_one(const Globals& globals, const Row& row) {
  Destination to;
  to.file.name = output_;
  to.discard = globals.json && output_.empty();
  RequestAudience audience(globals, to);
  FlowOptions flow;
  // The row was begun under the rules of its own run; to this machine that was without a proxy.
  const auto url = http::parse_url(row.url);
  flow.preference.allow_http = url && !url->is_loopback();
  flow.paid_deadlines = paid_deadlines_of(options_);
  FlowParts parts{*network_.client,
                  network_.protocol_list(),
                  network_.method_list(),
                  limits_,
                  {},
                  {},
                  nullptr,
                  [this, &row](const std::string& method) {
                    return wallet_->spender_of({row.account, row.payer}, limits_, method);
                  },
                  {},
                  [](const Offer&, const Payer&) { return Result<>(); },
                  globals.settings.state_folder,
                  audience,
                  &system_now};
  Outcome outcome = Flow(std::move(parts), std::move(flow)).resume(row);
  if (auto finished = audience.finish(outcome); !finished && !outcome.error) {
    outcome.error = not_written(row, finished.error());
  }
  return outcome;
}

/// The named payments, each once, or every one that is in doubt.
Result<std::vector<Row>> PaymentsCommand::rows_to_resume(const Globals& globals) {
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  if (ids_.empty() || (ids_.size() == 1 && ids_.front() == "all")) {
    return *journal == nullptr ? Result<std::vector<Row>>(std::vector<Row>())
                               : (*journal)->in_doubt();
  }
  std::vector<Row> rows;
  for (const std::string& id : ids_) {
    if (*journal == nullptr) return Error{Kind::usage, "no payment " + printable(id, 40)};
    auto row = (*journal)->find(id);
    if (!row) return row.error();
    const bool is_new = std::none_of(rows.begin(), rows.end(),
                                     [&](const Row& other) { return other.seq == row->seq; });
    if (is_new) rows.push_back(std::move(*row));
  }
  return rows;
}

Result<int> PaymentsCommand::resume(const Globals& globals) {
  const auto rows = rows_to_resume(globals);
  if (!rows) return rows.error();
  if (!output_.empty() && rows->size() > 1) {
    return Error{Kind::usage,
                 "-o takes the body of one payment, and there are " + std::to_string(rows->size()),
                 "name it"};
  }
  auto network = make_network(globals, options_);
  if (!network) return network.error();
  network_ = std::move(*network);
  int status = 0;
  bool any_settled = false;
  Json results = Json::array();
  for (const Row& row : *rows) {
    Outcome outcome;
    outcome.row = row;
    if (row.status == PaymentStatus::unknown) outcome = resume_one(globals, row);
    const PaymentStatus after = outcome.row ? outcome.row->status : row.status;
    outcome.payment = after;
    any_settled = any_settled || (row.status != after && after == PaymentStatus::settled);
    results.push(
        Json::object({{"id", row.id},
                      {"before", name_of(row.status)},
                      {"after", name_of(after)},
                      {"delivered", outcome.delivered},
                      {"error", outcome.error ? error_json(*outcome.error, &outcome) : Json()}}));
    if (outcome.error) {
      say_error(*outcome.error);
      status = graver(status, outcome.error->exit_status());
    } else if (!globals.silent && !globals.json) {
      say("payment " + row.id + " is " + std::string(name_of(after)));
    }
  }
  if (rows->empty() && !globals.silent && !globals.json) say("no payment is in doubt");
  if (!globals.json) return status;
  const auto printed = print_json(envelope().set("results", std::move(results)));
  if (printed) return status;
  say_error(printed.error());
  return graver(status, any_settled ? static_cast<int>(Kind::not_delivered) : 23);
}

}  // namespace

std::unique_ptr<Command> make_payments() {
  return std::make_unique<PaymentsCommand>();
}

}  // namespace paycurl
