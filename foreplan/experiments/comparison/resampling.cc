#include "foreplan/experiments/comparison/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace foreplan {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool AreNumbers(std::span<const double> values) {
  return !values.empty() &&
         std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

bool CanBeResampled(std::span<const double> values) {
  return values.size() >= kFewestResampled && AreNumbers(values);
}

double MeanOf(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// sum_i w_i x_(i) / (n/2), w_i = |[i, i + 1] and [n/4, 3n/4]|; x is sorted.
double InterquartileMeanOfSorted(std::span<const double> sorted) {
  const auto n = static_cast<double>(sorted.size());
  double sum = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto begin = static_cast<double>(i);
    const double weight = std::min(begin + 1, 0.75 * n) - std::max(begin, 0.25 * n);
    if (weight > 0) sum += weight * sorted[i];
  }
  return sum / (0.5 * n);
}

/// U / (n m): every x wins against the smaller y and half against its equals; y is sorted.
double ImprovementOverSorted(std::span<const double> first, std::span<const double> sorted) {
  double wins = 0;
  for (const double x : first) {
    const auto [begin, end] = std::ranges::equal_range(sorted, x);
    wins += static_cast<double>(begin - sorted.begin()) +
            0.5 * static_cast<double>(std::ranges::distance(begin, end));
  }
  return wins / static_cast<double>(first.size() * sorted.size());
}

/// Straight between the sorted values: the q-quantile stands at q (n - 1).
double QuantileOfSorted(std::span<const double> sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], at - static_cast<double>(below));
}

/// The middle 95 % of what `statistic` gives, called with the numbers of each draw.
template <typename Statistic>
Interval MiddleOf(const Resampling& resampling, const Statistic& statistic) {
  Random random(resampling.key);
  std::vector<double> values(static_cast<size_t>(resampling.count));
  for (double& value : values) value = statistic(random);
  std::ranges::sort(values);
  return {QuantileOfSorted(values, 0.025), QuantileOfSorted(values, 0.975)};
}

/// As many numbers below their count, with replacement.
void DrawRows(Random& random, std::vector<size_t>& rows) {
  for (size_t& row : rows) row = random.Below(rows.size());
}

void Take(std::span<const double> values, const std::vector<size_t>& rows,
          std::vector<double>& taken) {
  std::ranges::transform(rows, taken.begin(), [&](size_t row) { return values[row]; });
}

/// The middle 95 % of `statistic` of two samples, drawn together or one after the other.
template <typename Statistic>
Interval MiddleOfTwo(std::span<const double> first, std::span<const double> second, Pairing pairing,
                     const Resampling& resampling, const Statistic& statistic) {
  if (!CanBeResampled(first) || !CanBeResampled(second)) return {};
  std::vector<size_t> rows_1(first.size());
  std::vector<size_t> rows_2(second.size());
  std::vector<double> sample_1(first.size());
  std::vector<double> sample_2(second.size());
  return MiddleOf(resampling, [&](Random& random) {
    DrawRows(random, rows_1);
    if (pairing == Pairing::kPaired) {
      rows_2 = rows_1;
    } else {
      DrawRows(random, rows_2);
    }
    Take(first, rows_1, sample_1);
    Take(second, rows_2, sample_2);
    return statistic(sample_1, sample_2);
  });
}

}  // namespace

double InterquartileMean(std::span<const double> values) {
  if (!AreNumbers(values)) return kNan;
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return InterquartileMeanOfSorted(sorted);
}

double ImprovementProbability(std::span<const double> first, std::span<const double> second) {
  if (!AreNumbers(first) || !AreNumbers(second)) return kNan;
  std::vector<double> sorted(second.begin(), second.end());
  std::ranges::sort(sorted);
  return ImprovementOverSorted(first, sorted);
}

Interval BootstrapInterquartileMean(std::span<const double> values, const Resampling& resampling) {
  if (!CanBeResampled(values)) return {};
  std::vector<size_t> rows(values.size());
  std::vector<double> sample(values.size());
  return MiddleOf(resampling, [&](Random& random) {
    DrawRows(random, rows);
    Take(values, rows, sample);
    std::ranges::sort(sample);
    return InterquartileMeanOfSorted(sample);
  });
}

Interval BootstrapDifference(std::span<const double> first, std::span<const double> second,
                             Pairing pairing, const Resampling& resampling) {
  return MiddleOfTwo(first, second, pairing, resampling,
                     [](const std::vector<double>& one, const std::vector<double>& other) {
                       return MeanOf(one) - MeanOf(other);
                     });
}

Interval BootstrapImprovement(std::span<const double> first, std::span<const double> second,
                              Pairing pairing, const Resampling& resampling) {
  return MiddleOfTwo(first, second, pairing, resampling,
                     [](const std::vector<double>& one, std::vector<double>& other) {
                       std::ranges::sort(other);
                       return ImprovementOverSorted(one, other);
                     });
}

}  // namespace foreplan
