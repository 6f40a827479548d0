#include "foreplan/control/whole_plan_controller.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/planners/ilqr_planner.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

constexpr int kSteps = 150;

/// The return of an episode of the closed-form cart-pole of which every action is disturbed a
/// little, from a plan of the undisturbed model.
double ReturnUnderDisturbance(bool tracked, double disturbance, double& predicted) {
  const auto [task, config] = Task::Load("cartpole_closed_form");
  const auto system = task.MakeSystem();
  const TrueDynamics dynamics(*system);
  ThreadPool pool(1);
  const PlanningProblem problem{dynamics, task.planning_reward(), task.spec(), pool};
  IlqrPlanner::Options options;
  options.horizon = kSteps;
  options.first_iterations = 300;
  options.guesses = 1024;
  IlqrPlanner planner(options, problem);
  WholePlanController controller(planner, problem, {.track = tracked});

  struct Disturbed final : Policy {
    explicit Disturbed(PlanningPolicy& inner, double size) : inner(inner), size(size) {}
    void Reset(Key key) override { inner.Reset(key); }
    void Act(const Situation& situation, std::span<double> action) override {
      inner.Act(situation, action);
      if (inner.new_plan() != nullptr) predicted = inner.new_plan()->expected_return;
      Random random(situation.key.Fold(99));
      for (double& entry : action) entry += size * random.Normal();
    }
    PlanningPolicy& inner;
    double size;
    double predicted = 0;
  } policy(controller, disturbance);
  const EpisodeResult result =
      RunEpisode(task, *system, policy, Key{3, 0}, kSteps, [](const EpisodeStep& /*step*/) {});
  predicted = policy.predicted;
  return result.episode_return;
}

TEST(WholePlanController, EarnsWhatThePlanPredictsWithoutDisturbance) {
  double predicted = 0;
  const double open_loop = ReturnUnderDisturbance(false, 0, predicted);
  EXPECT_GT(predicted, 60);  // swings up and balances for a while
  EXPECT_NEAR(open_loop, predicted, 1e-6);
}

TEST(WholePlanController, NeedsFeedbackToBalanceUnderDisturbance) {
  double predicted = 0;
  const double open_loop = ReturnUnderDisturbance(false, 0.05, predicted);
  const double tracked = ReturnUnderDisturbance(true, 0.05, predicted);
  EXPECT_LT(open_loop, 0.5 * predicted);  // upright, an error grows by a fifth per step
  EXPECT_GT(tracked, 0.97 * predicted);
}

}  // namespace
}  // namespace foreplan
