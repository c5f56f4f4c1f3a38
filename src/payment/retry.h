// When an unpaid request is sent again (--retry): after failures that pass by themselves. Whether a
// credential has left is the flow's to know.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "src/base/clock.h"
#include "src/http/message.h"

namespace paycurl {

struct RetryRules {
  int times = 0;
  http::Duration delay{0};  ///< between two attempts; 0: a second, doubled each time, at most 600
  http::Duration max_time{0};  ///< since the first attempt began, for another to begin; 0: any
  bool all_errors = false;     ///< of the transport, and what --fail makes of a status
  bool refused_connections = false;
};

/// The attempts that are left for one request; as curl counts them.
class Retries {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Retries(const RetryRules& rules, Time start) : rules_(rules), start_(start) {}

  /// How long to wait before the request goes again; nothing when the answer stands. Answers to
  /// retry are 408, 429, 500, 502, 503 and 504 and, when `fails`, every status of 400 and above but
  /// 402. Retry-After (RFC 9110 section 10.2.3) replaces the delay; when it would end behind
  /// max_time, or after more than an hour where there is none, the answer stands. `wall` is the
  /// time in milliseconds since 1970.
  std::optional<http::Duration> after(const http::Head& head, bool fails, Time now, Millis wall);
  /// The same for an exchange that failed: passed deadlines and names that did not resolve, refused
  /// connections and everything else where the rules say so.
  std::optional<http::Duration> after(const Error& error, int system_error, Time now);

  int left() const { return rules_.times - used_; }

 private:
  bool may_go_on(Time now) const;
  http::Duration take(std::optional<http::Duration> instead);

  RetryRules rules_;
  Time start_;
  int used_ = 0;
  http::Duration next_{1'000};
};

}  // namespace paycurl
