#include "foreplan/systems/mujoco/mujoco_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

/// Where ten steps of a constant push lead.
std::vector<double> AfterAPush(System& system) {
  system.Reset(Key{1, 1});
  const std::vector<double> action = {1.0};
  for (int t = 0; t < 10; ++t) EXPECT_EQ(system.Step(action), StepStatus::kOk);
  std::vector<double> observation(system.spec().observation.size());
  system.Observe(observation);
  return observation;
}

TEST(MujocoParameters, EveryFieldTakesItsValueAndMovesTheSystem) {
  const Task task = Task::Load("pets_cartpole").first;
  const auto original = task.MakeSystem();
  const mjModel& model = dynamic_cast<const MujocoSystem&>(*original).model();
  for (const char* name : {"body_mass(cart)", "mass_and_inertia(pole)", "body_inertia(pole)[1]",
                           "dof_damping(hinge)", "dof_frictionloss(slider)", "dof_armature(hinge)",
                           "jnt_stiffness(hinge)", "actuator_gear(slide)"}) {
    SCOPED_TRACE(name);
    const MujocoParameter parameter("test", name, model);
    const double value = 0.5 + 1.5 * parameter.Get(model);
    const auto changed = task.MakeFamily("test", {name})(std::vector<double>{value});
    EXPECT_EQ(parameter.Get(dynamic_cast<const MujocoSystem&>(*changed).model()), value);
    EXPECT_NE(AfterAPush(*changed), AfterAPush(*original));
    // Its own value gives the system itself, to the bit.
    const auto same = task.MakeFamily("test", {name})(std::vector<double>{parameter.Get(model)});
    EXPECT_EQ(AfterAPush(*same), AfterAPush(*original));
  }
  const MujocoParameter friction("test", "geom_friction(rail)[2]", model);
  EXPECT_EQ(friction.Get(model), 0.1);
}

TEST(MujocoParameters, MassAndInertiaGrowTogether) {
  const Task task = Task::Load("pets_cartpole").first;
  const auto heavy = task.MakeFamily("test", {"mass_and_inertia(pole)"})(std::vector<double>{10});
  const auto original = task.MakeSystem();
  const mjModel& a = dynamic_cast<const MujocoSystem&>(*heavy).model();
  const mjModel& b = dynamic_cast<const MujocoSystem&>(*original).model();
  const int pole = mj_name2id(&a, mjOBJ_BODY, "pole");
  EXPECT_NEAR(a.body_inertia[3 * pole] / b.body_inertia[3 * pole], 10 / b.body_mass[pole], 1e-12);
  EXPECT_EQ(a.body_subtreemass[pole], 10);  // what the compiler derives has been derived anew
}

TEST(MujocoParameters, RefusesWrongNames) {
  const Task task = Task::Load("pets_cartpole").first;
  for (const auto& [name, fragment] : std::vector<std::pair<std::string, std::string>>{
           {"body_mas(pole)", "did you mean 'body_mass'"},
           {"body_mass", "'('"},
           {"body_mass(pol)", "did you mean 'pole'"},
           {"body_mass(pole)[1]", "an index from 0 to 0"},
           {"body_inertia(pole)", "'[' and an index"},
           {"body_inertia(pole)[3]", "an index from 0 to 2"},
           {"actuator_gear(slider)", "did you mean 'slide'"},
           {"mass_and_inertia(world)", "without mass"},
           {"dof_damping(hinge) x", "its end"}}) {
    SCOPED_TRACE(name);
    try {
      static_cast<void>(task.MakeFamily("where", {name}));
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("where"));
      EXPECT_THAT(error.what(), HasSubstr(fragment));
    }
  }
}

}  // namespace
}  // namespace foreplan
