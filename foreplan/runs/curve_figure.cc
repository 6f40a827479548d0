#include "foreplan/runs/curve_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "foreplan/runs/page.h"

namespace foreplan {
namespace {

constexpr double kWidth = 960;
constexpr double kHeight = 460;
constexpr double kLeft = 64;
constexpr double kRight = 270;  // the legend
constexpr double kTop = 40;
constexpr double kBottom = 52;

// Told apart by most eyes, also in print (Okabe and Ito 2008, and darker ones of the same).
constexpr std::array kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                "#56b4e9", "#000000", "#7a4f01", "#5c4b8a", "#8c8c8c"};
constexpr std::array kDashes = {"", "6 3", "2 3"};

struct Axis {
  double low = 0;
  double high = 1;
  double step = 0.25;  // between ticks
};

/// Round ends and ticks around the values: 1, 2 or 5 times a power of ten apart.
Axis MakeAxis(double low, double high) {
  if (!(high > low)) return {.low = low - 0.5, .high = low + 0.5, .step = 0.25};
  const double rough = (high - low) / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = power;
  for (const double factor : {2.0, 5.0, 10.0}) {
    if (step < rough) step = factor * power;
  }
  return {.low = step * std::floor(low / step + 1e-9),
          .high = step * std::ceil(high / step - 1e-9),
          .step = step};
}

struct Frame {
  Axis x;
  Axis y;
  [[nodiscard]] double X(double value) const {
    return kLeft + (kWidth - kLeft - kRight) * (value - x.low) / (x.high - x.low);
  }
  [[nodiscard]] double Y(double value) const {
    return kTop + (kHeight - kTop - kBottom) * (y.high - value) / (y.high - y.low);
  }
};

bool IsShown(const CurvePoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

Frame MakeFrame(const CurveFigure& figure) {
  std::vector<double> xs = {0};
  std::vector<double> ys = {0};
  for (const Curve& curve : figure.curves) {
    for (const CurvePoint& point : curve.points) {
      if (!IsShown(point)) continue;
      const double error = std::isfinite(point.error) ? point.error : 0;
      xs.push_back(point.x);
      ys.insert(ys.end(), {point.y - error, point.y + error});
    }
  }
  if (xs.size() == 1) return {};
  const auto [x_low, x_high] = std::ranges::minmax(xs);
  const auto [y_low, y_high] = std::ranges::minmax(ys);
  return {MakeAxis(x_low, x_high), MakeAxis(y_low, y_high)};
}

std::string Text(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'>{}</text>\n", x, y, anchor,
                     EscapedForHtml(text));
}

std::string Line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' {}/>\n", x1, y1, x2, y2,
                     style);
}

std::string Axes(const CurveFigure& figure, const Frame& frame) {
  std::string svg;
  const auto ticks = [](const Axis& axis) {
    return static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
  };
  for (int i = 0; i <= ticks(frame.x); ++i) {
    const double x = frame.x.low + i * frame.x.step;
    svg += Text(frame.X(x), kHeight - kBottom + 18, "middle", fmt::format("{:.6g}", x));
  }
  for (int i = 0; i <= ticks(frame.y); ++i) {
    const double y = frame.y.low + i * frame.y.step;
    svg += Line(kLeft, frame.Y(y), kWidth - kRight, frame.Y(y), "stroke='#d0d7de'");
    svg += Text(kLeft - 8, frame.Y(y) + 4, "end", fmt::format("{:.6g}", y));
  }
  svg += Text(kWidth - kRight, kHeight - 12, "end", figure.x_label);
  return svg + Text(kLeft - 8, kTop - 8, "start", figure.y_label);
}

std::string FaintSvg(const Curve& curve, const Frame& frame) {
  std::string line;
  for (const CurvePoint& point : curve.points) {
    if (!IsShown(point)) continue;
    line += fmt::format("{:.1f},{:.1f} ", frame.X(point.x), frame.Y(point.y));
  }
  return fmt::format("<polyline fill='none' stroke-width='1' stroke-opacity='0.35' points='{}'/>\n",
                     line);
}

std::string CurveSvg(const Curve& curve, const Frame& frame) {
  std::string line;
  std::string marks;
  for (const CurvePoint& point : curve.points) {
    if (!IsShown(point)) continue;
    const double x = frame.X(point.x);
    line += fmt::format("{:.1f},{:.1f} ", x, frame.Y(point.y));
    marks += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5'/>\n", x, frame.Y(point.y));
    if (!std::isfinite(point.error) || point.error <= 0) continue;
    marks += Line(x, frame.Y(point.y - point.error), x, frame.Y(point.y + point.error),
                  "stroke-width='1' stroke-opacity='0.5'");
  }
  return fmt::format("<polyline fill='none' points='{}'/>\n{}", line, marks);
}

}  // namespace

std::string CurveFigureSvg(const CurveFigure& figure) {
  const Frame frame = MakeFrame(figure);
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' font-family='sans-serif' "
      "font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n"
      "<text x='{}' y='18' font-size='14'>{}</text>\n",
      kWidth, kHeight, kLeft, EscapedForHtml(figure.title));
  svg += Axes(figure, frame);
  double legend_y = kTop + 8;
  size_t color = 0;
  for (const Curve& curve : figure.curves) {
    svg += fmt::format("<g stroke='{0}' fill='{0}' stroke-width='1.8' stroke-dasharray='{1}'>\n",
                       kColors[color % kColors.size()],
                       kDashes[color / kColors.size() % kDashes.size()]);
    if (curve.is_faint) {
      svg += FaintSvg(curve, frame) + "</g>\n";
      continue;
    }
    ++color;
    svg += CurveSvg(curve, frame);
    svg += Line(kWidth - kRight + 16, legend_y - 4, kWidth - kRight + 44, legend_y - 4, "");
    svg += "</g>\n";
    svg += Text(kWidth - kRight + 52, legend_y, "start", curve.label);
    legend_y += 20;
  }
  return svg + "</svg>\n";
}

}  // namespace foreplan
