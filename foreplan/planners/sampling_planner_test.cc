// What a planner of one's own may answer.
#include "foreplan/planners/sampling_planner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

constexpr int kHorizon = 6;

/// Plans what it was told.
class Told final : public SamplingPlanner {
 public:
  explicit Told(std::vector<double> answer)
      : SamplingPlanner({std::make_shared<DoubleIntegrator>(), std::make_shared<QuadraticReward>(),
                         DoubleIntegratorSpec(8.0), std::make_shared<SerialExecutor>()},
                        {.horizon = kHorizon, .particles = 1}, 4),
        answer_(std::move(answer)) {}

 private:
  std::span<const double> Search(SamplingDecision& /*decision*/, Key /*key*/) override {
    return answer_;
  }
  std::vector<double> answer_;
};

std::string MessageOfPlan(const std::vector<double>& answer) {
  Told planner(answer);
  const std::vector<double> start = {1, 0};
  return MessageOf<RunError>([&] {
    (void)planner.MakePlan({.state = start, .step = 0, .key = Key{1, 1}, .budget = {}});
  });
}

TEST(SamplingPlanner, RefusesWhatIsNoPlan) {
  EXPECT_EQ(MessageOfPlan(std::vector<double>(kHorizon, 0.5)), "");
  EXPECT_EQ(MessageOfPlan({0.1, 0.2, 0.3}),
            "planner: Search: found a plan of 3 numbers, expected 6");
  std::vector<double> undefined(kHorizon, 0.5);
  undefined[4] = std::nan("");
  EXPECT_EQ(MessageOfPlan(undefined),
            "planner: Search: step 4 of the plan: found nan, expected a number");
}

}  // namespace
}  // namespace foreplan
