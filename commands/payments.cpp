// paycurl payments: the journal of what was paid, and the way out of doubt.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "commands/audience.h"
#include "commands/json.h"
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

class PaymentsCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set_ = &set;
    set.in("Payments")
        .positional("verb", verb_, "what to do")
        .positional("id", id_, "a payment: its ID, the start of it, or last")
        .value("--limit", filter_.limit, "N", "list: at most that many (20)")
        .value("--since", since_, "TIME", "from that time on")
        .value("--until", until_, "TIME", "before that time")
        .value("--host", filter_.host, "NAME", "of that host")
        .value("--status", filter_.status, "WORD", "settled, unknown, rejected or not_sent")
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
  Result<> export_rows(const Globals& globals);
  Result<> show(const Globals& globals);
  Result<> show_body(const Globals& globals, const Row& row);
  Result<int> resume(const Globals& globals);
  Result<std::vector<Row>> rows_to_resume(const Globals& globals);
  Outcome resume_one(const Globals& globals, const Row& row);
  Result<Ledger*> ledger(const Globals& globals);

  OptionSet* set_ = nullptr;
  std::string verb_, id_, since_, until_, output_;
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
  wallet_ = std::make_unique<Wallet>(globals, password_);
  const auto done = [](const Result<>& result) {
    return result ? Result<int>(0) : Result<int>(result.error());
  };
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
  if (!id_.empty() && !names_one) {
    return Error{Kind::usage, "unexpected argument " + printable(id_, 80)};
  }
  if (!output_.empty() && verb_ != "resume") {
    return Error{Kind::usage, "-o is for resume", "send the output to a file with >"};
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
  struct Total {
    Money sum;
    std::int64_t count;
  };
  std::vector<Total> totals;
  for (const Row& row : *found) {
    payments.push(payment_json(row, now));
    if (row.status != PaymentStatus::settled) continue;
    auto at = std::find_if(totals.begin(), totals.end(),
                           [&](const Total& total) { return total.sum.asset == row.paid.asset; });
    if (at == totals.end()) at = totals.insert(at, {{Amount(), row.paid.asset}, 0});
    at->sum.amount = at->sum.amount.plus(row.paid.amount).value_or(at->sum.amount);
    ++at->count;
  }
  Json sums = Json::array();
  for (const Total& total : totals) {
    const Asset& asset = total.sum.asset;
    sums.push(Json::object({{"symbol", asset.symbol},
                            {"network", asset.network},
                            {"paid", format_units(total.sum.amount, asset.decimals)},
                            {"count", total.count}}));
  }
  return print_json(envelope()
                        .set("payments", std::move(payments))
                        .set("totals", std::move(sums))
                        .set("more", more));
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

Result<> PaymentsCommand::show_body(const Globals& globals, const Row& row) {
  const auto fd = Spool::open(globals.settings.state_folder, row.id);
  if (!fd) return fd.error();
  struct stat status {};
  Result<> written;
  // After a power loss the file may be shorter than its row says.
  if (!row.body_size || ::fstat(*fd, &status) != 0 || status.st_size != *row.body_size) {
    written = Error{Kind::usage, "the body of payment " + row.id + " was not kept whole"};
  }
  std::string chunk(64 * 1024, '\0');
  ssize_t got = 1;
  while (written && got > 0) {
    got = ::read(*fd, chunk.data(), chunk.size());
    if (got < 0) {
      written =
          Error{Kind::internal, std::string("reading the kept body: ") + std::strerror(errno)};
    } else {
      written = print(std::string_view(chunk).substr(0, static_cast<std::size_t>(got)));
    }
  }
  ::close(*fd);
  return written;
}

Result<> PaymentsCommand::show(const Globals& globals) {
  if (id_.empty()) {
    return Error{Kind::usage, "which payment? give its ID, or last", "see paycurl payments list"};
  }
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  if (*journal == nullptr) return Error{Kind::usage, "no payment " + printable(id_, 40)};
  const auto row = (*journal)->find(id_);
  if (!row) return row.error();
  if (body_) return show_body(globals, *row);
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
  to.output = output_;
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

/// The named payment, or every one that is in doubt.
Result<std::vector<Row>> PaymentsCommand::rows_to_resume(const Globals& globals) {
  const auto journal = ledger(globals);
  if (!journal) return journal.error();
  if (id_.empty()) {
    return *journal == nullptr ? Result<std::vector<Row>>(std::vector<Row>())
                               : (*journal)->in_doubt();
  }
  if (*journal == nullptr) return Error{Kind::usage, "no payment " + printable(id_, 40)};
  auto row = (*journal)->find(id_);
  if (!row) return row.error();
  return std::vector<Row>{std::move(*row)};
}

Result<int> PaymentsCommand::resume(const Globals& globals) {
  const auto rows = rows_to_resume(globals);
  if (!rows) return rows.error();
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
