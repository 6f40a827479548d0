// What single shipped MuJoCo tasks promise.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/mujoco/testing/shipped_tasks.h"
#include "foreplan/systems/rewards/reward_functions.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/task_files.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

/// A shipped model, observed and started as a test likes.
MujocoOptions ShippedModel(const std::string& task) {
  MujocoOptions options;
  options.model = (TasksDirectory() / (task + ".xml")).string();
  options.reset.position = 0;
  options.reset.velocity = 0;
  return options;
}

TEST(PetsReacher3d, TheRewardsArmIsTheSimulatedOneWhileBentInward) {
  MujocoOptions options = ShippedModel("pets_reacher3d");
  options.observation = {"qpos[0:7]", "xpos(left_fingertip)", "xpos(right_fingertip)"};
  options.reset.draw = {"qpos[0:2] = uniform(-0.5, 1.3)", "qpos[2] = uniform(-3.9, 0.8)",
                        "elbow = uniform(-2.3, -0.001)",  "forearm_roll = uniform(-3, 3)",
                        "wrist = uniform(-2, -0.001)",    "wrist_roll = uniform(-3, 3)"};
  MujocoSystem system(options);
  Numbers observed(13);
  for (uint64_t seed = 0; seed < 100; ++seed) {
    system.Reset(Key{seed, 0});
    system.Observe(observed);
    const std::array<double, 3> end = PetsReacher3dReward::EndOfArm(observed.data());
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(end[i], 0.5 * (observed[7 + i] + observed[10 + i]), 1e-14);
    }
  }
}

TEST(PetsReacher3d, EveryResetDrawsAGoalThatStays) {
  const auto system = MakeShipped("pets_reacher3d");
  Numbers first(17);
  Numbers observed(17);
  Numbers mean(3);
  constexpr int kResets = 2000;
  for (uint64_t seed = 0; seed < kResets; ++seed) {
    system->Reset(Key{seed, 0});
    system->Observe(first);
    for (size_t i = 0; i < 3; ++i) mean[i] += first[7 + i] / kResets;
    for (size_t i = 0; i < 17; ++i) {
      if (i < 7 || i >= 10) {
        EXPECT_EQ(first[i], 0);
      }
    }
  }
  // Five standard errors of 0.1 / sqrt(2000).
  EXPECT_NEAR(mean[0], 0, 0.012);
  EXPECT_NEAR(mean[1], 0.25, 0.012);
  EXPECT_NEAR(mean[2], 0, 0.012);
  for (int step = 0; step < 10; ++step) {
    ASSERT_EQ(system->Step(system->spec().action_high), StepStatus::kOk);
  }
  system->Observe(observed);
  EXPECT_EQ(Numbers(observed.begin() + 7, observed.begin() + 10),
            Numbers(first.begin() + 7, first.begin() + 10));
}

TEST(GymnasiumPusher, TheObjectStartsAwayFromTheGoal) {
  const auto system = MakeShipped("gymnasium_pusher");
  Numbers observed(23);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    system->Reset(Key{seed, 0});
    system->Observe(observed);
    const double x = observed[17] - observed[20];
    const double y = observed[18] - observed[21];
    EXPECT_GT(std::hypot(x, y), 0.17);
    EXPECT_LE(std::abs(x), 0.2);
    EXPECT_LE(y, 0);
    EXPECT_GE(y, -0.3);
  }
}

TEST(GymnasiumReacher, TheGoalIsDrawnFromTheDiskAndStartsAtRest) {
  const auto system = MakeShipped("gymnasium_reacher");
  Numbers state(system->spec().state.size());
  int in_half = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    system->Reset(Key{seed, 0});
    system->GetState(state);
    const double r = std::hypot(state[2], state[3]);
    EXPECT_LT(r, 0.2);
    in_half += r < 0.2 * std::sqrt(0.5) ? 1 : 0;
    EXPECT_LE(std::abs(state[0]), 0.1);
    EXPECT_LE(std::abs(state[5]), 0.005);
    EXPECT_EQ(state[6], 0);
    EXPECT_EQ(state[7], 0);
  }
  EXPECT_NEAR(in_half, 250, 56);  // uniform in area; five deviations of 11.2
}

TEST(PetsPusher, TheObjectIsPushedAsTheOldSimulatorDid) {
  const GoldenTrajectory golden("pets_pusher_push_mujoco222");
  MujocoOptions options = ShippedModel("pets_pusher");
  options.observation = {"qpos[7:9]", "qfrc_constraint[7:9]"};
  const Numbers start = golden.Initial("qpos");
  for (size_t i = 0; i < start.size(); ++i) {
    options.reset.draw.push_back(fmt::format("qpos[{}] = {:.17g}", i, start[i]));
  }
  const std::shared_ptr<mjModel> model = CopyMujocoModel(*LoadMujocoModel(options.model));
  if (IsOldMujoco()) {
    // Margins did not add yet: twice ours are the published ones, and the push is the same.
    for (int geom = 0; geom < model->ngeom; ++geom) model->geom_margin[geom] *= 2;
  }
  MujocoSystem system(options, model);
  system.Reset(Key{0, 0});
  Numbers observed(4);
  Numbers impulse(2);
  Numbers golden_impulse(2);
  for (int step = 0; step < golden.steps(); ++step) {
    ASSERT_EQ(system.Step(golden.Row("action", step)), StepStatus::kOk);
    system.Observe(observed);
    const Numbers object = golden.Row("object", step);
    EXPECT_LT(std::hypot(observed[0] - object[0], observed[1] - object[1]),
              IsOldMujoco() ? 1e-12 : 1e-3);  // [m]
    for (size_t i = 0; i < 2; ++i) {
      impulse[i] += observed[2 + i];
      golden_impulse[i] += golden.Row("object_force", step)[i];
    }
  }
  EXPECT_GT(std::hypot(observed[0] - start[7], observed[1] - start[8]), 0.15);  // [m]
  EXPECT_NEAR(std::hypot(impulse[0], impulse[1]) / std::hypot(golden_impulse[0], golden_impulse[1]),
              1, 0.01);
}

TEST(PetsPusher, TheTipMayBeReadAsACentreOfMass) {
  const GoldenTrajectory golden(IsOldMujoco() ? "pets_pusher_mujoco222" : "pets_pusher");
  const std::vector<std::string> overrides{
      "system.observation=['qpos[0:7]', 'qvel[0:7]', 'subtree_com(tips_arm)', 'xpos(object)']",
      StartOf(golden)};
  const Task task = Task::Load("pets_pusher", overrides).first;
  const auto system = task.MakeSystem();
  system->Reset(Key{0, 0});
  Numbers observation(20);
  Numbers next(20);
  system->Observe(observation);
  for (int step = 0; step < golden.steps(); ++step) {
    const Numbers action = golden.Row("action", step);
    ASSERT_EQ(system->Step(action), StepStatus::kOk);
    system->Observe(next);
    double reward = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward,
                           &terminated);
    ASSERT_NEAR(reward, golden.Row("reward_subtree_com", step)[0], 1e-12) << "step " << step;
    observation = next;
  }
}

TEST(PetsPusher, TheGreyOnePaysTheSameAndForeseesItsContacts) {
  const GoldenTrajectory golden("pets_pusher_push_mujoco222");
  const Task plain = Task::Load("pets_pusher").first;
  const Task task = Task::Load("pets_pusher_grey", std::vector<std::string>{StartOf(golden)}).first;
  const InputExpressions& inputs = *task.encoding().inputs;
  const size_t object_rate = 20;  // in the observation: x, y
  const size_t pushes = 14;       // in the inputs, behind the joints: x, y of three rods
  const auto system = task.MakeSystem();
  system->Reset(Key{0, 0});
  Numbers observation(task.spec().observation.size());
  Numbers next(observation.size());
  Numbers values(static_cast<size_t>(inputs.count()));
  system->Observe(observation);
  int kicks = 0;
  for (int step = 0; step < golden.steps(); ++step) {
    const Numbers action = golden.Row("action", step);
    ASSERT_EQ(system->Step(action), StepStatus::kOk);
    system->Observe(next);
    double reward = 0;
    double expected = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward,
                           &terminated);
    plain.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &expected,
                            &terminated);
    ASSERT_NEAR(reward, expected, 1e-12) << "step " << step;
    // The object only slows down by itself: what speeds it up is a rod that was about to enter it.
    inputs.Evaluate(1, observation.data(), action.data(), values.data());
    const double* rate = &next[object_rate];
    const double* before = &observation[object_rate];
    const bool kicked = std::hypot(rate[0], rate[1]) > std::hypot(before[0], before[1]) + 0.02;
    const bool foreseen = std::any_of(values.begin() + pushes, values.begin() + pushes + 6,
                                      [](double push) { return push != 0; });
    EXPECT_TRUE(foreseen || !kicked) << "step " << step;
    kicks += kicked ? 1 : 0;
    observation = next;
  }
  EXPECT_GT(kicks, 0);
}

TEST(PetsPusher, TheGreyOneKnowsWhereTheJointsStop) {
  const Task task = Task::Load("pets_pusher_grey").first;
  const auto system = task.MakeSystem();
  const mjModel& model = ModelOf(*system);
  const InputExpressions& inputs = *task.encoding().inputs;
  Numbers values(static_cast<size_t>(inputs.count()));
  for (const size_t end : {0, 1}) {
    // At rest, 0.1 beyond every stop: so much too far, within half a step and one and a half.
    const double beyond = end == 0 ? -0.1 : 0.1;
    Numbers observation(task.spec().observation.size());
    for (size_t joint = 0; joint < 7; ++joint) {
      observation[joint] = model.jnt_range[2 * joint + end] + beyond;
    }
    inputs.Evaluate(1, observation.data(), Numbers(7).data(), values.data());
    for (size_t i = 0; i < 14; ++i) EXPECT_NEAR(values[i], beyond, 1e-14) << i;
  }
}

}  // namespace
}  // namespace foreplan
