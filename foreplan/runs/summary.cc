#include "foreplan/runs/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace foreplan {
namespace {

/// integral of cos(x)^power from 0 to `end`, end <= pi/2 (Simpson's rule).
double CosinePowerIntegral(int power, double end) {
  constexpr int kIntervals = 2000;  // even
  const double h = end / kIntervals;
  double sum = 0;
  for (int i = 0; i <= kIntervals; ++i) {
    const double weight = i == 0 || i == kIntervals ? 1 : (i % 2 == 1 ? 4 : 2);
    sum += weight * std::pow(std::cos(i * h), power);
  }
  return sum * h / 3;
}

}  // namespace

Summary Summarize(std::span<const double> values) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<int>(values.size());
  if (n == 0) return {.count = 0, .mean = kNan, .ci95 = kNan, .min = kNan, .max = kNan};

  Summary summary;
  summary.count = n;
  summary.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  summary.min = *std::min_element(values.begin(), values.end());
  summary.max = *std::max_element(values.begin(), values.end());
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  // half width = t_{n-1} s / sqrt(n),  s^2 = sum (x - mean)^2 / (n - 1)
  summary.ci95 = n == 1 ? kNan : StudentQuantile(n - 1, 0.95) * std::sqrt(squares / (n - 1.0) / n);
  return summary;
}

double Median(std::vector<double> values) {
  const auto is_nan = [](double value) { return std::isnan(value); };
  if (values.empty() || std::ranges::any_of(values, is_nan)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*std::max_element(values.begin(), middle) + *middle);
}

double StudentQuantile(int degrees, double probability) {
  // With t = sqrt(degrees) tan(x) the density is proportional to cos(x)^(degrees - 1), so
  // P(|T| <= t) = integral from 0 to x / integral from 0 to pi/2; bisection on x.
  double low = 0;
  double high = std::numbers::pi / 2;
  const double target = probability * CosinePowerIntegral(degrees - 1, high);
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (CosinePowerIntegral(degrees - 1, middle) < target ? low : high) = middle;
  }
  return std::sqrt(degrees) * std::tan((low + high) / 2);
}

}  // namespace foreplan
