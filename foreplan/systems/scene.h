// How a system looks: rigid bodies made of simple shapes, which move with its state.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace foreplan {

using ScenePoint = std::array<double, 3>;  // x, y, z [m]; z is up

/// Of one frame in another.
struct ScenePose {
  ScenePoint position = {0, 0, 0};
  std::array<double, 4> rotation = {1, 0, 0, 0};  // unit quaternion (w, x, y, z)
};

/// Where a point of the frame is in the one around it.
[[nodiscard]] ScenePoint Moved(const ScenePose& pose, const ScenePoint& point);
/// Of a rotation by `angle` [rad] about an axis of length 1.
[[nodiscard]] std::array<double, 4> RotationAbout(const ScenePoint& axis, double angle);

enum class ShapeType {
  kPlane,      // x, y: half lengths, 0 without end; its normal is z
  kBox,        // half lengths
  kSphere,     // radius
  kCapsule,    // radius, half length of the straight part, along z
  kCylinder,   // radius, half length, along z
  kEllipsoid,  // half lengths
  kMesh,       // of SceneShape::mesh
};
[[nodiscard]] const char* NameOf(ShapeType type);

struct SceneShape {
  std::string name = {};
  int body = 0;
  ShapeType type = ShapeType::kSphere;
  ScenePoint size = {0, 0, 0};                // see ShapeType [m]
  ScenePose pose = {};                        // in its body's frame
  std::array<float, 4> color = {1, 1, 1, 1};  // red, green, blue, opacity; 0 ... 1
  int mesh = -1;                              // of Scene::meshes
  bool is_site = false;                       // marks a place, is not there
};

struct SceneMesh {
  std::vector<float> vertices;  // [count x 3]
  std::vector<int32_t> faces;   // [count x 3], counter-clockwise seen from outside
};

struct SceneBody {
  std::string name = {};
  bool moves = true;  // else it stands where the first state has it
};

/// A point of a body whose way is drawn, also the one that was imagined.
struct ScenePart {
  std::string name = {};
  int body = 0;
  ScenePoint place = {0, 0, 0};  // in the body's frame [m]
};

struct Scene {
  std::vector<SceneBody> bodies;
  std::vector<SceneShape> shapes;
  std::vector<SceneMesh> meshes;
  std::vector<ScenePart> traced;
  ScenePoint center = {0, 0, 0};  // what to look at [m]
  double extent = 1;              // how large it is [m]
  int follow = -1;                // the body that travels, -1: none
};

/// A system to be looked at. One instance per thread.
class Picture {
 public:
  virtual ~Picture() = default;

  [[nodiscard]] virtual const Scene& scene() const = 0;
  /// Where the bodies are in a state, also one in which the system could not be:
  /// [scene().bodies]. NaN where they are nowhere.
  virtual void Place(std::span<const double> state, std::span<ScenePose> bodies) = 0;
  /// Where bodies touch in a state.
  [[nodiscard]] virtual std::vector<ScenePoint> Contacts(std::span<const double> /*state*/) {
    return {};
  }
};

}  // namespace foreplan
