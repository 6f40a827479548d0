#include "foreplan/models/true_dynamics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/closed_form/pendulum.h"

namespace foreplan {
namespace {

// Closed forms are stepped in vector code whose sine, cosine and order of rounding are not those of
// the plain path: a few roundings (1.1e-16) of numbers of size 10 per operation.
constexpr double kRounding = 1e-13;

void ExpectStepsLikeTheSystem(System& system, int rows) {
  const auto ns = static_cast<size_t>(system.spec().state_dim());
  const auto no = static_cast<size_t>(system.spec().observation_dim());
  const auto nu = static_cast<size_t>(system.spec().action_dim());
  const auto count = static_cast<size_t>(rows);
  Random random(Key{1, count});
  std::vector<double> states(count * ns);
  std::vector<double> actions(count * nu);
  for (double& value : states) value = random.Uniform(-4.0, 4.0);
  for (double& value : actions) value = random.Uniform(-5.0, 5.0);  // partly outside the bounds
  std::vector<double> next(count * ns);
  std::vector<double> observation(count * no);
  const TrueDynamics dynamics(system);
  const auto workspace = dynamics.MakeWorkspace(rows);
  dynamics.Step({.rows = rows,
                 .state = states.data(),
                 .action = actions.data(),
                 .next_state = next.data(),
                 .next_observation = observation.data(),
                 .key = {}},
                *workspace);
  std::vector<double> expected(ns);
  std::vector<double> expected_observation(no);
  for (size_t row = 0; row < count; ++row) {
    system.SetState({&states[row * ns], ns});
    ASSERT_EQ(system.Step({&actions[row * nu], nu}), StepStatus::kOk);
    system.GetState(expected);
    system.Observe(expected_observation);
    for (size_t i = 0; i < ns; ++i) EXPECT_NEAR(next[row * ns + i], expected[i], kRounding);
    for (size_t i = 0; i < no; ++i) {
      EXPECT_NEAR(observation[row * no + i], expected_observation[i], kRounding);
    }
  }
}

TEST(TrueDynamics, StepsEveryRowLikeTheSystem) {
  CartPole cartpole;
  Pendulum pendulum;
  for (const int rows : {1, 2, 3, 4, 5, 8, 63, 64}) {
    ExpectStepsLikeTheSystem(cartpole, rows);
    ExpectStepsLikeTheSystem(pendulum, rows);
  }
}

TEST(TrueDynamics, ARowsBitsDoNotDependOnItsNeighbours) {
  constexpr int kRows = 21;
  const CartPole system;
  const TrueDynamics dynamics(system);
  const auto workspace = dynamics.MakeWorkspace(kRows);
  std::vector<double> states(4 * kRows, 0.5);
  const std::vector<double> actions(kRows, 0.25);
  const auto sixth = [&] {
    std::vector<double> next(states.size());
    std::vector<double> observation(states.size());
    dynamics.Step({.rows = kRows,
                   .state = states.data(),
                   .action = actions.data(),
                   .next_state = next.data(),
                   .next_observation = observation.data(),
                   .key = {}},
                  *workspace);
    return std::vector<double>(&next[4 * 6], &next[4 * 7]);
  };
  const std::vector<double> among_equals = sixth();
  for (const double neighbour : {-2.0, 1e300, std::numeric_limits<double>::quiet_NaN()}) {
    for (size_t i = 0; i < states.size(); ++i) states[i] = i / 4 == 6 ? 0.5 : neighbour;
    EXPECT_EQ(sixth(), among_equals) << neighbour;
  }
}

TEST(TrueDynamics, RowsThatDivergeAreNanAndOthersGoOn) {
  const CartPole system;
  const TrueDynamics dynamics(system);
  const auto workspace = dynamics.MakeWorkspace(3);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  // A NaN, a speed whose square overflows, and an ordinary state.
  const std::vector<double> states = {0, nan, 0, 0, 0, 1, 0, 1e200, 0, 1, 0, 0};
  const std::vector<double> actions = {0, 0, 1};
  std::vector<double> next(12);
  std::vector<double> observation(12);
  dynamics.Step({.rows = 3,
                 .state = states.data(),
                 .action = actions.data(),
                 .next_state = next.data(),
                 .next_observation = observation.data(),
                 .key = {}},
                *workspace);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(std::isnan(next[i]), i < 8) << i;
    EXPECT_EQ(std::isnan(observation[i]), i < 8) << i;
  }
}

}  // namespace
}  // namespace foreplan
