// Texts of others made fit to be shown: characters, columns, lines.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace foreplan {

/// UTF-8 without control characters, which no markup may hold, and on one line: white space is a
/// blank, what is no character is U+FFFD.
[[nodiscard]] std::string PlainText(std::string_view text);

/// Of a text that has more bytes than that its beginning and its end, with " ... " between them.
[[nodiscard]] std::string WithoutMiddle(std::string_view text, size_t bytes);

/// Characters of a text in UTF-8, each as one column.
[[nodiscard]] size_t ColumnsOf(std::string_view text);

/// Lines of at most `columns` characters, at least one; broken behind blanks where there are some,
/// else anywhere between two characters.
[[nodiscard]] std::vector<std::string> WrappedText(std::string_view text, size_t columns);

}  // namespace foreplan
