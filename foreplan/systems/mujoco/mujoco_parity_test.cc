// The shipped MuJoCo tasks are the published ones: the same compiled models, the same motion, the
// same observations, rewards and terminations.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/mujoco/testing/shipped_tasks.h"
#include "foreplan/systems/rewards/reward_functions.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/task_files.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

// --- the compiled models are the published ones

template <typename T, typename Size>
Numbers Copy(const T* values, Size size) {
  return Numbers(values, values + size);
}

std::map<std::string, Numbers> Options(const mjOption& o) {
  return {
    {"timestep", {o.timestep}}, {"integrator", {static_cast<double>(o.integrator)}},
        {"solver", {static_cast<double>(o.solver)}}, {"cone", {static_cast<double>(o.cone)}},
        {"jacobian", {static_cast<double>(o.jacobian)}}, {"tolerance", {o.tolerance}},
        {"noslip_iterations", {static_cast<double>(o.noslip_iterations)}},
        {"iterations", {static_cast<double>(o.iterations)}}, {"impratio", {o.impratio}},
        {"gravity", Copy(o.gravity, 3)}, {"wind", Copy(o.wind, 3)}, {"density", {o.density}},
        {"viscosity", {o.viscosity}}, {"disableflags", {static_cast<double>(o.disableflags)}},
        {"enableflags", {static_cast<double>(o.enableflags)}},
#if mjVERSION_HEADER >= 4000000
        {"ls_iterations", {static_cast<double>(o.ls_iterations)}}, {
      "ls_tolerance", { o.ls_tolerance }
    }
#endif
  };
}

/// Without those of planes, which are for drawing.
Numbers GeomSizes(const mjModel& m) {
  Numbers sizes = Copy(m.geom_size, 3 * m.ngeom);
  for (int geom = 0; geom < m.ngeom; ++geom) {
    if (m.geom_type[geom] == mjGEOM_PLANE) std::fill_n(&sizes[3 * size_t(geom)], 3, 0.0);
  }
  return sizes;
}

std::map<std::string, Numbers> Arrays(const mjModel& m) {
  return {{"total_mass", {mj_getTotalmass(&m)}},
          {"jnt_type", Copy(m.jnt_type, m.njnt)},
          {"geom_type", Copy(m.geom_type, m.ngeom)},
          {"body_parentid", Copy(m.body_parentid, m.nbody)},
          {"body_mass", Copy(m.body_mass, m.nbody)},
          {"body_inertia", Copy(m.body_inertia, 3 * m.nbody)},
          {"body_ipos", Copy(m.body_ipos, 3 * m.nbody)},
          {"body_iquat", Copy(m.body_iquat, 4 * m.nbody)},
          {"body_pos", Copy(m.body_pos, 3 * m.nbody)},
          {"body_quat", Copy(m.body_quat, 4 * m.nbody)},
          {"jnt_bodyid", Copy(m.jnt_bodyid, m.njnt)},
          {"jnt_qposadr", Copy(m.jnt_qposadr, m.njnt)},
          {"jnt_pos", Copy(m.jnt_pos, 3 * m.njnt)},
          {"jnt_axis", Copy(m.jnt_axis, 3 * m.njnt)},
          {"jnt_limited", Copy(m.jnt_limited, m.njnt)},
          {"jnt_range", Copy(m.jnt_range, 2 * m.njnt)},
          {"jnt_stiffness", Copy(m.jnt_stiffness, m.njnt)},
          {"jnt_solref", Copy(m.jnt_solref, mjNREF * m.njnt)},
          {"jnt_solimp", Copy(m.jnt_solimp, mjNIMP * m.njnt)},
          {"jnt_margin", Copy(m.jnt_margin, m.njnt)},
          {"dof_damping", Copy(m.dof_damping, m.nv)},
          {"dof_armature", Copy(m.dof_armature, m.nv)},
          {"dof_frictionloss", Copy(m.dof_frictionloss, m.nv)},
          {"qpos0", Copy(m.qpos0, m.nq)},
          {"geom_bodyid", Copy(m.geom_bodyid, m.ngeom)},
          {"geom_contype", Copy(m.geom_contype, m.ngeom)},
          {"geom_conaffinity", Copy(m.geom_conaffinity, m.ngeom)},
          {"geom_condim", Copy(m.geom_condim, m.ngeom)},
          {"geom_pos", Copy(m.geom_pos, 3 * m.ngeom)},
          {"geom_quat", Copy(m.geom_quat, 4 * m.ngeom)},
          {"geom_size", GeomSizes(m)},
          {"geom_friction", Copy(m.geom_friction, 3 * m.ngeom)},
          {"geom_solref", Copy(m.geom_solref, mjNREF * m.ngeom)},
          {"geom_solimp", Copy(m.geom_solimp, mjNIMP * m.ngeom)},
          {"geom_margin", Copy(m.geom_margin, m.ngeom)},
          {"geom_gap", Copy(m.geom_gap, m.ngeom)},
          {"tendon_range", Copy(m.tendon_range, 2 * m.ntendon)},
          {"tendon_stiffness", Copy(m.tendon_stiffness, m.ntendon)},
          {"tendon_damping", Copy(m.tendon_damping, m.ntendon)},
          {"site_bodyid", Copy(m.site_bodyid, m.nsite)},
          {"site_pos", Copy(m.site_pos, 3 * m.nsite)},
          {"actuator_gear", Copy(m.actuator_gear, 6 * m.nu)},
          {"actuator_ctrllimited", Copy(m.actuator_ctrllimited, m.nu)},
          {"actuator_ctrlrange", Copy(m.actuator_ctrlrange, 2 * m.nu)},
          {"actuator_forcelimited", Copy(m.actuator_forcelimited, m.nu)},
          {"actuator_forcerange", Copy(m.actuator_forcerange, 2 * m.nu)},
          {"actuator_gainprm", Copy(m.actuator_gainprm, mjNGAIN * m.nu)},
          {"actuator_biasprm", Copy(m.actuator_biasprm, mjNBIAS * m.nu)},
          {"actuator_trnid", Copy(m.actuator_trnid, 2 * m.nu)}};
}

std::map<std::string, Numbers> AtRest(const mjModel& m) {
  const MujocoData data = MakeMujocoData(m);
  mj_forward(&m, data.get());
  return {{"mass_matrix", MujocoMassMatrix(m, *data)},
          {"qfrc_bias", Copy(data->qfrc_bias, m.nv)},
          {"xpos", Copy(data->xpos, 3 * m.nbody)},
          {"subtree_com_world", Copy(data->subtree_com, 3)},
          {"qacc_zero_ctrl", Copy(data->qacc, m.nv)},
          {"ncon", {static_cast<double>(data->ncon)}}};
}

struct ModelCase {
  std::string task;
  std::set<std::string> exceptions;  // arrays that differ, for a declared reason
  // And those where MuJoCo 2.2.2 differs: axes of equal inertias, another solver.
  std::set<std::string> exceptions_of_old_mujoco = {};

  friend void PrintTo(const ModelCase& model, std::ostream* out) { *out << model.task; }
};

class CompiledModel : public testing::TestWithParam<ModelCase> {
 protected:
  /// Every golden entry must be found, and equal.
  static void ExpectSame(const std::map<std::string, Numbers>& found,
                         const nlohmann::json& golden) {
    for (const auto& [key, expected] : golden.items()) {
      if (GetParam().exceptions.contains(key)) continue;
      if (IsOldMujoco() && GetParam().exceptions_of_old_mujoco.contains(key)) continue;
      const auto entry = found.find(key);
      if (entry == found.end()) {
        // Options that MuJoCo 2.2.2 does not have.
        EXPECT_TRUE(IsOldMujoco() && key.starts_with("ls_")) << key;
        continue;
      }
      // Far below what could show in a trajectory, far above the rounding of the compiler.
      EXPECT_LT(RelativeError(entry->second, expected.get<Numbers>()), 1e-9) << key;
    }
  }
};

TEST_P(CompiledModel, EqualsThePublishedOne) {
  const auto system = MakeShipped(GetParam().task);
  const mjModel& model = ModelOf(*system);
  nlohmann::json golden = ReadTestData("models/" + GetParam().task + ".json");
  const std::map<std::string, double> sizes{
      {"nq", model.nq},       {"nv", model.nv},          {"nu", model.nu},
      {"na", model.na},       {"nbody", model.nbody},    {"njnt", model.njnt},
      {"ngeom", model.ngeom}, {"nsite", model.nsite},    {"ntendon", model.ntendon},
      {"neq", model.neq},     {"nsensor", model.nsensor}};
  for (const auto& [key, expected] : golden.at("sizes").items()) {
    EXPECT_EQ(sizes.at(key), expected.get<double>()) << key;
  }
  auto& golden_sizes = golden.at("arrays").at("geom_size");
  for (size_t i = 0; i < golden_sizes.size(); ++i) {
    if (golden.at("arrays").at("geom_type")[i / 3] == mjGEOM_PLANE) golden_sizes[i] = 0.0;
  }
  ExpectSame(Options(model.opt), golden.at("option"));
  ExpectSame(Arrays(model), golden.at("arrays"));
  ExpectSame(AtRest(model), golden.at("at_qpos0"));
}

INSTANTIATE_TEST_SUITE_P(
    Shipped, CompiledModel,
    testing::Values(
        ModelCase{"pets_cartpole", {}}, ModelCase{"pets_half_cheetah", {}},
        // Object and goal have mass instead of armature, margins add; see pets_pusher.xml.
        ModelCase{"pets_pusher",
                  {"body_mass", "body_inertia", "total_mass", "dof_armature", "geom_margin",
                   "subtree_com_world"}},
        ModelCase{"pets_reacher3d", {}}, ModelCase{"gymnasium_ant", {}},
        ModelCase{"gymnasium_half_cheetah", {}}, ModelCase{"gymnasium_hopper", {}},
        ModelCase{"gymnasium_humanoid", {}, {"body_iquat", "qacc_zero_ctrl"}},
        ModelCase{"gymnasium_inverted_double_pendulum", {}},
        ModelCase{"gymnasium_inverted_pendulum", {}}, ModelCase{"gymnasium_pusher", {}},
        ModelCase{"gymnasium_reacher", {}}, ModelCase{"gymnasium_swimmer", {}},
        ModelCase{"gymnasium_walker2d", {}}),
    [](const auto& info) { return info.param.task; });

// --- and move, are observed and rewarded as recorded

struct ReplayCase {
  std::string task;
  std::string trajectory;
  bool recorded_with_both_versions = false;
  // Of the whole trajectory in another MuJoCo than the recording's, measured: growth of rounding.
  double tolerance_across_versions = 1e-9;
  // Of a single step in another version.
  double step_tolerance_across_versions = 1e-9;
  // The first steps, which another version has in common; beyond them the dynamics differ.
  int steps_across_versions = std::numeric_limits<int>::max();

  friend void PrintTo(const ReplayCase& replay, std::ostream* out) { *out << replay.trajectory; }
};

class Replay : public testing::TestWithParam<ReplayCase> {
 protected:
  static bool IsOtherVersion() { return IsOldMujoco() && !GetParam().recorded_with_both_versions; }
  static int Steps(const GoldenTrajectory& golden) {
    return IsOtherVersion() ? std::min(golden.steps(), GetParam().steps_across_versions)
                            : golden.steps();
  }

  /// The recording of the MuJoCo in use, where there is one.
  [[nodiscard]] static GoldenTrajectory Golden() {
    const bool old = IsOldMujoco() && GetParam().recorded_with_both_versions;
    return GoldenTrajectory(GetParam().trajectory + (old ? "_mujoco222" : ""));
  }

  /// The task, whose resets give the recording's first state.
  [[nodiscard]] static Task TaskFrom(const GoldenTrajectory& golden) {
    const std::vector<std::string> overrides{StartOf(golden)};
    return Task::Load(GetParam().task, overrides).first;
  }

  [[nodiscard]] static Numbers GoldenObservation(const GoldenTrajectory& golden, int step) {
    return golden.Has("obs") ? golden.Row("obs", step)
                             : Join(golden.Row("qpos", step), golden.Row("qvel", step));
  }
};

/// The first entries; what a task observes beyond the published numbers comes after them.
Numbers Front(Numbers values, size_t count) {
  EXPECT_GE(values.size(), count);
  values.resize(count);
  return values;
}

TEST_P(Replay, FollowsTheRecording) {
  const GoldenTrajectory golden = Golden();
  const Task task = TaskFrom(golden);
  const auto system = task.MakeSystem();
  // Within a version rounding of sums is all (measured: 0 of states, 4e-16 of rewards).
  const double tolerance = IsOtherVersion() ? GetParam().tolerance_across_versions : 1e-12;
  system->Reset(Key{0, 0});
  Numbers observation(task.spec().observation.size());
  Numbers next = observation;
  Numbers state(system->spec().state.size());
  system->Observe(observation);
  for (int step = 0; step < Steps(golden); ++step) {
    const Numbers action = golden.Row("action", step);
    ASSERT_EQ(system->Step(action), StepStatus::kOk);
    system->GetState(state);
    const Numbers expected_state = Join(golden.Row("qpos", step), golden.Row("qvel", step));
    ASSERT_LT(RelativeError(Front(state, expected_state.size()), expected_state), tolerance)
        << "state, step " << step;
    system->Observe(next);
    const Numbers expected = GoldenObservation(golden, step);
    ASSERT_LT(RelativeError(Front(next, expected.size()), expected), tolerance)
        << "observation, step " << step;
    double reward = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward,
                           &terminated);
    ASSERT_LT(RelativeError(Numbers{reward}, golden.Row("reward", step)), tolerance)
        << "reward, step " << step;
    if (golden.Has("terminated")) {
      ASSERT_EQ(terminated, golden.Row("terminated", step)[0]) << "step " << step;
    }
    observation = next;
  }
}

TEST_P(Replay, FollowsFromEveryRecordedState) {
  const GoldenTrajectory golden = Golden();
  const auto system = MakeShipped(GetParam().task);
  Numbers state(system->spec().state.size());
  for (int step = 0; step + 1 < Steps(golden); ++step) {
    // (qpos, qvel, time, warm start, what was observed: does not change the motion)
    Numbers start = Join(Join(golden.Row("qpos", step), golden.Row("qvel", step)),
                         Join({0.0}, golden.Row("qacc_warmstart", step)));
    start.resize(state.size());
    system->SetState(start);
    ASSERT_EQ(system->Step(golden.Row("action", step + 1)), StepStatus::kOk);
    system->GetState(state);
    const Numbers expected = Join(golden.Row("qpos", step + 1), golden.Row("qvel", step + 1));
    ASSERT_LT(RelativeError(Front(state, expected.size()), expected),
              IsOtherVersion() ? GetParam().step_tolerance_across_versions : 1e-12)
        << "step " << step;
  }
}

TEST_P(Replay, ContinuesWithTheSameObservationsFromAState) {
  const GoldenTrajectory golden = Golden();
  const auto system = MakeShipped(GetParam().task);
  const auto other = MakeShipped(GetParam().task);
  Numbers state(system->spec().state.size());
  Numbers a(system->spec().observation.size());
  Numbers b = a;
  system->Reset(Key{1, 0});
  other->Reset(Key{2, 0});
  for (int step = 0; step < 20; ++step) {
    system->GetState(state);
    other->SetState(state);
    system->Observe(a);
    other->Observe(b);
    ASSERT_EQ(a, b) << "step " << step;
    ASSERT_EQ(system->Step(golden.Row("action", step)), StepStatus::kOk);
    ASSERT_EQ(other->Step(golden.Row("action", step)), StepStatus::kOk);
    system->Observe(a);
    other->Observe(b);
    ASSERT_EQ(a, b) << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shipped, Replay,
    testing::Values(
        ReplayCase{"pets_cartpole", "pets_cartpole", true},
        ReplayCase{"pets_cartpole", "pets_cartpole_rail", true},
        ReplayCase{"pets_half_cheetah", "pets_half_cheetah", true},
        ReplayCase{"pets_pusher", "pets_pusher", true},
        ReplayCase{"pets_reacher3d", "pets_reacher3d", true},
        // Free bodies move otherwise from the first step on, by 1e-7, and much after a contact.
        ReplayCase{"gymnasium_ant", "gymnasium_ant", false, 1e-6, 1e-6, 2},
        ReplayCase{"gymnasium_ant_27", "gymnasium_ant_27", false, 1e-6, 1e-6, 2},
        ReplayCase{"gymnasium_half_cheetah", "gymnasium_half_cheetah", false, 1e-7, 1e-6},
        // Until the foot touches the ground.
        ReplayCase{"gymnasium_hopper", "gymnasium_hopper", false, 1e-9, 1e-9, 6},
        ReplayCase{"gymnasium_humanoid", "gymnasium_humanoid", false, 1e-5, 1e-5, 2},
        ReplayCase{"gymnasium_inverted_double_pendulum", "gymnasium_inverted_double_pendulum"},
        // Rounding grows without bound where an upright pole falls.
        ReplayCase{"gymnasium_inverted_double_pendulum",
                   "gymnasium_inverted_double_pendulum_balanced", false, 1e-9, 1e-9, 30},
        ReplayCase{"gymnasium_inverted_pendulum", "gymnasium_inverted_pendulum"},
        ReplayCase{"gymnasium_pusher", "gymnasium_pusher"},
        // Until the arm touches the object.
        ReplayCase{"gymnasium_pusher", "gymnasium_pusher_push", false, 1e-9, 1e-9, 50},
        ReplayCase{"gymnasium_reacher", "gymnasium_reacher"},
        ReplayCase{"gymnasium_swimmer", "gymnasium_swimmer"},
        ReplayCase{"gymnasium_walker2d", "gymnasium_walker2d", false, 1e-9, 1e-6},
        ReplayCase{"gymnasium_inverted_pendulum", "gymnasium_inverted_pendulum_balanced"}),
    [](const auto& info) { return info.param.trajectory; });

}  // namespace
}  // namespace foreplan
