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
#include "foreplan/policies/testing/imagined_setting.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using testing::kStarts;
using testing::MakeEnsemble;
using testing::Setting;

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
