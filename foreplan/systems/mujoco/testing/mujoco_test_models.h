// Small MuJoCo models for tests.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {

inline MujocoOptions ShippedModel(const std::string& name) {
  MujocoOptions options;
  options.model = (TasksDirectory() / (name + ".xml")).string();
  options.frame_skip = 2;
  return options;
}

/// Writes a model into the tests' temporary directory.
inline MujocoOptions TemporaryModel(const std::string& name, const std::string& mjcf) {
  MujocoOptions options;
  options.model = testing::TempDir() + "/" + name;
  std::ofstream(options.model) << mjcf;
  return options;
}

/// What making the system throws, or "".
inline std::string InputErrorOf(const MujocoOptions& options) {
  try {
    MujocoSystem system(options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

inline std::vector<double> StateOf(const System& system) {
  std::vector<double> state(system.spec().state.size());
  system.GetState(state);
  return state;
}

inline std::vector<double> ObservationOf(const System& system) {
  std::vector<double> observation(system.spec().observation.size());
  system.Observe(observation);
  return observation;
}

}  // namespace foreplan
