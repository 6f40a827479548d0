#include "foreplan/systems/observed_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/systems/closed_form/pendulum.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/system_types.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

Numbers StateOf(const System& system) {
  Numbers state(system.spec().state.size());
  system.GetState(state);
  return state;
}

Numbers ObservationOf(const System& system) {
  Numbers observation(system.spec().observation.size());
  system.Observe(observation);
  return observation;
}

TEST(ObservedState, ReadsOffWhatIsObservedAsItIs) {
  Quadrotor system;
  const auto picture = system.MakePicture();
  ObservedState observed(system, *picture, StateOf(system));
  EXPECT_TRUE(observed.is_read_off());
  Numbers state = StateOf(system);
  Numbers wanted(12);
  for (size_t i = 0; i < 12; ++i) wanted[i] = 0.1 * static_cast<double>(i) - 0.4;
  observed.Follow(Numbers(12, 0.0), wanted, state);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(state[i], wanted[i]) << "where it is and how it turns";
  EXPECT_EQ(state[6], 0) << "velocities are not seen";
}

// Through three turns: the angle goes on where sine and cosine begin anew.
TEST(ObservedState, FindsAnglesFromTheirSinesAndCosines) {
  Pendulum system;
  const auto picture = system.MakePicture();
  system.SetState(Numbers{3, 0});
  ObservedState observed(system, *picture, StateOf(system));
  EXPECT_FALSE(observed.is_read_off());
  Numbers state = {3, 0};
  Numbers before = ObservationOf(system);
  for (double angle = 3; angle < 3 + 6 * std::numbers::pi; angle += 0.35) {
    system.SetState(Numbers{angle, 1});
    const Numbers now = ObservationOf(system);
    observed.Follow(before, now, state);
    // Gauss-Newton stops at changes of 1e-6, and its next error is the square of that.
    ASSERT_NEAR(state[0], angle, 1e-8);
    before = now;
  }
}

// What a model imagines lies beside the circle: the nearest angle counts.
TEST(ObservedState, FindsTheNearestStateToWhatNoStateIsObservedAs) {
  Pendulum system;
  const auto picture = system.MakePicture();
  system.SetState(Numbers{0.5, 0});
  ObservedState observed(system, *picture, StateOf(system));
  Numbers state = {0.5, 0};
  const Numbers before = ObservationOf(system);
  observed.Follow(before, Numbers{1.2 * std::cos(0.6), 1.2 * std::sin(0.6), 0}, state);
  EXPECT_NEAR(state[0], 0.6, 1e-3);
}

}  // namespace
}  // namespace foreplan
