#include "foreplan/runs/comparison.h"

#include <fmt/format.h>

#include <string_view>

#include "foreplan/runs/page.h"

namespace foreplan {
namespace assets {
extern const std::string_view kComparisonCss;
extern const std::string_view kComparisonHtml;
extern const std::string_view kReportCss;
}  // namespace assets

std::string ComparisonPage(const ComparisonContent& content) {
  std::string figures;
  for (const std::string& figure : content.figures) {
    figures += fmt::format("<figure>\n{}</figure>\n", figure);
  }
  std::string tables;
  for (const ResultTable& table : content.tables) tables += HtmlTable(table);
  return FillPage(assets::kComparisonHtml, {{"title", EscapedForHtml(content.title)},
                                            {"subtitle", EscapedForHtml(content.subtitle)},
                                            {"figures", figures},
                                            {"tables", tables},
                                            {"machine", EscapedForHtml(content.machine_json)},
                                            {"style", std::string(assets::kReportCss) +
                                                          std::string(assets::kComparisonCss)}});
}

}  // namespace foreplan
