// How options are written and what is said of wrong ones.
#pragma once

#include <concepts>
#include <span>
#include <string>
#include <string_view>

#include "foreplan/core/error.h"
#include "foreplan/core/options.h"

namespace foreplan {

/// What a key may consist of without quotes.
inline constexpr std::string_view kBareKeyCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/// TOML basic string. Also used in messages, because it never breaks the line.
std::string Quoted(std::string_view text);
/// Without control characters.
std::string OnOneLine(std::string_view text);
/// Shortest text that reads back to the same bits, and reads back as a float.
std::string FloatText(double value);
/// Path of `key` inside `section`; a key that is not bare is quoted, as in TOML.
std::string JoinPath(std::string_view section, std::string_view key);

/// "1 number", "2 numbers".
[[nodiscard]] std::string Counted(std::integral auto count, std::string_view of) {
  return std::to_string(count).append(" ").append(of).append(count == 1 ? "" : "s");
}
/// "an integer in [1, 8]".
std::string Expected(std::string_view what, Range range);
/// False for NaN, whatever the range.
bool Contains(Range range, double value);
/// `where` ends in the full key, e.g. "x.toml:3:1: icem.horizon".
InputError WrongValue(std::string_view where, std::string_view found, std::string_view expected);
/// Throws InputError for a value that is none of the names, with the nearest.
void CheckChoice(const std::string& where, const std::string& value,
                 std::span<const std::string> names);

}  // namespace foreplan
