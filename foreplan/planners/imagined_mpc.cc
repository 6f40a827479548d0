#include "foreplan/planners/imagined_mpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/models/terminal_value.h"

namespace foreplan {
namespace {

int CheckedSteps(int steps) {
  if (steps < 1) {
    throw InputError(fmt::format("imagined mpc: steps: found {}, expected at least 1", steps));
  }
  return steps;
}

}  // namespace

ImaginedMpc::ImaginedMpc(std::shared_ptr<Planner> planner, const PlanningProblem& problem,
                         int steps)
    : planner_(std::move(planner)),
      dynamics_(problem.dynamics),
      reward_(problem.reward),
      terminal_value_(problem.terminal_value),
      steps_(CheckedSteps(steps)),
      workspace_(dynamics_->MakeDerivativeWorkspace(1)),
      state_(static_cast<size_t>(dynamics_->state_dim())),
      next_state_(state_.size()),
      observation_(static_cast<size_t>(dynamics_->observation_dim())),
      next_observation_(observation_.size()) {
  plan_.actions.resize(static_cast<size_t>(steps_ * dynamics_->action_dim()));
}

void ImaginedMpc::set_model(const ModelVersion& version) {
  planner_->set_model(version);  // checks it
  if (version.reward != nullptr) reward_ = version.reward;
  if (version.dynamics == dynamics_) return;
  dynamics_ = version.dynamics;
  workspace_ = dynamics_->MakeDerivativeWorkspace(1);
}

const Plan& ImaginedMpc::MakePlan(const PlanRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const auto nu = static_cast<size_t>(dynamics_->action_dim());
  planner_->Reset();
  plan_.first_step = request.step;
  plan_.expected_return = 0;
  plan_.status = PlanStatus::kOk;
  plan_.iterations = plan_.rollouts = 0;
  std::ranges::copy(request.state, state_.begin());
  dynamics_->Observe(state_, observation_, *workspace_);
  auto last = plan_.actions.begin();
  bool goes_on = true;
  for (int t = 0; t < steps_; ++t) {
    const auto action = plan_.actions.begin() + t * static_cast<std::ptrdiff_t>(nu);
    if (!goes_on) {
      std::copy_n(last, nu, action);
      continue;
    }
    const Plan& ahead = planner_->MakePlan({.state = state_,
                                            .step = t,
                                            .key = request.key.Fold(static_cast<uint64_t>(t)),
                                            .budget = request.budget,
                                            .stop = request.stop,
                                            .proposal = request.proposal});
    plan_.iterations += ahead.iterations;
    plan_.rollouts += ahead.rollouts;
    if (plan_.status == PlanStatus::kOk && ahead.status != PlanStatus::kConverged) {
      plan_.status = ahead.status;
    }
    std::copy_n(ahead.actions.begin(), nu, action);
    last = action;
    goes_on = Step(&*action, t);
  }
  if (goes_on && terminal_value_ != nullptr) {
    double value = 0;
    terminal_value_->Evaluate(1, observation_.data(), &value);
    plan_.expected_return += value;
  }
  plan_.best_return = plan_.expected_return;
  plan_.seconds = SecondsSince(start);
  return plan_;
}

bool ImaginedMpc::Step(const double* action, int time) {
  dynamics_->StepMean({.rows = 1,
                       .state = state_.data(),
                       .action = action,
                       .next_state = next_state_.data(),
                       .next_observation = next_observation_.data(),
                       .time = time,
                       .key = {}},
                      *workspace_);
  if (dynamics_->observation_is_state()) next_observation_ = next_state_;
  double reward = 0;
  uint8_t terminated = 0;
  reward_->Evaluate({.rows = 1,
                     .observation = observation_.data(),
                     .action = action,
                     .next_observation = next_observation_.data()},
                    &reward, &terminated);
  if (!std::isfinite(reward)) {
    plan_.status = PlanStatus::kAllInvalid;
    plan_.expected_return = -INFINITY;
    return false;
  }
  plan_.expected_return += reward;
  std::swap(state_, next_state_);
  std::swap(observation_, next_observation_);
  return terminated == 0;
}

}  // namespace foreplan
