// Where pictures of closed forms have their bodies: held against the physics that the formulas
// obey.
#include "foreplan/systems/closed_form/pictures.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/systems/closed_form/car.h"
#include "foreplan/systems/closed_form/frictionless_cartpole.h"
#include "foreplan/systems/closed_form/pilco_cartpole.h"
#include "foreplan/systems/closed_form/planar_quadrotor.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/closed_form/unicycle.h"
#include "foreplan/systems/system_types.h"

namespace foreplan {
namespace {

using std::numbers::pi;
using Numbers = std::vector<double>;

std::vector<ScenePose> BodiesIn(Picture& picture, const Numbers& state) {
  std::vector<ScenePose> bodies(picture.scene().bodies.size());
  picture.Place(state, bodies);
  return bodies;
}

/// Of the first point that is traced.
ScenePoint TracedIn(Picture& picture, const Numbers& state) {
  const ScenePart& part = picture.scene().traced.at(0);
  return Moved(BodiesIn(picture, state)[static_cast<size_t>(part.body)], part.place);
}

Numbers After(System& system, const Numbers& state, const Numbers& action, int steps = 1) {
  system.SetState(state);
  for (int i = 0; i < steps; ++i) EXPECT_EQ(system.Step(action), StepStatus::kOk);
  Numbers next(state.size());
  system.GetState(next);
  return next;
}

TEST(ClosedFormPictures, EveryShippedClosedFormHasOne) {
  for (const std::string& name : ClosedFormNames()) {
    const auto system = MakeSystemFactory("test", name)->Make();
    const auto picture = system->MakePicture();
    ASSERT_NE(picture, nullptr) << name;
    EXPECT_FALSE(picture->scene().shapes.empty()) << name;
    EXPECT_EQ(picture->scene().traced.size(), 1U) << name;
    for (const SceneShape& shape : picture->scene().shapes) {
      EXPECT_LT(static_cast<size_t>(shape.body), picture->scene().bodies.size()) << name;
    }
    system->Reset(Key{1, 2});
    Numbers state(system->spec().state.size());
    system->GetState(state);
    for (const double x : TracedIn(*picture, state)) EXPECT_TRUE(std::isfinite(x)) << name;
  }
}

// Without forces from outside, the centre of mass of cart and pole stays in its place along the
// rail: that tells to which side a positive angle leans. Explicit steps lose a thousandth of it at
// most.
TEST(ClosedFormPictures, PolesLeanToTheSideTheirEquationsSay) {
  FrictionlessCartPoleOptions frictionless;
  frictionless.timestep = 1e-4;
  const auto cartpole = FormulaSystem<FrictionlessCartPoleFormula>(frictionless);
  const auto picture = cartpole.MakePicture();
  const auto center = [&](const Numbers& state) {
    return frictionless.cart_mass * state[0] +
           frictionless.pole_mass * TracedIn(*picture, state)[0];
  };
  const Numbers start = {0.3, 0.5, 0, 0};
  const auto system = cartpole.Clone();
  const Numbers end = After(*system, start, {0}, 2000);
  ASSERT_GT(std::abs(end[0] - start[0]), 0.005) << "it has moved";
  EXPECT_NEAR(center(end), center(start), 1e-4);

  PilcoCartPoleOptions pilco;
  pilco.friction = 0;
  const auto other = FormulaSystem<PilcoCartPoleFormula>(pilco);
  const auto other_picture = other.MakePicture();
  const auto other_center = [&](const Numbers& state) {
    const double tip = TracedIn(*other_picture, state)[0];
    return pilco.cart_mass * state[0] + pilco.pole_mass * (state[0] + tip) / 2;
  };
  const auto other_system = other.Clone();
  const Numbers other_end = After(*other_system, start, {0}, 3);
  ASSERT_GT(std::abs(other_end[0] - start[0]), 0.05);
  EXPECT_NEAR(other_center(other_end), other_center(start), 1e-6);
}

TEST(ClosedFormPictures, WhatHangsHangsAndWhatStandsStands) {
  const auto tip_of = [](const char* name, const Numbers& state) {
    const auto system = MakeSystemFactory("test", name)->Make();
    return TracedIn(*system->MakePicture(), state);
  };
  EXPECT_LT(tip_of("cartpole", {0, 0, 0, 0})[2], 0);
  EXPECT_GT(tip_of("cartpole", {0, pi, 0, 0})[2], 0);
  EXPECT_LT(tip_of("pilco_cartpole", {0, 0, 0, 0})[2], 0);
  EXPECT_GT(tip_of("frictionless_cartpole", {0, 0, 0, 0})[2], 0);
  EXPECT_NEAR(tip_of("pendulum", {0, 0})[2], 1, 1e-12);
  EXPECT_NEAR(tip_of("pendulum", {pi / 2, 0})[0], -1, 1e-12)
      << "counter-clockwise, as in Gymnasium";
  EXPECT_NEAR(tip_of("acrobot", {0, 0, 0, 0})[2], -2, 1e-12);
  EXPECT_NEAR(tip_of("acrobot", {pi / 2, pi / 2, 0, 0})[0], 1, 1e-12);
  EXPECT_NEAR(tip_of("acrobot", {pi / 2, pi / 2, 0, 0})[2], 1, 1e-12);
  EXPECT_GT(tip_of("planar_quadrotor", {3, 4, 0, 0, 0, 0})[2], 3.9);
}

// Thrust pushes along the body's own z axis: v' - v = dt (z T / m - g).
TEST(ClosedFormPictures, RotorsPushAlongTheirAxis) {
  const auto push = [](System& system, const Numbers& state, const Numbers& thrusts,
                       std::vector<size_t> velocity, double total, double dt) {
    const Numbers next = After(system, state, thrusts);
    const auto picture = system.MakePicture();
    const ScenePose body = BodiesIn(*picture, state)[1];
    const ScenePoint z = Moved({{0, 0, 0}, body.rotation}, {0, 0, 1});
    const size_t first = velocity.size() == 2 ? 2 : 1;  // x and z, or all three
    for (size_t i = 0, axis = 0; i < velocity.size(); ++i, axis += first) {
      const double gravity = axis == 2 ? 9.81 : 0;
      EXPECT_NEAR(next[velocity[i]] - state[velocity[i]], dt * (total * z[axis] - gravity), 1e-12);
    }
  };
  PlanarQuadrotor planar;
  push(planar, {0, 0, 0.4, 0, 0, 0}, {3, 5}, {3, 4}, 8, 0.02);
  Quadrotor quadrotor;
  push(quadrotor, {0, 0, 0, 0.3, -0.5, 1.2, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 2}, {6, 7, 8}, 8, 0.02);
}

// Body rates of the quadrotor turn its own frame: after a small step about the body's z axis, its x
// axis has gone towards its y axis.
TEST(ClosedFormPictures, AQuadrotorTurnsAboutItsOwnAxes) {
  Quadrotor quadrotor;
  const auto picture = quadrotor.MakePicture();
  Numbers state = {0, 0, 0, 0.3, -0.5, 1.2, 0, 0, 0, 0, 0, 2};
  const ScenePose before = BodiesIn(*picture, state)[1];
  const ScenePose after = BodiesIn(*picture, After(quadrotor, state, {0, 0, 0, 0}))[1];
  const ScenePoint x = Moved({{0, 0, 0}, after.rotation}, {1, 0, 0});
  const ScenePoint y = Moved({{0, 0, 0}, before.rotation}, {0, 1, 0});
  const double along_y = x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
  EXPECT_NEAR(along_y, 0.04, 1e-3) << "2 rad/s for 0.02 s, by a first-order step";
}

TEST(ClosedFormPictures, WheelsRollWhereTheyPoint) {
  Unicycle unicycle;
  const auto picture = unicycle.MakePicture();
  const Numbers state = {1, 2, 0.7};
  const ScenePoint from = TracedIn(*picture, state);
  const ScenePoint to = TracedIn(*picture, After(unicycle, state, {1, 0}));
  const ScenePoint ahead = Moved({{0, 0, 0}, BodiesIn(*picture, state)[1].rotation}, {0.1, 0, 0});
  EXPECT_NEAR(to[0] - from[0], ahead[0], 1e-12);
  EXPECT_NEAR(to[1] - from[1], ahead[1], 1e-12);
  const auto car = Car(CarOptions()).MakePicture();
  const ScenePoint heading = Moved({{0, 0, 0}, BodiesIn(*car, {3, 0.2})[1].rotation}, {1, 0, 0});
  EXPECT_GT(heading[1], 0) << "to the left";
  EXPECT_EQ(TracedIn(*car, {3, 0.2})[1], 3);
}

}  // namespace
}  // namespace foreplan
