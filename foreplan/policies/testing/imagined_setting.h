// What tests of imagined returns roll out: a task, a small policy, starts and an ensemble.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/policies/imagined_return.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/systems/task.h"

namespace foreplan::testing {

inline constexpr int kHorizon = 8;
inline constexpr int kStarts = 5;

/// A task whose state is its observation, a small policy, and starts.
struct Setting {
  Setting(const std::string& name, int rollouts, const std::vector<std::string>& overrides = {})
      : task(Task::Load(name, overrides).first), executor(2) {
    EnvironmentSpec spec = task.spec();
    spec.action.clear();
    Encoding encoding;
    encoding.sin_cos = task.encoding().sin_cos;
    policy = std::make_unique<NetworkPolicy>(
        FeatureMap(spec, encoding), task.spec().action_low, task.spec().action_high,
        NetworkPolicyOptions{.width = 8, .output = PolicyOutput::kTanh}, Key{3, 0});
    // Off the initial weights, where the network is small, and normalisers that matter.
    for (float& parameter : policy->parameters()) parameter *= 2;
    for (size_t i = 0; i < policy->input_normaliser().scale.size(); ++i) {
      policy->input_normaliser().mean[i] = 0.1 * static_cast<double>(i);
      policy->input_normaliser().scale[i] = 0.6 + 0.2 * static_cast<double>(i);
    }
    Random random(Key{3, 1});
    starts.resize(static_cast<size_t>(rollouts) * task.spec().observation.size());
    for (double& value : starts) value = 0.5 * random.Normal();
    gradient.resize(std::as_const(*policy).parameters().size());
    d_deviation.resize(1);
  }

  [[nodiscard]] ImaginedReturnOptions Options(int particles = 1) const {
    return {.horizon = kHorizon,
            .particles = particles,
            .starts = static_cast<int>(starts.size() / task.spec().observation.size()) / particles,
            .discount = 0.97};
  }

  Task task;
  ThreadPool executor;
  std::unique_ptr<NetworkPolicy> policy;
  std::vector<double> starts;
  std::vector<float> gradient;
  std::vector<double> d_deviation;
};

/// Two members with larger weights than the initial ones, normalisers and bounds that matter.
inline Ensemble MakeEnsemble(const Task& task, bool probabilistic, Propagation propagation) {
  Ensemble ensemble(task.spec(), task.encoding(),
                    {.members = 2,
                     .hidden_layers = 2,
                     .width = 16,
                     .probabilistic = probabilistic,
                     .propagation = propagation},
                    Key{1, 1});
  for (int member = 0; member < 2; ++member) {
    for (float& parameter : ensemble.parameters(member)) parameter *= 2;
    ensemble.Pack(member);
  }
  for (size_t i = 0; i < ensemble.input_normaliser().scale.size(); ++i) {
    ensemble.input_normaliser().mean[i] = 0.1 * static_cast<double>(i);
    ensemble.input_normaliser().scale[i] = 0.5 + 0.1 * static_cast<double>(i);
  }
  for (size_t i = 0; i < ensemble.target_normaliser().scale.size(); ++i) {
    ensemble.target_normaliser().mean[i] = 0.02;
    ensemble.target_normaliser().scale[i] = 0.1 + 0.05 * static_cast<double>(i);
  }
  return ensemble;
}

}  // namespace foreplan::testing
