#include "foreplan/policies/imagined_return.h"

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

/// Two steps to x >= 1, where the episode ends; the reward is the new position.
class LineReward final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = batch.next_observation[row];
      terminated[row] = batch.next_observation[row] >= 1 ? 1 : 0;
    }
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    for (int row = 0; row < batch.rows; ++row) {
      gradient[3 * row] = gradient[3 * row + 1] = 0;
      gradient[3 * row + 2] = 1;
    }
  }
};

/// x' = x + 0.6; NaN where x < 0.
class Line final : public testing::ObservedState<1, 1> {
 public:
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double next = batch.state[row] < 0 ? std::numeric_limits<double>::quiet_NaN()
                                               : batch.state[row] + 0.6 + 0 * batch.action[row];
      batch.next_state[row] = next;
      batch.next_observation[row] = next;
    }
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      batch.A[row] = batch.state[row] < 0 ? std::numeric_limits<double>::quiet_NaN() : 1;
      batch.B[row] = 0.5;
    }
  }
};

/// V(o') - V(o): what it pays over a rollout telescopes to the terminal value.
class Telescoping final : public Reward {
 public:
  explicit Telescoping(const QuadraticValue& value) : value_(value) {}
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    std::vector<double> before(static_cast<size_t>(batch.rows));
    value_.Evaluate(batch.rows, batch.observation, before.data());
    value_.Evaluate(batch.rows, batch.next_observation, reward);
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] -= before[static_cast<size_t>(row)];
      terminated[row] = 0;
    }
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    const int no = value_.observation_dim();
    const int nz = 2 * no + 1;
    for (int row = 0; row < batch.rows; ++row) {
      double* at = gradient + row * nz;
      value_.Gradient(1, batch.observation + row * no, at);
      for (int i = 0; i < no; ++i) at[i] = -at[i];
      at[no] = 0;
      value_.Gradient(1, batch.next_observation + row * no, at + no + 1);
    }
  }

 private:
  const QuadraticValue& value_;
};

/// Pays nothing.
class Nothing final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    std::fill_n(reward, batch.rows, 0.0);
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    std::fill_n(gradient, 9 * batch.rows, 0.0);
  }
};

TEST(ImaginedReturn, TheTerminalValueCountsAsWhatLeadsToIt) {
  const Setting s("cartpole_closed_form", kStarts);
  ImaginedReturnOptions options = s.Options();
  options.discount = 1;
  const TrueDynamics dynamics(*s.task.MakeSystem());
  Eigen::MatrixXd P = Eigen::Vector4d(1, 2, 0.3, 0.1).asDiagonal();
  P(0, 1) = P(1, 0) = 0.4;
  const auto value = std::make_shared<const QuadraticValue>(P, Eigen::Vector4d(0.1, 0, 0, 0.2), 3);
  const Telescoping telescoping(*value);
  const Nothing nothing;
  const auto executor = std::make_shared<SerialExecutor>();
  ImaginedReturn by_rewards(*s.policy, testing::Borrowed(dynamics), testing::Borrowed(telescoping),
                            options, executor);
  ImaginedReturn by_value(*s.policy, testing::Borrowed(dynamics), testing::Borrowed(nothing),
                          options, executor, value);
  std::vector<float> expected(s.policy->parameters().size());
  std::vector<float> found(expected.size());
  std::vector<double> expected_deviation(1);
  std::vector<double> deviation(1);
  const double telescoped =
      by_rewards.Gradient(s.starts, Key{1, 1}, expected, expected_deviation).value;
  const double valued = by_value.Gradient(s.starts, Key{1, 1}, found, deviation).value;
  double of_starts = 0;
  for (size_t first = 0; first < s.starts.size(); first += 4) {
    double of_start = 0;
    value->Evaluate(1, &s.starts[first], &of_start);
    of_starts += of_start * 4 / static_cast<double>(s.starts.size());
  }
  EXPECT_NEAR(valued, telescoped + of_starts, 1e-9 * std::abs(valued));
  float largest = 0;
  for (const float entry : expected) largest = std::max(largest, std::abs(entry));
  EXPECT_GT(largest, 0);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-5 * largest) << i;  // float
  }
}

TEST(ImaginedReturn, OnlyRolloutsThatGoOnHaveATerminalValue) {
  const std::vector<double> low = {-1};
  const std::vector<double> high = {1};
  const NetworkPolicy policy(1, low, high, {.output = PolicyOutput::kTanh}, Key{1, 0});
  const Line line;
  const LineReward reward;
  const std::vector<double> starts = {0.0, -1.0};  // one ends, one is no number
  const auto executor = std::make_shared<SerialExecutor>();
  const auto value = std::make_shared<const QuadraticValue>(Eigen::MatrixXd::Zero(1, 1),
                                                            Eigen::VectorXd::Zero(1), 8);
  const auto evaluate = [&](bool stop_at_termination, std::shared_ptr<const TerminalValue> v) {
    ImaginedReturn imagined(
        policy, testing::Borrowed(line), testing::Borrowed(reward),
        {.horizon = 4, .starts = 2, .discount = 0.5, .stop_at_termination = stop_at_termination},
        executor, std::move(v));
    return imagined.Evaluate(starts, Key{1, 1}).value;
  };
  EXPECT_EQ(evaluate(true, value), evaluate(true, nullptr));
  // gamma^4 V, of one of two rollouts
  EXPECT_NEAR(evaluate(false, value), evaluate(false, nullptr) + 0.0625 * 8 / 2, 1e-12);
}

TEST(ImaginedReturn, EndedAndInvalidRolloutsEarnNothingMore) {
  ThreadPool executor(1);
  const std::vector<double> low = {-1};
  const std::vector<double> high = {1};
  const NetworkPolicy policy(1, low, high, {.output = PolicyOutput::kTanh}, Key{1, 0});
  const Line line;
  const LineReward reward;
  const std::vector<double> starts = {0.0, -1.0};
  std::vector<float> gradient(policy.parameters().size());
  std::vector<double> d_deviation(1);
  ImaginedReturn stopping(policy, testing::Borrowed(line), testing::Borrowed(reward),
                          {.horizon = 4, .starts = 2}, testing::Borrowed(executor));
  const ImaginedReturnReport ended = stopping.Gradient(starts, Key{1, 1}, gradient, d_deviation);
  EXPECT_NEAR(ended.value, (0.6 + 1.2) / 2, 1e-12);
  EXPECT_EQ(ended.ended, 1);
  EXPECT_EQ(ended.invalid, 1);
  for (const float entry : gradient) EXPECT_TRUE(std::isfinite(entry));
  ImaginedReturn going_on(policy, testing::Borrowed(line), testing::Borrowed(reward),
                          {.horizon = 4, .starts = 2, .stop_at_termination = false},
                          testing::Borrowed(executor));
  EXPECT_NEAR(going_on.Evaluate(starts, Key{1, 1}).value, (0.6 + 1.2 + 1.8 + 2.4) / 2, 1e-12);
}

/// Earns nothing and keeps the actions that it sees; one tile at a time.
class ActionRecorder final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    actions.emplace_back(batch.action, batch.action + batch.rows);
    std::fill_n(reward, batch.rows, 0.0);
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }
  mutable std::vector<std::vector<double>> actions;  // [times][rows]
};

double Correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(ImaginedReturn, ActionNoiseIsAnotherAtEveryTimeInEveryRolloutOfEveryTile) {
  ThreadPool executor(1);
  NetworkPolicy policy(1, std::vector<double>{-10}, std::vector<double>{10},
                       {.output = PolicyOutput::kTanh}, Key{1, 0});
  std::ranges::fill(policy.parameters(), 0.0F);  // its mean is 0 everywhere
  policy.set_covariance(Eigen::MatrixXd::Constant(1, 1, 0.25));
  const Line line;
  const ActionRecorder recorder;
  const std::vector<double> starts(2 * ImaginedReturn::kTileRows, 0.0);
  ImaginedReturn imagined(policy, testing::Borrowed(line), testing::Borrowed(recorder),
                          {.horizon = 4, .starts = static_cast<int>(starts.size())},
                          testing::Borrowed(executor));
  const auto actions_of = [&](Key key) {
    recorder.actions.clear();
    imagined.Evaluate(starts, key);
    return recorder.actions;
  };
  const auto actions = actions_of(Key{7, 0});
  ASSERT_EQ(actions.size(), 8U);  // two tiles, four times each
  for (size_t i = 0; i < actions.size(); ++i) {
    EXPECT_NE(actions[i][0], actions[i][1]);
    // 64 independent pairs: a correlation has the deviation 1/8; four of them.
    for (size_t j = 0; j < i; ++j) EXPECT_LT(std::abs(Correlation(actions[i], actions[j])), 0.5);
  }
  double squares = 0;
  for (const auto& row : actions) {
    for (const double action : row) squares += action * action / (8 * 64.0);
  }
  EXPECT_NEAR(squares, 0.25, 4 * 0.25 * std::sqrt(2 / 512.0));  // four deviations of a variance
  EXPECT_EQ(actions, actions_of(Key{7, 0}));
  EXPECT_NE(actions, actions_of(Key{7, 1}));
}

/// Earns nothing and keeps actions and where they led to.
class StepRecorder final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    actions.insert(actions.end(), batch.action, batch.action + batch.rows);
    next.insert(next.end(), batch.next_observation, batch.next_observation + batch.rows);
    std::fill_n(reward, batch.rows, 0.0);
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }
  mutable std::vector<double> actions, next;
};

TEST(ImaginedReturn, TheActionsNoiseIsNotTheModels) {
  SystemSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}};
  spec.state = spec.observation;
  spec.action = {{"u", "N"}};
  spec.action_low = {-10};
  spec.action_high = {10};
  ThreadPool executor(1);
  Ensemble model(spec, {}, {.members = 1, .hidden_layers = 1, .width = 8}, Key{1, 1});
  std::ranges::fill(model.parameters(0), 0.0F);  // x' = x + noise, whatever the action
  NetworkPolicy policy(1, spec.action_low, spec.action_high, {.output = PolicyOutput::kTanh},
                       Key{1, 0});
  std::ranges::fill(policy.parameters(), 0.0F);  // its mean is 0 everywhere
  policy.set_covariance(Eigen::MatrixXd::Constant(1, 1, 0.25));
  const StepRecorder recorder;
  const std::vector<double> starts(64, 0.0);
  ImaginedReturn imagined(policy, testing::Borrowed(model), testing::Borrowed(recorder),
                          {.horizon = 1, .starts = 64}, testing::Borrowed(executor));
  imagined.Evaluate(starts, Key{7, 0});
  ASSERT_EQ(recorder.actions.size(), 64U);
  // 64 independent pairs: a correlation has the deviation 1/8; four of them.
  EXPECT_LT(std::abs(Correlation(recorder.actions, recorder.next)), 0.5);
}

TEST(ImaginedReturn, DiscountsFromTheFirstRewardOn) {
  ThreadPool executor(1);
  const NetworkPolicy policy(1, std::vector<double>{-1}, std::vector<double>{1},
                             {.output = PolicyOutput::kTanh}, Key{1, 0});
  const Line line;
  const LineReward reward;
  ImaginedReturn imagined(
      policy, testing::Borrowed(line), testing::Borrowed(reward),
      {.horizon = 3, .starts = 1, .discount = 0.5, .stop_at_termination = false},
      testing::Borrowed(executor));
  EXPECT_NEAR(imagined.Evaluate(std::vector<double>{0}, Key{1, 1}).value,
              0.6 + 0.5 * 1.2 + 0.25 * 1.8, 1e-12);
}

TEST(ImaginedReturn, AClipThatDoesNotBindChangesNoBit) {
  ThreadPool executor(1);
  const NetworkPolicy policy(1, std::vector<double>{-1}, std::vector<double>{1},
                             {.output = PolicyOutput::kTanh}, Key{1, 0});
  const Line line;
  const LineReward reward;
  std::vector<float> gradient(policy.parameters().size());
  std::vector<double> d_deviation(1);
  std::vector<float> unclipped(gradient);
  for (const double clip : {0.0, 100.0}) {
    ImaginedReturn imagined(
        policy, testing::Borrowed(line), testing::Borrowed(reward),
        {.horizon = 3, .starts = 1, .stop_at_termination = false, .adjoint_clip = clip},
        testing::Borrowed(executor));
    imagined.Gradient(std::vector<double>{0.5}, Key{1, 1}, gradient, d_deviation);
    if (clip == 0) unclipped = gradient;
  }
  EXPECT_EQ(gradient, unclipped);
}

TEST(ImaginedReturn, ThreadsChangeNoBitAndNothingIsAllocated) {
  Setting s("pilco_cartpole", 300);  // several tiles per particle
  const Ensemble ensemble = MakeEnsemble(s.task, true, Propagation::kTs1);
  std::vector<std::vector<float>> gradients;
  for (const int threads : {1, 2, 8}) {
    ThreadPool executor(threads);
    ImaginedReturn imagined(*s.policy, testing::Borrowed(ensemble), s.task.shared_planning_reward(),
                            s.Options(3), testing::Borrowed(executor));
    imagined.Gradient(s.starts, Key{5, 2}, s.gradient, s.d_deviation);
    EXPECT_EQ(testing::CountAllocations([&] {
                imagined.Gradient(s.starts, Key{5, 2}, s.gradient, s.d_deviation);
              }),
              0);
    gradients.push_back(s.gradient);
  }
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_EQ(gradients[0], gradients[2]);
}

TEST(ImaginedReturn, NamesWhatIsWrong) {
  Setting s("pilco_cartpole", 1);
  const TrueDynamics dynamics(*s.task.MakeSystem());
  EXPECT_THROW(
      ImaginedReturn(*s.policy, testing::Borrowed(dynamics), s.task.shared_planning_reward(),
                     {.horizon = 0}, testing::Borrowed(s.executor)),
      InputError);
}

}  // namespace
}  // namespace foreplan
