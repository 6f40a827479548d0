#include "foreplan/systems/mujoco/mujoco.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace foreplan {
namespace {

/// Throws RunError when header and library are of different releases. From 4.0 on the last number
/// alone may differ: such releases keep the interface (the structs of 4.0.0 and 4.0.1 are the
/// same).
void CheckVersion() {
  constexpr int kPatches = mjVERSION_HEADER >= 4000000 ? 1000 : 1;  // 4.0.1 is 4000001, 2.2.2 222
  if (mj_version() / kPatches == mjVERSION_HEADER / kPatches) return;
  throw RunError(fmt::format("MuJoCo: found library version {}, expected {} as compiled for",
                             mj_version(), mjVERSION_HEADER));
}

/// What foreplan neither stores nor restores must not exist.
void RefuseFurtherState(const mjModel& model, const std::string& file) {
#if mjVERSION_HEADER >= 4000000
  const auto stored = 1 + model.nq + model.nv + model.na;
  const auto found = mj_stateSize(&model, mjSTATE_FULLPHYSICS);
  if (found != stored) {
    throw InputError(fmt::format(
        "{}: found {} state entries, expected {} (time, qpos, qvel, act): models with plugins, "
        "delays or plasticity are not supported",
        file, found, stored));
  }
  if ((model.opt.enableflags & mjENBL_IPC) != 0) {
    throw InputError(fmt::format(
        "{}: found <flag ipc=\"enable\"/>, expected none: its contacts remember earlier steps, "
        "which no state can hold",
        file));
  }
  if (model.nu != model.nactuator) {
    throw InputError(fmt::format("{}: found {} controls of {} actuators, expected one each", file,
                                 model.nu, model.nactuator));
  }
#else
  if ((model.opt.enableflags & mjENBL_SENSORNOISE) != 0) {
    throw InputError(fmt::format(
        "{}: found <flag sensornoise=\"enable\"/>, expected none: its noise is drawn once per "
        "process, and no state can hold it",
        file));
  }
#endif
}

/// What compiles and cannot be controlled.
void RefuseWhatDoesNotMove(const mjModel& model, const std::string& file) {
  constexpr double kLongest = 10;
  if (!(model.opt.timestep > 0 && model.opt.timestep <= kLongest)) {
    throw InputError(
        fmt::format("{}: <option timestep=\"{}\"/>: expected a time above 0 and up to {} s", file,
                    model.opt.timestep, kLongest));
  }
  if (model.nv == 0) {
    throw InputError(fmt::format("{}: found no joints, expected something that moves", file));
  }
}

int JointOfPosition(const mjModel& model, int position) {
  int joint = 0;
  while (joint + 1 < model.njnt && model.jnt_qposadr[joint + 1] <= position) ++joint;
  return joint;
}

std::string JointName(const mjModel& model, int joint) {
  return MujocoName(model, mjOBJ_JOINT, joint, "joint");
}

/// Index of the first entry that MuJoCo would refuse (NaN or larger than 1e10), or -1.
template <typename Size>
int FirstBad(const mjtNum* values, Size size) {
  const mjtNum* end = values + size;
  const mjtNum* bad = std::find_if(values, end, [](mjtNum value) { return mju_isBad(value) != 0; });
  return bad == end ? -1 : static_cast<int>(bad - values);
}

}  // namespace

MujocoModel LoadMujocoModel(const std::filesystem::path& file) {
  CheckVersion();
  const MujocoGuard guard;
  const std::string name = file.string();
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    throw InputError(fmt::format("{}: no such file, expected an MJCF model", name));
  }
  std::array<char, 1000> message{};
  mjModel* model = nullptr;
  try {
    model = mj_loadXML(name.c_str(), nullptr, message.data(), static_cast<int>(message.size()));
  } catch (const MujocoError& fatal) {
    throw InputError(fmt::format("{}: MuJoCo: {}", name, fatal.what()));
  }
  if (model == nullptr) {
    throw InputError(fmt::format("{}: MuJoCo: {}", name, MujocoMessage(message.data())));
  }
  MujocoModel owner(model, [](const mjModel* m) { mj_deleteModel(const_cast<mjModel*>(m)); });
  RefuseFurtherState(*owner, name);
  RefuseWhatDoesNotMove(*owner, name);
  return owner;
}

namespace {

/// Where the files were that it is made of.
void ForgetPaths([[maybe_unused]] mjModel& model) {
#if mjVERSION_HEADER >= 4000000
  std::fill_n(model.mesh_pathadr, model.nmesh, -1);
  std::fill_n(model.skin_pathadr, model.nskin, -1);
  std::fill_n(model.hfield_pathadr, model.nhfield, -1);
  std::fill_n(model.tex_pathadr, model.ntex, -1);
  model.npaths = 0;
  model.nbuffer = 0;  // grows with them
#endif
}

}  // namespace

bool AreEqual(const mjModel& one, const mjModel& other) {
  const auto bytes_of = [](const mjModel& model) {
    const std::shared_ptr<mjModel> copy = CopyMujocoModel(model);
    ForgetPaths(*copy);
    const auto size = mj_sizeModel(copy.get());
    std::vector<std::byte> bytes(static_cast<size_t>(size));
    mj_saveModel(copy.get(), nullptr, bytes.data(), size);
    return bytes;
  };
  const MujocoGuard guard;
  return bytes_of(one) == bytes_of(other);
}

bool MaySleep([[maybe_unused]] const mjModel& model) {
#if mjVERSION_HEADER >= 4000000
  return (model.opt.enableflags & mjENBL_SLEEP) != 0;
#else
  return false;
#endif
}

void KeepAwake([[maybe_unused]] mjModel& model) {
#if mjVERSION_HEADER >= 4000000
  model.opt.enableflags &= ~mjENBL_SLEEP;
#endif
}

std::shared_ptr<mjModel> CopyMujocoModel(const mjModel& model) {
  const MujocoGuard guard;
  return {mj_copyModel(nullptr, &model), mj_deleteModel};
}

MujocoData MakeMujocoData(const mjModel& model) {
  const MujocoGuard guard;
  return MujocoData(mj_makeData(&model));
}

MujocoData CopyMujocoData(const mjModel& model, const mjData& data) {
  const MujocoGuard guard;
  return MujocoData(mj_copyData(nullptr, &model, &data));
}

std::optional<MujocoFault> FindMujocoFault(const mjModel& model, const mjData& data) {
  for (int i = 0; i < mjNWARNING; ++i) {
    if (data.warning[i].number > 0) {
      return MujocoFault{static_cast<mjtWarning>(i), static_cast<int>(data.warning[i].lastinfo)};
    }
  }
  if (const int i = FirstBad(data.qpos, model.nq); i >= 0) return MujocoFault{mjWARN_BADQPOS, i};
  if (const int i = FirstBad(data.qvel, model.nv); i >= 0) return MujocoFault{mjWARN_BADQVEL, i};
  return std::nullopt;
}

std::string DescribeMujocoFault(const mjModel& model, const MujocoFault& fault) {
  const auto joint_of_dof = [&] { return JointName(model, model.dof_jntid[fault.index]); };
  switch (fault.warning) {
    case mjWARN_BADQPOS:
      return fmt::format("qpos of joint '{}'",
                         JointName(model, JointOfPosition(model, fault.index)));
    case mjWARN_BADQVEL:
      return fmt::format("qvel of joint '{}'", joint_of_dof());
    case mjWARN_BADQACC:
      return fmt::format("qacc of joint '{}'", joint_of_dof());
    case mjWARN_BADCTRL:
      return fmt::format("control of actuator '{}'",
                         MujocoName(model, mjOBJ_ACTUATOR, fault.index, "actuator"));
    case mjWARN_INERTIA:
      return fmt::format("singular inertia matrix at joint '{}'", joint_of_dof());
    case mjWARN_CONTACTFULL:
      return "contacts: more than MuJoCo has room for";
    case mjWARN_CNSTRFULL:
      return "constraints: more than MuJoCo has room for";
    default:
      return fmt::format("MuJoCo's warning {}", static_cast<int>(fault.warning));
  }
}

void ClearMujocoWarnings(mjData& data) {
  std::fill(std::begin(data.warning), std::end(data.warning), mjWarningStat{});
}

std::string MujocoName(const mjModel& model, mjtObj type, int index, const std::string& prefix) {
  const char* name = mj_id2name(&model, type, index);
  if (name != nullptr && *name != '\0') return name;
  std::string made_up = fmt::format("{}{}", prefix, index);
  while (mj_name2id(&model, type, made_up.c_str()) >= 0) made_up.insert(0, "unnamed_");
  return made_up;
}

std::string MujocoActivationName(const mjModel& model, int index) {
#if mjVERSION_HEADER >= 4000000
  // An actuator has none, one or several.
  for (int actuator = 0; actuator < model.nu; ++actuator) {
    const int place = index - model.actuator_actadr[actuator];
    const int count = model.actuator_actnum[actuator];
    if (model.actuator_actadr[actuator] < 0 || place < 0 || place >= count) continue;
    const std::string name = MujocoName(model, mjOBJ_ACTUATOR, actuator, "actuator");
    return count == 1 ? name + "_activation" : fmt::format("{}_activation{}", name, place);
  }
  return fmt::format("activation{}", index);
#else
  // The last actuators have one each.
  const int actuator = model.nu - model.na + index;
  return MujocoName(model, mjOBJ_ACTUATOR, actuator, "actuator") + "_activation";
#endif
}

std::vector<double> MujocoMassMatrix(const mjModel& model, const mjData& data) {
  std::vector<double> matrix(static_cast<size_t>(model.nv) * static_cast<size_t>(model.nv));
#if mjVERSION_HEADER >= 4000000
  mj_fullM(&model, &data, matrix.data());
#else
  mj_fullM(&model, matrix.data(), data.qM);
#endif
  return matrix;
}

}  // namespace foreplan
