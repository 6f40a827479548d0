#include "foreplan/control/plan_log.h"

#include <cmath>
#include <numeric>

namespace foreplan {

void PlanLog::AddStep(const Plan* plan, int action_dim, double reward) {
  if (plan != nullptr) {
    plans_.push_back({.time = rewards_.size(),
                      .horizon = plan->actions.size() / static_cast<size_t>(action_dim),
                      .expected = plan->expected_return});
    seconds_ += plan->seconds;
  }
  rewards_.push_back(reward);
}

PlanLog::Outcome PlanLog::MeanOutcome() const {
  Outcome sum;
  int finished = 0;
  for (const MadePlan& plan : plans_) {
    if (plan.time + plan.horizon > rewards_.size() || !std::isfinite(plan.expected)) continue;
    const auto begin = rewards_.begin() + static_cast<std::ptrdiff_t>(plan.time);
    sum.imagined += plan.expected;
    sum.realised += std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(plan.horizon), 0.0);
    ++finished;
  }
  if (finished == 0) return {};
  return {sum.imagined / finished, sum.realised / finished};
}

}  // namespace foreplan
