// Lines with error bars as an SVG figure that opens anywhere.
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
};

struct CurveFigure {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;
};

/// The legend stands to the right, in the order of the curves. Points that are not finite are left
/// out; a figure without any point has axes from 0 to 1.
[[nodiscard]] std::string CurveFigureSvg(const CurveFigure& figure);

}  // namespace foreplan
