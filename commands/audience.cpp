#include "commands/audience.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "commands/output.h"
#include "src/base/text.h"
#include "src/crypto/hash.h"

namespace paycurl {
namespace {

constexpr std::size_t kInlineLimit = 8 << 20;

Error write_error(const std::string& file, int code) {
  return http::transport_error(23, "writing " + printable(file) + ": " + std::strerror(code));
}

Result<int> open_for_writing(const std::string& file, bool follow_links, int flags) {
  const int fd = ::open(
      file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags | (follow_links ? 0 : O_NOFOLLOW), 0644);
  if (fd < 0) return write_error(file, errno);
  return fd;
}

std::string price_of(const Offer& offer) {
  if (!offer.quote) return "?";
  const Spend& spend = offer.quote->spend;
  return spend.total.amount.is_zero() ? "0 (proof of identity)" : describe(spend.total);
}

}  // namespace

RequestAudience::RequestAudience(const Globals& globals, Destination destination)
    : globals_(globals), to_(std::move(destination)) {}

RequestAudience::~RequestAudience() {
  for (const int fd : {output_, heads_, captured_fd_}) {
    if (fd >= 0) ::close(fd);
  }
}

Result<> RequestAudience::open_output() {
  if (output_ >= 0 || to_.output.empty() || to_.output == "-") return {};
  auto opened = open_for_writing(to_.output, to_.follow_links, 0);
  if (!opened) return opened.error();
  output_ = *opened;
  return {};
}

Result<> RequestAudience::prepare() {
  if (heads_ < 0 && !to_.dump_header.empty() && to_.dump_header != "-") {
    auto opened = open_for_writing(to_.dump_header, true, O_TRUNC);
    if (!opened) return opened.error();
    heads_ = *opened;
  }
  return open_output();
}

Result<> RequestAudience::head(const http::Head& head, HeadRole role) {
  const bool about_payment = role == HeadRole::challenge || role == HeadRole::refusal;
  silent_body_ = to_.hide_errors_body && head.status >= 400;
  if (about_payment && !to_.show_challenges) return {};
  if (to_.include && !silent_body_ && !about_payment) {
    if (auto written = body(head.raw); !written) return written;
  }
  if (to_.dump_header.empty() || about_payment) return {};
  if (to_.dump_header == "-") return print(head.raw);
  if (heads_ < 0) {
    auto opened = open_for_writing(to_.dump_header, true, O_TRUNC);
    if (!opened) return opened.error();
    heads_ = *opened;
  }
  return write_all(heads_, head.raw);
}

Result<> RequestAudience::capture(std::string_view bytes) {
  if (captured_fd_ < 0 && captured_.size() + bytes.size() <= kInlineLimit) {
    captured_ += bytes;
    return {};
  }
  if (captured_fd_ < 0) {
    captured_file_ = "/tmp/paycurl-body-XXXXXX";
    captured_fd_ = ::mkostemp(captured_file_.data(), O_CLOEXEC);
    if (captured_fd_ < 0) return write_error(captured_file_, errno);
    if (auto written = write_all(captured_fd_, captured_); !written) return written;
    captured_.clear();
  }
  return write_all(captured_fd_, bytes);
}

Result<> RequestAudience::body(std::string_view bytes) {
  if (to_.discard || silent_body_) return {};
  if (auto opened = open_output(); !opened) return opened;
  if (output_ >= 0) {
    if (!truncated_ && ::ftruncate(output_, 0) != 0 && errno != EINVAL) {
      return write_error(to_.output, errno);
    }
    truncated_ = true;
    return write_all(output_, bytes);
  }
  if (to_.capture) return capture(bytes);
  // As curl: a terminal is not the place for binary data. What was paid for is shown all the same.
  if (std::exchange(first_bytes_, false) && to_.warn_binary && to_.output != "-" && !paying_ &&
      is_terminal(STDOUT_FILENO) && bytes.substr(0, 2000).find('\0') != std::string_view::npos) {
    Error error = http::transport_error(23, "the body is binary, which could upset your terminal");
    error.hint = "write it to a file with -o FILE, or force it with -o -";
    return error;
  }
  return print(bytes);
}

Result<> RequestAudience::finish(const Outcome& outcome) {
  const bool shown = outcome.head && outcome.delivered && !silent_body_;
  if (!shown || to_.discard || truncated_) return {};
  if (auto opened = open_output(); !opened) return opened;
  if (output_ >= 0 && ::ftruncate(output_, 0) != 0 && errno != EINVAL) {
    return write_error(to_.output, errno);
  }
  return {};
}

void RequestAudience::offers(const std::vector<Offer>& offers, const Offer* chosen) {
  if (globals_.verbosity == 0) return;
  for (const Offer& offer : offers) {
    std::string line = "$ offer " + std::to_string(offer.number) + ": ";
    if (offer.challenge) {
      line += printable(offer.challenge->method + "/" + offer.challenge->intent, 60) + " " +
              price_of(offer);
    }
    if (&offer == chosen) line += " (chosen)";
    if (offer.refusal) line += " - " + offer.refusal->text;
    if (!offer.refusal && offer.declined) line += " - " + offer.declined->message;
    say(line);
    if (globals_.verbosity > 1 && offer.challenge) {
      say("$ " + printable(offer.challenge->echo.dump(), 4096));
      say("$ " + printable(offer.challenge->request.dump(), 16384));
    }
  }
}

void RequestAudience::paying(const Row& row) {
  paying_ = true;
  if (globals_.verbosity == 0) return;
  say("$ paying " + describe(row.paid) + " to " + row.recipient + " from " + row.payer + " (" +
      printable(row.account, 70) + "), payment " + row.id);
  if (!row.fee.is_zero()) {
    say("$ network fee at most " + describe({row.fee, row.paid.asset}) + ", valid until " +
        format_rfc3339(row.valid_until));
  }
}

void RequestAudience::receipt(const Receipt& receipt) {
  if (globals_.verbosity == 0) return;
  say("$ receipt: " + printable(receipt.reference, 120) + " at " +
      printable(receipt.timestamp, 40));
  if (globals_.verbosity > 1) say("$ " + printable(receipt.json.dump(), 4096));
}

void RequestAudience::note(const std::string& sentence) {
  if (!globals_.silent) say_note(sentence);
}

std::string describe_offers(const std::vector<Offer>& offers, std::size_t chosen) {
  std::string text;
  for (const Offer& offer : offers) {
    text += std::to_string(offer.number) + (offer.number == chosen ? " * " : "   ");
    if (!offer.challenge) {
      text += "unreadable: " + offer.refusal->text + "\n";
      continue;
    }
    const Challenge& challenge = *offer.challenge;
    text +=
        printable(challenge.method + "/" + challenge.intent, 60) + "  " + price_of(offer) + "\n";
    std::vector<std::vector<std::string>> rows;
    const auto add = [&](const char* name, const std::string& value) {
      if (!value.empty()) rows.push_back({"   ", name, value});
    };
    if (offer.quote) {
      const Spend& spend = offer.quote->spend;
      for (const Payee& payee : spend.payees) {
        const std::string share = describe({payee.amount, spend.total.asset});
        add("to", payee.address + (spend.payees.size() > 1 ? "  " + share : ""));
      }
      add("token", spend.total.asset.token + " on " + spend.total.asset.network);
      add("fee", offer.quote->sponsored       ? "paid by the server"
                 : spend.fee.amount.is_zero() ? "none"
                                              : "at most " + describe(spend.fee));
      add("mode", offer.quote->mode);
    } else {
      add("request", printable(challenge.request.dump(), 400));
    }
    add("realm", printable(challenge.realm));
    add("for", printable(challenge.description));
    if (challenge.expires) add("expires", format_rfc3339(*challenge.expires));
    if (offer.refusal) {
      add("payable", "no: " + offer.refusal->text);
    } else if (offer.declined) {
      add("payable", "not within the limits: " + offer.declined->message);
    } else {
      add("payable", "yes");
    }
    text += table(rows);
  }
  return text;
}

std::string redacted(char kind, std::string_view line) {
  constexpr std::array<std::string_view, 5> kSecret{
      "authorization", "cookie", "proxy-authorization", "set-cookie", "payment-authorization"};
  const std::size_t colon = line.find(':');
  const bool is_field = kind != '*' && colon != std::string_view::npos;
  if (is_field) {
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    const bool is_secret = std::find(kSecret.begin(), kSecret.end(), name) != kSecret.end() ||
                           (kind == '>' && value.starts_with("Payment "));
    if (is_secret) {
      const std::string_view scheme = value.substr(0, value.find(' '));
      const std::string shown =
          scheme.size() < value.size() && scheme.size() < 20 ? std::string(scheme) + " " : "";
      return printable(line.substr(0, colon)) + ": " + printable(shown) + "<" +
             std::to_string(value.size()) + " bytes, sha256 " +
             to_hex(sha256(as_bytes(value))).substr(0, 8) + "…>";
    }
  }
  return printable(line, 8192);
}

}  // namespace paycurl
