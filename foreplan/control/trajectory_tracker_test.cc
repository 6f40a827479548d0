#include "foreplan/control/trajectory_tracker.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/testing/observed_state.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/task.h"
#include "foreplan/trajopt/lqr.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;

const std::vector<double> kStart = {1.0, 0.0};

TEST(TrackTrajectory, FollowsThePredictionOfTheModel) {
  const DoubleIntegrator dynamics;
  const std::vector<double> actions = {1, -2, 0.5};
  const auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(8), kStart, actions);
  ASSERT_EQ(policy.horizon(), 3);
  double p = kStart[0];
  double v = kStart[1];
  for (int t = 0; t < 3; ++t) {
    EXPECT_EQ(policy.step(t).state(0), p);
    EXPECT_EQ(policy.step(t).state(1), v);
    EXPECT_EQ(policy.step(t).action(0), actions[static_cast<size_t>(t)]);
    p += DoubleIntegrator::kStep * v;
    v += DoubleIntegrator::kStep * actions[static_cast<size_t>(t)];
  }
}

TEST(TrackTrajectory, GainsAreThoseOfDistancesInDeviationsAndHalfRanges) {
  const DoubleIntegrator dynamics;
  const std::vector<double> actions = {1, -2, 0.5, 3, -1};
  const double action_weight = 0.3;
  for (const bool moves : {true, false}) {
    const std::vector<double> plan = moves ? actions : std::vector<double>(5);
    const auto policy =
        TrackTrajectory(dynamics, DoubleIntegratorSpec(8), kStart, plan, action_weight);
    // Variances along the predicted states; a component that does not move counts as it is.
    Eigen::MatrixXd xs(6, 2);
    xs.row(0) << kStart[0], kStart[1];
    for (int t = 0; t < 5; ++t) {
      xs(t + 1, 0) = xs(t, 0) + DoubleIntegrator::kStep * xs(t, 1);
      xs(t + 1, 1) = xs(t, 1) + DoubleIntegrator::kStep * plan[static_cast<size_t>(t)];
    }
    const Eigen::RowVector2d mean = xs.colwise().mean();
    Eigen::Vector2d weight = (xs.rowwise() - mean).colwise().squaredNorm() / 6;
    weight = moves ? weight.cwiseInverse() : Eigen::Vector2d(1, 1);
    LqrStage stage;
    stage.A = Eigen::MatrixXd::Identity(2, 2);
    stage.A(0, 1) = DoubleIntegrator::kStep;
    stage.B = Eigen::MatrixXd::Zero(2, 1);
    stage.B(1, 0) = DoubleIntegrator::kStep;
    stage.Q = Eigen::MatrixXd(weight.asDiagonal());
    stage.R = Eigen::MatrixXd::Constant(1, 1, action_weight / (8 * 8));
    const LqrSolution expected =
        SolveLqr({.horizon = 5, .stages = {stage}, .terminal_Q = stage.Q, .terminal_q = {}});
    for (int t = 0; t < 5; ++t) {
      const Eigen::MatrixXd& K = expected.policy.step(t).feedback;
      EXPECT_LT((policy.step(t).feedback - K).norm(), 1e-10 * (1 + K.norm())) << t;
      EXPECT_EQ(policy.step(t).feedforward(0), 0);
    }
  }
}

TEST(TrackTrajectory, AUnitOfLengthChangesNoGain) {
  const DoubleIntegrator dynamics;
  const auto gains = [&](double unit) {
    const std::vector<double> start = {unit * 1.0, 0.0};
    std::vector<double> actions = {1, -2, 0.5, 3, -1};
    for (double& action : actions) action *= unit;
    const auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(8 * unit), start, actions);
    std::vector<double> all;
    for (int t = 0; t < 5; ++t) {
      const auto& feedback = policy.step(t).feedback;
      all.insert(all.end(), feedback.data(), feedback.data() + feedback.size());
    }
    return all;
  };
  const std::vector<double> metres = gains(1);
  const std::vector<double> small = gains(0x1p-30);  // its squares are about 1e-18
  ASSERT_EQ(small.size(), metres.size());
  // A power of two; what the recursion regularises or compares with 1 may round otherwise.
  for (size_t i = 0; i < metres.size(); ++i) EXPECT_NEAR(small[i], metres[i], 1e-9) << i;
}

TEST(TrackTrajectory, ReturnsToThePlanAfterADisturbance) {
  const DoubleIntegrator dynamics;
  std::vector<double> actions(100);
  for (size_t t = 0; t < actions.size(); ++t) actions[t] = (t + 5) % 20 < 10 ? 1 : -1;
  auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(8), kStart, actions);
  std::vector<double> x = {kStart[0] + 0.3, kStart[1] - 0.2};
  for (int t = 0; t < 100; ++t) {
    double u = 0;
    policy.Act({.observation = x, .time = t, .key = {}}, {&u, 1});
    x = {x[0] + DoubleIntegrator::kStep * x[1], x[1] + DoubleIntegrator::kStep * u};
  }
  const Eigen::VectorXd last = policy.step(99).state;
  EXPECT_NEAR(x[0], last(0) + DoubleIntegrator::kStep * last(1), 0.01);
  EXPECT_NEAR(x[1], last(1) + DoubleIntegrator::kStep * actions[99], 0.01);
}

TEST(TrackTrajectory, StaysInsideTheBounds) {
  const DoubleIntegrator dynamics;
  auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(2), kStart, std::vector<double>(5));
  const std::vector<double> far = {1000.0, 0.0};
  double u = 0;
  policy.Act({.observation = far, .time = 0, .key = {}}, {&u, 1});
  EXPECT_EQ(u, -2);
}

TEST(TrackTrajectory, APredictionThatIsNotFiniteEndsTheRun) {
  DoubleIntegrator dynamics;
  dynamics.nan_above = 0.5;
  EXPECT_THROW(
      (void)TrackTrajectory(dynamics, DoubleIntegratorSpec(2), kStart, std::vector<double>{1.0}),
      RunError);
}

/// x1' = 100 x1, out of the action's reach; x2' = x2 + u.
class Unstable final : public testing::ObservedState<2, 1> {
 public:
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      batch.next_state[2 * row] = 100 * batch.state[2 * row];
      batch.next_state[2 * row + 1] = batch.state[2 * row + 1] + batch.action[row];
    }
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      std::ranges::copy(std::array{100.0, 0.0, 0.0, 1.0}, batch.A + 4 * row);
      std::ranges::copy(std::array{0.0, 1.0}, batch.B + 2 * row);
    }
  }
};

TEST(TrackTrajectory, GainsThatAreNotFiniteEndTheRun) {
  // From 0 the prediction stays finite. The cost to go of x1 is 10^4 times that of the step after:
  // it leaves the double, 1e308, with 78 steps, where only the first step's gains are touched.
  const Unstable dynamics;
  const std::vector<double> origin = {0, 0};
  const auto track = [&](size_t horizon) {
    return TrackTrajectory(dynamics, DoubleIntegratorSpec(1), origin,
                           std::vector<double>(horizon, 0.1));
  };
  EXPECT_EQ(track(77).horizon(), 77);
  for (const size_t horizon : {78, 79, 200}) {
    try {
      (void)track(horizon);
      ADD_FAILURE() << horizon;
    } catch (const RunError& error) {
      EXPECT_NE(std::string(error.what()).find("the gains at step"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace foreplan
