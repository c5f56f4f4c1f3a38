#include "src/payment/retry.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl {
namespace {

constexpr http::Duration kLongestDelay{600'000};
constexpr http::Duration kLongestAnswer{
    3'600'000};  // of a Retry-After that no --retry-max-time ends

// libcurl's numbers.
constexpr int kNoProxyAddress = 5, kNoAddress = 6, kNoConnection = 7, kUnwritable = 23,
              kTimedOut = 28;

bool is_transient(int status) {
  constexpr std::array<int, 6> kTransient{408, 429, 500, 502, 503, 504};
  return std::find(kTransient.begin(), kTransient.end(), status) != kTransient.end();
}

/// Seconds, or a date.
std::optional<http::Duration> retry_after(const http::Head& head, Millis wall) {
  const std::string* field = head.headers.find("retry-after");
  if (field == nullptr) return std::nullopt;
  const std::string_view text = trimmed(*field);
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (end == text.data() + text.size() && !text.empty()) {
    if (error == std::errc::result_out_of_range) return http::Duration::max();
    return std::chrono::seconds(seconds);
  }
  const auto date = http::parse_http_date(std::string(text));
  if (!date || *date <= wall / 1000) return std::nullopt;
  const std::int64_t left = *date - wall / 1000;  // a foreign number: no product of it as it is
  return left > UINT32_MAX ? http::Duration::max() : std::chrono::seconds(left);
}

}  // namespace

bool Retries::may_go_on(Time now) const {
  if (used_ >= rules_.times) return false;
  return rules_.max_time.count() == 0 || now - start_ < rules_.max_time;
}

http::Duration Retries::take(std::optional<http::Duration> instead) {
  ++used_;
  http::Duration delay = rules_.delay;
  if (delay.count() == 0) {
    delay = next_;
    next_ = std::min(next_ * 2, kLongestDelay);
  }
  return instead.value_or(delay);
}

std::optional<http::Duration> Retries::after(const http::Head& head, bool fails, Time now,
                                             Millis wall) {
  const bool by_rule = rules_.all_errors && fails && head.status >= 400 && head.status != 402;
  if (!(is_transient(head.status) || by_rule) || !may_go_on(now)) return std::nullopt;
  auto asked = is_transient(head.status) ? retry_after(head, wall) : std::nullopt;
  if (asked && asked->count() == 0) asked.reset();
  if (asked) {
    const auto since = std::chrono::duration_cast<http::Duration>(now - start_);
    const bool limited = rules_.max_time.count() != 0;
    if (*asked > (limited ? rules_.max_time - since : kLongestAnswer)) return std::nullopt;
  }
  return take(asked);
}

std::optional<http::Duration> Retries::after(const Error& error, int system_error, Time now) {
  if (error.kind != Kind::transport || error.transport == kUnwritable) return std::nullopt;
  const bool passes = error.transport == kTimedOut || error.transport == kNoAddress ||
                      error.transport == kNoProxyAddress;
  const bool refused = rules_.refused_connections && error.transport == kNoConnection &&
                       system_error == ECONNREFUSED;
  if (!(passes || refused || rules_.all_errors) || !may_go_on(now)) return std::nullopt;
  return take(std::nullopt);
}

}  // namespace paycurl
