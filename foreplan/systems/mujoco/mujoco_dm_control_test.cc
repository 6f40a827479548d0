// The tasks dm_control_* are those of the DeepMind Control Suite: the same starts, motion,
// observations and rewards as recorded from it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/shipped_tasks.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

class DmControl : public testing::TestWithParam<std::string> {
 protected:
  /// The task, whose resets draw what the recording's did; it settles itself.
  [[nodiscard]] static Task TaskFrom(const GoldenTrajectory& golden, bool reacher) {
    std::string draws;
    const bool settles = golden.HasInitial("drawn_qpos");
    const auto draw = [&draws](const std::string& field, const Numbers& values) {
      for (size_t i = 0; i < values.size(); ++i) {
        draws += fmt::format("'{}[{}] = {:.17g}',", field, i, values[i]);
      }
    };
    draw("qpos", golden.Initial(settles ? "drawn_qpos" : "qpos"));
    draw("qvel", golden.Initial(settles ? "drawn_qvel" : "qvel"));
    if (reacher) draw("geom_pos(target)", golden.Initial("target"));
    return Task::Load(GetParam(), {"system.reset.draw=[" + draws + "]"}).first;
  }
};

TEST_P(DmControl, FollowsTheRecordingFromItsStart) {
  if (IsOldMujoco()) GTEST_SKIP() << "recorded with MuJoCo 4.0: Runge-Kutta and contacts differ";
  const GoldenTrajectory golden(GetParam());
  const Task task = TaskFrom(golden, GetParam().find("reacher") != std::string::npos);
  const auto system = task.MakeSystem();
  // The recording's MuJoCo is 4.0.0; rounding remains.
  const double tolerance = 1e-9;
  system->Reset(Key{0, 0});
  Numbers observation(task.spec().observation.size());
  system->Observe(observation);
  const auto front = [](Numbers values, size_t count) {
    values.resize(count);
    return values;
  };
  const auto expect = [&](const Numbers& found, const Numbers& expected, const char* what,
                          int step) {
    ASSERT_GE(found.size(), expected.size());
    ASSERT_LT(RelativeError(front(found, expected.size()), expected), tolerance)
        << what << ", step " << step;
  };
  expect(observation, golden.Initial("obs"), "observation", -1);
  Numbers next = observation;
  Numbers state(system->spec().state.size());
  double largest = 0;
  for (int step = 0; step < golden.steps(); ++step) {
    const Numbers action = golden.Row("action", step);
    ASSERT_EQ(system->Step(action), StepStatus::kOk);
    system->GetState(state);
    expect(state, Join(golden.Row("qpos", step), golden.Row("qvel", step)), "state", step);
    system->Observe(next);
    expect(next, golden.Row("obs", step), "observation", step);
    double reward = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward,
                           &terminated);
    expect({reward}, golden.Row("reward", step), "reward", step);
    EXPECT_EQ(terminated, 0);
    largest = std::max(largest, reward);
    observation = next;
  }
  EXPECT_GT(largest, 0);  // it was paid for something
}

INSTANTIATE_TEST_SUITE_P(Tasks, DmControl,
                         testing::Values("dm_control_cartpole_swingup",
                                         "dm_control_acrobot_swingup", "dm_control_reacher_easy",
                                         "dm_control_cheetah_run"),
                         [](const auto& info) { return info.param; });

TEST(DmControlStarts, AreDrawnAsPublished) {
  const auto mean_and_range = [](const std::string& name, size_t component) {
    const auto system = MakeShipped(name);
    Numbers observation(system->spec().observation.size());
    double mean = 0;
    double low = 1e9;
    double high = -1e9;
    constexpr int kStarts = 400;
    for (uint64_t seed = 0; seed < kStarts; ++seed) {
      system->Reset(Key{seed, 0});
      system->Observe(observation);
      mean += observation[component] / kStarts;
      low = std::min(low, observation[component]);
      high = std::max(high, observation[component]);
    }
    return std::array{mean, low, high};
  };
  // The pole hangs: its cosine is -1 within (5 * 0.01)^2 / 2.
  const auto cosine = mean_and_range("dm_control_cartpole_swingup", 1);
  EXPECT_GE(cosine[1], -1);
  EXPECT_LT(cosine[2], -1 + 0.00125);
  // A uniform angle: five standard errors of 3.14 / sqrt(3) / sqrt(400); both ends are reached.
  const auto shoulder = mean_and_range("dm_control_reacher_easy", 0);
  EXPECT_NEAR(shoulder[0], 0, 0.46);
  EXPECT_LT(shoulder[1], -3);
  EXPECT_GT(shoulder[2], 3);
  const auto sine = mean_and_range("dm_control_acrobot_swingup", 0);
  EXPECT_NEAR(sine[0], 0, 5 * std::sqrt(0.5 / 400));
  EXPECT_LT(sine[1], -0.99);
  EXPECT_GT(sine[2], 0.99);
}

TEST(DmControlStarts, OfTheCheetahHaveSettledOnTheGround) {
  const auto system = MakeShipped("dm_control_cheetah_run");
  Numbers observation(system->spec().observation.size());
  for (uint64_t seed = 0; seed < 5; ++seed) {
    system->Reset(Key{seed, 0});
    system->Observe(observation);
    // After 2 s it lies there: its speed is small, and the next step hardly changes it.
    EXPECT_LT(std::abs(observation.back()), 0.1) << seed;
    EXPECT_LT(observation[0], 0) << seed;  // below the pose of the model, 0.7 m high
  }
}

}  // namespace
}  // namespace foreplan
