// The peg insertion task against numbers of the published environment, and its derivatives.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

class PegInsertion : public testing::Test {
 protected:
  /// Cost of all T states under actions u(t): [7].
  template <typename Actions>
  double Cost(System& system, const Actions& actions,
              const std::function<void(int, const Numbers&)>& visit) {
    Numbers x(26);
    Numbers next(26);
    double cost = 0;
    for (int t = 0; t < 100; ++t) {
      const Numbers u = actions(t);
      system.Observe(x);
      visit(t, x);
      double reward = 0;
      uint8_t terminated = 0;
      task_.reward().Evaluate({1, x.data(), u.data(), next.data()}, &reward, &terminated);
      cost -= reward;
      if (t == 99) break;
      EXPECT_EQ(system.Step(u), StepStatus::kOk);
    }
    return cost;
  }

  Task task_ = Task::Load("peg_insertion").first;
  nlohmann::json golden_ = ReadTestData("gps/peg_insertion.json");
};

TEST_F(PegInsertion, StartsAsPublished) {
  ASSERT_EQ(task_.condition_count(), 4);
  for (int i = 0; i < 4; ++i) {
    const nlohmann::json& expected = golden_.at("conditions").at(static_cast<size_t>(i));
    const auto system = task_.MakeSystem(i);
    system->Reset(Key{0, 0});
    Numbers x(26);
    system->Observe(x);
    EXPECT_LT(RelativeError(x, expected.at("x0").get<Numbers>()), 1e-12) << i;
    const double distance = expected.at("initial_tip_distance").at(0);
    EXPECT_NEAR(task_.goal().Distance(x), distance, 1e-12);
    EXPECT_FALSE(task_.goal().Reached(x));

    const DependentComponents components = system->dependent_components();
    EXPECT_EQ(components.dependent, (std::vector<int>{14, 15, 16, 17, 18, 19}));
    EXPECT_EQ(components.on, (std::vector<int>{0, 1, 2, 3, 4, 5, 6}));
    Numbers jacobian(42);
    system->DependentJacobian(jacobian);
    EXPECT_LT(RelativeError(jacobian, expected.at("jacobian").get<Numbers>()), 1e-12) << i;
  }
}

TEST_F(PegInsertion, FollowsTheRecordingUnderTorques) {
  for (const nlohmann::json& recording : golden_.at("open_loop")) {
    const auto system = task_.MakeSystem(recording.at("condition").get<int>());
    system->Reset(Key{0, 0});
    const auto actions = [](int t) {
      Numbers u(7);
      for (int j = 0; j < 7; ++j) u[static_cast<size_t>(j)] = 0.5 * std::sin(0.1 * (j + 1) * t + j);
      return u;
    };
    const double cost = Cost(*system, actions, [&](int t, const Numbers& x) {
      const auto found = recording.at("states").find(std::to_string(t));
      if (found == recording.at("states").end()) return;
      const auto at = x.begin();
      // Rounding grows along the way, and the rates divide it by 0.05 s.
      EXPECT_LT(RelativeError({at, at + 7}, found->at("qpos").get<Numbers>()), 1e-10) << t;
      EXPECT_LT(RelativeError({at + 7, at + 14}, found->at("qvel").get<Numbers>()), 1e-9) << t;
      EXPECT_LT(RelativeError({at + 14, at + 20}, found->at("ee").get<Numbers>()), 1e-10) << t;
      if (t > 0) {
        EXPECT_LT(RelativeError({at + 20, x.end()}, found->at("eev").get<Numbers>()), 1e-8) << t;
      }
    });
    EXPECT_NEAR(cost, recording.at("cost").get<double>(), 1e-9 * cost);
  }
}

TEST_F(PegInsertion, CostsOfRestingAsRecorded) {
  for (int i = 0; i < 4; ++i) {
    const auto system = task_.MakeSystem(i);
    system->Reset(Key{0, 0});
    const double cost = Cost(
        *system, [](int) { return Numbers(7); }, [](int, const Numbers&) {});
    const double expected = golden_.at("zero_torque_cost").at(static_cast<size_t>(i));
    EXPECT_NEAR(cost, expected, 1e-10 * expected) << i;
  }
}

TEST_F(PegInsertion, DependentComponentsHaveTheDerivativesOfDifferences) {
  const auto system = task_.MakeSystem(1);
  system->Reset(Key{0, 0});
  for (int t = 0; t < 5; ++t) ASSERT_EQ(system->Step(Numbers(7, 0.3)), StepStatus::kOk);
  Numbers jacobian(42);
  system->DependentJacobian(jacobian);
  Numbers x(26);
  system->Observe(x);
  // Two states that one step apart: the sites move by J dq, up to the second order in dq.
  const Numbers before = x;
  ASSERT_EQ(system->Step(Numbers(7, 0.3)), StepStatus::kOk);
  system->Observe(x);
  double step = 0;
  for (size_t j = 0; j < 7; ++j) step = std::max(step, std::abs(x[j] - before[j]));
  for (size_t i = 0; i < 6; ++i) {
    double predicted = 0;
    for (size_t j = 0; j < 7; ++j) predicted += jacobian[i * 7 + j] * (x[j] - before[j]);
    EXPECT_NEAR(x[14 + i] - before[14 + i], predicted, 10 * step * step);
  }
}

TEST_F(PegInsertion, ConcaveExpansionIsGaussNewton) {
  Numbers x = golden_.at("conditions").at(0).at("x0").get<Numbers>();
  x[14] = 0.01, x[15] = 0.29, x[16] = -0.49, x[17] = 0.0, x[18] = 0.3, x[19] = -0.19;
  const Numbers u = {0.1, -0.2, 0.3, 0.1, -0.3, 0.2, 0.1};
  Numbers gradient(59), exact_gradient(59), hessian(59 * 59), exact(59 * 59);
  const Reward& reward = task_.reward();
  Numbers scratch(2 * 59 * 59);
  const double value = reward.ExpandConcave(x.data(), u.data(), x.data(), gradient.data(),
                                            hessian.data(), 59, scratch.data());
  EXPECT_EQ(value,
            reward.Expand(x.data(), u.data(), x.data(), exact_gradient.data(), exact.data()));
  EXPECT_LT(RelativeError(gradient, exact_gradient), 1e-13);
  // The published expansion leaves out half of what makes the exact Hessian indefinite:
  //   exact - concave = 0.1 d d' / s^2
  double s = 1e-5;
  Numbers d = {0.01, -0.01, 0.01, 0.0, 0.0, 0.01};
  for (const double value_of : d) s += value_of * value_of;
  for (size_t i = 0; i < 6; ++i) {
    for (size_t j = 0; j < 6; ++j) {
      const size_t at = (14 + i) * 59 + 14 + j;
      EXPECT_NEAR(exact[at] - hessian[at], 0.1 * d[i] * d[j] / (s * s), 1e-9);
    }
  }
}

TEST(BodyOffset, NamesWhatIsWrong) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      const std::vector<std::string> overrides = {"conditions.set=[]",
                                                  "system.body_offset=['" + text + "']"};
      (void)Task::Load("peg_insertion", overrides);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("sholder = (0, 1, 0)").find("did you mean 'shoulder'?"), std::string::npos);
  EXPECT_NE(message("shoulder = 1").find("expected '('"), std::string::npos);
}

}  // namespace
}  // namespace foreplan
