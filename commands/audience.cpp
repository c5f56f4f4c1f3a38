#include "commands/audience.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
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

Result<int> open_for_writing(const std::string& file, bool create_folders = false) {
  if (create_folders) {
    if (auto made = create_folders_of(file); !made) return made.error();
  }
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return write_error(file, errno);
  return fd;
}

/// Where the bytes of an answer begin (RFC 9110 section 14.4); 0 when it does not say.
std::uint64_t range_start(const http::Head& head) {
  const std::string* field = head.headers.find("content-range");
  if (field == nullptr) return 0;
  const std::size_t digit = std::min(field->find_first_of("0123456789*"), field->size());
  std::uint64_t start = 0;
  std::from_chars(field->data() + digit, field->data() + field->size(), start);
  return start;
}

/// Whether -z leaves the answer out, when the server does not.
bool is_unchanged(const TimeCondition& condition, const http::Head& head) {
  const std::string* field = head.headers.find("last-modified");
  const auto modified = field == nullptr ? std::nullopt : http::parse_http_date(*field);
  if (!modified || *modified == 0 || condition.seconds == 0) return false;
  if (condition.when == TimeCondition::When::older) return *modified >= condition.seconds;
  return *modified <= condition.seconds;
}

/// Whether stdout takes anything: not when it is closed, nor a pipe that nobody reads any more.
Result<> check_stdout() {
  const int mode = ::fcntl(STDOUT_FILENO, F_GETFL);
  if (mode < 0 || (mode & O_ACCMODE) == O_RDONLY) return write_error("stdout", EBADF);
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLNVAL)) != 0) {
    return write_error("stdout", EPIPE);
  }
  return {};
}

std::string price_of(const Offer& offer) {
  if (!offer.quote) return "?";
  const Spend& spend = offer.quote->spend;
  if (spend.total.amount.is_zero()) return "0 (proof of identity)";
  const std::string& unit = offer.quote->unit;
  return describe(spend.total) + (unit.empty() ? "" : " a " + printable(unit, 30));
}

/// What a person reads of an event: the deltas of OpenAI and Anthropic, {"token"}, or plain text.
std::string token_of(const http::ServerEvent& event) {
  if (event.data == "[DONE]") return "";
  const auto json = Json::parse(event.data, http::EventParser::kMaxEvent);
  if (!json || json->members() == nullptr) {
    const std::string* plain = json ? json->string() : nullptr;
    return plain == nullptr ? event.data : *plain;
  }
  const auto text_in = [](const Json* object, std::string_view key) -> const std::string* {
    const Json* found = object == nullptr ? nullptr : object->find(key);
    return found == nullptr ? nullptr : found->string();
  };
  if (const auto* token = text_in(&*json, "token")) return *token;
  if (const Json* choices = json->find("choices"); choices && choices->items()) {
    if (choices->items()->empty()) return "";
    const Json& first = choices->items()->front();
    if (const auto* content = text_in(first.find("delta"), "content")) return *content;
    if (const auto* text = text_in(&first, "text")) return *text;
    return "";
  }
  if (json->find("type") != nullptr) {  // Anthropic: only content_block_delta has text
    const auto* text = text_in(json->find("delta"), "text");
    return text == nullptr ? "" : *text;
  }
  return event.data;
}

}  // namespace

RequestAudience::RequestAudience(const Globals& globals, Destination destination)
    : globals_(globals),
      to_(std::move(destination)),
      file_(to_.file),
      heads_truncated_(to_.append_heads) {}

RequestAudience::~RequestAudience() {
  for (const int fd : {heads_, etag_, captured_fd_}) {
    if (fd >= 0) ::close(fd);
  }
}

Result<> RequestAudience::open_heads() {
  if (heads_ >= 0 || to_.dump_header.empty() || to_.dump_header == "-") return {};
  auto opened = open_for_writing(to_.dump_header, to_.file.create_folders);
  if (!opened) return opened.error();
  heads_ = *opened;
  if (to_.append_heads) heads_begin_ = std::max<off_t>(::lseek(heads_, 0, SEEK_END), 0);
  return {};
}

Result<> RequestAudience::prepare() {
  const bool uses_stdout =
      file_.is_stdout() || to_.dump_header == "-" || to_.capture || to_.prints_variables;
  if (uses_stdout) {
    if (auto usable = check_stdout(); !usable) return usable;
  }
  if (auto opened = open_heads(); !opened) return opened;
  if (!to_.etag_save.empty() && etag_ < 0) {
    auto opened = open_for_writing(to_.etag_save);
    if (!opened) return opened.error();
    etag_ = *opened;
  }
  return file_.prepare();
}

/// --etag-save: of the answer, whose body follows.
Result<> RequestAudience::save_etag(const http::Head& head) {
  const std::string* tag = head.headers.find("etag");
  if (::ftruncate(etag_, 0) != 0 && errno != EINVAL) return write_error(to_.etag_save, errno);
  return write_all(etag_, tag == nullptr ? "" : *tag + "\n");
}

/// -C: an answer that does not go on where the file ends must not be put behind it.
void RequestAudience::check_resumed(const http::Head& head) {
  not_resumed_.reset();
  if (to_.resume_from == 0) return;
  const std::string* length = head.headers.find("content-length");
  const bool is_whole = length != nullptr && *length == std::to_string(to_.resume_from);
  if (head.status < 400 && range_start(head) == to_.resume_from) return;
  silent_body_ = head.status == 416 || is_whole || (to_.hide_errors_body && head.status >= 400);
  if (!silent_body_) {
    not_resumed_ = http::transport_error(
        33, "the server does not send the rest alone, so the file cannot be continued");
  }
}

Result<> RequestAudience::head(const http::Head& head, HeadRole role) {
  const bool about_payment = role == HeadRole::challenge || role == HeadRole::refusal;
  silent_body_ = false;
  if (about_payment) {  // nothing is cut before the payment is decided
    if (!to_.show_challenges) held_heads_.clear();
    held_heads_ += head.raw;
    return {};
  }
  std::string raw = to_.show_challenges ? std::exchange(held_heads_, "") + head.raw : head.raw;
  held_heads_.clear();
  if (role == HeadRole::answer) {
    file_.take_name(head);
    if (!to_.etag_save.empty()) {
      if (auto opened = prepare(); !opened) return opened;
      if (auto saved = save_etag(head); !saved) return saved;
    }
    check_resumed(head);
  }
  if (to_.include && !not_resumed_) {
    if (auto written = write_body(raw); !written) return written;
  }
  // What is paid for is shown, whatever -z says.
  unchanged_ =
      role == HeadRole::answer && !paying_ && to_.condition && is_unchanged(*to_.condition, head);
  silent_body_ = silent_body_ || unchanged_ || (to_.hide_errors_body && head.status >= 400);
  parser_.reset();
  if (role == HeadRole::answer && head.is_event_stream() &&
      to_.events != Destination::Events::raw) {
    parser_.emplace([this](const http::ServerEvent& event) { return write_event(event); });
  }
  return write_heads(raw);
}

Result<> RequestAudience::write_heads(std::string_view raw) {
  if (to_.dump_header.empty()) return {};
  if (to_.dump_header == "-") {
    printed_ = true;
    return print(raw);
  }
  if (auto opened = open_heads(); !opened) return opened;
  if (!std::exchange(heads_truncated_, true) && ::ftruncate(heads_, 0) != 0 && errno != EINVAL) {
    return write_error(to_.dump_header, errno);
  }
  return write_all(heads_, raw);
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
  if (not_resumed_) return *not_resumed_;
  if (!parser_) return write_body(bytes);
  auto fed = parser_->feed(bytes);
  auto written = write_body(std::exchange(rendered_, ""));
  return fed ? written : fed;
}

bool RequestAudience::start_over() {
  if (printed_) return false;
  // A pipe or a terminal keeps what it was given.
  if (!file_.start_over()) return false;
  if (heads_ >= 0 && heads_truncated_) {
    const bool cut_off = ::ftruncate(heads_, heads_begin_) == 0 || errno == EINVAL;
    if (!cut_off || ::lseek(heads_, heads_begin_, SEEK_SET) != heads_begin_) return false;
  }
  not_resumed_.reset();
  if (captured_fd_ >= 0) {
    ::close(std::exchange(captured_fd_, -1));
    ::unlink(captured_file_.c_str());
    captured_file_.clear();
  }
  captured_.clear();
  held_heads_.clear();
  parser_.reset();
  rendered_.clear();
  return true;
}

Result<> RequestAudience::message(std::string_view data) {
  if (to_.events == Destination::Events::raw) return write_body(std::string(data) + "\n");
  http::ServerEvent event;
  event.name = "message";
  event.data = data;
  event.has_data = true;
  if (auto rendered = write_event(event); !rendered) return rendered;
  return write_body(std::exchange(rendered_, ""));
}

Result<> RequestAudience::write_event(const http::ServerEvent& event) {
  if (!event.has_data) return {};
  if (to_.events == Destination::Events::text) {
    rendered_ += token_of(event);
    return {};
  }
  const Json json = Json::object({{"event", valid_utf8(event.name)},
                                  {"id", Json::or_null(std::string_view(valid_utf8(event.id)))},
                                  {"data", valid_utf8(event.data)}});
  rendered_ += with_hidden_escaped(json.dump()) + "\n";
  return {};
}

Result<> RequestAudience::write_body(std::string_view bytes) {
  if (to_.discard || silent_body_) return {};
  if (!file_.is_stdout()) return file_.write(bytes);
  if (to_.capture) return capture(bytes);
  // As curl: a terminal is not the place for binary data. What was paid for is shown all the same.
  if (std::exchange(first_bytes_, false) && to_.warn_binary && to_.file.name != "-" && !paying_ &&
      is_terminal(STDOUT_FILENO) && bytes.substr(0, 2000).find('\0') != std::string_view::npos) {
    Error error = http::transport_error(23, "the body is binary, which could upset your terminal");
    error.hint = "write it to a file with -o FILE, or force it with -o -";
    return error;
  }
  printed_ = true;
  return print(bytes);
}

Result<> RequestAudience::finish(const Outcome& outcome) {
  if (!held_heads_.empty()) {  // a 402 was the last answer
    if (auto written = write_heads(std::exchange(held_heads_, "")); !written) return written;
  }
  if (to_.show_refusal && !outcome.refusal_body.empty()) {
    return to_.resume_from == 0 ? write_body(outcome.refusal_body) : Result<>();
  }
  const bool unmet = outcome.head && (outcome.head->status == 304 || unchanged_);
  const bool shown = outcome.head && outcome.delivered && !silent_body_ && !unmet && !to_.discard;
  auto made = shown && !not_resumed_ ? file_.make_empty() : Result<>();
  file_.finish(outcome.head ? &*outcome.head : nullptr, outcome.error.has_value() || !made);
  return made;
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

void RequestAudience::hide(const std::string& secret) {
  hide_from_stderr(secret);
}

void RequestAudience::paying(const Row& row) {
  paying_ = true;
  if (globals_.verbosity == 0) return;
  say("$ paying " + describe(row.paid) + " to " + row.recipient + " from " + row.payer + " (" +
      printable(row.account, 70) + "), payment " + row.id);
  if (row.swap) say("$ swapping at most " + describe(*row.swap) + " for it");
  if (!row.fee.is_zero()) {
    say("$ network fee at most " + describe({row.fee, row.given().asset}) + ", valid until " +
        format_rfc3339(row.valid_until));
  }
}

void RequestAudience::receipt(const Receipt& receipt) {
  if (globals_.verbosity == 0) return;
  say("$ receipt: " + printable(receipt.reference, 120) + " at " +
      printable(receipt.timestamp, 40));
  if (globals_.verbosity > 1) say("$ " + printable(receipt.json.dump(), 4096));
}

void RequestAudience::payment_event(std::string_view name, const Json& data) {
  if (globals_.verbosity > 0) {
    say("$ " + printable(name, 40) + " " + printable(data.dump(), 2000));
  }
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
      const Asset& asset = spend.total.asset;
      add("token", (asset.token.empty() ? asset.symbol : asset.token) + " on " + asset.network);
      const bool routed = asset.network.starts_with("lightning:");
      add("fee", offer.quote->sponsored       ? "paid by the server"
                 : routed                     ? "of the route, within --max-fee"
                 : spend.fee.amount.is_zero() ? "none"
                                              : "at most " + describe(spend.fee));
      add("mode", offer.quote->mode);
      if (offer.quote->suggested_deposit) {
        add("deposit", describe(*offer.quote->suggested_deposit) + " suggested");
      }
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

Error not_written(const Row& row, const Error& why) {
  return {Kind::not_delivered, "paid, but the answer could not be written: " + why.message,
          row.body_size ? "it is kept: paycurl payments show " + row.id + " --body"
                        : "the payment is in: paycurl payments show " + row.id,
          "unwritable"};
}

std::string redacted(char kind, std::string_view line) {
  constexpr std::array<std::string_view, 5> kSecret{
      "authorization", "cookie", "proxy-authorization", "set-cookie", "payment-authorization"};
  constexpr std::array<std::string_view, 5> kSchemes{"basic", "bearer", "digest", "negotiate",
                                                     "payment"};
  // 'Added cookie name="value" for domain ...', and when it replaces or rejects one.
  const std::size_t cookie = kind == '*' ? line.find(" cookie ") : std::string_view::npos;
  if (cookie != std::string_view::npos && line.find('"', cookie) != std::string_view::npos) {
    const std::size_t begin = line.find('"', cookie), end = line.rfind('"');
    return printable(line.substr(0, begin), 200) + "<" + std::to_string(end - begin - 1) +
           " bytes>" + printable(line.substr(end + 1), 200);
  }
  // libcurl tells the fields of HTTP/2 a second time: "h2h3 [cookie: a=b]", or, newer,
  // "[HTTP/2] [1] [cookie: a=b]"; it cuts long ones.
  const std::size_t before_value = kind == '*' ? line.find(": ") : std::string_view::npos;
  if (before_value != std::string_view::npos &&
      line.rfind('[', before_value) != std::string_view::npos) {
    const std::size_t field = line.rfind('[', before_value) + 1;
    const bool is_whole = line.ends_with(']');
    return printable(line.substr(0, field)) +
           redacted('>', line.substr(field, line.size() - field - (is_whole ? 1 : 0))) + "]";
  }
  const std::size_t colon = line.find(':');
  const bool is_field = kind != '*' && colon != std::string_view::npos;
  if (is_field) {
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    const bool is_secret = std::find(kSecret.begin(), kSecret.end(), name) != kSecret.end() ||
                           (kind == '>' && value.starts_with("Payment "));
    if (is_secret) {
      const std::string_view scheme = value.substr(0, value.find(' '));
      const bool is_known =
          std::find(kSchemes.begin(), kSchemes.end(), lower(scheme)) != kSchemes.end();
      const std::string shown = is_known ? std::string(scheme) + " " : "";
      return printable(line.substr(0, colon)) + ": " + shown + "<" + std::to_string(value.size()) +
             " bytes, sha256 " + to_hex(sha256(as_bytes(value))).substr(0, 8) + "…>";
    }
  }
  return printable(line, 8192);
}

}  // namespace paycurl
