#include "foreplan/systems/mujoco/mujoco_picture.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace foreplan {
namespace {

constexpr int kShownGroups = 3;
constexpr size_t kMostTraced = 4;

ScenePoint PointAt(const mjtNum* numbers) { return {numbers[0], numbers[1], numbers[2]}; }

ScenePose PoseAt(const mjtNum* position, const mjtNum* rotation) {
  return {PointAt(position), {rotation[0], rotation[1], rotation[2], rotation[3]}};
}

// --- colours ------------------------------------------------------------------------------------

int TextureOf(const mjModel& model, int material) {
#if mjVERSION_HEADER >= 4000000
  const int texture = model.mat_texid[material * mjNTEXROLE + mjTEXROLE_RGB];
  return texture >= 0 ? texture : model.mat_texid[material * mjNTEXROLE + mjTEXROLE_RGBA];
#else
  return model.mat_texid[material];
#endif
}

/// Of all pixels: red, green, blue, 0 ... 1.
std::array<float, 3> MeanOfTexture(const mjModel& model, int texture) {
#if mjVERSION_HEADER >= 4000000
  const auto* pixels = model.tex_data + model.tex_adr[texture];
  const int channels = model.tex_nchannel[texture];
#else
  const auto* pixels = model.tex_rgb + model.tex_adr[texture];
  const int channels = 3;
#endif
  const int64_t count = static_cast<int64_t>(model.tex_width[texture]) * model.tex_height[texture];
  std::array<double, 3> sum = {0, 0, 0};
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < 3; ++c) {
      sum[static_cast<size_t>(c)] += pixels[i * channels + std::min(c, channels - 1)];
    }
  }
  std::array<float, 3> mean;
  for (size_t c = 0; c < 3; ++c) {
    mean[c] = count == 0 ? 1.0F : static_cast<float>(sum[c] / (255.0 * static_cast<double>(count)));
  }
  return mean;
}

/// A colour of its own goes before that of the material.
std::array<float, 4> ColorOf(const mjModel& model, const float* own, int material) {
  const bool is_default = own[0] == 0.5F && own[1] == 0.5F && own[2] == 0.5F && own[3] == 1.0F;
  if (material < 0 || !is_default) return {own[0], own[1], own[2], own[3]};
  const float* rgba = model.mat_rgba + static_cast<ptrdiff_t>(4) * material;
  std::array<float, 4> color = {rgba[0], rgba[1], rgba[2], rgba[3]};
  if (const int texture = TextureOf(model, material); texture >= 0) {
    const std::array<float, 3> mean = MeanOfTexture(model, texture);
    for (size_t c = 0; c < 3; ++c) color[c] *= mean[c];
  }
  return color;
}

// --- meshes -------------------------------------------------------------------------------------

SceneMesh MeshOf(const mjModel& model, int mesh) {
  const float* vertices = model.mesh_vert + static_cast<ptrdiff_t>(3) * model.mesh_vertadr[mesh];
  const int* faces = model.mesh_face + static_cast<ptrdiff_t>(3) * model.mesh_faceadr[mesh];
  return {{vertices, vertices + static_cast<ptrdiff_t>(3) * model.mesh_vertnum[mesh]},
          {faces, faces + static_cast<ptrdiff_t>(3) * model.mesh_facenum[mesh]}};
}

/// The surface alone: rows go along y, columns along x.
SceneMesh HeightFieldOf(const mjModel& model, int field) {
  const int rows = model.hfield_nrow[field];
  const int columns = model.hfield_ncol[field];
  const mjtNum* size = model.hfield_size + static_cast<ptrdiff_t>(4) * field;
  const float* heights = model.hfield_data + model.hfield_adr[field];
  SceneMesh mesh;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const double x = size[0] * (2.0 * c / (columns - 1) - 1);
      const double y = size[1] * (2.0 * r / (rows - 1) - 1);
      const double z = size[2] * heights[static_cast<ptrdiff_t>(r) * columns + c];
      for (const double coordinate : {x, y, z}) {
        mesh.vertices.push_back(static_cast<float>(coordinate));
      }
    }
  }
  for (int r = 0; r + 1 < rows; ++r) {
    for (int c = 0; c + 1 < columns; ++c) {
      const int corner = r * columns + c;
      mesh.faces.insert(mesh.faces.end(), {corner, corner + 1, corner + columns + 1});
      mesh.faces.insert(mesh.faces.end(), {corner, corner + columns + 1, corner + columns});
    }
  }
  return mesh;
}

// --- shapes -------------------------------------------------------------------------------------

std::optional<ShapeType> TypeOf(int type) {
  switch (type) {
    case mjGEOM_PLANE:
      return ShapeType::kPlane;
    case mjGEOM_BOX:
      return ShapeType::kBox;
    case mjGEOM_SPHERE:
      return ShapeType::kSphere;
    case mjGEOM_CAPSULE:
      return ShapeType::kCapsule;
    case mjGEOM_CYLINDER:
      return ShapeType::kCylinder;
    case mjGEOM_ELLIPSOID:
      return ShapeType::kEllipsoid;
    case mjGEOM_MESH:
    case mjGEOM_HFIELD:
      return ShapeType::kMesh;
    default:
      return {};
  }
}

/// Each mesh and height field of the model once.
class Meshes {
 public:
  Meshes(const mjModel& model, std::vector<SceneMesh>& made)
      : model_(model),
        made_(made),
        of_mesh_(static_cast<size_t>(model.nmesh), -1),
        of_field_(static_cast<size_t>(model.nhfield), -1) {}

  int OfGeom(int geom) {
    const int type = model_.geom_type[geom];
    if (type != mjGEOM_MESH && type != mjGEOM_HFIELD) return -1;
    const int id = model_.geom_dataid[geom];
    int& number = (type == mjGEOM_MESH ? of_mesh_ : of_field_)[static_cast<size_t>(id)];
    if (number < 0) {
      number = static_cast<int>(made_.size());
      made_.push_back(type == mjGEOM_MESH ? MeshOf(model_, id) : HeightFieldOf(model_, id));
    }
    return number;
  }

 private:
  const mjModel& model_;
  std::vector<SceneMesh>& made_;
  std::vector<int> of_mesh_;
  std::vector<int> of_field_;
};

void AddGeoms(const mjModel& model, Scene& scene) {
  Meshes meshes(model, scene.meshes);
  for (int i = 0; i < model.ngeom; ++i) {
    const std::optional<ShapeType> type = TypeOf(model.geom_type[i]);
    const auto color =
        ColorOf(model, model.geom_rgba + static_cast<ptrdiff_t>(4) * i, model.geom_matid[i]);
    if (!type || model.geom_group[i] >= kShownGroups || color[3] <= 0) continue;
    const ptrdiff_t three = static_cast<ptrdiff_t>(3) * i;
    scene.shapes.push_back(
        {.name = MujocoName(model, mjOBJ_GEOM, i, "geom"),
         .body = model.geom_bodyid[i],
         .type = *type,
         .size = PointAt(model.geom_size + three),
         .pose = PoseAt(model.geom_pos + three, model.geom_quat + static_cast<ptrdiff_t>(4) * i),
         .color = color,
         .mesh = meshes.OfGeom(i)});
  }
}

void AddSites(const mjModel& model, Scene& scene) {
  for (int i = 0; i < model.nsite; ++i) {
    const std::optional<ShapeType> type = TypeOf(model.site_type[i]);
    const auto color =
        ColorOf(model, model.site_rgba + static_cast<ptrdiff_t>(4) * i, model.site_matid[i]);
    if (!type || model.site_group[i] >= kShownGroups || color[3] <= 0) continue;
    const ptrdiff_t three = static_cast<ptrdiff_t>(3) * i;
    scene.shapes.push_back(
        {.name = MujocoName(model, mjOBJ_SITE, i, "site"),
         .body = model.site_bodyid[i],
         .type = *type,
         .size = PointAt(model.site_size + three),
         .pose = PoseAt(model.site_pos + three, model.site_quat + static_cast<ptrdiff_t>(4) * i),
         .color = color,
         .is_site = true});
  }
}

// --- what is followed and traced ----------------------------------------------------------------

/// Free, or moved by several slides: it goes to other places.
bool Travels(const mjModel& model, int body) {
  int slides = 0;
  for (int i = 0; i < model.body_jntnum[body]; ++i) {
    const int type = model.jnt_type[model.body_jntadr[body] + i];
    if (type == mjJNT_FREE) return true;
    slides += type == mjJNT_SLIDE ? 1 : 0;
  }
  return slides > 1;
}

/// The last body of the longest chain below and with `root`.
int EndOfChain(const mjModel& model, int root) {
  std::vector<int> depth(static_cast<size_t>(model.nbody), -1);
  depth[static_cast<size_t>(root)] = 0;
  int end = root;
  for (int body = root + 1; body < model.nbody; ++body) {  // parents stand before their children
    const int above = depth[static_cast<size_t>(model.body_parentid[body])];
    if (above < 0) continue;
    depth[static_cast<size_t>(body)] = above + 1;
    if (above + 1 > depth[static_cast<size_t>(end)]) end = body;
  }
  return end;
}

double Length(const ScenePoint& point) { return std::hypot(point[0], point[1], point[2]); }

/// The end of the body's shapes that is farthest from where it hangs.
ScenePoint FarEnd(const Scene& scene, int body) {
  ScenePoint farthest = {0, 0, 0};
  for (const SceneShape& shape : scene.shapes) {
    if (shape.body != body || shape.is_site) continue;
    const bool is_long = shape.type == ShapeType::kCapsule || shape.type == ShapeType::kCylinder;
    for (const double side : {-1.0, 1.0}) {
      const ScenePoint end = Moved(shape.pose, {0, 0, is_long ? side * shape.size[1] : 0});
      if (Length(end) > Length(farthest)) farthest = end;
    }
  }
  return farthest;
}

void AddTraced(const mjModel& model, Scene& scene) {
  for (int root = 1; root < model.nbody; ++root) {
    if (model.body_parentid[root] != 0 || !scene.bodies[static_cast<size_t>(root)].moves) continue;
    const bool travels = Travels(model, root);
    const int body = travels ? root : EndOfChain(model, root);
    if (travels && scene.follow < 0) scene.follow = root;
    if (scene.traced.size() == kMostTraced) continue;
    scene.traced.push_back({.name = scene.bodies[static_cast<size_t>(body)].name,
                            .body = body,
                            .place = travels ? ScenePoint{0, 0, 0} : FarEnd(scene, body)});
  }
}

/// A box around the geoms that move, or all but planes where none does, as the model is compiled.
void SetView(const mjModel& model, Scene& scene) {
  const MujocoData data = MakeMujocoData(model);
  mj_kinematics(&model, data.get());
  for (const bool all : {false, true}) {
    constexpr double kFar = std::numeric_limits<double>::infinity();
    ScenePoint low = {kFar, kFar, kFar};
    ScenePoint high = {-kFar, -kFar, -kFar};
    for (int i = 0; i < model.ngeom; ++i) {
      const bool moves = scene.bodies[static_cast<size_t>(model.geom_bodyid[i])].moves;
      const double radius = model.geom_rbound[i];  // 0 for planes
      if (radius <= 0 || !(moves || all)) continue;
      for (size_t k = 0; k < 3; ++k) {
        const double at = data->geom_xpos[static_cast<size_t>(3 * i) + k];
        low[k] = std::min(low[k], at - radius);
        high[k] = std::max(high[k], at + radius);
      }
    }
    if (low[0] > high[0]) continue;
    for (size_t k = 0; k < 3; ++k) scene.center[k] = (low[k] + high[k]) / 2;
    scene.extent = std::hypot(high[0] - low[0], high[1] - low[1], high[2] - low[2]);
    return;
  }
}

/// Hangs from something that has joints.
bool Moves(const mjModel& model, int body) {
  for (; body != 0; body = model.body_parentid[body]) {
    if (model.body_jntnum[body] > 0) return true;
  }
  return false;
}

class MujocoPicture final : public Picture {
 public:
  MujocoPicture(std::shared_ptr<const mjModel> model, const mjData& data)
      : model_(std::move(model)), data_(CopyMujocoData(*model_, data)), scene_(SceneOf(*model_)) {}

  [[nodiscard]] const Scene& scene() const override { return scene_; }

  void Place(std::span<const double> state, std::span<ScenePose> bodies) override {
    if (!Evaluate(state)) {
      constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
      std::ranges::fill(bodies, ScenePose{{kNan, kNan, kNan}, {1, 0, 0, 0}});
      return;
    }
    for (size_t i = 0; i < bodies.size(); ++i) {
      bodies[i] = PoseAt(data_->xpos + 3 * i, data_->xquat + 4 * i);
    }
  }

  [[nodiscard]] std::vector<ScenePoint> Contacts(std::span<const double> state) override {
    std::vector<ScenePoint> points;
    if (!Evaluate(state)) return points;
    const MujocoGuard guard;
    try {
      mj_comPos(model_.get(), data_.get());
      mj_collision(model_.get(), data_.get());
    } catch (const MujocoError&) {
      return points;  // more of them than it has room for
    }
    for (int i = 0; i < data_->ncon; ++i) points.push_back(PointAt(data_->contact[i].pos));
    return points;
  }

 private:
  bool Evaluate(std::span<const double> state) {
    const auto positions = state.first(static_cast<size_t>(model_->nq));
    const bool is_finite =
        std::ranges::all_of(positions, [](double value) { return std::isfinite(value); });
    if (!is_finite) return false;
    const MujocoGuard guard;
    std::ranges::copy(positions, data_->qpos);
    mj_kinematics(model_.get(), data_.get());
    return true;
  }

  std::shared_ptr<const mjModel> model_;
  MujocoData data_;
  Scene scene_;
};

}  // namespace

Scene SceneOf(const mjModel& model) {
  Scene scene;
  for (int body = 0; body < model.nbody; ++body) {
    scene.bodies.push_back(
        {.name = MujocoName(model, mjOBJ_BODY, body, "body"), .moves = Moves(model, body)});
  }
  AddGeoms(model, scene);
  AddSites(model, scene);
  SetView(model, scene);
  AddTraced(model, scene);
  return scene;
}

std::unique_ptr<Picture> MakeMujocoPicture(std::shared_ptr<const mjModel> model,
                                           const mjData& data) {
  return std::make_unique<MujocoPicture>(std::move(model), data);
}

}  // namespace foreplan
