// A chart as viewer/report.js draws it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace foreplan {

/// {"title", "unit", "xLabel", "wide", "series": [{"label"}, ...], "columns": [x, series...]}, as
/// yet without series; `x` holds its first column. Besides there may be "kind": "histogram" (x:
/// where bins begin), "mark": {"x", "label"} and "detail": true (folded away).
[[nodiscard]] inline nlohmann::ordered_json ReportChart(const std::string& title,
                                                        const std::string& unit,
                                                        const std::string& x_label,
                                                        const nlohmann::ordered_json& x) {
  return {{"title", title},
          {"unit", unit},
          {"wide", false},
          {"xLabel", x_label},
          {"series", nlohmann::ordered_json::array()},
          {"columns", nlohmann::ordered_json::array({x})}};
}

/// A line, with a value for every x.
inline void AddSeries(nlohmann::ordered_json& chart, const std::string& label,
                      const nlohmann::ordered_json& values) {
  chart["series"].push_back({{"label", label}});
  chart["columns"].push_back(values);
}

}  // namespace foreplan
