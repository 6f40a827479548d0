// What a few runs say: interquartile means, probabilities of improvement, bootstrap intervals.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include "foreplan/core/random.h"

namespace foreplan {

/// Mean of the middle half of the sorted values: value i of n (from 0) counts with the length of
/// what [i, i + 1] and [n/4, 3n/4] share, so that a quarter of the weight is left out at each end
/// whatever n is. As robust as the median in a quarter of the values, and surer. NaN without values
/// and where one is not finite. Where n is a multiple of 4 it equals the interquartile mean of
/// Agarwal, Schwarzer, Castro, Courville and Bellemare (Deep Reinforcement Learning at the Edge of
/// the Statistical Precipice, 2021), whose program rounds n/4 down.
[[nodiscard]] double InterquartileMean(std::span<const double> values);

/// P(X > Y) + P(X = Y) / 2 of one value X of the first and one value Y of the second: the share of
/// all pairs that the first wins, Mann and Whitney's U over the number of pairs (Agarwal et al.
/// 2021). NaN as above.
[[nodiscard]] double ImprovementProbability(std::span<const double> first,
                                            std::span<const double> second);

/// Of 95 %; NaN where it is not known.
struct Interval {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

/// Two values differ by their draw alone too often: the bootstrap would know two or three numbers.
inline constexpr size_t kFewestResampled = 3;

/// How often values are drawn again, and by which numbers: the same for every interval, so that one
/// depends on its own values alone.
struct Resampling {
  Key key{.seed = 2021, .stream = 0};
  int count = 10'000;
};

/// Percentile intervals (Efron 1979): runs are drawn again with replacement, and the interval holds
/// the middle 95 % of what the statistic then is. With one task per group this is the stratified
/// bootstrap of Agarwal et al. (2021). Percentiles rather than BCa (Efron 1987), whose corrections
/// would be estimated from as few values as there are seeds. The intervals of few values are
/// narrow: of n normal ones, that of a mean holds it about as often as |t_{n-1}| < 1.96 sqrt((n-1)
/// / n); simulated, 83 % of 5, 90 % of 10, 93 % of 20. NaN for fewer than kFewestResampled values
/// and where one is not finite.
[[nodiscard]] Interval BootstrapInterquartileMean(std::span<const double> values,
                                                  const Resampling& resampling = {});

/// Whether first[i] and second[i] have something in common, as runs of one seed do; they are then
/// drawn together.
enum class Pairing { kPaired, kIndependent };

/// Of mean(first) - mean(second).
[[nodiscard]] Interval BootstrapDifference(std::span<const double> first,
                                           std::span<const double> second, Pairing pairing,
                                           const Resampling& resampling = {});
/// Of ImprovementProbability(first, second).
[[nodiscard]] Interval BootstrapImprovement(std::span<const double> first,
                                            std::span<const double> second, Pairing pairing,
                                            const Resampling& resampling = {});

}  // namespace foreplan
