// MuJoCo behind one small wrapper that hides the differences between the versions 4.0 and 2.2.2:
// loading, errors, warnings, divergence. Simulating code includes MuJoCo through this file only.
#pragma once

#include <mujoco/mujoco.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_guard.h"

namespace foreplan {

struct MujocoDataDeleter {
  void operator()(mjData* data) const { mj_deleteData(data); }
};
using MujocoData = std::unique_ptr<mjData, MujocoDataDeleter>;
using MujocoModel = std::shared_ptr<const mjModel>;

/// Compiles an MJCF file. Throws InputError with the file and MuJoCo's message on one line, also
/// for a model with state that cannot be set, such as plugins or delays, with actuators of several
/// controls, without joints, or of a timestep that is none. Throws RunError when the library is not
/// of the version that this program was compiled for.
MujocoModel LoadMujocoModel(const std::filesystem::path& file);

/// True when they are the same, byte by byte, wherever the files were that they are made of.
bool AreEqual(const mjModel& one, const mjModel& other);

/// True for a model whose bodies may fall asleep. Who sleeps is no part of a state that can be set:
/// such a model must be kept awake.
bool MaySleep(const mjModel& model);
void KeepAwake(mjModel& model);

/// A copy to be changed.
std::shared_ptr<mjModel> CopyMujocoModel(const mjModel& model);

MujocoData MakeMujocoData(const mjModel& model);
MujocoData CopyMujocoData(const mjModel& model, const mjData& data);

/// Why a simulation cannot go on: a warning of mj_step, or a number that the next step would warn
/// of.
struct MujocoFault {
  mjtWarning warning;
  int index;  // of the qpos entry, degree of freedom or control; else as MuJoCo gives it
};

/// To be asked after EVERY mj_step: a bad number makes MuJoCo reset the state and go on as if
/// nothing had happened.
std::optional<MujocoFault> FindMujocoFault(const mjModel& model, const mjData& data);

/// E.g. "qacc of joint 'hinge'".
std::string DescribeMujocoFault(const mjModel& model, const MujocoFault& fault);

/// Forgets the warnings so far.
void ClearMujocoWarnings(mjData& data);

/// Name of the object; of one without, `prefix` with its index, or that behind "unnamed_" where
/// another object of its type is called so.
std::string MujocoName(const mjModel& model, mjtObj type, int index, const std::string& prefix);

/// Of the activation state `index` [of na], e.g. "biceps_activation".
std::string MujocoActivationName(const mjModel& model, int index);

/// The joint-space inertia matrix at the state of the last forward pass: [nv x nv], row-major.
std::vector<double> MujocoMassMatrix(const mjModel& model, const mjData& data);

}  // namespace foreplan
