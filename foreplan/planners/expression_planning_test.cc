// Planning with rewards that are expressions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/planners/planner.h"
#include "foreplan/systems/testing/expression_test_data.h"

namespace foreplan {
namespace {

// The task's own planner on a model, with the built-in planning reward and with the expression.
class Planning {
 public:
  Planning(const std::string& name, bool on_networks) : loaded_(Task::Load(name)) {
    const Task& task = loaded_.first;
    Config& config = loaded_.second;
    const ShippedExpression texts = ShippedExpression::Load(name);
    expression_ = texts.Compile(task.spec(), texts.planning_reward);
    const auto system = task.MakeSystem();
    if (on_networks) {  // untrained: they cost as much
      EnsembleOptions options;
      config.Read("model", options);
      dynamics_ = std::make_unique<Ensemble>(task.spec(), task.encoding(), options, Key{1, 0});
    } else {
      dynamics_ = std::make_unique<TrueDynamics>(*system);
    }
    system->Reset(Key{1, 0});
    state_.resize(static_cast<size_t>(dynamics_->state_dim()));
    on_networks ? system->Observe(state_) : system->GetState(state_);
    built_in_ = MakePlanner("icem", config,
                            {testing::Borrowed(*dynamics_), task.shared_planning_reward(),
                             task.spec(), testing::Borrowed(executor_)});
    with_expression_ = MakePlanner("icem", config,
                                   {testing::Borrowed(*dynamics_), testing::Borrowed(*expression_),
                                    task.spec(), testing::Borrowed(executor_)});
  }

  const Plan& Decide(bool expression, uint64_t decision) {
    return (expression ? with_expression_ : built_in_)
        ->MakePlan({.state = state_,
                    .step = static_cast<int64_t>(decision),
                    .key = Key{2, decision},
                    .budget = {}});
  }

 private:
  std::pair<Task, Config> loaded_;
  ThreadPool executor_{1};
  std::unique_ptr<const Reward> expression_;
  std::unique_ptr<Dynamics> dynamics_;
  std::vector<double> state_;
  std::unique_ptr<Planner> built_in_;
  std::unique_ptr<Planner> with_expression_;
};

TEST(ExpressionPlanning, AllocatesNothingInSteadyState) {
  Planning planning("cartpole_closed_form", false);
  planning.Decide(true, 0);
  EXPECT_EQ(testing::CountAllocations([&] { planning.Decide(true, 1); }), 0);
}

TEST(ExpressionPlanning, ExpandingAllocatesNothing) {
  const Task task = Task::Load("pendulum").first;
  const ShippedExpression texts = ShippedExpression::Load("pendulum");
  const auto reward = texts.Compile(task.spec(), texts.reward);
  const std::vector<double> z(7, 0.5);
  std::vector<double> gradient(7), hessian(49);
  EXPECT_EQ(testing::CountAllocations([&] {
              reward->Expand(z.data(), z.data(), z.data(), gradient.data(), hessian.data());
            }),
            0);
}

TEST(ExpressionPlanning, PlansTheSameAsWithTheBuiltInReward) {
  Planning planning("cartpole_closed_form", false);
  for (uint64_t decision = 0; decision < 3; ++decision) {
    const Plan plan = planning.Decide(false, decision);
    // Rewards equal but for rounding; rounding could only exchange elites of equal returns.
    EXPECT_NEAR(planning.Decide(true, decision).expected_return, plan.expected_return, 1e-9);
  }
}

/// Median times of whole decisions, alternating. [ms]
struct Times {
  double built_in;
  double expression;
};

Times MeasureDecisions(const std::string& task, bool on_networks) {
  constexpr int kDecisions = 9;
  Planning planning(task, on_networks);
  std::vector<double> built_in, expression;
  for (uint64_t decision = 0; decision <= kDecisions; ++decision) {
    const double first = planning.Decide(false, decision).seconds;
    const double second = planning.Decide(true, decision).seconds;
    if (decision == 0) continue;  // warms up
    built_in.push_back(1e3 * first);
    expression.push_back(1e3 * second);
  }
  for (auto* times : {&built_in, &expression}) {
    std::nth_element(times->begin(), times->begin() + kDecisions / 2, times->end());
  }
  return {built_in[kDecisions / 2], expression[kDecisions / 2]};
}

void ExpectAtMostTwice(const std::string& task, bool on_networks) {
  const Times times = MeasureDecisions(task, on_networks);
  std::printf("| `%s` | %s | %.2f | %.2f | %.2f |\n", task.c_str(),
              on_networks ? "networks" : "closed form", times.built_in, times.expression,
              times.expression / times.built_in);
  EXPECT_LE(times.expression, 2 * times.built_in) << task;
}

TEST(ExpressionCostGate, WholeDecisionsTakeAtMostTwiceAsLong) {
  std::printf("| task | model | built-in [ms] | expression [ms] | ratio |\n");
  for (const char* task : {"cartpole_closed_form", "pendulum"}) ExpectAtMostTwice(task, false);
  for (const std::string& task : TasksWithBuiltInRewards()) ExpectAtMostTwice(task, true);
}

}  // namespace
}  // namespace foreplan
