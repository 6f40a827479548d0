// Everything that is observed is of one moment: of the state that is observed, or as published
// tasks have it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

// A box with an arm falls on the floor; the arm has a filtered motor and strikes the floor, too.
MujocoOptions Faller(const std::string& integrator) {
  MujocoOptions options = TemporaryModel("faller_" + integrator + ".xml", R"(
    <mujoco>
      <option timestep="0.004" integrator=")" + integrator + R"("/>
      <worldbody>
        <geom type="plane" size="5 5 0.1"/>
        <body name="box" pos="0 0 0.2"><freejoint name="root"/>
          <geom type="box" size="0.1 0.1 0.1" mass="1"/><site name="top" pos="0 0 0.1"/>
          <body name="arm" pos="0.1 0 0"><joint name="elbow" axis="0 1 0" damping="0.1"/>
            <geom name="hand" type="capsule" fromto="0 0 0 0.3 0 0" size="0.03" mass="0.3"/>
            <site name="pad" pos="0.3 0 0" size="0.06"/></body>
        </body>
      </worldbody>
      <actuator>
        <motor name="push" joint="elbow" ctrllimited="true" ctrlrange="-2 2"/>
        <general name="slow" joint="elbow" dyntype="filter" dynprm="0.05" ctrllimited="true"
                 ctrlrange="-1 1"/>
      </actuator>
      <sensor>
        <jointpos name="angle" joint="elbow"/>
        <subtreelinvel name="drift" body="box"/>
        <accelerometer name="felt" site="top"/>
        <touch name="touch" site="pad"/>
        <actuatorfrc name="effort" actuator="push"/>
      </sensor>
    </mujoco>)");
  options.frame_skip = 3;
  return options;
}

const std::vector<std::string> kEverything{"qpos",
                                           "qvel",
                                           "act",
                                           "xpos(arm)",
                                           "geom_xpos(hand)",
                                           "site_xpos(pad)",
                                           "subtree_com(box)",
                                           "cinert[1:]",
                                           "cvel[1:]",
                                           "sensor(angle)",
                                           "sensor(drift)",
                                           "sensor(felt)",
                                           "sensor(touch)",
                                           "sensor(effort)",
                                           "qfrc_actuator",
                                           "qfrc_constraint",
                                           "cfrc_ext[1:]"};

Numbers ActionAt(int step) { return {1.5 * std::sin(0.3 * step), std::cos(0.2 * step)}; }

/// What MuJoCo itself says of a state under `control`, part by part in the order of kEverything.
Numbers ByHand(const MujocoSystem& system, const Numbers& state, const Numbers& control) {
  const mjModel& m = system.model();
  const MujocoData data = MakeMujocoData(m);
  const double* in = state.data();
  const auto take = [&in](mjtNum* to, auto count) {
    std::copy_n(in, count, to);
    in += count;
  };
  take(data->qpos, m.nq);
  take(data->qvel, m.nv);
  take(data->act, m.na);
  take(&data->time, 1);
  take(data->qacc_warmstart, m.nv);
  std::ranges::copy(control, data->ctrl);
  mj_forward(&m, data.get());
  mj_rnePostConstraint(&m, data.get());
  const auto id = [&](mjtObj type, const char* name) { return mj_name2id(&m, type, name); };
  Numbers all;
  const auto add = [&all](const mjtNum* from, auto count) {
    all.insert(all.end(), from, from + count);
  };
  add(state.data(), m.nq + m.nv + m.na);
  add(data->xpos + 3 * id(mjOBJ_BODY, "arm"), 3);
  add(data->geom_xpos + 3 * id(mjOBJ_GEOM, "hand"), 3);
  add(data->site_xpos + 3 * id(mjOBJ_SITE, "pad"), 3);
  add(data->subtree_com + 3 * id(mjOBJ_BODY, "box"), 3);
  add(data->cinert + 10, 10 * (m.nbody - 1));
  add(data->cvel + 6, 6 * (m.nbody - 1));
  add(data->sensordata, m.nsensordata);
  add(data->qfrc_actuator, m.nv);
  add(data->qfrc_constraint, m.nv);
  add(data->cfrc_ext + 6, 6 * (m.nbody - 1));
  return all;
}

class MujocoObservationAt : public testing::TestWithParam<std::string> {};

TEST_P(MujocoObservationAt, TheNewStateIsWhatMujocoSaysOfThatStateToTheBit) {
  MujocoOptions options = Faller(GetParam());
  options.observation = kEverything;
  MujocoSystem system(options);
  MujocoSystem other(options);
  system.Reset(Key{1, 0});
  Numbers control(2, 0.0);
  double hardest = 0;
  for (int step = 0; step < 60; ++step) {
    const Numbers state = StateOf(system);
    const Numbers expected = ByHand(system, state, control);
    ASSERT_EQ(ObservationOf(system), expected) << step;
    other.SetState(state);  // of the same state
    ASSERT_EQ(ObservationOf(other), expected) << step;
    hardest = std::max(hardest, std::abs(expected.back()));
    control = ActionAt(step);
    ASSERT_EQ(system.Step(control), StepStatus::kOk);
  }
  EXPECT_GT(hardest, 1);  // it did touch the floor
}

TEST_P(MujocoObservationAt, TheNewStateFollowsPositionsAndVelocitiesThatAreSet) {
  MujocoOptions options = Faller(GetParam());
  options.observation = kEverything;
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  const Numbers control = ActionAt(3);
  for (int step = 0; step < 20; ++step) ASSERT_EQ(system.Step(control), StepStatus::kOk);
  Numbers state = StateOf(system);
  state[7] += 0.4;   // the elbow
  state[8] -= 1;     // the box's speed in x
  state[15] = -0.3;  // the activation
  (void)ObservationOf(system);
  system.SetState(state);
  EXPECT_EQ(ObservationOf(system), ByHand(system, state, control));
}

TEST_P(MujocoObservationAt, AnyMomentLeavesTheMotionAsItIs) {
  MujocoOptions plain = Faller(GetParam());
  MujocoOptions fresh = plain;
  fresh.observation = kEverything;
  MujocoOptions stale = fresh;
  stale.observe_at = ObservedAt::kLastEvaluation;
  for (const MujocoOptions& options : {fresh, stale}) {
    MujocoSystem system(options);
    MujocoSystem reference(plain);
    system.Reset(Key{2, 0});
    reference.Reset(Key{2, 0});
    for (int step = 0; step < 60; ++step) {
      (void)ObservationOf(system);
      ASSERT_EQ(system.Step(ActionAt(step)), StepStatus::kOk);
      ASSERT_EQ(reference.Step(ActionAt(step)), StepStatus::kOk);
      Numbers state = StateOf(system);
      const Numbers wanted = StateOf(reference);
      state.resize(wanted.size());
      ASSERT_EQ(state, wanted) << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Integrators, MujocoObservationAt, testing::Values("Euler", "RK4"),
                         [](const auto& info) { return info.param; });

TEST(MujocoObservation, ByDefaultIsOfTheNewStateAndRatesAreOfNewPlaces) {
  MujocoOptions options = Faller("Euler");
  options.observation = {"qpos[0]", "rate(qpos[0])", "rate(xpos(box)[0])", "xpos(box)[0]"};
  options.reset.draw = {"qvel[0] = 2"};
  MujocoSystem system(options);
  system.Reset(Key{4, 0});
  const double before = ObservationOf(system)[0];
  EXPECT_EQ(ObservationOf(system)[2], 0);
  ASSERT_EQ(system.Step(Numbers{0, 0}), StepStatus::kOk);
  const Numbers observed = ObservationOf(system);
  EXPECT_EQ(observed[3], observed[0]);
  EXPECT_EQ(observed[1], (observed[0] - before) / system.spec().dt);
  EXPECT_EQ(observed[2], observed[1]);
}

TEST(MujocoObservation, OnlyForcesMakeControlsPartOfTheState) {
  const auto state_of = [](const std::vector<std::string>& observation) {
    MujocoOptions options = Faller("Euler");
    options.observation = observation;
    return Names(MujocoSystem(options).spec().state);
  };
  const std::vector<std::string> plain = state_of({"qpos"});
  EXPECT_EQ(state_of({"xpos(arm)", "cinert", "cvel", "sensor(angle)", "sensor(drift)"}), plain);
  std::vector<std::string> with_controls = plain;
  with_controls.insert(with_controls.end(), {"push_control", "slow_control"});
  for (const char* part : {"qfrc_actuator", "qfrc_constraint", "cfrc_ext", "sensor(effort)"}) {
    EXPECT_EQ(state_of({part}), with_controls) << part;
  }
}

TEST(MujocoObservation, OfAStateThatMujocoCannotEvaluateIsNotANumber) {
  MujocoOptions options = Faller("Euler");
  options.observation = {"sensor(angle)"};
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  const Numbers good = StateOf(system);
  Numbers bad = good;
  bad[7] = std::numeric_limits<double>::quiet_NaN();
  system.SetState(bad);
  EXPECT_TRUE(std::isnan(ObservationOf(system)[0]));
  system.SetState(good);
  EXPECT_EQ(ObservationOf(system)[0], good[7]);
}

}  // namespace
}  // namespace foreplan
