// Mean and confidence interval of a few independent numbers, e.g. the returns of episodes.
#pragma once

#include <span>
#include <vector>

namespace foreplan {

struct Summary {
  int count = 0;
  double mean = 0;
  double ci95 = 0;  // half width of the 95 % interval of the mean (Student's t); NaN for one value
  double min = 0;
  double max = 0;
};

/// All fields but `count` are NaN when there is no value.
Summary Summarize(std::span<const double> values);

/// The middle value, of an even number of values the mean of the two in the middle; NaN without
/// any.
double Median(std::vector<double> values);

/// t with P(|T| <= t) = probability, for Student's t distribution.
/// degrees >= 1, probability in (0, 1).
double StudentQuantile(int degrees, double probability);

}  // namespace foreplan
