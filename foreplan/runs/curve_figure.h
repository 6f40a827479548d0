// Lines with error bars or bands as an SVG figure that opens anywhere.
#pragma once

#include <string>
#include <vector>

namespace foreplan {

struct CurvePoint {
  double x = 0;
  double y = 0;
  double error = 0;  // half length of the bar; 0 or NaN: none
};

struct Curve {
  std::string label;
  std::vector<CurvePoint> points;  // a single one is a mark without a line
  /// Thin, in the colour of the next one that is not, without marks and a place in the legend.
  bool is_faint = false;
  /// A band in the place of marks and bars: for means that are known everywhere.
  bool has_band = false;
};

struct CurveFigure {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;
  /// What those hear of it who cannot see it; "": the title.
  std::string description = {};
  /// For a phone: half as wide, the legend below.
  bool is_narrow = false;
};

/// The legend stands to the right, in the order of the curves; long labels take several lines.
/// Points that are not finite are left out; a figure without any point has axes from 0 to 1. A page
/// that holds the figure may give other colours to its classes: background, grid, series-0 to
/// series-9. Labels may hold any characters.
[[nodiscard]] std::string CurveFigureSvg(const CurveFigure& figure);

}  // namespace foreplan
