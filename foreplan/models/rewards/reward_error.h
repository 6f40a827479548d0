// How wrong a reward is about transitions whose reward and end are known.
#pragma once

#include <cstdint>
#include <span>

#include "foreplan/data/dataset.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

struct RewardError {
  int64_t paid = 0;  // rows whose reward is known
  double rmse = 0;   // of their rewards; 0 when there are none
  int64_t terminations = 0;
  int64_t missed = 0;      // of the terminations
  int64_t continued = 0;   // rows that ended in no termination, truncated ones among them
  int64_t false_ends = 0;  // of those
};

[[nodiscard]] RewardError MeasureReward(const Reward& reward, const Dataset& data,
                                        std::span<const int64_t> rows);
/// The same of rows first ... last - 1.
[[nodiscard]] RewardError MeasureReward(const Reward& reward, const Dataset& data, int64_t first,
                                        int64_t last);

/// "reward.rmse", "termination.missed" and "termination.false" as shares of the rows that they are
/// of, each where there are such rows.
[[nodiscard]] FitMetrics MetricsOf(const RewardError& error);

}  // namespace foreplan
