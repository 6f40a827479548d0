#include "foreplan/experiments/trajectory_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "foreplan/runs/page.h"

namespace foreplan {
namespace {

constexpr int kWidth = 720;
constexpr int kPanelHeight = 120;
constexpr int kLeft = 76;
constexpr int kRight = 16;
constexpr int kTop = 36;
constexpr int kGap = 26;  // below a panel

/// One component over time.
struct Panel {
  std::string label;
  std::string_view color;
  std::vector<double> values;
  double low = 0;
  double high = 0;
  std::vector<double> limits = {};  // dashed lines
};

std::string Label(const Component& component) {
  return component.unit.empty() ? component.name
                                : fmt::format("{} [{}]", component.name, component.unit);
}

/// Column `index` of a row-major table.
std::vector<double> Column(const std::vector<double>& table, size_t columns, size_t index) {
  std::vector<double> values;
  for (size_t i = index; i < table.size(); i += columns) values.push_back(table[i]);
  return values;
}

void SetRange(Panel& panel) {
  const auto [low, high] = std::ranges::minmax(panel.values);
  const double largest = std::max(std::abs(low), std::abs(high));
  const double margin = std::max(0.05 * (high - low), largest > 0 ? 1e-3 * largest : 1.0);
  panel.low = low - margin;
  panel.high = high + margin;
}

std::vector<Panel> Panels(const EnvironmentSpec& spec, const PlannedTrajectory& trajectory) {
  std::vector<Panel> panels;
  for (size_t i = 0; i < spec.observation.size(); ++i) {
    panels.push_back({.label = Label(spec.observation[i]),
                      .color = "#1f6feb",
                      .values = Column(trajectory.observations, spec.observation.size(), i)});
  }
  for (size_t i = 0; i < spec.action.size(); ++i) {
    panels.push_back({.label = "action " + Label(spec.action[i]),
                      .color = "#d1242f",
                      .values = Column(trajectory.actions, spec.action.size(), i),
                      .limits = {spec.action_low[i], spec.action_high[i]}});
  }
  panels.push_back({.label = "reward", .color = "#1a7f37", .values = trajectory.rewards});
  for (Panel& panel : panels) SetRange(panel);
  return panels;
}

std::string PanelSvg(const Panel& panel, int top, int steps) {
  const int inner = kWidth - kLeft - kRight;
  const auto x = [&](double step) { return kLeft + inner * step / steps; };
  const auto y = [&](double value) {
    return top + kPanelHeight * (panel.high - value) / (panel.high - panel.low);
  };
  std::string svg = fmt::format(
      "<rect x='{}' y='{}' width='{}' height='{}' fill='none' stroke='#d0d7de'/>\n"
      "<text x='{}' y='{}'>{}</text>\n"
      "<text x='{}' y='{}' text-anchor='end'>{:.3g}</text>\n"
      "<text x='{}' y='{}' text-anchor='end'>{:.3g}</text>\n",
      kLeft, top, inner, kPanelHeight, kLeft, top - 5, EscapedForHtml(panel.label), kLeft - 6,
      top + 10, panel.high, kLeft - 6, top + kPanelHeight, panel.low);
  for (const double limit : panel.limits) {
    if (limit < panel.low || limit > panel.high) continue;
    svg += fmt::format(
        "<line x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}' stroke='#8c959f' stroke-dasharray='4 4'/>\n",
        kLeft, kLeft + inner, y(limit), y(limit));
  }
  svg += fmt::format("<polyline fill='none' stroke-width='1.5' stroke='{}' points='", panel.color);
  for (size_t i = 0; i < panel.values.size(); ++i) {
    svg += fmt::format("{:.1f},{:.1f} ", x(static_cast<double>(i)), y(panel.values[i]));
  }
  return svg + "'/>\n";
}

}  // namespace

std::string TrajectoryCsv(const EnvironmentSpec& spec, const PlannedTrajectory& trajectory) {
  std::string csv = "time";
  for (const Component& component : spec.observation) csv += "," + component.name;
  for (const Component& component : spec.action) csv += "," + component.name;
  csv += ",reward\n";
  const size_t no = spec.observation.size();
  const size_t nu = spec.action.size();
  const auto steps = static_cast<size_t>(trajectory.steps);
  for (size_t t = 0; t <= steps; ++t) {
    csv += fmt::format("{:.6g}", static_cast<double>(t) * spec.dt);
    for (size_t i = 0; i < no; ++i) {
      csv += fmt::format(",{:.12g}", trajectory.observations[t * no + i]);
    }
    for (size_t i = 0; i < nu; ++i) {
      csv += t < steps ? fmt::format(",{:.12g}", trajectory.actions[t * nu + i]) : ",";
    }
    csv += t < steps ? fmt::format(",{:.12g}\n", trajectory.rewards[t]) : ",\n";
  }
  return csv;
}

std::string TrajectorySvg(const std::string& title, const EnvironmentSpec& spec,
                          const PlannedTrajectory& trajectory) {
  const std::vector<Panel> panels = Panels(spec, trajectory);
  const int height = kTop + static_cast<int>(panels.size()) * (kPanelHeight + kGap) + 8;
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' font-family='sans-serif' "
      "font-size='11'>\n<rect width='100%' height='100%' fill='white'/>\n"
      "<text x='{}' y='16' font-size='13'>{}</text>\n",
      kWidth, height, kLeft, EscapedForHtml(title));
  int top = kTop + 8;
  for (const Panel& panel : panels) {
    svg += PanelSvg(panel, top, trajectory.steps);
    top += kPanelHeight + kGap;
  }
  return svg + fmt::format("<text x='{}' y='{}' text-anchor='end'>{:.4g} s</text>\n</svg>\n",
                           kWidth - kRight, height - 6, trajectory.steps * spec.dt);
}

}  // namespace foreplan
