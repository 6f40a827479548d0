// The expression of every shipped task that has a built-in reward (testdata/expressions) is that
// reward.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/testing/expression_test_data.h"

namespace foreplan {
namespace {

class ExpressionOfTask : public testing::TestWithParam<std::string> {
 protected:
  static constexpr int kRows = 96;

  ExpressionOfTask() {
    start_.resize(no_);
    const auto system = task_.MakeSystem();
    system->Reset(Key{1, 0});
    system->Observe(start_);
  }

  // Around the start, where episodes go on, and far from it.
  void Draw(Random& random, double scale) {
    for (auto* values : {&observation_, &next_}) {
      values->resize(kRows * no_);
      for (size_t i = 0; i < values->size(); ++i) {
        (*values)[i] = start_[i % no_] + scale * random.Uniform(-1.0, 1.0);
      }
    }
    action_.resize(kRows * nu_);
    for (double& value : action_) value = random.Uniform(-2.0, 2.0);
  }

  struct Outcome {
    std::vector<double> reward = std::vector<double>(kRows);
    std::vector<uint8_t> terminated = std::vector<uint8_t>(kRows);
  };
  [[nodiscard]] Outcome Evaluate(const Reward& reward) const {
    Outcome outcome;
    reward.Evaluate({kRows, observation_.data(), action_.data(), next_.data()},
                    outcome.reward.data(), outcome.terminated.data());
    return outcome;
  }

  // Rewards below 1e3 of up to 100 terms.
  void ExpectEqual(const Reward& found, const Reward& expected) {
    Random random(Key{2, 0});
    for (const double scale : {0.0, 0.02, 0.2, 1.0, 3.0}) {
      Draw(random, scale);
      const Outcome a = Evaluate(found);
      const Outcome b = Evaluate(expected);
      for (size_t row = 0; row < kRows; ++row) {
        ASSERT_NEAR(a.reward[row], b.reward[row], 1e-12) << "scale " << scale;
        ASSERT_EQ(a.terminated[row], b.terminated[row]) << "scale " << scale;
      }
    }
  }

  const Task task_ = Task::Load(GetParam()).first;
  const size_t no_ = task_.spec().observation.size();
  const size_t nu_ = task_.spec().action.size();
  const ShippedExpression texts_ = ShippedExpression::Load(GetParam());
  std::vector<double> start_, observation_, next_, action_;
};

TEST_P(ExpressionOfTask, IsTheBuiltInRewardAndTermination) {
  ExpectEqual(*texts_.Compile(task_.spec(), texts_.reward), task_.reward());
}

TEST_P(ExpressionOfTask, IsTheBuiltInPlanningReward) {
  ExpectEqual(*texts_.Compile(task_.spec(), texts_.planning_reward), task_.planning_reward());
}

// Of few variables, as the built-in Hessians of many take minutes; and not of peg_insertion, whose
// built-in Hessian is made concave.
class DerivativesOfTask : public ExpressionOfTask {};

std::vector<std::string> TasksOfFewVariables() {
  std::vector<std::string> names = TasksWithBuiltInRewards();
  std::erase_if(names, [](const std::string& name) {
    return name == "peg_insertion" || Task::Load(name).first.spec().observation_dim() > 64;
  });
  return names;
}

TEST_P(DerivativesOfTask, AreTheBuiltInOnes) {
  const auto found = texts_.Compile(task_.spec(), texts_.reward);
  Random random(Key{3, 0});
  Draw(random, 0.1);
  const size_t nz = 2 * no_ + nu_;
  std::vector<double> gradient(nz), hessian(nz * nz), expected_gradient(nz),
      expected_hessian(nz * nz);
  const double a = found->Expand(observation_.data(), action_.data(), next_.data(), gradient.data(),
                                 hessian.data());
  const double b = task_.reward().Expand(observation_.data(), action_.data(), next_.data(),
                                         expected_gradient.data(), expected_hessian.data());
  EXPECT_NEAR(a, b, 1e-12);
  for (size_t i = 0; i < nz; ++i) EXPECT_NEAR(gradient[i], expected_gradient[i], 1e-11) << i;
  // Second derivatives of a norm near 0.1 are up to 1e2 times larger.
  for (size_t i = 0; i < nz * nz; ++i) {
    ASSERT_NEAR(hessian[i], expected_hessian[i], 1e-10 * (1 + std::abs(expected_hessian[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, ExpressionOfTask, testing::ValuesIn(TasksWithBuiltInRewards()),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(Tasks, DerivativesOfTask, testing::ValuesIn(TasksOfFewVariables()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace foreplan
