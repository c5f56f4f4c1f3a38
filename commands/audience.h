// The ears of a request: body to stdout or files, heads where -i and -D want them, everything about
// the payment to stderr.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "commands/body_file.h"
#include "commands/command.h"
#include "commands/request_options.h"
#include "src/http/sse.h"
#include "src/payment/flow.h"

namespace paycurl {

/// Where one URL's answer goes.
struct Destination {
  FilePlan file;                           ///< of the body
  std::string dump_header;                 ///< -D; "-" is stdout
  bool append_heads = false;               ///< -D has the heads of earlier URLs
  std::uint64_t resume_from = 0;           ///< -C: that much is there already
  std::optional<TimeCondition> condition;  ///< -z, for servers that do not know it
  std::string etag_save;                   ///< --etag-save: a file
  bool include = false;                    ///< -i
  bool show_challenges = false;            ///< -v: heads of answered 402s count as well
  bool capture = false;                    ///< --format json: keep the body for the envelope
  bool discard = false;                    ///< --inspect: the body is of no interest
  bool hide_errors_body = false;           ///< -f
  bool show_refusal = false;               ///< --fail-with-body: of a 402 that is not paid, too
  bool prints_variables = false;           ///< -w, to stdout
  enum class Events { raw, json, text };
  Events events = Events::raw;  ///< what becomes of a stream of events
  bool warn_binary = true;      ///< refuse a binary body on a terminal
};

class RequestAudience : public Audience {
 public:
  RequestAudience(const Globals& globals, Destination destination);
  ~RequestAudience() override;
  RequestAudience(const RequestAudience&) = delete;
  RequestAudience& operator=(const RequestAudience&) = delete;

  Result<> prepare() override;
  Result<> head(const http::Head& head, HeadRole role) override;
  Result<> body(std::string_view bytes) override;
  bool start_over() override;
  Result<> message(std::string_view data) override;
  void offers(const std::vector<Offer>& offers, const Offer* chosen) override;
  void hide(const std::string& secret) override;
  void paying(const Row& row) override;
  void receipt(const Receipt& receipt) override;
  void payment_event(std::string_view name, const Json& data) override;
  void note(const std::string& sentence) override;

  /// Makes the file of -o even when no body came, as curl does for an answer without one.
  Result<> finish(const Outcome& outcome);
  /// The captured body and, when it was too large to keep, the file it is in.
  const std::string& captured() const { return captured_; }
  const std::string& captured_file() const { return captured_file_; }
  /// The file that the body went to; empty for stdout.
  const std::string& file() const { return file_.path(); }

 private:
  Result<> open_heads();
  Result<> save_etag(const http::Head& head);
  void check_resumed(const http::Head& head);
  Result<> write_body(std::string_view bytes);
  Result<> write_event(const http::ServerEvent& event);
  Result<> write_heads(std::string_view raw);
  Result<> capture(std::string_view bytes);

  const Globals& globals_;
  Destination to_;
  BodyFile file_;
  int heads_ = -1;  // of -D
  bool heads_truncated_ = false;
  off_t heads_begin_ = 0;  // of this URL
  int etag_ = -1;          // of --etag-save
  std::optional<Error> not_resumed_;
  bool unchanged_ = false;                   // says -z
  std::string held_heads_;                   // of 402s, until the answer behind them is there
  std::optional<http::EventParser> parser_;  // of a stream that is not shown as it is
  std::string rendered_;                     // of its events
  bool first_bytes_ = true;
  bool printed_ = false;  // something of this answer is on stdout
  bool paying_ = false;
  bool silent_body_ = false;
  std::string captured_;
  std::string captured_file_;
  int captured_fd_ = -1;
};

/// The offers of an answer for people: --inspect, and -v.
std::string describe_offers(const std::vector<Offer>& offers, std::size_t chosen);

/// 108: what was paid for could not be written; the spool may have it.
Error not_written(const Row& row, const Error& why);

/// One of curl's "* > <" lines with what is secret taken out.
std::string redacted(char kind, std::string_view line);

}  // namespace paycurl
