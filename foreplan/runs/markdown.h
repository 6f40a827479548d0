// Markdown for issues and pull requests (GitHub's, which is CommonMark with tables): whatever a
// text holds, it stays a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foreplan {

/// A text that stands in a line as it is, between backticks, also within a table: nothing in it is
/// markup, mentions somebody or links. "" becomes "".
[[nodiscard]] std::string MarkdownCode(std::string_view text);

/// A block of code between fences that are longer than any in it.
[[nodiscard]] std::string MarkdownBlock(std::string_view language, std::string_view text);

/// What can be unfolded; `body` is Markdown, `summary` plain text.
[[nodiscard]] std::string MarkdownDetails(std::string_view summary, std::string_view body);

/// Cells are Markdown; those of the first column stand to the left, the others to the right.
[[nodiscard]] std::string MarkdownTable(const std::vector<std::string>& header,
                                        const std::vector<std::vector<std::string>>& rows);

}  // namespace foreplan
