#include "foreplan/learners/local_cost.h"

#include <gtest/gtest.h>

#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// -r of one transition.
double CostOf(const Reward& reward, const VectorXd& x, const VectorXd& u, const VectorXd& next) {
  double value = 0;
  uint8_t terminated = 0;
  reward.Evaluate({1, x.data(), u.data(), next.data()}, &value, &terminated);
  return -value;
}

TEST(LocalCost, GoesThroughTheDynamicsToTheNextObservation) {
  // This reward is a function of the action and the next observation.
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  LinearGaussianDynamics dynamics;
  Random random(Key{2, 0});
  const auto normal = [&](Eigen::Index rows, Eigen::Index columns) {
    MatrixXd m(rows, columns);
    for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = 0.3 * random.Normal();
    return m;
  };
  dynamics.steps.push_back({.A = MatrixXd::Identity(4, 4) + 0.1 * normal(4, 4),
                            .B = normal(4, 1),
                            .c = VectorXd::Zero(4),
                            .covariance = MatrixXd::Zero(4, 4)});
  const LinearGaussianTransition& f = dynamics.steps[0];
  // Near upright, where the reward is concave.
  VectorXd x(4);
  x << 0.01, 3.1, 0.02, -0.03;
  const VectorXd u = VectorXd::Constant(1, 0.4);
  dynamics.steps[0].c = VectorXd::Unit(4, 1) * 0.02 + x - f.A * x - f.B * u;
  const VectorXd next = f.A * x + f.B * u + f.c;
  VectorXd states(8);
  states << x, next;
  const RolloutView rollout = {.rollouts = 1,
                               .transitions = 1,
                               .nx = 4,
                               .nu = 1,
                               .states = states.data(),
                               .actions = u.data()};
  std::vector<QuadraticCost> costs;
  LocalCost(*reward, 4, 1, {}).Expand(rollout, {}, dynamics, costs);
  ASSERT_EQ(costs.size(), 1u);
  const QuadraticCost& c = costs[0];
  const auto quadratic = [&](const VectorXd& dx, double du) {
    const VectorXd y = x + dx;
    const VectorXd v = u + VectorXd::Constant(1, du);
    return 0.5 * y.dot(c.Q * y) + v.dot(c.S * y) + 0.5 * v.dot(c.R * v) + c.q.dot(y) + c.r.dot(v) +
           c.constant;
  };
  const auto exact = [&](const VectorXd& dx, double du) {
    const VectorXd y = x + dx;
    const VectorXd v = u + VectorXd::Constant(1, du);
    return CostOf(*reward, y, v, f.A * y + f.B * v + f.c);
  };
  EXPECT_NEAR(quadratic(VectorXd::Zero(4), 0), exact(VectorXd::Zero(4), 0), 1e-12);
  // The expansion is right to the second order: errors fall with the cube of the distance.
  for (Eigen::Index i = 0; i < 4; ++i) {
    const VectorXd dx = 1e-3 * VectorXd::Unit(4, i);
    EXPECT_NEAR(quadratic(dx, 1e-3), exact(dx, 1e-3), 1e-7) << i;
  }
}

TEST(LocalCost, AveragesRollouts) {
  const auto reward = MakeReward("pendulum", 3, 1);
  LinearGaussianDynamics dynamics;
  dynamics.steps.push_back({.A = MatrixXd::Identity(3, 3),
                            .B = MatrixXd::Zero(3, 1),
                            .c = VectorXd::Zero(3),
                            .covariance = MatrixXd::Zero(3, 3)});
  const std::vector<double> states = {1,     0,      0.5,  1,     0,      0.5,
                                      0.995, 0.0998, -0.5, 0.995, 0.0998, -0.5};
  const std::vector<double> actions = {0.1, 0.1};
  const RolloutView both = {.rollouts = 2,
                            .transitions = 1,
                            .nx = 3,
                            .nu = 1,
                            .states = states.data(),
                            .actions = actions.data()};
  RolloutView a = both;
  a.rollouts = 1;
  RolloutView b = a;
  b.states += 6;
  b.actions += 1;
  LocalCost cost(*reward, 3, 1, {});
  std::vector<QuadraticCost> of_a, of_b, of_both;
  cost.Expand(a, {}, dynamics, of_a);
  cost.Expand(b, {}, dynamics, of_b);
  cost.Expand(both, {}, dynamics, of_both);
  EXPECT_LT((of_both[0].Q - 0.5 * (of_a[0].Q + of_b[0].Q)).norm(), 1e-12);
  EXPECT_LT((of_both[0].q - 0.5 * (of_a[0].q + of_b[0].q)).norm(), 1e-12);
  EXPECT_NEAR(of_both[0].constant, 0.5 * (of_a[0].constant + of_b[0].constant), 1e-12);
}

}  // namespace
}  // namespace foreplan
