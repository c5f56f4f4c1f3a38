#include "src/base/clock.h"

#include <algorithm>
#include <chrono>

namespace paycurl {
namespace {

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
std::int64_t days_of(int year, int month, int day) {
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  return date.ok() ? std::chrono::sys_days{date}.time_since_epoch().count() : INT64_MIN;
}

/// Takes exactly `count` digits off the front of `text`; -1 when they are not there.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int> take_fraction(std::string_view& text) {
  if (!take(text, ".")) return 0;
  int millis = 0;
  int place = 100;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits) {
    millis += (text.front() - '0') * place;
    place /= 10;
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  return millis;
}

std::optional<int> take_offset_minutes(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  const bool west = text.starts_with("-");
  if (!take(text, "+-")) return std::nullopt;
  const int hours = take_digits(text, 2);
  if (hours < 0 || hours > 23 || !take(text, ":")) return std::nullopt;
  const int minutes = take_digits(text, 2);
  if (minutes < 0 || minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (hours * 60 + minutes);
}

/// At least `width` digits.
std::string padded(std::int64_t number, std::size_t width) {
  const std::string digits = std::to_string(number);
  return std::string(width - std::min(width, digits.size()), '0') + digits;
}

}  // namespace

Millis system_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::optional<Millis> parse_rfc3339(std::string_view text) {
  const int year = take_digits(text, 4);
  if (year < 0 || !take(text, "-")) return std::nullopt;
  const int month = take_digits(text, 2);
  if (month < 0 || !take(text, "-")) return std::nullopt;
  const int day = take_digits(text, 2);
  if (day < 0 || !take(text, "Tt")) return std::nullopt;
  const int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ":")) return std::nullopt;
  const int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ":")) return std::nullopt;
  const int second = take_digits(text, 2);
  if (second < 0 || second > 60) return std::nullopt;
  const auto millis = take_fraction(text);
  const auto offset = millis ? take_offset_minutes(text) : std::nullopt;
  const std::int64_t days = days_of(year, month, day);
  if (!offset || !text.empty() || days == INT64_MIN) return std::nullopt;
  const std::int64_t seconds = ((days * 24 + hour) * 60 + minute - *offset) * 60 + second;
  return seconds * 1000 + *millis;
}

std::string format_rfc3339(Millis time) {
  namespace chrono = std::chrono;
  const chrono::sys_time<chrono::milliseconds> point{chrono::milliseconds{time}};
  const auto midnight = chrono::floor<chrono::days>(point);
  const chrono::year_month_day date{midnight};
  const chrono::hh_mm_ss clock{point - midnight};
  std::string text = padded(int{date.year()}, 4) + "-" +
                     padded(static_cast<int>(unsigned{date.month()}), 2) + "-" +
                     padded(static_cast<int>(unsigned{date.day()}), 2) + "T" +
                     padded(clock.hours().count(), 2) + ":" + padded(clock.minutes().count(), 2) +
                     ":" + padded(clock.seconds().count(), 2);
  if (clock.subseconds().count() != 0) text += "." + padded(clock.subseconds().count(), 3);
  return text + "Z";
}

}  // namespace paycurl
