// States from observations of shipped tasks, whose observations leave something out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"
#include "foreplan/systems/mujoco/testing/shipped_tasks.h"
#include "foreplan/systems/observed_state.h"

namespace foreplan {
namespace {

/// Largest distance between where bodies are and where their observations say they are, over 30
/// steps of a task from a start.
double LargestDistance(const std::string& task) {
  const auto system = MakeShipped(task);
  system->Reset(Key{3, 1});
  const auto picture = system->MakePicture();
  Numbers state = StateOf(*system);
  ObservedState observed(*system, *picture, state);
  Numbers before = ObservationOf(*system);
  std::vector<ScenePose> real(picture->scene().bodies.size());
  std::vector<ScenePose> guessed = real;
  double largest = 0;
  for (int step = 0; step < 30; ++step) {
    Numbers action(system->spec().action.size());
    for (size_t i = 0; i < action.size(); ++i) {
      action[i] = std::sin(0.3 * step + static_cast<double>(i)) * system->spec().action_high[i];
    }
    static_cast<void>(system->Step(action));
    const Numbers now = ObservationOf(*system);
    observed.Follow(before, now, state);
    before = now;
    picture->Place(StateOf(*system), real);
    picture->Place(state, guessed);
    for (size_t i = 0; i < real.size(); ++i) {
      for (size_t k = 0; k < 3; ++k) {
        largest = std::max(largest, std::abs(real[i].position[k] - guessed[i].position[k]));
      }
    }
  }
  return largest;
}

// Rates are exact means over a step, angles are found to 1e-8.
TEST(MujocoObservedState, FollowsWhatIsSeen) {
  for (const char* task : {"pets_half_cheetah", "pets_cartpole", "gymnasium_hopper",
                           "dm_control_cartpole_swingup", "gymnasium_reacher"}) {
    EXPECT_LT(LargestDistance(task), 1e-6) << task;
  }
}

// Its place is the sum of the means of two velocities, 0.05 s apart: a tenth of a step at most.
TEST(MujocoObservedState, MovesByVelocitiesWhereNoRateIsObserved) {
  EXPECT_LT(LargestDistance("gymnasium_swimmer"), 0.05);
}

}  // namespace
}  // namespace foreplan
