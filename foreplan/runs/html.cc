#include "foreplan/runs/html.h"

#include <fmt/format.h>

#include "foreplan/core/error.h"

namespace foreplan {

std::string EscapedHtml(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string FillPage(std::string_view page, const std::map<std::string_view, std::string>& values) {
  std::string filled;
  for (;;) {
    const size_t open = page.find("{{");
    filled += page.substr(0, open);
    if (open == std::string_view::npos) return filled;
    const size_t close = page.find("}}", open);
    if (close == std::string_view::npos) throw Error("page: '{{' without '}}'");
    const std::string_view name = page.substr(open + 2, close - open - 2);
    const auto value = values.find(name);
    if (value == values.end()) throw Error(fmt::format("page: unknown field '{}'", name));
    filled += value->second;
    page.remove_prefix(close + 2);
  }
}

}  // namespace foreplan
