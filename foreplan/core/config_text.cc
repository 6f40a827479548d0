#include "foreplan/core/config_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace foreplan {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\u{:04X}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string FloatText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string JoinPath(std::string_view section, std::string_view key) {
  const bool bare =
      !key.empty() && key.find_first_not_of(kBareKeyCharacters) == std::string_view::npos;
  const std::string name = bare ? std::string(key) : Quoted(key);
  return section.empty() ? name : fmt::format("{}.{}", section, name);
}

std::string Expected(std::string_view what, Range range) {
  const bool bounded_below = !std::isinf(range.low);
  const bool bounded_above = !std::isinf(range.high);
  if (bounded_below && bounded_above) {
    return fmt::format("{} in [{}, {}]", what, range.low, range.high);
  }
  if (bounded_below) return fmt::format("{} of at least {}", what, range.low);
  if (bounded_above) return fmt::format("{} of at most {}", what, range.high);
  return std::string(what);
}

bool Contains(Range range, double value) { return value >= range.low && value <= range.high; }

InputError WrongValue(std::string_view where, std::string_view found, std::string_view expected) {
  return InputError(fmt::format("{}: found {}, expected {}", where, found, expected));
}

void CheckChoice(const std::string& where, const std::string& value,
                 std::span<const std::string> names) {
  if (std::find(names.begin(), names.end(), value) != names.end()) return;
  const std::string nearest = NearestName(value, names);
  throw WrongValue(where, Quoted(value),
                   fmt::format("one of {}{}", fmt::join(names, ", "),
                               nearest.empty() ? "" : " (did you mean '" + nearest + "'?)"));
}

std::string OnOneLine(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return line;
}

}  // namespace foreplan
