#include "foreplan/models/rewards/reward_error.h"

#include <cmath>
#include <numeric>
#include <vector>

namespace foreplan {

RewardError MeasureReward(const Reward& reward, const Dataset& data,
                          std::span<const int64_t> rows) {
  RewardError error;
  double squares = 0;
  for (const int64_t row : rows) {
    const Transition transition = data.transition(row);
    double predicted = 0;
    uint8_t terminated = 0;
    reward.Evaluate({.rows = 1,
                     .observation = transition.observation.data(),
                     .action = transition.action.data(),
                     .next_observation = transition.next_observation.data()},
                    &predicted, &terminated);
    if (std::isfinite(transition.reward)) {
      ++error.paid;
      squares += (predicted - transition.reward) * (predicted - transition.reward);
    }
    if (transition.end == StepEnd::kTerminated) {
      ++error.terminations;
      if (terminated == 0) ++error.missed;
    } else {
      ++error.continued;
      if (terminated != 0) ++error.false_ends;
    }
  }
  if (error.paid > 0) error.rmse = std::sqrt(squares / static_cast<double>(error.paid));
  return error;
}

RewardError MeasureReward(const Reward& reward, const Dataset& data, int64_t first, int64_t last) {
  std::vector<int64_t> rows(static_cast<size_t>(last - first));
  std::iota(rows.begin(), rows.end(), first);
  return MeasureReward(reward, data, rows);
}

FitMetrics MetricsOf(const RewardError& error) {
  FitMetrics metrics;
  const auto share = [](int64_t part, int64_t all) {
    return static_cast<double>(part) / static_cast<double>(all);
  };
  if (error.paid > 0) metrics.emplace_back("reward.rmse", error.rmse);
  if (error.terminations > 0) {
    metrics.emplace_back("termination.missed", share(error.missed, error.terminations));
  }
  if (error.continued > 0) {
    metrics.emplace_back("termination.false", share(error.false_ends, error.continued));
  }
  return metrics;
}

}  // namespace foreplan
