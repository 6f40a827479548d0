// What a run of local models goes on from.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/data/step_tensors.h"
#include "foreplan/learners/local_models.h"
#include "foreplan/learners/local_models_condition.h"

namespace foreplan {
namespace {

Tensor Values(const std::vector<double>& all) { return {{std::ssize(all)}, all}; }

}  // namespace

void LocalModelsLearner::SaveWithoutData(TensorFile& state) const {
  if (network_) {
    network_->Save(state);
    trainer_->Save(state);
  }
  if (global_) global_->Save("global_policy.", state);
  state.tensors["local_models.counters"] = {
      {3}, std::vector<int32_t>{iterations_, episodes_, total_steps_}};
  state.tensors["local_models.seconds"] = {
      {2}, std::vector<double>{times_.planning_seconds, times_.fitting_seconds}};
  for (const auto& condition : conditions_) {
    const std::string prefix = fmt::format("condition{}.", condition->number + 1);
    condition->policy.Save(prefix, state);
    condition->prior->Save(prefix + "prior.", state);
    state.tensors[prefix + "rollout_states"] = Values(condition->seen.states);
    state.tensors[prefix + "rollout_actions"] = Values(condition->seen.actions);
    state.tensors[prefix + "step"] =
        Values({condition->lambda, condition->step_multiplier, condition->stepped ? 1.0 : 0.0,
                condition->cost_before, condition->cost_predicted});
    if (const std::optional<Accepted>& accepted = condition->accepted) {
      accepted->policy.Save(prefix + "accepted.", state);
      state.tensors[prefix + "accepted.states"] = Values(accepted->seen.states);
      state.tensors[prefix + "accepted.actions"] = Values(accepted->seen.actions);
      state.tensors[prefix + "accepted.jacobians"] = Values(accepted->seen.jacobians);
      state.tensors[prefix + "accepted.costs"] = Values({accepted->cost, condition->first_cost});
    }
    const auto& steps = condition->fit.dynamics.steps;
    if (steps.empty()) continue;
    const auto save = [&](const char* name, auto field) {
      std::vector<Eigen::MatrixXd> matrices;
      for (const LinearGaussianTransition& step : steps) matrices.emplace_back(step.*field);
      SaveSteps(prefix + name, matrices, state);
    };
    save("fit_A", &LinearGaussianTransition::A);
    save("fit_B", &LinearGaussianTransition::B);
    save("fit_c", &LinearGaussianTransition::c);
  }
}

void LocalModelsLearner::Restore(const TensorFile& state) {
  const std::array<int64_t, 1> two = {2};
  const std::array<int64_t, 1> three = {3};
  const std::array<int64_t, 1> five = {5};
  const std::array<int64_t, 1> any = {-1};
  const std::vector<int32_t>& counters = state.Ints("local_models.counters", three);
  const std::vector<double>& seconds = state.Doubles("local_models.seconds", two);
  data_.Restore(state);
  if (network_) {
    network_->Restore(state);
    trainer_->Restore(state);
  }
  if (global_) global_->Restore("global_policy.", state);
  iterations_ = counters[0];
  episodes_ = counters[1];
  total_steps_ = counters[2];
  times_ = {seconds[0], seconds[1]};
  for (const auto& condition : conditions_) {
    const std::string prefix = fmt::format("condition{}.", condition->number + 1);
    condition->policy = LinearGaussianPolicy::Restored(prefix, state, horizon_, nx_, nu_);
    condition->prior->Restore(prefix + "prior.", state);
    condition->seen.states = state.Doubles(prefix + "rollout_states", any);
    condition->seen.actions = state.Doubles(prefix + "rollout_actions", any);
    const std::vector<double>& step = state.Doubles(prefix + "step", five);
    condition->lambda = step[0];
    condition->step_multiplier = step[1];
    condition->stepped = step[2] != 0;
    condition->cost_before = step[3];
    condition->cost_predicted = step[4];
    condition->accepted.reset();
    const std::string accepted = prefix + "accepted.";
    if (state.tensors.contains(accepted + "costs")) {
      const std::vector<double>& costs = state.Doubles(accepted + "costs", two);
      condition->accepted = {
          LinearGaussianPolicy::Restored(accepted, state, horizon_, nx_, nu_),
          {state.Doubles(accepted + "states", any), state.Doubles(accepted + "actions", any),
           state.Doubles(accepted + "jacobians", any)},
          costs[0]};
      condition->first_cost = costs[1];
    }
    auto& steps = condition->fit.dynamics.steps;
    steps.clear();
    if (iterations_ == 0) continue;
    steps.resize(static_cast<size_t>(horizon_ - 1));
    const auto restore = [&](const char* name, int columns, auto field) {
      const auto matrices = RestoredSteps(prefix + name, horizon_ - 1, nx_, columns, state);
      for (size_t t = 0; t < steps.size(); ++t) steps[t].*field = matrices[t];
    };
    restore("fit_A", nx_, &LinearGaussianTransition::A);
    restore("fit_B", nu_, &LinearGaussianTransition::B);
    restore("fit_c", 1, &LinearGaussianTransition::c);
  }
}

}  // namespace foreplan
