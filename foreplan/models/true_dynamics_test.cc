#include "foreplan/models/true_dynamics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/systems/cartpole.h"

namespace foreplan {
namespace {

TEST(TrueDynamics, StepsEveryRowLikeTheSystem) {
  CartPole system;
  const TrueDynamics dynamics(system);
  const auto workspace = dynamics.MakeWorkspace(3);
  const std::vector<double> states = {0.1, 2, 0.3, -1, 0, 0, 0, 0, -1, 3, 2, 5};
  const std::vector<double> actions = {1.5, -3, 0.25};
  std::vector<double> next(12);
  std::vector<double> observation(12);
  dynamics.Step({.rows = 3,
                 .state = states.data(),
                 .action = actions.data(),
                 .next_state = next.data(),
                 .next_observation = observation.data(),
                 .key = {}},
                *workspace);
  for (size_t row = 0; row < 3; ++row) {
    system.SetState({&states[4 * row], 4});
    ASSERT_EQ(system.Step({&actions[row], 1}), StepStatus::kOk);
    std::vector<double> expected(4);
    system.GetState(expected);
    EXPECT_EQ(expected, std::vector<double>(&next[4 * row], &next[4 * row] + 4));
    system.Observe(expected);
    EXPECT_EQ(expected, std::vector<double>(&observation[4 * row], &observation[4 * row] + 4));
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
