#include "foreplan/systems/closed_form/pictures.h"

#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace foreplan {
namespace {

using std::numbers::pi;
using Color = std::array<float, 4>;
using Rotation = std::array<double, 4>;

constexpr Color kGround = {0.72F, 0.74F, 0.77F, 1};
constexpr Color kFrame = {0.36F, 0.40F, 0.46F, 1};
constexpr Color kMoving = {0.85F, 0.45F, 0.16F, 1};
constexpr Color kSecond = {0.20F, 0.48F, 0.70F, 1};
constexpr Color kJoint = {0.20F, 0.22F, 0.26F, 1};

constexpr ScenePoint kAxisY = {0, 1, 0};
constexpr ScenePoint kAxisZ = {0, 0, 1};
const Rotation kAlongX = RotationAbout(kAxisY, pi / 2);      // turns z to x
const Rotation kAlongY = RotationAbout({1, 0, 0}, -pi / 2);  // turns z to y

/// Counter-clockwise where x points right and z up.
Rotation InPlane(double angle) { return RotationAbout(kAxisY, -angle); }

class PlacedPicture final : public Picture {
 public:
  PlacedPicture(Scene scene, PlaceBodies place)
      : scene_(std::move(scene)), place_(std::move(place)) {}

  [[nodiscard]] const Scene& scene() const override { return scene_; }
  void Place(std::span<const double> state, std::span<ScenePose> bodies) override {
    place_(state, bodies);
  }

 private:
  Scene scene_;
  PlaceBodies place_;
};

SceneShape Box(int body, ScenePoint half, ScenePoint at, Color color) {
  return {.body = body, .type = ShapeType::kBox, .size = half, .pose = {at}, .color = color};
}

/// From the body's origin down by `length`, for a negative one up.
SceneShape Link(int body, double length, double radius, Color color) {
  return {.body = body,
          .type = ShapeType::kCapsule,
          .size = {radius, std::abs(length) / 2, 0},
          .pose = {{0, 0, -length / 2}},
          .color = color};
}

SceneShape Cylinder(int body, double radius, double half, ScenePose pose, Color color) {
  return {.body = body,
          .type = ShapeType::kCylinder,
          .size = {radius, half, 0},
          .pose = pose,
          .color = color};
}

SceneShape Floor(double height) {
  return {.name = "floor", .type = ShapeType::kPlane, .pose = {{0, 0, height}}, .color = kGround};
}

SceneBody World() { return {.name = "world", .moves = false}; }

/// A bar along x with discs at both ends; the second of two crosses the first.
void AddRotors(int body, double arm, ScenePoint direction, Scene& scene) {
  const bool along_x = direction[0] != 0;
  const ScenePoint half = along_x ? ScenePoint{arm, 0.02 * arm + 0.004, 0.01}
                                  : ScenePoint{0.02 * arm + 0.004, arm, 0.01};
  scene.shapes.push_back(Box(body, half, {0, 0, 0}, kFrame));
  for (const double side : {-1.0, 1.0}) {
    const ScenePoint at = {side * arm * direction[0], side * arm * direction[1], 0.02};
    scene.shapes.push_back(Cylinder(body, 0.4 * arm, 0.004, {at}, side > 0 ? kMoving : kSecond));
  }
}

}  // namespace

std::unique_ptr<Picture> MakePictureOf(Scene scene, PlaceBodies place) {
  return std::make_unique<PlacedPicture>(std::move(scene), std::move(place));
}

std::unique_ptr<Picture> CartPolePicture(double length, PoleAngle angle) {
  Scene scene;
  scene.bodies = {World(), {.name = "cart"}, {.name = "pole"}};
  const double wide = 0.2 * length;
  scene.shapes = {Floor(-1.4 * length),
                  Cylinder(0, 0.03 * length, 6 * length, {{0, 0, 0}, kAlongX}, kFrame),
                  Box(1, {wide, 0.6 * wide, 0.5 * wide}, {0, 0, 0}, kSecond),
                  Link(2, -length, 0.06 * length, kMoving)};
  scene.traced = {{.name = "tip of the pole", .body = 2, .place = {0, 0, length}}};
  scene.extent = 3 * length;
  return MakePictureOf(std::move(scene), [angle](auto state, auto bodies) {
    bodies[0] = {};
    bodies[1] = {{state[0], 0, 0}};
    bodies[2] = {{state[0], 0, 0}, InPlane(angle.sign * (state[1] - angle.upright))};
  });
}

std::unique_ptr<Picture> PendulumPicture(double length) {
  Scene scene;
  scene.bodies = {World(), {.name = "rod"}};
  scene.shapes = {Floor(-1.2 * length),
                  Cylinder(0, 0.05 * length, 0.12 * length, {{0, 0, 0}, kAlongY}, kJoint),
                  Link(1, -length, 0.06 * length, kMoving)};
  scene.traced = {{.name = "end of the rod", .body = 1, .place = {0, 0, length}}};
  scene.extent = 2 * length;
  return MakePictureOf(std::move(scene), [](auto state, auto bodies) {
    bodies[0] = {};
    bodies[1] = {{0, 0, 0}, InPlane(state[0])};
  });
}

std::unique_ptr<Picture> AcrobotPicture(double length1, double length2) {
  Scene scene;
  scene.bodies = {World(), {.name = "first link"}, {.name = "second link"}};
  const double radius = 0.04 * (length1 + length2);
  scene.shapes = {Floor(-1.1 * (length1 + length2)),
                  Cylinder(0, radius, 2 * radius, {{0, 0, 0}, kAlongY}, kJoint),
                  Link(1, length1, radius, kSecond), Link(2, length2, radius, kMoving)};
  scene.traced = {{.name = "tip", .body = 2, .place = {0, 0, -length2}}};
  scene.extent = 2 * (length1 + length2);
  return MakePictureOf(std::move(scene), [length1](auto state, auto bodies) {
    bodies[0] = {};
    bodies[1] = {{0, 0, 0}, InPlane(state[0])};
    bodies[2] = {Moved(bodies[1], {0, 0, -length1}), InPlane(state[0] + state[1])};
  });
}

std::unique_ptr<Picture> PlanarQuadrotorPicture(double arm) {
  Scene scene;
  scene.bodies = {World(), {.name = "quadrotor"}};
  scene.shapes = {Floor(-10 * arm)};
  AddRotors(1, arm, {1, 0, 0}, scene);
  scene.traced = {{.name = "quadrotor", .body = 1}};
  scene.extent = 10 * arm;
  scene.follow = 1;
  return MakePictureOf(std::move(scene), [](auto state, auto bodies) {
    bodies[0] = {};
    bodies[1] = {{state[0], 0, state[1]}, InPlane(state[2])};
  });
}

std::unique_ptr<Picture> QuadrotorPicture(double arm) {
  Scene scene;
  scene.bodies = {World(), {.name = "quadrotor"}};
  scene.shapes = {Floor(-10 * arm)};
  AddRotors(1, arm, {1, 0, 0}, scene);
  AddRotors(1, arm, {0, 1, 0}, scene);
  scene.traced = {{.name = "quadrotor", .body = 1}};
  scene.extent = 10 * arm;
  scene.follow = 1;
  return MakePictureOf(std::move(scene), [](auto state, auto bodies) {
    // R = Rz(psi) Ry(theta) Rx(phi)
    const double cr = std::cos(state[3] / 2), sr = std::sin(state[3] / 2);
    const double cp = std::cos(state[4] / 2), sp = std::sin(state[4] / 2);
    const double cy = std::cos(state[5] / 2), sy = std::sin(state[5] / 2);
    bodies[0] = {};
    bodies[1] = {{state[0], state[1], state[2]},
                 {cy * cp * cr + sy * sp * sr, cy * cp * sr - sy * sp * cr,
                  cy * sp * cr + sy * cp * sr, sy * cp * cr - cy * sp * sr}};
  });
}

std::unique_ptr<Picture> CarPicture(double wheelbase) {
  Scene scene;
  scene.bodies = {World(), {.name = "car"}};
  const double half = wheelbase / 2;
  scene.shapes = {
      Floor(0), Box(0, {8 * half, 0.06 * half, 0.005}, {0, 0, 0}, {1, 1, 1, 1}),
      Box(1, {1.3 * half, 0.6 * half, 0.2 * half}, {half, 0, 0.4 * half}, kMoving),
      Box(1, {0.6 * half, 0.5 * half, 0.2 * half}, {0.9 * half, 0, 0.8 * half}, kSecond)};
  for (const double along : {0.0, wheelbase}) {
    for (const double side : {-0.6 * half, 0.6 * half}) {
      scene.shapes.push_back(
          Cylinder(1, 0.25 * half, 0.08 * half, {{along, side, 0.25 * half}, kAlongY}, kJoint));
    }
  }
  scene.traced = {{.name = "car", .body = 1}};
  scene.extent = 4 * wheelbase;
  return MakePictureOf(std::move(scene), [](auto state, auto bodies) {
    bodies[0] = {};
    bodies[1] = {{0, state[0], 0}, RotationAbout(kAxisZ, state[1])};
  });
}

std::unique_ptr<Picture> UnicyclePicture() {
  Scene scene;
  scene.bodies = {World(), {.name = "robot"}};
  scene.shapes = {Floor(0), Cylinder(0, 0.04, 0.002, {{0, 0, 0.002}}, kSecond),
                  Cylinder(1, 0.09, 0.03, {{0, 0, 0.06}}, kMoving),
                  Box(1, {0.04, 0.012, 0.012}, {0.08, 0, 0.1}, kJoint)};
  for (const double side : {-0.08, 0.08}) {
    scene.shapes.push_back(Cylinder(1, 0.045, 0.01, {{0, side, 0.045}, kAlongY}, kJoint));
  }
  scene.traced = {{.name = "robot", .body = 1}};
  scene.extent = 1.5;
  return MakePictureOf(std::move(scene), [](auto state, auto bodies) {
    bodies[0] = {};
    bodies[1] = {{state[0], state[1], 0}, RotationAbout(kAxisZ, state[2])};
  });
}

}  // namespace foreplan
