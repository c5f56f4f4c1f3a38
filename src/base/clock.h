// Points in time as they are written on the wire, and the clock that tests can set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace paycurl {

/// Milliseconds since 1970-01-01 UTC.
using Millis = std::int64_t;

/// What "now" is. The process has one; tests pass their own.
using Clock = std::function<Millis()>;

/// The system's clock.
Millis system_now();

/// Reads RFC 3339 date-time with any offset: "2026-11-20T12:00:00.5+02:00". Digits below a
/// millisecond are dropped. Anything else is nullopt.
std::optional<Millis> parse_rfc3339(std::string_view text);

/// "2026-11-20T12:00:00Z", with milliseconds when there are any.
std::string format_rfc3339(Millis time);

}  // namespace paycurl
