#include "commands/once.h"

#include <thread>
#include <utility>

#include "commands/kept_body.h"
#include "commands/signals.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{20};

Outcome failed_with(const Row& row, Error error) {
  Outcome outcome;
  outcome.payment = row.status;
  outcome.row = row;
  outcome.error = std::move(error);
  return outcome;
}

/// The answer of a payment that is over, as far as it was kept: its status, type and body.
Outcome kept_answer(const OnceParts& parts, const Row& row) {
  Outcome outcome;
  outcome.payment = row.status;
  outcome.row = row;
  http::Head head;
  const std::string status = std::to_string(row.http_status.value_or(0));
  http::add_head_line(head, "HTTP/1.1 " + status + "\r\n");
  if (row.body_type) http::add_head_line(head, "Content-Type: " + *row.body_type + "\r\n");
  http::add_head_line(head, "\r\n");
  outcome.head = head;
  if (auto url = http::parse_url(row.url)) outcome.url = std::move(*url);
  if (auto json = row.receipt ? Json::parse(*row.receipt) : Result<Json>(Json());
      row.receipt && json) {
    outcome.receipt = Receipt{row.method, row.reference.value_or(""), "", std::move(*json)};
  }
  const auto fail = [&](Error error) {
    outcome.error = std::move(error);
    return std::move(outcome);
  };
  if (auto ready = parts.audience.prepare(); !ready) return fail(ready.error());
  if (auto shown = parts.audience.head(head, HeadRole::answer); !shown) return fail(shown.error());
  Result<> written;
  const auto read = read_kept_body(parts.state_folder, row, [&](std::string_view bytes) {
    outcome.body_size += static_cast<std::int64_t>(bytes.size());
    written = parts.audience.body(bytes);
    return written;
  });
  if (!written) return fail(not_written(row, written.error()));
  if (!read) {
    return fail({Kind::not_delivered, "paid before, but " + read.error().message,
                 "the payment is in: paycurl payments show " + row.id, "not_kept"});
  }
  parts.audience.note("payment " + row.id + " for " + row.url + " is printed again");
  outcome.stats.received = outcome.body_size;
  outcome.delivered = true;
  if (parts.fail && head.status >= 400) {
    return fail({Kind::not_delivered,
                 "paid before, but the server answered " + std::to_string(head.status),
                 "the payment is in: paycurl payments show " + row.id, "http_status"});
  }
  return outcome;
}

Error held(const OnceParts& parts, const Row& row) {
  const std::string name = "payment " + row.id + " for --once " + parts.key;
  if (row.status == PaymentStatus::rejected) {
    if (row.session) {
      return {Kind::outcome_unknown, name + " was refused, and its voucher can still be redeemed",
              "see the session: paycurl sessions show " + row.session->substr(0, 10), "once"};
    }
    const std::string until = format_rfc3339(row.valid_until / 1000 * 1000);
    return {Kind::outcome_unknown, name + " was refused and can still settle until " + until,
            "run the command again after that", "once"};
  }
  return {Kind::outcome_unknown, "another process is at " + name,
          "see how it ended: paycurl payments show " + row.id, "once"};
}

/// Whether only the same command can finish it: the journal has not the whole request.
bool needs_command(const Row& row) {
  return !row.request || !row.request->complete;
}

}  // namespace

OnceOutcome pay_once(const OnceParts& parts) {
  const auto end = steady_clock::now() + parts.patience;
  std::int64_t nothing_of = 0;  // the row that came to nothing
  while (true) {
    const auto journal = parts.journal();
    Outcome unreadable;
    if (!journal) {
      unreadable.error = journal.error();
      return {std::move(unreadable)};
    }
    auto found = *journal == nullptr ? Result<std::optional<Row>>(std::nullopt)
                                     : (*journal)->with_once(parts.key);
    if (!found) {
      unreadable.error = found.error();
      return {std::move(unreadable)};
    }
    const bool is_held = found->has_value();
    // Who pays for it may still be at its body: only a row that nobody works on is whole.
    auto whole = is_held ? (*journal)->at_rest(**found) : Result<std::optional<Row>>(std::nullopt);
    if (!whole) {
      unreadable.error = whole.error();
      return {std::move(unreadable)};
    }
    const Row* row = *whole ? &**whole : nullptr;
    if (row != nullptr && row->status != (*found)->status) continue;  // it ended in between
    if (row != nullptr && row->status == PaymentStatus::settled) {
      return {kept_answer(parts, *row), true};
    }
    const bool in_doubt = row != nullptr && row->status == PaymentStatus::unknown;
    if (!is_held || in_doubt) {
      const bool resumes = in_doubt && !needs_command(*row);
      Outcome outcome = resumes ? parts.resume(*row) : parts.pay();
      if (resumes && !outcome.error && !outcome.head) continue;  // another process finished it
      const bool lost = outcome.error &&
                        (outcome.error->reason == "once" || outcome.error->reason == "in_flight");
      const bool came_to_nothing =
          resumes && outcome.error && outcome.error->kind == Kind::rejected;
      if (!lost && !came_to_nothing) return {std::move(outcome)};
      // The key is free now, unless that could not be written.
      if (came_to_nothing && std::exchange(nothing_of, row->seq) != row->seq) continue;
      // Nobody is at one in doubt: it stays so, however often another request is made.
      const auto now = in_doubt && !resumes ? (*journal)->at_rest(*row)
                                            : Result<std::optional<Row>>(std::nullopt);
      const bool stays = now && *now && (*now)->status == PaymentStatus::unknown;
      if (came_to_nothing || stays || steady_clock::now() >= end) return {std::move(outcome)};
    } else if ((*found)->status == PaymentStatus::rejected || steady_clock::now() >= end) {
      return {failed_with(**found, held(parts, **found))};
    }
    if (const auto signal = caught_signal()) {
      Outcome stopped;
      stopped.error = Error{*signal, "stopped by a signal"};
      stopped.payment = PaymentStatus::not_sent;
      return {std::move(stopped)};
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace paycurl
