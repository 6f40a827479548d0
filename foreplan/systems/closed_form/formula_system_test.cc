#include "foreplan/systems/closed_form/formula_system.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "foreplan/systems/closed_form/acrobot.h"
#include "foreplan/systems/closed_form/car.h"
#include "foreplan/systems/closed_form/frictionless_cartpole.h"
#include "foreplan/systems/closed_form/pilco_cartpole.h"
#include "foreplan/systems/closed_form/planar_quadrotor.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/closed_form/unicycle.h"
#include "foreplan/systems/system_types.h"

namespace foreplan {
namespace {

TEST(FormulaSystem, EveryNameMakesASystemThatStepsAndResetsByKey) {
  for (const std::string& name : ClosedFormNames()) {
    const auto factory = MakeSystemFactory("test", name);
    const auto system = factory->Make();
    const auto copy = factory->Make();
    system->Reset(Key{1, 2});
    copy->Reset(Key{1, 2});
    std::vector<double> action(static_cast<size_t>(system->spec().action_dim()), 0.1);
    EXPECT_EQ(system->Step(action), StepStatus::kOk) << name;
    EXPECT_EQ(copy->Step(action), StepStatus::kOk) << name;
    std::vector<double> a(static_cast<size_t>(system->spec().state_dim()));
    std::vector<double> b = a;
    system->GetState(a);
    copy->GetState(b);
    EXPECT_EQ(a, b) << name;
  }
}

TEST(FormulaSystem, PositionsAndVelocitiesStartWithNoiseOfTheirOwnScales) {
  PlanarQuadrotorOptions options;  // three positions, three velocities
  for (const bool of_positions : {true, false}) {
    options.reset.position = of_positions ? 0.5 : 0;
    options.reset.velocity = of_positions ? 0 : 0.5;
    PlanarQuadrotor system(options);
    system.Reset(Key{1, 0});
    std::vector<double> x(6);
    system.GetState(x);
    for (size_t i = 0; i < 6; ++i) EXPECT_EQ(x[i] != 0, of_positions == (i < 3)) << i;
  }
  UnicycleOptions unicycle;
  unicycle.reset.position = 0;
  Unicycle still(unicycle);
  still.Reset(Key{1, 0});
  std::vector<double> x(3);
  still.GetState(x);
  EXPECT_EQ(x, (std::vector<double>{1, 0, 0}));
}

TEST(Acrobot, KeepsItsEnergyWithoutTorque) {
  AcrobotOptions o;
  o.timestep = 1e-5;
  Acrobot system(o);
  const auto energy = [&] {
    std::vector<double> x(4);
    system.GetState(x);
    const double h = o.mass2 * o.length1 * o.center2;
    const double m22 = o.inertia2 + o.mass2 * o.center2 * o.center2;
    const double m11 = o.inertia1 + o.mass1 * o.center1 * o.center1 +
                       o.mass2 * o.length1 * o.length1 + m22 + 2 * h * std::cos(x[1]);
    const double m12 = m22 + h * std::cos(x[1]);
    return 0.5 * m11 * x[2] * x[2] + m12 * x[2] * x[3] + 0.5 * m22 * x[3] * x[3] -
           (o.mass1 * o.center1 + o.mass2 * o.length1) * o.gravity * std::cos(x[0]) -
           o.mass2 * o.center2 * o.gravity * std::cos(x[0] + x[1]);
  };
  system.SetState(std::vector<double>{1.0, -0.7, 0.5, 2.0});
  const double start = energy();
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(system.Step(std::vector<double>{0.0}), StepStatus::kOk);
  }
  EXPECT_NEAR(energy(), start, 1e-3);  // semi-implicit Euler is off by O(h) = 1e-5 times slopes
}

TEST(PilcoCartPole, KeepsItsEnergyWithoutForceAndFriction) {
  PilcoCartPoleOptions o;
  o.friction = 0;
  o.timestep = 1e-3;
  o.substeps = 100;
  PilcoCartPole system(o);
  const auto energy = [&] {
    std::vector<double> x(4);
    system.GetState(x);
    // A uniform rod: its centre at l/2, its inertia about the hinge m l^2 / 3.
    const double m = o.pole_mass;
    const double l = o.length;
    return 0.5 * (o.cart_mass + m) * x[2] * x[2] + 0.5 * m * l * x[2] * x[3] * std::cos(x[1]) +
           m * l * l * x[3] * x[3] / 6 - 0.5 * m * o.gravity * l * std::cos(x[1]);
  };
  system.SetState(std::vector<double>{0.3, 2.0, -0.5, 3.0});
  const double start = energy();
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(system.Step(std::vector<double>{0.0}), StepStatus::kOk);
  }
  EXPECT_NEAR(energy(), start, 1e-8);  // 4,000 Runge-Kutta steps, each O(h^5) = 1e-15 times slopes
}

// dE/dt = u x' - b x'^2
TEST(PilcoCartPole, ForceAndFrictionDoTheirWorkOnTheCart) {
  PilcoCartPoleOptions o;
  o.friction = 0.7;
  o.timestep = 1e-3;
  o.substeps = 1;
  PilcoCartPole system(o);
  std::vector<double> x{0.3, 2.0, -0.5, 3.0};
  const auto energy = [&] {
    const double m = o.pole_mass;
    const double l = o.length;
    return 0.5 * (o.cart_mass + m) * x[2] * x[2] + 0.5 * m * l * x[2] * x[3] * std::cos(x[1]) +
           m * l * l * x[3] * x[3] / 6 - 0.5 * m * o.gravity * l * std::cos(x[1]);
  };
  const double force = 1.5;
  const auto power = [&] { return force * x[2] - o.friction * x[2] * x[2]; };
  const double start = energy();
  double work = 0;
  system.SetState(x);
  for (int i = 0; i < 500; ++i) {
    const double before = power();
    ASSERT_EQ(system.Step(std::vector<double>{force}), StepStatus::kOk);
    system.GetState(x);
    work += 0.5 * (before + power()) * o.timestep;
  }
  EXPECT_GT(std::abs(work), 0.1);
  // The trapezoidal rule over 0.5 s: h^2 / 12 = 1e-7 times second derivatives up to 100.
  EXPECT_NEAR(energy() - start, work, 1e-5);
}

TEST(FrictionlessCartPole, KeepsItsEnergyWithoutForce) {
  FrictionlessCartPoleOptions o;
  o.timestep = 1e-5;
  FrictionlessCartPole system(o);
  const auto energy = [&] {
    std::vector<double> x(4);
    system.GetState(x);
    // The mass is at (y - l sin th, l cos th).
    const double vx = x[2] - o.length * std::cos(x[1]) * x[3];
    const double vy = -o.length * std::sin(x[1]) * x[3];
    return 0.5 * o.cart_mass * x[2] * x[2] + 0.5 * o.pole_mass * (vx * vx + vy * vy) +
           o.pole_mass * o.gravity * o.length * std::cos(x[1]);
  };
  system.SetState(std::vector<double>{0.3, 1.0, -0.5, 2.0});
  const double start = energy();
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(system.Step(std::vector<double>{0.0}), StepStatus::kOk);
  }
  EXPECT_NEAR(energy(), start, 1e-4);
}

TEST(Quadrotor, HoversAndFallsAsItShould) {
  Quadrotor system;
  const double hover = 9.81 / 4;
  system.SetState(std::vector<double>(12, 0.0));
  ASSERT_EQ(system.Step(std::vector<double>(4, hover)), StepStatus::kOk);
  std::vector<double> x(12);
  system.GetState(x);
  for (const double entry : x) EXPECT_NEAR(entry, 0, 1e-15);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(system.Step(std::vector<double>(4, 0.0)), StepStatus::kOk);
  system.GetState(x);
  EXPECT_NEAR(x[8], -9.81, 1e-12);  // one second of free fall
}

/// Rz(psi) Ry(theta) Rx(phi) v.
std::array<double, 3> Turned(const std::vector<double>& x, std::array<double, 3> v) {
  const auto turn = [&v](size_t i, size_t j, double angle) {
    const double a = v[i];
    v[i] = std::cos(angle) * a - std::sin(angle) * v[j];
    v[j] = std::sin(angle) * a + std::cos(angle) * v[j];
  };
  turn(1, 2, x[3]);
  turn(2, 0, x[4]);
  turn(0, 1, x[5]);
  return v;
}

TEST(Quadrotor, ThrustPushesAlongTheAxisThatItsAnglesTurn) {
  QuadrotorOptions o;
  Quadrotor system(o);
  std::vector<double> x(12);
  x[3] = 0.2;
  x[4] = 0.3;
  x[5] = -0.4;
  const std::array<double, 3> up = Turned(x, {0, 0, 1});
  system.SetState(x);
  ASSERT_EQ(system.Step(std::vector<double>(4, 2.0)), StepStatus::kOk);
  system.GetState(x);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(x[6 + i], o.timestep * (8 * up[i] / o.mass - (i == 2 ? o.gravity : 0)), 1e-14);
  }
}

TEST(Quadrotor, EveryRotorTurnsItByItsLeverAndItsDrag) {
  QuadrotorOptions o;
  // r x (0, 0, 1) of the rotors at +x, +y, -x, -y; those on x drag one way, those on y the other.
  const double lever[4][2] = {{0, -o.arm}, {o.arm, 0}, {0, o.arm}, {-o.arm, 0}};
  for (size_t rotor = 0; rotor < 4; ++rotor) {
    Quadrotor system(o);
    system.SetState(std::vector<double>(12, 0.0));
    std::vector<double> thrust(4, 0.0);
    thrust[rotor] = 1;
    ASSERT_EQ(system.Step(thrust), StepStatus::kOk);
    std::vector<double> x(12);
    system.GetState(x);
    EXPECT_NEAR(x[9], o.timestep * lever[rotor][0] / o.inertia_x, 1e-14) << rotor;
    EXPECT_NEAR(x[10], o.timestep * lever[rotor][1] / o.inertia_y, 1e-14) << rotor;
    EXPECT_NEAR(x[11], o.timestep * (rotor % 2 == 0 ? 1 : -1) * o.drag_ratio / o.inertia_z, 1e-14);
  }
}

TEST(Quadrotor, KeepsItsAngularMomentumWithoutTorque) {
  QuadrotorOptions o;
  o.inertia_x = 0.01;
  o.inertia_y = 0.02;
  o.inertia_z = 0.03;
  o.timestep = 1e-4;
  Quadrotor system(o);
  std::vector<double> x{0, 0, 0, 0.2, 0.3, -0.4, 0, 0, 0, 2.0, -1.6, 2.4};
  const auto momentum = [&] {
    return Turned(x, {o.inertia_x * x[9], o.inertia_y * x[10], o.inertia_z * x[11]});
  };
  const std::array<double, 3> start = momentum();
  system.SetState(x);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(system.Step(std::vector<double>(4, 0.0)), StepStatus::kOk);
  }
  system.GetState(x);
  EXPECT_GT(std::abs(x[9] - 2.0), 0.3);  // it tumbles
  // Euler's method is off by O(h) = 1e-4 times the momentum, 0.08, and slopes of a few.
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(momentum()[i], start[i], 1e-4);
}

TEST(PlanarQuadrotor, IsTheQuadrotorPitchingInItsPlane) {
  // The quadrotor's pitch about y with rotors at +x and -x; nose down is a turn to the right here.
  QuadrotorOptions space_options;
  space_options.drag_ratio = 0;
  Quadrotor space(space_options);
  PlanarQuadrotorOptions plane_options;
  plane_options.inertia = space_options.inertia_y;
  PlanarQuadrotor plane(plane_options);
  space.SetState(std::vector<double>(12, 0.0));
  plane.SetState(std::vector<double>(6, 0.0));
  std::vector<double> s(12);
  std::vector<double> p(6);
  for (int i = 0; i < 30; ++i) {
    const double front = 2.5 + 0.5 * std::sin(0.3 * i);
    const double back = 2.5 + 0.4 * std::cos(0.2 * i);
    ASSERT_EQ(space.Step(std::vector<double>{front, 2.4, back, 2.4}), StepStatus::kOk);
    // The two side rotors push at the centre: half of them at either end.
    ASSERT_EQ(plane.Step(std::vector<double>{back + 2.4, front + 2.4}), StepStatus::kOk);
    space.GetState(s);
    plane.GetState(p);
    EXPECT_NEAR(p[0], s[0], 1e-12);
    EXPECT_NEAR(p[1], s[2], 1e-12);
    EXPECT_NEAR(p[2], -s[4], 1e-12);
  }
}

TEST(Car, DriftsToTheSideByTheSineOfItsDrift) {
  CarOptions options;
  options.drift = 2;
  Car system(options);
  system.SetState(std::vector<double>{0, 0});
  for (int i = 0; i < 10; ++i) ASSERT_EQ(system.Step(std::vector<double>{0.0}), StepStatus::kOk);
  std::vector<double> x(2);
  system.GetState(x);
  EXPECT_NEAR(x[0], 15 * std::sin(2 * 3.141592653589793 / 180), 1e-12);  // one second at 15 m/s
  EXPECT_EQ(x[1], 0);
  ASSERT_EQ(system.Step(std::vector<double>{0.05}), StepStatus::kOk);
  system.GetState(x);
  EXPECT_NEAR(x[1], 0.1 * 15 * std::tan(0.05) / 2.7, 1e-12);
}

TEST(Unicycle, DrivesACircle) {
  UnicycleOptions options;
  options.timestep = 1e-3;
  Unicycle system(options);
  system.SetState(std::vector<double>{0, 0, 0});
  const int steps = static_cast<int>(2 * 3.141592653589793 / 1e-3);
  for (int i = 0; i < steps; ++i) {
    ASSERT_EQ(system.Step(std::vector<double>{1.0, 1.0}), StepStatus::kOk);
  }
  std::vector<double> x(3);
  system.GetState(x);
  EXPECT_NEAR(x[0], 0, 0.01);  // explicit Euler with 1 ms on a circle of radius 1 m
  EXPECT_NEAR(x[1], 0, 0.01);
}

}  // namespace
}  // namespace foreplan
