// What the report pages share: text made safe for HTML, tables, and a page filled from a template.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace foreplan {

std::string EscapedForHtml(std::string_view text);
/// Four digits, "–" for what is not finite.
std::string NumberText(double value);

/// Rows of a table whose cells hold text; a number cell is aligned by the style sheet.
class TableRows {
 public:
  TableRows& Begin(std::string_view heading);
  TableRows& Cell(std::string_view text);
  void End() { html_ += "</tr>\n"; }
  [[nodiscard]] const std::string& html() const { return html_; }

 private:
  std::string html_;
};

/// A big number with its label.
std::string CardHtml(std::string_view label, std::string_view value);

/// As text inside a <script> block.
std::string JsonForScript(const nlohmann::ordered_json& json);

/// Those of the replay in 3-D, as blocks of a page: {{animation_scripts}} where there is one.
std::string AnimationScripts();

/// The page with each {{name}} replaced by its value; the styles and scripts that every page has
/// need not be given. A page that ends with {{page_end}} ends like the other reports:
/// configuration, machine, footer, scripts (viewer/page_end.html).
std::string FillPage(std::string_view page, std::map<std::string_view, std::string> values);

}  // namespace foreplan
