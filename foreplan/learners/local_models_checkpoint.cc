// What a run of local models goes on from.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/step_tensors.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/local_models.h"
#include "foreplan/learners/local_models_condition.h"

namespace foreplan {
namespace {

Tensor Values(const std::vector<double>& all) { return {{std::ssize(all)}, all}; }

const std::vector<double>& FiniteValues(const TensorFile& state, const std::string& name,
                                        int64_t size = -1) {
  const std::array<int64_t, 1> shape = {size};
  const std::vector<double>& values = state.Doubles(name, shape);
  CheckFinite(state, name);
  return values;
}

}  // namespace

void LocalModelsLearner::Experience::Save(const std::string& prefix, TensorFile& state) const {
  state.tensors[prefix + "states"] = Values(states);
  state.tensors[prefix + "actions"] = Values(actions);
  state.tensors[prefix + "jacobians"] = Values(jacobians);
}

void LocalModelsLearner::Experience::Restore(const std::string& prefix, const TensorFile& state,
                                             const Sizes& sizes) {
  states = FiniteValues(state, prefix + "states");
  actions = FiniteValues(state, prefix + "actions");
  jacobians = FiniteValues(state, prefix + "jacobians");
  const size_t rollouts = actions.size() / sizes.actions;
  if (actions.size() != rollouts * sizes.actions || states.size() != rollouts * sizes.states) {
    throw InputError(fmt::format(
        "{}: tensors '{}states' and '{}actions': found {} and {} numbers, expected {} "
        "and {} for each rollout",
        state.source, prefix, prefix, states.size(), actions.size(), sizes.states, sizes.actions));
  }
  if (rollouts > 0 && rollouts < sizes.newest) {
    throw InputError(
        fmt::format("{}: tensor '{}actions': found {} rollouts, expected at least {}, "
                    "local_models.rollouts",
                    state.source, prefix, rollouts, sizes.newest));
  }
  const size_t expected = rollouts > 0 ? sizes.newest * sizes.jacobians : 0;
  if (jacobians.size() == expected) return;
  throw InputError(fmt::format("{}: tensor '{}jacobians': found {} numbers, expected {}",
                               state.source, prefix, jacobians.size(), expected));
}

void LocalModelsLearner::SaveWithoutData(TensorFile& state) const {
  if (trainer_) {
    trainer_->ensemble()->Save(state);
    trainer_->Save(state);
  }
  if (global_) global_->Save("global_policy.", state);
  state.tensors["local_models.counters"] = {
      {4}, std::vector<int32_t>{iterations_, sampled_ ? 1 : 0, episodes_, total_steps_}};
  state.tensors["local_models.seconds"] = {
      {2}, std::vector<double>{times_.planning_seconds, times_.fitting_seconds}};
  for (const auto& condition : conditions_) {
    const std::string prefix = fmt::format("condition{}.", condition->number + 1);
    condition->policy.Save(prefix, state);
    condition->prior->Save(prefix + "prior.", state);
    condition->seen.Save(prefix + "rollout_", state);
    state.tensors[prefix + "sampled"] =
        Values({condition->sampled_cost, condition->sampled_distance});
    state.tensors[prefix + "step"] =
        Values({condition->lambda, condition->step_multiplier, condition->stepped ? 1.0 : 0.0,
                condition->cost_before, condition->cost_predicted});
    if (const std::optional<Accepted>& accepted = condition->accepted) {
      accepted->policy.Save(prefix + "accepted.", state);
      accepted->seen.Save(prefix + "accepted.", state);
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
  const std::array<int64_t, 1> four = {4};
  const std::vector<int32_t>& counters = state.Ints("local_models.counters", four);
  CheckAtLeast(state, "local_models.counters", 0);
  const std::vector<double>& seconds = FiniteValues(state, "local_models.seconds", 2);
  data_.Restore(state);
  if (trainer_) {
    auto network = std::make_shared<Ensemble>(*trainer_->ensemble());
    network->Restore(state);
    trainer_->Restore(state);
    trainer_->set_ensemble(std::move(network));
  }
  if (global_) global_->Restore("global_policy.", state);
  iterations_ = counters[0];
  sampled_ = counters[1] != 0;
  episodes_ = counters[2];
  total_steps_ = counters[3];
  times_ = {seconds[0], seconds[1]};
  for (const auto& condition : conditions_) {
    const std::string prefix = fmt::format("condition{}.", condition->number + 1);
    condition->policy = LinearGaussianPolicy::Restored(prefix, state, horizon_, nx_, nu_);
    condition->prior->Restore(prefix + "prior.", state);
    const Experience::Sizes sizes = {
        .states = static_cast<size_t>(horizon_ + 1) * static_cast<size_t>(nx_),
        .actions = static_cast<size_t>(horizon_) * static_cast<size_t>(nu_),
        .jacobians = static_cast<size_t>(horizon_) * condition->cost.jacobian_size(),
        .newest = static_cast<size_t>(options_.rollouts)};
    condition->seen.Restore(prefix + "rollout_", state, sizes);
    if (sampled_ && condition->seen.actions.empty()) {
      throw InputError(fmt::format("{}: tensor '{}rollout_actions': found no rollouts, expected {}",
                                   state.source, prefix, sizes.newest));
    }
    const std::vector<double>& sampled = FiniteValues(state, prefix + "sampled", 2);
    condition->sampled_cost = sampled[0];
    condition->sampled_distance = sampled[1];
    const std::vector<double>& step = FiniteValues(state, prefix + "step", 5);
    condition->lambda = step[0];
    condition->step_multiplier = step[1];
    condition->stepped = step[2] != 0;
    condition->cost_before = step[3];
    condition->cost_predicted = step[4];
    condition->accepted.reset();
    const std::string accepted = prefix + "accepted.";
    if (state.tensors.contains(accepted + "costs")) {
      const std::vector<double>& costs = FiniteValues(state, accepted + "costs", 2);
      condition->accepted = {
          LinearGaussianPolicy::Restored(accepted, state, horizon_, nx_, nu_), {}, costs[0]};
      condition->accepted->seen.Restore(accepted, state, sizes);
      condition->first_cost = costs[1];
    }
    auto& steps = condition->fit.dynamics.steps;
    steps.clear();
    if (iterations_ == 0) continue;
    steps.resize(static_cast<size_t>(horizon_ - 1));
    const auto restore = [&](const char* name, int columns, auto field) {
      const auto matrices = RestoredSteps(prefix + name, horizon_ - 1, nx_, columns, state);
      CheckFinite(state, prefix + name);
      for (size_t t = 0; t < steps.size(); ++t) steps[t].*field = matrices[t];
    };
    restore("fit_A", nx_, &LinearGaussianTransition::A);
    restore("fit_B", nu_, &LinearGaussianTransition::B);
    restore("fit_c", 1, &LinearGaussianTransition::c);
  }
}

}  // namespace foreplan
