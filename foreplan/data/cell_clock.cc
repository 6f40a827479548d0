#include "foreplan/data/cell_clock.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/unit.h"

namespace foreplan {
namespace {

std::optional<int64_t> WholeNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Takes `digits` digits and the sign behind them, one of `signs`, if there are some.
std::optional<int> TakeNumber(std::string_view& text, size_t digits, std::string_view signs) {
  const std::string_view number = text.substr(0, digits);
  if (number.size() < digits || number.find_first_not_of("0123456789") != number.npos) return {};
  int value = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  text.remove_prefix(digits);
  if (signs.empty()) return value;
  if (text.empty() || signs.find(text.front()) == signs.npos) return {};
  text.remove_prefix(1);
  return value;
}

/// Nanoseconds of ".25", whose text is taken.
int64_t TakeFraction(std::string_view& text) {
  if (!text.starts_with('.') && !text.starts_with(',')) return 0;
  text.remove_prefix(1);
  int64_t nanoseconds = 0;
  for (int64_t unit = 100'000'000; !text.empty() && text[0] >= '0' && text[0] <= '9'; unit /= 10) {
    nanoseconds += unit * (text[0] - '0');
    text.remove_prefix(1);
  }
  return nanoseconds;
}

/// Of "", "Z", "+02:00", "-0130" [min].
std::optional<int> ZoneOf(std::string_view text) {
  if (text.empty() || text == "Z") return 0;
  const int sign = text.front() == '-' ? -1 : 1;
  if (text.front() != '+' && text.front() != '-') return {};
  text.remove_prefix(1);
  const bool has_colon = text.size() == 5;
  const auto hours = TakeNumber(text, 2, has_colon ? ":" : "");
  const auto minutes = TakeNumber(text, 2, "");
  if (!hours || !minutes || !text.empty()) return {};
  return sign * (60 * *hours + *minutes);
}

/// Nanoseconds since 1970.
std::optional<int64_t> Date(std::string_view text) {
  const auto year = TakeNumber(text, 4, "-/");
  const auto month = year ? TakeNumber(text, 2, "-/") : std::nullopt;
  const auto day = month ? TakeNumber(text, 2, " T") : std::nullopt;
  const auto hour = day ? TakeNumber(text, 2, ":") : std::nullopt;
  const auto minute = hour ? TakeNumber(text, 2, ":") : std::nullopt;
  const auto second = minute ? TakeNumber(text, 2, "") : std::nullopt;
  if (!second) return {};
  const int64_t fraction = TakeFraction(text);
  const auto zone = ZoneOf(text);
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!zone || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) return {};
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds = ((days * 24 + *hour) * 60 + *minute - *zone) * 60 + *second;
  constexpr int64_t kLargest = 9'000'000'000;  // in nanoseconds still a number
  if (std::abs(seconds) > kLargest) return {};
  return seconds * 1'000'000'000 + fraction;
}

}  // namespace

double SecondsOfTimeUnit(std::string_view text) {
  const std::optional<Unit> unit = ParseUnit(text);
  if (unit && unit->Matches(kSecond)) return unit->factor;
  throw InputError(
      fmt::format("--time-unit: found '{}', expected a unit of time: s, ms, us, ns", text));
}

double CellClock::Since(int64_t count) {
  if (!first_) first_ = count;
  return static_cast<double>(count - *first_);
}

std::optional<double> CellClock::Read(std::string_view cell, double number) {
  if (const auto date = Date(cell)) {
    has_dates_ = true;
    return Since(*date) / 1e9;
  }
  std::optional<double> count;
  const auto whole = WholeNumber(cell);
  if (whole && (first_ || std::abs(static_cast<double>(*whole)) > kLargestNumber)) {
    count = Since(*whole);
  } else if (!std::isnan(number) && !first_) {
    count = number;
  }
  if (!count || has_dates_) return std::nullopt;
  return Seconds(*count);
}

double CellClock::Seconds(double count) const {
  if (seconds_ == 0 || seconds_ == 1) return count;
  // A whole number of units per second divides exactly.
  return seconds_ < 1 ? count / std::round(1 / seconds_) : count * seconds_;
}

}  // namespace foreplan
