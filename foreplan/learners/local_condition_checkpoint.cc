// What a condition goes on from.
#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/step_tensors.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/local_condition.h"

namespace foreplan {
namespace {

Tensor Values(const std::vector<double>& all) { return {{std::ssize(all)}, all}; }

void SaveExperience(const std::string& prefix, const LocalCondition::Experience& seen,
                    TensorFile& state) {
  state.tensors[prefix + "states"] = Values(seen.states);
  state.tensors[prefix + "actions"] = Values(seen.actions);
  state.tensors[prefix + "jacobians"] = Values(seen.jacobians);
}

}  // namespace

// Throws InputError where there are other numbers, or fewer rollouts than of one iteration; none at
// all is before the first.
LocalCondition::Experience LocalCondition::RestoredExperience(const std::string& prefix,
                                                              const TensorFile& state) const {
  Experience restored = {FiniteDoubles(state, prefix + "states"),
                         FiniteDoubles(state, prefix + "actions"),
                         FiniteDoubles(state, prefix + "jacobians")};
  const auto& [states, actions, jacobians] = restored;
  const auto T = static_cast<size_t>(sizes.horizon);
  const auto newest = static_cast<size_t>(sizes.rollouts);
  const size_t of_states = (T + 1) * static_cast<size_t>(sizes.nx);
  const size_t of_actions = T * static_cast<size_t>(sizes.nu);
  const size_t rollouts = actions.size() / of_actions;
  if (actions.size() != rollouts * of_actions || states.size() != rollouts * of_states) {
    throw InputError(fmt::format(
        "{}: tensors '{}states' and '{}actions': found {} and {} numbers, expected {} "
        "and {} for each rollout",
        state.source, prefix, prefix, states.size(), actions.size(), of_states, of_actions));
  }
  if (rollouts > 0 && rollouts < newest) {
    throw InputError(
        fmt::format("{}: tensor '{}actions': found {} rollouts, expected at least {}, "
                    "local_models.rollouts",
                    state.source, prefix, rollouts, newest));
  }
  const size_t expected = rollouts > 0 ? newest * T * cost.jacobian_size() : 0;
  if (jacobians.size() == expected) return restored;
  throw InputError(fmt::format("{}: tensor '{}jacobians': found {} numbers, expected {}",
                               state.source, prefix, jacobians.size(), expected));
}

void LocalCondition::Save(TensorFile& state) const {
  const std::string prefix = Prefix();
  policy.Save(prefix, state);
  prior->Save(prefix + "prior.", state);
  SaveExperience(prefix + "rollout_", seen, state);
  state.tensors[prefix + "sampled"] = Values({sampled_cost, sampled_distance});
  state.tensors[prefix + "step"] =
      Values({lambda, step_multiplier, stepped ? 1.0 : 0.0, cost_before, cost_predicted});
  if (accepted) {
    accepted->policy.Save(prefix + "accepted.", state);
    SaveExperience(prefix + "accepted.", accepted->seen, state);
    state.tensors[prefix + "accepted.costs"] = Values({accepted->cost, first_cost});
  }
  if (!fit.dynamics.steps.empty()) SaveFit(state);
}

void LocalCondition::SaveFit(TensorFile& state) const {
  const auto save = [&](const char* name, auto field) {
    std::vector<Eigen::MatrixXd> matrices;
    for (const LinearGaussianTransition& step : fit.dynamics.steps) {
      matrices.emplace_back(step.*field);
    }
    SaveSteps(Prefix() + name, matrices, state);
  };
  save("fit_A", &LinearGaussianTransition::A);
  save("fit_B", &LinearGaussianTransition::B);
  save("fit_c", &LinearGaussianTransition::c);
  save("fit_covariance", &LinearGaussianTransition::covariance);
  SaveSteps(Prefix() + "fit_initial_mean", {fit.dynamics.initial_mean}, state);
  SaveSteps(Prefix() + "fit_initial_covariance", {fit.dynamics.initial_covariance}, state);
}

void LocalCondition::Restore(const TensorFile& state, bool sampled, bool fitted) {
  const std::string prefix = Prefix();
  policy = LinearGaussianPolicy::Restored(prefix, state, sizes.horizon, sizes.nx, sizes.nu);
  prior->Restore(prefix + "prior.", state);
  seen = RestoredExperience(prefix + "rollout_", state);
  if (sampled && seen.actions.empty()) {
    throw InputError(fmt::format("{}: tensor '{}rollout_actions': found no rollouts, expected {}",
                                 state.source, prefix, sizes.rollouts));
  }
  const std::vector<double>& costs_seen = FiniteDoubles(state, prefix + "sampled", 2);
  sampled_cost = costs_seen[0];
  sampled_distance = costs_seen[1];
  const std::vector<double>& step = FiniteDoubles(state, prefix + "step", 5);
  lambda = step[0];
  step_multiplier = step[1];
  stepped = step[2] != 0;
  cost_before = step[3];
  cost_predicted = step[4];
  accepted.reset();
  const std::string of_accepted = prefix + "accepted.";
  if (state.tensors.contains(of_accepted + "costs")) {
    const std::vector<double>& values = FiniteDoubles(state, of_accepted + "costs", 2);
    accepted = {
        LinearGaussianPolicy::Restored(of_accepted, state, sizes.horizon, sizes.nx, sizes.nu),
        RestoredExperience(of_accepted, state), values[0]};
    first_cost = values[1];
  }
  fit.dynamics.steps.clear();
  if (fitted) RestoreFit(state);
}

void LocalCondition::RestoreFit(const TensorFile& state) {
  auto& steps = fit.dynamics.steps;
  steps.resize(static_cast<size_t>(sizes.horizon - 1));
  const auto restore = [&](const char* name, int columns, auto field) {
    const auto matrices =
        RestoredSteps(Prefix() + name, sizes.horizon - 1, sizes.nx, columns, state);
    CheckFinite(state, Prefix() + name);
    for (size_t t = 0; t < steps.size(); ++t) steps[t].*field = matrices[t];
  };
  restore("fit_A", sizes.nx, &LinearGaussianTransition::A);
  restore("fit_B", sizes.nu, &LinearGaussianTransition::B);
  restore("fit_c", 1, &LinearGaussianTransition::c);
  fit.dynamics.initial_mean.resize(0);
  if (!state.tensors.contains(Prefix() + "fit_covariance")) return;  // of an earlier version
  restore("fit_covariance", sizes.nx, &LinearGaussianTransition::covariance);
  const auto restored = [&](const std::string& name, int columns) {
    CheckFinite(state, name);
    return RestoredSteps(name, 1, sizes.nx, columns, state)[0];
  };
  fit.dynamics.initial_mean = restored(Prefix() + "fit_initial_mean", 1);
  fit.dynamics.initial_covariance = restored(Prefix() + "fit_initial_covariance", sizes.nx);
}

}  // namespace foreplan
