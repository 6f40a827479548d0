#include <gtest/gtest.h>

#include <vector>

#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {
namespace {

TEST(MujocoSystem, StepsAndObservesWithoutAllocating) {
  MujocoOptions options;
  options.model = (TasksDirectory() / "pets_cartpole.xml").string();
  options.observation = {"sin(qpos)", "clip(qvel, -1, 1)", "rate(xpos(pole))", "cfrc_ext[1:]"};
  options.reset.draw = {"hinge = normal(0, 1)"};
  MujocoSystem system(options);
  std::vector<double> observed(system.spec().observation.size());
  std::vector<double> state(system.spec().state.size());
  const std::vector<double> action{1};
  int ok = 0;
  const long allocations = testing::CountAllocations([&] {
    system.Reset(Key{1, 0});
    for (int step = 0; step < 20; ++step) {
      ok += system.Step(action) == StepStatus::kOk ? 1 : 0;
      system.Observe(observed);
      system.GetState(state);
      system.SetState(state);
    }
  });
  EXPECT_EQ(ok, 20);
  EXPECT_EQ(allocations, 0);
}

}  // namespace
}  // namespace foreplan
