#include "foreplan/runs/page.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace assets {
extern const std::string_view kAnimationCss;
extern const std::string_view kAnimationChartsJs;
extern const std::string_view kAnimationControlsJs;
extern const std::string_view kAnimationDataJs;
extern const std::string_view kAnimationFanJs;
extern const std::string_view kAnimationGroundJs;
extern const std::string_view kAnimationLinesJs;
extern const std::string_view kAnimationPlayerJs;
extern const std::string_view kAnimationProbesJs;
extern const std::string_view kAnimationSceneJs;
extern const std::string_view kAnimationViewJs;
extern const std::string_view kAnimationLicenceHtml;
extern const std::string_view kChartFilesJs;
extern const std::string_view kChartLicenceHtml;
extern const std::string_view kChartsJs;
extern const std::string_view kPageEndHtml;
extern const std::string_view kReportCss;
extern const std::string_view kUPlotIifeMinJs;
extern const std::string_view kUPlotMinCss;
extern const std::string_view kThreeMinJs;
}  // namespace assets

std::string EscapedForHtml(std::string_view text) {
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

std::string NumberText(double value) {
  if (!std::isfinite(value)) return "–";
  // U+2212 lines up with digits where a hyphen does not.
  return (std::signbit(value) ? "−" : "") + fmt::format("{:.4g}", std::abs(value));
}

TableRows& TableRows::Begin(std::string_view heading) {
  html_ += fmt::format("<tr><th scope=\"row\">{}</th>", EscapedForHtml(heading));
  return *this;
}

TableRows& TableRows::Cell(std::string_view text) {
  html_ += fmt::format("<td>{}</td>", EscapedForHtml(text));
  return *this;
}

std::string CardHtml(std::string_view label, std::string_view value) {
  return fmt::format("<div class=\"card\"><dt>{}</dt><dd>{}</dd></div>\n", label, value);
}

std::string JsonForScript(const nlohmann::ordered_json& json) {
  // It must not end the block: '<' stands in strings only, where an escape may.
  std::string text;
  for (const char c : json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

namespace {

/// In the order in which they need each other.
std::string AnimationScript() {
  std::string script;
  for (const std::string_view part :
       {assets::kAnimationDataJs, assets::kAnimationGroundJs, assets::kAnimationViewJs,
        assets::kAnimationSceneJs, assets::kAnimationLinesJs, assets::kAnimationFanJs,
        assets::kAnimationChartsJs, assets::kAnimationControlsJs, assets::kAnimationProbesJs,
        assets::kAnimationPlayerJs}) {
    script += part;
  }
  return script;
}

}  // namespace

std::string AnimationScripts() {
  return fmt::format("<script>{}</script>\n<script>{}</script>\n", assets::kThreeMinJs,
                     AnimationScript());
}

std::string FillPage(std::string_view page, std::map<std::string_view, std::string> values) {
  values.emplace("chart_style", assets::kUPlotMinCss);
  values.emplace("chart_licence", assets::kChartLicenceHtml);
  values.emplace("style", assets::kReportCss);
  values.emplace("chart_script", assets::kUPlotIifeMinJs);
  values.emplace("chart_helpers", assets::kChartsJs);
  values.emplace("chart_files", assets::kChartFilesJs);
  values.emplace("animation_licence", assets::kAnimationLicenceHtml);
  values.emplace("animation_style", assets::kAnimationCss);
  values.emplace("animation_library", assets::kThreeMinJs);
  values.emplace("animation_script", AnimationScript());
  values.emplace("animation_scripts", "");
  constexpr std::string_view kEnd = "{{page_end}}";
  if (page.ends_with(kEnd)) {
    return FillPage(
        std::string(page.substr(0, page.size() - kEnd.size())) + std::string(assets::kPageEndHtml),
        std::move(values));
  }
  // What is inserted is not looked at again.
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
