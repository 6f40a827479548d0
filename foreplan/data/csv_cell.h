// Cells of the tables that we write.
#pragma once

#include <string>
#include <string_view>

namespace foreplan {

/// A text as a cell of a table: between quotes, its own doubled, where it holds a comma, a quote,
/// the end of a line or one of `separators`.
[[nodiscard]] inline std::string CsvCell(std::string_view text, std::string_view separators = "") {
  const bool is_plain = text.find_first_of(",\"\r\n") == std::string_view::npos &&
                        text.find_first_of(separators) == std::string_view::npos;
  if (is_plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace foreplan
