#include "libstargate/protocol/instant.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>

namespace stargate::protocol {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool parse_digits(std::string_view& text, std::size_t count, int& value) {
  if (text.size() < count || !std::all_of(text.begin(), text.begin() + count, is_digit))
    return false;
  value = 0;
  for (const auto c : text.substr(0, count))
    value = value * 10 + (c - '0');
  text.remove_prefix(count);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c)
    return false;
  text.remove_prefix(1);
  return true;
}

} // namespace

std::string format_instant(std::chrono::system_clock::time_point instant) {
  using namespace std::chrono;
  const auto whole_day = floor<days>(instant);
  const year_month_day date{whole_day};
  const hh_mm_ss time{floor<milliseconds>(instant - whole_day)};
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return text;
}

bool parse_instant(std::string_view text, std::chrono::system_clock::time_point& instant) {
  using namespace std::chrono;
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  if (!parse_digits(text, 4, y) || !take(text, '-') || !parse_digits(text, 2, mo) || !take(text, '-')
      || !parse_digits(text, 2, d) || !take(text, 'T') || !parse_digits(text, 2, h) || !take(text, ':')
      || !parse_digits(text, 2, mi))
    return false;
  if (take(text, ':') && !parse_digits(text, 2, s)) // Java leaves out seconds that are zero
    return false;
  milliseconds fraction{0};
  if (take(text, '.')) {
    int scale = 100;
    std::size_t digits = 0;
    for (; digits < text.size() && is_digit(text[digits]); ++digits, scale /= 10)
      fraction += milliseconds{(text[digits] - '0') * scale};
    if (digits == 0)
      return false;
    text.remove_prefix(digits);
  }
  minutes offset{0};
  if (!take(text, 'Z')) {
    if (text.empty() || (text.front() != '+' && text.front() != '-'))
      return false;
    const int sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
    int oh = 0, om = 0;
    if (!parse_digits(text, 2, oh))
      return false;
    take(text, ':');
    if (!parse_digits(text, 2, om))
      return false;
    offset = minutes{sign * (oh * 60 + om)};
  }
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
  // What a system_clock of nanoseconds can hold begins in 1677 and ends in 2262.
  if (!text.empty() || !date.ok() || h > 23 || mi > 59 || s > 60 || y < 1678 || y > 2261)
    return false;
  instant = sys_days{date} + hours{h} + minutes{mi} + seconds{s} + fraction - offset;
  return true;
}

} // namespace stargate::protocol
