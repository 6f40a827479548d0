#include "foreplan/runs/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

namespace foreplan {
namespace {

using Heights = std::array<std::string_view, 8>;
constexpr Heights kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr Heights kTypewriter = {"_", ".", ",", "-", "~", "=", "+", "^"};

/// Of those that are finite; NaN without any.
double MeanOf(std::span<const double> values) {
  double sum = 0;
  int count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    // mean_n = mean_(n-1) + (x - mean_(n-1)) / n, which does not overflow as a sum would
    ++count;
    sum += value / count - sum / count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum;
}

/// Column i of c shows the values from i n / c to (i + 1) n / c.
std::vector<double> Columns(std::span<const double> values, size_t count) {
  std::vector<double> columns;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * values.size() / count;
    const size_t end = (i + 1) * values.size() / count;
    columns.push_back(MeanOf(values.subspan(begin, end - begin)));
  }
  return columns;
}

/// round(7 (y - low) / (high - low)); of halves, whose difference is finite.
size_t HeightOf(double value, double low, double high) {
  if (!(high > low)) return 3;
  const double share = (value / 2 - low / 2) / (high / 2 - low / 2);
  return static_cast<size_t>(std::clamp(std::lround(7 * share), 0L, 7L));
}

}  // namespace

std::string Sparkline(std::span<const double> values, int width, Glyphs glyphs) {
  const size_t count = std::min(values.size(), static_cast<size_t>(std::max(0, width)));
  const std::vector<double> columns = Columns(values, count);
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : columns) {
    if (std::isnan(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const Heights& heights = glyphs == Glyphs::kUnicode ? kBlocks : kTypewriter;
  std::string line;
  for (const double value : columns) {
    line += std::isnan(value) ? " " : heights[HeightOf(value, low, high)];
  }
  return line;
}

}  // namespace foreplan
