// Parts of an observation are expressions, as rewards are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;
using Strings = std::vector<std::string>;
using testing::HasSubstr;

constexpr double kUpper = 0.7;   // start of the joints [rad]
constexpr double kLower = -0.3;  // ...
constexpr double kLength = 0.5;  // of a link [m]

// Two links that turn about y, hanging from a mount, and a ball on a joint of its own.
MujocoOptions TwoLinks(const Strings& observation) {
  MujocoOptions options = TemporaryModel("two_links_seen.xml", R"(
    <mujoco>
      <option timestep="0.01"/>
      <worldbody>
        <body name="upper"><joint name="shoulder" axis="0 1 0"/>
          <geom name="rod" type="capsule" fromto="0 0 0 0 0 -0.5" size="0.02" contype="0"
                conaffinity="0"/>
          <body name="lower" pos="0 0 -0.5"><joint name="elbow" axis="0 1 0"/>
            <geom type="capsule" fromto="0 0 0 0 0 -0.5" size="0.02" contype="0" conaffinity="0"/>
            <site name="tip" pos="0 0 -0.5"/></body>
        </body>
      </worldbody>
      <actuator><motor name="shoulder" joint="shoulder" ctrllimited="true" ctrlrange="-1 1"/>
      </actuator>
    </mujoco>)");
  options.frame_skip = 2;
  options.observation = observation;
  options.reset.draw = {"shoulder = 0.7", "elbow = -0.3", "shoulder_velocity = 1.5",
                        "elbow_velocity = 0"};
  return options;
}

Numbers StartOf(const MujocoOptions& options) {
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  return ObservationOf(system);
}

std::string ErrorOf(const std::string& part) { return InputErrorOf(TwoLinks({part})); }

TEST(MujocoExpressions, SumsProductsAndFunctionsOfSeveralNumbersAreObserved) {
  MujocoSystem system(
      TwoLinks({"sin(qpos[0] + qpos[1])", "qvel[0] * qvel[1]", "-qpos", "sqrt(abs(elbow))",
                "shoulder / shoulder_velocity", "tanh(site_xpos(tip)[2])"}));
  EXPECT_EQ(Names(system.spec().observation),
            (Strings{"shoulder_plus_elbow_sin", "shoulder_velocity_times_elbow_velocity",
                     "minus_shoulder", "minus_elbow", "elbow_abs_sqrt",
                     "shoulder_over_shoulder_velocity", "tip_z_tanh"}));
  EXPECT_EQ(Units(system.spec().observation), (Strings{"", "", "rad", "rad", "", "", ""}));
  system.Reset(Key{1, 0});
  const Numbers observed = ObservationOf(system);
  EXPECT_EQ(observed[0], std::sin(kUpper + kLower));
  EXPECT_EQ(observed[1], 0);
  EXPECT_EQ(observed[2], -kUpper);
  EXPECT_EQ(observed[4], std::sqrt(-kLower));
  EXPECT_EQ(observed[5], kUpper / 1.5);
  const double height = -kLength * (std::cos(kUpper) + std::cos(kUpper + kLower));
  EXPECT_NEAR(observed[6], std::tanh(height), 1e-15);
}

TEST(MujocoExpressions, MayHaveNamesAndUnits) {
  const MujocoSystem system(
      TwoLinks({"height [m] = 1 + site_xpos(tip)[2]", "tilt = qpos[0] + qpos[1]",
                "reach_x, 'reach z' [m] = [site_xpos(tip)[0], site_xpos(tip)[2]] / 2",
                "fast [1], slow = [if(qvel[0] >= 1, 1, 0), norm(qvel)]"}));
  EXPECT_EQ(Names(system.spec().observation),
            (Strings{"height", "tilt", "reach_x", "reach z", "fast", "slow"}));
  EXPECT_EQ(Units(system.spec().observation), (Strings{"m", "rad", "m", "m", "1", ""}));
  const Numbers observed = StartOf(TwoLinks(
      {"height [m] = 1 + site_xpos(tip)[2]", "fast, slow = [if(qvel[0] >= 1, 1, 0), norm(qvel)]"}));
  EXPECT_NEAR(observed[0], 1 - kLength * (std::cos(kUpper) + std::cos(kUpper + kLower)), 1e-15);
  EXPECT_EQ(observed[1], 1);
  EXPECT_EQ(observed[2], 1.5);
}

// A turn about y by a: x' = x cos a + z sin a, z' = -x sin a + z cos a.
TEST(MujocoExpressions, FramesAreObservedAsMatricesRowByRowAndAsQuaternions) {
  MujocoSystem system(TwoLinks({"xmat(lower)", "xquat(upper)", "site_xmat(tip)[8]",
                                "lean [rad] = atan2(xmat(lower)[2], xmat(lower)[8])"}));
  EXPECT_EQ(Names(system.spec().observation),
            (Strings{"lower_xx", "lower_xy", "lower_xz", "lower_yx", "lower_yy", "lower_yz",
                     "lower_zx", "lower_zy", "lower_zz", "upper_qw", "upper_qx", "upper_qy",
                     "upper_qz", "tip_zz", "lean"}));
  system.Reset(Key{1, 0});
  const double a = kUpper + kLower;
  const Numbers expected{std::cos(a),
                         0,
                         std::sin(a),
                         0,
                         1,
                         0,
                         -std::sin(a),
                         0,
                         std::cos(a),
                         std::cos(kUpper / 2),
                         0,
                         std::sin(kUpper / 2),
                         0,
                         std::cos(a),
                         a};
  const Numbers observed = ObservationOf(system);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(observed[i], expected[i], 1e-15) << i;
}

TEST(MujocoExpressions, RatesMayStandInsideAndBeOfExpressions) {
  for (const ObservedAt at : {ObservedAt::kNewState, ObservedAt::kLastEvaluation}) {
    MujocoOptions options =
        TwoLinks({"qpos", "site_xpos(tip)[2]", "twice = 2 * rate(qpos[0] - qpos[1])",
                  "climb = rate(2 * site_xpos(tip)[2]) + qpos[0]", "rate(site_xpos(tip)[2])"});
    options.observe_at = at;
    MujocoSystem system(options);
    system.Reset(Key{1, 0});
    const Numbers before = ObservationOf(system);
    EXPECT_EQ(Numbers(before.begin() + 3, before.end()), (Numbers{0, before[0], 0}));
    ASSERT_EQ(system.Step(Numbers{0.5}), StepStatus::kOk);
    const Numbers after = ObservationOf(system);
    const double dt = system.spec().dt;
    EXPECT_EQ(after[3], 2 * (((after[0] - after[1]) - (before[0] - before[1])) / dt));
    EXPECT_EQ(after[4], (2 * after[2] - 2 * before[2]) / dt + after[0]);
    EXPECT_EQ(after[5], (after[2] - before[2]) / dt);
    // The state holds what it takes to go on.
    const Numbers state = StateOf(system);
    MujocoSystem other(options);
    other.SetState(state);
    EXPECT_EQ(ObservationOf(other), after);
    ASSERT_EQ(other.Step(Numbers{-1}), StepStatus::kOk);
    ASSERT_EQ(system.Step(Numbers{-1}), StepStatus::kOk);
    EXPECT_EQ(ObservationOf(other), ObservationOf(system));
  }
}

TEST(MujocoExpressions, RangesCountBodiesWhereAnArrayHasRows) {
  const Numbers all = StartOf(TwoLinks({"cvel"}));
  ASSERT_EQ(all.size(), 18U);
  EXPECT_EQ(StartOf(TwoLinks({"cvel[1:]"})), Numbers(all.begin() + 6, all.end()));
  EXPECT_EQ(StartOf(TwoLinks({"cvel[1][1]"})), Numbers{all[7]});
  EXPECT_THAT(ErrorOf("cvel[3]"), HasSubstr("found [3] of 3 rows"));
}

// A task that observes these parts, with a constant.
Config TaskThatObserves(const std::string& parts) {
  return Config::FromString(R"toml(
name = "t"
episode_length = 5
reward = "height - link"
[constants]
link = 0.5
[system]
type = "mujoco"
frame_skip = 2
model = ")toml" + TwoLinks({}).model +
                                "\"\nobservation = [" + parts + R"toml(]
[system.reset]
draw = ["shoulder = 0.7", "elbow = -0.3"])toml",
                            "t.toml");
}

TEST(MujocoExpressions, OfATaskMayNameItsConstantsAndRewardsNameThem) {
  Config config = TaskThatObserves(
      "'qpos', 'qvel', 'height [m] = -link * cos(qpos[0]) - link * cos(sum(qpos))'");
  config.Set("constants.link=0.25");
  const Task task = Task::FromConfig(config, testing::TempDir());
  const auto system = task.MakeSystem();
  system->Reset(Key{1, 0});
  const Numbers observed = ObservationOf(*system);
  EXPECT_DOUBLE_EQ(observed[4], -0.25 * (std::cos(kUpper) + std::cos(kUpper + kLower)));
  double reward = 0;
  uint8_t terminated = 0;
  const Numbers action{0};
  task.reward().Evaluate({1, observed.data(), action.data(), observed.data()}, &reward,
                         &terminated);
  EXPECT_EQ(reward, observed[4] - 0.25);
}

TEST(MujocoExpressions, OfATaskSayWhereTheFileHasThem) {
  for (const char* part : {"'qposs'", "'height = sin('"}) {
    Config config = TaskThatObserves(part);
    try {
      (void)Task::FromConfig(config, testing::TempDir());
      FAIL() << part;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr("t.toml:11:1: system.observation: column ")) << part;
    }
  }
}

TEST(MujocoExpressions, WithoutANameOrThatMeanNothingAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"2 * qpos[0]",
       "found no name for '2 * qpos[0]', expected one, as in \"height [m] = 2 * "
       "qpos[0]\""},
      {"a = qpos", "found 1 name and 2 numbers in 'a = qpos', expected as many"},
      {"a, b, c = qpos", "found 3 names and 2 numbers in"},
      {"u = qpos[0]", "found the name 'u', which expressions have for themselves"},
      {"a [m = qpos[0]", "found 'a [m ', expected ']'"},
      {"= qpos[0]", "found '', expected a name"},
      {"a, a = qpos", "found the name 'a' twice, the second time in 'a, a = qpos'"},
      {"a = 3", "found 3, which never changes, expected what the simulation says"},
      {"a = qpos[0] > 1", "found a condition, expected numbers"},
      {"a = rate(rate(qpos[0]))", "found the rate of a rate"},
      {"rate(qpos, 1)", "column 1: found 2 arguments, expected rate(x)"},
      {"next.shoulder", "found 'next.', expected what is observed at one moment"},
      {"u", "unknown name 'u'"},
      {"sin(shoulde)", "column 5: unknown name 'shoulde' (did you mean 'shoulder'?)"},
      {"sin(qpos,)", "column 9: found a comma before ')', expected none"},
      {"qpos[0:0]",
       "column 5: found [0:0] of 2 numbers, expected an index or a range within 0 ... 2"},
      {"clip(qvel, 1, -1)", "column 12: found the bounds 1 and -1, expected low <= high"},
  };
  for (const auto& [part, expected] : cases) {
    EXPECT_THAT(ErrorOf(part), HasSubstr("two_links_seen.xml: system.observation: ")) << part;
    EXPECT_THAT(ErrorOf(part), HasSubstr(expected)) << part;
  }
  MujocoOptions options = TwoLinks({"shoulder"});
  options.constants = {{"shoulder", "t: constants.shoulder", {1}}};
  EXPECT_THAT(InputErrorOf(options), HasSubstr("the name of a constant and of what is observed"));
  EXPECT_THAT(InputErrorOf(TwoLinks({"qpos", "again = qpos[1]"})),
              HasSubstr("found observation component 'elbow' twice"));
}

}  // namespace
}  // namespace foreplan
