// Options of MuJoCo systems, and the model that they ask for.
#pragma once

#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_arrays.h"
#include "foreplan/systems/mujoco/mujoco_reset.h"

namespace foreplan {

struct MujocoOptions {
  std::string model;   // MJCF file
  int frame_skip = 1;  // simulator steps per control period, 1 ... 1000
  std::vector<std::string> observation = {"qpos", "qvel"};  // see mujoco_observation_parts.h
  std::vector<NamedConstant> constants;                     // that the observation may name
  std::string observation_where;                            // for messages; "": the model's file
  ObservedAt observe_at = ObservedAt::kNewState;            // see mujoco_arrays.h
  std::vector<std::string> body_offset;  // "BODY = (dx, dy, dz)", added to its place [m]
  // "ACTUATOR = (LOW, HIGH)", in the place of the model's ctrlrange; '*' stands for any characters,
  // the last text that fits counts.
  std::vector<std::string> control_range;
  bool keep_awake = false;   // simulate awake what the model lets fall asleep
  MujocoResetOptions reset;  // around the rest position and velocity 0, or a keyframe

  void Visit(OptionsVisitor& visitor);
};

/// The model of the options' file, its bodies moved and its actuators bounded as they say. Throws
/// InputError.
[[nodiscard]] MujocoModel CompiledModel(const MujocoOptions& options);

/// Throws InputError for texts of body_offset and control_range that say nothing; `file` is where
/// they stand.
void CheckMujocoTexts(const MujocoOptions& options, const std::string& file);

/// What the compiler derives from other fields of a model.
void SetMujocoConstants(mjModel& model);

}  // namespace foreplan
