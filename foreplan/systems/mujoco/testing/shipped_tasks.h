// The shipped MuJoCo tasks and their recordings, for tests.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {

using Numbers = std::vector<double>;

inline bool IsOldMujoco() { return mj_version() < 4000000; }

inline std::unique_ptr<System> MakeShipped(const std::string& task) {
  return Task::Load(task).first.MakeSystem();
}

inline const mjModel& ModelOf(const System& system) {
  return dynamic_cast<const MujocoSystem&>(system).model();
}

/// The setting that makes resets give the recording's first state.
inline std::string StartOf(const GoldenTrajectory& golden) {
  std::string draws;
  for (const char* array : {"qpos", "qvel"}) {
    const Numbers values = golden.Initial(array);
    for (size_t i = 0; i < values.size(); ++i) {
      draws += fmt::format("'{}[{}] = {:.17g}',", array, i, values[i]);
    }
  }
  return "system.reset.draw=[" + draws + "]";
}

}  // namespace foreplan
