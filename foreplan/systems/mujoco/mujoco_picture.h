// A MuJoCo model to be looked at.
#pragma once

#include <memory>

#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/scene.h"

namespace foreplan {

/// What is seen of a model: geoms and sites of the groups 0 to 2, as MuJoCo's own viewers show them
/// at first, but for what is transparent; colours of materials with the mean of their texture;
/// height fields as meshes. Traced are, of every body that hangs from the world, this body where it
/// travels (free, or by several slides), else the far end of the last body of its chain.
[[nodiscard]] Scene SceneOf(const mjModel& model);

/// A state begins with qpos; bodies of mocap stand where `data` has them.
std::unique_ptr<Picture> MakeMujocoPicture(std::shared_ptr<const mjModel> model,
                                           const mjData& data);

}  // namespace foreplan
