// Gradients of imagined returns against differences in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/terminal_value.h"
#include "foreplan/models/testing/observed_state.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/policies/imagined_return.h"
#include "foreplan/policies/testing/imagined_setting.h"
#include "foreplan/policies/testing/network_in_double.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using testing::kHorizon;
using testing::kStarts;
using testing::MakeEnsemble;
using testing::Setting;

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

TEST(ImaginedReturn, GradientThroughClosedFormsEqualsDifferencesInDouble) {
  for (const char* name : {"cartpole_closed_form", "pilco_cartpole"}) {
    Setting s(name, kStarts);
    const TrueDynamics dynamics(*s.task.MakeSystem());
    ImaginedReturn imagined(*s.policy, testing::Borrowed(dynamics), s.task.shared_planning_reward(),
                            s.Options(), testing::Borrowed(s.executor));
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
  const std::vector<std::string> plain;
  const std::vector<std::string> grey = {"encoding.integrate=['*']",
                                         "encoding.inputs=['to_upright', 'hinge_velocity * u']"};
  for (const auto& [propagation, encoding] :
       {std::pair(Propagation::kTsInf, &plain), std::pair(Propagation::kExpectation, &plain),
        std::pair(Propagation::kTsInf, &grey)}) {
    Setting s("pilco_cartpole", 2 * kStarts, *encoding);
    const Ensemble ensemble = MakeEnsemble(s.task, false, propagation);
    const bool mean = propagation == Propagation::kExpectation;
    const int particles = mean ? 1 : 2;
    ImaginedReturn imagined(*s.policy, testing::Borrowed(ensemble), s.task.shared_planning_reward(),
                            s.Options(particles), testing::Borrowed(s.executor));
    imagined.Gradient(s.starts, Key{5, 0}, s.gradient, s.d_deviation);
    const DoubleModel model = [&](int particle, const std::vector<double>& state, double action) {
      std::vector<double> target = MemberInDouble(ensemble, particle, state, action);
      if (mean) {
        const std::vector<double> other = MemberInDouble(ensemble, 1, state, action);
        for (size_t i = 0; i < target.size(); ++i) target[i] = 0.5 * (target[i] + other[i]);
      }
      std::vector<double> next(state.size());
      ensemble.features().Apply(state.data(), &action, target.data(), next.data());
      return next;
    };
    const auto in_double = [&](const std::vector<double>& parameters) {
      return ReturnInDouble(*s.policy, parameters, model, s.task.planning_reward(), particles,
                            s.starts, 0.97);
    };
    EXPECT_LT(RelativeError(s.gradient, *s.policy, in_double), 1e-5);
  }
}

/// Central differences of Evaluate, which is in float, along one direction of the parameters.
double DirectionalDifference(ImaginedReturn& imagined, Setting& s, const std::vector<float>& by,
                             Key key) {
  const double h = 2e-3;
  const std::span<float> parameters = s.policy->parameters();
  const std::vector<float> kept(parameters.begin(), parameters.end());
  const auto value = [&](double step) {
    for (size_t i = 0; i < kept.size(); ++i) {
      parameters[i] = kept[i] + static_cast<float>(step) * by[i];
    }
    const double result = imagined.Evaluate(s.starts, key).value;
    std::ranges::copy(kept, parameters.begin());
    return result;
  };
  return (value(h) - value(-h)) / (2 * h);
}

TEST(ImaginedReturn, NoiseIsReparameterised) {
  // Sampled predictions (their deviations depend on the state) and a noisy policy.
  Setting s("pilco_cartpole", 2 * kStarts);
  const Ensemble ensemble = MakeEnsemble(s.task, true, Propagation::kTsInf);
  ImaginedReturnOptions options = s.Options(2);
  s.policy->set_covariance(Eigen::MatrixXd::Constant(1, 1, 0.04));
  ImaginedReturn imagined(*s.policy, testing::Borrowed(ensemble), s.task.shared_planning_reward(),
                          options, testing::Borrowed(s.executor));
  const Key key{5, 1};
  imagined.Gradient(s.starts, key, s.gradient, s.d_deviation);
  double norm = 0;
  for (const float entry : s.gradient) norm += static_cast<double>(entry) * entry;
  norm = std::sqrt(norm);
  std::vector<float> direction(s.gradient);
  for (float& entry : direction) entry /= static_cast<float>(norm);
  // In float, values are good to about 1e-6, so differences of 4e-3 to 1e-3 of a norm of about 1.
  EXPECT_NEAR(DirectionalDifference(imagined, s, direction, key), norm, 3e-3 * norm);
  const double h = 1e-2;
  const auto value = [&](double deviation) {
    s.policy->set_covariance(Eigen::MatrixXd::Constant(1, 1, deviation * deviation));
    return imagined.Evaluate(s.starts, key).value;
  };
  const double difference = (value(0.2 + h) - value(0.2 - h)) / (2 * h);
  EXPECT_NEAR(s.d_deviation[0], difference, 1e-2 * std::abs(difference) + 1e-4);
}

TEST(ImaginedReturn, CuttingTheGradientThroughTheStatesWouldBeSeen) {
  // With one step there is no such gradient; with more it must change the direction.
  Setting s("pilco_cartpole", kStarts);
  const TrueDynamics dynamics(*s.task.MakeSystem());
  std::vector<std::vector<float>> gradients;
  for (const double clip : {0.0, 1e-9}) {  // so small a clip cuts lambda at every step
    ImaginedReturnOptions options = s.Options();
    options.adjoint_clip = clip;
    ImaginedReturn imagined(*s.policy, testing::Borrowed(dynamics), s.task.shared_planning_reward(),
                            options, testing::Borrowed(s.executor));
    imagined.Gradient(s.starts, Key{5, 0}, s.gradient, s.d_deviation);
    gradients.push_back(s.gradient);
  }
  double exact = 0;
  double apart = 0;
  for (size_t i = 0; i < gradients[0].size(); ++i) {
    exact += gradients[0][i] * gradients[0][i];
    apart += std::pow(gradients[0][i] - gradients[1][i], 2);
  }
  EXPECT_GT(apart, 0.1 * exact);
}

}  // namespace
}  // namespace foreplan
