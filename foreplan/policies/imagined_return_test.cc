#include "foreplan/policies/imagined_return.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/models/ensemble.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

constexpr int kHorizon = 8;
constexpr int kStarts = 5;

/// A network in double, from float parameters: an oracle that shares no code with what it judges.
std::vector<double> EvaluateInDouble(const Mlp& mlp, const std::vector<double>& parameters,
                                     std::vector<double> x) {
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const int outputs = mlp.layer_outputs(layer);
    std::vector<double> y(static_cast<size_t>(outputs));
    for (int j = 0; j < outputs; ++j) {
      double z = parameters[static_cast<size_t>(mlp.bias_offset(layer) + j)];
      for (int i = 0; i < mlp.layer_inputs(layer); ++i) {
        z += parameters[static_cast<size_t>(mlp.weight_offset(layer) + i * outputs + j)] *
             x[static_cast<size_t>(i)];
      }
      y[static_cast<size_t>(j)] = layer + 1 < mlp.layers() ? z / (1 + std::exp(-z)) : z;
    }
    x = std::move(y);
  }
  return x;
}

std::vector<double> Normalised(const FeatureMap& features, const Normaliser& normaliser,
                               const double* observation, const double* action) {
  std::vector<double> input(static_cast<size_t>(features.inputs()));
  features.Input(observation, action, input.data());
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = (input[i] - normaliser.mean[i]) / normaliser.scale[i];
  }
  return input;
}

/// (state, action) -> next state, for the rollout's particle.
using DoubleModel = std::function<std::vector<double>(
    int particle, const std::vector<double>& state, double action)>;

/// The imagined return of a policy with one action, in double throughout.
double ReturnInDouble(const NetworkPolicy& policy, const std::vector<double>& parameters,
                      const DoubleModel& model, const Reward& reward, int particles,
                      const std::vector<double>& starts, double discount) {
  const auto nx = static_cast<size_t>(policy.state_dim());
  const size_t rollouts = starts.size() / nx;
  double sum = 0;
  for (size_t rollout = 0; rollout < rollouts; ++rollout) {
    const auto from = starts.begin() + static_cast<int64_t>(rollout * nx);
    std::vector<double> state(from, from + static_cast<int64_t>(nx));
    double weight = 1;
    for (int t = 0; t < kHorizon; ++t, weight *= discount) {
      const double y = EvaluateInDouble(
          policy.mlp(), parameters,
          Normalised(policy.features(), policy.input_normaliser(), state.data(), nullptr))[0];
      const double half = 0.5 * (policy.high(0) - policy.low(0));
      const double action = policy.low(0) + half * (1 + std::tanh(y));
      const auto particle = static_cast<int>(rollout / (rollouts / static_cast<size_t>(particles)));
      const std::vector<double> next = model(particle, state, action);
      double r = 0;
      uint8_t terminated = 0;
      reward.Evaluate({.rows = 1,
                       .observation = state.data(),
                       .action = &action,
                       .next_observation = next.data()},
                      &r, &terminated);
      sum += weight * r;
      state = next;
    }
  }
  return sum / static_cast<double>(rollouts);
}

/// |found - central differences| / |differences| over some of the parameters.
double RelativeError(const std::vector<float>& found, const NetworkPolicy& policy,
                     const std::function<double(const std::vector<double>&)>& value) {
  const std::span<const float> floats = policy.parameters();
  std::vector<double> parameters(floats.begin(), floats.end());
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double kept = parameters[i];
    const double h = 1e-5;
    parameters[i] = kept + h;
    const double above = value(parameters);
    parameters[i] = kept - h;
    const double difference = (above - value(parameters)) / (2 * h);
    parameters[i] = kept;
    error += (difference - found[i]) * (difference - found[i]);
    norm += difference * difference;
  }
  return std::sqrt(error / norm);
}

/// A task whose state is its observation, a small policy, and starts.
struct Setting {
  explicit Setting(const std::string& name, int rollouts) : task(Task::Load(name).first), pool(2) {
    SystemSpec spec = task.spec();
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
  ThreadPool pool;
  std::unique_ptr<NetworkPolicy> policy;
  std::vector<double> starts;
  std::vector<float> gradient;
  std::vector<double> d_deviation;
};

TEST(ImaginedReturn, GradientThroughClosedFormsEqualsDifferencesInDouble) {
  for (const char* name : {"cartpole_closed_form", "pilco_cartpole"}) {
    Setting s(name, kStarts);
    const TrueDynamics dynamics(*s.task.MakeSystem());
    ImaginedReturn imagined(*s.policy, dynamics, s.task.planning_reward(), s.Options(), s.pool);
    const double value = imagined.Gradient(s.starts, Key{5, 0}, s.gradient, s.d_deviation).value;
    const auto system = s.task.MakeSystem();
    const DoubleModel model = [&](int, const std::vector<double>& state, double action) {
      std::vector<double> next(state.size());
      system->SetState(state);
      EXPECT_EQ(system->Step({&action, 1}), StepStatus::kOk);
      system->GetState(next);
      return next;
    };
    const auto in_double = [&](const std::vector<double>& parameters) {
      return ReturnInDouble(*s.policy, parameters, model, s.task.planning_reward(), 1, s.starts,
                            0.97);
    };
    const std::span<const float> floats = std::as_const(*s.policy).parameters();
    EXPECT_NEAR(value, in_double({floats.begin(), floats.end()}), 1e-5);
    // Only the policy is in float: 6e-8 per operation, a few hundred of them, mostly cancelling.
    EXPECT_LT(RelativeError(s.gradient, *s.policy, in_double), 1e-5) << name;
  }
}

/// Two members with larger weights than the initial ones, normalisers and bounds that matter.
Ensemble MakeEnsemble(const Task& task, bool probabilistic, Propagation propagation) {
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

std::vector<double> MemberInDouble(const Ensemble& ensemble, int member,
                                   const std::vector<double>& state, double action) {
  const std::span<const float> floats = ensemble.parameters(member);
  const std::vector<double> output = EvaluateInDouble(
      ensemble.mlp(), {floats.begin(), floats.end()},
      Normalised(ensemble.features(), ensemble.input_normaliser(), state.data(), &action));
  std::vector<double> target(state.size());
  for (size_t i = 0; i < target.size(); ++i) {
    target[i] =
        ensemble.target_normaliser().mean[i] + ensemble.target_normaliser().scale[i] * output[i];
  }
  return target;
}

TEST(ImaginedReturn, GradientThroughAnEnsembleEqualsDifferencesInDouble) {
  for (const Propagation propagation : {Propagation::kTsInf, Propagation::kExpectation}) {
    Setting s("pilco_cartpole", 2 * kStarts);
    const Ensemble ensemble = MakeEnsemble(s.task, false, propagation);
    const bool mean = propagation == Propagation::kExpectation;
    const int particles = mean ? 1 : 2;
    ImaginedReturn imagined(*s.policy, ensemble, s.task.planning_reward(), s.Options(particles),
                            s.pool);
    imagined.Gradient(s.starts, Key{5, 0}, s.gradient, s.d_deviation);
    const DoubleModel model = [&](int particle, const std::vector<double>& state, double action) {
      std::vector<double> target = MemberInDouble(ensemble, particle, state, action);
      if (mean) {
        const std::vector<double> other = MemberInDouble(ensemble, 1, state, action);
        for (size_t i = 0; i < target.size(); ++i) target[i] = 0.5 * (target[i] + other[i]);
      }
      std::vector<double> next(state.size());
      ensemble.features().Apply(state.data(), target.data(), next.data());
      return next;
    };
    const auto in_double = [&](const std::vector<double>& parameters) {
      return ReturnInDouble(*s.policy, parameters, model, s.task.planning_reward(), particles,
                            s.starts, 0.97);
    };
    EXPECT_LT(RelativeError(s.gradient, *s.policy, in_double), 1e-5);
  }
}

}  // namespace
}  // namespace foreplan
