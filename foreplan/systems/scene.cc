#include "foreplan/systems/scene.h"

#include <cmath>

namespace foreplan {
namespace {

ScenePoint Cross(const ScenePoint& a, const ScenePoint& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

}  // namespace

ScenePoint Moved(const ScenePose& pose, const ScenePoint& point) {
  // p + v + 2 w (q x v) + 2 q x (q x v) of the quaternion (w, q)
  const ScenePoint q = {pose.rotation[1], pose.rotation[2], pose.rotation[3]};
  const ScenePoint once = Cross(q, point);
  const ScenePoint twice = Cross(q, once);
  ScenePoint moved;
  for (size_t i = 0; i < 3; ++i) {
    moved[i] = pose.position[i] + point[i] + 2 * (pose.rotation[0] * once[i] + twice[i]);
  }
  return moved;
}

std::array<double, 4> RotationAbout(const ScenePoint& axis, double angle) {
  const double sine = std::sin(angle / 2);
  return {std::cos(angle / 2), sine * axis[0], sine * axis[1], sine * axis[2]};
}

const char* NameOf(ShapeType type) {
  switch (type) {
    case ShapeType::kPlane:
      return "plane";
    case ShapeType::kBox:
      return "box";
    case ShapeType::kSphere:
      return "sphere";
    case ShapeType::kCapsule:
      return "capsule";
    case ShapeType::kCylinder:
      return "cylinder";
    case ShapeType::kEllipsoid:
      return "ellipsoid";
    case ShapeType::kMesh:
      return "mesh";
  }
  return "";
}

}  // namespace foreplan
