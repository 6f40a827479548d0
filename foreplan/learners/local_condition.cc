#include "foreplan/learners/local_condition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foreplan {
namespace {

using Eigen::VectorXd;

double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

double MeanCost(const std::vector<LocalRollout>& rollouts) {
  double sum = 0;
  for (const LocalRollout& rollout : rollouts) sum -= rollout.episode.episode_return;
  return sum / static_cast<double>(rollouts.size());
}

}  // namespace

double NextStepMultiplier(double multiplier, double predicted, double actual) {
  const double shortfall = predicted - actual;
  if (std::isnan(shortfall)) return std::clamp(0.1 * multiplier, 0.01, 10.0);  // both unknown
  const double factor = predicted / (2 * std::max(1e-4, shortfall));
  return std::clamp(std::clamp(factor, 0.1, 5.0) * multiplier, 0.01, 10.0);
}

std::string LocalCondition::Prefix() const { return fmt::format("condition{}.", number + 1); }

RolloutView LocalCondition::Fresh() const {
  const auto count = static_cast<size_t>(sizes.rollouts);
  const auto T = static_cast<size_t>(sizes.horizon);
  const auto& [states, actions, jacobians] = seen;
  return {.rollouts = sizes.rollouts,
          .transitions = sizes.horizon,
          .nx = sizes.nx,
          .nu = sizes.nu,
          .states = states.data() + states.size() - count * (T + 1) * static_cast<size_t>(sizes.nx),
          .actions = actions.data() + actions.size() - count * T * static_cast<size_t>(sizes.nu)};
}

void LocalCondition::Keep(int reuse) {
  const auto T = static_cast<size_t>(sizes.horizon);
  const auto nx = static_cast<size_t>(sizes.nx);
  const auto nu = static_cast<size_t>(sizes.nu);
  auto& [states, actions, jacobians] = seen;
  const size_t kept =
      static_cast<size_t>(sizes.rollouts) *
      std::min<size_t>(static_cast<size_t>(reuse - 1), states.size() / ((T + 1) * nx));
  const auto shrink = [&](std::vector<double>& values, size_t size) {
    if (values.size() > kept * size) {
      values.erase(values.begin(), values.end() - static_cast<ptrdiff_t>(kept * size));
    }
  };
  shrink(states, (T + 1) * nx);
  shrink(actions, T * nu);
  jacobians.clear();
  sampled_cost = MeanCost(rollouts);
  for (const LocalRollout& rollout : rollouts) {
    states.insert(states.end(), rollout.observations.begin(), rollout.observations.end());
    actions.insert(actions.end(), rollout.actions.begin(), rollout.actions.end());
    jacobians.insert(jacobians.end(), rollout.jacobians.begin(), rollout.jacobians.end());
  }
  rollouts.clear();
}

void LocalCondition::Judge(double setback) {
  found = {};
  MeasureLastFit();
  prior->Learn(Fresh());
  TakeBackIfWorse(setback);
  FitDynamics();
  LinearGaussianDynamics& dynamics = fit.dynamics;
  cost.Expand(Fresh(), seen.jacobians, dynamics, costs);
  // The last action is costed, but what it leads to is not.
  dynamics.steps.pop_back();
  of_previous = PropagateDistribution(dynamics, previous);
  found.expected_cost = Sum(ExpectedCosts(costs, previous, of_previous));
}

void LocalCondition::MeasureLastFit() {
  const RolloutView fresh = Fresh();
  double squares = 0;
  for (size_t t = 0; t < fit.dynamics.steps.size(); ++t) {
    const LinearGaussianTransition& f = fit.dynamics.steps[t];
    for (int n = 0; n < fresh.rollouts; ++n) {
      const auto at = static_cast<int>(t);
      const Eigen::Map<const VectorXd> x(fresh.state(n, at), sizes.nx);
      const Eigen::Map<const VectorXd> u(fresh.action(n, at), sizes.nu);
      const Eigen::Map<const VectorXd> next(fresh.state(n, at + 1), sizes.nx);
      squares += (f.A * x + f.B * u + f.c - next).squaredNorm();
    }
  }
  const int count = fresh.rollouts * (sizes.horizon - 1) * sizes.nx;
  found.previous_fit_error = std::sqrt(squares / std::max(1.0, static_cast<double>(count)));
}

// A bound that was too large leads where the model was wrong, and rollouts from there spoil the
// next fits: then better to try a smaller step from the policy before, with what was seen of that
// one.
void LocalCondition::TakeBackIfWorse(double setback) {
  if (std::isinf(setback)) return;
  if (!accepted) first_cost = sampled_cost;
  const double gained = accepted ? std::max(0.0, first_cost - accepted->cost) : 0;
  if (accepted && sampled_cost > accepted->cost + setback * gained) {
    found.taken_back = true;
    policy = previous = accepted->policy;
    seen = accepted->seen;
    return;
  }
  accepted = {policy, seen, sampled_cost};
}

void LocalCondition::FitDynamics() {
  RolloutView all = Fresh();
  all.states = seen.states.data();
  all.actions = seen.actions.data();
  all.rollouts = static_cast<int>(seen.actions.size()) / (sizes.horizon * sizes.nu);
  fitter.Fit(all, *prior, fit);

  found.least_rank = fit.steps.front().rank;
  for (const LocalFitStep& step : fit.steps) {
    found.least_rank = std::min(found.least_rank, step.rank);
    found.largest_condition = std::max(found.largest_condition, step.condition);
  }
}

void LocalCondition::TakeStep(double kl_step, KlConstrainedOptions options) {
  found.kl_bound = kl_step * step_multiplier * sizes.horizon;
  lqr.SetProblem(fit.dynamics, costs, previous, of_previous);
  options.first_lambda = lambda;
  found.step = lqr.Solve(found.kl_bound, options);
  stepped = found.step.ok();
  if (!stepped) return;
  policy = lqr.Policy();
  lambda = found.step.lambda;
  cost_before = found.expected_cost;
  cost_predicted = found.expected_cost + found.step.cost_change;
}

}  // namespace foreplan
