// The arrays of a MuJoCo simulation that can be observed, and what their numbers are called.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_components.h"

namespace foreplan {

/// What has to be computed at a state before an array is of it, each with what is above it.
enum class MujocoEvaluation {
  kNone,    // part of the state
  kPlaces,  // of bodies, geoms and sites
  kMotion,  // velocities; sensors of places and motion
  kForces,  // accelerations and forces, which depend on the controls
};

/// The moment that all numbers but qpos, qvel and act are of.
enum class ObservedAt {
  /// The state that is observed, as mj_forward gives them there with the controls of the last step.
  kNewState,
  /// As mj_step leaves them, which published tasks observe: of the last evaluation INSIDE the step
  /// (the start of the last substep, or the last Runge-Kutta stage), up to one substep old.
  kLastEvaluation,
};

/// One row of numbers for each of these.
enum class ArrayOwner {
  kPosition,
  kVelocity,
  kActivation,
  kBody,
  kNamedBody,
  kNamedGeom,
  kNamedSite,
  kNamedSensor
};

struct MujocoArray {
  std::string_view name;
  ArrayOwner owner;
  int width;  // numbers per row
  MujocoEvaluation needs;
  mjtNum* mjData::*numbers;         // row by row
  std::string_view component = "";  // what is added to the owner's name

  /// Of one object, which is named in parentheses.
  [[nodiscard]] constexpr bool HasName() const {
    return owner == ArrayOwner::kNamedBody || owner == ArrayOwner::kNamedGeom ||
           owner == ArrayOwner::kNamedSite || owner == ArrayOwner::kNamedSensor;
  }
};

// Adding one is one entry here.
inline constexpr std::array<MujocoArray, 17> kMujocoArrays{{
    {"qpos", ArrayOwner::kPosition, 1, MujocoEvaluation::kNone, &mjData::qpos},
    {"qvel", ArrayOwner::kVelocity, 1, MujocoEvaluation::kNone, &mjData::qvel},
    {"act", ArrayOwner::kActivation, 1, MujocoEvaluation::kNone, &mjData::act},
    {"qfrc_actuator", ArrayOwner::kVelocity, 1, MujocoEvaluation::kForces, &mjData::qfrc_actuator,
     "_actuator_force"},
    {"qfrc_constraint", ArrayOwner::kVelocity, 1, MujocoEvaluation::kForces,
     &mjData::qfrc_constraint, "_constraint_force"},
    {"xpos", ArrayOwner::kNamedBody, 3, MujocoEvaluation::kPlaces, &mjData::xpos},
    {"subtree_com", ArrayOwner::kNamedBody, 3, MujocoEvaluation::kPlaces, &mjData::subtree_com,
     "_com"},
    {"geom_xpos", ArrayOwner::kNamedGeom, 3, MujocoEvaluation::kPlaces, &mjData::geom_xpos},
    {"site_xpos", ArrayOwner::kNamedSite, 3, MujocoEvaluation::kPlaces, &mjData::site_xpos},
    {"xmat", ArrayOwner::kNamedBody, 9, MujocoEvaluation::kPlaces, &mjData::xmat},
    {"xquat", ArrayOwner::kNamedBody, 4, MujocoEvaluation::kPlaces, &mjData::xquat},
    {"geom_xmat", ArrayOwner::kNamedGeom, 9, MujocoEvaluation::kPlaces, &mjData::geom_xmat},
    {"site_xmat", ArrayOwner::kNamedSite, 9, MujocoEvaluation::kPlaces, &mjData::site_xmat},
    // Of places and motion, some of forces: EvaluationOfSensor.
    {"sensor", ArrayOwner::kNamedSensor, 1, MujocoEvaluation::kMotion, &mjData::sensordata},
    {"cinert", ArrayOwner::kBody, 10, MujocoEvaluation::kPlaces, &mjData::cinert, "_cinert"},
    {"cvel", ArrayOwner::kBody, 6, MujocoEvaluation::kMotion, &mjData::cvel, "_cvel"},
    {"cfrc_ext", ArrayOwner::kBody, 6, MujocoEvaluation::kForces, &mjData::cfrc_ext, "_cfrc_ext"},
}};

/// Of number `index` of an array.
MujocoEvaluation EvaluationOf(const mjModel& model, const MujocoArray& array, int index);

/// Of an array of the whole model.
int RowsOf(const mjModel& model, ArrayOwner owner);

/// Numbers of one object of an array, which a range counts one by one.
struct ObjectNumbers {
  int first;
  int count;
};
/// Throws InputError, which starts with `where`, for a name that the model lacks.
ObjectNumbers FindObject(const std::string& where, const mjModel& model, const MujocoArray& array,
                         const std::string& name);

/// What is put behind the name of an object, so that it differs from that of another kind.
std::string_view KindName(ArrayOwner owner);

/// Name, with `kind` behind that of the object, and unit of number `index` of an array.
Component ComponentOf(const mjModel& model, const StateComponents& state, const MujocoArray& array,
                      int index, std::string_view kind);

}  // namespace foreplan
