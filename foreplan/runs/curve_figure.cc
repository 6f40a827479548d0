#include "foreplan/runs/curve_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "foreplan/runs/page.h"
#include "foreplan/runs/plain_text.h"

namespace foreplan {
namespace {

/// Sizes [px] of a figure; what is not the plot's is for axes, title and legend.
struct Layout {
  double width = 960;
  double height = 460;  // without a legend below
  double left = 64;
  double right = 270;
  double top = 48;
  double bottom = 52;
  double legend_x = 706;
  double legend_y = 56;
  size_t label_columns = 30;  // of a line of the legend
};

constexpr Layout kNarrow{.width = 340,
                         .height = 300,
                         .left = 48,
                         .right = 14,
                         .top = 44,
                         .bottom = 52,
                         .legend_x = 8,
                         .legend_y = 312,
                         .label_columns = 40};

constexpr double kLegendLine = 16;
constexpr double kLegendGap = 4;  // between two curves

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
  Layout layout;
  Axis x;
  Axis y;
  [[nodiscard]] double right() const { return layout.width - layout.right; }
  [[nodiscard]] double bottom() const { return layout.height - layout.bottom; }
  [[nodiscard]] double X(double value) const {
    return layout.left + (right() - layout.left) * (value - x.low) / (x.high - x.low);
  }
  [[nodiscard]] double Y(double value) const {
    return layout.top + (bottom() - layout.top) * (y.high - value) / (y.high - y.low);
  }
};

bool IsShown(const CurvePoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

double ErrorOf(const CurvePoint& point) { return std::isfinite(point.error) ? point.error : 0; }

Frame MakeFrame(const CurveFigure& figure) {
  Frame frame{.layout = figure.is_narrow ? kNarrow : Layout(), .x = {}, .y = {}};
  std::vector<double> xs = {0};
  std::vector<double> ys = {0};
  for (const Curve& curve : figure.curves) {
    for (const CurvePoint& point : curve.points) {
      if (!IsShown(point)) continue;
      xs.push_back(point.x);
      ys.insert(ys.end(), {point.y - ErrorOf(point), point.y + ErrorOf(point)});
    }
  }
  if (xs.size() == 1) return frame;
  const auto [x_low, x_high] = std::ranges::minmax(xs);
  const auto [y_low, y_high] = std::ranges::minmax(ys);
  frame.x = MakeAxis(x_low, x_high);
  frame.y = MakeAxis(y_low, y_high);
  return frame;
}

std::string Escaped(std::string_view text) { return EscapedForHtml(PlainText(text)); }

std::string Text(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'>{}</text>\n", x, y, anchor,
                     Escaped(text));
}

std::string Line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' {}/>\n", x1, y1, x2, y2,
                     style);
}

std::string Axes(const CurveFigure& figure, const Frame& frame) {
  std::string svg;
  const double left = frame.layout.left;
  const auto ticks = [](const Axis& axis) {
    return static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
  };
  for (int i = 0; i <= ticks(frame.x); ++i) {
    const double x = frame.x.low + i * frame.x.step;
    svg += Text(frame.X(x), frame.bottom() + 18, "middle", fmt::format("{:.6g}", x));
  }
  for (int i = 0; i <= ticks(frame.y); ++i) {
    const double y = frame.y.low + i * frame.y.step;
    svg += Line(left, frame.Y(y), frame.right(), frame.Y(y), "class='grid' stroke='#d0d7de'");
    svg += Text(left - 8, frame.Y(y) + 4, "end", fmt::format("{:.6g}", y));
  }
  svg += Text(frame.right(), frame.bottom() + 40, "end", figure.x_label);
  return svg + Text(left - 8, frame.layout.top - 8, "start", figure.y_label);
}

/// "x,y x,y " of the points that are shown.
std::string Places(const std::vector<CurvePoint>& points, const Frame& frame) {
  std::string places;
  for (const CurvePoint& point : points) {
    if (IsShown(point)) places += fmt::format("{:.1f},{:.1f} ", frame.X(point.x), frame.Y(point.y));
  }
  return places;
}

std::string FaintSvg(const Curve& curve, const Frame& frame) {
  return fmt::format("<polyline fill='none' stroke-width='1' stroke-opacity='0.35' points='{}'/>\n",
                     Places(curve.points, frame));
}

/// Along y + error, and back along y - error.
std::string BandSvg(const Curve& curve, const Frame& frame) {
  std::vector<CurvePoint> edge;
  for (const CurvePoint& point : curve.points) {
    edge.push_back({.x = point.x, .y = point.y + ErrorOf(point)});
  }
  for (size_t i = curve.points.size(); i-- > 0;) {
    const CurvePoint& point = curve.points[i];
    edge.push_back({.x = point.x, .y = point.y - ErrorOf(point)});
  }
  return fmt::format("<polygon stroke='none' fill-opacity='0.12' points='{}'/>\n",
                     Places(edge, frame));
}

std::string MarksSvg(const Curve& curve, const Frame& frame) {
  std::string marks;
  for (const CurvePoint& point : curve.points) {
    if (!IsShown(point)) continue;
    const double x = frame.X(point.x);
    marks += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5'/>\n", x, frame.Y(point.y));
    if (ErrorOf(point) <= 0) continue;
    marks += Line(x, frame.Y(point.y - point.error), x, frame.Y(point.y + point.error),
                  "stroke-width='1' stroke-opacity='0.5'");
  }
  return marks;
}

std::string CurveSvg(const Curve& curve, const Frame& frame) {
  const std::string line =
      fmt::format("<polyline fill='none' points='{}'/>\n", Places(curve.points, frame));
  const bool has_band = curve.has_band && curve.points.size() > 1;
  return has_band ? BandSvg(curve, frame) + line : line + MarksSvg(curve, frame);
}

/// Groups of curves with their faint ones, and the legend, which ends at `legend_y`.
std::string CurvesSvg(const CurveFigure& figure, const Frame& frame, double& legend_y) {
  std::string svg;
  size_t color = 0;
  for (const Curve& curve : figure.curves) {
    svg += fmt::format(
        "<g class='series-{0}' stroke='{1}' fill='{1}' stroke-width='1.8' "
        "stroke-dasharray='{2}'>\n",
        color % kColors.size(), kColors[color % kColors.size()],
        kDashes[color / kColors.size() % kDashes.size()]);
    if (curve.is_faint) {
      svg += FaintSvg(curve, frame) + "</g>\n";
      continue;
    }
    ++color;
    const double x = frame.layout.legend_x;
    svg += CurveSvg(curve, frame) + Line(x, legend_y - 4, x + 28, legend_y - 4, "") + "</g>\n";
    for (const std::string& line :
         WrappedText(PlainText(curve.label), frame.layout.label_columns)) {
      svg += Text(x + 36, legend_y, "start", line);
      legend_y += kLegendLine;
    }
    legend_y += kLegendGap;
  }
  return svg;
}

}  // namespace

std::string CurveFigureSvg(const CurveFigure& figure) {
  const Frame frame = MakeFrame(figure);
  double legend_y = frame.layout.legend_y;
  const std::string curves = CurvesSvg(figure, frame, legend_y);
  const std::string& words = figure.description.empty() ? figure.title : figure.description;
  return fmt::format(
             "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' role='img' "
             "aria-label=\"{}\" font-family='sans-serif' font-size='12'>\n"
             "<rect class='background' width='100%' height='100%' fill='white'/>\n"
             "<text x='{}' y='18' font-size='14'>{}</text>\n",
             frame.layout.width, std::max(frame.layout.height, legend_y), Escaped(words),
             figure.is_narrow ? 8 : frame.layout.left, Escaped(figure.title)) +
         Axes(figure, frame) + curves + "</svg>\n";
}

}  // namespace foreplan
