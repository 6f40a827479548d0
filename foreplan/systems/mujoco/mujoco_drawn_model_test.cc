// Starts that differ in the model: places of geoms and bodies, masses.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

MujocoOptions Reacher() {
  MujocoOptions options = TemporaryModel("drawn.xml", R"(
    <mujoco>
      <option timestep="0.01" gravity="0 0 0"/>
      <default><geom contype="0" conaffinity="0"/></default>
      <worldbody>
        <geom name="target" size="0.02" pos="0.1 0.1 0.5"/>
        <body name="cart"><joint name="x" type="slide" axis="1 0 0"/><geom size="0.1" mass="2"/></body>
        <body name="hand" mocap="true" pos="0 2 0"><geom size="0.1"/></body>
      </worldbody>
      <actuator><motor name="push" joint="x" ctrllimited="true" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="home" qpos="0.5" mpos="1 1 1"/></keyframe>
    </mujoco>)");
  options.observation = {"qpos", "qvel", "geom_xpos(target)", "xpos(hand)"};
  options.reset.position = 0;
  options.reset.velocity = 0;
  options.reset.draw = {"geom_pos(target)[0:2] = polar(0.05, 0.2)",
                        "body_pos(hand)[2] = uniform(3, 4)", "body_mass(cart) = uniform(1, 5)"};
  return options;
}

TEST(MujocoDrawnModel, PlacesAreDrawnByKeyAndStayForTheEpisode) {
  MujocoSystem system(Reacher());
  EXPECT_EQ(Names(system.spec().state),
            (std::vector<std::string>{"x", "x_velocity", "time", "x_velocity_warmstart",
                                      "geom_pos(target)[0]", "geom_pos(target)[1]",
                                      "body_pos(hand)[2]", "body_mass(cart)"}));
  double nearest = 1;
  double farthest = 0;
  double mean_x = 0;
  constexpr int kStarts = 200;
  for (uint64_t seed = 0; seed < kStarts; ++seed) {
    system.Reset(Key{seed, 0});
    const Numbers start = ObservationOf(system);
    const double r = std::hypot(start[2], start[3]);
    nearest = std::min(nearest, r);
    farthest = std::max(farthest, r);
    mean_x += start[2] / kStarts;
    EXPECT_EQ(start[4], 0.5);
    EXPECT_EQ(Numbers(start.begin() + 5, start.begin() + 7), (Numbers{0, 2}));
    EXPECT_GE(start[7], 3);
    EXPECT_LE(start[7], 4);
    ASSERT_EQ(system.Step(Numbers{1}), StepStatus::kOk);
    const Numbers next = ObservationOf(system);
    EXPECT_EQ(Numbers(next.begin() + 2, next.end()), Numbers(start.begin() + 2, start.end()));
    // a = u / m
    EXPECT_NEAR(next[1], 0.01 / StateOf(system)[7], 1e-15);
  }
  EXPECT_GE(nearest, 0.05);
  EXPECT_LT(nearest, 0.06);  // uniform: missed with 1e-6
  EXPECT_LE(farthest, 0.2);
  EXPECT_GT(farthest, 0.19);
  EXPECT_NEAR(mean_x, 0, 0.04);  // five standard errors of 0.094 / sqrt(200)
}

TEST(MujocoDrawnModel, AStateBringsItsModelToAnotherSystem) {
  MujocoSystem one(Reacher());
  one.Reset(Key{1, 0});
  for (int i = 0; i < 3; ++i) ASSERT_EQ(one.Step(Numbers{0.4}), StepStatus::kOk);
  MujocoSystem other(Reacher());
  other.Reset(Key{2, 0});
  EXPECT_NE(ObservationOf(other), ObservationOf(one));
  const auto clone = other.Clone();
  for (System* system : {static_cast<System*>(&other), clone.get()}) {
    system->SetState(StateOf(one));
    EXPECT_EQ(ObservationOf(*system), ObservationOf(one));
  }
  const auto same = one.Clone();
  for (int i = 0; i < 5; ++i) {
    for (System* system :
         {static_cast<System*>(&one), static_cast<System*>(&other), clone.get(), same.get()}) {
      ASSERT_EQ(system->Step(Numbers{0.7}), StepStatus::kOk);
    }
    EXPECT_EQ(StateOf(other), StateOf(one));
    EXPECT_EQ(StateOf(*clone), StateOf(one));
    EXPECT_EQ(StateOf(*same), StateOf(one));
  }
}

TEST(MujocoDrawnModel, AnotherSystemsModelStaysWhatItIs) {
  MujocoSystem one(Reacher());
  one.Reset(Key{1, 0});
  const auto clone = one.Clone();
  const Numbers observed = ObservationOf(one);
  clone->Reset(Key{2, 0});
  EXPECT_EQ(ObservationOf(one), observed);
  EXPECT_NE(ObservationOf(*clone), observed);
}

TEST(MujocoDrawnModel, AMocapBodyOfAKeyframeIsMovedToo) {
  MujocoOptions options = Reacher();
  options.reset.keyframe = "home";
  options.reset.draw = {"body_pos(hand)[2] = 0"};  // as the model has it without the keyframe
  MujocoSystem system(options);
  for (int i = 0; i < 2; ++i) {
    system.Reset(Key{1, 0});
    const Numbers start = ObservationOf(system);
    EXPECT_EQ(start[0], 0.5);
    EXPECT_EQ(Numbers(start.begin() + 5, start.end()), (Numbers{1, 1, 0}));
  }
}

TEST(MujocoDrawnModel, WrongFieldsAreNamed) {
  const auto expect = [](const std::string& draw, const std::string& part) {
    MujocoOptions options = Reacher();
    options.reset.draw = {draw};
    const std::string message = InputErrorOf(options);
    EXPECT_NE(message.find("system.reset.draw: " + part), std::string::npos) << message;
  };
  expect("geom_pos(targt)[0] = 1", "unknown geom 'targt' (did you mean 'target'?)");
  expect("geom_place(target)[0] = 1", "unknown field of the MuJoCo model 'geom_place'");
  expect("geom_pos(target) = 1", "found 'geom_pos(target)', expected '[' and an index");
  expect("geom_pos(target)[1:4] = 1",
         "found 'geom_pos(target)[1:4]', expected a range within 0 ... 3");
  expect("geom_pos(target)[2:2] = 1", "found 'geom_pos(target)[2:2]'");
  expect("geom_place(target)[1:] = 1", "unknown field of the MuJoCo model 'geom_place'");
  expect("geom_pos(target)[0:3] = polar(0, 1)",
         "found a polar for 3 numbers of geom_pos, expected 2");
  expect("geom_pos(target)[0:2] = polar(1, 0)",
         "found 'geom_pos(target)[0:2] = polar(1, 0)', expected LOW <= HIGH");
  MujocoOptions twice = Reacher();
  twice.reset.draw = {"geom_pos(target)[0] = 1", "geom_pos(target)[0:2] = 2"};
  EXPECT_NE(InputErrorOf(twice).find("found 'geom_pos(target)[0]' twice, expected it once"),
            std::string::npos);
}

}  // namespace
}  // namespace foreplan
