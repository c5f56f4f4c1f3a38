// Which failures pass by themselves, and how long one waits for that.
#include "src/payment/retry.h"

#include <cerrno>

#include <doctest/doctest.h>

#include "src/http/client.h"

namespace paycurl {
namespace {

using http::Duration;
using std::chrono::seconds;

constexpr Millis kWall = 1'800'000'000'000;

http::Head head_of(int status, const char* retry_after = nullptr) {
  http::Head head;
  head.status = status;
  if (retry_after != nullptr) head.headers.add("retry-after", retry_after);
  return head;
}

TEST_CASE("only what passes by itself is retried") {
  const Retries::Time start;
  RetryRules rules;
  rules.times = 1;
  const auto by_status = [&](int status, bool fails = false) {
    return Retries(rules, start).after(head_of(status), fails, start, kWall).has_value();
  };
  for (const int status : {408, 429, 500, 502, 503, 504})
    CHECK(by_status(status));
  for (const int status : {200, 304, 400, 402, 404, 501, 505})
    CHECK_FALSE(by_status(status, true));
  const auto by_error = [&](const Error& error, int system_error = 0) {
    return Retries(rules, start).after(error, system_error, start).has_value();
  };
  for (const int code : {5, 6, 28})
    CHECK(by_error(http::transport_error(code, "")));
  for (const int code : {7, 18, 23, 52})
    CHECK_FALSE(by_error(http::transport_error(code, "")));
  CHECK_FALSE(by_error(http::transport_error(7, ""), ECONNREFUSED));
  rules.refused_connections = true;
  CHECK(by_error(http::transport_error(7, ""), ECONNREFUSED));
  CHECK_FALSE(by_error(http::transport_error(7, ""), EHOSTUNREACH));
  rules.all_errors = true;
  CHECK(by_error(http::transport_error(52, "")));
  CHECK_FALSE(by_error(http::transport_error(23, "")));
  CHECK_FALSE(by_error(Error{Kind::interrupted, ""}));
  CHECK_FALSE(by_error(Error{Kind::declined, ""}));
  CHECK(by_status(404, true));
  CHECK_FALSE(by_status(404));
  CHECK_FALSE(by_status(402, true));
}

TEST_CASE("the delay doubles up to ten minutes, or is what was asked for") {
  const Retries::Time start;
  RetryRules rules;
  rules.times = 12;
  Retries doubling(rules, start);
  for (const int expected : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600}) {
    CHECK(doubling.after(head_of(503), false, start, kWall) == seconds(expected));
  }
  CHECK(doubling.left() == 0);
  CHECK_FALSE(doubling.after(head_of(503), false, start, kWall));
  rules.delay = Duration(1500);
  Retries fixed(rules, start);
  for (int i = 0; i < 3; ++i) {
    CHECK(fixed.after(http::transport_error(28, ""), 0, start) == Duration(1500));
  }
  CHECK_FALSE(Retries({}, start).after(head_of(503), false, start, kWall));
}

TEST_CASE("Retry-After is obeyed within the time that there is") {
  const Retries::Time start;
  RetryRules rules;
  rules.times = 1;
  const auto wait = [&](const char* field, Duration since = Duration(0)) {
    return Retries(rules, start).after(head_of(503, field), false, start + since, kWall);
  };
  CHECK(wait("7") == seconds(7));
  CHECK(wait(" 7 ") == seconds(7));
  CHECK(wait("3600") == seconds(3600));
  CHECK_FALSE(wait("3601"));
  CHECK_FALSE(wait("99999999999999999999999"));
  for (const char* none : {"", "0", "-1", "7 s", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"}) {
    CHECK(wait(none) == seconds(1));
  }
  CHECK(wait("Fri, 15 Jan 2027 08:00:09 GMT") == seconds(9));
  CHECK_FALSE(wait("Fri, 31 Dec 9999 23:59:59 GMT"));
  rules.max_time = seconds(10);
  CHECK(wait("10") == seconds(10));
  CHECK_FALSE(wait("10", seconds(1)));
  CHECK(wait(nullptr, seconds(9)) == seconds(1));
  CHECK_FALSE(wait(nullptr, seconds(10)));
}

}  // namespace
}  // namespace paycurl
