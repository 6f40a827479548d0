#include "foreplan/systems/mujoco/mujoco_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"
#include "foreplan/systems/mujoco/testing/shipped_tasks.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

const SceneShape& ShapeNamed(const Scene& scene, const std::string& name) {
  const auto found = std::ranges::find(scene.shapes, name, &SceneShape::name);
  EXPECT_NE(found, scene.shapes.end()) << name;
  return *found;
}

/// R of a unit quaternion, row by row.
std::array<double, 9> MatrixOf(const std::array<double, 4>& q) {
  std::array<double, 9> matrix;
  mju_quat2Mat(matrix.data(), q.data());
  return matrix;
}

/// Largest difference between places and axes of the shapes, as bodies and shapes give them, and
/// MuJoCo's own of the same geoms and sites.
double LargestDifference(const mjModel& model, const std::vector<double>& state, Picture& picture) {
  const MujocoData data = MakeMujocoData(model);
  std::copy_n(state.begin(), model.nq, data->qpos);
  mj_forward(&model, data.get());
  std::vector<ScenePose> bodies(picture.scene().bodies.size());
  picture.Place(state, bodies);
  double largest = 0;
  for (const SceneShape& shape : picture.scene().shapes) {
    const int id = mj_name2id(&model, shape.is_site ? mjOBJ_SITE : mjOBJ_GEOM, shape.name.c_str());
    if (id < 0) continue;  // without a name
    const mjtNum* position = (shape.is_site ? data->site_xpos : data->geom_xpos) + 3 * id;
    const mjtNum* matrix = (shape.is_site ? data->site_xmat : data->geom_xmat) + 9 * id;
    const ScenePose& body = bodies[static_cast<size_t>(shape.body)];
    const ScenePoint place = Moved(body, shape.pose.position);
    std::array<double, 4> rotation;
    mju_mulQuat(rotation.data(), body.rotation.data(), shape.pose.rotation.data());
    const std::array<double, 9> axes = MatrixOf(rotation);
    for (size_t i = 0; i < 3; ++i) largest = std::max(largest, std::abs(place[i] - position[i]));
    for (size_t i = 0; i < 9; ++i) largest = std::max(largest, std::abs(axes[i] - matrix[i]));
  }
  return largest;
}

/// How far the next geom is.
mjtNum CastRay(const mjModel& model, const mjData& data, const mjtNum* from,
               const mjtNum* direction, int& geom) {
#if mjVERSION_HEADER >= 4000000
  return mj_ray(&model, &data, from, direction, nullptr, 1, -1, &geom, nullptr);
#else
  return mj_ray(&model, &data, from, direction, nullptr, 1, -1, &geom);
#endif
}

// Double's rounding through a chain of some ten frames, of lengths around 1.
constexpr double kRounding = 1e-12;

TEST(MujocoPicture, ShapesStandWhereMujocoHasThem) {
  for (const char* task : {"pets_half_cheetah", "gymnasium_humanoid", "gymnasium_ant",
                           "pets_pusher", "dm_control_reacher_easy"}) {
    const auto system = MakeShipped(task);
    for (uint64_t start = 0; start < 3; ++start) {
      system->Reset(Key{start, 1});
      const auto picture = system->MakePicture();  // the reacher's target is drawn with its size
      std::vector<double> action(system->spec().action.size(), start % 2 == 0 ? 1.0 : -1.0);
      for (int step = 0; step < 5; ++step) static_cast<void>(system->Step(action));
      EXPECT_LT(LargestDifference(ModelOf(*system), StateOf(*system), *picture), kRounding) << task;
    }
  }
}

/// MuJoCo's own format: sizes, then heights row by row from -y on.
void WriteHeights(const std::string& file, int32_t rows, int32_t columns,
                  const std::vector<float>& heights) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&rows), sizeof(rows));
  out.write(reinterpret_cast<const char*>(&columns), sizeof(columns));
  out.write(reinterpret_cast<const char*>(heights.data()),
            static_cast<std::streamsize>(heights.size() * sizeof(float)));
}

/// A box that lies on the floor beside a mesh and on a height field, textured and plain.
MujocoOptions Shapes() {
  WriteHeights(testing::TempDir() + "/hills.bin", 2, 3, {0, 1, 0.5F, 0, 0, 0});
  std::ofstream(testing::TempDir() + "/wedge.obj")
      << "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n";
  MujocoOptions options = TemporaryModel("shapes.xml", R"(
    <mujoco>
      <option timestep="0.01"/>
      <asset>
        <texture name="two" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 0 1" width="64" height="64"/>
        <material name="half" texture="two" rgba="1 1 0.5 0.8"/>
        <material name="plain" rgba="0.1 0.2 0.3 1"/>
        <mesh name="wedge" file="wedge.obj"/>
        <hfield name="hills" file="hills.bin" size="2 1 0.5 0.1"/>
      </asset>
      <worldbody>
        <geom name="floor" type="plane" size="0 0 1" material="plain"/>
        <geom name="ground" type="hfield" hfield="hills" pos="9 0 0"/>
        <geom name="hidden" type="sphere" size="0.1" group="3" contype="0" conaffinity="0"/>
        <geom name="clear" type="sphere" size="0.1" rgba="1 0 0 0" contype="0" conaffinity="0"/>
        <body name="box" pos="0 0 0.1"><freejoint name="box"/>
          <geom name="cube" type="box" size="0.1 0.2 0.1" material="half"/>
          <site name="mark" size="0.02" pos="0.1 0 0"/></body>
        <body name="arm" pos="3 0 1"><joint name="shoulder" type="hinge" axis="0 1 0"/>
          <geom name="upper" type="capsule" fromto="0 0 0 0.5 0 0" size="0.04" material="plain" rgba="1 0 0 1"/>
          <body name="hand" pos="0.5 0 0"><joint name="wrist" type="slide" axis="1 0 0"/>
            <geom name="tip" type="capsule" fromto="0 0 0 0.2 0 0" size="0.03"/></body></body>
        <body name="stone" pos="5 0 1"><joint name="drop" type="slide" axis="0 0 1"/>
          <geom name="wedge" type="mesh" mesh="wedge"/></body>
      </worldbody>
      <actuator><motor name="turn" joint="shoulder" ctrllimited="true" ctrlrange="-1 1"/></actuator>
    </mujoco>)");
  options.reset.position = 0;
  options.reset.velocity = 0;
  return options;
}

TEST(MujocoPicture, ShowsWhatMujocosViewersShow) {
  MujocoSystem system(Shapes());
  const Scene scene = SceneOf(system.model());
  std::vector<std::string> names;
  for (const SceneShape& shape : scene.shapes) names.push_back(shape.name);
  EXPECT_THAT(names, ElementsAre("floor", "ground", "cube", "upper", "tip", "wedge", "mark"));
  EXPECT_EQ(ShapeNamed(scene, "floor").type, ShapeType::kPlane);
  EXPECT_EQ(ShapeNamed(scene, "cube").size, (ScenePoint{0.1, 0.2, 0.1}));
  EXPECT_TRUE(ShapeNamed(scene, "mark").is_site);
  EXPECT_FALSE(scene.bodies[0].moves);
  EXPECT_TRUE(scene.bodies[1].moves);
}

// A material's colour times the mean of its texture; a colour of its own goes first.
TEST(MujocoPicture, ColoursAreThoseOfMaterialsAndTextures) {
  MujocoSystem system(Shapes());
  const Scene scene = SceneOf(system.model());
  constexpr float kPixel = 0.01F;  // borders of the fields
  EXPECT_THAT(ShapeNamed(scene, "cube").color,
              ElementsAre(FloatNear(0.5F, kPixel), FloatNear(0, kPixel), FloatNear(0.25F, kPixel),
                          FloatNear(0.8F, kPixel)));
  EXPECT_THAT(ShapeNamed(scene, "floor").color, ElementsAre(0.1F, 0.2F, 0.3F, 1));
  EXPECT_THAT(ShapeNamed(scene, "upper").color, ElementsAre(1, 0, 0, 1));
}

TEST(MujocoPicture, MeshesAndHeightFieldsStandWhereTheirPointsAre) {
  MujocoSystem system(Shapes());
  system.Reset(Key{0, 0});
  const auto picture = system.MakePicture();
  const Scene& scene = picture->scene();
  ASSERT_EQ(scene.meshes.size(), 2U);
  EXPECT_LT(LargestDifference(system.model(), StateOf(system), *picture), kRounding);

  const SceneMesh& hills = scene.meshes[static_cast<size_t>(ShapeNamed(scene, "ground").mesh)];
  // Rows along y, columns along x, heights times 0.5.
  EXPECT_EQ(hills.vertices, (std::vector<float>{-2, -1, 0, 0, -1, 0.5F, 2, -1, 0.25F,  //
                                                -2, 1, 0, 0, 1, 0, 2, 1, 0}));
  EXPECT_EQ(hills.faces, (std::vector<int32_t>{0, 1, 4, 0, 4, 3, 1, 2, 5, 1, 5, 4}));

  // A ray from above meets the highest point where the mesh has it.
  const MujocoData data = MakeMujocoData(system.model());
  mj_forward(&system.model(), data.get());
  const std::array<mjtNum, 3> from = {9, -0.999, 5};
  const std::array<mjtNum, 3> down = {0, 0, -1};
  int hit = -1;
  const mjtNum distance = CastRay(system.model(), *data, from.data(), down.data(), hit);
  EXPECT_NEAR(5 - distance, 0.5, 1e-3);

  // MuJoCo moves a mesh to its centre of mass and axes; its corners stand where the file has them.
  std::vector<ScenePose> bodies(scene.bodies.size());
  picture->Place(StateOf(system), bodies);
  const SceneShape& wedge = ShapeNamed(scene, "wedge");
  const SceneMesh& mesh = scene.meshes[static_cast<size_t>(wedge.mesh)];
  double nearest_to_top = 1;
  for (size_t i = 0; i < mesh.vertices.size(); i += 3) {
    const ScenePoint corner = {mesh.vertices[i], mesh.vertices[i + 1], mesh.vertices[i + 2]};
    const ScenePoint place =
        Moved(bodies[static_cast<size_t>(wedge.body)], Moved(wedge.pose, corner));
    nearest_to_top = std::min(nearest_to_top, std::hypot(place[0] - 5, place[1], place[2] - 2));
  }
  EXPECT_LT(nearest_to_top, 1e-6) << "corners are floats";
}

TEST(MujocoPicture, FollowsWhatTravelsAndTracesTheEndsOfWhatDoesNot) {
  MujocoSystem system(Shapes());
  const Scene scene = SceneOf(system.model());
  EXPECT_EQ(scene.bodies[static_cast<size_t>(scene.follow)].name, "box");
  ASSERT_EQ(scene.traced.size(), 3U);
  EXPECT_EQ(scene.traced[0].name, "box");
  EXPECT_EQ(scene.traced[0].place, (ScenePoint{0, 0, 0}));
  EXPECT_EQ(scene.traced[1].name, "hand");
  EXPECT_NEAR(scene.traced[1].place[0], 0.2, kRounding);
  EXPECT_EQ(scene.traced[2].name, "stone");
  EXPECT_EQ(SceneOf(ModelOf(*MakeShipped("pets_cartpole"))).follow, -1);
  const Scene cheetah = SceneOf(ModelOf(*MakeShipped("pets_half_cheetah")));
  EXPECT_EQ(cheetah.bodies[static_cast<size_t>(cheetah.follow)].name, "torso");
}

TEST(MujocoPicture, ContactsAreWhereABoxTouchesTheFloor) {
  MujocoSystem system(Shapes());
  system.Reset(Key{0, 0});
  const auto picture = system.MakePicture();
  std::vector<double> state = StateOf(system);
  state[2] = 0.0999;
  const std::vector<ScenePoint> touching = picture->Contacts(state);
  ASSERT_EQ(touching.size(), 4U);
  for (const ScenePoint& point : touching) {
    EXPECT_NEAR(std::abs(point[0]), 0.1, 1e-3);
    EXPECT_NEAR(std::abs(point[1]), 0.2, 1e-3);
    EXPECT_NEAR(point[2], 0, 1e-3) << "in the middle of what overlaps";
  }
  state[2] = 0.5;
  EXPECT_TRUE(picture->Contacts(state).empty());
}

TEST(MujocoPicture, APlaceThatIsNoNumberIsNowhereAndHarmsNobody) {
  MujocoSystem system(Shapes());
  system.Reset(Key{0, 0});
  const auto picture = system.MakePicture();
  std::vector<double> state = StateOf(system);
  const double x = state[0];
  std::vector<ScenePose> bodies(picture->scene().bodies.size());
  state[0] = std::nan("");
  picture->Place(state, bodies);
  EXPECT_TRUE(std::isnan(bodies[1].position[0]));
  EXPECT_TRUE(picture->Contacts(state).empty());
  state[0] = x;
  picture->Place(state, bodies);
  EXPECT_LT(LargestDifference(system.model(), state, *picture), kRounding);
}

}  // namespace
}  // namespace foreplan
