// Planning in one thread while another one fits. Also run under the thread sanitizer
// (./dev check tsan).
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <latch>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/planners/planner.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

struct Case {
  std::string planner;
  std::string model;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.planner << " on " << c.model; }

std::string NameOf(const ::testing::TestParamInfo<Case>& info) {
  return info.param.planner + "_" + info.param.model;
}

/// A task, its model, and what plans with it; the fit and the planner have executors of their own.
class ConcurrentFit : public ::testing::TestWithParam<Case> {
 protected:
  ConcurrentFit()
      : loaded_(Task::Load("cartpole_closed_form", Settings())),
        model_(
            MakeLearnedModel(task(), loaded_.second, Key{1, 0}, std::make_shared<ThreadPool>(2))) {
    model_->Fit(Rows(100, 1), Key{2, 0});
  }

  static std::vector<std::string> Settings() {
    return {"model.kind=" + GetParam().model,
            "model.physics.unknowns=['cart_mass = 5 in [0.5, 100]', 'pole_mass = 3 in [0.5, 100]']",
            "model.members=2",
            "model.width=16",
            "fit.min_steps=60",
            "fit.max_steps=60",
            "planner.icem.population=16",
            "planner.icem.elites=4",
            "planner.icem.horizon=8",
            "planner.ilqr.horizon=8",
            "planner.ilqr.guesses=8",
            "planner.ilqr.first_iterations=5"};
  }

  const Task& task() { return loaded_.first; }

  /// Random states and actions, and what the system makes of them.
  Dataset Rows(int rows, uint64_t stream) {
    const auto system = task().MakeSystem();
    Dataset data(4, 1);
    Random random(Key{3, stream});
    std::vector<double> next(4);
    for (int row = 0; row < rows; ++row) {
      const std::vector<double> state = {random.Normal(), random.Normal(), random.Normal(),
                                         random.Normal()};
      const std::vector<double> action = {random.Uniform(-1, 1)};
      system->SetState(state);
      if (system->Step(action) != StepStatus::kOk) continue;
      system->GetState(next);
      data.Add(state, action, next, row);
    }
    return data;
  }

  std::unique_ptr<Planner> MakeFreshPlanner() {
    return MakePlanner(GetParam().planner, loaded_.second,
                       {model_->snapshot(), task().shared_planning_reward(), task().spec(),
                        std::make_shared<ThreadPool>(2)});
  }

  /// The action at a time of an episode.
  static double Act(Policy& controller, int time) {
    const std::vector<double> observation = {0.1, 3.0 - 0.1 * time, 0.2, -0.1};
    double action = 0;
    controller.Act(
        {.observation = observation, .time = time, .key = Key{4, static_cast<uint64_t>(time)}},
        {&action, 1});
    return action;
  }
  static std::vector<double> Actions(Policy& controller, int count) {
    std::vector<double> actions;
    for (int time = 0; time < count; ++time) actions.push_back(Act(controller, time));
    return actions;
  }

  std::pair<Task, Config> loaded_;
  std::shared_ptr<LearnedModel> model_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ConcurrentFit,
                         ::testing::Values(Case{"icem", "ensemble"}, Case{"icem", "physics"},
                                           Case{"icem", "residual"}, Case{"ilqr", "ensemble"},
                                           Case{"ilqr", "residual"}),
                         NameOf);

TEST_P(ConcurrentFit, PlansMadeMeanwhileAreThoseOfTheVersionBefore) {
  constexpr int kDecisions = 3;
  const std::shared_ptr<const Dynamics> before = model_->snapshot();
  MpcController alone(MakeFreshPlanner(), before);
  const std::vector<double> expected = Actions(alone, kDecisions);

  // The fit goes on at full speed from its first report on, while decisions are made.
  MpcController controller(MakeFreshPlanner(), model_);
  std::latch begun(1);
  std::latch planned(1);
  std::atomic<bool> held = false;
  std::thread fit([&] {
    model_->Fit(Rows(400, 2), Key{2, 1}, {}, [&](double share, double /*loss*/) {
      if (share > 0 && !held.exchange(true)) begun.count_down();
      if (share > 0.5) planned.wait();  // until the decisions are made, and not beyond the half
    });
  });
  begun.wait();
  EXPECT_EQ(Actions(controller, kDecisions), expected);
  EXPECT_EQ(model_->snapshot(), before);
  planned.count_down();
  fit.join();

  EXPECT_NE(model_->snapshot(), before);
  MpcController continued(MakeFreshPlanner(), model_->snapshot());
  controller.Reset(Key{});
  EXPECT_EQ(Actions(controller, kDecisions), Actions(continued, kDecisions));
}

TEST_P(ConcurrentFit, DecisionsTakeTheNewVersionWheneverItComes) {
  MpcController controller(MakeFreshPlanner(), model_);
  std::atomic<bool> fitted = false;
  std::thread fit([&] {
    for (uint64_t k = 0; k < 3; ++k) model_->Fit(Rows(50, k), Key{2, k});
    fitted = true;
  });
  int time = 0;
  while (!fitted) EXPECT_LE(std::abs(Act(controller, time++)), 3);
  fit.join();
  controller.Reset(Key{});
  MpcController fresh(MakeFreshPlanner(), model_->snapshot());
  EXPECT_EQ(Actions(controller, 2), Actions(fresh, 2));
}

TEST_P(ConcurrentFit, StoppedFromAnotherThreadAFitChangesNothing) {
  const std::shared_ptr<const Dynamics> before = model_->snapshot();
  TensorFile saved;
  model_->Save(saved);
  std::stop_source stop;
  std::latch begun(1);
  std::atomic<bool> told = false;
  std::string message;
  std::thread fit([&] {
    try {
      model_->Fit(Rows(400, 2), Key{2, 1}, stop.get_token(),
                  [&](double /*share*/, double /*loss*/) {
                    if (!told.exchange(true)) begun.count_down();
                    while (!stop.stop_requested()) std::this_thread::yield();
                  });
    } catch (const Interrupted& error) {
      message = error.what();
    }
  });
  begun.wait();
  stop.request_stop();
  fit.join();
  EXPECT_EQ(message, "fit: stopped; the model is as it was before");
  EXPECT_EQ(model_->snapshot(), before);
  TensorFile after;
  model_->Save(after);
  EXPECT_EQ(after.metadata, saved.metadata);
  for (const auto& [name, tensor] : saved.tensors) {
    EXPECT_TRUE(after.tensors.at(name).values == tensor.values) << name;
  }
}

}  // namespace
}  // namespace foreplan
